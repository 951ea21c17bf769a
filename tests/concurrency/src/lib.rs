//! Tests of several threads at once.
//!
//! `cargo xtask orderings` runs them under loom, which tries every order of the accesses and every value
//! that the memory model allows; Miri runs them with many seeds; else they run as they are.

#![forbid(unsafe_code)]

#[cfg(loom)]
pub use loom::{sync::Arc, thread};
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
pub use std::{sync::Arc, thread};

/// Something that is no word of the protocol: a register, an offset in TB, a decision. Using it while
/// another thread does, or without having met the thread that did, is an error.
#[derive(Debug)]
pub struct Place {
    #[cfg(loom)]
    cell: loom::cell::UnsafeCell<()>,
    /// How often it was written, as one sees it who met all that wrote; and how often in truth.
    #[cfg(not(loom))]
    seen: [AtomicU64; 2],
}

#[cfg(loom)]
impl Place {
    /// Nobody used it yet.
    #[must_use]
    pub fn new() -> Self {
        let cell = loom::cell::UnsafeCell::new(());
        Self { cell }
    }

    /// This thread reads it.
    pub fn read(&self) {
        self.cell.with(|_| ());
    }

    /// This thread writes it.
    pub fn write(&self) {
        self.cell.with_mut(|_| ());
    }
}

#[cfg(not(loom))]
impl Place {
    /// Nobody used it yet.
    #[must_use]
    pub fn new() -> Self {
        let seen = [AtomicU64::new(0), AtomicU64::new(0)];
        Self { seen }
    }

    fn used(&self, writes: u64) -> u64 {
        let [seen, truth] = &self.seen;
        let seen = seen.load(Ordering::Relaxed);
        // Of a change the newest value is always found.
        let truth = truth.fetch_add(writes, Ordering::Relaxed);
        assert_eq!(seen, truth, "used by two who have not met");
        seen
    }

    /// This thread reads it.
    pub fn read(&self) {
        self.used(0);
    }

    /// This thread writes it.
    pub fn write(&self) {
        let seen = self.used(1);
        self.seen[0].store(seen + 1, Ordering::Relaxed);
    }
}

/// Runs the model. Under loom in every way there is; `preemptions` bounds how often a thread is
/// stopped where it need not be. Else as the threads happen to run.
pub fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    #[cfg(loom)]
    {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = preemptions;
        builder.max_branches = 20_000;
        let executions = std::sync::Arc::new(AtomicU64::new(0));
        let counter = executions.clone();
        builder.check(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            model();
        });
        std::println!("{} executions", executions.load(Ordering::Relaxed));
    }
    #[cfg(not(loom))]
    {
        let _ = preemptions;
        (0..if cfg!(miri) { 1 } else { 50 }).for_each(|_| model());
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}
