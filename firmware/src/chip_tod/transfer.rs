//! Where the TOD goes: to a core, by aiming at it; to another chip, which asks the network for it.

use super::restart::Restart;
use super::restart_error::RestartError;
use super::{ChipState, TodPlace, aim, is_running};
use crate::budget::Expired;
use crate::decisions::Table;
use crate::hardware::Hardware;
use crate::platform::Core;
use crate::system::System;
use crate::xscom::XscomError;
use core::sync::atomic::Ordering;
use power_registers::chip_tod::{ANSWERS_REQUESTS, TodError, TodRegister};
use spin::MutexGuard;

/// Longest wait for a TOD to run once it has its time: some sync periods of 16 us.
const START_MICROSECONDS: u64 = 2_000;
const LEAST_POLLS: u64 = 50;
/// Times that the network is asked for the time: what was sent may have had a parity error.
const REQUESTS: u32 = 2;
/// Tries to take a chip out of the answering mode.
const RELEASE_TRIES: u32 = 3;

const CONTROL: TodRegister = TodRegister::TxTtypeControl;

impl System<'_> {
    /// Aims the next MOVE_TOD_TO_TB of the core's chip at that core, under the chip lock. The chip
    /// goes on answering requests, if another chip's restart relies on it.
    pub(crate) fn tod_aim<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        core: &Core,
        _chip: &MutexGuard<'_, ChipState>,
    ) -> Result<(), XscomError> {
        let mut old = self.tod_read(hw, core.chip, CONTROL)?;
        let vain = &self.chip_tod.answers_in_vain;
        let in_vain = vain.load(Ordering::Acquire) & tod.bit() != 0;
        if in_vain {
            old &= !ANSWERS_REQUESTS;
        }
        let value = aim(self.platform, core, hw.pir(), old);
        self.tod_write(hw, core.chip, CONTROL, value)?;
        if in_vain {
            vain.fetch_and(!tod.bit(), Ordering::AcqRel);
        }
        Ok(())
    }

    /// Does `work` while `helper` answers requests of the network in the master's place. Whatever
    /// comes of it, the helper is taken out of that mode again.
    pub(super) fn with_helper<H: Hardware, T>(
        &self,
        hw: &mut H,
        helper: TodPlace,
        work: impl FnOnce(&mut H) -> T,
    ) -> Result<T, HelperError> {
        {
            let _chip = self.lock_chip(hw, helper)?;
            let old = self.tod_read(hw, helper.chip, CONTROL)?;
            let value = old | ANSWERS_REQUESTS;
            if let Err(error) = self.tod_write(hw, helper.chip, CONTROL, value) {
                // It may have been done for all that.
                self.release(hw, helper, old);
                return Err(error.into());
            }
        }
        let done = work(hw);
        match self.lock_chip(hw, helper) {
            // Whatever target is written here, the next transfer aims anew.
            Ok(_chip) => self.release(hw, helper, 0),
            Err(Expired { .. }) => self.note_in_vain(helper),
        }
        Ok(done)
    }

    /// Takes the chip out of the answering mode; or leaves that to the next aim.
    fn release<H: Hardware>(&self, hw: &mut H, helper: TodPlace, otherwise: u64) {
        for _ in 0..RELEASE_TRIES {
            let now = self.tod_read(hw, helper.chip, CONTROL);
            let value = now.unwrap_or(otherwise) & !ANSWERS_REQUESTS;
            if self.tod_write(hw, helper.chip, CONTROL, value).is_ok() {
                return;
            }
        }
        self.note_in_vain(helper);
    }

    fn note_in_vain(&self, helper: TodPlace) {
        let vain = &self.chip_tod.answers_in_vain;
        vain.fetch_or(helper.bit(), Ordering::AcqRel);
        self.chip_tod.counters.count_stubborn();
    }

    /// NOT_SET, and the time of whoever answers.
    pub(super) fn follow<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
    ) -> Result<(), RestartError> {
        let chip = restart.tod.chip;
        let mut requests = 0;
        loop {
            self.tod_trigger(hw, chip, TodRegister::LoadTodMod)?;
            self.tod_trigger(hw, chip, TodRegister::TxTtype3)?;
            requests += 1;
            match self.await_running(hw, restart, restart.tod) {
                Ok(()) => {
                    self.chip_tod.counters.count_followed();
                    return Ok(());
                }
                Err(error) if requests == REQUESTS => return Err(error),
                Err(_) => self.clear_transfer_errors(hw, restart.tod)?,
            }
        }
    }

    /// Clears what a failed transfer reported, so that the next one is judged by itself.
    fn clear_transfer_errors<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
    ) -> Result<(), XscomError> {
        let error = self.tod_read(hw, tod.chip, TodRegister::Error)?;
        let transfer = error & TodError::TRANSFER.bits();
        if transfer == 0 {
            return Ok(());
        }
        self.decisions.hit_all(Table::Tod, transfer);
        self.tod_write(hw, tod.chip, TodRegister::Error, transfer)
    }

    pub(super) fn await_running<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
        tod: TodPlace,
    ) -> Result<(), RestartError> {
        let mut waiting = self.budget(START_MICROSECONDS, LEAST_POLLS);
        loop {
            let fsm = self.tod_fsm(hw, tod)?;
            if is_running(fsm) {
                return Ok(());
            }
            restart.lost.spins += waiting
                .spin(hw)
                .map_err(|_| RestartError::NotRunning { fsm })?;
        }
    }
}

/// Why a helper could not be made to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HelperError {
    /// Its chip lock was not to be had.
    Held,
    /// Its register could not be reached.
    Xscom(XscomError),
}

impl From<Expired> for HelperError {
    fn from(_: Expired) -> Self {
        Self::Held
    }
}

impl From<XscomError> for HelperError {
    fn from(error: XscomError) -> Self {
        Self::Xscom(error)
    }
}
