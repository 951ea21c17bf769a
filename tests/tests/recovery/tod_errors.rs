//! Every bit of a ChipTOD's ERROR register.

use super::*;
use opal_abi::hmi_flags::{NEW_EVENT, TB_RESYNC, TOD_TB_FAIL};
use opaline_firmware::decisions::Table;
use opaline_firmware::hardware::ChipId;
use opaline_firmware::system::System;
use opaline_tests::Ran;
use power_registers::chip_tod::TodError;
use power_registers::ibm;

/// A machine that has FIRs, and whose chip 0 reports all bits, also those that are masked usually.
fn unmasked(generation: Generation, chips: usize) -> Bench {
    let bench = bench(generation, chips, 2, 2);
    for chip in 0..chips {
        for fir in [0x0104_000c, 0x0104_0102] {
            bench.machine.provide_scom(chip, fir, 0);
        }
    }
    let (system, chip) = (bench.system(), ChipId(0));
    system
        .tod_write(&mut bench.hardware(0), chip, TodRegister::ErrorMask, 0)
        .unwrap();
    bench
}

fn register(bench: &Bench, chip: usize, register: TodRegister) -> u64 {
    let value = bench.machine.peek_scom(chip, register.address());
    value.expect("a ChipTOD register")
}

fn strike(bench: &Bench, system: &System<'_>, bit: u32, seed: u64) -> Ran {
    let bits = ibm(bit);
    bench.machine.inject(&Fault::Tod { chip: 0, bits });
    bench.run(system, Schedule::Seeded(seed)).go()
}

/// Each bit alone, on each generation, on one chip and on the master of two: its event, the bit gone,
/// registers restored, TB right, the row of the table noted.
#[test]
fn every_single_bit() {
    for generation in GENERATIONS {
        for chips in [1, 2] {
            let mut rows = 0;
            for bit in 0..64 {
                let bench = unmasked(generation, chips);
                let system = bench.booted_system();
                let cached = TodRegister::CACHED.map(|cached| register(&bench, 0, cached));
                let before = bench.machine.timebase(0);
                let ran = strike(&bench, &system, bit, bit.into());
                // A TOD that was loaded shows its value from the next sync on.
                bench.machine.tick(hardware_model::SYNC_TICKS);
                let what = format!(
                    "{generation:?}, {chips} chips, bit {bit}: {:#x?}",
                    ran.events
                );

                let stops = (33..=35).contains(&bit);
                let events = match bit {
                    33..=35 => 2,
                    // Information.
                    38..=43 => 0,
                    _ => 1,
                };
                assert_eq!(ran.events.len(), events, "{what}");
                let leaves = bit == 57;
                assert!(
                    ran.events.iter().all(|event| event.recovered != leaves),
                    "{what}"
                );
                let error = register(&bench, 0, TodRegister::Error);
                assert_eq!(error, if leaves { ibm(57) } else { 0 }, "{what}");
                let restored = TodRegister::CACHED.map(|cached| register(&bench, 0, cached));
                assert_eq!(restored, cached, "{what}");
                for thread in 0..4 {
                    let flags = ran.flags(thread) & !NEW_EVENT;
                    assert_eq!(flags, if stops { TB_RESYNC } else { 0 }, "{what}");
                    let timebase = bench.machine.timebase(thread);
                    assert_eq!(timebase, bench.machine.tod_time(0), "{what}");
                    assert!(timebase >= before, "{what}");
                    if !stops || chips == 2 {
                        bench.assert_time(thread);
                    }
                }
                assert_eq!(
                    system.decisions.hits(Table::Tod) & ibm(bit),
                    ibm(bit),
                    "{what}"
                );
                rows |= system.decisions.hits(Table::Tod);
                bench.assert_hmer_clean(&ran);
                bench.assert_rules_kept();
            }
            assert_eq!(rows, u64::MAX);
        }
    }
}

/// Diagnostics hear of the bits that only they can judge, and of no others.
#[test]
fn diagnostics_are_told_of_some() {
    for generation in GENERATIONS {
        for bit in 0..64 {
            let bench = unmasked(generation, 1);
            let system = bench.booted_system();
            let _ = strike(&bench, &system, bit, 1);
            let told = [1, 2, 10, 20, 62].contains(&bit);
            assert_eq!(
                system.chip_tod.counters.told(),
                u64::from(told),
                "bit {bit}"
            );
        }
    }
}

