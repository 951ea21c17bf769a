//! Whether a time that nobody reported as damaged can be true: the vote of the machine's clocks.
//!
//! A core that lost TB knows a lower bound: TB as it stopped, or the youngest good TB of the machine.
//! An upper bound it does not know. The core may have slept with its TB stopped, so a value far
//! ahead of the last good one may be the truth, and no value is refused for that alone. DEC does not
//! help either: the OS sets it when it likes and tells nobody, so there is no older TB + DEC to
//! compare with; and PURR stands when TB does.
//!
//! The TODs of the other chips do know. They count by themselves: that one of them lies and yet
//! shows just what the lost TB would show now does not happen by chance. So a value is refused when
//! it is far from what is expected, another chip's TOD is not, and more of those speak against it
//! than for it. When the true time cannot be had then, because the master lies and answers before the
//! chip that knows, the repair has failed, and says so. Nobody can tell on a machine with one chip, or with two whose TODs are both far from
//! what is expected; then the TOD is believed, as ever. For those there is the watch
//! ([`super::watch`]), which compares while TB still runs.
//!
//! Source: HMI and ChipTOD specification, sections 2.5, 4.7 and 4.8.

use super::restart::Lost;
use super::{TodPlace, is_running};
use crate::hardware::Hardware;
use crate::system::System;
use core::sync::atomic::Ordering;
use power_registers::chip_tod::TodRegister;

const TICKS_PER_MICROSECOND: u64 = 512;
/// A value that is no further ahead of the estimate is believed without asking anyone: 10 ms.
const BELIEVED_AHEAD_TICKS: u64 = 10_000 * TICKS_PER_MICROSECOND;
/// How far behind: a reading may be torn between two chips by some microseconds. 1 ms.
const BELIEVED_BEHIND_TICKS: u64 = 1_000 * TICKS_PER_MICROSECOND;
/// How far ahead of the estimate a witness may be at most: 1 s. The interrupt may have waited, in a
/// host that had them closed, and so may the siblings.
const WITNESS_AHEAD_TICKS: u64 = 1_000_000 * TICKS_PER_MICROSECOND;
/// A witness must be so many times nearer to the estimate than the value that it contradicts. If
/// that was true and the witness behind, it would have to be behind by just what the interrupt was
/// late.
const WITNESS_NEARER: u64 = 16;
/// Two clocks that show the same time differ by no more than this, once it is known between which
/// readings of the one the other was read. 1 ms.
const SAME_TICKS: u64 = 1_000 * TICKS_PER_MICROSECOND;

/// Whether `value` lies from a little before `expected` to so far after it.
const fn is_within(value: u64, expected: u64, ahead: u64) -> bool {
    match value.checked_sub(expected) {
        Some(distance) => distance <= ahead,
        None => expected - value <= BELIEVED_BEHIND_TICKS,
    }
}

/// What a witness says of a value that is not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    For,
    Against,
    Neither,
}

/// `before` and `after` are what the judged clock showed around the reading of the witness.
const fn voice(before: u64, witness: u64, after: u64, expected: u64) -> Voice {
    let same = before.saturating_sub(SAME_TICKS) <= witness
        && witness <= after.saturating_add(SAME_TICKS)
        && before <= after;
    let mut ahead = before.abs_diff(expected) / WITNESS_NEARER;
    if ahead > WITNESS_AHEAD_TICKS {
        ahead = WITNESS_AHEAD_TICKS;
    }
    if same {
        Voice::For
    } else if is_within(witness, expected, ahead) {
        Voice::Against
    } else {
        // It lies itself, or the core has slept: nobody can tell.
        Voice::Neither
    }
}

