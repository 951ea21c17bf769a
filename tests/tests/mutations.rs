//! Tests of the tests: with a safeguard taken out of the code, the suite must fail, and in the test
//! that is there for it.
//!
//! Each mutation is a build feature that the image never has. The mutated code is built in a target
//! folder of its own, inside the one of this build.

use std::path::Path;
use std::process::Command;

/// Runs a part of a package's tests with a feature on, and gives what cargo printed.
fn mutated(package: &str, target: &[&str], feature: &str, filter: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let output = Command::new(env!("CARGO"))
        .args([
            "test",
            "--offline",
            "--package",
            package,
            "--features",
            feature,
        ])
        .args(target)
        .args(["--", filter])
        .env("CARGO_TARGET_DIR", folder)
        .env_remove("RUST_BACKTRACE")
        .output()
        .expect("cargo runs");
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.concat();
    assert!(
        !output.status.success(),
        "nobody noticed {feature}:\n{text}"
    );
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
