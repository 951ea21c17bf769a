//! What the threads of one core share.

use super::causes::Seen;
use super::coordinator::{Coordinator, ThreadMask, mask_of};
use crate::atomic::{AtomicU64, DataWord, const_fn, each};
use crate::lock::Lock;
use crate::platform::MAX_CORE_THREADS;
use crate::system::Participation;
use crate::timebase::accounting::Accounting;
use core::sync::atomic::{AtomicU8, Ordering};
use power_registers::{Hmer, Tfmr};

/// Bits of [`CoreState::participation`] for one thread.
const PARTICIPATION_BITS: usize = 2;

/// TFMR and HMER of a thread as it found them when it came to a meeting.
#[derive(Debug)]
struct Deposit {
    tfmr: DataWord,
    hmer: DataWord,
}

/// What a meeting has to do, decided by its leader once TFMR can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// HDEC is lost: every thread zeroes its own.
    pub(crate) hdec: bool,
    /// TB does not run: every thread rewrites its own.
    pub(crate) timebase: bool,
    /// TB runs, but what it was loaded with arrived damaged: it is loaded again.
    pub(crate) reload: bool,
    /// TB as it stopped had a residue error: its value says nothing about the time.
    pub(crate) damaged: bool,
}

/// The shared state of a core.
#[derive(Debug)]
pub(crate) struct CoreState {
    /// The meeting.
    pub(crate) coordinator: Coordinator,
    /// Whoever writes TFMR holds it: every write replaces the control bits, so a second writer
    /// would cancel a command in flight. One TFMR serves all threads of the core.
    pub(crate) tfmr: Lock<()>,
    participation: AtomicU64,
    summons: AtomicU64,
    /// Threads that the last meeting waited for in vain.
    missed: AtomicU64,
    plan: DataWord,
    /// Bits of TFMR about transfers that could not be cleared: they mean nothing new.
    stuck_transfer: AtomicU64,
    deposits: [Deposit; MAX_CORE_THREADS],
    /// Calls of each thread in a row that ended with a dead TB.
    failures: [AtomicU8; MAX_CORE_THREADS],
    /// Per thread, since QEMU and partitioned cores keep one TB for each: last TB while it was good.
    last_good: [AtomicU64; MAX_CORE_THREADS],
    /// 1 if TB was found not to run, until it is loaded or found to run.
    lost: AtomicU64,
    /// Odd while TB is being loaded: it may run with a value that is refused in the end.
    loads: AtomicU64,
    /// TB when a thread of the core last compared the TOD with it; 0 = never.
    watched: AtomicU64,
    /// The time of the TODs, by the count of their restarts, that a thread of the core has judged last;
    /// counted from 1.
    judged: AtomicU64,
    accounting: [Accounting; MAX_CORE_THREADS],
    /// Causes that the whole core sees, and which threads have seen them.
    pub(crate) seen: Seen,
}

