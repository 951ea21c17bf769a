//! Compares the table of memory orderings with the source.

use crate::workspace;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const TABLE: &str = "docs/memory-ordering.md";
const FOLDERS: [&str; 4] = [
    "firmware/src",
    "firmware/flight-recorder/src",
    "hypervisor-shim/src",
    "boot/src",
];
const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// How often each of [`ORDERINGS`] stands there.
type Counts = [usize; 5];

/// What the table says of each file: `None` for those that are not on the path.
fn table(text: &str) -> BTreeMap<String, Option<Counts>> {
    let mut files: BTreeMap<String, Option<Counts>> = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(file) = cells
            .get(1)
            .and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'))
            .filter(|file| file.ends_with(".rs"))
        else {
            continue;
        };
        match cells.len() {
            4 => {
                files.insert(file.to_owned(), None);
            }
            _ => {
                let counts = files.entry(file.to_owned()).or_default();
                let counts = counts.get_or_insert_default();
                let accesses = cells.get(3).copied().unwrap_or_default();
                let words: Vec<&str> = accesses.split([' ', ',', ';']).collect();
                for (at, word) in words.iter().enumerate() {
                    if let Some(kind) = ORDERINGS.iter().position(|name| name == word) {
                        let next = words.get(at + 1).and_then(|next| next.strip_prefix('×'));
                        counts[kind] += next.and_then(|times| times.parse().ok()).unwrap_or(1);
                    }
                }
            }
        }
    }
    files
}

/// The orderings in a source file, without its tests.
fn used(source: &str) -> Counts {
    let code = source
        .split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    ORDERINGS.map(|name| code.matches(&format!("Ordering::{name}")).count())
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_test = path
            .file_stem()
            .is_some_and(|stem| stem == "tests" || stem == "concurrent_tests");
        if is_test {
            continue;
        }
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// Differences between the table and the source, a line each.
fn differences(root: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(root.join(TABLE)).context(TABLE)?;
    let mut said = table(&text);
    let mut found = Vec::new();
    for folder in FOLDERS {
        sources(&root.join(folder), &mut found)?;
    }
    let mut differences = Vec::new();
    for path in found {
        let counts = used(&fs::read_to_string(&path)?);
        let name = path.strip_prefix(root)?.display().to_string();
        let listed = said.remove(&name);
        if counts == Counts::default() {
            continue;
        }
        match listed {
            None => differences.push(format!("{name} is not in {TABLE}: {counts:?}")),
            Some(Some(said)) if said != counts => {
                let each = ORDERINGS.iter().zip(said.iter().zip(counts));
                for (ordering, (said, is)) in each.filter(|(_, (said, is))| *said != is) {
                    let line = format!("{name}: {is} {ordering}, but {TABLE} says {said}");
                    differences.push(line);
                }
            }
            Some(_) => {}
        }
    }
    differences.extend(said.into_keys().map(|name| format!("{TABLE}: no {name}")));
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_source() {
        assert_eq!(
            differences(&workspace::root()).unwrap(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn accesses_are_counted() {
        let text = "| `a.rs` | x | `load` Acquire, `store` Relaxed ×3 | why | |\n\
            | `a.rs` | | on failure Relaxed | why | |\n| `b.rs` | why |\n";
        let files = table(text);
        assert_eq!(files["a.rs"], Some([4, 1, 0, 0, 0]));
        assert_eq!(files["b.rs"], None);
        let source = "x.load(Ordering::Acquire)\n#[cfg(test)]\nmod tests { Ordering::Relaxed }";
        assert_eq!(used(source), [0, 1, 0, 0, 0]);
    }
}
