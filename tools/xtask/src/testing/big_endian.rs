//! The portable tests as a real big-endian program, under QEMU's user-mode emulator.
//!
//! A little-endian host hides mistakes of byte order. No C cross compiler is needed: the target's
//! standard library is self-contained and the compiler's own linker does the rest.

use super::{PORTABLE, cargo_tests, tally::Tally};
use crate::{setup, toolchain, workspace};

/// Big-endian, ELFv2, static.
const TARGET: &str = "powerpc64-unknown-linux-musl";

/// Tests that take minutes when each instruction is emulated. They run on the host; what they do is
/// covered here by the recovery suite.
const TOO_SLOW: &[&str] = &[
    "no_hang_and_no_lie",
    "nothing_that_is_said_is_wrong",
    "an_event_queue_that_is_never_drained",
    "no_case_costs_more_scoms_than_the_reference",
    "the_bounds_are_those_of_the_table",
    "the_catalogue_matches",
    "several_chips_come_back",
];

/// Why the part cannot run now, without changing anything.
pub(crate) fn obstacle() -> Option<String> {
    if workspace::find_program(setup::qemu::USER_PROGRAM).is_none() {
        return Some(format!(
            "missing: {} (qemu-user)",
            setup::qemu::USER_PROGRAM
        ));
    }
    toolchain::host_rust_lld()
        .is_none()
        .then(|| "missing: rust-lld of the compiler".to_owned())
}

/// Runs the part.
pub(super) fn run(tally: &mut Tally) {
    const NAME: &str = "big-endian tests";
    if let Err(error) = setup::require(&[setup::Need::QemuUser]) {
        return tally.skip(NAME, &format!("{error:#}"));
    }
    let Some(linker) = toolchain::host_rust_lld() else {
        return tally.skip(NAME, "the compiler has no rust-lld");
    };
    if let Err(error) = toolchain::add_target(TARGET) {
        return tally.skip(NAME, &format!("{error:#}"));
    }
    let key = TARGET.to_uppercase().replace('-', "_");
    println!(
        "  too slow under emulation, so not in this part: {}",
        TOO_SLOW.join(", ")
    );
    let mut command = cargo_tests::cargo();
    // Unit and integration tests; examples in documentation run on the host.
    command
        .args(["test", "--tests", "--no-fail-fast", "--target", TARGET])
        .args(PORTABLE.iter().flat_map(|package| ["--package", package]))
        .env(format!("CARGO_TARGET_{key}_LINKER"), linker)
        .env(
            format!("CARGO_TARGET_{key}_RUSTFLAGS"),
            "-Clink-self-contained=yes -Ctarget-feature=+crt-static",
        )
        // Emulation is slow: optimised programs and fewer random cases make up for it.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("PROPTEST_CASES", "64")
        .env(
            format!("CARGO_TARGET_{key}_RUNNER"),
            setup::qemu::USER_PROGRAM,
        )
        .arg("--")
        .args(TOO_SLOW.iter().flat_map(|test| ["--skip", test]));
    cargo_tests::run(tally, NAME, command, cargo_tests::Ignored::RunsElsewhere);
}
