//! Oddities that are handled quietly, but counted.

use core::sync::atomic::{AtomicU64, Ordering};

/// The counters.
#[derive(Debug, Default)]
pub struct Counters {
    unknown_hmer: AtomicU64,
    absent_threads: AtomicU64,
    backward_timebase: AtomicU64,
}

impl Counters {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            unknown_hmer: AtomicU64::new(0),
            absent_threads: AtomicU64::new(0),
            backward_timebase: AtomicU64::new(0),
        }
    }

    /// HMER bits without a meaning that were seen and cleared.
    #[must_use]
    pub fn unknown_hmer(&self) -> u64 {
        self.unknown_hmer.load(Ordering::Relaxed)
    }

    /// Threads that meetings waited for in vain.
    #[must_use]
    pub fn absent_threads(&self) -> u64 {
        self.absent_threads.load(Ordering::Relaxed)
    }

    /// Reloads after which TB was behind a value that was seen before.
    #[must_use]
    pub fn backward_timebase(&self) -> u64 {
        self.backward_timebase.load(Ordering::Relaxed)
    }

    pub(crate) fn count_unknown_hmer(&self, bits: u64) {
        self.unknown_hmer
            .fetch_add(u64::from(bits.count_ones()), Ordering::Relaxed);
    }

    pub(crate) fn count_absent(&self, threads: u8) {
        self.absent_threads
            .fetch_add(u64::from(threads.count_ones()), Ordering::Relaxed);
    }

    pub(crate) fn count_backward_timebase(&self) {
        self.backward_timebase.fetch_add(1, Ordering::Relaxed);
    }
}
