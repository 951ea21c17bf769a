//! What a chip's ERROR showed before: what was given up, and what comes too often.

use power_registers::chip_tod::TodError;

/// A bit that comes so often within [`WINDOW_TICKS`] is masked.
const MOST_REPEATS: u8 = 8;
/// One second of TB.
const WINDOW_TICKS: u64 = 512_000_000;

/// What a chip's ERROR showed before.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Bits that could be neither repaired nor masked, and were reported. They count no more until
    /// they have been away, so that not each thread of the chip reports them.
    pub(super) given_up: u64,
    repeats: [u8; 64],
    window_began: u64,
}

impl History {
    pub(super) const fn new() -> Self {
        Self {
            given_up: 0,
            repeats: [0; 64],
            window_began: 0,
        }
    }

    /// Counts these bits, and gives those that come too often.
    pub(super) fn count(&mut self, bits: TodError, timebase: u64) -> TodError {
        let lasted = timebase.checked_sub(self.window_began);
        if lasted.is_none_or(|lasted| lasted > WINDOW_TICKS) {
            self.window_began = timebase;
            self.repeats = [0; 64];
        }
        let mut too_often = 0;
        for (shift, repeats) in self.repeats.iter_mut().enumerate() {
            if bits.bits() >> shift & 1 != 0 {
                *repeats = repeats.saturating_add(1);
                too_often |= u64::from(*repeats >= MOST_REPEATS) << shift;
            }
        }
        TodError::from_bits_retain(too_often)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIT: TodError = TodError::CRITICAL_CONTROL_PARITY;

    #[test]
    fn the_eighth_time_within_a_second_is_too_often() {
        let mut history = History::new();
        for time in 1..=20 {
            let timebase = WINDOW_TICKS * 5 + time * 1_000;
            let expected = if time < 8 { TodError::empty() } else { BIT };
            assert_eq!(history.count(BIT, timebase), expected, "{time}");
        }
        let other = TodError::PARITY_00;
        assert!(history.count(other, WINDOW_TICKS * 5 + 30_000).is_empty());
    }

    #[test]
    fn later_or_back_in_time_it_begins_anew() {
        let mut history = History::new();
        for time in 1..=100 {
            assert!(history.count(BIT, time * WINDOW_TICKS).is_empty() || time % 2 == 0);
        }
        let mut history = History::new();
        for _ in 0..7 {
            history.count(BIT, WINDOW_TICKS * 9);
        }
        assert!(history.count(BIT, WINDOW_TICKS * 8).is_empty());
    }
}
