//! The protocol holds, the negative controls do not, and the document shows both as they are.

use hypervisor_shim::core_word::{Event, step};
use hypervisor_shim::passage::{Passage, Place, Wait};
use protocol::moves::{What, can, is_stuck};
use protocol::progress::{self, CIRCLE, TRAP};
use protocol::sets::{bounded, progressing, progressing_bounded};
use protocol::state::{Shape, State};
use protocol::thread::Life;
use protocol::{check, document, hazards, words};
use std::path::Path;

#[test]
fn the_bounded_set_holds() {
    let mut states = 0;
    for run in bounded() {
        let done = check::run(&run, 2);
        states += done.states;
        let what = format!("{} {}", run.model.shape, run.name);
        if let Some((rule, trace)) = done.broken.first() {
            panic!("{what}: {rule}\n{}", trace.join("\n"));
        }
        assert_eq!(done.unreached, Vec::<&str>::new(), "{what}");
    }
    println!("{states} states");
    assert!(
        states > 1_000_000,
        "the model became smaller: {states} states"
    );
}

/// No schedule, however hostile, keeps the threads at it for ever.
#[test]
fn every_way_comes_to_rest() {
    for run in progressing().into_iter().chain(progressing_bounded()) {
        let found = progress::of(&run.model);
        let what = format!("{} {}", run.model.shape, run.name);
        for (rule, way) in [(TRAP, &found.way_to_trap), (CIRCLE, &found.way_round)] {
            if let Some((first, moves)) = way {
                let trace = words::trace(&run.model, *first, moves);
                panic!("{what}: {rule}\n{}", trace.join("\n"));
            }
        }
        println!("{what}: {} steps at most", found.longest);
        assert!(
            (40..400).contains(&found.longest),
            "{what}: {}",
            found.longest
        );
    }
}

/// Two wait for a claim. The word does not say whose it is: the budget of their waits depends on the
/// claimant alone, not on the other who waits.
#[test]
fn the_wait_for_a_claimant_runs_out_when_it_is_dead_and_no_sooner() {
    let shape: Shape = "1x3".parse().unwrap();
    let mut state = State::new();
    let interrupted = true;
    for thread in 0..3 {
        for event in [
            Event::Close {
                thread,
                interrupted,
            },
            Event::Back { thread },
        ] {
            state.core = step(state.core, event).0;
        }
    }
    state.core = step(state.core, Event::Claim).0;
    let at = |place| Passage {
        place,
        attended: Some(0),
    };
    for waiter in [0, 1] {
        state.threads[waiter].set_passage(at(Place::Awaiting(Wait::Claim)));
    }
    for (claimant, lives) in [
        (Place::Judging, true),
        (Place::Resolving, true),
        (Place::Judging, false),
    ] {
        state.threads[2].set_passage(at(claimant));
        if !lives {
            state.threads[2].set_life(Life::Dead);
        }
        for waiter in [0, 1] {
            let runs_out = can(&state, shape, waiter, What::Expire);
            assert_eq!(runs_out, !lives, "{waiter}, {claimant:?}");
        }
        assert!(!is_stuck(&state, shape));
    }
}

#[test]
fn every_negative_control_is_found() {
    for control in hazards::all() {
        println!("{}", control.text());
        assert!(control.trace.len() > 1, "{}: nothing found", control.id);
    }
}

#[test]
fn the_document_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let text = std::fs::read_to_string(file).expect("docs/protocol.md");
    let updated = document::updated(&text);
    assert!(updated.contains("stateDiagram"), "the marks are missing");
    assert!(text == updated, "run: cargo xtask protocol --document");
}
