//! A thread that stands still for seconds, or for ever, at any access: the others do not hang, and
//! nothing that is said is wrong.

use super::*;
use hardware_model::Moment;
use opal_abi::hmi_flags::TOD_TB_FAIL;
use opaline_tests::{Ran, Role};

/// Longer than the others wait in any phase.
const LONG: u64 = 2_500_000;

/// Who was not told that TB is dead has the time of the machine; who was, with an event that says so.
#[track_caller]
fn assert_honest(bench: &Bench, ran: &Ran, context: &str) {
    for (thread, outcomes) in ran.outcomes.iter().enumerate() {
        let Some(last) = outcomes.last() else {
            continue;
        };
        if last.flags & TOD_TB_FAIL == 0 {
            let tfmr = bench.machine.tfmr(thread);
            assert!(tfmr.tb_usable(), "{context}: thread {thread}: {tfmr:?}");
            let (timebase, truth) = (bench.machine.timebase(thread), bench.machine.true_time());
            assert_eq!(timebase, truth, "{context}: thread {thread}");
        } else {
            let told = ran.events.iter().any(|event| !event.recovered);
            assert!(told, "{context}: {:#x?}", ran.events);
        }
    }
    let violations = bench.machine.violations();
    assert!(violations.is_empty(), "{context}: {violations:#x?}");
}

/// Once it goes on, or once it is lost, the core can be repaired again.
#[track_caller]
fn assert_repairable(bench: &Bench, system: &opaline_firmware::system::System<'_>, context: &str) {
    bench
        .machine
        .inject(&core_fault(0, CoreError::FirmwareControl));
    let ran = bench.run(system, Schedule::Seeded(3)).go();
    let all = ran.events.iter().all(|event| event.recovered);
    assert!(all, "{context}: {:#x?}", ran.events);
    bench.assert_core_good(0);
}

/// Each thread in turn, at each access of its handler: as a leader or not, with TFMR in its hands or
/// not.
#[test]
fn a_thread_that_stands_still_keeps_nobody() {
    for generation in GENERATIONS {
        for error in [CoreError::TbResidue, CoreError::HdecParity] {
            for thread in 0..2 {
                for accesses in (thread as u64..90).step_by(7) {
                    let bench = bench(generation, 1, 1, 3);
                    let system = bench.booted_system();
                    bench.machine.inject(&core_fault(0, error));
                    let role = Role::Stalls {
                        late: 0,
                        accesses,
                        spins: LONG,
                    };
                    let run = bench.run(&system, Schedule::Seeded(accesses));
                    let ran = run.role(thread, role).go();
                    let context = format!("{generation:?} {error:?} {thread} at {accesses}");
                    assert_honest(&bench, &ran, &context);
                    assert_repairable(&bench, &system, &context);
                }
            }
        }
    }
}

/// A thread that comes after the gathering was closed, and stands still with TFMR in its hands while
/// the others work: they do not wait for it for ever.
#[test]
fn a_late_thread_that_stands_still_keeps_nobody() {
    for generation in GENERATIONS {
        for late in (500_000..500_080).step_by(40) {
            for accesses in (0..14).step_by(2) {
                let bench = bench(generation, 1, 1, 3);
                let system = bench.booted_system();
                bench.machine.inject(&core_fault(0, CoreError::MissingStep));
                let spins = 1_500_000;
                let role = Role::Stalls {
                    late,
                    accesses,
                    spins,
                };
                let run = bench.run(&system, Schedule::Seeded(late + accesses));
                let ran = run.role(2, role).go();
                let context = format!("{generation:?} late {late}, at {accesses}");
                assert_honest(&bench, &ran, &context);
            }
        }
    }
}

/// A thread of one core dies at each access while the TOD of its chip is repaired: the other core
/// comes to an end, whatever the dead one holds.
#[test]
fn a_thread_that_dies_with_the_tod_in_its_hands_keeps_nobody() {
    for generation in GENERATIONS {
        for bits in [
            power_registers::ibm(27),
            power_registers::ibm(33),
            power_registers::ibm(14),
        ] {
            for accesses in (0..240).step_by(3) {
                let bench = bench(generation, 1, 2, 1);
                let system = bench.booted_system();
                bench.machine.inject(&Fault::Tod { chip: 0, bits });
                let run = bench.run(&system, Schedule::Seeded(accesses));
                let ran = run.role(0, Role::Dies(accesses)).go();
                let context = format!("{generation:?} {bits:#x} at {accesses}");
                if let Some(last) = ran.outcomes[1].last()
                    && last.flags & TOD_TB_FAIL == 0
                {
                    let tfmr = bench.machine.tfmr(1);
                    assert!(tfmr.tb_usable(), "{context}: {tfmr:?}");
                }
                bench.assert_hmer_clean(&ran);
            }
        }
    }
}

/// Out for so long that the others forgot it, and met again: it finds another meeting, and as a leader
/// it still tells that it did not get to an end.
#[test]
fn a_thread_that_was_forgotten_takes_no_part_any_more() {
    for generation in GENERATIONS {
        for thread in 0..2 {
            for accesses in [30, 34, 40, 46, 52, 58] {
                let bench = bench(generation, 1, 1, 2);
                let system = bench.booted_system();
                bench.machine.inject(&core_fault(0, CoreError::TbResidue));
                // The others gave the first meeting up after 2 seconds.
                let moment = Moment::Ticks(4 * 512_000_000);
                let again = core_fault(0, CoreError::MissingStep);
                bench.machine.inject_at(moment, again);
                let role = Role::Stalls {
                    late: 0,
                    accesses,
                    spins: 9_000_000,
                };
                let run = bench.run(&system, Schedule::Seeded(accesses));
                let ran = run.role(thread, role).go();
                let context = format!("{generation:?} {thread} at {accesses}");
                assert_honest(&bench, &ran, &context);
                assert_repairable(&bench, &system, &context);
            }
        }
    }
}

/// A thread dies in the search for the cause of an alert: the next alert is not silent, though nobody
/// can search any more.
#[test]
fn a_search_that_never_ends_does_not_silence_the_next_alert() {
    for generation in GENERATIONS {
        let mut told = 0;
        for accesses in (30..60).step_by(5) {
            let bench = bench(generation, 1, 3, 1);
            let system = bench.booted_system();
            bench.machine.inject(&Fault::Alert { chip: 0 });
            let later = Moment::Ticks(512 * 100_000);
            bench.machine.inject_at(later, Fault::Alert { chip: 0 });
            let run = bench.run(&system, Schedule::Seeded(1));
            let ran = run
                .role(0, Role::Dies(accesses))
                .role(1, Role::Late(5_000))
                // Somebody has to be there, lest it is over before the second.
                .role(2, Role::Late(2_000_000))
                .go();
            told += ran.events.iter().filter(|one| !one.recovered).count();
            assert!(ran.events.iter().all(|one| one.severity == 3));
            assert_eq!(ran.events.len(), 1, "{accesses}: {:#x?}", ran.events);
        }
        assert!(told > 3, "{told}");
    }
}
