//! The queue of HMI events for the OS, in fixed memory.
//!
//! The OS reboots the machine on an event that says "not recovered", so such an event always leaves
//! a trace: it displaces recovered ones, and when all that wait are unrecovered too, it is folded
//! into one of them. A thread that does not get at the queue puts its event into a slot of its own.
//!
//! Every event that was posted is accounted for: it was delivered, waits, was coalesced with
//! another, or was lost, see [`Counts`].

mod ring;
mod slots;

use crate::atomic::const_fn;
use core::sync::atomic::{AtomicU64, Ordering};
use opal_abi::hmi_event::{Disposition, HmiEvent, SIZE};
use opal_abi::message;
pub use ring::CAPACITY;
use ring::{Inserted, Ring};
use slots::{Kept, Slots};
use spin::{Mutex, MutexGuard};

/// Tries to take the queue; it is held for a few instructions at a time.
const TRIES: u32 = if cfg!(loom) { 1 } else { 20_000 };
/// Words of an encoded event.
const WORDS: usize = SIZE / 8;

/// What an event is about: events of two cores that read the same are still two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The whole machine.
    Machine,
    /// One chip, by its number.
    Chip(u32),
    /// One core, by its place in the platform.
    Core(u32),
    /// One thread, by its index.
    Thread(u32),
}

impl Scope {
    const fn to_word(self) -> u64 {
        let (kind, number) = match self {
            Self::Machine => (0, 0),
            Self::Chip(number) => (1, number),
            Self::Core(number) => (2, number),
            Self::Thread(number) => (3, number),
        };
        kind << 32 | number as u64
    }

    const fn from_word(word: u64) -> Self {
        let number = word as u32;
        match word >> 32 {
            1 => Self::Chip(number),
            2 => Self::Core(number),
            3 => Self::Thread(number),
            _ => Self::Machine,
        }
    }
}

/// An event as it is stored: its bytes, and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    words: [u64; WORDS],
    scope: Scope,
}

impl Entry {
    /// Stands where no event is.
    const NONE: Self = Self {
        words: [0; WORDS],
        scope: Scope::Machine,
    };

    fn new(scope: Scope, event: &HmiEvent) -> Self {
        let bytes = event.to_bytes();
        let word = |n: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[n * 8..n * 8 + 8]);
            u64::from_be_bytes(word)
        };
        Self {
            words: core::array::from_fn(word),
            scope,
        }
    }

    fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// The fourth byte is the disposition.
    const fn unrecovered(&self) -> bool {
        self.words[0] >> 32 & 0xff == Disposition::NotRecovered as u64
    }
}

/// What became of the events that were posted. When nobody is in the middle of posting or taking,
/// `posted = delivered + waiting + coalesced + lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Events that were posted.
    pub posted: u64,
    /// Events that were handed out.
    pub delivered: u64,
    /// Events that wait.
    pub waiting: u64,
    /// Events that were dropped because one that waits says the same, or, of unrecovered ones, as
    /// much as matters.
    pub coalesced: u64,
    /// Of these: events about another core, chip or thread than the one that waits.
    pub coalesced_across: u64,
    /// Of these: unrecovered events that differ from the one that they were folded into.
    pub folded: u64,
    /// Events that were dropped; never an unrecovered one.
    pub lost: u64,
}

/// The queue.
#[derive(Debug)]
pub struct EventQueue {
    ring: Mutex<Ring>,
    slots: Slots,
    posted: AtomicU64,
    delivered: AtomicU64,
    waiting: AtomicU64,
    coalesced: AtomicU64,
    coalesced_across: AtomicU64,
    folded: AtomicU64,
    lost: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Default for EventQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl EventQueue {
    const_fn! {
        /// An empty queue.
        #[must_use]
        pub fn new() -> Self {
            Self {
                ring: Mutex::new(Ring::new()),
                slots: Slots::new(),
                posted: AtomicU64::new(0),
                delivered: AtomicU64::new(0),
                waiting: AtomicU64::new(0),
                coalesced: AtomicU64::new(0),
                coalesced_across: AtomicU64::new(0),
                folded: AtomicU64::new(0),
                lost: AtomicU64::new(0),
            }
        }
    }

    /// Whether an event waits.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }

    /// Takes the oldest event, as the message of `OPAL_GET_MSG`. `None` also when the queue was not
    /// to be had; then [`Self::pending`] still says that something waits.
    #[must_use]
    pub fn take(&self) -> Option<[u8; message::SIZE]> {
        let mut ring = self.ring()?;
        let oldest = ring.pop();
        while ring.has_room()
            && let Some(entry) = self.slots.take()
        {
            // There is room, so that it is queued.
            ring.insert(entry);
        }
        let entry = oldest.or_else(|| ring.pop())?;
        count(&self.delivered);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(message::hmi_event(&entry.to_bytes()))
    }

    /// Events that were dropped so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// What became of all events so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            posted: read(&self.posted),
            delivered: read(&self.delivered),
            waiting: read(&self.waiting),
            coalesced: read(&self.coalesced),
            coalesced_across: read(&self.coalesced_across),
            folded: read(&self.folded),
            lost: read(&self.lost),
        }
    }

    /// Queues an event on behalf of the thread with this index. `false` when it was lost.
    pub fn post(&self, thread: usize, scope: Scope, event: &HmiEvent) -> bool {
        let entry = Entry::new(scope, event);
        count(&self.posted);
        match self.ring() {
            Some(mut ring) => self.insert(&mut ring, entry),
            None => self.keep(thread, entry),
        }
    }

    fn insert(&self, ring: &mut Ring, entry: Entry) -> bool {
        match ring.insert(entry) {
            Inserted::Queued => count(&self.waiting),
            Inserted::QueuedAfterJoining { across } => self.count_coalesced(across),
            Inserted::Displaced => count(&self.lost),
            Inserted::Coalesced { across } => self.count_coalesced(across),
            Inserted::Folded => {
                count(&self.coalesced);
                count(&self.folded);
            }
            Inserted::Refused => {
                count(&self.lost);
                return false;
            }
        }
        true
    }

    fn count_coalesced(&self, across: bool) {
        count(&self.coalesced);
        if across {
            count(&self.coalesced_across);
        }
    }

    /// Whoever holds the queue does not let go of it: the event goes into a slot of the thread.
    fn keep(&self, thread: usize, entry: Entry) -> bool {
        match self.slots.keep(thread, entry) {
            Kept::Stored => count(&self.waiting),
            Kept::Displaced => count(&self.lost),
            Kept::Folded => {
                count(&self.coalesced);
                count(&self.folded);
            }
            Kept::Refused => {
                count(&self.lost);
                return false;
            }
        }
        true
    }

    /// As [`Self::post`] does when the queue is not to be had.
    #[cfg(test)]
    pub(crate) fn keep_in_slot(&self, thread: usize, scope: Scope, event: &HmiEvent) -> bool {
        count(&self.posted);
        self.keep(thread, Entry::new(scope, event))
    }

    fn ring(&self) -> Option<MutexGuard<'_, Ring>> {
        for _ in 0..TRIES {
            if let Some(ring) = self.ring.try_lock() {
                return Some(ring);
            }
            core::hint::spin_loop();
        }
        None
    }
}

// Loom brings its own threads.
#[cfg(all(test, not(loom)))]
mod tests;
