//! What is left out by making private steps at once is nothing but the place of these steps.

use hypervisor_shim::passage::Place;
use protocol::model::{Move, Protocol};
use protocol::reduction::private_step;
use protocol::sets::{Run, reducible};
use protocol::state::State;
use std::collections::HashSet;

/// All states that can be reached.
fn states(model: &Protocol) -> HashSet<State> {
    let mut seen: HashSet<State> = model.first_states().into_iter().collect();
    let mut open: Vec<State> = seen.iter().copied().collect();
    let mut moves = Vec::new();
    while let Some(state) = open.pop() {
        moves.clear();
        model.moves(&state, &mut moves);
        let next = moves
            .iter()
            .filter_map(|happens| model.next(&state, *happens));
        open.extend(next.filter(|next| seen.insert(*next)));
    }
    seen
}

/// The state after all private steps that can be made, and how many they were.
fn settled(model: &Protocol, state: State) -> (State, usize) {
    let mut state = state;
    let mut steps = 0;
    while let Some(step) = private_step(model, &state) {
        state = model.next(&state, step).expect("a step that can be made");
        steps += 1;
        assert!(steps < 100, "private steps go round");
    }
    (state, steps)
}

/// The states of the whole exploration, each after its private steps, are those of the reduced one in
/// which no private step is left: none is missing, none is new.
#[test]
fn nothing_else_is_left_out() {
    for Run { name, model } in reducible() {
        let reduced = Protocol {
            reduced: true,
            ..model.clone()
        };
        let all = states(&model);
        let few = states(&reduced);
        let without = few.iter().filter(|state| settled(&model, **state).1 == 0);
        let without: HashSet<State> = without.copied().collect();
        let asks = |state: &State| {
            state
                .threads
                .iter()
                .any(|thread| thread.is_at(Place::Asking))
        };
        let of_all: HashSet<State> = all
            .iter()
            .filter(|state| !asks(state))
            .map(|state| settled(&model, *state).0)
            .collect();
        println!(
            "{} {name}: {} states, {} reduced",
            model.shape,
            all.len(),
            few.len()
        );
        assert_eq!(of_all.difference(&without).next(), None, "missing");
        assert_eq!(without.difference(&of_all).next(), None, "new");
        assert!(few.len() < all.len());
    }
}

/// Every rule says the same of a state before and after each private step: none of them sees it.
#[test]
fn no_rule_sees_a_private_step() {
    let mut steps = 0;
    for Run { name, model } in reducible() {
        let rules = model.rules();
        for state in states(&model) {
            let Some(step) = private_step(&model, &state) else {
                continue;
            };
            let next = model.next(&state, step).expect("a step that can be made");
            for rule in &rules {
                let before = (rule.holds)(&model, &state);
                assert_eq!(before, (rule.holds)(&model, &next), "{name}: {}", rule.name);
            }
            let Move::Act { thread, .. } = step else {
                panic!("no thread's step: {step:?}");
            };
            assert!(!state.threads[usize::from(thread)].is_at(Place::InGuest));
            steps += 1;
        }
    }
    println!("{steps} private steps");
    assert!(steps > 10_000, "{steps} private steps");
}
