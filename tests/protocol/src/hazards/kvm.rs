//! What is still there between KVM on POWER8 and a firmware that lets all threads of a core meet.

use super::{Control, Toy, toy::Step};

/// A sub-core: a primary and a secondary, both out of the guest because of an HMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
struct Exit {
    /// The primary is in the firmware.
    primary_in: bool,
    /// The primary has switched the partition out: the secondary may go on.
    switched: bool,
    /// The secondary is in the firmware.
    secondary_in: bool,
    /// The firmware's meeting is over.
    met: bool,
    /// The secondaries are let go before the firmware is called.
    released_first: bool,
}

fn exit_moves(exit: &Exit) -> Vec<Step<Exit>> {
    let mut moves = Vec::new();
    let mut go = |text: &str, next: Exit| moves.push((text.to_owned(), next));
    if !exit.primary_in && (exit.switched || !exit.released_first) {
        let next = Exit {
            primary_in: true,
            ..*exit
        };
        go(
            "the primary calls the firmware, and waits there for all threads of the core",
            next,
        );
    }
    if !exit.switched && (exit.released_first || exit.met) {
        let next = Exit {
            switched: true,
            ..*exit
        };
        go(
            "the primary switches the partition out, and lets its secondary go",
            next,
        );
    }
    if exit.switched && !exit.secondary_in {
        let next = Exit {
            secondary_in: true,
            ..*exit
        };
        go("the secondary calls the firmware", next);
    }
    if exit.primary_in && exit.secondary_in && !exit.met {
        go("all have met", Exit { met: true, ..*exit });
    }
    moves
}

fn exit(released_first: bool) -> Toy<Exit> {
    Toy {
        start: Exit {
            released_first,
            ..Exit::default()
        },
        moves: exit_moves,
        wrong: |_| None,
        rests: |exit| exit.met && exit.switched,
    }
}

/// The guest's DEC is saved as a time: DEC and TB are added. In units of the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Decrementer {
    at: u8,
    /// TB: host time and so many offsets.
    offset: i8,
    /// The expiry that was saved, as guest time; 0 is right.
    saved: i8,
    save_first: bool,
}

fn decrementer_moves(state: &Decrementer) -> Vec<Step<Decrementer>> {
    let mut next = *state;
    next.at += 1;
    let text = match (state.at, state.save_first) {
        (0, _) => "the guest is left for an HMI; TB is guest time",
        (1, true) | (2, false) => {
            next.saved = state.offset - 1;
            "the expiry of the guest's DEC is saved: DEC and TB"
        }
        (1, false) | (2, true) => {
            next.offset = 0;
            "the handler resyncs: TB is host time"
        }
        _ => return Vec::new(),
    };
    vec![(text.to_owned(), next)]
}

fn decrementer(save_first: bool) -> Toy<Decrementer> {
    Toy {
        start: Decrementer {
            at: 0,
            offset: 1,
            saved: 0,
            save_first,
        },
        moves: decrementer_moves,
        wrong: |state| {
            (state.saved != 0).then_some("the guest's DEC expires late or early by the offset")
        },
        rests: |_| true,
    }
}

/// Two sub-cores, of which only one got the HMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Poke {
    /// 0: in its guest, 1: waits, 2: in the firmware.
    at: u8,
    other_in_guest: bool,
    rung: bool,
    rings: bool,
}

fn poke_moves(state: &Poke) -> Vec<Step<Poke>> {
    let mut moves = Vec::new();
    let mut go = |text: &str, next: Poke| moves.push((text.to_owned(), next));
    if state.at == 0 {
        let next = Poke {
            at: 1,
            rung: state.rings,
            ..*state
        };
        let text = "sub-core 0 takes the HMI, and waits until nobody is in a guest";
        go(text, next);
    }
    if state.other_in_guest && state.rung {
        let next = Poke {
            other_in_guest: false,
            ..*state
        };
        go("sub-core 1 is rung out of its guest", next);
    }
    if state.at == 1 && !state.other_in_guest {
        go("sub-core 0 calls the firmware", Poke { at: 2, ..*state });
    }
    moves
}

fn poke(rings: bool) -> Toy<Poke> {
    Toy {
        start: Poke {
            at: 0,
            other_in_guest: true,
            rung: false,
            rings,
        },
        moves: poke_moves,
        wrong: |_| None,
        rests: |state| state.at == 2,
    }
}

/// Waits without a bound: a thread that stops, and one that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Spin {
    stopped: bool,
    claimed: bool,
    done: bool,
    bounded: bool,
}

fn spin_moves(state: &Spin) -> Vec<Step<Spin>> {
    let mut moves = Vec::new();
    let mut go = |text: &str, next: Spin| moves.push((text.to_owned(), next));
    if !state.claimed && !state.done {
        let next = Spin {
            claimed: true,
            ..*state
        };
        go(
            "sub-core 0 takes the claim, sub-core 1 waits until it is given back",
            next,
        );
    }
    if state.claimed && !state.stopped {
        let next = Spin {
            stopped: true,
            ..*state
        };
        go(
            "sub-core 0 stops: a checkstop, or a resync that does not return",
            next,
        );
        let next = Spin {
            claimed: false,
            done: true,
            ..*state
        };
        go("sub-core 0 gives the claim back", next);
    }
    if state.claimed && state.stopped && state.bounded && !state.done {
        go(
            "sub-core 1 has waited too long, and goes on",
            Spin {
                done: true,
                ..*state
            },
        );
    }
    moves
}

fn spin(bounded: bool) -> Toy<Spin> {
    Toy {
        start: Spin {
            stopped: false,
            claimed: false,
            done: false,
            bounded,
        },
        moves: spin_moves,
        wrong: |_| None,
        rests: |state| state.done,
    }
}

pub(super) fn controls() -> Vec<Control> {
    vec![
        Control {
            id: "(f) H1",
            what: "The primary waits in the firmware for all threads; its secondary waits for the primary.",
            trace: exit(false).shortest(),
        },
        Control {
            id: "H2",
            what: "The guest's DEC is saved after the handler, when TB is host time already.",
            trace: decrementer(false).shortest(),
        },
        Control {
            id: "H3",
            what: "Nobody rings the sibling's guest: where the HMI reached one thread only, the wait does not end.",
            trace: poke(false).shortest(),
        },
        Control {
            id: "H4",
            what: "Spins without a bound, interrupts closed: one thread that stops holds the core for ever.",
            trace: spin(false).shortest(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_mended_by_what_the_shim_does() {
        let none = Vec::<String>::new();
        assert_eq!(exit(true).shortest(), none, "secondaries are let go first");
        assert_eq!(
            decrementer(true).shortest(),
            none,
            "DEC is saved, or left alone"
        );
        assert_eq!(poke(true).shortest(), none, "siblings are rung");
        assert_eq!(spin(true).shortest(), none, "every wait has a budget");
    }
}
