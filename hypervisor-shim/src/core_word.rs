//! The one word per core: who is in a guest, who is bringing the core to a stop, who resyncs.
//!
//! The rule that everything hangs on: *TB is rewritten only while at least one thread is closing
//! and no thread is in a guest*, and a guest is entered only while no thread is closing. Both are
//! decided on the same atomic word, so there is no window between looking and acting.
//!
//! [`CoreWord`] is a value with pure transitions; [`SharedCoreWord`] applies them by
//! compare-exchange.
//!
//! | bits (0 = least) | field |
//! |---|---|
//! | 63 | claim: one thread resyncs TB |
//! | 62 | aborted: somebody ran out of patience; every waiter leaves |
//! | 61 | resolved: the claim of this round is over |
//! | 48..56 | closing, one bit a thread |
//! | 40..48 | in_guest, one bit a thread |
//! | 32..40 | returned from the firmware, one bit a thread |
//! | 16..32 | entries, counting; a reading of TB is good if it did not move |
//! | 0..16 | epoch, counting: how often the core was closed and opened again |

use core::sync::atomic::{AtomicU64, Ordering};

/// The resync claim: the top bit, as Linux has it.
pub const CLAIM: u64 = 1 << 63;
const ABORTED: u64 = 1 << 62;
const RESOLVED: u64 = 1 << 61;
const CLOSING_SHIFT: u32 = 48;
const IN_GUEST_SHIFT: u32 = 40;
const RETURNED_SHIFT: u32 = 32;
const ENTRIES_SHIFT: u32 = 16;
const EPOCH_MASK: u64 = 0xffff;

/// A value of the word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CoreWord(pub u64);

/// Answer to [`CoreWord::enter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The guest may be entered; the offset may be applied.
    Entered,
    /// An HMI is being handled: attend instead.
    Closing,
    /// Another guest's offset is in the TB that this core shares.
    Busy,
}

/// Answer to [`CoreWord::claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This thread decides about the resync.
    Won,
    /// Another thread has it; wait until it is resolved.
    Held,
    /// It was resolved already.
    Resolved,
}

impl CoreWord {
    const fn mask(self, shift: u32) -> u8 {
        (self.0 >> shift) as u8
    }

    /// Threads that are closing the core.
    #[must_use]
    pub const fn closing(self) -> u8 {
        self.mask(CLOSING_SHIFT)
    }

    /// Threads that are in a guest, or have its offset in TB.
    #[must_use]
    pub const fn in_guest(self) -> u8 {
        self.mask(IN_GUEST_SHIFT)
    }

    /// Closing threads that are back from the firmware.
    #[must_use]
    pub const fn returned(self) -> u8 {
        self.mask(RETURNED_SHIFT)
    }

    /// Counts how often the core was opened again.
    #[must_use]
    pub const fn epoch(self) -> u16 {
        (self.0 & EPOCH_MASK) as u16
    }

    /// Counts entries into guests.
    #[must_use]
    pub const fn entries(self) -> u16 {
        (self.0 >> ENTRIES_SHIFT) as u16
    }

    /// Whether somebody gave up in this epoch.
    #[must_use]
    pub const fn aborted(self) -> bool {
        self.0 & ABORTED != 0
    }

    /// Whether the claim of this round is over.
    #[must_use]
    pub const fn resolved(self) -> bool {
        self.0 & RESOLVED != 0
    }

    /// Whether TB may be rewritten: the core is closing and nobody is in a guest.
    #[must_use]
    pub const fn may_rewrite_timebase(self) -> bool {
        self.closing() != 0 && self.in_guest() == 0
    }

    /// Asks to enter a guest. `shared_timebase`: one TB serves the core, so one guest at a time.
    #[must_use]
    pub const fn enter(self, thread: u32, shared_timebase: bool) -> (Self, Entry) {
        if self.closing() != 0 {
            return (self, Entry::Closing);
        }
        let own = 1 << (IN_GUEST_SHIFT + thread);
        if shared_timebase && self.in_guest() != 0 {
            return (self, Entry::Busy);
        }
        let entries = (self.entries().wrapping_add(1) as u64) << ENTRIES_SHIFT;
        let rest = self.0 & !(0xffff << ENTRIES_SHIFT);
        (Self(rest | entries | own), Entry::Entered)
    }

    /// The guest is left and its offset is out of TB.
    #[must_use]
    pub const fn leave(self, thread: u32) -> Self {
        Self(self.0 & !(1 << (IN_GUEST_SHIFT + thread)))
    }

    /// An HMI reached this thread: from now on no guest is entered. A thread that attended this
    /// epoch before and comes again opens a new round of the claim.
    #[must_use]
    pub const fn close(self, thread: u32, again: bool) -> Self {
        let round = if again { RESOLVED } else { 0 };
        Self((self.0 | 1 << (CLOSING_SHIFT + thread)) & !(1 << (RETURNED_SHIFT + thread)) & !round)
    }

    /// This thread is back from the firmware.
    #[must_use]
    pub const fn back_from_firmware(self, thread: u32) -> Self {
        Self(self.0 | 1 << (RETURNED_SHIFT + thread))
    }

    /// Tries to become the one that decides about the resync.
    #[must_use]
    pub const fn claim(self) -> (Self, Claim) {
        if self.resolved() {
            (self, Claim::Resolved)
        } else if self.0 & CLAIM != 0 {
            (self, Claim::Held)
        } else {
            (Self(self.0 | CLAIM), Claim::Won)
        }
    }

    /// The claimant is done.
    #[must_use]
    pub const fn resolve(self) -> Self {
        Self((self.0 | RESOLVED) & !CLAIM)
    }

