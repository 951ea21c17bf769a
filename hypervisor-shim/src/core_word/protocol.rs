//! The protocol: what each event does to the word.

use super::word::{
    ABORTED, CLAIM, CLOSING_SHIFT, CoreWord, ENTRIES_SHIFT, EPOCH_MASK, IN_GUEST_SHIFT, RESOLVED,
    RETURNED_SHIFT,
};

/// What a thread does to the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It asks to enter its guest.
    Enter {
        /// The thread.
        thread: u8,
        /// The threads that have the same TB, itself among them: one guest's offset fits into it.
        sharing: u8,
    },
    /// Its guest is left and the offset is out of TB.
    Leave {
        /// The thread.
        thread: u8,
    },
    /// An HMI is to be handled: from now on no guest is entered.
    ///
    /// If the thread took an interrupt after the claim of this epoch was resolved, the next epoch begins,
    /// with a claim of its own: those who opened already are summoned once more, for it may wait for
    /// them in the firmware. One that was summoned begins none, or two could go on for ever.
    Close {
        /// The thread.
        thread: u8,
        /// It took an interrupt, or found TB broken.
        interrupted: bool,
    },
    /// It goes to the firmware, perhaps once more: it is not back.
    Go {
        /// The thread.
        thread: u8,
    },
    /// It is back from the firmware.
    Back {
        /// The thread.
        thread: u8,
    },
    /// It tries to become the one that decides about the resync. That all are back from the firmware
    /// is looked at in the same step: one that closed meanwhile is on its way into it.
    Claim,
    /// The claimant is done.
    Resolve,
    /// It is done. The last one opens the core and begins the next epoch.
    Open {
        /// The thread.
        thread: u8,
    },
    /// It ran out of patience: every waiter leaves.
    Abort,
}

/// The answer to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// To [`Event::Enter`]: the guest may be entered, the offset may be applied.
    Entered,
    /// To [`Event::Enter`]: an HMI is being handled, attend instead.
    Closing,
    /// To [`Event::Enter`]: another guest's offset is in the TB that both share.
    Busy,
    /// To [`Event::Claim`]: this thread decides about the resync.
    Won,
    /// To [`Event::Claim`]: another thread has it; wait until it is resolved.
    Held,
    /// To [`Event::Claim`]: it was resolved already.
    Resolved,
    /// To [`Event::Claim`]: a sibling closed meanwhile; wait for it.
    Early,
    /// To [`Event::Close`] of a thread that was summoned: all have opened meanwhile, and this one is in no
    /// guest. If it closed the core once more, two could summon each other for ever.
    Past,
    /// To [`Event::Open`]: the core is open, a new epoch begins.
    Opened,
    /// Nothing to tell.
    Noted,
}

/// Applies an event.
#[must_use]
pub const fn step(word: CoreWord, event: Event) -> (CoreWord, Answer) {
    const fn noted(bits: u64) -> (CoreWord, Answer) {
        (CoreWord(bits), Answer::Noted)
    }
    match event {
        Event::Enter { thread, sharing } => enter(word, thread, sharing),
        Event::Leave { thread } => noted(word.0 & !(1 << (IN_GUEST_SHIFT + thread as u32))),
        Event::Close {
            thread,
            interrupted,
        } => {
            let in_guest = word.in_guest() & 1 << thread != 0;
            if !interrupted && word.closing() == 0 && !in_guest {
                return (word, Answer::Past);
            }
            let again = interrupted && word.closing() != 0 && word.resolved();
            let round = if again { RESOLVED | EPOCH_MASK } else { 0 };
            let epoch = if again { word.next_epoch() } else { 0 };
            let closing = word.0 | 1 << (CLOSING_SHIFT + thread as u32);
            noted(closing & !(1 << (RETURNED_SHIFT + thread as u32)) & !round | epoch)
        }
        Event::Go { thread } => noted(word.0 & !(1 << (RETURNED_SHIFT + thread as u32))),
        Event::Back { thread } => noted(word.0 | 1 << (RETURNED_SHIFT + thread as u32)),
        Event::Claim => {
            if word.resolved() {
                (word, Answer::Resolved)
            } else if word.closing() & !word.returned() != 0 && !word.aborted() {
                (word, Answer::Early)
            } else if word.0 & CLAIM != 0 {
                (word, Answer::Held)
            } else {
                (CoreWord(word.0 | CLAIM), Answer::Won)
            }
        }
        Event::Resolve => noted((word.0 | RESOLVED) & !CLAIM),
        Event::Open { thread } => open(word, thread),
        Event::Abort => noted(word.0 | ABORTED),
    }
}

const fn enter(word: CoreWord, thread: u8, sharing: u8) -> (CoreWord, Answer) {
    if word.closing() != 0 {
        return (word, Answer::Closing);
    }
    if word.in_guest() & sharing != 0 {
        return (word, Answer::Busy);
    }
    let own = 1 << (IN_GUEST_SHIFT + thread as u32);
    let entries = (word.entries().wrapping_add(1) as u64) << ENTRIES_SHIFT;
    let rest = word.0 & !(0xffff << ENTRIES_SHIFT);
    (CoreWord(rest | entries | own), Answer::Entered)
}

const fn open(word: CoreWord, thread: u8) -> (CoreWord, Answer) {
    let own = 1 << (CLOSING_SHIFT + thread as u32) | 1 << (RETURNED_SHIFT + thread as u32);
    let next = CoreWord(word.0 & !own);
    if next.closing() != 0 {
        return (next, Answer::Noted);
    }
    let kept = next.0 & !(EPOCH_MASK | RESOLVED | CLAIM | ABORTED | 0xff << RETURNED_SHIFT);
    (CoreWord(kept | word.next_epoch()), Answer::Opened)
}
