//! What must hold in every state, and what must be reached somewhere.

use crate::hardware::Fault;
use crate::model::Protocol;
use crate::moves::{all_rest, is_in_handler_at, is_stuck, reads_wrong};
use crate::state::{Broken, Shape, State};
use crate::thread::{Flag, Life, Thread};
use hmi_meeting::way::Place as WayPlace;
use hmi_meeting::{AbortReason, Phase};
use hypervisor_shim::passage::{Place, Wait};

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// In words.
    pub name: &'static str,
    /// Whether it must hold always; else somewhere.
    pub always: bool,
    /// Whether it holds in a state.
    pub holds: fn(&Protocol, &State) -> bool,
}

impl Rule {
    const fn always(name: &'static str, holds: fn(&Protocol, &State) -> bool) -> Self {
        let always = true;
        Self {
            name,
            always,
            holds,
        }
    }

    const fn sometimes(name: &'static str, holds: fn(&Protocol, &State) -> bool) -> Self {
        let always = false;
        Self {
            name,
            always,
            holds,
        }
    }
}

impl Protocol {
    /// What must hold in every state.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        vec![
            Rule::always(
                "a guest reads host time and its offset",
                |model: &Protocol, state: &State| {
                    let shape = model.shape;
                    (0..shape.all()).all(|number| {
                        !state.threads[number].is_at(Place::InGuest)
                            || reads_wrong(state, shape, number) != Some(true)
                    })
                },
            ),
            Rule::always(
                "the host reads host time",
                |model: &Protocol, state: &State| {
                    let shape = model.shape;
                    (0..shape.all()).all(|number| {
                        state.threads[number].is_at(Place::InGuest)
                            || reads_wrong(state, shape, number) != Some(true)
                    })
                },
            ),
            Rule::always(
                "TB is rewritten only while closing and nobody is in a guest",
                |_: &Protocol, state: &State| {
                    !matches!(
                        state.broken,
                        Broken::RewrittenInGuest | Broken::RewrittenOpen
                    )
                },
            ),
            Rule::always("one guest for a TB", |model: &Protocol, state: &State| {
                let shape = model.shape;
                (0..shape.all())
                    .all(|thread| (state.core.in_guest() & shape.sharing(thread)).count_ones() <= 1)
            }),
            Rule::always(
                "an offset is in TB only in a guest",
                |model: &Protocol, state: &State| {
                    let applied = state.which(model.shape, |thread| thread.has(Flag::Applied));
                    applied & !state.core.in_guest() == 0
                },
            ),
            Rule::always("one resync in a round", |_: &Protocol, state: &State| {
                state.broken != Broken::SecondResync
            }),
            Rule::always("one event for an error", |_: &Protocol, state: &State| {
                state.broken != Broken::EventForNothing
            }),
            Rule::always("no program is lost", |_: &Protocol, state: &State| {
                state.broken != Broken::Lost
            }),
            Rule::always(
                "nobody waits for ever",
                |model: &Protocol, state: &State| {
                    state.broken != Broken::Nothing || !is_stuck(state, model.shape)
                },
            ),
            Rule::always(
                "at rest all is open, and repaired or told",
                |model: &Protocol, state: &State| {
                    state.broken != Broken::Nothing
                        || !all_rest(state, model.shape)
                        || is_settled(state, model.shape)
                },
            ),
        ]
    }

    /// What must be reached somewhere, or the model shows less than it seems to.
    #[must_use]
    pub fn reached(&self) -> Vec<Rule> {
        let tb = |fault: &Fault| !matches!(fault, Fault::Thread | Fault::NotTimebase);
        let breaks_tb = self.classes.iter().any(tb);
        let core = self.classes.contains(&Fault::Core);
        let mut reached = vec![Rule::sometimes(
            "all faults are over",
            |model: &Protocol, state: &State| {
                state.timer.faults == 0 && all_rest(state, model.shape)
            },
        )];
        if breaks_tb {
            reached.push(Rule::sometimes(
                "a meeting repairs TB",
                |_: &Protocol, state: &State| state.timer.repaired,
            ));
        }
        if breaks_tb && self.shape.all() > 1 {
            reached.push(Rule::sometimes(
                "a thread waits for the claimant",
                |model: &Protocol, state: &State| {
                    let waits = |thread: Thread| thread.is_at(Place::Awaiting(Wait::Claim));
                    state.which(model.shape, waits) != 0
                },
            ));
        }
        if breaks_tb && self.faults > 1 {
            reached.push(Rule::sometimes(
                "a claimant resyncs",
                |_: &Protocol, state: &State| state.timer.resyncs != 0,
            ));
        }
        if core && self.faults > 1 {
            reached.push(Rule::sometimes(
                "a meeting goes back",
                |_: &Protocol, state: &State| state.meeting.to_bits() >> 30 & 3 != 0,
            ));
        }
        if self.dead_tod && self.classes.contains(&Fault::Chip) {
            reached.push(Rule::sometimes(
                "a meeting is given up",
                |_: &Protocol, state: &State| {
                    state.meeting.abort_reason() == Some(AbortReason::ReloadFailed)
                },
            ));
        }
        if self.late + self.mortal > 0 && breaks_tb && self.shape.all() > 1 {
            reached.push(Rule::sometimes(
                "a meeting goes on without a thread",
                |model: &Protocol, state: &State| {
                    state.which(model.shape, |thread| thread.has(Flag::Missed)) != 0
                },
            ));
            reached.push(Rule::sometimes(
                "a wait runs out in a phase",
                |_: &Protocol, state: &State| {
                    state.meeting.abort_reason() == Some(AbortReason::WaitExpired)
                },
            ));
        }
        if self.late > 0 && breaks_tb && self.shape.all() > 1 {
            reached.push(Rule::sometimes(
                "a thread comes while others are at work",
                |model: &Protocol, state: &State| {
                    (0..model.shape.all()).any(|number| {
                        is_in_handler_at(state.threads[number], number, WayPlace::AwaitingIdle)
                    })
                },
            ));
        }
        if self.mortal > 0 && self.shape.all() > 1 {
            reached.push(Rule::sometimes(
                "the shim gives a wait up",
                |_: &Protocol, state: &State| state.core.aborted(),
            ));
        }
        reached
    }
}

/// Whether a core at rest is as it should be.
fn is_settled(state: &State, shape: Shape) -> bool {
    let timer = &state.timer;
    let dead = state.dead(shape);
    let alone = |thread: Thread| matches!(thread.life(), Life::Idle | Life::Offline | Life::Dead);
    if state.which(shape, alone) == shape.mask() {
        // Nobody takes an interrupt.
        return true;
    }
    let open = state.core.closing() & !dead == 0;
    let meeting = state.meeting.phase() == Phase::Idle || dead != 0;
    let free = !state.threads.iter().any(|thread| thread.has(Flag::Owns)) || dead != 0;
    // A leader that dies after the repair tells nobody; one that is late may repair what struck since.
    let late = state.which(shape, |thread| thread.has(Flag::Late)) != 0;
    let accounted = !timer.owed && (!timer.repaired || late) || dead != 0;
    let mended = timer.valid && !timer.error;
    // Nobody takes a guest out whose TB is dead and that got no HMI.
    let in_guest = state.which(shape, |thread| thread.is_at(Place::InGuest));
    let guests = timer.valid || in_guest == 0 || dead != 0;
    let local = state.which(shape, |thread| {
        thread.has(Flag::Local) && thread.life() != Life::Idle
    });
    open && meeting
        && free
        && guests
        && accounted
        && (mended || timer.told || dead != 0 && timer.flagged)
        && local == 0
}
