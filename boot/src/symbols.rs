//! Function names for back-traces and for the OS, from the map that the build puts into the image
//! after the link.
//!
//! Lines by rising address, as tools for kernels write them: `300001c0 T name`. Zero bytes follow.

use core::fmt;

/// Room for the map. The build fails if the names need more.
pub(crate) const MAP_SIZE: usize = 23 * 1024;

#[unsafe(no_mangle)]
#[unsafe(link_section = ".symbol_map")]
static OPALINE_SYMBOL_MAP: [u8; MAP_SIZE] = [0; MAP_SIZE];

/// Shows the function that an address is in, and how far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name(pub(crate) u64);

/// Where the map is: real address and bytes.
pub(crate) fn place() -> (u64, u64) {
    ((&raw const OPALINE_SYMBOL_MAP) as u64, text().len() as u64)
}

fn map() -> &'static [u8] {
    let map = &raw const OPALINE_SYMBOL_MAP;
    // SAFETY: a static; read through a volatile-free slice whose content the build filled in
    // before the image was loaded. `black_box` keeps the compiler from folding the zeros in.
    core::hint::black_box(unsafe { &*map })
}

/// The text of the map, without what fills it up.
fn text() -> &'static [u8] {
    let map = map();
    let end = map.iter().position(|byte| *byte == 0);
    &map[..end.unwrap_or(map.len())]
}

/// The address and the name of a line.
fn parse(line: &'static [u8]) -> Option<(u64, &'static str)> {
    let line = core::str::from_utf8(line).ok()?;
    let (address, rest) = line.split_once(' ')?;
    let (_, name) = rest.split_once(' ')?;
    Some((u64::from_str_radix(address, 16).ok()?, name))
}

/// The function that holds an address: of the last line that is not beyond it.
fn find(address: u64) -> Option<(&'static str, u64)> {
    if !crate::layout::KEPT.contains(&address) {
        return None;
    }
    let lines = text().split(|byte| *byte == b'\n').filter_map(parse);
    let (start, name) = lines.take_while(|(start, _)| *start <= address).last()?;
    Some((name, address - start))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match find(self.0) {
            Some((name, offset)) => write!(f, "{name}+{offset:#x}"),
            None => f.write_str("?"),
        }
    }
}
