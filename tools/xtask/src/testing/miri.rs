//! The portable tests under Miri, as a big-endian program: undefined behaviour, data races and byte
//! order in one.

use super::{cargo_tests, tally::Tally};
use crate::workspace;
use std::process::{Command, Stdio};

const TARGET: &str = "powerpc64-unknown-linux-gnu";

/// Packages that run here: those in the image. Their library tests only; integration tests are
/// whole machines with threads that spin.
const PACKAGES: &[&str] = &[
    "power-registers",
    "opal-abi",
    "flight-recorder",
    "lpc-uart",
    "opaline-firmware",
    "hypervisor-shim",
];

/// Tests that take minutes when every instruction is interpreted: searches over all interleavings,
/// waits of thousands of spins, large memories. They run natively and as big-endian programs.
const TOO_SLOW: &[&str] = &[
    "every_interleaving",
    "hmi::tests",
    "a_busy_engine",
    "a_held_engine",
    "lines_of_several_threads",
    "records_come_back",
    "processors::tests",
];

/// All of it has this long.
const PATIENCE_SECONDS: &str = "600";

/// Why the part cannot run now, without changing anything.
pub(crate) fn obstacle() -> Option<String> {
    if workspace::find_program("rustup").is_none() {
        return Some("missing: rustup".to_owned());
    }
    if !succeeds(&["run", "nightly", "rustc", "--version"]) {
        return Some("missing: a nightly toolchain".to_owned());
    }
    (!succeeds(&["run", "nightly", "cargo", "miri", "--version"]))
        .then(|| "missing: component miri of the nightly toolchain".to_owned())
}

fn rustup(arguments: &[&str]) -> Command {
    let mut command = cleaned("rustup");
    command.args(arguments);
    command
}

/// A command that does not know of the toolchain that runs us.
fn cleaned(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(workspace::root())
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC")
        .env_remove("CARGO")
        .stdin(Stdio::null());
    command
}

fn succeeds(arguments: &[&str]) -> bool {
    rustup(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs the part.
pub(super) fn run(tally: &mut Tally) {
    const NAME: &str = "tests under Miri";
    if obstacle().is_some_and(|why| why.contains("component")) {
        let add = [
            "component",
            "add",
            "miri",
            "rust-src",
            "--toolchain",
            "nightly",
        ];
        println!("Missing: Miri. Running: rustup {}", add.join(" "));
        // Whether it worked is asked again below.
        let _ = rustup(&add).status();
    }
    if let Some(why) = obstacle() {
        return tally.skip(NAME, &why);
    }
    println!(
        "  too slow for Miri, so not in this part: {}",
        TOO_SLOW.join(", ")
    );
    let mut command = cleaned("timeout");
    command
        .args([
            PATIENCE_SECONDS,
            "rustup",
            "run",
            "nightly",
            "cargo",
            "miri",
            "test",
        ])
        .args([
            "--lib",
            "--no-fail-fast",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(workspace::target().join("miri"))
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .arg("--")
        .args(TOO_SLOW.iter().flat_map(|test| ["--skip", test]))
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", "4");
    cargo_tests::run(tally, NAME, command, cargo_tests::Ignored::RunsElsewhere);
}
