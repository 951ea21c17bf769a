//! PURR and SPURR as last known: what to write when their parity is bad.
//!
//! From 0 they would go backwards, and the OS would account a negative time. PURR counts no faster
//! than TB, so what was known plus the ticks of TB since then is not behind what the OS saw; of
//! SPURR that holds as long as the core ran no faster than nominal.
//!
//! Source: HMI and ChipTOD specification, section 2.5.

use crate::hardware::Hardware;
use crate::platform::ThreadPlace;
use crate::system::System;
use core::sync::atomic::{AtomicU64, Ordering};
use power_registers::Tfmr;

/// What one thread last knew; only that thread writes and reads it.
#[derive(Debug)]
pub(crate) struct Accounting {
    purr: Sample,
    spurr: Sample,
}

/// A register, and TB then. Nothing is known as long as both are 0.
#[derive(Debug)]
struct Sample {
    value: AtomicU64,
    /// 0: TB was not good.
    timebase: AtomicU64,
}

impl Sample {
    const fn new() -> Self {
        Self {
            value: AtomicU64::new(0),
            timebase: AtomicU64::new(0),
        }
    }

    fn note(&self, value: u64, timebase: Option<u64>) {
        self.value.store(value, Ordering::Relaxed);
        self.timebase
            .store(timebase.unwrap_or(0), Ordering::Relaxed);
    }

    fn estimate(&self, timebase: Option<u64>) -> u64 {
        let then = self.timebase.load(Ordering::Relaxed);
        let elapsed = match timebase {
            Some(now) if then != 0 => now.saturating_sub(then),
            _ => 0,
        };
        self.value.load(Ordering::Relaxed).wrapping_add(elapsed)
    }
}

impl Accounting {
    pub(crate) const fn new() -> Self {
        Self {
            purr: Sample::new(),
            spurr: Sample::new(),
        }
    }
}

/// A register whose parity can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// PURR.
    Purr,
    /// SPURR.
    Spurr,
}

impl System<'_> {
    /// Remembers TB, PURR and SPURR, each if TFMR calls it good after it was read.
    ///
    /// To be called in host context when a thread comes to the firmware for its timers.
    pub fn note_timers<H: Hardware>(&self, hw: &mut H) {
        let Some((core, place)) = self.find(hw.pir()) else {
            return;
        };
        let (purr, spurr) = (hw.purr(), hw.spurr());
        let (tfmr, timebase) = self.note_timebase_of(hw, core, place);
        if tfmr.contains(Tfmr::TFMR_CORRUPT) {
            return;
        }
        let known = core.accounting(place.thread);
        if !tfmr.contains(Tfmr::PURR_PARITY) {
            known.purr.note(purr, timebase);
        }
        if !tfmr.contains(Tfmr::SPURR_PARITY) {
            known.spurr.note(spurr, timebase);
        }
    }

    /// The value for a register of this thread that is lost.
    pub(crate) fn last_known<H: Hardware>(
        &self,
        hw: &mut H,
        place: ThreadPlace,
        register: Register,
    ) -> u64 {
        let timebase = hw.tfmr().tb_usable().then(|| hw.timebase());
        let known = self.core(place.core).accounting(place.thread);
        match register {
            Register::Purr => known.purr.estimate(timebase),
            Register::Spurr => known.spurr.estimate(timebase),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_known_goes_on_with_timebase() {
        let known = Sample::new();
        assert_eq!(known.estimate(Some(500)), 0, "nothing is known");
        known.note(70, Some(1000));
        assert_eq!(known.estimate(Some(1300)), 370);
        assert_eq!(known.estimate(None), 70, "TB is broken");
        assert_eq!(known.estimate(Some(900)), 70, "TB went back");
        known.note(80, None);
        assert_eq!(known.estimate(Some(5000)), 80, "TB was broken then");
    }
}
