//! Every bit of HMER on every generation, on all threads of a core: one event, and no storm.
//!
//! Each test cites HMI and ChipTOD specification, section 1.3 and 5.3.

use super::*;
use flight_recorder::Step;
use opaline_firmware::decisions::Table;
use opaline_tests::{Ran, Role};
use power_registers::{Spr, ibm};

/// (type, severity, recovered) of the event that a bit brings; `None` = none by itself.
fn expected(generation: Generation, bit: u32) -> Option<(u8, u8, bool)> {
    let power10 = generation == Generation::Power10;
    let harmless = |event_type| Some((event_type, 0, true));
    match bit {
        0 | 4 | 5 => None,
        2 => harmless(1),
        3 if !power10 => harmless(3),
        6 if !power10 => Some((6, 1, true)),
        11 => harmless(2),
        16 => harmless(9),
        17 if !power10 => harmless(10),
        18 if power10 => harmless(10),
        20 if !power10 => Some((11, 3, false)),
        _ => harmless(255),
    }
}

fn causes() -> impl Iterator<Item = (Generation, u32)> {
    GENERATIONS.into_iter().flat_map(|generation| {
        let bits = (0..24).filter(|bit| !Hmer::XSCOM_MAILBOX.contains(one(*bit)));
        bits.map(move |bit| (generation, bit))
    })
}

fn one(bit: u32) -> Hmer {
    Hmer::from_bits_retain(ibm(bit))
}

/// A machine of two cores; whoever set HMEER, the firmware does not trust that a bit is off.
fn enabled(generation: Generation, bits: u64) -> Bench {
    let threads = most_threads(generation);
    let bench = bench(generation, 1, 2, threads);
    for core in 0..2 {
        let thread = bench.machine.thread(core * threads);
        thread.write_spr(Spr::Hmeer, bits);
    }
    bench
}

fn light(bench: &Bench, threads: std::ops::Range<usize>, bits: u64) {
    let threads = threads.collect();
    bench.machine.inject(&Fault::Hmer { threads, bits });
}

fn told(ran: &Ran) -> Vec<(u8, u8, bool)> {
    let events = ran.events.iter();
    let told = events.map(|event| (event.event_type, event.severity, event.recovered));
    told.collect()
}

#[test]
fn each_bit_brings_its_one_event_and_is_gone() {
    for (generation, bit) in causes() {
        for seed in 0..4 {
            let threads = most_threads(generation);
            let bench = enabled(generation, ibm(bit));
            let system = bench.booted_system();
            light(&bench, 0..threads, ibm(bit));
            let ran = bench.run(&system, Schedule::Seeded(seed)).go();
            let wanted: Vec<_> = expected(generation, bit).into_iter().collect();
            assert_eq!(told(&ran), wanted, "{generation:?} bit {bit}");
            for thread in 0..threads {
                assert_eq!(ran.outcomes[thread].len(), 1, "{generation:?} bit {bit}");
            }
            for event in &ran.events {
                assert_eq!(event.hmer & !Hmer::XSCOM_MAILBOX.bits(), ibm(bit));
                assert_eq!(event.checkstop, None);
            }
            let unknown = u64::from(expected(generation, bit) == Some((255, 0, true)));
            let counted = system.counters.unknown_hmer();
            assert!(counted <= unknown, "{generation:?} bit {bit}: {counted}");
            assert_eq!(system.decisions.hits(Table::Hmer), ibm(bit));
            bench.assert_hmer_clean(&ran);
            bench.assert_core_good(0);
            bench.assert_rules_kept();
        }
    }
}

/// A bit without a meaning is counted once for the core.
#[test]
fn reserved_bits_are_counted_by_core() {
    for (generation, bit) in causes().filter(|(_, bit)| matches!(bit, 7 | 10 | 12 | 13 | 19)) {
        let threads = most_threads(generation);
        let bench = enabled(generation, ibm(bit));
        let system = bench.booted_system();
        light(&bench, 0..2 * threads, ibm(bit));
        let ran = bench.run(&system, Schedule::Seeded(1)).go();
        assert_eq!(ran.events.len(), 2, "{generation:?} bit {bit}");
        assert_eq!(system.counters.unknown_hmer(), 2);
    }
}

