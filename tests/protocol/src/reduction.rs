//! Steps that nobody can tell from no step: one order of them stands for all.
//!
//! A step is *private* if it changes only what its thread keeps for itself, if no other thread reads
//! that, if nothing that others can do before it changes what comes of it or takes it away, and if no
//! rule looks at it. Such a step is then made at once, before all that others do: every behaviour of
//! the threads is still there, but for the place of that step in it. This is what makes cores of eight
//! threads small enough to be explored whole; smaller ones are explored in both ways, and the tests
//! compare the two, state by state.
//!
//! The beginning of the way into a guest is the other case: it can always wait until the thread asks to
//! be let in, which is the first that others can notice. So the two are one step.
//!
//! Threads that may be late or stop, and a TOD that is dead, let waits run out, which looks at where
//! others stand: there no step counts as private.

use crate::model::{Move, Protocol};
use crate::moves::{What, has_step};
use crate::state::{Shape, State};
use crate::thread::{Flag, Life, Thread};
use hmi_meeting::way::Place as WayPlace;
use hmi_meeting::{Phase, mask_of};
use hypervisor_shim::passage::{Place, Wait};

/// The next step of the first thread whose next step is private.
#[must_use]
pub fn private_step(model: &Protocol, state: &State) -> Option<Move> {
    if model.late + model.mortal > 0 || model.dead_tod {
        return None;
    }
    let thread = (0..model.shape.all()).find(|number| is_private(model, state, *number))?;
    Some(Move::Act {
        thread: thread as u8,
        what: What::Step,
        lowest: 0,
    })
}

/// Whether no error is left, none can come, and nobody in the firmware has seen one: TB runs from now
/// on, and no meeting begins.
fn is_over(state: &State, shape: Shape) -> bool {
    let timer = &state.timer;
    let sound = timer.valid && !timer.error && !timer.tod_error;
    let asks = |(number, thread): (usize, &Thread)| {
        thread.has(Flag::Owns)
            || thread.has(Flag::Missed)
            || thread.is_at(Place::Resyncing)
            || thread.has(Flag::InFirmware) && {
                let place = thread.way(number as u8).place;
                !matches!(place, WayPlace::Looking | WayPlace::Alone | WayPlace::Over)
            }
    };
    let mut threads = state.threads[..shape.all()].iter().enumerate();
    timer.faults == 0 && sound && state.meeting.phase() == Phase::Idle && !threads.any(asks)
}

fn is_private(model: &Protocol, state: &State, number: usize) -> bool {
    let thread = state.threads[number];
    if thread.life() != Life::Passing {
        return false;
    }
    if thread.has(Flag::InFirmware) {
        // It looks, sees nothing that is not its own affair, and returns.
        return is_over(state, model.shape);
    }
    let core = state.core;
    let me = mask_of(number as u8);
    // While this thread closes the core and has not come back, no claim can be won, none is held and
    // none is over: so no new epoch begins.
    let holds_epoch = core.closing() & me != 0
        && core.returned() & me == 0
        && !core.claimed()
        && !core.resolved()
        && !core.aborted();
    let in_guest = core.in_guest() & me != 0;
    match thread.place() {
        // Nobody else may touch a TB whose guest's thread has its mark in the word: who does breaks a
        // rule, whether the offset is in or not.
        Place::SwitchingIn => in_guest,
        Place::TakingOut => in_guest || !thread.has(Flag::Applied),
        Place::LeavingForHmi => !in_guest && !thread.has(Flag::Rung),
        // Closed by this thread itself, the core lets nobody in any more.
        Place::Awaiting(Wait::Guests) => {
            core.closing() & me != 0 && has_step(state, model.shape, number) && core.in_guest() == 0
        }
        Place::Going => holds_epoch,
        // The call clears the causes in its HMER: a fault may add one.
        Place::Calling => state.timer.faults == 0,
        Place::Looking | Place::SwitchingOut | Place::Judging => is_over(state, model.shape),
        _ => false,
    }
}