impl System<'_> {
    /// What TB should show by now, as far as the lost TB and the spins since then tell.
    pub(super) fn expected(&self, lost: Lost) -> u64 {
        let microseconds = lost.spins / self.spins_per_microsecond();
        let elapsed = microseconds.saturating_mul(TICKS_PER_MICROSECOND);
        lost.timebase.saturating_add(elapsed)
    }

    /// Whether the other chips contradict `clock`, which shows the time that the chips `from` gave:
    /// the one that was loaded, and the one from which it took its time in this very repair. These
    /// are no witnesses.
    ///
    /// What is near the estimate is not asked about.
    pub(crate) fn is_contradicted<H: Hardware>(
        &self,
        hw: &mut H,
        mut clock: impl FnMut(&mut H) -> Option<u64>,
        from: &[TodPlace],
        lost: Lost,
    ) -> bool {
        let expected = self.expected(lost);
        let mut balance = 0;
        for witness in self.tods().filter(|tod| !from.contains(tod)) {
            let Some(before) = clock(hw) else {
                return false;
            };
            if is_within(before, expected, BELIEVED_AHEAD_TICKS) {
                return false;
            }
            let (Some(says), Some(after)) = (self.testimony(hw, witness), clock(hw)) else {
                continue;
            };
            match voice(before, says, after, expected) {
                Voice::For => balance -= 1,
                Voice::Against => balance += 1,
                Voice::Neither => {}
            }
        }
        balance > 0
    }

    /// The time of a TOD that runs and is not under suspicion.
    fn testimony<H: Hardware>(&self, hw: &mut H, witness: TodPlace) -> Option<u64> {
        if self.is_suspect(witness) || !is_running(self.tod_fsm(hw, witness).ok()?) {
            return None;
        }
        self.tod_read(hw, witness.chip, TodRegister::TodValue).ok()
    }

    /// Whether a time needs no witness: it is near the estimate.
    pub(crate) fn is_believed(&self, value: u64, lost: Lost) -> bool {
        is_within(value, self.expected(lost), BELIEVED_AHEAD_TICKS)
    }

    /// Whether a TOD shows the time of another chip. Of a time that came over the network only the
    /// chip that it came from is known to have it.
    pub(super) fn shows_the_same<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        source: TodPlace,
    ) -> bool {
        let mut value = |chip| self.tod_read(hw, chip, TodRegister::TodValue);
        let readings = (value(tod.chip), value(source.chip), value(tod.chip));
        let (Ok(before), Ok(says), Ok(after)) = readings else {
            return false;
        };
        voice(before, says, after, u64::MAX) == Voice::For
    }

    /// Notes that a value was refused: nobody is to take the time of this TOD before it was made right.
    pub(crate) fn refuse_value(&self, tod: TodPlace) {
        self.distrust(tod);
        self.chip_tod.counters.count_refused();
    }

    /// Puts the value of this TOD under suspicion.
    pub(super) fn distrust(&self, tod: TodPlace) {
        let suspects = &self.chip_tod.suspects;
        suspects.fetch_or(tod.bit(), Ordering::AcqRel);
    }

    /// Whether a time can be that of a machine of which another was refused: as a witness.
    pub(super) fn is_as_expected(&self, value: u64, lost: Lost) -> bool {
        is_within(value, self.expected(lost), WITNESS_AHEAD_TICKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: u64 = 1 << 40;
    const SECOND: u64 = WITNESS_AHEAD_TICKS;

    fn of(value: u64, witness: u64) -> Voice {
        voice(value, witness, value + 2_000, EXPECTED)
    }

    #[test]
    fn a_witness_speaks_only_if_it_shows_what_is_expected() {
        let lie = EXPECTED + (1 << 35);
        assert_eq!(of(lie, EXPECTED + 1000), Voice::Against);
        assert_eq!(of(lie, EXPECTED + SECOND), Voice::Against);
        assert_eq!(of(lie, EXPECTED + SECOND + 1), Voice::Neither);
        assert_eq!(of(lie, lie + 500), Voice::For);
        assert_eq!(of(lie, 0), Voice::Neither, "it reads as nothing");
        assert_eq!(of(lie, u64::MAX), Voice::Neither);
        let behind = EXPECTED - (1 << 30);
        assert_eq!(of(behind, EXPECTED + 100), Voice::Against);
        assert_eq!(of(behind, behind), Voice::For);
    }

    /// The interrupt came 100 ms late and the value is true; the witness is behind.
    #[test]
    fn a_witness_that_is_behind_does_not_pass_for_the_estimate() {
        let late = EXPECTED + SECOND / 10;
        for behind in [SECOND / 1000 + 1, SECOND / 100, SECOND / 20, SECOND] {
            assert_eq!(of(late, late - behind), Voice::Neither, "{behind}");
        }
    }

    /// Reading took long: what the witness said in the middle is no contradiction.
    #[test]
    fn a_slow_reading_contradicts_nobody() {
        let value = EXPECTED + SECOND / 50;
        let after = value + SECOND / 2;
        assert_eq!(
            voice(value, value + SECOND / 4, after, EXPECTED),
            Voice::For
        );
    }

    #[test]
    fn the_window_is_narrow_below_and_wide_above() {
        assert!(is_within(EXPECTED, EXPECTED, 0));
        assert!(is_within(EXPECTED + 5, EXPECTED, 5) && !is_within(EXPECTED + 6, EXPECTED, 5));
        assert!(is_within(EXPECTED - BELIEVED_BEHIND_TICKS, EXPECTED, 0));
        assert!(!is_within(
            EXPECTED - BELIEVED_BEHIND_TICKS - 1,
            EXPECTED,
            0
        ));
        assert!(is_within(u64::MAX, u64::MAX, 5) && !is_within(0, u64::MAX, 5));
    }
}
