//! What the readings say: the smallest step of TB from each thread to each other.
//!
//! The lock puts all readings in one order, so TB must never be less than at the reading before. A
//! step back of n ticks proves that two threads are n ticks apart or more. A step forward proves
//! something as well: in the smallest step from A to B that was seen, B is ahead of A by no more.
//! So each pair has a bound in both directions, through a third thread if that is closer. The
//! middle of both bounds is the disagreement; half of what is between them is its doubt. A thread
//! that was held up with the lock only makes a step larger, and the smallest counts.

use crate::control::THREADS;
use crate::shim::TICKS_PER_MICROSECOND;
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Good readings of each thread, at least; then each reads once more, so that all pairs are
/// bounded.
pub const READINGS: u64 = 16;
/// A reading is good if it comes so many ticks after the one before: 5 us. A later one bounds too
/// little; it is noted, but more are wanted.
pub const GOOD_TICKS: i64 = 2_560;
/// Ticks after which a measurement is late: half a second. From then on one more reading of each
/// thread will do, be it good or not: where threads hardly ever run at the same time there are no
/// better ones, and meanwhile the guests are out. TB only shortens the measurement by this; what
/// bounds it in any case is a count.
pub const LATE_TICKS: i64 = 500_000 * TICKS_PER_MICROSECOND as i64;
/// Handovers for each thread after which it is late as well: a thread that is far ahead has no
/// good readings.
pub const HANDOVERS: u64 = 48;
/// No step was seen.
const NONE: i64 = i64::MAX;

/// The lock, and what its holders note. The words are atomic only because the threads share them:
/// whoever writes them holds the lock.
#[derive(Debug)]
pub struct SkewMeter {
    locked: AtomicBool,
    /// Measurement that the words below belong to.
    number: AtomicU64,
    /// Measurements that are over.
    ended: AtomicU64,
    /// First reading of the measurement.
    began: AtomicU64,
    last: AtomicU64,
    /// Index of the thread of the last reading, plus one.
    last_thread: AtomicU64,
    handovers: AtomicU64,
    readings: [AtomicU64; THREADS],
    /// Threads that read often enough.
    enough: AtomicU64,
    /// Threads that read again after all had read often enough.
    again: AtomicU64,
    steps: [[AtomicI64; THREADS]; THREADS],
}

/// What a measurement came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skew {
    /// Threads that took part.
    pub threads: u64,
    /// Times that the lock went from one thread to another.
    pub handovers: u64,
    /// Largest step back, in ticks.
    pub step_back: u64,
    /// Largest disagreement of two threads, in ticks.
    pub disagreement: u64,
    /// How far that may be from the truth, in ticks.
    pub doubt: u64,
}

impl Skew {
    /// What is left of the disagreement for sure.
    #[must_use]
    pub const fn certain(&self) -> u64 {
        self.disagreement.saturating_sub(self.doubt)
    }
}

/// Answer to [`SkewMeter::note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// Others must read first, or more is wanted.
    GoOn,
    /// This was the last reading that was wanted, and this thread has the result to work out.
    Enough,
    /// The measurement is over; the reading does not count.
    Late,
}

impl SkewMeter {
    /// Nothing measured.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "used in statics only")]
    pub const fn new() -> Self {
        Self {
            locked: AtomicBool::new(false),
            number: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            began: AtomicU64::new(0),
            last: AtomicU64::new(0),
            last_thread: AtomicU64::new(0),
            handovers: AtomicU64::new(0),
            readings: [const { AtomicU64::new(0) }; THREADS],
            enough: AtomicU64::new(0),
            again: AtomicU64::new(0),
            // Set anew at the begin of each measurement; zeros take no room in the image.
            steps: [const { [const { AtomicI64::new(0) }; THREADS] }; THREADS],
        }
    }

