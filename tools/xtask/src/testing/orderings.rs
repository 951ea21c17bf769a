//! The concurrent code under loom, which tries every order of the accesses and every value that the
//! memory model allows, and in many orders that shuttle chooses.

use super::{cargo_tests, tally::Tally};
use crate::{orderings, progress::Progress, workspace};
use std::process::Stdio;

/// Schedules in the test run; `cargo xtask schedules` runs more.
const SCHEDULES: u32 = 10_000;

/// Runs the tests that loom knows how to run.
pub(crate) fn loom(tally: &mut Tally) {
    let shim = [
        "--package",
        "flight-recorder",
        "--package",
        "hypervisor-shim",
        "--test",
        "concurrent",
    ];
    one(tally, "loom: the shim and the flight recorder", &shim);
    let firmware = ["--package", "opaline-firmware", "--lib", "concurrent_tests"];
    one(tally, "loom: the firmware", &firmware);
}

fn one(tally: &mut Tally, name: &str, tests: &[&str]) {
    let mut command = cargo_tests::cargo();
    command
        .args(["test", "--no-fail-fast", "--profile", "loom"])
        .arg("--target-dir")
        .arg(workspace::target().join("loom"))
        .args(tests)
        .env("RUSTFLAGS", "--cfg loom");
    cargo_tests::run(tally, name, command, cargo_tests::Ignored::Skip);
}

/// Runs recoveries of 8 and 16 threads in many orders.
pub(super) fn schedules(tally: &mut Tally) {
    let name = format!("{SCHEDULES} schedules of 8 and 16 threads");
    let progress = Progress::start(&name);
    let mut command = orderings::program();
    let output = command
        .args(["--count", &SCHEDULES.to_string()])
        .stdin(Stdio::null())
        .output();
    drop(progress);
    match output {
        Ok(output) => {
            print!("{}", String::from_utf8_lossy(&output.stdout));
            if output.status.success() {
                tally.pass(&name);
            } else {
                print!("{}", String::from_utf8_lossy(&output.stderr));
                tally.fail(&name, &output.status.to_string());
            }
        }
        Err(error) => tally.fail(&name, &error.to_string()),
    }
}
