//! Initialisation of ChipTOD and TB at boot.

use super::*;
use hardware_model::{Start, XscomAnswer, XscomFault};
use opaline_firmware::timebase::boot;
use power_registers::TbState;

fn at_boot(generation: Generation, start: Start, chips: usize) -> Bench {
    let mut configuration = Configuration::new(generation, chips, 2, 2);
    configuration.start = start;
    Bench::new(configuration)
}

/// The whole sequence as the boot code runs it: master, other cores one by one, other threads.
fn boot_all(bench: &Bench) {
    let system = bench.system();
    boot::initialise_master(&mut bench.hardware(0), &system).expect("a good master");
    for core in 1..bench.machine.configuration().cores() {
        boot::initialise_core(&mut bench.hardware(core * 2), &system).expect("a good core");
    }
    for core in 0..bench.machine.configuration().cores() {
        boot::clean_thread(&mut bench.hardware(core * 2 + 1), &system);
    }
}

/// From reset and from what the earlier boot firmware left: every TB runs, and all are equal.
#[test]
fn every_core_runs_with_spread_zero() {
    for generation in GENERATIONS {
        for start in [Start::Reset, Start::EarlyFirmware, Start::Running] {
            for chips in [1, 2] {
                let bench = at_boot(generation, start, chips);
                let before = bench.machine.timebase(0);
                boot_all(&bench);
                let context = format!("{generation:?} {start:?} {chips} chips");
                let after = bench.machine.timebase(0);
                for thread in 0..bench.machine.configuration().threads() {
                    let tfmr = bench.machine.tfmr(thread);
                    assert_eq!(tfmr.state(), TbState::Running, "{context}: {tfmr:?}");
                    assert!(
                        !tfmr.intersects(Tfmr::CORE_ERRORS | Tfmr::COMMANDS),
                        "{context}"
                    );
                    assert_eq!(bench.machine.timebase(thread), after, "{context}: spread");
                }
                for chip in 0..chips {
                    assert_eq!(bench.machine.tod_time(chip), after, "{context}");
                }
                // Time goes on from where it was: the loading costs less than 100 ms.
                assert!(after >= before, "{context}: {before:#x} to {after:#x}");
                assert!(
                    after - before < 51_200_000,
                    "{context}: {before:#x} to {after:#x}"
                );
                let violations = bench.machine.violations();
                assert!(violations.is_empty(), "{context}: {violations:#x?}");
            }
        }
    }
}

/// TB is valid after the boot, and it can be repaired then.
#[test]
fn boot_then_recovery() {
    for generation in GENERATIONS {
        let bench = at_boot(generation, Start::Reset, 2);
        let system = bench.system();
        boot::initialise_master(&mut bench.hardware(0), &system).expect("a good master");
        for core in 1..4 {
            boot::initialise_core(&mut bench.hardware(core * 2), &system).expect("a good core");
        }
        let hmeer = Hmer::TIMER;
        for core in 0..4 {
            boot::clean_thread(&mut bench.hardware(core * 2 + 1), &system);
            bench
                .machine
                .thread(core * 2)
                .write_spr(power_registers::Spr::Hmeer, hmeer.bits());
        }
        bench.machine.inject(&core_fault(3, CoreError::TbResidue));
        let ran = bench.run(&system, Schedule::Seeded(1)).go();
        assert_eq!(ran.events.len(), 1);
        assert!(ran.events[0].recovered);
        for thread in 6..8 {
            assert_eq!(bench.machine.timebase(thread), bench.machine.tod_time(0));
        }
        bench.assert_rules_kept();
    }
}

/// XSCOM fails for good at any step: an error, no hang, no panic.
#[test]
fn boot_survives_a_dead_xscom() {
    for answer in [XscomAnswer::Status(7), XscomAnswer::NeverDone] {
        for after in 0..12 {
            let bench = at_boot(Generation::Power9, Start::Reset, 1);
            let system = bench.system();
            bench.machine.inject_xscom(XscomFault {
                after,
                ..XscomFault::new(answer)
            });
            let result = boot::initialise_master(&mut bench.hardware(0), &system);
            let valid = bench.machine.tfmr(0).contains(Tfmr::TB_VALID);
            assert!(
                result.is_err() || valid,
                "{answer:?} after {after}: {result:?}"
            );
            bench.assert_rules_kept();
        }
    }
}

/// A sync that fails once is tried again (seen in the field).
#[test]
fn boot_tries_again() {
    for after in 0..12 {
        let bench = at_boot(Generation::Power9, Start::Reset, 1);
        let system = bench.system();
        let answer = XscomAnswer::Status(7);
        bench.machine.inject_xscom(XscomFault {
            after,
            count: 1,
            ..XscomFault::new(answer)
        });
        boot::initialise_master(&mut bench.hardware(0), &system).expect("the second attempt");
        assert!(bench.machine.tfmr(0).contains(Tfmr::TB_VALID));
        bench.assert_rules_kept();
    }
}
