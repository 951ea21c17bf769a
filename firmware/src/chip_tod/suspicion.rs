//! TODs whose value had a parity error, or was refused: they run, but with which time?
//!
//! Beside a TB that runs the TOD is compared with it: by each thread that comes, since the first may
//! lose its TB meanwhile. Who has lost TB waits for those, if there are any on that chip. Only where no
//! TB runs that could tell is the best estimate asked. Until then nobody takes the time of such a TOD,
//! neither a core nor another chip.

use super::error_table::{Remedy, bits_with};
use super::rebuild::running_timebase;
use super::restart::{Lost, Restart};
use super::{TodPlace, is_running};
use crate::hardware::Hardware;
use crate::platform::ThreadPlace;
use crate::system::System;
use crate::xscom::XscomError;
use core::sync::atomic::Ordering;
use power_registers::Tfmr;
use power_registers::chip_tod::TodRegister;

/// How far the value of a TOD under suspicion may be from the estimate: 10 ms.
const SUSPECT_TOLERANCE_TICKS: u64 = 5_120_000;
/// How far the TOD's value may be from the TB before and after it was read: both count the same
/// steps. 4 us.
const VALUE_TOLERANCE_TICKS: u64 = 2_048;
/// How long the cores whose TB runs have for setting the value right: 10 ms.
const JUDGEMENT_MICROSECONDS: u64 = 10_000;
const LEAST_SPINS: u64 = 1_000;
/// While others are awaited, their TOD is asked every so many turns.
const TURNS_PER_LOOK: u64 = 16;

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
        if self.is_doubtful(hw, source) {
            if self.may_know(hw, source) {
                restart.doubted |= source.bit();
                return false;
            }
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

    fn is_doubtful<H: Hardware>(&self, hw: &mut H, tod: TodPlace) -> bool {
        // In this order: who clears the error notes the suspicion before.
        self.is_suspect(tod) || self.reports_its_value(hw, tod) || self.is_suspect(tod)
    }

    /// Whether another core of this chip than the caller's may know the time: its TB is not known to be
    /// lost.
    #[inline(never)]
    pub(super) fn may_know<H: Hardware>(&self, hw: &H, tod: TodPlace) -> bool {
        let me = self.platform.place(hw.pir()).map(|place| place.core);
        let mut cores = self.platform.cores.iter().enumerate();
        cores.any(|(index, core)| {
            core.chip == tod.chip && Some(index) != me && self.core(index).may_know_time()
        })
    }

    /// Waits until the value of one of these TODs, a bit for each, is found right or set right by a core
    /// whose TB runs; not for ever, and not where there is none.
    pub(super) fn await_judgement<H: Hardware>(&self, hw: &mut H, tods: u64, lost: &mut Lost) {
        let mut waiting = self.budget(JUDGEMENT_MICROSECONDS, LEAST_SPINS);
        let mut turns = 0_u64;
        while lost.patient {
            if turns.is_multiple_of(TURNS_PER_LOOK) {
                let (mut judged, mut judges) = (false, false);
                for tod in self.tods().filter(|tod| tods & tod.bit() != 0) {
                    judged |= !self.is_doubtful(hw, tod);
                    judges |= self.may_know(hw, tod);
                }
                if judged || !judges {
                    return;
                }
            }
            turns += 1;
            match waiting.spin(hw) {
                Ok(spins) => lost.spins += spins,
                Err(_) => lost.patient = false,
            }
        }
    }

    /// FSM of a TOD; one that does not run since somebody gives it another time is asked again when that
    /// is done, or when it takes too long.
    pub(crate) fn fsm_after_restart<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
    ) -> Result<u64, XscomError> {
        let mut waiting = self.budget(JUDGEMENT_MICROSECONDS, LEAST_SPINS);
        loop {
            let epoch = self.chip_tod.epoch();
            let fsm = self.tod_fsm(hw, tod)?;
            let settled = is_running(fsm) || self.chip_tod.kept_its_time(tod, epoch);
            if settled || waiting.spin(hw).is_err() {
                return Ok(fsm);
            }
        }
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
        let estimate = self.expected(restart.lost);
        self.tod_read(hw, restart.tod.chip, TodRegister::TodValue)
            .is_ok_and(|value| value.abs_diff(estimate) <= SUSPECT_TOLERANCE_TICKS)
    }

    /// Whether the value of a TOD had a parity error and was not found right since.
    pub(crate) fn is_suspect(&self, tod: TodPlace) -> bool {
        self.chip_tod.suspects.load(Ordering::Acquire) & tod.bit() != 0
    }

    /// Whether a TOD that runs has a value to load TB from. Near the estimate is not good enough as long
    /// as another core may know better: it would go on with another time.
    pub(crate) fn has_good_value<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        lost: &mut Lost,
    ) -> bool {
        if !self.is_suspect(tod) {
            return true;
        }
        self.await_judgement(hw, tod.bit(), lost);
        if !self.is_suspect(tod) {
            return true;
        }
        if self.may_know(hw, tod) {
            return false;
        }
        let restart = Restart::new(tod, false, *lost);
        let good = self.is_near_estimate(hw, &restart);
        if good {
            let suspects = &self.chip_tod.suspects;
            suspects.fetch_and(!tod.bit(), Ordering::AcqRel);
        }
        good
    }

    /// For a thread whose TB runs, and that leaves the errors of its TOD to another, which may have lost
    /// TB since: is there a suspicion that it can end?
    pub(crate) fn judge_value<H: Hardware>(&self, hw: &mut H, place: ThreadPlace) {
        if let Some(tod) = self.tod_of(self.platform.cores[place.core].chip)
            && self.is_suspect(tod)
            && self
                .core(place.core)
                .is_first_to_judge(self.chip_tod.epoch())
            && running_timebase(hw).is_some()
        {
            // If it fails that is said by who repairs the error, or loads TB.
            let _ = self.makes_value_right(hw, tod);
        }
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
        let before = hw.timebase();
        let value = self.tod_read(hw, tod.chip, TodRegister::TodValue);
        let (Ok(value), Some(after)) = (value, running_timebase(hw)) else {
            return false;
        };
        before.saturating_sub(VALUE_TOLERANCE_TICKS) <= value
            && value <= after.saturating_add(VALUE_TOLERANCE_TICKS)
    }
}
