//! The image as the audits see it: functions, their code, and the data that may point to them.

use anyhow::{Context as _, Result};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SymbolFlags, SymbolKind,
    elf::{SHF_ALLOC, SHF_EXECINSTR},
};
use std::collections::BTreeMap;

/// A function, or a labelled stretch of assembly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// All its names; the first is shown.
    pub(crate) names: Vec<String>,
    /// Address of its first instruction.
    pub(crate) start: u64,
    /// Its instructions.
    pub(crate) words: Vec<u32>,
    /// A function by its symbol's type; labels of assembly are none.
    pub(crate) typed: bool,
}

impl Function {
    /// The name that is shown.
    pub(crate) fn name(&self) -> &str {
        self.names.first().map_or("?", String::as_str)
    }

    /// Instructions with their addresses.
    pub(crate) fn code(&self) -> impl DoubleEndedIterator<Item = (u64, u32)> + '_ {
        self.words
            .iter()
            .enumerate()
            .map(|(index, word)| (self.start + 4 * index as u64, *word))
    }
}

/// Everything that is in the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Program {
    /// Sorted by address, without overlap; together they cover all executable sections.
    pub(crate) functions: Vec<Function>,
    /// Doublewords of the data sections: possible pointers.
    pub(crate) data: Vec<u64>,
    /// Frame sizes that the compiler stated, by function address.
    pub(crate) stated_frames: BTreeMap<u64, u64>,
    /// Value that r2 has everywhere.
    pub(crate) toc: u64,
}

impl Program {
    /// Reads an ELF file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let file = object::File::parse(bytes).context("no ELF file")?;
        let mut program = Self::default();
        let mut labels: BTreeMap<u64, (Vec<String>, bool)> = BTreeMap::new();
        let mut objects = Vec::new();
        for symbol in file.symbols() {
            let Ok(name) = symbol.name() else { continue };
            if name == ".TOC." {
                program.toc = symbol.address();
            }
            if symbol.kind() == SymbolKind::Data {
                objects.push((symbol.address(), symbol.size()));
            }
            // Code labels of assembly have no type; local ones that the assembler invents go.
            let code = matches!(
                symbol.kind(),
                SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown
            );
            let untyped =
                matches!(symbol.flags(), SymbolFlags::Elf { st_info, .. } if st_info & 0xf == 0);
            if (code || untyped) && !name.is_empty() && !name.starts_with(['.', '$']) {
                let (names, typed) = labels.entry(symbol.address()).or_default();
                *typed |= symbol.kind() == SymbolKind::Text && !untyped;
                names.push(format!("{:#}", rustc_demangle::demangle(name)));
            }
        }
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                continue;
            };
            let data = section.data().context("section without data")?;
            if section.name() == Ok(".stack_sizes") {
                program.stated_frames = stated_frames(data);
            } else if sh_flags & u64::from(SHF_EXECINSTR) != 0 {
                program.add_code(section.address(), data, &labels, &objects);
            } else if sh_flags & u64::from(SHF_ALLOC) != 0 && section.name() != Ok(".symbol_map") {
                program.data.extend(
                    data.as_chunks::<8>()
                        .0
                        .iter()
                        .map(|word| u64::from_be_bytes(*word)),
                );
            }
        }
        program.functions.sort_by_key(|function| function.start);
        Ok(program)
    }

    /// Cuts a section at its labels; the parts that are data objects are left out.
    fn add_code(
        &mut self,
        start: u64,
        data: &[u8],
        labels: &BTreeMap<u64, (Vec<String>, bool)>,
        objects: &[(u64, u64)],
    ) {
        let end = start + data.len() as u64;
        let mut current: Option<Function> = None;
        for (index, word) in data.as_chunks::<4>().0.iter().enumerate() {
            let at = start + 4 * index as u64;
            let label = labels.get(&at).filter(|_| at < end);
            if label.is_some() || current.is_none() {
                self.functions.extend(current.take());
                let (names, typed) = label.cloned().unwrap_or_default();
                current = Some(Function {
                    names,
                    start: at,
                    words: Vec::new(),
                    typed,
                });
            }
            let is_data = objects
                .iter()
                .any(|(first, size)| (*first..first + size).contains(&at));
            if let Some(function) = &mut current {
                // A nop keeps the addresses of what follows.
                const NOP: u32 = 0x6000_0000;
                function.words.push(if is_data {
                    NOP
                } else {
                    u32::from_be_bytes(*word)
                });
            }
        }
        self.functions.extend(current);
    }

    /// Index of the function that holds an address.
    pub(crate) fn at(&self, address: u64) -> Option<usize> {
        let index = self
            .functions
            .partition_point(|function| function.start <= address);
        let index = index.checked_sub(1)?;
        let function = &self.functions[index];
        (address < function.start + 4 * function.words.len() as u64).then_some(index)
    }

    /// Index of the function that starts at an address.
    pub(crate) fn starting_at(&self, address: u64) -> Option<usize> {
        self.at(address)
            .filter(|index| self.functions[*index].start == address)
    }
}

/// Entries of `.stack_sizes`: an address, then the size in LEB128.
fn stated_frames(mut data: &[u8]) -> BTreeMap<u64, u64> {
    let mut frames = BTreeMap::new();
    while let Some((address, rest)) = data.split_first_chunk::<8>() {
        let mut size = 0u64;
        let mut used = 0;
        for byte in rest {
            size |= u64::from(byte & 0x7f).checked_shl(7 * used).unwrap_or(0);
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        data = &rest[used as usize..];
        let known = frames.entry(u64::from_be_bytes(*address)).or_insert(0);
        *known = size.max(*known);
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_sizes_are_decoded() {
        let mut data = Vec::new();
        data.extend_from_slice(&0x3000_0100u64.to_be_bytes());
        data.extend_from_slice(&[0x70]);
        data.extend_from_slice(&0x3000_0200u64.to_be_bytes());
        data.extend_from_slice(&[0x80, 0x02]);
        let frames = stated_frames(&data);
        assert_eq!(frames[&0x3000_0100], 0x70);
        assert_eq!(frames[&0x3000_0200], 256);
        assert_eq!(frames.len(), 2);
    }

    #[test]
    fn sections_are_cut_at_labels() {
        let mut program = Program::default();
        let labels = BTreeMap::from([
            (0x104, (vec!["one".to_owned()], true)),
            (0x108, (vec!["two".to_owned()], false)),
        ]);
        let data: Vec<u8> = (1u32..=4).flat_map(u32::to_be_bytes).collect();
        program.add_code(0x100, &data, &labels, &[(0x10c, 4)]);
        let shape: Vec<_> = program
            .functions
            .iter()
            .map(|function| (function.name(), function.start, function.words.clone()))
            .collect();
        assert_eq!(
            shape,
            [
                ("?", 0x100, vec![1]),
                ("one", 0x104, vec![2]),
                ("two", 0x108, vec![3, 0x6000_0000])
            ]
        );
        assert_eq!(program.at(0x10c), Some(2));
        assert_eq!(program.starting_at(0x10c), None);
        assert_eq!((program.at(0xff), program.at(0x110)), (None, None));
    }
}
