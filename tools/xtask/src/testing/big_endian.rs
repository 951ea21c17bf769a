//! The portable tests as a real big-endian program, under QEMU's user-mode emulator.
//!
//! A little-endian host hides mistakes of byte order. No C cross compiler is needed: the target's
//! standard library is self-contained and the compiler's own linker does the rest.

use super::{PORTABLE, cargo_tests, tally::Tally};
use crate::{setup, toolchain, workspace};

/// Big-endian, ELFv2, static.
const TARGET: &str = "powerpc64-unknown-linux-musl";

/// Tests that take minutes when each instruction is emulated and each change of threads is a system
/// call: there are no coroutines on this architecture. They run on the host. What they do to
/// registers, events and messages is done here by the rest of the suites; what is their own is the
/// number of cases, or a wait until a budget of a million spins runs out.
const TOO_SLOW: &[&str] = &[
    // Many cases.
    "no_hang_and_no_lie",
    "nothing_that_is_said_is_wrong",
    "an_event_queue_that_is_never_drained",
    "no_case_costs_more_scoms_than_the_reference",
    "the_bounds_are_those_of_the_table",
    "the_catalogue_matches",
    "several_chips_come_back",
    "resync_while_tfmr_becomes_corrupt",
    "the_moment_that_once_failed",
    // Both of its carriers are the same here.
    "the_same_seed_is_the_same_interleaving",
    // Long waits.
    "late_secondaries_disturb_nothing",
    "a_sub_core_with_nobody",
    "one_thread_of_each_sub_core_is_enough",
    "a_thread_that_comes_too_late_is_harmless",
    "a_lost_thread_costs_one_budget",
    "a_dead_engine_is_an_honest_answer",
    "boot_survives_a_dead_xscom",
    "absent_late_and_lost_threads_change_nothing",
    // Waits of seconds, spin by spin, one for each access.
    "stands_still_keeps_nobody",
    "a_thread_that_was_forgotten_takes_no_part_any_more",
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