    /// Measurements that are over.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// Ends a measurement; `true` for the one thread that does so.
    pub fn end(&self, number: u64) -> bool {
        self.ended
            .compare_exchange(number - 1, number, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Whether this thread has come with a good reading in the measurement that is on.
    #[must_use]
    pub fn has_read(&self, index: usize) -> bool {
        self.readings[index].load(Ordering::Relaxed) != 0
    }

    /// Whether it makes sense to try for the lock: it is free, and another thread had it last.
    #[must_use]
    pub fn is_open_to(&self, index: usize) -> bool {
        !self.locked.load(Ordering::Relaxed)
            && self.last_thread.load(Ordering::Relaxed) != index as u64 + 1
    }

    /// Tries for the lock, once.
    pub fn try_lock(&self) -> bool {
        self.locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives the lock back.
    pub fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
    }

    /// Notes a reading of TB in measurement `number`, in which `threads` take part. The calling
    /// thread holds the lock.
    pub fn note(&self, number: u64, threads: u64, index: usize, timebase: u64) -> Noted {
        if self.ended() >= number {
            return Noted::Late;
        }
        if self.number.load(Ordering::Relaxed) != number {
            self.begin(number, timebase);
        }
        let before = self.last_thread.load(Ordering::Relaxed);
        if before == index as u64 + 1 {
            return Noted::GoOn;
        }
        let (mut good, mut late) = (false, false);
        if let Some(other) = before.checked_sub(1) {
            let step = timebase.wrapping_sub(self.last.load(Ordering::Relaxed)) as i64;
            self.steps[other as usize][index].fetch_min(step, Ordering::Relaxed);
            let handovers = self.handovers.fetch_add(1, Ordering::Relaxed);
            let since = timebase.wrapping_sub(self.began.load(Ordering::Relaxed)) as i64;
            good = step <= GOOD_TICKS;
            late = since > LATE_TICKS || handovers >= HANDOVERS * threads;
        }
        self.last.store(timebase, Ordering::Relaxed);
        self.last_thread.store(index as u64 + 1, Ordering::Relaxed);
        let bit = 1 << index;
        if good {
            self.readings[index].fetch_add(1, Ordering::Relaxed);
        }
        if u64::from(self.enough.load(Ordering::Relaxed).count_ones()) >= threads {
            let again = self.again.fetch_or(bit, Ordering::Relaxed) | bit;
            if u64::from(again.count_ones()) >= threads && self.end(number) {
                return Noted::Enough;
            }
        } else if late || self.readings[index].load(Ordering::Relaxed) >= READINGS {
            self.enough.fetch_or(bit, Ordering::Relaxed);
        }
        Noted::GoOn
    }

    fn begin(&self, number: u64, timebase: u64) {
        self.began.store(timebase, Ordering::Relaxed);
        for row in &self.steps {
            row.iter()
                .for_each(|step| step.store(NONE, Ordering::Relaxed));
        }
        self.readings
            .iter()
            .for_each(|readings| readings.store(0, Ordering::Relaxed));
        for word in [
            &self.last_thread,
            &self.handovers,
            &self.enough,
            &self.again,
        ] {
            word.store(0, Ordering::Relaxed);
        }
        self.number.store(number, Ordering::Relaxed);
    }

    /// Works out the result of a measurement that ended. `None` if `interrupted` says so.
    pub fn result(&self, mut interrupted: impl FnMut() -> bool) -> Option<Skew> {
        let begun = self.number.load(Ordering::Relaxed) != 0;
        let took_part = |index: &usize| {
            let steps = |step: &AtomicI64| step.load(Ordering::Relaxed) != NONE;
            let column = || self.steps.iter().any(|row| steps(&row[*index]));
            begun && (self.steps[*index].iter().any(steps) || column())
        };
        let part: [bool; THREADS] = core::array::from_fn(|index| took_part(&index));
        let all = || (0..THREADS).filter(|index| part[*index]);
        let step = |from: usize, to: usize| self.steps[from][to].load(Ordering::Relaxed);
        let mut skew = Skew {
            threads: all().count() as u64,
            handovers: self.handovers.load(Ordering::Relaxed),
            ..Skew::default()
        };
        for (from, to) in all().flat_map(|from| all().map(move |to| (from, to))) {
            // Before a bound through a third thread takes its place.
            skew.step_back = skew.step_back.max(step(from, to).min(0).unsigned_abs());
        }
        for via in all() {
            for from in all() {
                if interrupted() {
                    return None;
                }
                for to in all() {
                    let (first, second) = (step(from, via), step(via, to));
                    if from != to && first != NONE && second != NONE {
                        let through = first.saturating_add(second);
                        self.steps[from][to].fetch_min(through, Ordering::Relaxed);
                    }
                }
            }
        }
        for from in all() {
            for to in all().filter(|to| *to > from) {
                let (ahead, behind) = (step(from, to), step(to, from));
                // The sum of both is what the handovers took at least.
                let disagreement = ahead.saturating_sub(behind).unsigned_abs() / 2;
                if disagreement >= skew.disagreement {
                    skew.disagreement = disagreement;
                    skew.doubt = ahead
                        .saturating_add(behind)
                        .max(0)
                        .unsigned_abs()
                        .div_ceil(2);
                }
            }
        }
        Some(skew)
    }
}

#[cfg(test)]
mod tests;
