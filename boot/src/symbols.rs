//! Function names for back-traces, from the map that the build puts into the image after the link.
//!
//! Big-endian: count (u32), then by rising address {offset from the link base (u32), offset of the
//! name in the map (u32)}, then the names, each ended by a zero byte.

use crate::layout::LINK_BASE;
use core::fmt;

/// Room for the map. The build fails if the names need more.
pub(crate) const MAP_SIZE: usize = 64 * 1024;

#[unsafe(no_mangle)]
#[unsafe(link_section = ".symbol_map")]
static OPALINE_SYMBOL_MAP: [u8; MAP_SIZE] = [0; MAP_SIZE];

/// Shows the function that an address is in, and how far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name(pub(crate) u64);

/// Where the map is: real address and bytes.
pub(crate) fn place() -> (u64, u64) {
    ((&raw const OPALINE_SYMBOL_MAP) as u64, MAP_SIZE as u64)
}

fn map() -> &'static [u8] {
    let map = &raw const OPALINE_SYMBOL_MAP;
    // SAFETY: a static; read through a volatile-free slice whose content the build filled in
    // before the image was loaded. `black_box` keeps the compiler from folding the zeros in.
    core::hint::black_box(unsafe { &*map })
}

fn word(at: usize) -> Option<u32> {
    let bytes = map().get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn find(address: u64) -> Option<(&'static str, u64)> {
    let offset = u32::try_from(address.checked_sub(LINK_BASE)?).ok()?;
    let count = word(0)? as usize;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = (low + high) / 2;
        if word(4 + 8 * middle)? <= offset {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let entry = low.checked_sub(1)?;
    let start = word(4 + 8 * entry)?;
    let name = map().get(word(8 + 8 * entry)? as usize..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some((
        core::str::from_utf8(name.get(..end)?).ok()?,
        u64::from(offset - start),
    ))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match find(self.0) {
            Some((name, offset)) => write!(f, "{name}+{offset:#x}"),
            None => f.write_str("?"),
        }
    }
}
