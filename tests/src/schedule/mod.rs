//! In which order the threads of a run make their accesses.
//!
//! With a seed one thread runs at a time, and the seed decides who is next at each access. Two
//! carriers do that with the same decisions: coroutines on one OS thread, which are fast, and OS
//! threads that wait for their turn, for Miri and for architectures without coroutines. The same
//! seed gives the same interleaving on both.

#[cfg(coroutines)]
mod coroutines;
mod decider;
#[cfg(feature = "shuttle")]
mod shuttled;
mod turns;
mod wait;

pub(crate) use decider::Kind;
pub(crate) use wait::Wait;

use crate::quiet::quiet;
use decider::Decider;
use std::panic::AssertUnwindSafe;
use turns::Turns;

/// In which order the threads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// As the host likes: each thread is an OS thread.
    Free,
    /// One at a time; this seed decides who is next at each access.
    Seeded(u64),
    /// As [`Self::Seeded`], on OS threads even where there are coroutines.
    SeededOsThreads(u64),
    /// One at a time, as shuttle's scheduler decides; only within a shuttle run.
    #[cfg(feature = "shuttle")]
    Shuttle,
}

/// What a thread holds while a seed decides who runs.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    thread: usize,
    carrier: Carrier<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Carrier<'a> {
    OsThread(&'a Turns),
    #[cfg(coroutines)]
    Coroutine(coroutines::Place<'a>),
    #[cfg(feature = "shuttle")]
    Shuttle(&'a shuttled::Threads),
}

impl Turn<'_> {
    /// One access is about to happen: perhaps another thread comes first.
    pub(crate) fn pass(&self, kind: Kind) {
        match self.carrier {
            Carrier::OsThread(turns) => turns.pass(self.thread, kind),
            #[cfg(coroutines)]
            Carrier::Coroutine(place) => place.pass(self.thread, kind),
            #[cfg(feature = "shuttle")]
            Carrier::Shuttle(threads) => threads.pass(kind),
        }
    }

    /// After [`Self::pass`] for a spin of a wait that lasts `most` spins at most: how many spins it
    /// stands for. More than one when nobody does anything but wait for a budget to run out: then
    /// all of their time passes at once, and the thread need not come back for the others.
    pub(crate) fn spins(&self, most: u64) -> u64 {
        match self.carrier {
            Carrier::OsThread(turns) => turns.spins(most),
            #[cfg(coroutines)]
            Carrier::Coroutine(place) => place.spins(most),
            #[cfg(feature = "shuttle")]
            Carrier::Shuttle(threads) => threads.spins(most),
        }
    }

    /// The thread begins something, perhaps in memory alone, that others may wait for.
    pub(crate) fn get_on(&self) {
        match self.carrier {
            Carrier::OsThread(turns) => turns.get_on(),
            #[cfg(coroutines)]
            Carrier::Coroutine(place) => place.get_on(),
            #[cfg(feature = "shuttle")]
            Carrier::Shuttle(threads) => threads.get_on(),
        }
    }

    /// The thread makes no access any more, and gives back nothing that it holds.
    pub(crate) fn die(&self) -> ! {
        match self.carrier {
            Carrier::OsThread(turns) => turns.die(self.thread),
            #[cfg(coroutines)]
            Carrier::Coroutine(place) => place.die(self.thread),
            #[cfg(feature = "shuttle")]
            Carrier::Shuttle(threads) => threads.die(),
        }
    }

    /// Nothing to do for now: perhaps another thread's turn.
    pub fn rest(&self) {
        match self.carrier {
            Carrier::OsThread(turns) => turns.rest(self.thread),
            #[cfg(coroutines)]
            Carrier::Coroutine(place) => place.rest(self.thread),
            #[cfg(feature = "shuttle")]
            Carrier::Shuttle(threads) => threads.rest(),
        }
    }
}

/// Plays these threads, each with its index below 64 and, where a seed decides, its turn. Gives
/// what each answered, in the order of `threads`; `None` for those that died.
///
/// # Panics
/// If a thread panics: with its message, after the schedule was printed.
pub fn play<R: Send>(
    schedule: Schedule,
    threads: &[usize],
    body: impl Fn(usize, Option<Turn<'_>>) -> R + Sync,
) -> Vec<Option<R>> {
    let played = match schedule {
        Schedule::Free => os_threads(threads, |thread| Some(body(thread, None))),
        #[cfg(coroutines)]
        Schedule::Seeded(seed) => coroutines::play(Decider::new(seed, threads), threads, &body),
        #[cfg(not(coroutines))]
        Schedule::Seeded(seed) => turns_of(seed, threads, body),
        Schedule::SeededOsThreads(seed) => turns_of(seed, threads, body),
        #[cfg(feature = "shuttle")]
        Schedule::Shuttle => shuttled::play(threads, body),
    };
    played.unwrap_or_else(|panic| {
        if !quiet() {
            eprintln!("schedule: {schedule:?}");
        }
        std::panic::resume_unwind(panic)
    })
}

type Played<R> = std::thread::Result<Vec<Option<R>>>;

/// What a dead OS thread ends with.
struct Died;

fn turns_of<R: Send>(
    seed: u64,
    threads: &[usize],
    body: impl Fn(usize, Option<Turn<'_>>) -> R + Sync,
) -> Played<R> {
    let turns = Turns::new(Decider::new(seed, threads), threads);
    os_threads(threads, |thread| {
        let _membership = turns.join(thread);
        let carrier = Carrier::OsThread(&turns);
        let body = AssertUnwindSafe(|| body(thread, Some(Turn { thread, carrier })));
        match std::panic::catch_unwind(body) {
            Ok(answer) => Some(answer),
            Err(end) if end.is::<Died>() => None,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn os_threads<R: Send>(threads: &[usize], body: impl Fn(usize) -> Option<R> + Sync) -> Played<R> {
    let body = &body;
    std::thread::scope(|scope| {
        let running: Vec<_> = threads
            .iter()
            .map(|&thread| scope.spawn(move || body(thread)))
            .collect();
        let ended: Vec<_> = running.into_iter().map(|handle| handle.join()).collect();
        ended.into_iter().collect()
    })
}
