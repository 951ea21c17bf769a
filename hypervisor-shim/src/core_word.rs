//! The one word per core: who is in a guest, who is bringing the core to a stop, who resyncs.
//!
//! The rule that everything hangs on: *TB is rewritten only while at least one thread is closing
//! and no thread is in a guest*, and a guest is entered only while no thread is closing. Both are
//! decided on the same atomic word, so there is no window between looking and acting.
//!
//! [`CoreWord`] is a value and [`step`] the whole protocol on it; [`SharedCoreWord`] only applies it
//! to an atomic. The order in which a thread makes these steps is [`crate::passage`].
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
//! | 0..16 | epoch, counting: grows when the core is opened, and when one that attended comes again |

mod protocol;
mod word;

use crate::atomic::{AtomicU64, const_fn};
use core::sync::atomic::Ordering;
pub use protocol::{Answer, Event, step};
pub use word::{CLAIM, CoreWord};

/// The word as the threads of a core share it.
#[derive(Debug, Default)]
pub struct SharedCoreWord(AtomicU64);

impl SharedCoreWord {
    const_fn! {
        /// Nobody in a guest, nobody closing, epoch 0.
        #[must_use]
        pub fn new() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    /// The word now; what was written before it was stored is visible.
    #[must_use]
    pub fn load(&self) -> CoreWord {
        CoreWord(self.0.load(Ordering::Acquire))
    }

    /// Applies an event and gives the word that it left, and the answer. What the caller wrote before
    /// is visible to whoever sees the new word.
    pub fn apply(&self, event: Event) -> (CoreWord, Answer) {
        // Nothing is done with what is read here before the exchange has confirmed it.
        let mut before = self.0.load(Ordering::Relaxed);
        loop {
            let (after, answer) = step(CoreWord(before), event);
            match self
                .0
                .compare_exchange_weak(before, after.0, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return (after, answer),
                Err(seen) => before = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests;
