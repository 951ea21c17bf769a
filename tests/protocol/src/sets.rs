//! What is checked: a bounded set for every day, and the full set.

use crate::hardware::Fault;
use crate::model::Protocol;
use crate::state::Shape;

/// A run of the checker.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is about.
    pub name: &'static str,
    /// What is explored.
    pub model: Protocol,
}

const fn shape(sub_cores: u8, threads: u8) -> Shape {
    Shape { sub_cores, threads }
}

fn run(name: &'static str, shape: Shape, change: impl FnOnce(&mut Protocol)) -> Run {
    let mut model = Protocol::new(shape);
    change(&mut model);
    Run { name, model }
}

/// One fault, with threads that start elsewhere.
fn single(shape: Shape, elsewhere: usize) -> Run {
    run("one fault of each class", shape, |model| {
        model.elsewhere = elsewhere;
    })
}

/// Two faults at any time, one after the other or one into the repair of the other.
fn double(shape: Shape, elsewhere: usize) -> Run {
    run("two faults", shape, |model| {
        model.faults = 2;
        model.elsewhere = elsewhere;
    })
}

/// Three faults at any time: what is left of one meeting, or one claim, meets the next one and its
/// repair.
fn triple(shape: Shape, elsewhere: usize) -> Run {
    run("three faults", shape, |model| {
        model.faults = 3;
        model.elsewhere = elsewhere;
    })
}

fn lone(shape: Shape, elsewhere: usize) -> Run {
    run("the HMI reaches one thread only", shape, |model| {
        model.one = true;
        model.elsewhere = elsewhere;
    })
}

fn dead_tod(shape: Shape, faults: u8) -> Run {
    run("the TOD may be dead", shape, |model| {
        model.faults = faults;
        model.elsewhere = 1;
        model.dead_tod = true;
    })
}

fn late(shape: Shape) -> Run {
    run("a thread may be late", shape, |model| {
        model.elsewhere = 2;
        model.late = 1;
    })
}

fn mortal(shape: Shape) -> Run {
    run("a thread may stop for ever", shape, |model| {
        model.elsewhere = 2;
        model.mortal = 1;
    })
}

/// A thread stops, and errors go on.
fn mortal_under_faults(shape: Shape, faults: u8) -> Run {
    run("a thread may stop for ever, more faults", shape, |model| {
        model.faults = faults;
        model.elsewhere = 1;
        model.mortal = 1;
    })
}

/// Two threads stop.
fn two_mortals(shape: Shape) -> Run {
    run("two threads may stop for ever", shape, |model| {
        model.elsewhere = 1;
        model.mortal = 2;
    })
}

/// The OS is told that TB is dead while a thread does not know yet that anything is wrong.
fn unaware(shape: Shape) -> Run {
    run("one is late and hears of a dead TOD last", shape, |model| {
        model.elsewhere = 1;
        model.late = 1;
        model.one = true;
        model.dead_tod = true;
    })
}

/// Many threads, by the reduction of [`crate::reduction`]. An error that breaks TB brings all together;
/// after one that does not, each goes its own way.
fn many(shape: Shape, faults: u8, classes: &[Fault]) -> Run {
    let name = match (faults, classes) {
        (1, [Fault::NotTimebase]) => "an HMI that is not about TB, private steps at once",
        (1, _) => "one fault of each class that is, private steps at once",
        _ => "two faults, private steps at once",
    };
    run(name, shape, |model| {
        model.faults = faults;
        model.classes = classes.to_vec();
        model.reduced = true;
    })
}

const OF_TIMEBASE: [Fault; 4] = [Fault::Thread, Fault::Core, Fault::Chip, Fault::NoReason];

fn without_timebase(shape: Shape) -> Run {
    run("HMIs that are not about TB", shape, |model| {
        model.faults = 2;
        model.classes = vec![Fault::NotTimebase, Fault::Thread];
    })
}

/// What CI runs: minutes on two processors.
#[must_use]
pub fn bounded() -> Vec<Run> {
    vec![
        double(shape(1, 1), 1),
        double(shape(1, 2), 2),
        double(shape(2, 1), 2),
        dead_tod(shape(1, 2), 2),
        dead_tod(shape(2, 1), 2),
        late(shape(1, 2)),
        late(shape(2, 1)),
        mortal(shape(1, 2)),
        mortal(shape(2, 1)),
        mortal(shape(1, 3)),
        mortal_under_faults(shape(1, 2), 2),
        mortal_under_faults(shape(2, 1), 2),
        two_mortals(shape(1, 3)),
        unaware(shape(1, 2)),
        unaware(shape(2, 1)),
        triple(shape(1, 2), 1),
        triple(shape(2, 1), 1),
        lone(shape(2, 2), 1),
        double(shape(1, 3), 0),
        double(shape(3, 1), 0),
        single(shape(1, 4), 2),
        single(shape(2, 2), 1),
        single(shape(4, 1), 1),
        many(shape(1, 4), 2, &[Fault::NotTimebase, Fault::Thread]),
        many(shape(1, 8), 1, &OF_TIMEBASE),
        many(shape(2, 4), 1, &OF_TIMEBASE),
        many(shape(4, 2), 1, &OF_TIMEBASE),
        many(shape(8, 1), 1, &OF_TIMEBASE),
        many(shape(1, 6), 1, &[Fault::NotTimebase]),
    ]
}

