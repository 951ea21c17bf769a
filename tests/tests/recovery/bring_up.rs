//! What boot leaves behind: HMEER on every (half) core, nothing pending, a truthful line.

use super::*;
use hardware_model::{Start, XscomAnswer, XscomFault};
use opaline_firmware::bring_up::{self, Backup, FoundAlerts};
use opaline_firmware::hardware::ChipId;
use power_registers::Spr;

fn alert_register(generation: Generation) -> u32 {
    if generation == Generation::Power8 {
        0x0202_0011
    } else {
        0x0009_0022
    }
}

/// Each core gets its causes; what another had enabled stays.
#[test]
fn every_core_enables_its_causes_and_keeps_others() {
    for generation in GENERATIONS {
        let mut configuration = Configuration::new(generation, 1, 2, 2);
        configuration.start = Start::Reset;
        let bench = Bench::new(configuration);
        let system = bench.system();
        let other = 1 << (63 - 17);
        for core in 0..2 {
            bench.machine.thread(core * 2).write_spr(Spr::Hmeer, other);
            let prepared = bring_up::prepare_core(&mut bench.hardware(core * 2), &system);
            assert!(prepared.refused.is_empty());
            let expected = if generation == Generation::Power10 {
                0xae10_0000_0000_0000
            } else {
                0xbc10_0800_0000_0000
            };
            // Seen by the other thread, too.
            let hmeer = bench.machine.thread(core * 2 + 1).read_spr(Spr::Hmeer);
            assert_eq!(hmeer, expected | other, "{generation:?}");
        }
    }
}

/// An alert and causes from before the boot do not reach the OS, and a thread whose TB is broken is
/// not called sound although no cause is left in HMER.
#[test]
fn what_is_left_from_before_is_cleared() {
    for generation in GENERATIONS {
        let bench = bench(generation, 2, 1, 2);
        let system = bench.booted_system();
        bench.machine.inject(&Fault::Alert { chip: 1 });
        for (chip, found) in [(0, 0x4000_0000_0000_0000), (1, 0x4000_0000_0000_0000)] {
            let mut hardware = bench.hardware(0);
            let alerts = bring_up::clear_alerts(&mut hardware, &system, ChipId(chip));
            assert_eq!(alerts, FoundAlerts::Chips(found), "{generation:?}");
            let again = bring_up::clear_alerts(&mut hardware, &system, ChipId(chip));
            assert_eq!(again, FoundAlerts::Chips(0), "{generation:?}");
        }
        for thread in 0..4 {
            let settled = bring_up::settle_thread(&mut bench.hardware(thread), &system);
            assert!(settled.stale.contains(Hmer::MALFUNCTION_ALERT));
            assert!(settled.sound && settled.unarmed.is_empty());
            assert!(!bench.machine.hmi_pending(thread));
        }
        bench.machine.inject(&core_fault(1, CoreError::MissingStep));
        let settled = bring_up::settle_thread(&mut bench.hardware(2), &system);
        assert!(!settled.sound, "TB is broken");
        assert!(bring_up::settle_thread(&mut bench.hardware(0), &system).sound);
    }
}

/// An alert register out of reach is no reason to stop.
#[test]
fn an_unreachable_alert_register_is_said() {
    for generation in GENERATIONS {
        for answer in [XscomAnswer::Status(4), XscomAnswer::NeverDone] {
            let bench = bench(generation, 1, 1, 1);
            let system = bench.booted_system();
            bench.machine.inject_xscom(XscomFault {
                address: Some(alert_register(generation)),
                ..XscomFault::new(answer)
            });
            let found = bring_up::clear_alerts(&mut bench.hardware(0), &system, ChipId(0));
            assert_eq!(found, FoundAlerts::Unreachable, "{generation:?} {answer:?}");
        }
    }
}

/// The line on what recovery can do follows the registers.
#[test]
fn the_capability_is_what_the_registers_say() {
    let of = |bench: &Bench| {
        let system = bench.booted_system();
        bring_up::capability(&mut bench.hardware(0), &system)
    };
    let two = bench(Generation::Power9, 2, 1, 2);
    let found = of(&two);
    assert_eq!((found.chips, found.running_tods), (2, 2));
    assert_eq!(found.backup, Backup::Ready(ChipId(1)));
    let mut configuration = Configuration::new(Generation::Power9, 2, 1, 2);
    configuration.networks = vec![hardware_model::StepNetwork::default(); 2];
    configuration.networks[1].master_valid = [false; 2];
    assert_eq!(
        of(&Bench::new(configuration)).backup,
        Backup::NotReady(ChipId(1))
    );
    let one = bench(Generation::Power10, 1, 1, 2);
    assert_eq!(of(&one).backup, Backup::Nobody);
    let bits = power_registers::chip_tod::TodError::FSM_STATE_PARITY.bits();
    one.machine.inject(&Fault::Tod { chip: 0, bits });
    assert_eq!(of(&one).running_tods, 0);
}
