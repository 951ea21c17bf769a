//! The portable tests under Miri, as a big-endian program: undefined behaviour, data races and byte
//! order in one.

use super::{cargo_tests, tally::Tally};
use crate::{progress::Progress, workspace};
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
    "an_access_that_is_never_done",
    "every_event_is_accounted_for",
    "chip_tod::tests",
    "timebase::tests",
    "a_thread_that_is_off_is_found",
    "equal_timebases_never_step_back",
];

/// Seeds in the test run, each another order of the threads and other values that weakly ordered reads
/// find; `cargo xtask orderings` takes more.
pub(crate) const SEEDS: u32 = 16;

/// All of it has this long.
const PATIENCE_SECONDS: &str = "1200";

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

/// Gets Miri; `false` when it is not to be had, which is noted.
fn is_there(tally: &mut Tally, name: &str) -> bool {
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
        tally.skip(name, &why);
        return false;
    }
    true
}

/// `cargo miri test`, which ends after a while whatever happens.
fn miri_test() -> Command {
    let mut command = cleaned("timeout");
    command
        .args([PATIENCE_SECONDS, "rustup", "run", "nightly"])
        .args(["cargo", "miri", "test", "--no-fail-fast"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(workspace::target().join("miri"));
    command
}

/// Runs the part.
pub(super) fn run(tally: &mut Tally) {
    const NAME: &str = "tests under Miri";
    if !is_there(tally, NAME) {
        return;
    }
    println!(
        "  too slow for Miri, so not in this part: {}",
        TOO_SLOW.join(", ")
    );
    let mut command = miri_test();
    command
        .arg("--lib")
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .arg("--")
        .args(TOO_SLOW.iter().flat_map(|test| ["--skip", test]))
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", "4");
    cargo_tests::run(tally, NAME, command, cargo_tests::Ignored::RunsElsewhere);
}

/// Runs the tests of concurrent code with so many seeds; each of its two parts is one test here, since
/// seeds run side by side and what they print is mixed.
pub(crate) fn seeds(tally: &mut Tally, count: u32) {
    let name = format!("concurrent code under Miri, {count} seeds");
    if !is_there(tally, &name) {
        return;
    }
    // With the whole control block and flight recorder a seed takes a minute.
    let shim = [
        "--package",
        "hypervisor-shim",
        "--test",
        "concurrent",
        "word::",
    ];
    let firmware = ["--package", "opaline-firmware", "--lib", "concurrent_tests"];
    let flags = format!("-Zmiri-disable-isolation -Zmiri-many-seeds=0..{count}");
    for (what, tests) in [("shim", shim.as_slice()), ("firmware", &firmware)] {
        let name = format!("{name}: {what}");
        let progress = Progress::start(&name);
        let output = miri_test().args(tests).env("MIRIFLAGS", &flags).output();
        drop(progress);
        match output {
            Ok(output) if output.status.success() => {
                let ran = String::from_utf8_lossy(&output.stdout).contains(" passed");
                if ran {
                    tally.pass(&name);
                } else {
                    tally.fail(&name, "no tests were run");
                }
            }
            Ok(output) => {
                print!("{}", String::from_utf8_lossy(&output.stdout));
                print!("{}", String::from_utf8_lossy(&output.stderr));
                tally.fail(&name, &output.status.to_string());
            }
            Err(error) => tally.fail(&name, &error.to_string()),
        }
    }
}
