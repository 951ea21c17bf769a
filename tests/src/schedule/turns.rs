use super::Died;
use super::decider::{Decider, Kind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wall-clock time that a thread may hold its turn: it spins without an access.
const STUCK: Duration = Duration::from_secs(60);
/// How often a dead thread looks whether all is over: nobody wakes it.
const POLL: Duration = Duration::from_millis(1);

/// Hands the right to run from OS thread to OS thread, one access at a time.
#[derive(Debug)]
pub(super) struct Turns {
    decider: Mutex<Decider>,
    /// One for each thread, by index.
    wake: Vec<Condvar>,
}

impl Turns {
    pub(super) fn new(decider: Decider, threads: &[usize]) -> Self {
        let highest = threads.iter().max().map_or(0, |thread| thread + 1);
        Self {
            decider: Mutex::new(decider),
            wake: (0..highest).map(|_| Condvar::new()).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Decider> {
        self.decider.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when it is this thread's turn.
    pub(super) fn join(&self, thread: usize) -> Membership<'_> {
        let membership = Membership {
            turns: self,
            thread,
        };
        self.wait(self.lock(), thread);
        membership
    }

    pub(super) fn pass(&self, thread: usize, kind: Kind) {
        let mut decider = self.lock();
        if decider.pass(kind) {
            self.wait(decider, thread);
        }
    }

    pub(super) fn spins(&self, most: u64) -> u64 {
        self.lock().spins(most)
    }

    pub(super) fn get_on(&self) {
        self.lock().get_on();
    }

    pub(super) fn rest(&self, thread: usize) {
        let mut decider = self.lock();
        decider.choose();
        self.wait(decider, thread);
    }

    /// The thread is out of the game, but lives on with what it holds until the others have ended.
    pub(super) fn die(&self, thread: usize) -> ! {
        let mut decider = self.lock();
        decider.leave(thread);
        self.wake_next(&decider, None);
        while decider.current().is_some() {
            let waited = self.wake[thread].wait_timeout(decider, POLL);
            decider = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(decider);
        std::panic::resume_unwind(Box::new(Died))
    }

    fn wake_next(&self, decider: &Decider, from: Option<usize>) {
        if let Some(next) = decider.current().filter(|next| Some(*next) != from) {
            self.wake[next].notify_all();
        }
    }

    fn wait(&self, mut decider: MutexGuard<'_, Decider>, thread: usize) {
        self.wake_next(&decider, Some(thread));
        while decider.current() != Some(thread) {
            let before = decider.current();
            let waited = self.wake[thread]
                .wait_timeout(decider, STUCK)
                .unwrap_or_else(PoisonError::into_inner);
            decider = waited.0;
            assert!(
                !waited.1.timed_out() || decider.current() != before,
                "thread {thread} waits for {before:?}, which spins without any access"
            );
        }
    }
}

/// A thread's membership; leaving hands the turn on, also in a panic.
#[derive(Debug)]
pub(super) struct Membership<'a> {
    turns: &'a Turns,
    thread: usize,
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        let mut decider = self.turns.lock();
        decider.leave(self.thread);
        self.turns.wake_next(&decider, None);
    }
}
