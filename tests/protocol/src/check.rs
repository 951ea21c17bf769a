//! One run of the checker, and what came of it.

use crate::sets::Run;
use crate::words::{discoveries, unreached};
use stateright::{Checker, Model as _};
use std::time::Instant;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Steps of the longest of the shortest ways to a state.
    pub depth: usize,
    /// How long it took.
    pub seconds: f64,
    /// Rules that do not hold, with their shortest traces.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// What should have been reached and was not.
    pub unreached: Vec<&'static str>,
}

/// Explores all states of a run.
#[must_use]
pub fn run(run: &Run, jobs: usize) -> Outcome {
    let start = Instant::now();
    // Breadth first: a trace is the shortest, and the memory for the ways stays small. The model itself
    // takes one state for all that differ only in the numbers of threads.
    let checker = run.model.clone().checker().threads(jobs).spawn_bfs().join();
    Outcome {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        seconds: start.elapsed().as_secs_f64(),
        broken: discoveries(&checker),
        unreached: unreached(&checker),
    }
}
