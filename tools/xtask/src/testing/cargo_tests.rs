//! Test suites that cargo runs.

use super::tally::{Counts, Tally};
use crate::{progress::Progress, workspace};
use std::process::{Command, Stdio};

/// All tests of the workspace on this machine.
pub(super) fn host(tally: &mut Tally, qemu: bool) {
    let mut command = cargo();
    // Test programs go on after a failure, so that all failures are counted; so in all parts.
    command.args(["test", "--workspace", "--exclude", "boot", "--no-fail-fast"]);
    if qemu {
        // Tests that talk to QEMU must not pass it by.
        command.env("OPALINE_STRICT", "1");
    }
    run(tally, "host tests", command, Ignored::Skip);
}

/// Cargo in the workspace.
pub(super) fn cargo() -> Command {
    let mut command = Command::new(workspace::cargo());
    command.current_dir(workspace::root());
    command
}

/// What an ignored test means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ignored {
    /// It was not run at all.
    Skip,
    /// It runs in another part; here it is only named.
    RunsElsewhere,
}

/// Runs a `cargo test` and counts; what it printed is shown only when something failed.
pub(super) fn run(tally: &mut Tally, name: &str, mut command: Command, ignored: Ignored) {
    let progress = Progress::start(name);
    command.stdin(Stdio::null());
    let output = command.output();
    drop(progress);
    let output = match output {
        Ok(output) => output,
        Err(error) => return tally.fail(name, &error.to_string()),
    };
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut counts = Counts::parse(&stdout);
    if !output.status.success() {
        print!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    }
    if ignored == Ignored::RunsElsewhere {
        for test in counts.ignored.drain(..) {
            println!("  runs in another part: {test}");
        }
    }
    tally.add(name, &counts);
    if !output.status.success() && counts.failed == 0 {
        tally.fail(name, &format!("cargo test: {}", output.status));
    } else if counts.passed == 0 && counts.failed == 0 {
        tally.fail(name, "no tests were run");
    }
}
