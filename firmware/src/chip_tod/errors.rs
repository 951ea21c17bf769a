//! Repair of TOD errors that the ERROR register reports, and that TFMR shows as bit 51.

use super::{TodState, is_running};
use crate::hardware::{ChipId, Hardware};
use crate::quirks::never_zero_field;
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
const LEFT_ALONE: TodError = TodError::from_bits_retain(ibm(57));
/// Times that errors are looked for: new ones may come while the first are being repaired.
const ROUNDS: u32 = 3;

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
    /// parity errors from the cache, clears what else is unmasked, so that TFMR 51 drops. Errors
    /// that come meanwhile are repaired too.
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
        let mut repaired = TodError::empty();
        let result = match self.repair_all(hw, state, chip, index, &mut repaired) {
            // When the register cannot be read back, nothing is proven to be gone.
            Err(_) => TodRecovery::Failed,
            Ok(_) if repaired.is_empty() => TodRecovery::Nothing,
            Ok(failed) => {
                let runs =
                    !repaired.intersects(STOPPING) || self.tod_fsm(hw, chip).is_ok_and(is_running);
                if failed.is_empty() && runs {
                    TodRecovery::Recovered
                } else {
                    TodRecovery::Failed
                }
            }
        };
        if result != TodRecovery::Nothing {
            self.record(hw, Step::TodError, [repaired.bits(), result as u64]);
        }
        result
    }

    /// Repairs until no error is open, or gives up those that are; adds all of them to `tried`.
    fn repair_all<H: Hardware>(
        &self,
        hw: &mut H,
        state: &mut TodState,
        chip: ChipId,
        index: usize,
        tried: &mut TodError,
    ) -> Result<TodError, XscomError> {
        let mut failed = TodError::empty();
        for _ in 0..ROUNDS {
            let errors = self.open_errors(hw, state, chip, index)?;
            if errors.is_empty() {
                return Ok(failed);
            }
            *tried |= errors;
            let hopeless = self.repair(hw, state, chip, index, errors);
            state.given_up[index] |= hopeless.bits();
            failed |= hopeless;
        }
        let left = self.open_errors(hw, state, chip, index)?;
        state.given_up[index] |= left.bits();
        Ok(failed | left)
    }

    /// Errors that are reported, unmasked, and not given up.
    fn open_errors<H: Hardware>(
        &self,
        hw: &mut H,
        state: &mut TodState,
        chip: ChipId,
        index: usize,
    ) -> Result<TodError, XscomError> {
        let found = self.tod_read(hw, chip, TodRegister::Error)?;
        state.given_up[index] &= found;
        let open = found & !state.given_up[index];
        if open == 0 {
            return Ok(TodError::empty());
        }
        let mask = self.tod_read(hw, chip, TodRegister::ErrorMask).unwrap_or(0);
        Ok(TodError::from_bits_retain(open & !mask))
    }

    /// Repairs `errors`, and gives those that are beyond repair. A register is restored before its
    /// parity error is cleared, so nothing is cleared that is not in `errors`, save the set that
    /// firmware always clears as a whole.
    fn repair<H: Hardware>(
        &self,
        hw: &mut H,
        state: &TodState,
        chip: ChipId,
        index: usize,
        errors: TodError,
    ) -> TodError {
        let mut failed = TodError::empty();
        let mut known = TodError::FIRMWARE_CLEAR;
        if errors.intersects(TodError::FIRMWARE_CLEAR) {
            let all = TodError::FIRMWARE_CLEAR.bits();
            if self.tod_write(hw, chip, TodRegister::Error, all).is_err() {
                failed |= errors & TodError::FIRMWARE_CLEAR;
            }
        }
        let mut restored = TodError::empty();
        let registers = TodRegister::CACHED.into_iter().zip(TodError::CACHED_PARITY);
        for ((register, parity), cached) in registers.zip(state.cache[index]) {
            known |= parity;
            if !errors.contains(parity) {
                continue;
            }
            if cached.is_some_and(|cached| self.restore_register(hw, chip, register, cached)) {
                restored |= parity;
            } else {
                failed |= parity;
            }
        }
        // Any other error would hold TFMR 51 up for ever.
        let stray = errors.difference(known);
        failed |= stray & LEFT_ALONE;
        let stray = stray.difference(LEFT_ALONE);
        self.chip_tod
            .stray_errors
            .fetch_add(u64::from(stray.bits().count_ones()), Ordering::Relaxed);
        let clear = restored | stray;
        if !clear.is_empty()
            && self
                .tod_write(hw, chip, TodRegister::Error, clear.bits())
                .is_err()
        {
            failed |= clear;
        }
        failed
    }

    fn restore_register<H: Hardware>(
        &self,
        hw: &mut H,
        chip: ChipId,
        register: TodRegister,
        cached: u64,
    ) -> bool {
        let now = self.tod_read(hw, chip, register).ok();
        let plan = never_zero_field::restore(self.platform.generation, register, cached, now);
        if let Some(first) = plan.first
            && self.tod_write(hw, chip, register, first).is_err()
        {
            return false;
        }
        self.tod_write(hw, chip, register, plan.value).is_ok()
            && self.tod_read(hw, chip, register) == Ok(plan.value)
    }
}
