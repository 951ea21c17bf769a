//! What came of a campaign, in words.

use fault_injector::os::{Doing, Outcome};
use std::collections::BTreeMap;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) outcomes: Vec<Outcome>,
    /// What the monitors of the guests said in the end.
    pub(super) verdicts: Vec<String>,
    pub(crate) failures: Vec<String>,
}

/// Prints what was struck, and what came of it.
pub(super) fn print(report: &Report, guests: bool) {
    let mut doing: BTreeMap<Doing, usize> = BTreeMap::new();
    for state in report.outcomes.iter().flat_map(|outcome| &outcome.doing) {
        *doing.entry(*state).or_default() += 1;
    }
    println!("Threads when they were struck: {doing:?}");
    if guests {
        let taken = report
            .outcomes
            .iter()
            .map(|outcome| outcome.taken_in_guests);
        let found = doing.get(&Doing::Guest).copied().unwrap_or(0);
        println!(
            "HMIs that were taken in a guest: {}; {found} of these threads stood there, the others \
             entered it with the HMI pending",
            taken.sum::<u32>()
        );
    }
    print_extras(&report.outcomes);
    let largest = report.outcomes.iter().flat_map(|outcome| &outcome.off);
    let largest = largest.map(|off| off.unsigned_abs()).max().unwrap_or(0);
    println!("TB after a repair: off by at most {largest} ticks");
    let slowest = report.outcomes.iter().map(|outcome| outcome.milliseconds);
    println!(
        "From the strike to the last thread well: at most {:.0} ms of the host",
        slowest.fold(0.0, f64::max)
    );
}

/// When second errors struck and how many events came of it, and who was not waited for.
fn print_extras(outcomes: &[Outcome]) {
    let mut behind: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for outcome in outcomes {
        if let Some(second) = &outcome.second {
            let step = second.behind.as_deref().unwrap_or("the strike");
            behind.entry(step).or_default().push(outcome.events.len());
        }
    }
    for (step, events) in behind {
        let count = |wanted| events.iter().filter(|found| **found == wanted).count();
        println!(
            "Second errors behind {step}: {}, of which {} made one event with the first and {} one of \
             their own",
            events.len(),
            count(1),
            count(2)
        );
    }
    let events = || outcomes.iter().flat_map(|outcome| &outcome.events);
    println!(
        "Events: {}, of which {} say that the error is gone",
        events().count(),
        events().filter(|recovered| **recovered).count()
    );
    let held = |outcome: &&Outcome| outcome.held.is_some();
    let others = outcomes.iter().filter(|outcome| {
        let held = outcome.held.map_or(0, |thread| 1 << thread);
        outcome.absent & !held != 0
    });
    println!(
        "Repairs without a thread that was kept from coming: {}; without another that did not come: {}",
        outcomes.iter().filter(held).count(),
        others.count()
    );
}

/// What else befell the core, in words.
pub(super) fn besides(outcome: &Outcome) -> String {
    match (outcome.held, &outcome.second) {
        (Some(thread), _) => format!(", thread {thread} held"),
        (_, Some(second)) => {
            let behind = second.behind.as_deref().unwrap_or("the strike");
            let events = outcome.events.len();
            format!(", a second error behind {behind}, {events} events")
        }
        _ => String::new(),
    }
}
