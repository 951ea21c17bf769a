//! A machine on which no TOD runs: time goes on from the best estimate.
//!
//! One chip, which is the master if there is one, is loaded as at boot and sends its time to all.
//! The estimate is the youngest TB that was good or, if it is plausible, TB as it stopped; plus the
//! spins since then. So TB is behind nothing that was seen before. That silicon takes a new time at
//! run time as it does at boot is not proven.
//!
//! A core whose TB runs on beside that would show another time than the rest. If there may be one, and
//! it did not say in time what it shows ([`super::suspicion`]), the steps of its chip are stopped first:
//! it loses TB and loads the estimate as well.

use super::restart::Restart;
use super::restart_error::RestartError;
use super::switch::STOP_MICROSECONDS;
use super::{TodPlace, is_running};
use crate::hardware::Hardware;
use crate::system::System;
use power_registers::TbState;
use power_registers::chip_tod::{
    FSM_STATE, LAST_STEP_BEFORE_SYNC, SYNC_PERIOD_TICKS, TodError, TodRegister,
};

/// Times that the TOD is loaded, if the sync comes too early.
const LOAD_TRIES: u32 = 20;
const TWO_PERIODS_MICROSECONDS: u64 = 32;
const LEAST_POLLS: u64 = 100;
const LEAST_SPINS: u64 = 20;

impl System<'_> {
    /// Starts the TOD of `source` from the estimate, and from it all others.
    pub(super) fn rebuild<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
        source: TodPlace,
    ) -> Result<(), RestartError> {
        let me = restart.tod;
        if !restart.timebase_runs {
            self.stop_timebases(hw, me)?;
        }
        if source != me {
            // What stopped it; its own cores see to the rest.
            let stopping = TodError::STOPPING.bits();
            self.tod_write(hw, source.chip, TodRegister::Error, stopping)?;
        }
        let mut tries = 1;
        loop {
            self.tod_trigger(hw, source.chip, TodRegister::LoadTodMod)?;
            self.tod_trigger(hw, source.chip, TodRegister::TxTtype5)?;
            self.await_early_in_period(hw, restart);
            let estimate = if restart.timebase_runs {
                // Others may know the time: no guess then.
                running_timebase(hw).ok_or(RestartError::TimebaseLost)?
            } else {
                self.expected(restart.lost)
            };
            let value = value_to_load(estimate);
            self.tod_write(hw, source.chip, TodRegister::LoadTod, value)?;
            // The TOD starts with the next sync: that must be the one that the value is for.
            let in_time = !restart.timebase_runs || hw.timebase() <= value;
            if in_time {
                break;
            }
            if tries == LOAD_TRIES {
                // It would run, whole periods behind TB.
                return Err(RestartError::TooLate);
            }
            tries += 1;
        }
        self.await_running(hw, restart, source)?;
        // It says so already while it waits for the sync at which it starts to count. A core that took
        // its value now would count at once.
        self.budget(TWO_PERIODS_MICROSECONDS, LEAST_SPINS)
            .elapse(hw);
        self.tod_trigger(hw, source.chip, TodRegister::TxTtype4)?;
        self.chip_tod.counters.count_rebuild();
        if source != me && !is_running(self.tod_fsm(hw, me)?) {
            // What was sent to all did not arrive here.
            self.follow(hw, restart)?;
        }
        Ok(())
    }

    /// With a running TB the value is exact, if no sync comes between reading TB and loading the TOD:
    /// waits until there is time.
    fn await_early_in_period<H: Hardware>(&self, hw: &mut H, restart: &mut Restart) {
        if !restart.timebase_runs {
            return;
        }
        let mut waiting = self.budget(TWO_PERIODS_MICROSECONDS, LEAST_POLLS);
        while hw.timebase() % SYNC_PERIOD_TICKS > SYNC_PERIOD_TICKS / 4 {
            match waiting.spin(hw) {
                Ok(spins) => restart.lost.spins += spins,
                Err(_) => return,
            }
        }
    }

    /// Stops the steps of the chips on which a core may have a TB that runs.
    fn stop_timebases<H: Hardware>(&self, hw: &mut H, me: TodPlace) -> Result<(), RestartError> {
        for tod in self.tods() {
            if !self.may_know(hw, tod) || has_no_steps(self.tod_fsm(hw, tod)?) {
                continue;
            }
            let stop = TodError::I_PATH_SYNC_CHECK.bits();
            self.tod_write(hw, tod.chip, TodRegister::ErrorInject, stop)?;
            let mut waiting = self.budget(STOP_MICROSECONDS, LEAST_POLLS);
            while !has_no_steps(self.tod_fsm(hw, tod)?) {
                waiting.spin(hw).map_err(|_| RestartError::Disputed)?;
            }
            if tod == me {
                self.tod_write(hw, tod.chip, TodRegister::Error, stop)?;
            }
        }
        Ok(())
    }
}

/// Whether an FSM value says that the TOD is in its error state, in which its cores get no steps.
const fn has_no_steps(fsm: u64) -> bool {
    fsm & FSM_STATE == 0 && !is_running(fsm)
}

/// TB, if TFMR says *after* it was read that it runs: an error may strike while a TOD is repaired, and
/// TB as it stops then may be damaged.
pub(super) fn running_timebase<H: Hardware>(hw: &mut H) -> Option<u64> {
    let timebase = hw.timebase();
    let tfmr = hw.tfmr();
    (tfmr.tb_usable() && tfmr.state() == TbState::Running).then_some(timebase)
}

/// The value for the TOD: one step before the next sync, so that it starts with it, and not behind
/// `timebase`.
pub(crate) const fn value_to_load(timebase: u64) -> u64 {
    let value = timebase & !(SYNC_PERIOD_TICKS - 1) | LAST_STEP_BEFORE_SYNC;
    if value < timebase {
        value.wrapping_add(SYNC_PERIOD_TICKS)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_value_is_one_step_before_a_sync_and_never_behind() {
        assert_eq!(value_to_load(0x1_2345_6789), 0x1_2345_7ff0);
        assert_eq!(value_to_load(0x1ff0), 0x1ff0);
        assert_eq!(value_to_load(0x1ff1), 0x3ff0);
        assert_eq!(value_to_load(0x1fff), 0x3ff0);
        assert_eq!(value_to_load(0) & 1, 0, "bit 63 of LOAD_TOD starts the TOD");
    }
}
