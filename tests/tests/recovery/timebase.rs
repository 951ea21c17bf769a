//! TB after the repair is the machine's time, whatever happened to it before.

use super::*;
use hardware_model::{Random, TimebaseCopies};
use opal_abi::hmi_flags::{NEW_EVENT, TB_RESYNC};

/// TB of each thread damaged to any value, forwards and backwards.
#[test]
fn any_damage_is_undone() {
    let mut random = Random::new(17);
    for generation in GENERATIONS {
        for error in [
            CoreError::TbResidue,
            CoreError::MissingStep,
            CoreError::FirmwareControl,
        ] {
            for round in 0..8 {
                let bench = bench(generation, 1, 1, 4);
                let system = bench.booted_system();
                for thread in 0..4 {
                    let value = [0, u64::MAX, 1 << 63, 0xffff_ffff, random.word()][round % 5];
                    bench.machine.inject(&Fault::Timebase { thread, value });
                }
                bench.machine.inject(&core_fault(0, error));
                let ran = bench.run(&system, Schedule::Seeded(round as u64)).go();
                assert_eq!(ran.events.len(), 1);
                bench.assert_core_good(0);
                bench.assert_rules_kept();
            }
        }
    }
}

/// The documented double writes are made whether the hardware needs them or not.
#[test]
fn one_write_hardware_is_served_too() {
    for error in [
        CoreError::TbResidue,
        CoreError::HdecParity,
        CoreError::TfmrCorrupt { tb_survives: false },
        CoreError::StuckMove,
    ] {
        let mut configuration = Configuration::new(Generation::Power9, 1, 1, 4);
        configuration.write_twice = false;
        let bench = Bench::new(configuration);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(0, error));
        let ran = bench.run(&system, Schedule::Seeded(6)).go();
        assert_eq!(ran.events.len(), 1);
        assert!(ran.events[0].recovered);
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
}

/// Without the POWER9 erratum the same code works.
#[test]
fn power9_without_latched_errors() {
    for error in [CoreError::TbResidue, CoreError::HdecParity] {
        let mut configuration = Configuration::new(Generation::Power9, 1, 1, 4);
        configuration.latched_errors = false;
        let bench = Bench::new(configuration);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(0, error));
        let ran = bench.run(&system, Schedule::Seeded(8)).go();
        assert_eq!(ran.events.len(), 1);
        assert!(ran.events[0].recovered);
        bench.assert_core_good(0);
    }
}

/// POWER8 with split cores: every sub-core is cleaned.
#[test]
fn split_cores() {
    for sub_cores in [1, 2, 4] {
        let mut configuration = Configuration::new(Generation::Power8, 1, 1, 8);
        configuration.copies = TimebaseCopies::SubCores(sub_cores);
        let bench = Bench::new(configuration);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(0, CoreError::TbResidue));
        let ran = bench.run(&system, Schedule::Seeded(sub_cores as u64)).go();
        assert_eq!(ran.events.len(), 1);
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
}

