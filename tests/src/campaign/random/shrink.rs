use super::judged;
use crate::campaign::Rows;
use crate::scenario::{Backup, Case, Moment};

/// Makes a failing case as small as it can be made while it still fails for a reason that reads
/// alike, in at most `most` runs. Gives the case and its reason.
#[must_use]
pub fn shrink(case: &Case, why: &str, most: u32) -> (Case, String) {
    let (mut best, mut reason) = (case.clone(), why.to_owned());
    let mut left = most;
    let mut rows = Rows::default();
    loop {
        let mut smaller = None;
        for candidate in candidates(&best) {
            if left == 0 {
                return (best, reason);
            }
            if !candidate.check().is_empty() {
                continue;
            }
            left -= 1;
            if let Err(other) = judged(&candidate, &mut rows)
                && kind_of(&other) == kind_of(why)
            {
                smaller = Some((candidate, other));
                break;
            }
        }
        match smaller {
            Some((case, why)) => (best, reason) = (case, why),
            None => return (best, reason),
        }
    }
}

/// A reason without its numbers.
fn kind_of(why: &str) -> String {
    let head: String = why.chars().take(60).collect();
    head.chars().filter(|c| c.is_alphabetic()).collect()
}

/// Cases with a little less in them, those with much less first.
fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let mut push = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        if smaller != *case {
            all.push(smaller);
        }
    };
    push(&|case| case.threads.clear());
    for index in (0..case.faults.len()).rev() {
        push(&|case| drop(case.faults.remove(index)));
    }
    push(&|case| case.shape.chips = 1);
    push(&|case| case.shape.cores = 1);
    push(&|case| case.shape.chips -= 1);
    push(&|case| case.shape.cores -= 1);
    push(&|case| case.shape.threads = 1);
    push(&|case| case.shape.threads = case.shape.threads.div_ceil(2));
    push(&|case| case.shape.subcores = 1);
    push(&|case| case.shape.fused = false);
    push(&|case| case.shape.backup = Backup::Present);
    push(&|case| case.shape.write_twice = true);
    push(&|case| case.shape.latched_errors = true);
    for index in (0..case.threads.len()).rev() {
        push(&|case| drop(case.threads.remove(index)));
    }
    for index in 0..case.faults.len() {
        push(&|case| case.faults[index].when = Moment::default());
        push(&|case| {
            let after = &mut case.faults[index].when.after;
            *after = after.map(|after| after / 2);
        });
        push(&|case| case.faults[index].skip /= 2);
        push(&|case| {
            let fault = &mut case.faults[index];
            fault.core = fault.core.map(|_| 0);
        });
        push(&|case| {
            let fault = &mut case.faults[index];
            fault.chip = fault.chip.map(|_| 0);
        });
    }
    for index in 0..case.threads.len() {
        push(&|case| case.threads[index].spins /= 2);
        push(&|case| case.threads[index].accesses /= 2);
    }
    for seed in 0..4 {
        if case.seeds[0] > seed {
            push(&|case| case.seeds = vec![seed]);
        }
    }
    all
}
