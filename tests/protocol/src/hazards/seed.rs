//! The handler in the guest, the patch for it, and what seems to mend the patch: one byte for each
//! sub-core that is in a guest, and a claim for the resync, of which nothing binds one to the other.
//!
//! Each thread stands for the primary of a sub-core, with a TB of its own. A resync writes all TBs.

use super::{Control, Toy, toy::Step};

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// The firmware is called on the spot, in the guest.
    Before,
    /// The guest is left first, all wait for one another, one resyncs. The entry adds the offset, and
    /// marks the guest afterwards.
    Patched,
    /// As that, but the entry marks the guest first, looks at the claim, and backs out.
    Obvious,
}

/// Where a thread stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
enum Place {
    #[default]
    Host,
    Entering,
    Marking,
    Checking,
    Adding,
    Guest,
    Leaving,
    Clearing,
    HostWait,
    HostCall,
    HostClaim,
    Claim,
    Clear,
    Wait,
    Call,
    Resync,
    Unclaim,
    AwaitLeader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
struct Thread {
    at: Place,
    pending: bool,
    applied: bool,
    leads: bool,
    /// TB is host time and so many offsets.
    offset: i8,
    entries: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    kind: Kind,
    threads: [Thread; 2],
    in_guest: [bool; 2],
    claimed: bool,
    valid: bool,
    /// Errors of TB to come, and HMIs that are about something else.
    errors: u8,
    others: u8,
    resyncs: u8,
    /// Two resyncs for one HMI are wrong.
    counts: bool,
}

fn start(kind: Kind, errors: u8, others: u8, entries: u8) -> Toy<State> {
    let thread = Thread {
        entries,
        ..Thread::default()
    };
    Toy {
        start: State {
            kind,
            threads: [thread; 2],
            in_guest: [false; 2],
            claimed: false,
            valid: true,
            errors,
            others,
            resyncs: 0,
            counts: false,
        },
        moves,
        wrong,
        rests: |_| true,
    }
}

fn wrong(state: &State) -> Option<&'static str> {
    if state.counts && state.resyncs > 1 {
        return Some("a second resync for one HMI, by a leader that came late");
    }
    if !state.valid {
        return None;
    }
    state.threads.iter().find_map(|thread| {
        if thread.pending {
            return None;
        }
        match (thread.at, thread.offset) {
            (Place::Host, offset) if offset != 0 => {
                Some("host time is off by the guest's offset, for ever")
            }
            _ => None,
        }
    })
}

fn strike(state: &State, timebase: bool) -> State {
    let mut next = *state;
    for thread in &mut next.threads {
        thread.pending = true;
    }
    if timebase {
        next.errors -= 1;
        next.valid = false;
    } else {
        next.others -= 1;
    }
    next.resyncs = 0;
    next
}

fn rewrite(state: &mut State) {
    for thread in &mut state.threads {
        thread.offset = 0;
    }
    state.valid = true;
}

fn moves(state: &State) -> Vec<Step<State>> {
    let mut moves = Vec::new();
    if state.errors > 0 && state.valid {
        moves.push(("TB breaks; all get the HMI".to_owned(), strike(state, true)));
    }
    if state.others > 0 {
        let text = "an HMI that is not about TB reaches all".to_owned();
        moves.push((text, strike(state, false)));
    }
    for number in 0..2 {
        for (text, next) in thread_moves(state, number) {
            moves.push((format!("sub-core {number} {text}"), next));
        }
    }
    moves
}