/// The latched bits of POWER9 survive the repair on threads 1 to 3: a later HMI, for another
/// reason, must not take them for a new error.
#[test]
fn latched_bits_are_not_taken_for_new_errors() {
    for schedule in schedules() {
        let bench = bench(Generation::Power9, 1, 1, 4);
        let system = bench.booted_system();
        for error in [CoreError::TbResidue, CoreError::HdecParity] {
            bench.machine.inject(&core_fault(0, error));
            let ran = bench.run(&system, schedule).go();
            assert_eq!(ran.events.len(), 1, "{error:?}");
        }
        for (thread, error) in [
            (0, hardware_model::ThreadError::DecParity),
            (2, hardware_model::ThreadError::PurrParity),
        ] {
            bench.machine.clear_trace();
            bench.machine.inject(&Fault::Thread { thread, error });
            let ran = bench.run(&system, schedule).go();
            assert_eq!(ran.events.len(), 1);
            assert!(ran.events[0].recovered);
            assert_eq!(ran.flags(thread) & TB_RESYNC, 0, "TB was good");
            assert!(
                opaline_tests::firmware_writes(&bench.machine)
                    .iter()
                    .all(|access| access.thread == thread),
                "a thread's own error is its own affair"
            );
        }
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
}

/// A second error strikes at any moment of the recovery from the first: it is repaired too.
#[test]
fn back_to_back_errors() {
    for generation in GENERATIONS {
        for (first, second) in [
            (CoreError::TbResidue, CoreError::TbResidue),
            (CoreError::MissingStep, CoreError::FirmwareControl),
            (CoreError::HdecParity, CoreError::TbResidue),
            (
                CoreError::TfmrCorrupt { tb_survives: false },
                CoreError::MissingSync,
            ),
        ] {
            for at in (1..700).step_by(29) {
                let bench = bench(generation, 1, 1, 4);
                let system = bench.booted_system();
                bench.machine.inject(&core_fault(0, first));
                bench.machine.inject_after(at, core_fault(0, second));
                let ran = bench.run(&system, Schedule::Seeded(at)).go();
                // The second may come when the first run is over.
                bench.machine.tick(1);
                let after = bench.run(&system, Schedule::Seeded(at)).go();
                let events: Vec<_> = ran.events.iter().chain(&after.events).collect();
                let valid = bench.machine.tfmr(0).contains(Tfmr::TB_VALID);
                let context = format!("{generation:?} {first:?} then {second:?} at {at}");
                if valid {
                    (0..4).for_each(|thread| bench.assert_time(thread));
                    bench.assert_core_good(0);
                    assert!(
                        !events.is_empty() && events.len() <= 2,
                        "{context}: {events:#x?}"
                    );
                } else {
                    panic!("{context}: {:?}, {events:#x?}", bench.machine.tfmr(0));
                }
                bench.assert_rules_kept();
            }
        }
    }
}

/// The same HMI delivered again to a good core changes nothing and says nothing.
#[test]
fn a_second_hmi_is_a_no_op() {
    for generation in GENERATIONS {
        for error in [
            CoreError::TbResidue,
            CoreError::HdecParity,
            CoreError::StuckMove,
        ] {
            for schedule in schedules() {
                let bench = bench(generation, 1, 1, 4);
                let system = bench.booted_system();
                bench.machine.inject(&core_fault(0, error));
                let first = bench.run(&system, schedule).go();
                assert_eq!(first.events.len(), 1);
                bench.machine.clear_trace();
                bench.machine.inject(&Fault::Hmer {
                    threads: (0..4).collect(),
                    bits: Hmer::TIMER.bits(),
                });
                let again = bench.run(&system, schedule).go();
                assert_eq!(again.events, []);
                for thread in 0..4 {
                    assert_eq!(again.flags(thread), 0);
                }
                let trace = opaline_tests::firmware_writes(&bench.machine);
                let hmer = Register::Spr(power_registers::Spr::Hmer);
                let others: Vec<_> = trace
                    .iter()
                    .filter(|access| {
                        access.register != hmer
                            && !matches!(access.register, Register::ScomWrite { address, .. }
                                if address & 0xff_ffff == 0x01_0a80)
                    })
                    .collect();
                assert!(others.is_empty(), "{others:#x?}");
                bench.assert_core_good(0);
                bench.assert_hmer_clean(&again);
            }
        }
    }
}

/// Flags are whole in each answer: nothing of the call before is left in them.
#[test]
fn flags_are_of_this_call() {
    let bench = bench(Generation::Power10, 1, 1, 2);
    let system = bench.booted_system();
    bench.machine.inject(&core_fault(0, CoreError::TbResidue));
    let _ = bench.run(&system, Schedule::Seeded(1)).go();
    bench.machine.inject(&core_fault(0, CoreError::HdecParity));
    let ran = bench.run(&system, Schedule::Seeded(1)).go();
    for thread in 0..2 {
        assert_eq!(
            ran.flags(thread) & !NEW_EVENT,
            opal_abi::hmi_flags::HDEC_LOST
        );
    }
}