/// What is enough to tell a changed protocol from the shipped one: seconds.
#[must_use]
pub fn telling() -> Vec<Run> {
    vec![
        single(shape(1, 1), 1),
        double(shape(1, 2), 1),
        double(shape(2, 1), 1),
        dead_tod(shape(1, 2), 1),
        late(shape(1, 2)),
        mortal(shape(1, 2)),
        lone(shape(2, 1), 1),
        unaware(shape(1, 2)),
        single(shape(2, 2), 0),
        single(shape(1, 3), 0),
    ]
}

/// What is explored in both ways, whole and reduced, and compared: [`crate::reduction`].
#[must_use]
pub fn reducible() -> Vec<Run> {
    vec![
        double(shape(1, 2), 2),
        double(shape(2, 1), 2),
        lone(shape(1, 2), 1),
        triple(shape(1, 2), 0),
        single(shape(1, 3), 2),
        double(shape(1, 3), 0),
        single(shape(2, 2), 0),
        single(shape(1, 4), 0),
    ]
}

/// In what is looked for circles, and for states from which there is no way to rest.
#[must_use]
pub fn progressing() -> Vec<Run> {
    vec![
        mortal(shape(1, 2)),
        double(shape(1, 2), 1),
        triple(shape(1, 2), 0),
    ]
}

/// What is looked at so besides, beyond the mutants.
#[must_use]
pub fn progressing_bounded() -> Vec<Run> {
    vec![
        double(shape(2, 1), 1),
        triple(shape(1, 2), 1),
        dead_tod(shape(1, 2), 2),
        lone(shape(2, 1), 1),
        single(shape(1, 3), 0),
        mortal_under_faults(shape(1, 2), 2),
        two_mortals(shape(1, 3)),
        double(shape(1, 3), 0),
        single(shape(2, 2), 0),
        single(shape(1, 4), 0),
        many(shape(1, 8), 1, &OF_TIMEBASE),
        many(shape(8, 1), 1, &OF_TIMEBASE),
        many(shape(1, 5), 1, &[Fault::NotTimebase]),
    ]
}

/// And in the full set.
#[must_use]
pub fn progressing_full() -> Vec<Run> {
    vec![
        triple(shape(2, 1), 1),
        dead_tod(shape(1, 2), 3),
        double(shape(1, 3), 3),
        double(shape(3, 1), 0),
        single(shape(1, 5), 0),
        many(shape(2, 4), 1, &OF_TIMEBASE),
        many(shape(4, 2), 1, &OF_TIMEBASE),
        many(shape(1, 7), 1, &[Fault::NotTimebase]),
    ]
}

/// What the full set adds.
#[must_use]
pub fn full() -> Vec<Run> {
    vec![
        double(shape(1, 3), 3),
        double(shape(3, 1), 3),
        triple(shape(1, 3), 0),
        triple(shape(3, 1), 0),
        dead_tod(shape(1, 3), 2),
        dead_tod(shape(1, 2), 3),
        mortal_under_faults(shape(1, 2), 3),
        mortal_under_faults(shape(2, 1), 3),
        two_mortals(shape(1, 4)),
        late(shape(1, 3)),
        late(shape(3, 1)),
        single(shape(2, 2), 4),
        single(shape(1, 5), 2),
        without_timebase(shape(1, 4)),
        single(shape(1, 6), 0),
        many(shape(1, 7), 1, &[Fault::NotTimebase]),
        many(shape(1, 8), 1, &[Fault::NotTimebase]),
        many(shape(8, 1), 1, &[Fault::NotTimebase]),
        many(shape(2, 3), 1, &[Fault::NotTimebase]),
        many(shape(3, 2), 1, &[Fault::NotTimebase]),
        many(shape(1, 4), 2, &Fault::ALL),
        many(shape(4, 1), 2, &Fault::ALL),
        many(shape(2, 2), 2, &Fault::ALL),
        many(shape(1, 5), 2, &OF_TIMEBASE),
    ]
}
