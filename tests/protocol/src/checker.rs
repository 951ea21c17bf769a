//! The model for Stateright.

use crate::model::{Move, Protocol};
use crate::state::State;
use stateright::{Expectation, Model, Property};

impl Model for Protocol {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        self.first_states()
    }

    fn actions(&self, state: &State, moves: &mut Vec<Move>) {
        self.moves(state, moves);
    }

    fn next_state(&self, state: &State, happens: Move) -> Option<State> {
        self.next(state, happens)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let rules = self.rules().into_iter().chain(self.reached());
        let property = |rule: crate::rules::Rule| Property {
            expectation: if rule.always {
                Expectation::Always
            } else {
                Expectation::Sometimes
            },
            name: rule.name,
            condition: rule.holds,
        };
        rules.map(property).collect()
    }
}