fn thread_moves(state: &State, number: usize) -> Vec<(&'static str, State)> {
    let thread = state.threads[number];
    let mut next = *state;
    let me = &mut next.threads[number];
    let mut to = |place: Place| me.at = place;
    let nobody = state.in_guest == [false; 2];
    let text = match thread.at {
        Place::Host => {
            let mut both = Vec::new();
            if thread.pending {
                let mut taken = *state;
                taken.threads[number].at = Place::HostWait;
                both.push(("takes the HMI in the host", taken));
            }
            if thread.entries > 0 {
                let mut entering = *state;
                entering.threads[number].at = match state.kind {
                    Kind::Obvious => Place::Marking,
                    _ => Place::Entering,
                };
                entering.threads[number].entries -= 1;
                both.push(("begins its way into the guest", entering));
            }
            return both;
        }
        Place::Entering | Place::Adding => {
            to(if thread.at == Place::Entering {
                Place::Marking
            } else {
                Place::Guest
            });
            me.offset += 1;
            me.applied = true;
            "adds the offset to TB"
        }
        Place::Marking => {
            to(match state.kind {
                Kind::Obvious => Place::Checking,
                _ => Place::Guest,
            });
            next.in_guest[number] = true;
            "marks that it is in the guest"
        }
        Place::Checking => {
            to(if state.claimed {
                Place::Clearing
            } else {
                Place::Adding
            });
            "looks whether somebody has the claim"
        }
        Place::Guest if thread.pending && state.kind == Kind::Before => {
            me.pending = false;
            let broken = !state.valid;
            if broken {
                rewrite(&mut next);
            }
            "takes the HMI and calls the firmware at once: TB is host time"
        }
        Place::Guest if thread.pending => {
            to(Place::Claim);
            "takes the HMI in its guest"
        }
        Place::Guest => {
            to(Place::Leaving);
            "leaves the guest"
        }
        Place::Leaving => {
            if thread.applied {
                me.offset -= 1;
                me.applied = false;
            }
            me.at = Place::Clearing;
            "subtracts the offset from TB"
        }
        Place::Clearing => {
            to(Place::Host);
            next.in_guest[number] = false;
            "marks that it is out"
        }
        Place::HostWait | Place::Wait if nobody => {
            to(if thread.at == Place::Wait {
                Place::Call
            } else {
                Place::HostCall
            });
            "sees that nobody is in a guest"
        }
        Place::HostCall | Place::Call => {
            me.pending = false;
            me.at = match (thread.at, thread.leads) {
                (Place::HostCall, _) => Place::HostClaim,
                (_, true) => Place::Resync,
                (_, false) => Place::AwaitLeader,
            };
            if !state.valid {
                rewrite(&mut next);
            }
            "calls the firmware"
        }
        Place::HostClaim | Place::AwaitLeader if !state.claimed => {
            to(Place::Host);
            me.applied = false;
            "sees that nobody has the claim, and goes on"
        }
        Place::Claim => {
            me.leads = !state.claimed;
            me.at = Place::Clear;
            next.claimed = true;
            "tries to take the claim"
        }
        Place::Clear => {
            to(Place::Wait);
            next.in_guest[number] = false;
            "marks that it is out, its offset still in TB"
        }
        Place::Resync => {
            to(Place::Unclaim);
            next.resyncs += 1;
            rewrite(&mut next);
            "resyncs: the TB of all sub-cores is host time"
        }
        Place::Unclaim => {
            me.at = Place::Host;
            me.leads = false;
            me.applied = false;
            next.claimed = false;
            "gives the claim back, and goes on"
        }
        _ => return Vec::new(),
    };
    vec![(text, next)]
}

/// The same, counting resyncs.
fn late_leader() -> Toy<State> {
    let mut toy = check_then_act();
    toy.start.counts = true;
    toy
}

/// Only the entry of one sub-core, and a resync of the other.
fn check_then_act() -> Toy<State> {
    let mut toy = start(Kind::Patched, 0, 1, 1);
    toy.start.threads[1] = Thread {
        at: Place::Guest,
        applied: true,
        offset: 1,
        ..Thread::default()
    };
    toy.start.in_guest[1] = true;
    toy
}

pub(super) fn controls() -> Vec<Control> {
    let control = |id, what, toy: Toy<State>| Control {
        id,
        what,
        trace: toy.shortest(),
    };
    vec![
        control(
            "(a)",
            "The handler is called in the guest: the firmware puts host time into TB, the exit takes the offset out of it.",
            start(Kind::Before, 1, 0, 1),
        ),
        control(
            "(b)",
            "The original patch: offset first, mark afterwards. A resync in between is lost.",
            start(Kind::Patched, 0, 1, 2),
        ),
        control(
            "(c)",
            "Mark first, look at the claim, back out: holds for one error, not for two.",
            start(Kind::Obvious, 2, 0, 2),
        ),
        control(
            "H5",
            "Entry looks, and acts afterwards: the same window, from a guest that is in when the HMI comes.",
            check_then_act(),
        ),
        control(
            "H6",
            "Who leads is decided by a claim without an epoch: a late primary leads once more.",
            late_leader(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_obvious_fix_holds_for_one_error() {
        assert_eq!(
            start(Kind::Obvious, 1, 0, 2).shortest(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn without_an_hmi_all_three_hold() {
        for kind in [Kind::Before, Kind::Patched, Kind::Obvious] {
            assert_eq!(start(kind, 0, 0, 3).shortest(), Vec::<String>::new());
        }
    }
}
