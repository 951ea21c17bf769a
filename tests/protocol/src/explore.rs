//! A small search of its own, for the mutants: it builds in seconds, and stops at the first rule that
//! breaks. The checks of record are Stateright's.

use crate::model::Protocol;
use crate::progress::{self, CIRCLE, TRAP};
use crate::sets::Run;
use std::collections::{HashSet, VecDeque};

/// States of a run, beyond which a changed protocol has no bounds any more.
const MOST: usize = 3_000_000;

/// The first rule that breaks, or was never reached.
#[must_use]
pub fn first_broken(run: &Run) -> Option<&'static str> {
    let model = &run.model;
    let rules = model.rules();
    let mut missing = model.reached();
    let first = model.first_states();
    let mut seen: HashSet<_> = first.iter().copied().collect();
    let mut left: VecDeque<_> = first.into();
    let mut moves = Vec::new();
    while let Some(state) = left.pop_front() {
        if let Some(rule) = rules.iter().find(|rule| !(rule.holds)(model, &state)) {
            return Some(rule.name);
        }
        missing.retain(|rule| !(rule.holds)(model, &state));
        moves.clear();
        model.moves(&state, &mut moves);
        for happens in &moves {
            if let Some(next) = model.next(&state, *happens)
                && seen.insert(next)
            {
                left.push_back(next);
            }
        }
        if seen.len() > MOST {
            return Some("the states have a bound");
        }
    }
    missing.first().map(|rule| rule.name)
}

/// As [`first_broken`], for several runs.
#[must_use]
pub fn first_broken_of(runs: &[Run]) -> Option<(&'static str, &Protocol)> {
    runs.iter()
        .find_map(|run| first_broken(run).map(|rule| (rule, &run.model)))
}

/// The first run in which not every way of the threads comes to an end.
#[must_use]
pub fn first_endless_of(runs: &[Run]) -> Option<(&'static str, &Protocol)> {
    runs.iter().find_map(|run| {
        let found = progress::of(&run.model);
        let broken = if found.traps != 0 {
            TRAP
        } else if found.circling != 0 {
            CIRCLE
        } else {
            return None;
        };
        Some((broken, &run.model))
    })
}
