//! The hardware model against QEMU.
//!
//! Without `qemu-system-ppc64` the tests are skipped, by name; with `OPALINE_STRICT` set they fail.

use differential::access::Operation;
use differential::machines::{self, Machine, RANDOM_ACCESSES};
use differential::player::{self, Outcome};
use differential::{directed, qemu, random};
use hardware_model::Random;
use power_registers::Spr;
use std::path::PathBuf;

/// Random sequences on each machine; long runs are the binary's.
const SEEDS: std::ops::Range<u64> = 1..4;

fn qemu(test: &str) -> Option<PathBuf> {
    let found = qemu::find();
    if found.is_none() {
        assert!(
            std::env::var_os("OPALINE_STRICT").is_none(),
            "{test}: qemu-system-ppc64 is missing"
        );
        eprintln!("SKIPPED {test}: qemu-system-ppc64 is missing");
    }
    found
}

fn check(outcome: &Outcome, machine: &Machine, what: &str) {
    if let Some(disagreement) = outcome.disagreements.first() {
        panic!("{}, {what}: {disagreement}", machine.name);
    }
}

#[test]
fn every_access_reads_the_same_or_a_rule_says_why() {
    let Some(qemu) = qemu("every_access_reads_the_same_or_a_rule_says_why") else {
        return;
    };
    let mut all = Outcome::default();
    for machine in machines::all() {
        let outcome = machine.directed(&qemu).expect("QEMU runs");
        check(&outcome, &machine, "directed");
        all.add(outcome);
        for seed in SEEDS {
            let outcome = machine.random(&qemu, seed).expect("QEMU runs");
            check(&outcome, &machine, &format!("seed {seed}"));
            all.add(outcome);
        }
    }
    println!(
        "{} accesses, {} values compared\n{}",
        all.accesses, all.reads, all.counts
    );
    // A rule that nothing needs hides something.
    assert_eq!(all.counts.unneeded(), [], "rules that nothing needed");
}

/// The comparison itself: a single wrong bit of QEMU's is noticed, except in what no rule compares.
#[test]
fn a_wrong_bit_is_noticed() {
    let Some(qemu) = qemu("a_wrong_bit_is_noticed") else {
        return;
    };
    let mut random = Random::new(1);
    for machine in machines::all().into_iter().filter(|machine| {
        machine.configuration.chips == 1 && machine.configuration.threads_per_core == 2
    }) {
        let configuration = &machine.configuration;
        let sequence = random::sequence(configuration, 1, RANDOM_ACCESSES);
        let values = qemu::perform(&qemu, configuration, &sequence).expect("QEMU runs");
        let reads: Vec<usize> = (0..sequence.len())
            .filter(|number| {
                matches!(
                    sequence[*number].operation,
                    Operation::ReadSpr(Spr::Tfmr | Spr::Hmer)
                )
            })
            .collect();
        let mut unnoticed = Vec::new();
        for _ in 0..200 {
            let at = reads[random.below(reads.len() as u64) as usize];
            let bit = 1 << random.below(64);
            let mut values = values.clone();
            values[at] ^= bit;
            let outcome = player::compare(configuration.clone(), &sequence, &values);
            if outcome.disagreements.is_empty() {
                unnoticed.push((at, bit));
            }
        }
        // TFMR 42 is not compared, nor are the few accesses for which the model cannot follow.
        assert!(unnoticed.len() <= 12, "{}: {unnoticed:x?}", machine.name);
    }
}

/// The same sequence gives the same values, so a disagreement can be looked at again.
#[test]
fn qemu_repeats_itself() {
    let Some(qemu) = qemu("qemu_repeats_itself") else {
        return;
    };
    let machine = machines::all().pop().expect("there are machines");
    let sequence = directed::sequence(&machine.configuration);
    let runs: Vec<_> = (0..2)
        .map(|_| qemu::perform(&qemu, &machine.configuration, &sequence).expect("QEMU runs"))
        .collect();
    let differing = runs[0]
        .iter()
        .zip(&runs[1])
        .zip(&sequence)
        .filter(|((one, other), access)| {
            one != other && access.operation != Operation::ReadSpr(Spr::Tb)
        })
        .count();
    assert_eq!(differing, 0);
}