/// A load of TB under way.
#[derive(Debug)]
pub(crate) struct Unsettled<'a>(&'a AtomicU64);

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl CoreState {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                coordinator: Coordinator::new(),
                tfmr: Lock::new(()),
                participation: AtomicU64::new(0),
                summons: AtomicU64::new(0),
                missed: AtomicU64::new(0),
                plan: DataWord::new(0),
                stuck_transfer: AtomicU64::new(0),
                deposits: each!(
                    Deposit {
                        tfmr: DataWord::new(0),
                        hmer: DataWord::new(0),
                    };
                    MAX_CORE_THREADS
                ),
                failures: [const { AtomicU8::new(0) }; MAX_CORE_THREADS],
                last_good: each!(AtomicU64::new(0); MAX_CORE_THREADS),
                lost: AtomicU64::new(0),
                loads: AtomicU64::new(0),
                watched: AtomicU64::new(0),
                judged: AtomicU64::new(0),
                accounting: [const { Accounting::new() }; MAX_CORE_THREADS],
                seen: Seen::new(),
            }
        }
    }

    pub(crate) fn set_participation(&self, thread: usize, participation: Participation) {
        let shift = thread * PARTICIPATION_BITS;
        let cleared = !(((1 << PARTICIPATION_BITS) - 1) << shift);
        let set = (participation as u64) << shift;
        let change = |bits: u64| Some(bits & cleared | set);
        // The closure always gives a value, so this cannot fail.
        let _ = self
            .participation
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    pub(crate) fn participation(&self, thread: usize) -> Participation {
        let bits = self.participation.load(Ordering::Acquire) >> (thread * PARTICIPATION_BITS);
        match bits & ((1 << PARTICIPATION_BITS) - 1) {
            1 => Participation::FirmwareIdle,
            2 => Participation::Running,
            _ => Participation::Absent,
        }
    }

    /// Threads in one of two states of participation: running, and idle in the firmware.
    fn threads_with(&self, wanted: Participation) -> ThreadMask {
        let bits = self.participation.load(Ordering::Relaxed);
        (0..MAX_CORE_THREADS).fold(0, |mask, thread| {
            let found = bits >> (thread * PARTICIPATION_BITS) & ((1 << PARTICIPATION_BITS) - 1);
            if found == wanted as u64 {
                mask | mask_of(thread as u8)
            } else {
                mask
            }
        })
    }

    /// A call of this thread ended. Gives how many in a row ended with a dead TB.
    pub(crate) fn count_failure(&self, thread: usize, failed: bool) -> u8 {
        let failures = &self.failures[thread];
        // Only the thread itself counts its calls.
        let now = if failed {
            failures.load(Ordering::Relaxed).saturating_add(1)
        } else {
            0
        };
        failures.store(now, Ordering::Relaxed);
        now
    }

    /// Threads that a meeting waits for.
    pub(crate) fn expected(&self) -> ThreadMask {
        self.threads_with(Participation::Running) | self.threads_with(Participation::FirmwareIdle)
    }

    /// Whether the thread is in the firmware's idle loop.
    pub(crate) fn is_idle(&self, thread: usize) -> bool {
        self.threads_with(Participation::FirmwareIdle) & mask_of(thread as u8) != 0
    }

    /// Whether a thread of the core runs the OS.
    pub(crate) fn has_running(&self) -> bool {
        self.threads_with(Participation::Running) != 0
    }

    /// Asks the idle threads to come.
    pub(crate) fn summon_idle(&self) {
        let idle = self.threads_with(Participation::FirmwareIdle);
        // Who answers finds the meeting that it is called to.
        self.summons.fetch_or(u64::from(idle), Ordering::Release);
    }

    pub(crate) fn summoned(&self, thread: usize) -> bool {
        self.summons.load(Ordering::Relaxed) & u64::from(mask_of(thread as u8)) != 0
    }

    /// The thread has come.
    pub(crate) fn answer_summons(&self, thread: usize) {
        self.summons
            .fetch_and(!u64::from(mask_of(thread as u8)), Ordering::Acquire);
    }

    /// Notes who did not come, and takes back their summons.
    pub(crate) fn note_missed(&self, absent: ThreadMask) {
        // Who was missed finds the meeting that missed it.
        self.missed.store(u64::from(absent), Ordering::Release);
        self.summons
            .fetch_and(!u64::from(absent), Ordering::Relaxed);
    }

    /// Whether the last meeting waited for this thread in vain; forgets it.
    pub(crate) fn take_missed(&self, thread: usize) -> bool {
        let me = u64::from(mask_of(thread as u8));
        self.missed.fetch_and(!me, Ordering::Acquire) & me != 0
    }

    pub(crate) fn deposit(&self, thread: usize, tfmr: Tfmr, hmer: Hmer) {
        self.deposits[thread].tfmr.set(tfmr.bits());
        self.deposits[thread].hmer.set(hmer.bits());
    }

    /// TFMR and HMER as this thread found them.
    pub(crate) fn deposited(&self, thread: usize) -> (Tfmr, Hmer) {
        let Deposit { tfmr, hmer } = &self.deposits[thread];
        (
            Tfmr::from_bits_retain(tfmr.get()),
            Hmer::from_bits_retain(hmer.get()),
        )
    }

    pub(crate) fn set_plan(&self, plan: Plan) {
        let bits = u64::from(plan.hdec)
            | u64::from(plan.timebase) << 1
            | u64::from(plan.reload) << 2
            | u64::from(plan.damaged) << 3;
        self.plan.set(bits);
    }

    /// TB was loaded from the TOD: what it was before is of no concern any more.
    pub(crate) fn note_timebase_loaded(&self) {
        self.set_plan(Plan {
            reload: false,
            damaged: false,
            ..self.plan()
        });
        self.note_lost(false);
    }

    /// TB was loaded with a time that is not to be trusted.
    pub(crate) fn doubt_timebase(&self) {
        self.set_plan(Plan {
            damaged: true,
            ..self.plan()
        });
    }

    pub(crate) fn plan(&self) -> Plan {
        let bits = self.plan.get();
        Plan {
            hdec: bits & 1 != 0,
            timebase: bits & 2 != 0,
            reload: bits & 4 != 0,
            damaged: bits & 8 != 0,
        }
    }

    /// Notes which of [`Tfmr::TRANSFER_ERRORS`] stayed on when they were cleared.
    pub(crate) fn note_stuck_transfer(&self, bits: Tfmr) {
        self.stuck_transfer.store(bits.bits(), Ordering::Relaxed);
    }

    /// Those that stayed on.
    pub(crate) fn stuck_transfer(&self) -> Tfmr {
        Tfmr::from_bits_retain(self.stuck_transfer.load(Ordering::Relaxed))
    }

    /// PURR and SPURR of this thread as last known.
    pub(crate) fn accounting(&self, thread: usize) -> &Accounting {
        &self.accounting[thread]
    }

    /// Last TB of this thread while it was good; 0 = never.
    pub(crate) fn last_good_timebase(&self, thread: usize) -> u64 {
        self.last_good[thread].load(Ordering::Relaxed)
    }

    /// TB means nothing until what this gives is dropped. For the owner of TFMR.
    pub(crate) fn unsettle(&self) -> Unsettled<'_> {
        self.loads.fetch_add(1, Ordering::AcqRel);
        Unsettled(&self.loads)
    }

    /// TB was settled all the time between two calls that give the same, if that is even.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Acquire)
    }

    /// Whether the TOD was not compared with TB for so many ticks; then the caller does it. The first
    /// call only starts the clock.
    pub(crate) fn is_time_to_watch(&self, now: u64, period: u64) -> bool {
        let last = self.watched.load(Ordering::Relaxed);
        if last != 0 && now.abs_diff(last) < period {
            return false;
        }
        let won = self
            .watched
            .compare_exchange(last, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        won && last != 0
    }

    /// Notes whether TB was found not to run.
    pub(crate) fn note_lost(&self, lost: bool) {
        let lost = u64::from(lost);
        // Mostly nothing changes: then nothing is written.
        if self.lost.load(Ordering::Relaxed) != lost {
            self.lost.store(lost, Ordering::Release);
        }
    }

    /// Whether the core may show the time: its TB is not known to be lost, nor just being loaded.
    pub(crate) fn may_know_time(&self) -> bool {
        // Threads that run an OS, and those that idle in the firmware.
        self.participation.load(Ordering::Acquire) != 0
            && self.lost.load(Ordering::Acquire) == 0
            && self.loads().is_multiple_of(2)
    }

    /// Whether no other thread of the core has begun to compare the TOD with TB since the TODs got their
    /// time: one is enough.
    pub(crate) fn is_first_to_judge(&self, epoch: u64) -> bool {
        let judged = epoch.wrapping_add(1);
        self.judged.swap(judged, Ordering::Relaxed) != judged
    }

    pub(crate) fn note_good_timebase(&self, thread: usize, timebase: u64) {
        self.last_good[thread].fetch_max(timebase, Ordering::Relaxed);
    }

    /// TB went back and that is how it stays: measure from here.
    pub(crate) fn accept_timebase(&self, thread: usize, timebase: u64) {
        self.last_good[thread].store(timebase, Ordering::Relaxed);
    }

    pub(crate) fn newest_good_timebase(&self) -> u64 {
        self.last_good
            .iter()
            .map(|good| good.load(Ordering::Relaxed))
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn participation_of_one_thread_leaves_the_others() {
        let core = CoreState::new();
        core.set_participation(0, Participation::Running);
        core.set_participation(3, Participation::FirmwareIdle);
        core.set_participation(7, Participation::Running);
        assert_eq!(core.expected(), 0b1000_1001);
        core.set_participation(0, Participation::Absent);
        core.summon_idle();
        assert_eq!(core.expected(), 0b1000_1000);
        assert!(core.summoned(3) && !core.summoned(7));
        core.answer_summons(3);
        assert!(!core.summoned(3));
    }

    #[test]
    fn last_good_never_sinks_unless_accepted() {
        let core = CoreState::new();
        core.note_good_timebase(1, 10);
        core.note_good_timebase(1, 5);
        assert_eq!(core.last_good_timebase(1), 10);
        core.accept_timebase(1, 3);
        assert_eq!(core.newest_good_timebase(), 3);
    }
}
