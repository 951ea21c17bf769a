//! The core word under loom: every order of its accesses that the language's memory model allows.
//!
//! `cargo xtask orderings` runs these, with `--cfg loom`; without it there is nothing here. Loom
//! reports a [`Place`] that is used without order between the two uses, so each test says what the
//! word must have made visible to whoever acts on it.
#![cfg(loom)]

mod attend;
mod word;

use loom::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Something that is no word of the protocol: an offset in TB, a register, a decision. Using it
/// while another thread does, or without having met the thread that did, is an error.
struct Place(UnsafeCell<()>);

impl Place {
    fn new() -> Self {
        Self(UnsafeCell::new(()))
    }

    fn read(&self) {
        self.0.with(|_| ());
    }

    fn write(&self) {
        self.0.with_mut(|_| ());
    }
}

/// Runs the model; `preemptions` bounds how often a thread is stopped where it need not be.
fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    let executions = Arc::new(AtomicU64::new(0));
    let counter = executions.clone();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} executions", executions.load(Ordering::Relaxed));
}
