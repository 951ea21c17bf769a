//! Checks a flattened device tree from its first to its last token, before anything reads it.
//!
//! The `fdt` crate trusts the blob and panics when a token, an offset or a terminator is wrong, or
//! recurses as deep as the tree goes. A panic in firmware is a dead machine, so a blob that fails
//! here is refused with a message. Everything that the crate relies on is checked, and what it
//! does not handle (`FDT_NOP` between properties, properties behind subnodes) is refused too.

use super::error::{Path, TreeError};
use arrayvec::ArrayVec;

/// Bytes of the largest tree that is taken; QEMU and skiboot keep theirs within 1 MiB.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting that is taken; real trees reach 6.
const MAX_DEPTH: usize = 16;
/// Longest name of a node or property that is taken; the specification allows 31.
const MAX_NAME: usize = 63;

const HEADER_BYTES: usize = 40;
const MAGIC: u32 = 0xd00d_feed;
/// The version that has the size of the structure block in its header.
const VERSION: u32 = 17;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const END: u32 = 9;

struct Walk<'t> {
    structure: &'t [u8],
    strings: &'t [u8],
    position: usize,
    /// The open nodes' names and whether one of their children was seen.
    open: ArrayVec<(&'t str, bool), MAX_DEPTH>,
}

/// The blob without what lies behind it, if every token of it is good.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(bytes: &[u8]) -> Result<&[u8], TreeError> {
    let field = |index: usize| word(bytes, 4 * index).unwrap_or(0);
    if bytes.len() < HEADER_BYTES {
        return Err(TreeError::header("length", "40 bytes of header"));
    }
    if field(0) != MAGIC {
        return Err(TreeError::header("magic", "0xd00dfeed"));
    }
    let total = field(1) as usize;
    if !(HEADER_BYTES..=MAX_BYTES.min(bytes.len())).contains(&total) {
        return Err(TreeError::header(
            "totalsize",
            "at most 1 MiB, all of it in memory",
        ));
    }
    if field(5) < VERSION || field(6) > VERSION {
        return Err(TreeError::header(
            "version",
            "a tree that version 17 can read",
        ));
    }
    let bytes = &bytes[..total];
    if !reservations_end(bytes, field(4) as usize) {
        return Err(TreeError::header(
            "off_mem_rsvmap",
            "an aligned list with an end within the tree",
        ));
    }
    let block = |offset: u32, size: u32| bytes.get(offset as usize..)?.get(..size as usize);
    let structure = block(field(2), field(9))
        .filter(|_| field(2).is_multiple_of(4))
        .ok_or(TreeError::header(
            "off_dt_struct",
            "an aligned block within the tree",
        ))?;
    let strings = block(field(3), field(8)).ok_or(TreeError::header(
        "off_dt_strings",
        "a block within the tree",
    ))?;
    Walk {
        structure,
        strings,
        position: 0,
        open: ArrayVec::new(),
    }
    .run()?;
    Ok(bytes)
}

/// Whether the list of reserved memory, which nobody here reads, is one: a tree in which it is not
/// was damaged, or made by something that cannot be trusted.
fn reservations_end(bytes: &[u8], offset: usize) -> bool {
    let entries = bytes.get(offset..).unwrap_or_default().as_chunks::<16>().0;
    offset.is_multiple_of(8) && offset >= HEADER_BYTES && entries.contains(&[0; 16])
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The NUL-terminated text at the start of `bytes`, if it may be a name.
fn name(bytes: &[u8]) -> Option<&str> {
    let length = bytes
        .iter()
        .take(MAX_NAME + 1)
        .position(|byte| *byte == 0)?;
    let name = &bytes[..length];
    name.iter()
        .all(u8::is_ascii_graphic)
        .then(|| core::str::from_utf8(name).ok())?
}

impl<'t> Walk<'t> {
    fn run(mut self) -> Result<(), TreeError> {
        let mut roots = 0;
        loop {
            match (self.next_word(), self.open.is_empty()) {
                (Some(BEGIN_NODE), at_top) => {
                    roots += u32::from(at_top);
                    self.begin_node()?;
                }
                (Some(END_NODE), false) => {
                    self.open.pop();
                }
                (Some(PROPERTY), false) => self.property()?,
                (Some(END), true) if roots == 1 => return Ok(()),
                _ => return Err(self.error("", "a node, a property or an end (no FDT_NOP)")),
            }
            if roots > 1 {
                return Err(self.error("", "one root"));
            }
        }
    }

    fn begin_node(&mut self) -> Result<(), TreeError> {
        let name = name(&self.structure[self.position..])
            .filter(|name| name.is_empty() == self.open.is_empty())
            .ok_or_else(|| self.error("", "a child with a name of 1 to 63 visible characters"))?;
        if let Some((_, has_children)) = self.open.last_mut() {
            *has_children = true;
        }
        if self.open.try_push((name, false)).is_err() {
            return Err(self.error("", "at most 16 levels of nodes"));
        }
        self.advance(name.len() + 1)
    }

    fn property(&mut self) -> Result<(), TreeError> {
        if self
            .open
            .last()
            .is_none_or(|(_, has_children)| *has_children)
        {
            return Err(self.error("", "all properties in front of all children"));
        }
        let length = self.next_word();
        let name = self
            .next_word()
            .and_then(|offset| name(self.strings.get(offset as usize..)?))
            .filter(|name| !name.is_empty());
        match (length, name) {
            (Some(length), Some(_)) => self.advance(length as usize),
            _ => Err(self.error("", "properties with names of 1 to 63 visible characters")),
        }
    }

    fn next_word(&mut self) -> Option<u32> {
        let value = word(self.structure, self.position)?;
        self.position += 4;
        Some(value)
    }

    /// Skips `length` bytes and what aligns them.
    fn advance(&mut self, length: usize) -> Result<(), TreeError> {
        let end = self.position + length.next_multiple_of(4);
        if end > self.structure.len() {
            return Err(self.error("", "names and values within the structure block"));
        }
        self.position = end;
        Ok(())
    }

    fn error(&self, property: &'static str, expected: &'static str) -> TreeError {
        let names = self.open.iter().skip(1);
        let path = names.fold(Path::root(), |path, (name, _)| path.child(name));
        TreeError::node(path, property, expected)
    }
}
