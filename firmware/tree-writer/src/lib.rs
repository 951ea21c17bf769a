//! Writes a flattened device tree (version 17) into a buffer of the caller, front to back.
//!
//! For firmware: no heap, and nothing panics. A tree that does not fit, or that is put together in
//! the wrong order, shows when it is finished; until then the writer can be used without looking.
//!
//! ```
//! let mut memory = [0; 1024];
//! let mut tree = tree_writer::TreeWriter::new(&mut memory, &[(0x3000_0000, 0x10_0000)]);
//! tree.node("", |tree| {
//!     tree.strings("compatible", &["ibm,powernv"]);
//!     tree.node("cpus", |tree| tree.cell("#size-cells", 0));
//! });
//! let blob = tree.finish(0x20)?;
//! assert_eq!(blob[..4], [0xd0, 0x0d, 0xfe, 0xed]);
//! # Ok::<(), tree_writer::WriteError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;

const MAGIC: u32 = 0xd00d_feed;
const VERSION: u32 = 17;
/// The oldest version that a reader may understand and still read this tree.
const COMPATIBLE_VERSION: u32 = 16;
const HEADER_BYTES: usize = 40;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const END: u32 = 9;

/// The names of properties are collected at the end of the buffer, in one part of so many, until
/// the tree is finished and they move up behind its nodes.
const NAMES_PART: usize = 8;

/// Why there is no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The buffer is too small.
    Full,
    /// A property behind a child, or not one root: readers would not find it.
    Order,
    /// A name is empty where it may not be, or contains a zero byte.
    Name,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the device tree does not fit into its buffer",
            Self::Order => "the device tree is not one root with properties before children",
            Self::Name => "a name in the device tree is empty or contains a zero byte",
        })
    }
}

impl core::error::Error for WriteError {}

/// A tree that is being written.
#[derive(Debug)]
pub struct TreeWriter<'b> {
    buffer: &'b mut [u8],
    /// Where the structure block begins.
    structure: usize,
    /// Where the next byte of the structure goes.
    position: usize,
    /// Where the names begin, for now.
    names: usize,
    names_length: usize,
    /// Open nodes.
    depth: usize,
    /// The open node may still take properties.
    takes_properties: bool,
    /// A root was begun.
    rooted: bool,
    failure: Option<WriteError>,
}

impl<'b> TreeWriter<'b> {
    /// Begins a tree with a list of reserved memory: (real address, bytes).
    #[must_use]
    pub fn new(buffer: &'b mut [u8], reservations: &[(u64, u64)]) -> Self {
        // A buffer cut at a multiple of 8, so that all offsets are.
        let usable = buffer.len() & !7;
        let names = (usable - usable / NAMES_PART) & !7;
        let mut tree = Self {
            buffer,
            structure: 0,
            position: 0,
            names,
            names_length: 0,
            depth: 0,
            takes_properties: false,
            rooted: false,
            failure: None,
        };
        tree.put(&[0; HEADER_BYTES]);
        for (address, bytes) in reservations {
            tree.put(&address.to_be_bytes());
            tree.put(&bytes.to_be_bytes());
        }
        tree.put(&[0; 16]);
        tree.structure = tree.position;
        tree
    }

    /// Writes a node; what `inside` writes is in it, properties first. The root has no name.
    pub fn node(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.begin_node(name);
        inside(self);
        self.end_node();
    }

    /// Begins a node; [`Self::end_node`] ends it. For what does not nest in the source.
    #[inline(never)]
    pub fn begin_node(&mut self, name: &str) {
        if name.is_empty() != (self.depth == 0) || name.contains('\0') {
            self.fail(WriteError::Name);
        }
        if self.depth == 0 && self.rooted {
            self.fail(WriteError::Order);
        }
        self.rooted = true;
        self.depth += 1;
        self.takes_properties = true;
        self.put(&BEGIN_NODE.to_be_bytes());
        self.put(name.as_bytes());
        self.put(&[0]);
        self.align();
    }

