//! The portable tests under Miri, as a big-endian program: undefined behaviour, data races and byte
//! order in one.

use super::{cargo_tests, tally::Tally};
use crate::workspace;
use std::process::{Command, Stdio};

const TARGET: &str = "powerpc64-unknown-linux-gnu";

/// Interpreted code is slow, so only the packages with atomics, layouts and shared memory run: the
/// others have no unsafe code and share nothing between threads.
const PACKAGES: &[&str] = &[
    "power-registers",
    "opal-abi",
    "flight-recorder",
    "hypervisor-shim",
];

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
    let mut command = Command::new("rustup");
    command
        .args(arguments)
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
    let mut command = rustup(&[
        "run", "nightly", "cargo", "miri", "test", "--target", TARGET,
    ]);
    command
        .args(["--tests", "--target-dir"])
        .arg(workspace::target().join("miri"))
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .env("MIRIFLAGS", "-Zmiri-disable-isolation");
    cargo_tests::run(tally, NAME, command);
}