/// A step check whose path stays dead reports again and again. It is masked, so TFMR 51 drops and the
/// interrupt ends; what is masked stays so, everything else is still reported.
#[test]
fn an_error_that_comes_again_and_again_is_masked() {
    for generation in GENERATIONS {
        for selected in [0, 1] {
            let mut configuration = Configuration::new(generation, 2, 2, 2);
            configuration.networks = vec![
                hardware_model::StepNetwork::default(),
                hardware_model::StepNetwork {
                    primary_slave: selected,
                    ..Default::default()
                },
            ];
            let bench = Bench::new(configuration);
            let system = bench.booted_system();
            bench.machine.inject(&Fault::SlavePath {
                chip: 1,
                path: selected,
                valid: false,
            });
            let check = ibm(if selected == 0 { 16 } else { 21 });
            if register(&bench, 1, TodRegister::Error) & check == 0 {
                // Not a failure of the firmware, but then this tests nothing.
                panic!("the model reports no step check");
            }
            let ran = bench.run(&system, Schedule::Seeded(3)).go();
            assert!(ran.events.len() <= 2, "{:#x?}", ran.events);
            assert!(
                ran.events.iter().all(|event| event.recovered),
                "{:#x?}",
                ran.events
            );
            let mask = register(&bench, 1, TodRegister::ErrorMask);
            assert_eq!(mask & check, check);
            assert_eq!(system.chip_tod.counters.masked(), 1);
            (0..4).for_each(|core| bench.assert_core_good(core));
            bench.assert_hmer_clean(&ran);

            bench.machine.inject(&Fault::Tod {
                chip: 1,
                bits: TodError::PARITY_05.bits(),
            });
            let ran = bench.run(&system, Schedule::Seeded(4)).go();
            assert_eq!(ran.events.len(), 1, "{:#x?}", ran.events);
            assert!(ran.events[0].recovered);
            (0..4).for_each(|core| bench.assert_core_good(core));
            bench.assert_rules_kept();
        }
    }
}

/// The same bit eight times within a second: repaired each time, then masked.
#[test]
fn a_bit_that_comes_too_often_is_masked() {
    for generation in GENERATIONS {
        let bench = unmasked(generation, 1);
        let system = bench.booted_system();
        for time in 1..=8 {
            let ran = strike(&bench, &system, 11, time);
            assert_eq!(ran.events.len(), 1, "{time}");
            let masked = register(&bench, 0, TodRegister::ErrorMask) != 0;
            assert_eq!(masked, time == 8, "{time}");
        }
        let ran = strike(&bench, &system, 11, 9);
        assert!(ran.events.is_empty());
        bench.assert_rules_kept();
    }
}

/// The same, but at most once in two seconds: it is never masked.
#[test]
fn a_bit_that_comes_now_and_then_is_not_masked() {
    let bench = unmasked(Generation::Power9, 1);
    let system = bench.booted_system();
    for time in 0..20 {
        bench.machine.tick(2 * 512_000_000);
        let ran = strike(&bench, &system, 11, time);
        assert_eq!(ran.events.len(), 1, "{time}");
    }
    assert_eq!(register(&bench, 0, TodRegister::ErrorMask), 0);
}

/// The TOD's value was damaged while TB ran on: the TOD gets the right time back, from the master or
/// from TB, and no core notices.
#[test]
fn a_damaged_value_is_replaced() {
    for generation in GENERATIONS {
        for (chips, struck) in [(1, 0), (2, 0), (2, 1), (3, 2)] {
            let bench = bench(generation, chips, 2, 2);
            let system = bench.booted_system();
            bench.machine.inject(&Fault::Tod {
                chip: struck,
                bits: ibm(27),
            });
            assert_ne!(bench.machine.tod_time(struck), bench.machine.true_time());
            let ran = bench.run(&system, Schedule::Seeded(6)).go();
            // A TOD that was loaded shows its value from the next sync on.
            bench.machine.tick(hardware_model::SYNC_TICKS);
            assert_eq!(ran.events.len(), 1, "{:#x?}", ran.events);
            assert!(ran.events[0].recovered);
            for thread in 0..bench.machine.configuration().threads() {
                assert_eq!(ran.flags(thread) & (TOD_TB_FAIL | TB_RESYNC), 0);
                bench.assert_time(thread);
            }
            assert_eq!(bench.machine.tod_time(struck), bench.machine.true_time());
            bench.assert_rules_kept();
        }
    }
}

/// A transfer that is lost with an error of the TOD is tried again, once the error is cleared.
#[test]
fn a_lost_transfer_is_tried_again() {
    for generation in GENERATIONS {
        for bit in [25, 49, 50, 51, 52, 55, 56] {
            for after in (0..600).step_by(20) {
                let bench = bench(generation, 1, 1, 2);
                let system = bench.booted_system();
                bench.machine.inject(&core_fault(0, CoreError::MissingStep));
                let bits = ibm(bit);
                let fault = Fault::Tod { chip: 0, bits };
                bench.machine.inject_after(after, fault);
                let ran = bench.run(&system, Schedule::Seeded(after)).go();
                assert!(
                    ran.events.iter().all(|event| event.recovered),
                    "{generation:?} bit {bit} at {after}: {:#x?}",
                    ran.events
                );
                if bench.machine.accesses() > after {
                    bench.assert_core_good(0);
                }
                bench.assert_rules_kept();
            }
        }
    }
}
