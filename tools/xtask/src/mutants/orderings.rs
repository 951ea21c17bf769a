//! Mutants of the memory orderings: a named test must notice under loom.
//!
//! `killed_by` is `loom PACKAGE TEST`. Only that test is run: it is the one that
//! `docs/memory-ordering.md` names for the ordering.

use super::{Copy, Judge, Mutant};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::process::{Command, Output};

/// What is copied: the packages whose tests loom runs, and what they need.
const CRATES: &[&str] = &[
    "firmware",
    "firmware/abi",
    "firmware/flight-recorder",
    "firmware/meeting",
    "firmware/registers",
    "firmware/tree-writer",
    "firmware/uart",
    "hypervisor-shim",
    "tests/concurrency",
];

pub(super) struct Orderings(Copy);

/// The package and the test that are to notice.
fn check(mutant: &Mutant) -> Result<(&str, &str)> {
    let check = mutant.killed_by.strip_prefix("loom ");
    let check = check.and_then(|check| check.split_once(' '));
    check.with_context(|| format!("{}: killed_by is no test of loom's", mutant.name))
}

impl Judge for Orderings {
    const TABLE: &'static str = "tests/protocol/orderings.toml";

    fn new(mutants: &[Mutant]) -> Result<Self> {
        // With the other tests of loom's: what they need is built already.
        let build = workspace::target().join("loom");
        let copy = Copy::new("ordering-mutants", CRATES, build, false)?;
        let judge = Self(copy);
        let mut tests = BTreeMap::<_, Vec<_>>::new();
        for mutant in mutants {
            let (package, test) = check(mutant)?;
            let tests = tests.entry(package).or_default();
            if !tests.contains(&test) {
                tests.push(test);
            }
        }
        for (package, tests) in tests {
            let output = judge.run(package, &tests)?;
            let text = String::from_utf8_lossy(&output.stdout);
            for test in tests {
                let passed = format!("test {test} ... ok");
                ensure!(
                    text.contains(&passed),
                    "{package}: {test} does not pass as shipped:\n{text}{}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
        Ok(judge)
    }

    fn copy(&self) -> &Copy {
        &self.0
    }

    fn noticed(&self, mutant: &Mutant) -> Result<Option<String>> {
        let (package, test) = check(mutant)?;
        let output = self.run(package, &[test])?;
        let text = String::from_utf8_lossy(&output.stdout);
        let ran = format!("test {test} ... ");
        ensure!(
            text.contains(&ran),
            "the test does not run:\n{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let failed = text.contains(&format!("{ran}FAILED"));
        Ok(failed.then(|| mutant.killed_by.clone()))
    }
}

impl Orderings {
    fn run(&self, package: &str, tests: &[&str]) -> Result<Output> {
        let mut command: Command = self.0.cargo(&["test", "--profile", "loom", "-p", package]);
        if package == "opaline-firmware" {
            command.arg("--lib");
        } else {
            command.args(["--test", "concurrent"]);
        }
        command.args(["--", "--exact"]).args(tests);
        command
            .env("RUSTFLAGS", "--cfg loom")
            .env("RUST_BACKTRACE", "0");
        Ok(command.output()?)
    }
}