    /// Ends the node that was begun last.
    #[inline(never)]
    pub fn end_node(&mut self) {
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => self.fail(WriteError::Order),
        }
        self.takes_properties = false;
        self.put(&END_NODE.to_be_bytes());
    }

    /// Writes a property as it is.
    #[inline(never)]
    pub fn property(&mut self, name: &str, value: &[u8]) {
        self.begin_property(name, value.len());
        self.put(value);
        self.align();
    }

    /// Writes a property that is there or not.
    #[inline(never)]
    pub fn flag(&mut self, name: &str) {
        self.property(name, &[]);
    }

    /// Writes a property of one cell.
    #[inline(never)]
    pub fn cell(&mut self, name: &str, value: u32) {
        self.property(name, &value.to_be_bytes());
    }

    /// Writes a property of cells.
    #[inline(never)]
    pub fn cells(&mut self, name: &str, values: &[u32]) {
        self.begin_property(name, 4 * values.len());
        for value in values {
            self.put(&value.to_be_bytes());
        }
    }

    /// Writes a property of numbers of two cells.
    #[inline(never)]
    pub fn doubles(&mut self, name: &str, values: &[u64]) {
        self.begin_property(name, 8 * values.len());
        for value in values {
            self.put(&value.to_be_bytes());
        }
    }

    /// Writes a property of strings.
    #[inline(never)]
    pub fn strings(&mut self, name: &str, values: &[&str]) {
        self.begin_property(name, values.iter().map(|value| value.len() + 1).sum());
        for value in values {
            self.put(value.as_bytes());
            self.put(&[0]);
        }
        self.align();
    }

    /// Completes the tree; `boot_cpu` is the number of the processor that enters the OS.
    ///
    /// # Errors
    /// [`WriteError`]: the first thing that went wrong.
    pub fn finish(mut self, boot_cpu: u32) -> Result<&'b [u8], WriteError> {
        if self.depth != 0 || !self.rooted {
            self.fail(WriteError::Order);
        }
        self.put(&END.to_be_bytes());
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let Self {
            buffer,
            structure,
            position,
            names,
            names_length,
            ..
        } = self;
        buffer.copy_within(names..names + names_length, position);
        let total = (position + names_length).next_multiple_of(8);
        let gap = buffer.get_mut(position + names_length..total);
        gap.ok_or(WriteError::Full)?.fill(0);
        let header = [
            MAGIC,
            total as u32,
            structure as u32,
            position as u32,
            HEADER_BYTES as u32,
            VERSION,
            COMPATIBLE_VERSION,
            boot_cpu,
            names_length as u32,
            (position - structure) as u32,
        ];
        let words = buffer.as_chunks_mut::<4>().0.iter_mut();
        words
            .zip(header)
            .for_each(|(word, value)| *word = value.to_be_bytes());
        Ok(&buffer[..total])
    }

    fn begin_property(&mut self, name: &str, length: usize) {
        if !self.takes_properties {
            self.fail(WriteError::Order);
        }
        if name.is_empty() || name.contains('\0') {
            self.fail(WriteError::Name);
        }
        let name = self.name(name);
        self.put(&PROPERTY.to_be_bytes());
        self.put(&(length as u32).to_be_bytes());
        self.put(&name.to_be_bytes());
    }

    /// The place of a name among the names; the same name is there once.
    fn name(&mut self, name: &str) -> u32 {
        let end = self.names + self.names_length;
        let known = self.buffer.get(self.names..end).unwrap_or_default();
        let mut place = 0;
        for old in known.split_inclusive(|byte| *byte == 0) {
            if old.split_last().map(|(_, text)| text) == Some(name.as_bytes()) {
                return place;
            }
            place += old.len() as u32;
        }
        let Some(free) = self.buffer.get_mut(end..end + name.len() + 1) else {
            self.fail(WriteError::Full);
            return 0;
        };
        free[..name.len()].copy_from_slice(name.as_bytes());
        free[name.len()] = 0;
        self.names_length += free.len();
        place
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.position + bytes.len();
        match self.buffer.get_mut(self.position..end) {
            Some(place) if end <= self.names => {
                place.copy_from_slice(bytes);
                self.position = end;
            }
            _ => self.fail(WriteError::Full),
        }
    }

    fn align(&mut self) {
        let gap = self.position.next_multiple_of(4) - self.position;
        self.put(&[0; 4][..gap]);
    }

    fn fail(&mut self, why: WriteError) {
        self.failure.get_or_insert(why);
    }
}
