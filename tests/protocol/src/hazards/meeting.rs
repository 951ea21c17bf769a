//! Meetings that do not end: a rendezvous whose error exit skips phases, and a thread that does not
//! clean its registers.

use super::{Control, Toy, toy::Step};
use crate::hardware::Fault;
use crate::model::Protocol;
use crate::state::Shape;
use crate::words;
use stateright::{Checker, Model as _};

/// Meeting points, one after the other.
const POINTS: u8 = 4;
const THREADS: usize = 3;

/// A rendezvous with a slot for each thread: the point at which it is, and whether it has left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Slots {
    /// The point that each thread stands at or left; 0 before the first.
    point: [u8; THREADS],
    left: [bool; THREADS],
    /// Whether a thread may still fail.
    may_fail: bool,
}

fn enter(slots: &Slots, number: usize, point: u8) -> Slots {
    let mut next = *slots;
    next.point[number] = point;
    next.left[number] = false;
    next
}

fn moves(slots: &Slots) -> Vec<Step<Slots>> {
    let mut moves = Vec::new();
    for number in 0..THREADS {
        let at = slots.point[number];
        let out = at == 0 || slots.left[number] && nobody_stands(slots, at);
        if out && at < POINTS {
            let text = format!("thread {number} comes to meeting point {}", at + 1);
            moves.push((text, enter(slots, number, at + 1)));
        }
        if out && slots.may_fail && (1..POINTS - 1).contains(&at) {
            let mut next = enter(slots, number, POINTS);
            next.may_fail = false;
            let text = format!("thread {number} fails, and goes straight to point {POINTS}");
            moves.push((text, next));
        }
        if at != 0 && !slots.left[number] && slots.point.iter().all(|other| *other == at) {
            let mut next = *slots;
            next.left[number] = true;
            moves.push((
                format!("thread {number} sees all at point {at}, leaves"),
                next,
            ));
        }
    }
    moves
}

fn nobody_stands(slots: &Slots, point: u8) -> bool {
    (0..THREADS).all(|other| slots.point[other] != point || slots.left[other])
}

fn rendezvous(may_fail: bool) -> Toy<Slots> {
    Toy {
        start: Slots {
            point: [0; THREADS],
            left: [false; THREADS],
            may_fail,
        },
        moves,
        wrong: |_| None,
        rests: |slots| slots.point == [POINTS; THREADS] && slots.left == [true; THREADS],
    }
}

/// The shipped protocol, and a thread that does not clean its HDEC: the error stays, is told, and the
/// core does not claim to be repaired.
fn scrub_skipped() -> Vec<String> {
    let mut model = Protocol::new(Shape {
        sub_cores: 2,
        threads: 1,
    });
    model.classes = vec![Fault::Core];
    model.dirty_thread = Some(1);
    model.symmetric = false;
    let checker = Repaired(model).checker().spawn_bfs().join();
    let Some(path) = checker.discovery("the error is repaired") else {
        return Vec::new();
    };
    let first = path.clone().into_states()[0];
    let moves = path.into_actions();
    words::trace(&checker.model().0, first, &moves)
}

/// The protocol, with the claim that no error is ever reported as not recovered.
#[derive(Clone)]
struct Repaired(Protocol);

impl stateright::Model for Repaired {
    type State = crate::state::State;
    type Action = crate::model::Move;

    fn init_states(&self) -> Vec<Self::State> {
        self.0.init_states()
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        self.0.actions(state, actions);
    }

    fn next_state(&self, state: &Self::State, action: Self::Action) -> Option<Self::State> {
        self.0.next_state(state, action)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        vec![stateright::Property::always(
            "the error is repaired",
            |_, state: &Self::State| !state.timer.told,
        )]
    }
}

pub(super) fn controls() -> Vec<Control> {
    vec![
        Control {
            id: "(d)",
            what: "A rendezvous whose error exit skips meeting points: the others wait at one that it never comes to.",
            trace: rendezvous(true).shortest(),
        },
        Control {
            id: "(e)",
            what: "One thread does not rewrite its HDEC: the error comes back as soon as it is cleared, three times.",
            trace: scrub_skipped(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_error_exit_the_rendezvous_ends() {
        assert_eq!(rendezvous(false).shortest(), Vec::<String>::new());
    }
}
