//! TODs whose value had a parity error, or was refused: they run, but with which time?
//!
//! Beside a TB that runs the TOD is compared with it. Where TB is lost, with the best estimate. Until
//! then nobody takes the time of such a TOD, neither a core nor another chip.

use super::TodPlace;
use super::error_table::{Remedy, bits_with};
use super::rebuild::running_timebase;
use super::restart::{Lost, Restart};
use crate::hardware::Hardware;
use crate::system::System;
use core::sync::atomic::Ordering;
use power_registers::Tfmr;
use power_registers::chip_tod::TodRegister;

/// How far the value of a TOD under suspicion may be from the estimate: 10 ms.
const SUSPECT_TOLERANCE_TICKS: u64 = 5_120_000;
/// How far the TOD's value may be from TB: reading it takes some microseconds. 1 ms.
const VALUE_TOLERANCE_TICKS: u64 = 512_000;

impl System<'_> {
    /// Whether the time that came from `source` can be trusted. Beside a TB that runs it must be the
    /// same; if the value of `source` had a parity error, which its own cores may not have looked at
    /// yet, it must be near the estimate; otherwise a third chip must not contradict it.
    pub(super) fn is_trusted<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
        source: TodPlace,
    ) -> bool {
        if restart.timebase_runs {
            return self.value_is_right(hw, restart.tod);
        }
        if self.reports_its_value(hw, source) || self.is_suspect(source) {
            return self.is_near_estimate(hw, restart);
        }
        let (me, lost) = (restart.tod, restart.lost);
        let value = |hw: &mut H| self.tod_read(hw, me.chip, TodRegister::TodValue).ok();
        if lost.refused {
            return value(hw).is_some_and(|value| self.is_as_expected(value, lost));
        }
        let contradicted = self.is_contradicted(hw, value, &[me, source], lost);
        restart.disputed |= contradicted;
        !contradicted
    }

    /// Whether a TOD says that its value had a parity error. What cannot be asked is not under
    /// suspicion.
    fn reports_its_value<H: Hardware>(&self, hw: &mut H, tod: TodPlace) -> bool {
        let parity = bits_with(|remedy| remedy == Remedy::CheckValue).bits();
        self.tod_read(hw, tod.chip, TodRegister::Error)
            .is_ok_and(|error| error & parity != 0)
    }

    /// For who loads TB without a look at the TOD's errors, which are left to the HMI that they
    /// raised: a value that is reported, but was not looked at yet, is under suspicion from now on.
    pub(crate) fn suspect_what_is_reported<H: Hardware>(&self, hw: &mut H, tod: TodPlace) {
        if hw.tfmr().contains(Tfmr::CHIP_TOD_INTERRUPT) && self.reports_its_value(hw, tod) {
            let suspects = &self.chip_tod.suspects;
            suspects.fetch_or(tod.bit(), Ordering::AcqRel);
        }
    }

    fn is_near_estimate<H: Hardware>(&self, hw: &mut H, restart: &Restart) -> bool {
        let estimate = self.estimate(hw, restart);
        self.tod_read(hw, restart.tod.chip, TodRegister::TodValue)
            .is_ok_and(|value| value.abs_diff(estimate) <= SUSPECT_TOLERANCE_TICKS)
    }

    /// Whether the value of a TOD had a parity error and was not found right since.
    pub(crate) fn is_suspect(&self, tod: TodPlace) -> bool {
        self.chip_tod.suspects.load(Ordering::Acquire) & tod.bit() != 0
    }

    /// Whether a TOD that runs has a value to load TB from.
    pub(crate) fn has_good_value<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        lost: Lost,
    ) -> bool {
        if !self.is_suspect(tod) {
            return true;
        }
        let restart = Restart::new(tod, false, lost);
        let good = self.is_near_estimate(hw, &restart);
        if good {
            let suspects = &self.chip_tod.suspects;
            suspects.fetch_and(!tod.bit(), Ordering::AcqRel);
        }
        good
    }

    /// Compares the TOD's value with TB, and gives it the right one if it is wrong.
    pub(super) fn makes_value_right<H: Hardware>(&self, hw: &mut H, tod: TodPlace) -> bool {
        if self.value_is_right(hw, tod) {
            let suspects = &self.chip_tod.suspects;
            suspects.fetch_and(!tod.bit(), Ordering::AcqRel);
            return true;
        }
        self.restart_beside_running_timebase(hw, tod).is_ok()
    }

    /// Whether the TOD's value is what TB shows. TB runs by itself, from a value that was right.
    fn value_is_right<H: Hardware>(&self, hw: &mut H, tod: TodPlace) -> bool {
        let Some(timebase) = running_timebase(hw) else {
            return false;
        };
        self.tod_read(hw, tod.chip, TodRegister::TodValue)
            .is_ok_and(|value| value.abs_diff(timebase) <= VALUE_TOLERANCE_TICKS)
    }
}
