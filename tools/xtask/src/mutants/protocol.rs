//! Mutants of the protocol: the model's rules must notice, or the unit tests of the pure machines.

use super::{Copy, Judge, Mutant};
use crate::workspace;
use anyhow::{Result, bail};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What is copied.
const CRATES: &[&str] = &[
    "firmware/abi",
    "firmware/flight-recorder",
    "firmware/meeting",
    "firmware/registers",
    "hypervisor-shim",
    "tests/concurrency",
    "tests/protocol",
];
/// A changed protocol may make the checker run on: then it has noticed, too.
const LIMIT: Duration = Duration::from_secs(3_600);

pub(super) struct Protocol(Copy);

impl Judge for Protocol {
    const TABLE: &'static str = "tests/protocol/mutants.toml";

    fn new(_: &[Mutant]) -> Result<Self> {
        let build = workspace::results().join("protocol-mutants/build");
        let copy = Copy::new("protocol-mutants", CRATES, build, true)?;
        if let Some(noticed) = first_broken(&copy)? {
            bail!("the shipped protocol itself does not pass: {noticed}");
        }
        Ok(Self(copy))
    }

    fn copy(&self) -> &Copy {
        &self.0
    }

    fn noticed(&self, _: &Mutant) -> Result<Option<String>> {
        first_broken(&self.0)
    }
}

/// The first check that breaks: the model's rules, then the unit tests of the crates.
fn first_broken(copy: &Copy) -> Result<Option<String>> {
    let built = copy
        .cargo(&["build", "--no-default-features", "-p", "protocol"])
        .output()?;
    if !built.status.success() {
        bail!(
            "it does not build:\n{}",
            String::from_utf8_lossy(&built.stderr)
        );
    }
    let program = copy.build().join("debug/tell");
    let Some(told) = within(&mut Command::new(program), LIMIT)? else {
        return Ok(Some("the checker comes to no end".to_owned()));
    };
    if !told.status.success() {
        let rule = String::from_utf8_lossy(&told.stdout);
        let rule = rule.lines().next().unwrap_or("the model cannot go on");
        return Ok(Some(rule.to_owned()));
    }
    let tests = [
        "test",
        "--lib",
        "-p",
        "hmi-meeting",
        "-p",
        "hypervisor-shim",
        "--no-fail-fast",
    ];
    let tested = copy.cargo(&tests).output()?;
    if tested.status.success() {
        return Ok(None);
    }
    let output = String::from_utf8_lossy(&tested.stdout);
    // Tests run in any order: of several, the first by name.
    let failed = output.lines().filter_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(format!("test {name}"))
    });
    let failed = failed.min();
    Ok(Some(
        failed.unwrap_or_else(|| "a test does not run".to_owned()),
    ))
}

/// Runs a program; `None` if it is still at it after `limit`.
fn within(command: &mut Command, limit: Duration) -> Result<Option<Output>> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(Some(child.wait_with_output()?))
}
