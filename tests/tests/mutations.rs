//! Tests of the tests: with a safeguard taken out of the code, the suite must fail, and in the test
//! that is there for it.
//!
//! Each mutation is a build feature that the image never has. The mutated code is built in a target
//! folder of its own, inside the one of this build.

use std::path::Path;
use std::process::Command;

/// Runs a program or tests of a package with features on, sees it fail, and gives what it printed.
fn failing(verb: &str, package: &str, features: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let output = Command::new(env!("CARGO"))
        .args([verb, "--offline", "--package", package])
        .args(["--features", features])
        .args(arguments)
        .env("CARGO_TARGET_DIR", folder)
        .env_remove("RUST_BACKTRACE")
        .output()
        .expect("cargo runs");
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.concat();
    assert!(
        !output.status.success(),
        "nobody noticed {features}:\n{text}"
    );
    text
}

/// Runs a part of a package's tests with a feature on, and gives what cargo printed.
fn mutated(package: &str, target: &[&str], feature: &str, filter: &str) -> String {
    let arguments = [target, &["--", filter]].concat();
    let text = failing("test", package, feature, &arguments);
    assert!(
        text.contains("test result: FAILED"),
        "the tests did not even run:\n{text}"
    );
    text
}

#[track_caller]
fn assert_failed(text: &str, test: &str) {
    let line = format!("test {test} ... FAILED");
    assert!(text.contains(&line), "no \"{line}\" in:\n{text}");
}

/// The golden trace of a TB residue error must fail without this safeguard of the firmware.
#[track_caller]
fn assert_recovery_notices(feature: &str) {
    let suite = ["--test", "recovery"];
    let text = mutated("opaline-tests", &suite, feature, "golden::t1_");
    assert_failed(&text, "golden::t1_timebase_residue");
}

/// The coordinated exit on a shared TB must fail without this safeguard of the shim.
#[track_caller]
fn assert_shim_notices(feature: &str) {
    let test = "guests_and_host_stay_right_with_a_shared_timebase";
    let suite = ["--test", "coordinated_exit"];
    let text = mutated("hypervisor-shim", &suite, feature, test);
    assert_failed(&text, test);
}

/// One thread that does not rewrite its TB: the residue latches again.
#[test]
#[cfg_attr(
    any(miri, target_endian = "big"),
    ignore = "starts cargo, so it runs on the host only"
)]
fn the_scrub_on_one_thread() {
    assert_recovery_notices("mutate-skip-scrub");
}

/// A repair that says "recovered" and leaves TB as it is.
#[test]
#[cfg_attr(
    any(miri, target_endian = "big"),
    ignore = "starts cargo, so it runs on the host only"
)]
fn the_timebase_repair() {
    assert_recovery_notices("mutate-skip-tb-repair");
}

/// A thread that does not wait until its siblings left their guests.
#[test]
#[cfg_attr(
    any(miri, target_endian = "big"),
    ignore = "starts cargo, so it runs on the host only"
)]
fn the_wait_for_guests() {
    assert_shim_notices("mutate-skip-guest-wait");
}

/// A thread that takes its guest's offset out of TB only after the firmware put host time back.
#[test]
#[cfg_attr(
    any(miri, target_endian = "big"),
    ignore = "starts cargo, so it runs on the host only"
)]
fn the_offset_before_the_repair() {
    assert_shim_notices("mutate-skip-offset");
}

/// So many orders of many threads are enough for shuttle to find what was taken out: a run of
/// `cargo xtask schedules` has a hundred times as many.
fn assert_schedules_notice(feature: &str, orders: u32) {
    let features = format!("shuttle,{feature}");
    let count = orders.to_string();
    let program = ["--bin", "schedules", "--", "--count", &count];
    let text = failing("run", "opaline-tests", &features, &program);
    // The runs were made, and some of them judged to be wrong.
    let wrong = text
        .matches("WRONG: cargo xtask schedules --replay")
        .count();
    let ran = text.contains(" orders of ");
    assert!(ran && wrong != 0, "the schedules were not run:\n{text}");
}

/// In which order the threads of a meeting clean must not matter; that one does not, must.
#[test]
#[cfg_attr(
    any(miri, target_endian = "big"),
    ignore = "starts cargo, so it runs on the host only"
)]
fn the_scrub_in_the_orders_that_shuttle_chooses() {
    assert_schedules_notice("mutate-skip-scrub", 100);
}
