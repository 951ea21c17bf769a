//! Who comes to a meeting, when, and what happens when someone does not.

use super::*;
use opal_abi::hmi_flags::{NEW_EVENT, TB_RESYNC, TOD_TB_FAIL};
use opaline_tests::{Ran, Role};

/// Longest time, in ticks, that a handler may take when a thread never comes: one second of 512 MHz,
/// per thread that spins in the model (each spin of each thread advances its one clock).
const SECOND: u64 = 512_000_000;

/// Every thread says the same about the core, and it is the truth.
#[track_caller]
fn assert_honest(bench: &Bench, ran: &Ran, threads: std::ops::Range<usize>) {
    let good = bench.machine.tfmr(threads.start).contains(Tfmr::TB_VALID);
    for thread in threads.clone() {
        if ran.outcomes[thread].is_empty() {
            continue;
        }
        let last = ran.outcomes[thread].last().unwrap().flags;
        assert_eq!(last & TOD_TB_FAIL == 0, good, "thread {thread}: {last:#x}");
        if good {
            bench.assert_time(thread);
        }
    }
    if !good {
        assert!(
            ran.events.iter().any(|event| !event.recovered),
            "{:#x?}",
            ran.events
        );
    }
}

/// Any number of threads, with two cores or one.
#[test]
fn one_to_eight_threads() {
    for generation in GENERATIONS {
        for threads in 1..=most_threads(generation) {
            for seed in 0..4 {
                let bench = bench(generation, 1, 1, threads);
                let system = bench.booted_system();
                bench.machine.inject(&core_fault(0, CoreError::TbResidue));
                let ran = bench.run(&system, Schedule::Seeded(seed)).go();
                assert_eq!(ran.events.len(), 1);
                for thread in 0..threads {
                    assert_eq!(ran.flags(thread) & !NEW_EVENT, TB_RESYNC);
                }
                bench.assert_core_good(0);
                bench.assert_rules_kept();
            }
        }
    }
}

/// A thread that comes late within the budget takes part: one meeting, one event.
#[test]
fn a_late_thread_is_waited_for() {
    for generation in GENERATIONS {
        for late in 0..4 {
            let bench = bench(generation, 1, 1, 4);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, CoreError::TbResidue));
            let run = bench
                .run(&system, Schedule::Seeded(late as u64))
                .role(late, Role::Late(2000));
            let ran = run.go();
            assert_eq!(ran.events.len(), 1, "{generation:?} {late}");
            assert!(ran.events[0].recovered);
            bench.assert_core_good(0);
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// A thread that never comes: nobody hangs. On POWER8 its siblings can clean what it shares; where
/// each thread has its own TB copy the residue latches again, and that is said.
#[test]
fn a_lost_thread_costs_one_budget() {
    for (generation, error, recovers) in [
        (Generation::Power8, CoreError::TbResidue, true),
        (Generation::Power9, CoreError::TbResidue, false),
        (Generation::Power10, CoreError::TbResidue, false),
        (Generation::Power9, CoreError::MissingStep, true),
        (Generation::Power10, CoreError::FirmwareControl, true),
    ] {
        for lost in [0, 3] {
            let bench = bench(generation, 1, 1, 4);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, error));
            let ran = bench
                .run(&system, Schedule::Seeded(9))
                .role(lost, Role::Lost)
                .go();
            assert!(ran.ticks < 3 * SECOND, "{} ticks", ran.ticks);
            let good = bench.machine.tfmr(1).contains(Tfmr::TB_VALID);
            assert_eq!(
                good, recovers,
                "{generation:?} {error:?} without thread {lost}"
            );
            assert_honest(&bench, &ran, 0..4);
            bench.assert_rules_kept();
        }
    }
}

