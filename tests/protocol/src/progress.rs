//! Whether everybody gets on: no schedule goes round in a circle for ever.
//!
//! A wait is no step in the model, so a step that a thread must make changes something. What is shown
//! is of two strengths:
//!
//! - **From every state all can come to rest** by steps that somebody must make. A scheduler that
//!   takes every step in the end, if it is possible again and again, so brings all to rest.
//! - **No circle**: the steps that must be made never lead back to a state that was passed. Then every
//!   schedule, a hostile one too, comes to rest, after a number of steps that is printed.

use crate::model::{Move, Protocol};
use crate::moves::all_rest;
use crate::state::{Broken, State};
use std::collections::HashMap;

/// The first of the two, as a rule.
pub const TRAP: &str = "all can come to rest";
/// The second.
pub const CIRCLE: &str = "no step leads back to where it was";

/// What is explored: the steps that must be made, and all others.
pub trait Graph {
    /// A state.
    type State: Copy + Eq + std::hash::Hash;
    /// A step.
    type Step: Copy;

    /// Where it begins.
    fn first(&self) -> Vec<Self::State>;
    /// All that can follow; `true`: somebody must make this step.
    fn following(&self, state: &Self::State, following: &mut Vec<(Self::Step, Self::State, bool)>);
    /// Whether nothing is under way.
    fn rests(&self, state: &Self::State) -> bool;
}

impl Graph for Protocol {
    type State = State;
    type Step = Move;

    fn first(&self) -> Vec<State> {
        self.first_states()
    }

    fn following(&self, state: &State, following: &mut Vec<(Move, State, bool)>) {
        let mut moves = Vec::new();
        self.moves(state, &mut moves);
        following.extend(moves.into_iter().filter_map(|happens| {
            let must = match happens {
                Move::Strike { .. } => false,
                Move::Act { what, .. } => !what.is_voluntary(),
            };
            self.next(state, happens).map(|next| (happens, next, must))
        }));
    }

