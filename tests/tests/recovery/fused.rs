//! Fused cores: each half has its own TFMR and repairs itself; the pair matters for the aim only.

use super::*;
use hardware_model::Start;
use opal_abi::hmi_flags::{NEW_EVENT, TB_RESYNC};
use opaline_firmware::timebase::boot;
use opaline_tests::Role;
use power_registers::TbState;
use power_registers::chip_tod::TodError;

/// Two fused cores of two halves with two threads each; `aim` is the quirk of POWER10 revision 2.
fn fused(generation: Generation, chips: usize, aim: bool) -> Bench {
    let mut configuration = Configuration::new(generation, chips, 4, 2);
    configuration.fused = true;
    configuration.fused_aim = aim;
    Bench::new(configuration)
}

const KINDS: [(Generation, bool); 3] = [
    (Generation::Power9, false),
    (Generation::Power10, false),
    (Generation::Power10, true),
];

const ERRORS: [CoreError; 7] = [
    CoreError::HdecParity,
    CoreError::TbResidue,
    CoreError::TbstCorrupt,
    CoreError::MissingStep,
    CoreError::FirmwareControl,
    CoreError::NoReason,
    CoreError::TfmrCorrupt { tb_survives: false },
];

/// An error of one half: its threads repair it alone, whichever half it is, and nobody waits for
/// the other half or touches it.
#[test]
fn a_half_repairs_itself() {
    for (generation, aim) in KINDS {
        for core in 0..4 {
            for error in ERRORS {
                let bench = fused(generation, 1, aim);
                let system = bench.booted_system();
                bench.machine.inject(&core_fault(core, error));
                let own = core * 2..core * 2 + 2;
                let others = (0..8).filter(|thread| !own.contains(thread));
                let run = bench.run(&system, Schedule::Seeded(core as u64));
                // Nobody else takes part: a wait for them would be seen in the ticks.
                let ran = others
                    .fold(run, |run, thread| run.role(thread, Role::Lost))
                    .go();
                let context = format!("{generation:?}, quirk {aim}, core {core}, {error:?}");
                assert_eq!(ran.events.len(), 1, "{context}: {:#x?}", ran.events);
                assert!(ran.events[0].recovered, "{context}");
                assert!(ran.ticks < 5_120_000, "{context}: {} ticks", ran.ticks);
                for core in 0..4 {
                    bench.assert_core_good(core);
                }
                bench.assert_rules_kept();
            }
        }
    }
}

/// Both halves of a fused core break at once: two meetings, two events, and the aim of one half
/// does not give the other what it is not ready for.
#[test]
fn both_halves_at_once() {
    for (generation, aim) in KINDS {
        for schedule in schedules() {
            let bench = fused(generation, 1, aim);
            let system = bench.booted_system();
            for core in [2, 3] {
                bench
                    .machine
                    .inject(&core_fault(core, CoreError::TbResidue));
            }
            let ran = bench.run(&system, schedule).go();
            assert_eq!(ran.events.len(), 2, "{generation:?} {aim} {schedule:?}");
            assert!(ran.events.iter().all(|event| event.recovered));
            for thread in 4..8 {
                assert_eq!(ran.flags(thread) & !NEW_EVENT, TB_RESYNC);
            }
            (0..4).for_each(|core| bench.assert_core_good(core));
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// A chip loses its TOD: all halves of all its fused cores come back.
#[test]
fn a_dead_tod_is_reloaded_by_every_half() {
    for (generation, aim) in KINDS {
        for seed in 0..4 {
            let bench = fused(generation, 2, aim);
            let system = bench.booted_system();
            let bits = TodError::FSM_STATE_PARITY.bits();
            bench.machine.inject(&Fault::Tod { chip: 1, bits });
            let ran = bench.run(&system, Schedule::Seeded(seed)).go();
            assert!(
                ran.events.iter().all(|event| event.recovered),
                "{generation:?} {aim} {seed}: {:#x?}",
                ran.events
            );
            (0..8).for_each(|core| bench.assert_core_good(core));
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// Boot from reset: each half takes TB by itself.
#[test]
fn every_half_starts_at_boot() {
    for (generation, aim) in KINDS {
        let mut configuration = Configuration::new(generation, 1, 4, 2);
        configuration.fused = true;
        configuration.fused_aim = aim;
        configuration.start = Start::Reset;
        let bench = Bench::new(configuration);
        let system = bench.system();
        boot::initialise_master(&mut bench.hardware(0), &system).expect("a good master");
        for core in 1..4 {
            boot::initialise_core(&mut bench.hardware(core * 2), &system).expect("a good core");
        }
        for core in 0..4 {
            boot::clean_thread(&mut bench.hardware(core * 2 + 1), &system);
        }
        let time = bench.machine.timebase(0);
        for thread in 0..8 {
            assert_eq!(bench.machine.tfmr(thread).state(), TbState::Running);
            assert_eq!(bench.machine.timebase(thread), time);
        }
        bench.assert_rules_kept();
    }
}