/// A thread that dies in the middle, the leader too, wherever it is: within a second the others are
/// out, and have said what they leave behind.
#[test]
fn a_dying_thread_costs_less_than_a_second() {
    for generation in GENERATIONS {
        for (dies, accesses) in (0..40).map(|number| ([0, 2][number % 2], number as u64 * 3)) {
            let bench = bench(generation, 1, 1, 4);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, CoreError::TbResidue));
            let ran = bench
                .run(&system, Schedule::Seeded(accesses))
                .role(dies, Role::Dies(accesses))
                .go();
            let what = format!("{generation:?}: thread {dies} dies after {accesses}");
            assert!(ran.ticks < 3 * SECOND, "{what}: {} ticks", ran.ticks);
            let last = |thread: usize| ran.outcomes[thread].last().map(|outcome| outcome.flags);
            let failed = (0..4).any(|thread| last(thread).is_some_and(|f| f & TOD_TB_FAIL != 0));
            let said = ran.events.iter().any(|event| !event.recovered);
            assert!(said || !failed, "{what}: {:#x?}", ran.events);
            bench.assert_rules_kept();
        }
    }
}

/// A thread that comes after the others gave it up finds a good core, and disturbs nothing.
#[test]
fn a_thread_that_comes_too_late_is_harmless() {
    for seed in 0..2 {
        let bench = bench(Generation::Power8, 1, 1, 4);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(0, CoreError::TbResidue));
        let ran = bench
            .run(&system, Schedule::Seeded(seed))
            .role(2, Role::Late(700_000))
            .go();
        assert_eq!(ran.events.len(), 1, "{:#x?}", ran.events);
        assert!(ran.events[0].recovered);
        bench.assert_core_good(0);
        bench.assert_hmer_clean(&ran);
        bench.assert_rules_kept();
    }
}

/// On POWER9 a core that failed for want of a thread is repaired when the thread comes after all.
#[test]
fn the_missing_thread_completes_the_repair_later() {
    let bench = bench(Generation::Power9, 1, 1, 4);
    let system = bench.booted_system();
    bench.machine.inject(&core_fault(0, CoreError::TbResidue));
    let first = bench
        .run(&system, Schedule::Seeded(1))
        .role(3, Role::Lost)
        .go();
    assert!(first.events.iter().any(|event| !event.recovered));
    bench.machine.inject(&core_fault(0, CoreError::TbResidue));
    let second = bench.run(&system, Schedule::Seeded(2)).go();
    assert!(
        second.events.iter().all(|event| event.recovered),
        "{:#x?}",
        second.events
    );
    bench.assert_core_good(0);
    bench.assert_hmer_clean(&second);
    bench.assert_rules_kept();
}

/// Errors of two cores at once: each core has its own meeting and its own event.
#[test]
fn two_cores_at_once() {
    for schedule in schedules() {
        let bench = bench(Generation::Power9, 2, 2, 2);
        let system = bench.booted_system();
        for core in 0..4 {
            bench
                .machine
                .inject(&core_fault(core, CoreError::TbResidue));
        }
        let ran = bench.run(&system, schedule).go();
        assert_eq!(ran.events.len(), 4);
        assert!(ran.events.iter().all(|event| event.recovered));
        (0..4).for_each(|core| bench.assert_core_good(core));
        bench.assert_hmer_clean(&ran);
        bench.assert_rules_kept();
    }
}

/// Only one thread gets the HMI of a core error (as a test tool may do): it is over within the
/// budget, and no thread is told a lie.
#[test]
fn an_hmi_on_one_thread_only() {
    let bench = bench(Generation::Power9, 1, 1, 4);
    let system = bench.booted_system();
    bench.machine.inject(&core_fault(0, CoreError::MissingStep));
    let mut run = bench.run(&system, Schedule::Seeded(4));
    for silent in 1..4 {
        run = run.role(silent, Role::Lost);
    }
    let ran = run.go();
    assert!(ran.ticks < 3 * SECOND);
    assert_honest(&bench, &ran, 0..1);
    bench.assert_rules_kept();
}

/// The same seed gives the same run, to the last access: a failure can be replayed.
#[test]
fn a_seed_replays() {
    for seed in 0..6 {
        let traces = [(), ()].map(|()| {
            let bench = bench(Generation::Power9, 1, 2, 4);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(
                0,
                CoreError::TfmrCorrupt { tb_survives: false },
            ));
            bench
                .machine
                .inject_after(100, core_fault(1, CoreError::TbResidue));
            let ran = bench
                .run(&system, Schedule::Seeded(seed))
                .role(2, Role::Late(30))
                .go();
            (bench.machine.trace(), ran.outcomes.len(), ran.ticks)
        });
        assert_eq!(traces[0], traces[1]);
    }
}
