//! Fills the image's map of function names, by which its back-traces name what they show, and which
//! an OS finds in the device tree.
//!
//! Lines by rising address, as tools for kernels write them: `300001c0 T name`.

use anyhow::{Context as _, Result, ensure};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, elf::SHF_EXECINSTR,
};
use std::collections::BTreeMap;

const SECTION: &str = ".symbol_map";
/// Names of implementations can be endless; the start tells enough.
const LONGEST_NAME: usize = 80;

/// Fills the map of an ELF file in place; an image without one is left as it is.
pub(super) fn fill(elf: &mut [u8]) -> Result<()> {
    let file = object::File::parse(&*elf).context("no ELF file")?;
    let Some(section) = file.section_by_name(SECTION) else {
        return Ok(());
    };
    let (offset, size) = section
        .file_range()
        .context("the symbol map is not in the file")?;
    let map = build(&functions(&file)?);
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

/// Names by address.
fn functions(file: &object::File<'_>) -> Result<BTreeMap<u64, String>> {
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
        let mut name = without_arguments(&format!("{:#}", rustc_demangle::demangle(name)));
        name.truncate(
            (0..=LONGEST_NAME)
                .rev()
                .find(|at| name.is_char_boundary(*at))
                .unwrap_or(0),
        );
        names.entry(symbol.address()).or_insert(name);
    }
    ensure!(!names.is_empty(), "the image has no function symbols");
    Ok(names)
}

/// A name without the types that generic functions were made for: the image has most of them for one.
fn without_arguments(name: &str) -> String {
    let mut short = String::new();
    let mut rest = name;
    while let Some(at) = rest.find("::<") {
        short += &rest[..at];
        let arguments = &rest[at + 2..];
        let mut depth = 0_i32;
        let end = arguments.char_indices().find(|(index, letter)| {
            let is_arrow = *index > 0 && arguments.as_bytes()[index - 1] == b'-';
            match letter {
                '<' => depth += 1,
                '>' if !is_arrow => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        rest = end.map_or("", |(index, _)| &arguments[index + 1..]);
    }
    short + rest
}

fn build(functions: &BTreeMap<u64, String>) -> Vec<u8> {
    let lines = functions.iter();
    let text: String = lines
        .map(|(address, name)| format!("{address:08x} T {}\n", name.replace(['\0', '\n'], "")))
        .collect();
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let functions = BTreeMap::from([
            (0x3000_0100, "b".to_owned()),
            (0x3000_0010, "a<x as y>".to_owned()),
        ]);
        assert_eq!(build(&functions), b"30000010 T a<x as y>\n30000100 T b\n");
    }

    #[test]
    fn names_without_the_types_that_they_were_made_for() {
        for (name, short) in [
            ("a::b", "a::b"),
            ("<a::B<u8> as C>::d::<e::F, G<u8>>", "<a::B<u8> as C>::d"),
            ("a::<fn(B) -> C>::{closure#0}::<D>", "a::{closure#0}"),
            ("a::<B", "a"),
        ] {
            assert_eq!(without_arguments(name), short);
        }
    }

    #[test]
    fn an_image_without_a_map_is_left_alone() {
        let mut elf = super::super::flatten::tests::elf(&[(0, &[1, 2, 3])]);
        let before = elf.clone();
        fill(&mut elf).unwrap();
        assert_eq!(elf, before);
    }
}
