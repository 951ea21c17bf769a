//! Threads of a shuttle run: at each access its scheduler decides who goes on.

use super::decider::Kind;
use super::{Carrier, Died, Played, Turn};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// After so many accesses without a write all threads wait for a budget to run out: then one spin
/// stands for many, which would find nothing new.
const QUIET: u64 = 2000;
const QUIET_SPINS: u64 = 100;

/// What the threads of a run share. One runs at a time.
#[derive(Debug)]
pub(super) struct Threads {
    /// Accesses since the last one that changed something.
    quiet: AtomicU64,
    /// Threads that have not ended or died.
    living: AtomicUsize,
}

impl Threads {
    pub(super) fn pass(&self, kind: Kind) {
        match kind {
            Kind::Write | Kind::Aside => self.quiet.store(0, Ordering::Relaxed),
            Kind::Read | Kind::Relax => {
                self.quiet.fetch_add(1, Ordering::Relaxed);
            }
        }
        if kind == Kind::Relax {
            // The others first: a scheduler with priorities would let it spin for ever.
            shuttle::thread::yield_now();
        } else {
            switch();
        }
    }

    pub(super) fn spins(&self, most: u64) -> u64 {
        let together = if self.quiet.load(Ordering::Relaxed) > QUIET {
            QUIET_SPINS
        } else {
            1
        };
        together.min(most).max(1)
    }

    /// Something begins that others may wait for: memory alone is not seen here.
    pub(super) fn get_on(&self) {
        self.quiet.store(0, Ordering::Relaxed);
    }

    #[allow(clippy::unused_self, reason = "as of the other carriers")]
    pub(super) fn rest(&self) {
        shuttle::thread::yield_now();
    }

    /// The thread is out of the game, but lives on with what it holds until the others have ended.
    pub(super) fn die(&self) -> ! {
        self.living.fetch_sub(1, Ordering::Relaxed);
        while self.living.load(Ordering::Relaxed) != 0 {
            shuttle::thread::yield_now();
        }
        std::panic::resume_unwind(Box::new(Died))
    }
}

/// A point at which another thread may run.
fn switch() {
    shuttle::thread::sleep(Duration::ZERO);
}

/// Plays the threads as those of the shuttle run that this is called in.
pub(super) fn play<R: Send>(
    threads: &[usize],
    body: impl Fn(usize, Option<Turn<'_>>) -> R + Sync,
) -> Played<R> {
    let shared = Threads {
        quiet: AtomicU64::new(0),
        living: AtomicUsize::new(threads.len()),
    };
    let (shared, body) = (&shared, &body);
    shuttle::thread::scope(|scope| {
        let start = |&thread: &usize| {
            scope.spawn(move || {
                let carrier = Carrier::Shuttle(shared);
                let body = AssertUnwindSafe(|| body(thread, Some(Turn { thread, carrier })));
                match std::panic::catch_unwind(body) {
                    Ok(answer) => {
                        shared.living.fetch_sub(1, Ordering::Relaxed);
                        Some(answer)
                    }
                    Err(end) if end.is::<Died>() => None,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            })
        };
        let running: Vec<_> = threads.iter().map(start).collect();
        running.into_iter().map(|thread| thread.join()).collect()
    })
}