/// A thread that is waited for and never comes, one that is late, one that is not started: the
/// event neither fails to come nor comes twice, as often as it happens.
#[test]
fn absent_late_and_lost_threads_change_nothing() {
    for (generation, bit) in causes() {
        let threads = most_threads(generation);
        for lost in [0, 1, threads - 1] {
            for role in [Role::Lost, Role::Absent, Role::Late(300), Role::Idle] {
                let bench = enabled(generation, ibm(bit));
                let system = bench.booted_system();
                for round in 0..3 {
                    light(&bench, 0..threads, ibm(bit));
                    let run = bench.run(&system, Schedule::Seeded(round));
                    let ran = run.role(lost, role).go();
                    let wanted: Vec<_> = expected(generation, bit).into_iter().collect();
                    assert_eq!(
                        told(&ran),
                        wanted,
                        "{generation:?} bit {bit}, {role:?} {lost}, round {round}"
                    );
                }
                bench.assert_rules_kept();
            }
        }
    }
}

/// All bits on at once: every cause is told once for the core, all are gone, nobody storms.
#[test]
fn all_bits_at_once() {
    for generation in GENERATIONS {
        let threads = most_threads(generation);
        let mailbox = Hmer::XSCOM_MAILBOX.bits();
        let bits = Hmer::IMPLEMENTED & !mailbox;
        let bench = enabled(generation, bits);
        let system = bench.booted_system();
        light(&bench, 0..threads, bits);
        let ran = bench.run(&system, Schedule::Seeded(3)).go();
        let mut wanted: Vec<_> = (0..24)
            .filter(|bit| bits & ibm(*bit) != 0)
            .filter_map(|bit| expected(generation, bit))
            .collect();
        // Reserved bits share one event; those that are known without a name have their own.
        let named = |told: &(u8, u8, bool)| told.0 != 255;
        let mut found = told(&ran);
        wanted.retain(named);
        found.retain(named);
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted, "{generation:?}");
        bench.assert_hmer_clean(&ran);
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
}

/// Section 1.2: the mailbox of XSCOM is not touched by whoever clears causes.
#[test]
fn the_mailbox_is_left_alone() {
    for (generation, bit) in causes() {
        let bench = enabled(generation, ibm(bit));
        let system = bench.booted_system();
        light(&bench, 0..1, ibm(bit));
        let _ = bench.run(&system, Schedule::Seeded(1)).go();
        let protocol = !Hmer::XSCOM_MAILBOX.bits();
        for write in opaline_tests::writes_of(&bench.machine, 0, Spr::Hmer) {
            assert_eq!(write | protocol, u64::MAX, "{generation:?} bit {bit}");
            assert_eq!(write, !ibm(bit), "AND with all ones elsewhere");
        }
    }
}

/// Section 5.4: WOF is read once for the core, and kept in the flight recorder.
#[test]
fn what_was_recovered_is_read_once_and_recorded() {
    for generation in GENERATIONS {
        let bench = bench(generation, 1, 1, most_threads(generation));
        let system = bench.booted_system();
        let cause = hardware_model::CoreCause::Recovered { fir_bit: 43 };
        bench.machine.inject(&Fault::Cause { core: 0, cause });
        let ran = bench.run(&system, Schedule::Seeded(2)).go();
        assert_eq!(told(&ran), [(1, 0, true)]);
        let wof = bench.machine.configuration().core_fir(0) + 8;
        let is_read =
            |register| matches!(register, Register::ScomRead { address, .. } if address == wof);
        let trace = bench.machine.trace();
        let reads = trace.iter().filter(|access| is_read(access.register));
        let readable = generation != Generation::Power8;
        assert_eq!(reads.count(), usize::from(readable));
        let threads = 0..most_threads(generation);
        let records: Vec<_> = threads
            .flat_map(|thread| bench.recorder().records(thread))
            .filter(|record| record.step == Step::Recovered)
            .map(|record| record.arguments)
            .collect();
        let wanted = if readable { [ibm(43), 1] } else { [0, 0] };
        assert_eq!(records, [wanted], "{generation:?}");
        bench.assert_rules_kept();
    }
}
