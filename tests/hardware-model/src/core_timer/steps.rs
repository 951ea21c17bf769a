//! Steps and sync pulses, as far as they reach one core.

use super::CoreTimer;
use crate::SYNC_TICKS;
use power_registers::TbState;

impl CoreTimer {
    pub(super) fn next_sync(&self, now: u64) -> u64 {
        if self.steps && self.steps_lost_until != u64::MAX {
            (now.max(self.steps_lost_until) / SYNC_TICKS + 1) * SYNC_TICKS
        } else {
            u64::MAX
        }
    }

    /// The steps and sync pulses of the chip begin or end.
    pub(crate) fn set_steps(&mut self, steps: bool, now: u64) {
        if steps == self.steps {
            return;
        }
        self.sync_occurred = self.synced(now);
        self.sync_from = now;
        self.steps = steps;
        if self.state == TbState::SyncWait {
            self.sync_due = self.next_sync(now);
        }
    }

    /// No step reaches the core before `until`.
    pub(crate) fn lose_steps(&mut self, until: u64, now: u64) {
        self.sync_occurred = self.synced(now);
        self.sync_from = until;
        self.steps_lost_until = until;
        if self.state == TbState::SyncWait {
            self.sync_due = self.next_sync(now);
        }
    }

    /// Whether no step reaches this core although its chip has some.
    pub(crate) const fn starved(&self, now: u64) -> bool {
        now < self.steps_lost_until
    }

    /// Whether a sync pulse came since TFMR was last written.
    pub(crate) const fn synced(&self, now: u64) -> bool {
        self.sync_occurred
            || self.steps && !self.starved(now) && now / SYNC_TICKS > self.sync_from / SYNC_TICKS
    }

    /// TFMR was written.
    pub(crate) const fn forget_sync(&mut self, now: u64) {
        self.sync_occurred = false;
        self.sync_from = now;
    }
}
