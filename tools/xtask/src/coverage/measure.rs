//! What `llvm-cov export` says, without the tests that stand beside the code.
//!
//! A generic function is compiled several times. What one of them reached is reached: the code is the
//! same.

use super::gaps;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Numbers of a region or branch before its counts: line and column, from and to.
const PLACE: usize = 4;
/// `Kind` of a region that is code.
const CODE: u64 = 0;

type Place = [u64; PLACE];

/// What was reached, by file.
#[derive(Debug, Default)]
pub(super) struct Measured(BTreeMap<String, File>);

#[derive(Debug, Default)]
struct File {
    /// Branches: whether the condition was ever true, and ever false.
    branches: BTreeMap<Place, [bool; 2]>,
    /// Their conditions, as they are written.
    conditions: BTreeMap<Place, String>,
    regions: BTreeMap<Place, bool>,
}

/// Reached, of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share(usize, usize);

impl Share {
    fn of(all: impl Iterator<Item = bool>) -> Self {
        all.fold(Self(0, 0), |Self(reached, of), one| {
            Self(reached + usize::from(one), of + 1)
        })
    }

    fn percent(self) -> f64 {
        if self.1 == 0 {
            100.0
        } else {
            100.0 * self.0 as f64 / self.1 as f64
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}/{:<5}{:>6.1}%", self.0, self.1, self.percent())
    }
}

impl File {
    /// A line is as reached as the smallest region that begins last before its end: of all regions over
    /// it, the one that begins last.
    fn lines(&self) -> Share {
        let mut lines: BTreeMap<u64, (Place, bool)> = BTreeMap::new();
        for (&place, &reached) in &self.regions {
            for line in place[0]..=place[2] {
                let entry = lines.entry(line).or_insert((place, reached));
                // On the line where it begins a region is not alone; any that is reached will do.
                if place[0] == line && entry.0[0] == line {
                    entry.1 |= reached;
                } else if place >= entry.0 {
                    *entry = (place, reached || place[0] == line && entry.1);
                }
            }
        }
        Share::of(lines.values().map(|(_, reached)| *reached))
    }

    fn regions(&self) -> Share {
        Share::of(self.regions.values().copied())
    }

    fn branches(&self) -> Share {
        Share::of(self.branches.values().flatten().copied())
    }
}

impl Measured {
    /// How many of all branches were reached, in percent.
    pub(super) fn branches(&self) -> f64 {
        self.total(File::branches).percent()
    }

    fn total(&self, of: impl Fn(&File) -> Share) -> Share {
        self.0.values().map(of).fold(Share::default(), Share::plus)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<44}{:>18}{:>18}{:>18}",
            "", "lines", "regions", "branches"
        )?;
        let mut line = |name: &str, lines: Share, regions: Share, branches: Share| {
            writeln!(f, "{name:<44}{lines:>18}{regions:>18}{branches:>18}")
        };
        for (name, file) in &self.0 {
            line(name, file.lines(), file.regions(), file.branches())?;
        }
        line(
            "all",
            self.total(File::lines),
            self.total(File::regions),
            self.total(File::branches),
        )?;
        for (name, file) in &self.0 {
            for (place, sides) in &file.branches {
                for (side, reached) in ["true", "false"].iter().zip(sides.iter().rev()) {
                    if *reached {
                        continue;
                    }
                    let condition = &file.conditions[place];
                    let [line, column, ..] = place;
                    write!(f, "never {side}: {name}:{line}:{column}: {condition}")?;
                    match gaps::why(name, condition, side) {
                        Some(why) => writeln!(f, " ({why})")?,
                        None => writeln!(f)?,
                    }
                }
            }
        }
        Ok(())
    }
}

