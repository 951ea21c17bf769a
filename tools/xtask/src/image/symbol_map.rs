//! Fills the image's map of function names, by which its back-traces name what they show.
//!
//! Big-endian: count (u32), then by rising address {offset from the link base (u32), offset of the
//! name in the map (u32)}, then the names, each ended by a zero byte.

use anyhow::{Context as _, Result, ensure};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, elf::SHF_EXECINSTR,
};
use std::collections::BTreeMap;

const SECTION: &str = ".symbol_map";
const LINK_BASE: &str = "__link_base";
/// Names of generic functions can be endless; the start tells enough.
const LONGEST_NAME: usize = 100;

/// Fills the map of an ELF file in place; an image without one is left as it is.
pub(super) fn fill(elf: &mut [u8]) -> Result<()> {
    let file = object::File::parse(&*elf).context("no ELF file")?;
    let Some(section) = file.section_by_name(SECTION) else {
        return Ok(());
    };
    let (offset, size) = section
        .file_range()
        .context("the symbol map is not in the file")?;
    let base = file
        .symbol_by_name(LINK_BASE)
        .context("no symbol __link_base")?
        .address();
    let map = build(&functions(&file, base)?)?;
    let (offset, size) = (usize::try_from(offset)?, usize::try_from(size)?);
    ensure!(
        map.len() <= size,
        "the symbol map needs {} bytes and has {size}",
        map.len()
    );
    let place = elf
        .get_mut(offset..offset + map.len())
        .context("truncated symbol map")?;
    place.copy_from_slice(&map);
    Ok(())
}

/// Names by offset from the link base.
fn functions(file: &object::File<'_>, base: u64) -> Result<BTreeMap<u32, String>> {
    let code: Vec<_> = file
        .sections()
        .filter(|section| {
            matches!(section.flags(), SectionFlags::Elf { sh_flags } if sh_flags & u64::from(SHF_EXECINSTR) != 0)
        })
        .map(|section| section.address()..section.address() + section.size())
        .collect();
    let mut names = BTreeMap::new();
    for symbol in file.symbols() {
        let name = symbol.name().unwrap_or_default();
        let in_code = code.iter().any(|range| range.contains(&symbol.address()));
        if !in_code
            || name.is_empty()
            || name.starts_with(['.', '$', '_'])
                && !name.starts_with("_R")
                && !name.starts_with("_ZN")
        {
            continue;
        }
        let Some(offset) = symbol.address().checked_sub(base) else {
            continue;
        };
        let mut name = format!("{:#}", rustc_demangle::demangle(name));
        name.truncate(
            (0..=LONGEST_NAME)
                .rev()
                .find(|at| name.is_char_boundary(*at))
                .unwrap_or(0),
        );
        names.entry(u32::try_from(offset)?).or_insert(name);
    }
    ensure!(!names.is_empty(), "the image has no function symbols");
    Ok(names)
}

fn build(functions: &BTreeMap<u32, String>) -> Result<Vec<u8>> {
    let names_start = 4 + 8 * functions.len();
    let mut head = u32::try_from(functions.len())?.to_be_bytes().to_vec();
    let mut names = Vec::new();
    for (offset, name) in functions {
        head.extend(offset.to_be_bytes());
        head.extend(u32::try_from(names_start + names.len())?.to_be_bytes());
        names.extend(name.bytes().filter(|byte| *byte != 0));
        names.push(0);
    }
    head.append(&mut names);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let functions = BTreeMap::from([(0x100, "b".to_owned()), (0x10, "aa".to_owned())]);
        let map = build(&functions).unwrap();
        let word = |at: usize| u32::from_be_bytes(map[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4), word(12)), (2, 0x10, 0x100));
        assert_eq!(&map[word(8) as usize..], b"aa\0b\0");
        assert_eq!(&map[word(16) as usize..], b"b\0");
    }

    #[test]
    fn an_image_without_a_map_is_left_alone() {
        let mut elf = super::super::flatten::tests::elf(&[(0, &[1, 2, 3])]);
        let before = elf.clone();
        fill(&mut elf).unwrap();
        assert_eq!(elf, before);
    }
}
