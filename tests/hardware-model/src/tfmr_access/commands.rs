//! The commands of TFMR: what they do in which state, and what drops them.

use super::{CLEAR, CONTROL_ERROR, LOAD, MOVE, RESIDUE, WriteEffects};
use crate::core_timer::{CLEARED_BY_COMMAND, CoreTimer, InFlight};
use crate::fault::CommandFailure;
use power_registers::{TbState, Tfmr};

impl CoreTimer {
    /// A command in flight stays only if the write names it again.
    pub(super) fn keep_or_drop(
        &mut self,
        value: u64,
        writer: usize,
        now: u64,
        effects: &mut WriteEffects,
    ) {
        for (bit, moving) in [(LOAD, false), (MOVE, true)] {
            let slot = if moving {
                &mut self.move_tod
            } else {
                &mut self.load_tod_mod
            };
            let Some(command) = *slot else { continue };
            if value & bit != 0 && value & CLEAR == 0 {
                continue;
            }
            *slot = None;
            // Nothing stands in the way of these: dropping them is a waste at least. In ERROR nothing
            // ends but by CLEAR.
            let ends = if moving {
                self.transfer_at.take().is_some()
            } else {
                command.done_at != u64::MAX
            };
            let under_way = ends && self.state != TbState::Error;
            if value & CLEAR != 0
                && under_way
                && command.issuer.is_some_and(|issuer| issuer != writer)
            {
                effects.broke("CLEAR_TB_ERRORS dropped the command of another thread");
            }
            // LOAD_TOD_MOD leads out of SYNC_WAIT, if nobody else waits for the MOVE.
            if moving && value & LOAD != 0 && self.state == TbState::SyncWait {
                if command.issuer.is_some_and(|issuer| issuer != writer) {
                    effects.broke("LOAD_TOD_MOD dropped the MOVE of another thread");
                }
                continue;
            }
            if value & CLEAR == 0 && self.state != TbState::Error {
                if command.issuer.is_some() {
                    effects.broke("a TFMR write dropped a command in flight");
                }
                self.control_error(now, effects);
            }
        }
    }

    pub(super) fn clear_command(&mut self, clear: bool, now: u64) {
        if !clear {
            self.clear_armed = false;
            return;
        }
        if self.write_twice && !self.clear_armed {
            self.clear_armed = true;
            return;
        }
        self.clear_armed = false;
        self.clear_busy_until = now + self.command_ticks;
        if self.fails(CommandFailure::ClearIneffective) {
            return;
        }
        self.errors &= !CLEARED_BY_COMMAND;
        if self.is_timebase_dirty() {
            self.errors |= RESIDUE;
            self.enter(TbState::Error, now);
            return;
        }
        if self.state == TbState::Error && self.starved(now) {
            self.errors |= Tfmr::TB_MISSING_STEP.bits();
            return;
        }
        if !matches!(
            self.state,
            TbState::Reset | TbState::NotSet | TbState::Running
        ) {
            self.enter(TbState::Reset, now);
        }
    }

    pub(super) fn load_command(
        &mut self,
        thread: usize,
        now: u64,
        knew: bool,
        effects: &mut WriteEffects,
    ) {
        let mut in_flight = InFlight {
            issuer: Some(thread),
            done_at: now.saturating_add(self.command_ticks),
        };
        match self.state {
            TbState::Reset | TbState::NotSet | TbState::SyncWait | TbState::Running => {
                self.enabled = true;
                self.move_tod = None;
                self.transfer_at = None;
                self.load_times_out = self.fails(CommandFailure::LoadTimeout);
                if self.fails(CommandFailure::LoadStuck) {
                    in_flight.done_at = u64::MAX;
                }
                self.enter(TbState::SendTodMod, now);
            }
            TbState::SendTodMod => {}
            TbState::Error => {
                if knew {
                    effects.broke("LOAD_TOD_MOD in state ERROR");
                }
                in_flight.done_at = u64::MAX;
            }
            TbState::GetTod | TbState::Unknown(_) => {
                if knew {
                    effects.broke("LOAD_TOD_MOD in state GET_TOD");
                }
                self.control_error(now, effects);
            }
        }
        self.load_tod_mod = Some(in_flight);
    }

    pub(super) fn move_command(
        &mut self,
        thread: usize,
        now: u64,
        knew: bool,
        effects: &mut WriteEffects,
    ) {
        if self.state == TbState::NotSet {
            self.enter(TbState::SyncWait, now);
        } else {
            if knew {
                effects.broke("MOVE_CHIP_TOD_TO_TB outside NOT_SET");
            }
            self.control_error(now, effects);
        }
        self.move_tod = Some(InFlight {
            issuer: Some(thread),
            done_at: u64::MAX,
        });
    }

    pub(super) fn control_error(&mut self, now: u64, effects: &mut WriteEffects) {
        self.fail(CONTROL_ERROR, now);
        effects.timer_hmi = true;
    }
}
