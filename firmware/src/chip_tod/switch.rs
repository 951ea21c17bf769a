//! The switch to the backup master, when the active one cannot be brought back.

use super::restart::Restart;
use super::restart_error::RestartError;
use super::topology::{Standing, Topology, role, selects_master_path_1, standing, steps_valid};
use super::{TodPlace, is_running};
use crate::hardware::Hardware;
use crate::system::System;
use crate::xscom::XscomError;
use core::sync::atomic::Ordering;
use power_registers::chip_tod::{TodError, TodRegister, TodRoles, TodStatus};

/// Longest wait for a TOD to stop after it was told to.
pub(super) const STOP_MICROSECONDS: u64 = 50;
const LEAST_POLLS: u64 = 10;
/// Tries to turn the step checkers on: without them a later failure goes unnoticed.
const CHECKER_TRIES: u32 = 3;

/// The master after a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewMaster {
    pub(super) tod: TodPlace,
    /// Whether it runs.
    pub(super) runs: bool,
}

impl System<'_> {
    /// Switches the topology if `master`, which does not run, has no steps to run by: they are not
    /// valid, or were found wrong. Gives the new master; `None` when there was no switch.
    ///
    /// # Errors
    /// [`RestartError::NoBackup`] when nobody can take over from a master without steps: then
    /// nothing was changed.
    pub(super) fn switch_if_needed<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
        in_use: Topology,
        master: TodPlace,
        own_status: TodStatus,
    ) -> Result<Option<NewMaster>, RestartError> {
        let me = restart.tod;
        let status = if master == me {
            Ok(own_status)
        } else {
            self.tod_status(hw, master)
        };
        // A master out of reach cannot be told to hand over.
        let Ok(status) = status else {
            return Ok(None);
        };
        let valid = steps_valid(self.role_of(hw, master, in_use)?, status, in_use);
        if valid && !self.steps_were_wrong(hw, me, master, status, in_use)? {
            return Ok(None);
        }
        let next = in_use.other();
        let backup = self.master_in(next).filter(|backup| *backup != master);
        let able = match backup {
            Some(backup) => self.can_take_over(hw, backup, next).then_some(backup),
            None => None,
        };
        let Some(backup) = able else {
            return if valid {
                Ok(None)
            } else {
                Err(RestartError::NoBackup)
            };
        };
        self.switch(hw, restart, master, backup, next).map(Some)
    }

    fn switch<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
        master: TodPlace,
        backup: TodPlace,
        next: Topology,
    ) -> Result<NewMaster, RestartError> {
        let me = restart.tod;
        self.stop_others(hw, me, backup);
        self.tod_trigger(hw, master.chip, TodRegister::TxTtype1)?;
        restart.switched = true;
        let status = self.tod_status(hw, backup)?;
        let switched = Topology::in_use(status) == Some(next);
        if !switched || !status.contains(TodStatus::ACTIVE_MASTER) {
            let status = status.bits();
            return Err(RestartError::TopologyUnclear { status });
        }
        self.chip_tod.counters.count_switch();
        let runs = is_running(self.tod_fsm(hw, backup)?);
        self.enable_step_checkers(hw, me);
        self.tell_diagnostics(hw, me);
        Ok(NewMaster { tod: backup, runs })
    }

    /// The part of a chip; its register is mostly in the cache.
    fn role_of<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        topology: Topology,
    ) -> Result<super::topology::Role, RestartError> {
        let register = TodRegister::PssMssControl;
        let cached = self.lock_chip(hw, tod)?.cache.get(register);
        let roles = match cached {
            Some(roles) => roles,
            None => self.tod_read(hw, tod.chip, register)?,
        };
        Ok(role(TodRoles::from_bits_retain(roles), topology))
    }

    /// Whether a step check struck on the master path that is selected.
    fn steps_were_wrong<H: Hardware>(
        &self,
        hw: &mut H,
        me: TodPlace,
        master: TodPlace,
        status: TodStatus,
        in_use: Topology,
    ) -> Result<bool, XscomError> {
        let errors = if master == me {
            // The repair of this chip's errors has left them for here.
            self.chip_tod.held_back[me.index].load(Ordering::Acquire)
        } else {
            self.tod_read(hw, master.chip, TodRegister::Error)?
        };
        let path = if selects_master_path_1(status, in_use) {
            TodError::M_PATH_1_STEP_CHECK
        } else {
            TodError::M_PATH_0_STEP_CHECK
        };
        Ok(errors & path.bits() != 0)
    }

    /// Whether a chip says that it can be the master in this topology, which is not in use.
    pub(crate) fn can_take_over<H: Hardware>(
        &self,
        hw: &mut H,
        backup: TodPlace,
        next: Topology,
    ) -> bool {
        let Ok(status) = self.tod_status(hw, backup) else {
            return false;
        };
        let Ok(role) = self.role_of(hw, backup, next) else {
            return false;
        };
        let valid = steps_valid(role, status, next);
        standing(status, valid) == Standing::BackupMaster
    }

    /// Stops the TODs that will follow the new master, so that none goes on with the old time. They
    /// are restarted by their own cores. One that stands already is left alone: its error would call
    /// its cores, and where the switch fails, two chips would call one another for ever.
    fn stop_others<H: Hardware>(&self, hw: &mut H, me: TodPlace, backup: TodPlace) {
        let stop = TodError::I_PATH_SYNC_CHECK.bits();
        for tod in self.tods().filter(|tod| *tod != me && *tod != backup) {
            let fsm = self.tod_read(hw, tod.chip, TodRegister::Fsm);
            if fsm.is_ok_and(|fsm| !is_running(fsm)) {
                continue;
            }
            let injected = self.tod_write(hw, tod.chip, TodRegister::ErrorInject, stop);
            if injected.is_err() || !self.stops(hw, tod) {
                self.chip_tod.counters.count_stubborn();
            }
        }
    }

    fn stops<H: Hardware>(&self, hw: &mut H, tod: TodPlace) -> bool {
        let mut waiting = self.budget(STOP_MICROSECONDS, LEAST_POLLS);
        loop {
            let fsm = self.tod_read(hw, tod.chip, TodRegister::Fsm);
            if !fsm.is_ok_and(is_running) {
                return fsm.is_ok();
            }
            if waiting.spin(hw).is_err() {
                return false;
            }
        }
    }

    /// A switch disables them on all chips.
    fn enable_step_checkers<H: Hardware>(&self, hw: &mut H, tod: TodPlace) {
        for _ in 0..CHECKER_TRIES {
            if self
                .tod_trigger(hw, tod.chip, TodRegister::TxTtype2)
                .is_ok()
            {
                return;
            }
        }
        self.chip_tod.counters.count_stubborn();
    }
}
