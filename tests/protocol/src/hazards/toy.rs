//! A small model: its moves have names, and it must not get stuck.

use stateright::{Checker, Model, Property};
use std::fmt::Debug;
use std::hash::Hash;

/// A named step to the next state.
pub(super) type Step<S> = (String, S);

/// A small model.
#[derive(Clone, Debug)]
pub struct Toy<S> {
    /// The first state.
    pub start: S,
    /// What can happen.
    pub moves: fn(&S) -> Vec<Step<S>>,
    /// What must not be, in words.
    pub wrong: fn(&S) -> Option<&'static str>,
    /// Whether it is in order that nothing happens any more.
    pub rests: fn(&S) -> bool,
}

impl<S: Clone + Debug + Hash + PartialEq> Model for Toy<S> {
    type State = S;
    type Action = usize;

    fn init_states(&self) -> Vec<S> {
        vec![self.start.clone()]
    }

    fn actions(&self, state: &S, actions: &mut Vec<usize>) {
        if (self.wrong)(state).is_none() {
            actions.extend(0..(self.moves)(state).len());
        }
    }

    fn next_state(&self, state: &S, action: usize) -> Option<S> {
        (self.moves)(state)
            .into_iter()
            .nth(action)
            .map(|step| step.1)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("it holds", |model: &Self, state: &S| {
            model.verdict(state).is_none()
        })]
    }
}

impl<S: Clone + Debug + Hash + PartialEq + Send + Sync + 'static> Toy<S> {
    /// The shortest way to what is wrong; empty if nothing is.
    #[must_use]
    pub fn shortest(self) -> Vec<String> {
        let checker = self.checker().spawn_bfs().join();
        let Some(path) = checker.discovery("it holds") else {
            return Vec::new();
        };
        let model = checker.model();
        let steps = path.into_vec();
        let mut words: Vec<String> = steps
            .iter()
            .filter_map(|(state, action)| {
                let at = (*action)?;
                Some((model.moves)(state).swap_remove(at).0)
            })
            .collect();
        if let Some(verdict) = steps.last().and_then(|(state, _)| model.verdict(state)) {
            words.push(format!("wrong: {verdict}"));
        }
        words
    }
}

impl<S> Toy<S> {
    fn verdict(&self, state: &S) -> Option<&'static str> {
        if let Some(wrong) = (self.wrong)(state) {
            return Some(wrong);
        }
        let stuck = (self.moves)(state).is_empty() && !(self.rests)(state);
        stuck.then_some("nobody can go on, and not all are done")
    }
}
