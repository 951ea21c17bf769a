//! HMER: write-AND, unknown causes, causes that come meanwhile.

use super::*;
use opal_abi::hmi_flags::NEW_EVENT;
use power_registers::{Spr, ibm};

/// Every implemented bit, one by one, on every generation: cleared when the handler returns, or an
/// enabled one would interrupt for ever. The XSCOM mailbox is no cause and is left alone.
#[test]
fn every_bit_is_cleared() {
    for generation in GENERATIONS {
        for bit in 0..24 {
            let bits = Hmer::from_bits_retain(ibm(bit));
            let mailbox = Hmer::XSCOM_MAILBOX.contains(bits);
            let bench = bench(generation, 1, 1, 2);
            let system = bench.booted_system();
            if !mailbox {
                // Whoever enabled it; the firmware does not trust that nobody did.
                bench.machine.thread(0).write_spr(Spr::Hmeer, bits.bits());
            }
            bench.machine.inject(&Fault::Hmer {
                threads: vec![0, 1],
                bits: bits.bits(),
            });
            let ran = bench.run(&system, Schedule::Seeded(bit.into())).go();
            for thread in 0..2 {
                let left = bench.machine.hmer(thread) & bits;
                assert_eq!(left == bits, mailbox, "{generation:?} bit {bit}: {left:?}");
            }
            assert!(ran.events.len() <= 2, "bit {bit}: {:#x?}", ran.events);
            bench.assert_core_good(0);
            bench.assert_rules_kept();
        }
    }
}

/// Several causes at once: an event for each.
#[test]
fn one_event_per_cause() {
    let bench = bench(Generation::Power9, 1, 1, 2);
    let system = bench.booted_system();
    bench.machine.inject(&core_fault(0, CoreError::TbResidue));
    let bits = Hmer::PROC_RECV_DONE.bits();
    bench.machine.inject(&Fault::Hmer {
        threads: vec![0, 1],
        bits,
    });
    let ran = bench.run(&system, Schedule::Seeded(1)).go();
    let mut types: Vec<_> = ran.events.iter().map(|event| event.event_type).collect();
    types.sort_unstable();
    assert_eq!(types, [1, 4], "{:#x?}", ran.events);
    assert!(ran.events.iter().all(|event| event.recovered));
    bench.assert_core_good(0);
    bench.assert_hmer_clean(&ran);
}

/// A cause that lights up at any moment inside the handler is neither lost nor cleared unseen.
#[test]
fn a_bit_that_comes_meanwhile_survives() {
    let mut seen = 0;
    for at in 1..400 {
        let bench = bench(Generation::Power9, 1, 1, 2);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(0, CoreError::TbResidue));
        let bits = Hmer::PROC_RECV_DONE.bits();
        let start = bench.machine.accesses();
        bench.machine.inject_after(
            at,
            Fault::Hmer {
                threads: vec![0, 1],
                bits,
            },
        );
        let first = bench.run(&system, Schedule::Seeded(at)).go();
        let rest = bench.run(&system, Schedule::Seeded(at)).go();
        let events: Vec<_> = first.events.iter().chain(&rest.events).collect();
        let came = bench.machine.accesses() >= start + at;
        let informed = events.iter().filter(|event| event.event_type == 1).count();
        assert_eq!(informed, usize::from(came), "at {at}: {events:#x?}");
        seen += informed;
        assert_eq!(bench.machine.hmer(0) - Hmer::XSCOM_MAILBOX, Hmer::empty());
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
    assert!(seen > 100, "the fault must strike inside: {seen}");
}

/// No cause at all: no event, flags 0.
#[test]
fn an_empty_hmer_is_a_no_op() {
    let bench = bench(Generation::Power9, 1, 1, 1);
    let system = bench.booted_system();
    let outcome = opaline_firmware::hmi::handle(&mut bench.hardware(0), &system);
    assert_eq!((outcome.flags, outcome.event_queued), (0, false));
    assert!(!system.events.pending());
    bench.assert_rules_kept();
}

/// NEW_EVENT is told by the call that queued, and by no other.
#[test]
fn new_event_matches_the_queue() {
    for schedule in schedules() {
        let bench = bench(Generation::Power9, 2, 2, 2);
        let system = bench.booted_system();
        for core in [0, 3] {
            bench
                .machine
                .inject(&core_fault(core, CoreError::MissingStep));
        }
        let ran = bench.run(&system, schedule).go();
        let told = ran
            .outcomes
            .iter()
            .flatten()
            .filter(|one| one.flags & NEW_EVENT != 0)
            .count();
        assert_eq!(told, ran.events.len());
        for outcome in ran.outcomes.iter().flatten() {
            assert_eq!(outcome.event_queued, outcome.flags & NEW_EVENT != 0);
        }
    }
}
