//! What the threads of a core share, under loom: every order of their accesses that the language's
//! memory model allows. `cargo xtask orderings` runs these, with `--cfg loom`.

mod events;
mod meeting;
mod signals;

use loom::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Something that is no word of the protocol: a register of a thread, or one of the whole core.
/// Using it while another thread does, or without having met the thread that did, is an error.
#[derive(Debug)]
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
    std::println!("{} executions", executions.load(Ordering::Relaxed));
}
