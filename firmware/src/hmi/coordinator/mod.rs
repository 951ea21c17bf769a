//! The meeting of a core's threads: the word that they share. What an event does to it, and which
//! events a thread makes, is in [`hmi_meeting`].

use crate::atomic::{AtomicU64, const_fn};
use core::sync::atomic::Ordering;
pub use hmi_meeting::{
    AbortReason, Event, Findings, MAX_RETRIES, Phase, Task, ThreadMask, Verdict, Word, mask_of,
    step,
};

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
    const_fn! {
        /// Idle, generation 0.
        #[must_use]
        pub fn new() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    /// The word now. What participants wrote before it became so is visible.
    #[must_use]
    pub fn load(&self) -> Word {
        Word::from_bits(self.0.load(Ordering::Acquire))
    }

    /// Applies an event. What the caller wrote before is visible to whoever sees the new word.
    pub fn apply(&self, event: Event) -> Applied {
        // Nothing is done with what is read here before the exchange has confirmed it.
        let mut bits = self.0.load(Ordering::Relaxed);
        loop {
            let before = Word::from_bits(bits);
            let (after, verdict) = step(before, event);
            match self.0.compare_exchange_weak(
                bits,
                after.to_bits(),
                Ordering::AcqRel,
                Ordering::Relaxed,
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
