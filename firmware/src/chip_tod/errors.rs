//! Repair of TOD errors that the ERROR register reports, and that TFMR shows as bit 51.

use super::{TodState, is_running, quirks};
use crate::hardware::{ChipId, Hardware};
use crate::system::System;
use crate::xscom::XscomError;
use core::sync::atomic::Ordering;
use flight_recorder::Step;
use power_registers::chip_tod::{TodError, TodRegister};
use power_registers::ibm;

/// Errors that stop the TOD.
const STOPPING: TodError = TodError::I_PATH_SYNC_CHECK
    .union(TodError::FSM_STATE_PARITY)
    .union(TodError::TIME_REGISTER_PARITY);
/// "External checkstop seen": left for diagnostics.
const LEFT_ALONE: u64 = ibm(57);

/// How the repair of TOD errors ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum TodRecovery {
    /// No error is there: another thread was faster.
    Nothing = 0,
    /// All errors are gone, and the TOD runs.
    Recovered = 1,
    /// Something could not be read, restored or cleared, or the TOD has stopped.
    Failed = 2,
}

impl System<'_> {
    /// Repairs the errors of one chip's TOD: clears what firmware clears, restores registers with
    /// parity errors from the cache, then clears what is left and unmasked, so that TFMR 51 drops.
    ///
    /// Whatever could not be repaired is remembered and counts as an error no more, so that it is
    /// reported once and not by each thread of the chip.
    pub(crate) fn recover_tod_errors<H: Hardware>(
        &self,
        hw: &mut H,
        state: &mut TodState,
        chip: ChipId,
    ) -> TodRecovery {
        let Some(index) = self
            .platform
            .chips
            .iter()
            .position(|found| found.id == chip)
        else {
            return TodRecovery::Failed;
        };
        let Ok(found) = self.tod_read(hw, chip, TodRegister::Error) else {
            return TodRecovery::Failed;
        };
        state.given_up[index] &= found;
        let errors = TodError::from_bits_retain(found & !state.given_up[index]);
        let result = if errors.is_empty() {
            TodRecovery::Nothing
        } else {
            let failed = self.repair(hw, state, chip, index, errors);
            state.given_up[index] |= failed.bits();
            let runs = !errors.intersects(STOPPING) || self.tod_fsm(hw, chip).is_ok_and(is_running);
            if failed.is_empty() && runs {
                TodRecovery::Recovered
            } else {
                TodRecovery::Failed
            }
        };
        if result != TodRecovery::Nothing {
            self.record(hw, Step::TodError, [found, result as u64]);
        }
        result
    }

    /// Repairs and gives the errors that stay.
    fn repair<H: Hardware>(
        &self,
        hw: &mut H,
        state: &TodState,
        chip: ChipId,
        index: usize,
        errors: TodError,
    ) -> TodError {
        let mut failed = TodError::empty();
        if errors.intersects(TodError::FIRMWARE_CLEAR) {
            let all = TodError::FIRMWARE_CLEAR.bits();
            if self.tod_write(hw, chip, TodRegister::Error, all).is_err() {
                failed |= errors & TodError::FIRMWARE_CLEAR;
            }
        }
        let mut restored = TodError::empty();
        let registers = TodRegister::CACHED.into_iter().zip(TodError::CACHED_PARITY);
        for ((register, parity), cached) in registers.zip(state.cache[index]) {
            if !errors.contains(parity) {
                continue;
            }
            if cached.is_some_and(|cached| self.restore_register(hw, chip, register, cached)) {
                restored |= parity;
            } else {
                failed |= parity;
            }
        }
        if !restored.is_empty()
            && self
                .tod_write(hw, chip, TodRegister::Error, restored.bits())
                .is_err()
        {
            failed |= restored;
        }
        let settled = failed.bits() | state.given_up[index];
        // When the register cannot be read back, nothing is proven to be gone.
        failed | self.clear_stray_errors(hw, chip, settled).unwrap_or(errors)
    }

    fn restore_register<H: Hardware>(
        &self,
        hw: &mut H,
        chip: ChipId,
        register: TodRegister,
        cached: u64,
    ) -> bool {
        let now = self.tod_read(hw, chip, register).ok();
        let plan = quirks::restore(self.platform.generation, register, cached, now);
        if let Some(first) = plan.first
            && self.tod_write(hw, chip, register, first).is_err()
        {
            return false;
        }
        self.tod_write(hw, chip, register, plan.value).is_ok()
            && self.tod_read(hw, chip, register) == Ok(plan.value)
    }

    /// Any other unmasked error would hold TFMR 51 up for ever: clears it, counts it, and gives
    /// what does not go. `settled` are errors that were dealt with, well or badly.
    fn clear_stray_errors<H: Hardware>(
        &self,
        hw: &mut H,
        chip: ChipId,
        settled: u64,
    ) -> Result<TodError, XscomError> {
        let left = self.tod_read(hw, chip, TodRegister::Error)? & !settled;
        if left == 0 {
            return Ok(TodError::empty());
        }
        let mask = self.tod_read(hw, chip, TodRegister::ErrorMask).unwrap_or(0);
        let stray = left & !mask;
        let cleared = stray & !LEFT_ALONE;
        if cleared != 0 {
            let count = u64::from(cleared.count_ones());
            self.chip_tod
                .stray_errors
                .fetch_add(count, Ordering::Relaxed);
            self.tod_write(hw, chip, TodRegister::Error, cleared)?;
        }
        let after = self.tod_read(hw, chip, TodRegister::Error)?;
        Ok(TodError::from_bits_retain(after & stray))
    }
}