    fn rests(&self, state: &State) -> bool {
        // Where a rule is broken already nothing is explored any more.
        state.broken != Broken::Nothing || all_rest(state, self.shape)
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Progress<G: Graph> {
    /// States.
    pub states: usize,
    /// Steps that must be made.
    pub steps: usize,
    /// States from which nothing that must happen leads to rest.
    pub traps: usize,
    /// The shortest way to the first of them.
    pub way_to_trap: Option<(G::State, Vec<G::Step>)>,
    /// States from which a circle can be reached by steps that must be made.
    pub circling: usize,
    /// The shortest way to a state on a circle, and once round it.
    pub way_round: Option<(G::State, Vec<G::Step>)>,
    /// The most steps that must be made, one after the other, until all rest; without circles.
    pub longest: usize,
}

/// A state that was found, and how.
struct Found<G: Graph> {
    states: Vec<G::State>,
    came: Vec<Option<(u32, G::Step)>>,
    /// Steps that must be made: where those of each state begin, and where each leads.
    begins: Vec<usize>,
    leads: Vec<(u32, G::Step)>,
}

impl<G: Graph> Found<G> {
    fn explore(graph: &G) -> Self {
        let mut found = Self {
            states: Vec::new(),
            came: Vec::new(),
            begins: vec![0],
            leads: Vec::new(),
        };
        let mut numbers = HashMap::new();
        for state in graph.first() {
            numbers.entry(state).or_insert_with(|| {
                found.states.push(state);
                found.came.push(None);
                found.states.len() as u32 - 1
            });
        }
        let mut following = Vec::new();
        let mut at = 0;
        while at < found.states.len() {
            let state = found.states[at];
            following.clear();
            graph.following(&state, &mut following);
            for (step, next, must) in &following {
                let number = *numbers.entry(*next).or_insert_with(|| {
                    found.states.push(*next);
                    found.came.push(Some((at as u32, *step)));
                    found.states.len() as u32 - 1
                });
                if *must {
                    found.leads.push((number, *step));
                }
            }
            found.begins.push(found.leads.len());
            at += 1;
        }
        found
    }

    fn steps_of(&self, state: usize) -> &[(u32, G::Step)] {
        &self.leads[self.begins[state]..self.begins[state + 1]]
    }

    fn way_to(&self, state: usize) -> (G::State, Vec<G::Step>) {
        let mut steps = Vec::new();
        let mut at = state;
        while let Some((before, step)) = self.came[at] {
            steps.push(step);
            at = before as usize;
        }
        steps.reverse();
        (self.states[at], steps)
    }

    /// For each state those from which a step leads to it.
    fn reversed(&self) -> (Vec<usize>, Vec<u32>) {
        let mut begins = vec![0; self.states.len() + 1];
        for (to, _) in &self.leads {
            begins[*to as usize + 1] += 1;
        }
        for at in 1..begins.len() {
            begins[at] += begins[at - 1];
        }
        let mut next = begins.clone();
        let mut from = vec![0; self.leads.len()];
        for state in 0..self.states.len() {
            for (to, _) in self.steps_of(state) {
                let place = &mut next[*to as usize];
                from[*place] = state as u32;
                *place += 1;
            }
        }
        (begins, from)
    }
}

/// Explores all, and follows the steps that must be made.
pub fn of<G: Graph>(graph: &G) -> Progress<G> {
    let found = Found::explore(graph);
    let (begins, from) = found.reversed();
    let before = |state: u32| &from[begins[state as usize]..begins[state as usize + 1]];
    let all = found.states.len();

    // Backwards from rest.
    let mut can_rest = vec![false; all];
    let mut left: Vec<u32> = Vec::new();
    for (number, state) in found.states.iter().enumerate() {
        if graph.rests(state) {
            can_rest[number] = true;
            left.push(number as u32);
        }
    }
    while let Some(state) = left.pop() {
        for &earlier in before(state) {
            if !std::mem::replace(&mut can_rest[earlier as usize], true) {
                left.push(earlier);
            }
        }
    }
    let traps = can_rest.iter().filter(|can| !**can).count();
    let trap = can_rest.iter().position(|can| !can);

    // States without a step that must be made are taken away, again and again: circles are left.
    let mut steps_left: Vec<u32> = (0..all)
        .map(|state| found.steps_of(state).len() as u32)
        .collect();
    let mut height = vec![0_u32; all];
    let ends = |steps: &[u32]| {
        (0..all as u32)
            .filter(|at| steps[*at as usize] == 0)
            .collect()
    };
    let mut left: Vec<u32> = ends(&steps_left);
    let mut taken = left.len();
    while let Some(state) = left.pop() {
        let above = height[state as usize] + 1;
        for &earlier in before(state) {
            let earlier = earlier as usize;
            height[earlier] = height[earlier].max(above);
            steps_left[earlier] -= 1;
            if steps_left[earlier] == 0 {
                left.push(earlier as u32);
                taken += 1;
            }
        }
    }
    let on_the_way = |state: usize| steps_left[state] != 0;
    let way_round = (0..all)
        .find(|state| on_the_way(*state))
        .map(|state| round(&found, state, on_the_way));
    Progress {
        states: all,
        steps: found.leads.len(),
        traps,
        way_to_trap: trap.map(|state| found.way_to(state)),
        circling: all - taken,
        way_round,
        longest: height.into_iter().max().unwrap_or_default() as usize,
    }
}

/// From a state that leads to a circle, on until it is closed.
fn round<G: Graph>(
    found: &Found<G>,
    start: usize,
    on_the_way: impl Fn(usize) -> bool,
) -> (G::State, Vec<G::Step>) {
    let (first, mut steps) = found.way_to(start);
    let mut passed = std::collections::HashSet::from([start]);
    let mut at = start;
    loop {
        let next = found
            .steps_of(at)
            .iter()
            .find(|(to, _)| on_the_way(*to as usize));
        let (to, step) = next.expect("each of them has a step to another");
        steps.push(*step);
        at = *to as usize;
        if !passed.insert(at) {
            return (first, steps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of a few states; `true`: it must be made.
    struct Toy(&'static [(u8, u8, bool)], u8);

    impl Graph for Toy {
        type State = u8;
        type Step = u8;

        fn first(&self) -> Vec<u8> {
            vec![0]
        }

        fn following(&self, state: &u8, following: &mut Vec<(u8, u8, bool)>) {
            let steps = self.0.iter().filter(|step| step.0 == *state);
            following.extend(steps.map(|(_, to, must)| (*to, *to, *must)));
        }

        fn rests(&self, state: &u8) -> bool {
            *state == self.1
        }
    }

    #[test]
    fn a_way_to_rest_has_a_length() {
        // What is done by choice only may go round.
        let steps = &[(0, 1, true), (1, 2, true), (0, 2, true), (2, 0, false)];
        let progress = of(&Toy(steps, 2));
        assert_eq!((progress.states, progress.steps), (3, 3));
        assert_eq!((progress.traps, progress.circling), (0, 0));
        assert_eq!(progress.longest, 2);
    }

    #[test]
    fn a_circle_that_can_be_left_is_no_trap() {
        let steps = &[(0, 1, true), (1, 0, true), (1, 2, true)];
        let progress = of(&Toy(steps, 2));
        assert_eq!((progress.traps, progress.circling), (0, 2));
        assert_eq!(progress.way_round, Some((0, vec![1, 0])));
    }

    #[test]
    fn a_circle_that_cannot_be_left_is_found_with_the_way_to_it() {
        let steps = &[
            (0, 1, true),
            (0, 2, true),
            (1, 3, true),
            (3, 4, true),
            (4, 3, true),
        ];
        let progress = of(&Toy(steps, 2));
        assert_eq!((progress.traps, progress.circling), (3, 4));
        assert_eq!(progress.way_to_trap, Some((0, vec![1])));
        assert_eq!(progress.way_round, Some((0, vec![1, 3, 4, 3])));
    }

    #[test]
    fn a_step_to_the_same_state_is_a_circle() {
        let progress = of(&Toy(&[(0, 0, true)], 1));
        assert_eq!((progress.traps, progress.circling), (1, 1));
    }
}
