use hardware_model::Random;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// In which order the threads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// As the machine under the test likes.
    Free,
    /// One at a time; this seed decides who is next at each access.
    Seeded(u64),
}

/// Longest wall-clock time that a thread may hold its turn: it spins without an access.
const STUCK: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct State {
    current: Option<usize>,
    runnable: Vec<usize>,
    expected: usize,
    random: Random,
    /// A change of threads every so many accesses, on average.
    stride: u64,
    /// Accesses since the last one that changed something.
    quiet: u64,
}

/// What a thread is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Relax,
}

/// After so many accesses without a write all threads wait for a budget to run out: then they take
/// longer turns, which changes nothing but the time that it takes.
const QUIET: u64 = 2000;
const QUIET_STRIDE: u64 = 200;

/// Hands the right to run from thread to thread, one access at a time.
#[derive(Debug)]
pub struct Turns {
    state: Mutex<State>,
    wake: Vec<Condvar>,
}

impl Turns {
    /// Turns among `expected` threads with indices below `threads`.
    #[must_use]
    pub fn new(seed: u64, threads: usize, expected: usize) -> Self {
        let mut random = Random::new(seed);
        let stride = [1, 2, 3, 8, 40][random.below(5) as usize];
        let state = State {
            current: None,
            runnable: Vec::new(),
            expected,
            random,
            stride,
            quiet: 0,
        };
        Self {
            state: Mutex::new(state),
            wake: (0..threads).map(|_| Condvar::new()).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins; returns when all joined and it is this thread's turn.
    pub(crate) fn join(&self, thread: usize) -> Turn<'_> {
        let mut state = self.lock();
        state.runnable.push(thread);
        if state.runnable.len() == state.expected {
            // The order of joining is the operating system's; ours is not.
            state.runnable.sort_unstable();
            self.choose(&mut state);
        }
        self.wait(state, thread);
        Turn {
            turns: self,
            thread,
        }
    }

    /// One access is about to happen: perhaps another thread comes first.
    pub(crate) fn pass(&self, thread: usize, kind: Kind) {
        let mut state = self.lock();
        state.quiet = if kind == Kind::Write {
            0
        } else {
            state.quiet + 1
        };
        let stride = match kind {
            _ if state.quiet > QUIET => QUIET_STRIDE,
            Kind::Relax => 1,
            Kind::Read | Kind::Write => state.stride,
        };
        if state.random.below(stride) != 0 {
            return;
        }
        self.choose(&mut state);
        self.wait(state, thread);
    }

    /// Nothing to do for now.
    pub(crate) fn rest(&self, thread: usize) {
        let mut state = self.lock();
        self.choose(&mut state);
        self.wait(state, thread);
    }

    fn choose(&self, state: &mut State) {
        let count = state.runnable.len() as u64;
        state.current =
            (count > 0).then(|| state.runnable[state.random.below(count.max(1)) as usize]);
        if let Some(next) = state.current {
            self.wake[next].notify_all();
        }
    }

    fn wait(&self, mut state: MutexGuard<'_, State>, thread: usize) {
        while state.current != Some(thread) {
            let before = state.current;
            let waited = self.wake[thread]
                .wait_timeout(state, STUCK)
                .unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            assert!(
                !waited.1.timed_out() || state.current != before,
                "thread {thread} waits for {before:?}, which spins without any access"
            );
        }
    }
}

/// A thread's membership; leaving hands the turn on, also in a panic.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    thread: usize,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.runnable.retain(|other| *other != self.thread);
        self.turns.choose(&mut state);
    }
}
