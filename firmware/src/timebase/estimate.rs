//! What TB should be while the hardware cannot say: the value to put into a TB that is not running.
//!
//! The transfer from the TOD replaces it. If that fails the OS goes on with the estimate, so it
//! must be near the truth, and never behind what was seen before.

use crate::hardware::Hardware;
use crate::hmi::core_state::CoreState;
use crate::platform::ThreadPlace;
use crate::quirks::latched_errors::latched;
use crate::system::System;
use power_registers::Tfmr;

/// How far TB may be ahead of its last good value and still be believed: 2^45 ticks, 19 hours.
///
/// A machine may run for long without an HMI; a damaged TB that lands in this window by chance has
/// one chance in half a million.
const PLAUSIBLE_AHEAD_TICKS: u64 = 1 << 45;

/// The best estimate of TB for this thread: TB itself when it is plausible and had no residue error,
/// else the youngest TB that was ever good.
pub(crate) fn seed<H: Hardware>(hw: &mut H, system: &System<'_>, place: ThreadPlace) -> u64 {
    let core = system.core(place.core);
    let own = core.last_good_timebase(place.thread);
    let newest = system.newest_good_timebase();
    if core.plan().damaged && newest != 0 {
        return newest;
    }
    choose(hw.timebase(), own, newest)
}

fn choose(now: u64, own_last_good: u64, newest_good: u64) -> u64 {
    if own_last_good == 0 && newest_good == 0 {
        // Nothing is known: what is there is the best there is.
        return now;
    }
    let reference = if own_last_good == 0 {
        newest_good
    } else {
        own_last_good
    };
    match now.checked_sub(reference) {
        Some(ahead) if ahead <= PLAUSIBLE_AHEAD_TICKS => now,
        _ => own_last_good.max(newest_good),
    }
}

/// Writes `value` into this thread's TB: lower half 0 first, so that nothing carries into the upper
/// half in between. Only while TB is not RUNNING: there it would be an error.
pub(crate) fn write_timebase<H: Hardware>(hw: &mut H, value: u64) {
    hw.set_timebase_lower(0);
    hw.set_timebase_upper((value >> 32) as u32);
    hw.set_timebase_lower(value as u32);
}

impl System<'_> {
    /// Remembers TB as good, if TFMR says so *after* TB was read: a fault in between is noticed.
    ///
    /// To be called in host context, while no guest's offset is in TB; the more often, the better
    /// the estimate when TB breaks.
    pub fn note_timebase<H: Hardware>(&self, hw: &mut H) {
        if let Some((core, place)) = self.find(hw.pir()) {
            self.note_timebase_of(hw, core, place);
        }
    }

    /// The same for a thread that is found already; gives TFMR, and TB if it was good.
    pub(crate) fn note_timebase_of<H: Hardware>(
        &self,
        hw: &mut H,
        core: &CoreState,
        place: ThreadPlace,
    ) -> (Tfmr, Option<u64>) {
        let loads = core.loads();
        let timebase = hw.timebase();
        let tfmr = hw.tfmr();
        // A value that is refused later must not become the measure for the true one.
        let settled = loads.is_multiple_of(2) && loads == core.loads();
        let stale = latched(self.platform.generation, place.thread);
        let good = settled && tfmr.tb_usable() && !tfmr.intersects(Tfmr::TB_FATAL & !stale);
        if good {
            core.note_good_timebase(place.thread, timebase);
        }
        (tfmr, good.then_some(timebase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hardware::Scripted;

    #[test]
    fn a_plausible_timebase_is_kept() {
        assert_eq!(choose(1_000_500, 1_000_000, 2_000_000), 1_000_500);
        assert_eq!(choose(1_000_000, 1_000_000, 1_000_000), 1_000_000);
    }

    #[test]
    fn garbage_gives_way_to_the_youngest_good_value() {
        for garbage in [0, 999_999, u64::MAX, 1 << 63, 1_000_000 + (1 << 45) + 1] {
            assert_eq!(
                choose(garbage, 1_000_000, 3_000_000),
                3_000_000,
                "{garbage:#x}"
            );
        }
    }

    #[test]
    fn a_thread_without_history_measures_by_the_others() {
        assert_eq!(choose(u64::MAX, 0, 7_000), 7_000);
        assert_eq!(choose(8_000, 0, 7_000), 8_000);
        assert_eq!(choose(u64::MAX, 0, 0), u64::MAX);
    }

    #[test]
    fn the_lower_half_is_zero_while_the_upper_changes() {
        let mut hw = Scripted::new();
        hw.tfmr = 0x1212_0009_8000_0000;
        write_timebase(&mut hw, 0x1234_5678_9abc_def0);
        assert_eq!(
            hw.timebase_writes,
            [("lower", 0), ("upper", 0x1234_5678), ("lower", 0x9abc_def0)]
        );
    }
}