    /// This thread is done. The last one opens the core and begins the next epoch: `true`.
    #[must_use]
    pub const fn open(self, thread: u32) -> (Self, bool) {
        let own = 1 << (CLOSING_SHIFT + thread) | 1 << (RETURNED_SHIFT + thread);
        let next = Self(self.0 & !own);
        if next.closing() != 0 {
            return (next, false);
        }
        let epoch = self.epoch().wrapping_add(1) as u64;
        let kept = next.0 & !(EPOCH_MASK | RESOLVED | CLAIM | ABORTED | 0xff << RETURNED_SHIFT);
        (Self(kept | epoch), true)
    }

    /// Somebody ran out of patience: every waiter leaves.
    #[must_use]
    pub const fn abort(self) -> Self {
        Self(self.0 | ABORTED)
    }
}

impl core::fmt::Debug for CoreWord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "CoreWord(epoch {} closing {:#04x} in_guest {:#04x} returned {:#04x}",
            self.epoch(),
            self.closing(),
            self.in_guest(),
            self.returned()
        )?;
        for (bit, name) in [
            (CLAIM, "claim"),
            (RESOLVED, "resolved"),
            (ABORTED, "aborted"),
        ] {
            if self.0 & bit != 0 {
                write!(f, " {name}")?;
            }
        }
        f.write_str(")")
    }
}

/// The word as the threads of a core share it.
#[derive(Debug, Default)]
pub struct SharedCoreWord(AtomicU64);

impl SharedCoreWord {
    /// Nobody in a guest, nobody closing, epoch 0.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The word now; what was written before it was stored is visible.
    #[must_use]
    pub fn load(&self) -> CoreWord {
        CoreWord(self.0.load(Ordering::Acquire))
    }

    /// Applies a transition and gives its answer and the word that it left.
    fn apply<A>(&self, transition: impl Fn(CoreWord) -> (CoreWord, A)) -> (CoreWord, A) {
        let mut before = self.0.load(Ordering::Acquire);
        loop {
            let (after, answer) = transition(CoreWord(before));
            match self
                .0
                .compare_exchange_weak(before, after.0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return (after, answer),
                Err(seen) => before = seen,
            }
        }
    }

    /// See [`CoreWord::enter`].
    pub fn enter(&self, thread: u32, shared_timebase: bool) -> Entry {
        self.apply(|word| word.enter(thread, shared_timebase)).1
    }

    /// See [`CoreWord::leave`].
    pub fn leave(&self, thread: u32) -> CoreWord {
        self.apply(|word| (word.leave(thread), ())).0
    }

    /// See [`CoreWord::close`].
    pub fn close(&self, thread: u32, again: bool) -> CoreWord {
        self.apply(|word| (word.close(thread, again), ())).0
    }

    /// See [`CoreWord::back_from_firmware`].
    pub fn back_from_firmware(&self, thread: u32) -> CoreWord {
        self.apply(|word| (word.back_from_firmware(thread), ())).0
    }

    /// See [`CoreWord::claim`].
    pub fn claim(&self) -> (CoreWord, Claim) {
        self.apply(CoreWord::claim)
    }

    /// See [`CoreWord::resolve`].
    pub fn resolve(&self) -> CoreWord {
        self.apply(|word| (word.resolve(), ())).0
    }

    /// See [`CoreWord::open`].
    pub fn open(&self, thread: u32) -> (CoreWord, bool) {
        self.apply(|word| word.open(thread))
    }

    /// See [`CoreWord::abort`].
    pub fn abort(&self) -> CoreWord {
        self.apply(|word| (word.abort(), ())).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_while_closing_and_no_rewrite_while_in_guest() {
        let (word, entry) = CoreWord::default().enter(2, false);
        assert_eq!(entry, Entry::Entered);
        let word = word.close(0, false);
        assert!(!word.may_rewrite_timebase());
        assert_eq!(word.enter(1, false), (word, Entry::Closing));
        let word = word.leave(2);
        assert!(word.may_rewrite_timebase());
        let (word, last) = word.open(0);
        assert!(last && word.epoch() == 1 && !word.may_rewrite_timebase());
        assert_eq!(word.enter(1, false).1, Entry::Entered);
    }

    #[test]
    fn a_shared_timebase_takes_one_guest() {
        let (word, _) = CoreWord::default().enter(0, true);
        assert_eq!(word.enter(1, true).1, Entry::Busy);
        assert_eq!(word.leave(0).enter(1, true).1, Entry::Entered);
    }

    #[test]
    fn one_claim_a_round() {
        let word = CoreWord::default().close(0, false).close(1, false);
        let (word, first) = word.claim();
        assert_eq!(first, Claim::Won);
        assert_eq!(word.0 & CLAIM, 1 << 63);
        assert_eq!(word.claim().1, Claim::Held);
        let word = word.resolve();
        assert_eq!(word.claim().1, Claim::Resolved);
        // A second error on a thread that attended already opens a new round.
        assert_eq!(word.close(0, true).claim().1, Claim::Won);
        let (word, last) = word.open(0);
        assert!(!last);
        let (word, last) = word.open(1);
        assert!(last && !word.resolved());
    }

    #[test]
    fn counters_wrap_within_their_fields() {
        let mut word = CoreWord(0x0000_0000_ffff_ffff);
        word = word.enter(7, false).0;
        assert_eq!(
            (word.entries(), word.epoch(), word.in_guest()),
            (0, 0xffff, 0x80)
        );
        word = word.leave(7).close(7, false).open(7).0;
        assert_eq!(word, CoreWord(0));
    }
}
