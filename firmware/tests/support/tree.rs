//! Takes a flattened device tree apart and puts it together again, so that tests can change it.

/// A node with its properties and children.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) properties: Vec<(String, Vec<u8>)>,
    pub(crate) children: Vec<Tree>,
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    String::from_utf8(bytes[..end].to_vec()).unwrap()
}

impl Tree {
    /// Decodes a good blob.
    pub(crate) fn decode(blob: &[u8]) -> Self {
        let mut position = word(blob, 8);
        assert_eq!(word(blob, position), 1);
        Self::decode_node(blob, &mut position)
    }

    fn decode_node(blob: &[u8], position: &mut usize) -> Self {
        let name = text(&blob[*position + 4..]);
        *position += 4 + (name.len() + 1).next_multiple_of(4);
        let mut node = Self {
            name,
            properties: Vec::new(),
            children: Vec::new(),
        };
        loop {
            match word(blob, *position) {
                1 => node.children.push(Self::decode_node(blob, position)),
                2 => {
                    *position += 4;
                    return node;
                }
                3 => {
                    let length = word(blob, *position + 4);
                    let name = text(&blob[word(blob, 12) + word(blob, *position + 8)..]);
                    *position += 12;
                    node.properties
                        .push((name, blob[*position..*position + length].to_vec()));
                    *position += length.next_multiple_of(4);
                }
                token => panic!("token {token}"),
            }
        }
    }

    /// Encodes the tree again.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (mut structure, mut strings) = (Vec::new(), Vec::new());
        self.encode_node(&mut structure, &mut strings);
        structure.extend(9_u32.to_be_bytes());
        blob(&structure, &strings)
    }

    fn encode_node(&self, structure: &mut Vec<u8>, strings: &mut Vec<u8>) {
        let pad = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(4), 0);
        structure.extend(1_u32.to_be_bytes());
        structure.extend(self.name.as_bytes());
        structure.push(0);
        pad(structure);
        for (name, value) in &self.properties {
            structure.extend(3_u32.to_be_bytes());
            structure.extend((value.len() as u32).to_be_bytes());
            structure.extend((strings.len() as u32).to_be_bytes());
            strings.extend(name.as_bytes());
            strings.push(0);
            structure.extend(value);
            pad(structure);
        }
        for child in &self.children {
            child.encode_node(structure, strings);
        }
        structure.extend(2_u32.to_be_bytes());
    }

    /// The node at a path of names or beginnings of names.
    pub(crate) fn at(&mut self, path: &[&str]) -> &mut Self {
        let Some((first, rest)) = path.split_first() else {
            return self;
        };
        let child = self
            .children
            .iter_mut()
            .find(|child| child.name.starts_with(first));
        child.unwrap_or_else(|| panic!("no {first}")).at(rest)
    }

    /// Sets a property.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.delete(name);
        self.properties
            .push((name.to_owned(), value.as_ref().to_vec()));
    }

    /// Sets a property to cells.
    pub(crate) fn set_cells(&mut self, name: &str, cells: &[u32]) {
        self.set(
            name,
            cells
                .iter()
                .flat_map(|cell| cell.to_be_bytes())
                .collect::<Vec<_>>(),
        );
    }

    /// Removes a property.
    pub(crate) fn delete(&mut self, name: &str) {
        self.properties.retain(|(other, _)| other != name);
    }

    /// Removes a child by the beginning of its name.
    pub(crate) fn remove(&mut self, name: &str) {
        self.children.retain(|child| !child.name.starts_with(name));
    }

    /// This node and all below it.
    pub(crate) fn count(&self) -> usize {
        1 + self.children.iter().map(Self::count).sum::<usize>()
    }

    /// The node with a number in pre-order.
    pub(crate) fn nth(&mut self, mut number: usize) -> &mut Self {
        if number == 0 {
            return self;
        }
        number -= 1;
        for child in &mut self.children {
            let count = child.count();
            if number < count {
                return child.nth(number);
            }
            number -= count;
        }
        panic!("no such node");
    }
}

/// A blob with these blocks, as they are.
pub(crate) fn blob(structure: &[u8], strings: &[u8]) -> Vec<u8> {
    let structure_at = 40 + 16;
    let strings_at = structure_at + structure.len();
    let total = strings_at + strings.len();
    let header = [
        0xd00d_feed,
        total,
        structure_at,
        strings_at,
        40,
        17,
        16,
        0,
        strings.len(),
        structure.len(),
    ];
    let mut blob: Vec<u8> = header
        .into_iter()
        .flat_map(|field| (field as u32).to_be_bytes())
        .collect();
    blob.extend([0; 16]);
    blob.extend(structure);
    blob.extend(strings);
    blob
}
