//! The meeting of a core's threads: one 64-bit word, and pure functions on it.
//!
//! An error of the core's timer facility is repaired by all its threads together: each rewrites its
//! own registers, one of them (the leader) gives the commands. A meeting has a generation, so that
//! a thread that comes late cannot get into a meeting that is not its own; it knows who takes part,
//! so that nobody waits for a thread that never comes; and it has one place, `Depart`, to which
//! success and abort both lead, so that no one is left waiting in another phase.
//!
//! An error that stays, or a new one in the middle, sends the meeting back to `RepairTfmr`, at most
//! [`MAX_RETRIES`] times.
//!
//! [`step`] is the whole protocol. [`Coordinator`] only applies it to an atomic.
//!
//! | phase | who works | what |
//! |---|---|---|
//! | `Arrive` | everyone | comes; ends when all are there, or someone's budget is used up |
//! | `RepairTfmr` | leader | a corrupt TFMR, so that the rest of it can be trusted |
//! | `Clean` | everyone | rewrites the own HDEC and TB |
//! | `Clear` | leader | clears the core's errors |
//! | `Local` | everyone | repairs the own PURR, SPURR, DEC |
//! | `Reload` | leader | TOD errors, then TB from the TOD |
//! | `Check` | everyone | looks at the own TFMR and TB |
//! | `Depart` | everyone | leaves; the last one makes the word idle |

mod phase;
mod protocol;
mod word;

use core::sync::atomic::{AtomicU64, Ordering};
pub use phase::{AbortReason, Findings, MAX_RETRIES, Phase};
pub use protocol::{Event, Verdict, step};
pub use word::{Task, ThreadMask, Word, mask_of};

/// The word of one core, shared by its threads.
#[derive(Debug)]
pub struct Coordinator(AtomicU64);

/// An event was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The word before.
    pub before: Word,
    /// The word after.
    pub after: Word,
    /// What became of the event.
    pub verdict: Verdict,
}

impl Default for Coordinator {
    fn default() -> Self {
        Self::new()
    }
}

impl Coordinator {
    /// Idle, generation 0.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The word now. What participants wrote before it became so is visible.
    #[must_use]
    pub fn load(&self) -> Word {
        Word::from_bits(self.0.load(Ordering::Acquire))
    }

    /// Applies an event. What the caller wrote before is visible to whoever sees the new word.
    pub fn apply(&self, event: Event) -> Applied {
        let mut bits = self.0.load(Ordering::Acquire);
        loop {
            let before = Word::from_bits(bits);
            let (after, verdict) = step(before, event);
            match self.0.compare_exchange_weak(
                bits,
                after.to_bits(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    return Applied {
                        before,
                        after,
                        verdict,
                    };
                }
                // Someone else's event came first: every failure is another thread's progress.
                Err(current) => bits = current,
            }
        }
    }
}

#[cfg(test)]
mod tests;
