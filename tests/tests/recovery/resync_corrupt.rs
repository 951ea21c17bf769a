//! OPAL_RESYNC_TIMEBASE beside a TFMR that becomes corrupt: before, in the middle, after, in many
//! orders of the threads. None gives a command that a corrupt TFMR would take the wrong way.

use opaline_tests::campaign::{Verdict, honest};
use opaline_tests::scenario::{Case, Processor, run};

const PROCESSORS: [(Processor, &str); 3] = [
    (Processor::Power8, "power8"),
    (Processor::Power9, "power9"),
    (Processor::Power10, "power10"),
];

/// Accesses from the first fault until everything is quiet again, and some.
const MOMENTS: u64 = 420;

/// What the core has already when TFMR becomes corrupt.
const BEFORE: [&str; 5] = [
    "missing-step",
    "stuck-move",
    "firmware-control",
    "hdec-parity",
    "tb-residue",
];

/// Which threads call: the leader of the meeting to come, another one, both.
const CALLERS: [&str; 3] = ["[0]", "[1]", "[0, 1]"];

fn case(power: &str, before: &str, corrupt: &str, callers: &str, after: u64) -> Case {
    let text = format!(
        r#"
title = "{before}, then {corrupt} after {after} accesses, while {callers} resync"
cites = ["HMI and ChipTOD specification, section 2.4"]
generations = ["{power}"]
[shape]
threads = 3
[[thread]]
who = {{ thread = {callers} }}
doing = "resync"
[[fault]]
kind = "{before}"
core = 0
[[fault]]
kind = "{corrupt}"
core = 0
when = {{ after = {after} }}
[expect]
timebase = "judged"
"#
    );
    Case::parse("resync", &text).expect("a sound case")
}

fn play(processor: Processor, case: &Case, seed: u64) {
    let title = &case.title;
    let found = run(case, processor, seed);
    let violations = found.bench.machine.violations();
    assert!(
        violations.is_empty(),
        "{processor} {title} seed {seed}: {violations:x?}"
    );
    match honest(case, &found) {
        Ok(Verdict::Recovered) => {}
        other => panic!("{processor} {title} seed {seed}: {other:?}"),
    }
}

fn all_moments(corrupt: &str) {
    for (number, (processor, power)) in PROCESSORS.into_iter().enumerate() {
        for after in 0..MOMENTS {
            for (turn, callers) in CALLERS.into_iter().enumerate() {
                // Each moment meets another history and another order with each set of callers.
                let mixed = after as usize + turn + number;
                let before = BEFORE[mixed % BEFORE.len()];
                let seed = after * 31 + turn as u64;
                play(
                    processor,
                    &case(power, before, corrupt, callers, after),
                    seed,
                );
            }
        }
    }
}

#[test]
fn resync_while_tfmr_becomes_corrupt() {
    all_moments("tfmr-corrupt");
}

#[test]
fn resync_while_tfmr_becomes_corrupt_and_tb_is_lost() {
    all_moments("tfmr-corrupt-tb-lost");
}

/// The moment at which a command of the resync met a corrupt TFMR, in many orders.
#[test]
fn the_moment_that_once_failed() {
    for callers in CALLERS {
        for after in 180..206 {
            for seed in [5_603_151_234_703_842_721, 1, 2, 3, after] {
                for corrupt in ["tfmr-corrupt", "tfmr-corrupt-tb-lost"] {
                    let case = case("power8", "tod-timeout", corrupt, callers, after);
                    play(Processor::Power8, &case, seed);
                }
            }
        }
    }
}
