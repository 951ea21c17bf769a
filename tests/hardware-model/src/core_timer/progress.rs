//! What happens by itself: the state machine moves on, the TOD's value arrives.

use super::CoreTimer;
use crate::fault::CommandFailure;
use power_registers::{TbState, Tfmr};

impl CoreTimer {
    /// TB of every copy becomes the TOD's value and runs; gives whether it failed at once.
    fn run_from(&mut self, tod: u64, now: u64) -> bool {
        self.move_tod = None;
        self.transfer_at = None;
        if self.fails(CommandFailure::MoveParity) {
            self.fail(Tfmr::CHIP_TOD_PARITY_ERROR.bits(), now);
            return true;
        }
        self.enter(TbState::Running, now);
        for copy in &mut self.copies {
            copy.offset = tod.wrapping_sub(now);
        }
        self.enabled = true;
        if self.fails(CommandFailure::MoveResidue) {
            self.dirty_timebase();
            self.fail(Tfmr::TB_RESIDUE_ERROR.bits(), now);
            return true;
        }
        if self.starved(now) {
            self.fail(Tfmr::TB_MISSING_STEP.bits(), now);
            return true;
        }
        false
    }

    /// When something will happen by itself.
    pub(crate) fn due(&self) -> u64 {
        let mut due = self.transfer_at.unwrap_or(u64::MAX);
        if self.state == TbState::SendTodMod
            && let Some(command) = self.load_tod_mod
        {
            due = due.min(command.done_at);
        }
        if self.state == TbState::SyncWait && self.move_tod.is_some() {
            due = due.min(self.sync_due);
        }
        due
    }

    /// What is due by `now` happens; `tod` is the time of a running TOD. Gives whether an error
    /// came of it.
    pub(crate) fn advance(&mut self, now: u64, tod: Option<u64>) -> bool {
        let mut failed = false;
        if self.state == TbState::SendTodMod
            && self
                .load_tod_mod
                .is_some_and(|command| command.done_at <= now)
        {
            self.load_tod_mod = None;
            if core::mem::take(&mut self.load_times_out) {
                self.fail(Tfmr::CHIP_TOD_TIMEOUT.bits(), now);
                self.new_entry(true);
                failed = true;
            } else {
                self.enter(TbState::NotSet, now);
            }
        }
        if self.state == TbState::SyncWait && self.move_tod.is_some() && self.sync_due <= now {
            self.enter(TbState::GetTod, now);
        }
        if self.transfer_at.is_some_and(|at| at <= now) {
            self.transfer_at = None;
            if let Some(tod) = tod
                && self.state == TbState::GetTod
                && self.run_from(tod, now)
            {
                self.new_entry(true);
                failed = true;
            }
        }
        failed
    }

    /// The TOD sends its value; taken only in GET_TOD.
    pub(crate) fn receive_tod(&mut self, now: u64) -> bool {
        let taken = self.state == TbState::GetTod && self.move_tod.is_some() && !self.corrupt;
        if taken && self.transfer_at.is_none() && !self.fails(CommandFailure::MoveLost) {
            self.transfer_at = Some(now + self.command_ticks);
        }
        taken
    }
}
