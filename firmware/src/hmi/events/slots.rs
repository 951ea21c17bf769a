//! Two slots for each thread, written without a lock, for events of a thread that does not get at
//! the queue.
//!
//! A slot is filled by its own thread alone, and emptied by whoever holds the queue. That one is
//! busy with one slot at a time, so at any moment one of the two can be judged; but the two are looked
//! at one after the other, so it may take a second look.

use super::{Entry, Scope, WORDS};
use crate::atomic::{AtomicU64, DataWord, const_fn, each};
use crate::platform::MAX_THREADS;
use core::sync::atomic::Ordering;

const SLOTS: usize = 2;
/// Looks at the own slots. Whoever empties them goes from one to the next, so that both may seem to be in
/// work; but only once, since nobody but this thread fills them again.
const LOOKS: u32 = 3;
/// Few under loom, which keeps the history of each.
const THREADS: usize = if cfg!(loom) { 2 } else { MAX_THREADS };

const EMPTY: u64 = 0;
/// Being written or read.
const BUSY: u64 = 1;
const RECOVERED: u64 = 2;
const UNRECOVERED: u64 = 3;

/// How an event was kept, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// In a slot.
    Stored,
    /// In a slot; a recovered event had to go for it.
    Displaced,
    /// The slots hold unrecovered events that stand for it.
    Folded,
    /// It is lost.
    Refused,
}

#[derive(Debug)]
struct Slot {
    state: AtomicU64,
    words: [DataWord; WORDS],
    scope: DataWord,
}

impl Slot {
    const_fn! {
        fn new() -> Self {
            Self {
                state: AtomicU64::new(EMPTY),
                words: each!(DataWord::new(0); WORDS),
                scope: DataWord::new(0),
            }
        }
    }

    fn claim(&self, from: u64) -> bool {
        self.state
            .compare_exchange(from, BUSY, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    fn holds_unrecovered(&self) -> bool {
        self.state.load(Ordering::Relaxed) == UNRECOVERED
    }

    fn fill(&self, entry: &Entry) {
        for (place, word) in self.words.iter().zip(entry.words) {
            place.set(word);
        }
        self.scope.set(entry.scope.to_word());
        let state = if entry.unrecovered() {
            UNRECOVERED
        } else {
            RECOVERED
        };
        self.state.store(state, Ordering::Release);
    }

    fn read(&self) -> Entry {
        let entry = Entry {
            words: core::array::from_fn(|n| self.words[n].get()),
            scope: Scope::from_word(self.scope.get()),
        };
        self.state.store(EMPTY, Ordering::Release);
        entry
    }
}

/// The slots of all threads.
#[derive(Debug)]
pub(super) struct Slots {
    threads: [[Slot; SLOTS]; THREADS],
    /// Slots that are full, or soon will be.
    full: AtomicU64,
}

impl Slots {
    const_fn! {
        pub(super) fn new() -> Self {
            Self {
                threads: each!(each!(Slot::new(); SLOTS); THREADS),
                full: AtomicU64::new(0),
            }
        }
    }

    /// Keeps an event for the thread that calls.
    pub(super) fn keep(&self, thread: usize, entry: Entry) -> Kept {
        let Some(own) = self.threads.get(thread) else {
            return Kept::Refused;
        };
        for _ in 0..LOOKS {
            if let Some(slot) = own.iter().find(|slot| slot.claim(EMPTY)) {
                self.full.fetch_add(1, Ordering::Relaxed);
                slot.fill(&entry);
                return Kept::Stored;
            }
            if !entry.unrecovered() {
                return Kept::Refused;
            }
            if let Some(slot) = own.iter().find(|slot| slot.claim(RECOVERED)) {
                slot.fill(&entry);
                return Kept::Displaced;
            }
            if own.iter().any(Slot::holds_unrecovered) {
                return Kept::Folded;
            }
            // Each slot was being emptied when it was looked at: one of them is empty now.
        }
        Kept::Refused
    }

    /// Empties a slot. Only for the holder of the queue.
    pub(super) fn take(&self) -> Option<Entry> {
        if self.full.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut slots = self.threads.iter().flatten();
        let slot = slots.find(|slot| slot.claim(UNRECOVERED) || slot.claim(RECOVERED))?;
        self.full.fetch_sub(1, Ordering::Relaxed);
        Some(slot.read())
    }
}
