//! The golden table of what each case costs.

use super::case::Case;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Head of the table.
const HEAD: &str = "\
# What the OPAL calls of each case cost on the model, with its first seed: all threads together, but
# those that die; the longest wait is that of one thread, in spins.
# Written by `cargo xtask scenario --bounds`; a test compares it.
# case generation: SCOM reads, SCOM writes, SPR reads, SPR writes, phases, longest wait
";

/// A line of the table for each generation of the case.
#[must_use]
pub fn lines(root: &Path, file: &Path, case: &Case) -> Vec<(String, String)> {
    let name = file.strip_prefix(root).unwrap_or(file).with_extension("");
    let name = name.to_string_lossy().replace('\\', "/");
    let lines = case.generations.iter().map(|processor| {
        let cost = case.cost(*processor);
        let numbers = [
            cost.scom_reads,
            cost.scom_writes,
            cost.spr_reads,
            cost.spr_writes,
            cost.phases,
            cost.longest_wait,
        ];
        let numbers = numbers.map(|number| number.to_string()).join(" ");
        (format!("{name} {processor}"), numbers)
    });
    lines.collect()
}

/// The table as a file.
#[must_use]
pub fn table(lines: &BTreeMap<String, String>) -> String {
    let lines = lines
        .iter()
        .map(|(case, numbers)| format!("{case}: {numbers}\n"));
    format!("{HEAD}{}", lines.collect::<String>())
}

/// The table of these files.
#[must_use]
pub fn measure(root: &Path, files: &[PathBuf], jobs: usize) -> BTreeMap<String, String> {
    let measured = super::suite::each(files, jobs, |file| {
        Case::read(file)
            .map(|case| lines(root, file, &case))
            .unwrap_or_default()
    });
    measured.into_iter().flatten().collect()
}

/// Where two tables differ, a line each; empty if they are the same.
#[must_use]
pub fn differences(golden: &str, measured: &BTreeMap<String, String>) -> Vec<String> {
    let golden: BTreeMap<&str, &str> = golden
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .collect();
    let mut found = Vec::new();
    for (case, now) in measured {
        match golden.get(case.as_str()) {
            Some(before) if before == now => {}
            Some(before) => found.push(format!("{case}: was {before}, is {now}")),
            None => found.push(format!("{case}: is not in the table, is {now}")),
        }
    }
    for case in golden.keys().filter(|case| !measured.contains_key(**case)) {
        found.push(format!("{case}: in the table, but there is no such case"));
    }
    found
}
