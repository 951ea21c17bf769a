//! The copies of TB and HDEC: their values, and whether they are dirty.

use super::CoreTimer;
use crate::random::Random;
use power_registers::TbState;

impl CoreTimer {
    pub(crate) fn timebase(&self, thread: usize, now: u64) -> u64 {
        let copy = &self.copies[self.copy_of[thread]];
        if self.state == TbState::Running {
            now.wrapping_add(copy.offset)
        } else {
            copy.frozen
        }
    }

    fn set_timebase(&mut self, thread: usize, value: u64, now: u64) {
        let running = self.state == TbState::Running;
        let copy = &mut self.copies[self.copy_of[thread]];
        if running {
            copy.offset = value.wrapping_sub(now);
        } else {
            copy.frozen = value;
        }
    }

    /// TB changes under the software's feet.
    pub(crate) fn damage_timebase(&mut self, thread: usize, value: u64, now: u64) {
        self.set_timebase(thread, value, now);
    }

    /// `mttbl`; gives whether it broke TB.
    pub(crate) fn write_lower(&mut self, thread: usize, value: u64, now: u64) -> bool {
        let broke = self.state == TbState::Running;
        if broke {
            self.fail(0, now);
        }
        let merged = self.timebase(thread, now) & !0xffff_ffff | value & 0xffff_ffff;
        self.set_timebase(thread, merged, now);
        self.copies[self.copy_of[thread]].dirty_lower = false;
        broke
    }

    /// `mttbu`.
    pub(crate) fn write_upper(&mut self, thread: usize, value: u64, now: u64) {
        let merged = self.timebase(thread, now) & 0xffff_ffff | value << 32;
        self.set_timebase(thread, merged, now);
        self.copies[self.copy_of[thread]].dirty_upper = false;
    }

    /// `mttbu40`: the low 24 bits keep counting.
    pub(crate) fn write_upper40(&mut self, thread: usize, value: u64, now: u64) {
        let merged = self.timebase(thread, now) & 0xff_ffff | value & !0xff_ffff;
        self.set_timebase(thread, merged, now);
    }

    pub(crate) fn write_hdec(&mut self, thread: usize, value: u64) {
        let copy = &mut self.copies[self.copy_of[thread]];
        copy.hdec = value;
        copy.dirty_hdec = false;
    }

    pub(crate) fn is_timebase_dirty(&self) -> bool {
        self.copies
            .iter()
            .any(|copy| copy.dirty_lower || copy.dirty_upper)
    }

    pub(crate) fn is_hdec_dirty(&self) -> bool {
        self.copies.iter().any(|copy| copy.dirty_hdec)
    }

    /// Every TB copy has a wrong residue until it is rewritten.
    pub(crate) fn dirty_timebase(&mut self) {
        for copy in &mut self.copies {
            copy.dirty_lower = true;
            copy.dirty_upper = true;
        }
    }

    /// Every HDEC copy has a wrong parity until it is rewritten.
    pub(crate) fn dirty_hdec(&mut self) {
        for copy in &mut self.copies {
            copy.dirty_hdec = true;
        }
    }

    /// What has a wrong residue or parity holds a wrong value.
    pub(crate) fn damage_copies(&mut self, random: &mut Random) {
        let stands = self.state != TbState::Running;
        for copy in &mut self.copies {
            if copy.dirty_lower && copy.dirty_upper && stands {
                copy.frozen ^= 1 << random.below(60);
            }
            if copy.dirty_hdec {
                copy.hdec ^= 1 << random.below(32);
            }
        }
    }
}
