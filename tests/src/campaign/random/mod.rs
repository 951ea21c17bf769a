//! Random cases, each made from one number.

mod generate;
mod shrink;
mod unrepaired;

use super::judge::{Verdict, honest};
use super::rows::Rows;
use crate::quiet::caught;
use crate::scenario::{Case, run};
pub use generate::generate;
#[cfg(feature = "shuttle")]
pub(super) use generate::{fault, must_recover};
use serde::{Deserialize, Serialize};
pub use shrink::shrink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub use unrepaired::Unrepaired;

/// What came of a campaign so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Cases in which all was repaired.
    pub recovered: u64,
    /// Cases in which something was not, and that was said.
    pub failed: u64,
    /// Cases that must be repaired, and were not: their seeds, and the reason.
    pub wrong: Vec<(u64, String)>,
    /// Faults that were inflicted.
    pub faults: u64,
    /// Rows of the decision tables that were acted upon.
    pub rows: Rows,
    /// What is in the cases of [`Self::failed`].
    pub unrepaired: Unrepaired,
}

impl Tally {
    /// Cases that were run.
    #[must_use]
    pub fn cases(&self) -> u64 {
        self.recovered + self.failed + self.wrong.len() as u64
    }

    /// Adds what came of other cases.
    pub fn join(&mut self, other: Self) {
        self.recovered += other.recovered;
        self.failed += other.failed;
        self.wrong.extend(other.wrong);
        self.faults += other.faults;
        self.rows.join(&other.rows);
        self.unrepaired.join(other.unrepaired);
    }
}

/// Runs a case once, on its first processor with its first seed.
///
/// # Errors
/// What was said and is not so, or the panic.
pub fn judged(case: &Case, rows: &mut Rows) -> Result<Verdict, String> {
    let (processor, seed) = (case.generations[0], case.seeds[0]);
    caught(|| {
        let found = run(case, processor, seed);
        rows.add_all(processor.model(), &found.rows);
        honest(case, &found)
    })?
}

/// Runs the case of one number.
fn one(number: u64, tally: &mut Tally) {
    let case = generate(number);
    tally.faults += case.faults.len() as u64;
    match judged(&case, &mut tally.rows) {
        Ok(Verdict::Recovered) => tally.recovered += 1,
        Ok(Verdict::Failed) if generate::must_recover(&case) => {
            let why = "not recovered, though all of it can be".to_owned();
            tally.wrong.push((number, why));
        }
        Ok(Verdict::Failed) => {
            tally.failed += 1;
            tally.unrepaired.add(number, &case);
        }
        Err(why) => tally.wrong.push((number, why)),
    }
}

/// Cases that a worker takes at a time.
const BATCH: u64 = 64;

/// Runs the cases of `first..end` on `jobs` threads, until `stop` is set. `progress` is told what
/// was reached: all numbers below the given one are done, with what came of them.
///
/// # Panics
/// If a worker does.
pub fn campaign(
    first: u64,
    end: u64,
    jobs: usize,
    stop: &AtomicBool,
    progress: impl Fn(u64, &Tally) + Sync,
) -> (u64, Tally) {
    let next = AtomicU64::new(first);
    let done = Mutex::new((Tally::default(), first));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let from = next.fetch_add(BATCH, Ordering::Relaxed);
                    if from >= end {
                        break;
                    }
                    let mut tally = Tally::default();
                    for number in from..end.min(from + BATCH) {
                        one(number, &mut tally);
                    }
                    let mut done = done.lock().expect("no worker panics");
                    done.0.join(tally);
                    done.1 = end.min(next.load(Ordering::Relaxed));
                    progress(done.1, &done.0);
                }
            });
        }
    });
    // Everyone finished the batch that it took: nothing below is left out.
    let (mut tally, _) = done.into_inner().expect("no worker panics");
    tally.wrong.sort();
    (end.min(next.load(Ordering::Relaxed)), tally)
}
