//! XSCOM fails at each step of a reload: repaired, or honestly not.

use super::*;
use hardware_model::{XscomAnswer, XscomFault};
use opal_abi::hmi_flags::{TB_RESYNC, TOD_TB_FAIL};

/// Every answer on POWER9, the telling ones on the others: the driver is the same.
fn answers(generation: Generation) -> impl Iterator<Item = XscomAnswer> {
    (1..=7)
        .filter(move |status| generation == Generation::Power9 || [2, 7].contains(status))
        .map(XscomAnswer::Status)
        .chain([XscomAnswer::NeverDone])
}

/// XSCOM accesses of a recovery in which none fails.
fn accesses_of_a_good_run(generation: Generation) -> u64 {
    let bench = bench(generation, 1, 1, 2);
    let system = bench.booted_system();
    bench.machine.inject(&core_fault(0, CoreError::TbResidue));
    let ran = bench.run(&system, Schedule::Seeded(1)).go();
    assert_eq!(ran.events.len(), 1);
    let scom = |register| {
        matches!(
            register,
            Register::ScomWrite { .. } | Register::ScomRead { .. }
        )
    };
    bench
        .machine
        .trace()
        .iter()
        .filter(|access| scom(access.register))
        .count() as u64
}

#[test]
fn every_step_every_status() {
    for generation in GENERATIONS {
        let accesses = accesses_of_a_good_run(generation);
        assert!(accesses >= 4, "FSM, aim (read, write), MOVE");
        for after in 0..accesses {
            for answer in answers(generation) {
                for count in [1, u64::MAX] {
                    let bench = bench(generation, 1, 1, 2);
                    let system = bench.booted_system();
                    bench.machine.inject(&core_fault(0, CoreError::TbResidue));
                    bench.machine.inject_xscom(XscomFault {
                        after,
                        count,
                        ..XscomFault::new(answer)
                    });
                    let ran = bench.run(&system, Schedule::Seeded(1)).go();
                    let context = format!("{generation:?} {answer:?} x{count} at step {after}");
                    assert_eq!(ran.events.len(), 1, "{context}");
                    let valid = bench.machine.tfmr(0).contains(Tfmr::TB_VALID);
                    assert_eq!(ran.events[0].recovered, valid, "{context}");
                    for thread in 0..2 {
                        let flags = ran.flags(thread);
                        assert_eq!(flags & TOD_TB_FAIL == 0, valid, "{context}: {flags:#x}");
                        assert_eq!(flags & TB_RESYNC != 0, valid, "{context}: {flags:#x}");
                    }
                    if valid {
                        bench.assert_core_good(0);
                    } else {
                        // What is left behind can be picked up by the next attempt.
                        let left = bench.machine.tfmr(0) & Tfmr::COMMANDS;
                        assert!(left.is_empty(), "{context}: {left:?}");
                        bench.machine.heal_xscom();
                        bench.machine.inject(&core_fault(0, CoreError::MissingStep));
                        let healed = bench.run(&system, Schedule::Seeded(1)).go();
                        assert!(
                            healed.events.iter().all(|event| event.recovered),
                            "{context}"
                        );
                        bench.assert_core_good(0);
                    }
                    bench.assert_rules_kept();
                }
            }
        }
    }
}

/// A passing hiccup is got over where a retry can help: the engine is busy.
#[test]
fn a_busy_engine_is_retried() {
    for generation in GENERATIONS {
        for after in 0..accesses_of_a_good_run(generation) {
            let bench = bench(generation, 1, 1, 2);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, CoreError::TbResidue));
            let answer = XscomAnswer::Status(1);
            bench.machine.inject_xscom(XscomFault {
                after,
                count: 20,
                ..XscomFault::new(answer)
            });
            let ran = bench.run(&system, Schedule::Seeded(1)).go();
            assert!(ran.events.iter().all(|event| event.recovered));
            bench.assert_core_good(0);
            bench.assert_rules_kept();
        }
    }
}
