//! A look at the TOD while TB runs: a value that went wrong unnoticed is found before a core loads it.
//!
//! TB runs by itself, so TB and TOD agree unless one of them is wrong. One core alone cannot tell
//! which; but two cores that differ from the TOD by the same, or one whose TB is the time of another
//! chip, are right and the TOD is not. Then it gets its time anew, in the way of a reported parity
//! error. A core alone on the only chip has no witness: there nothing is done.
//!
//! The OS polls for events every few seconds; that is when it is done, at most once a second for each
//! core, by two reads.

use super::TodPlace;
use crate::hardware::Hardware;
use crate::platform::ThreadPlace;
use crate::system::System;
use core::sync::atomic::{AtomicU64, Ordering};
use flight_recorder::Step;
use power_registers::chip_tod::TodRegister;

/// Between two looks of a core: 1 s.
const PERIOD_TICKS: u64 = 512_000_000;
/// Between what two cores found, in ticks: reading takes some microseconds. 1 ms.
const SAME_TICKS: u64 = 512_000;

/// What the cores of a chip found.
#[derive(Debug)]
pub(super) struct Watch {
    /// The core that found the TOD wrong, counted from 1.
    core: AtomicU64,
    /// The TOD's value minus TB, as that core found it.
    difference: AtomicU64,
}

impl Watch {
    pub(super) const fn new() -> Self {
        Self {
            core: AtomicU64::new(0),
            difference: AtomicU64::new(0),
        }
    }

    fn clear(&self) {
        if self.core.load(Ordering::Relaxed) != 0 {
            self.core.store(0, Ordering::Release);
        }
    }

    /// Notes what a core found, and gives whether another one found the same before. Two cores that
    /// note at once may spoil each other's note; then the next look decides.
    fn confirms(&self, core: usize, difference: u64) -> bool {
        let before = self.core.load(Ordering::Acquire);
        let same = self
            .difference
            .load(Ordering::Acquire)
            .wrapping_sub(difference) as i64;
        if before != 0 && before != core as u64 + 1 && same.unsigned_abs() <= SAME_TICKS {
            return true;
        }
        self.difference.store(difference, Ordering::Release);
        self.core.store(core as u64 + 1, Ordering::Release);
        false
    }
}

impl System<'_> {
    /// Looks at the TOD of the calling thread's chip, if it is time to. To be called in host
    /// context, by an OS that is at ease.
    pub fn watch_tod<H: Hardware>(&self, hw: &mut H) {
        let Some((core, place)) = self.find(hw.pir()) else {
            return;
        };
        let (_, Some(timebase)) = self.note_timebase_of(hw, core, place) else {
            return;
        };
        let Some(tod) = self.tod_of(self.platform.cores[place.core].chip) else {
            return;
        };
        if core.is_time_to_watch(timebase, PERIOD_TICKS) {
            self.compare(hw, tod, place);
        }
    }

    fn compare<H: Hardware>(&self, hw: &mut H, tod: TodPlace, place: ThreadPlace) {
        let watch = &self.chip_tod.watches[tod.index];
        let Some((value, before)) = self.reading(hw, tod) else {
            return;
        };
        let difference = value.wrapping_sub(before);
        if self.shows_timebase(hw, value, before) {
            return watch.clear();
        }
        let confirmed = watch.confirms(place.core, difference) || self.others_show_it(hw, tod);
        // TB may have been lost in the meantime: then the handler decides.
        if confirmed && hw.tfmr().tb_usable() {
            watch.clear();
            self.refuse_value(tod);
            self.record(hw, Step::TodRefused, [value, before]);
            // If it fails the TOD stays under suspicion, and nobody takes its time.
            let _ = self.makes_value_right(hw, tod);
        }
    }

    /// The value of a TOD that runs, and TB before it was read. 0 is no value: QEMU has none.
    fn reading<H: Hardware>(&self, hw: &mut H, tod: TodPlace) -> Option<(u64, u64)> {
        if !super::is_running(self.tod_fsm(hw, tod).ok()?) {
            return None;
        }
        let before = hw.timebase();
        let value = self.tod_read(hw, tod.chip, TodRegister::TodValue).ok()?;
        (value != 0).then_some((value, before))
    }

    /// Whether a value that was read after TB was `before` is TB's.
    fn shows_timebase<H: Hardware>(&self, hw: &mut H, value: u64, before: u64) -> bool {
        let after = hw.timebase();
        before.saturating_sub(SAME_TICKS) <= value && value <= after.saturating_add(SAME_TICKS)
    }

    /// Whether another chip's TOD shows what TB of this thread shows.
    fn others_show_it<H: Hardware>(&self, hw: &mut H, tod: TodPlace) -> bool {
        let mut others = self.tods().filter(|other| *other != tod);
        others.any(|other| {
            !self.is_suspect(other)
                && self
                    .reading(hw, other)
                    .is_some_and(|(value, before)| self.shows_timebase(hw, value, before))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cores_that_find_the_same_confirm_it() {
        let watch = Watch::new();
        let off = 1 << 40;
        assert!(!watch.confirms(0, off));
        assert!(
            !watch.confirms(0, off),
            "the same core is no second witness"
        );
        assert!(watch.confirms(3, off + 100));
        watch.clear();
        assert!(!watch.confirms(3, off));
        assert!(!watch.confirms(1, off + SAME_TICKS + 1), "something else");
        assert!(watch.confirms(2, off + SAME_TICKS + 5));
        let behind = 0_u64.wrapping_sub(7);
        assert!(!watch.confirms(4, behind));
        assert!(watch.confirms(5, behind.wrapping_add(9)));
    }
}
