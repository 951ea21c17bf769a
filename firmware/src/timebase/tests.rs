//! What stands in the way of the first initialisation, on the scripted machine.

use super::boot::{self, BootError};
use super::*;
use crate::hardware::{ChipId, Pir};
use crate::platform::{Chip, Generation, Platform, TodRole};
use crate::test_hardware::{Scripted, platform};
use flight_recorder::FlightRecorder;
use power_registers::chip_tod::TodRegister;
use power_registers::ibm;
use std::boxed::Box;

const BASE: u64 = 0x1212_0000_0000_0000;
const CORRUPT: u64 = Tfmr::TFMR_CORRUPT.bits();
const INTERRUPT: u64 = Tfmr::CHIP_TOD_INTERRUPT.bits();

struct Bench {
    hw: Scripted,
    platform: Platform,
    recorder: Box<FlightRecorder>,
}

impl Bench {
    fn new() -> Self {
        let mut hw = Scripted::new();
        hw.tfmr = BASE;
        Self {
            hw,
            platform: platform(Generation::Power9, 4),
            recorder: Box::new(FlightRecorder::new()),
        }
    }

    fn with<T>(&mut self, test: impl FnOnce(&mut Scripted, &System<'_>) -> T) -> T {
        let system = System::new(&self.platform, &self.recorder).unwrap();
        system.set_spins_per_microsecond(1);
        test(&mut self.hw, &system)
    }
}

fn master(hw: &mut Scripted, system: &System<'_>) -> Result<(), BootError> {
    boot::initialise_master(hw, system).map(drop)
}

fn core(hw: &mut Scripted, system: &System<'_>) -> Result<(), BootError> {
    boot::initialise_core(hw, system).map(drop)
}

#[test]
fn a_thread_that_nobody_knows_initialises_nothing() {
    let mut bench = Bench::new();
    bench.hw.pir = Pir(99);
    bench.with(|hw, system| {
        assert_eq!(master(hw, system), Err(BootError::UnknownThread));
        assert_eq!(core(hw, system), Err(BootError::UnknownThread));
        boot::clean_thread(hw, system);
        assert_eq!(hw.tfmr_writes, []);
    });
}

#[test]
fn without_a_tod_tfmr_has_its_base_value_all_the_same() {
    let mut bench = Bench::new();
    bench.platform.chips[0].chip_tod = None;
    bench.with(|hw, system| {
        for initialise in [master, core] {
            hw.tfmr_writes.clear();
            assert_eq!(initialise(hw, system), Err(BootError::NoChipTod));
            assert_eq!(hw.tfmr_writes, [BASE]);
        }
        assert_eq!(hw.scom_writes, []);
    });
}

#[test]
fn the_master_is_started_from_its_own_chip() {
    let mut bench = Bench::new();
    bench.platform.chips[0].chip_tod = Some(TodRole::Slave);
    let primary = ChipId(1);
    let other = Chip {
        id: primary,
        chip_tod: Some(TodRole::Primary),
        ..bench.platform.chips[0].clone()
    };
    bench.platform.chips.push(other);
    bench.with(|hw, system| {
        let refused = BootError::NotOnPrimary { primary };
        assert_eq!(master(hw, system), Err(refused));
        assert_eq!(hw.tfmr_writes, []);
        assert_eq!(hw.scom_writes, []);
    });
}

#[test]
fn what_others_hold_is_not_touched() {
    Bench::new().with(|hw, system| {
        let held = system.core(0).tfmr.try_lock().unwrap();
        assert_eq!(master(hw, system), Err(BootError::Held));
        assert_eq!(core(hw, system), Err(BootError::Held));
        boot::clean_thread(hw, system);
        assert_eq!(hw.tfmr_writes, []);
        drop(held);
        let (held, _) = system.lock_network(hw).unwrap();
        assert_eq!(master(hw, system), Err(BootError::Held));
        assert_eq!(hw.scom_writes, []);
        drop(held);
        let tod = system.tods().next().unwrap();
        let held = system.lock_chip(hw, tod).unwrap();
        let because = BootError::Reload(ReloadError::TodHeld);
        assert_eq!(core(hw, system), Err(because));
        assert_eq!(hw.tfmr & Tfmr::COMMANDS.bits(), 0);
        drop(held);
        assert_eq!(master(hw, system), Ok(()));
        assert_eq!(core(hw, system), Ok(()));
    });
}

#[test]
fn a_tfmr_that_is_corrupt_at_boot_is_cleaned() {
    let mut bench = Bench::new();
    bench.hw.tfmr |= CORRUPT;
    bench.with(|hw, system| {
        assert_eq!(master(hw, system), Ok(()));
        assert!(hw.tfmr().tb_usable());
    });
    let mut bench = Bench::new();
    bench.hw.tfmr |= CORRUPT;
    bench.hw.sticky = CORRUPT;
    bench.with(|hw, system| {
        let corrupt = BootError::Tfmr(TfmrError::Corrupt);
        assert_eq!(master(hw, system), Err(corrupt));
        assert_eq!(core(hw, system), Err(corrupt));
        assert_eq!(hw.scom_writes, []);
    });
}

#[test]
fn a_tod_that_does_not_start_or_keeps_its_error_is_said() {
    Bench::new().with(|hw, system| {
        hw.scom.insert(TodRegister::Fsm.address(), 0);
        let dead = BootError::TodNotRunning { fsm: 0 };
        assert_eq!(master(hw, system), Err(dead));
        assert_eq!(core(hw, system), Err(dead));
        assert_eq!(hw.tfmr & Tfmr::COMMANDS.bits(), 0);
    });
    Bench::new().with(|hw, system| {
        hw.scom.insert(TodRegister::Error.address(), ibm(57));
        hw.tfmr |= INTERRUPT;
        for initialise in [master, core] {
            let result = initialise(hw, system);
            assert!(
                matches!(
                    result,
                    Err(BootError::TodInterrupt(TfmrError::TimedOut { .. }))
                ),
                "{result:?}"
            );
        }
    });
}
