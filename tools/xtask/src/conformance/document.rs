//! The table as a page for people: docs/conformance.md.

use super::table::{ByMachine, Group, Pair, Table};
use crate::workspace;
use anyhow::{Context as _, Result};
use std::{fmt::Write as _, fs, path::PathBuf};

const HEAD: &str = "\
# Differences from the reference

A client of OPAL (`tests/opal-payload`) calls every token that Opaline implements: with good \
arguments, with each kind of bad pointer, and with values that do not exist; on the boot thread, \
then on each thread, then on all at once. It prints a line a case. `cargo xtask conformance` runs \
it, unchanged, on Opaline and on the `skiboot.lid` that Debian ships with QEMU, and compares the \
lines. Each difference must be in `tests/opal-payload/differences.toml`, with both answers as they \
come, and each that is there must exist. This page is made from that file (`cargo xtask \
conformance --document`).

Answers are return codes: 0 success, -1 parameter, -6 hardware, -7 unsupported, -10 resource, \
-14 wrong state. Behind them stands what the call left in the memory that it was given.
";

/// The page.
pub(crate) fn page(table: &Table) -> Result<String> {
    let mut text = HEAD.to_owned();
    writeln!(text, "\n## Other answers")?;
    for group in &table.difference {
        head(&mut text, group)?;
        writeln!(text, "\n| Case | Opaline | skiboot |\n|---|---|---|")?;
        for (case, answers) in &group.answers {
            match answers {
                ByMachine::Everywhere(pair) => row(&mut text, case, "", pair)?,
                ByMachine::On(answers) => answers.iter().try_for_each(|(machine, pair)| {
                    row(&mut text, case, &format!(" on {machine}"), pair)
                })?,
            }
        }
    }
    writeln!(
        text,
        "\n## What the reference does not survive\n\nOpaline makes these cases with all others, and \
         refuses each. The reference makes each in a run of its own (`cargo xtask conformance \
         --apart`)."
    )?;
    for group in &table.apart {
        head(&mut text, group)?;
        writeln!(text, "\n| Case | skiboot |\n|---|---|")?;
        for (case, answers) in &group.answers {
            match answers {
                ByMachine::Everywhere(answer) => writeln!(text, "| `{case}` | {answer} |")?,
                ByMachine::On(answers) => answers.iter().try_for_each(|(machine, answer)| {
                    writeln!(text, "| `{case}` on {machine} | {answer} |")
                })?,
            }
        }
    }
    Ok(text)
}

fn head<A>(text: &mut String, group: &Group<A>) -> Result<()> {
    Ok(writeln!(
        text,
        "\n### {}\n\n{} **{}**",
        group.title,
        group.why.trim(),
        group.verdict
    )?)
}

fn row(text: &mut String, case: &str, on: &str, (ours, theirs): &Pair) -> Result<()> {
    Ok(writeln!(text, "| `{case}`{on} | {ours} | {theirs} |")?)
}

fn path() -> PathBuf {
    workspace::root().join("docs/conformance.md")
}

/// Writes the page.
pub(crate) fn write() -> Result<()> {
    let path = path();
    fs::write(&path, page(&Table::read()?)?).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_table_says() {
        let current = fs::read_to_string(path()).unwrap();
        let wanted = page(&Table::read().unwrap()).unwrap();
        assert!(
            current == wanted,
            "docs/conformance.md is old: cargo xtask conformance --document"
        );
    }
}