/// Reads the export: see "llvm-cov export" in the documentation of LLVM.
pub(super) fn read(json: &[u8], root: &Path) -> Result<Measured> {
    let export: Value = serde_json::from_slice(json)?;
    let functions = export["data"][0]["functions"].as_array();
    let mut measured = Measured::default();
    for function in functions.context("no functions")? {
        let files = function["filenames"].as_array().context("no files")?;
        for region in list(&function["regions"])? {
            // Place, count, file, file it expands to, kind.
            if let ([.., count, file, _, CODE], Some(place)) = (&region[..], place(&region))
                && let Some(name) = name(files, *file, root)
            {
                let file = measured.0.entry(name).or_default();
                *file.regions.entry(place).or_default() |= *count != 0;
            }
        }
        for branch in list(&function["branches"])? {
            // Place, count when true, count when false, file, file it expands to, kind.
            if let ([.., truly, falsely, file, _, _], Some(place)) = (&branch[..], place(&branch))
                && let Some(name) = name(files, *file, root)
            {
                let file = measured.0.entry(name).or_default();
                let sides = file.branches.entry(place).or_default();
                sides[0] |= *falsely != 0;
                sides[1] |= *truly != 0;
            }
        }
    }
    for (name, file) in &mut measured.0 {
        let source = std::fs::read_to_string(root.join(name))?;
        let tests = first_test_line(&source);
        file.branches.retain(|place, _| place[0] < tests);
        file.regions.retain(|place, _| place[0] < tests);
        let condition = |place: &Place| (*place, text(&source, *place));
        file.conditions = file.branches.keys().map(condition).collect();
    }
    ensure!(!measured.0.is_empty(), "nothing was measured");
    Ok(measured)
}

/// What stands there, on one line.
fn text(source: &str, [line, column, last, end]: Place) -> String {
    let mut text = String::new();
    for (number, content) in (1..).zip(source.lines()) {
        let from = if number == line { column - 1 } else { 0 } as usize;
        let to = if number == last {
            end as usize - 1
        } else {
            content.len()
        };
        if (line..=last).contains(&number) {
            text.push_str(content.get(from..to).unwrap_or_default());
            text.push(' ');
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn list(value: &Value) -> Result<Vec<Vec<u64>>> {
    Ok(serde_json::from_value(value.clone())?)
}

fn place(numbers: &[u64]) -> Option<Place> {
    numbers.first_chunk().copied()
}

/// The file, from the root; none for a file of tests, and for what is not ours.
fn name(files: &[Value], number: u64, root: &Path) -> Option<String> {
    let file = files.get(usize::try_from(number).ok()?)?.as_str()?;
    let path = Path::new(file).strip_prefix(root).ok()?;
    let ours = super::SOURCES.iter().any(|source| path.starts_with(source));
    let is_test =
        path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests");
    (ours && !is_test).then(|| path.display().to_string())
}

/// Tests stand at the end of a file.
fn first_test_line(source: &str) -> u64 {
    let before = source
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]");
    before.count() as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilations_are_joined_and_tests_left_out() {
        let root = tempfile::tempdir().expect("a directory");
        let source = root.path().join("firmware/src/hmi");
        std::fs::create_dir_all(&source).expect("made");
        let text = "fn f() {\n if a {\n }\n}\n#[cfg(test)]\nmod tests {\n}\n";
        std::fs::write(source.join("mod.rs"), text).expect("written");
        let file = source.join("mod.rs").display().to_string();
        let other = source.join("tests.rs").display().to_string();
        let function = |truly: u64, name: &str| {
            serde_json::json!({
                "filenames": [name],
                "regions": [[1, 1, 4, 2, 1, 0, 0, 0], [2, 7, 3, 3, truly, 0, 0, 0],
                    [6, 1, 7, 1, 0, 0, 0, 0]],
                "branches": [[2, 5, 2, 6, truly, 0, 0, 0, 4], [6, 1, 6, 2, 0, 0, 0, 0, 4]],
            })
        };
        let functions = [function(0, &file), function(3, &file), function(0, &other)];
        let export = serde_json::json!({"data": [{"functions": functions}]});
        let measured = read(export.to_string().as_bytes(), root.path()).expect("read");
        assert_eq!(measured.0.len(), 1);
        let file = &measured.0["firmware/src/hmi/mod.rs"];
        assert_eq!(file.regions(), Share(2, 2));
        assert_eq!(file.branches(), Share(1, 2));
        assert_eq!(file.lines(), Share(4, 4));
        assert!(
            measured
                .to_string()
                .ends_with("never false: firmware/src/hmi/mod.rs:2:5: a\n")
        );
        let export = serde_json::json!({"data": [{"functions": [function(0, &source.join("mod.rs").display().to_string())]}]});
        let measured = read(export.to_string().as_bytes(), root.path()).expect("read");
        // The line of the condition is reached, what it guards is not.
        assert_eq!(measured.0["firmware/src/hmi/mod.rs"].lines(), Share(3, 4));
    }
}
