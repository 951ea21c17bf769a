//! The abstract timer facility: what a fault breaks, what the work of a phase mends.

use crate::state::{Broken, Shape, State};
use crate::thread::{Flag, Life};
use hmi_meeting::way::Report;
use hmi_meeting::{AbortReason, Findings, Phase, mask_of};

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// DEC, PURR or SPURR of one thread; the HMI reaches that thread only.
    Thread,
    /// The core's timer facility: TB stops, every thread's HDEC is dirty.
    Core,
    /// The ChipTOD: TB stops with it.
    Chip,
    /// TB stops, and no register says why.
    NoReason,
    /// Nothing of the timer: a processor recovery, say.
    NotTimebase,
}

impl Fault {
    /// All.
    pub const ALL: [Self; 5] = [
        Self::Thread,
        Self::Core,
        Self::Chip,
        Self::NoReason,
        Self::NotTimebase,
    ];
}

const DONE: Report = Report::Done(Findings::NONE);

/// The fault strikes. The HMI reaches `target`, and all others unless `one` is set.
#[must_use]
pub fn strike(
    state: &State,
    shape: Shape,
    fault: Fault,
    target: usize,
    one: bool,
) -> Option<State> {
    let mut next = *state;
    let deaf = matches!(
        next.threads[target].life(),
        Life::Offline | Life::Idle | Life::Dead
    );
    if next.timer.faults == 0 || deaf && (one || fault == Fault::Thread) {
        return None;
    }
    next.timer.faults -= 1;
    next.timer.resyncs = 0;
    if fault == Fault::Thread {
        next.threads[target].set(Flag::Local, true);
        next.threads[target].set(Flag::Pending, true);
        return Some(next);
    }
    for (number, thread) in next.threads.iter_mut().enumerate().take(shape.all()) {
        if !matches!(thread.life(), Life::Offline | Life::Dead) {
            thread.set(Flag::Dirty, fault == Fault::Core || thread.has(Flag::Dirty));
            if !one || number == target {
                thread.set(Flag::Pending, true);
            }
        }
    }
    if fault == Fault::NotTimebase {
        return Some(next);
    }
    let timer = &mut next.timer;
    timer.valid = false;
    timer.owed = true;
    // A meeting may be about to say that what was told is mended.
    timer.quiet |= timer.told;
    timer.told = false;
    timer.flagged = false;
    timer.disturbed = true;
    timer.error |= fault == Fault::Core;
    timer.tod_error |= fault == Fault::Chip;
    Some(next)
}

/// The leader's and the threads' work in a phase. `None`: TB is being loaded, it goes on with the
/// next step.
pub(crate) fn work(state: &mut State, shape: Shape, number: usize, phase: Phase) -> Option<Report> {
    match phase {
        Phase::RepairTfmr => {
            state.timer.plan = !state.timer.valid;
            let hdec = state.timer.error;
            Some(Report::Done(if hdec {
                Findings::HDEC_LOST
            } else {
                Findings::NONE
            }))
        }
        Phase::Clean => {
            clean(state, shape, number);
            if state.timer.plan && !state.timer.valid {
                rewrite(state, shape, Some(shape.sub_core(number)));
            }
            Some(DONE)
        }
        Phase::Clear => Some(if is_dirty(state) && state.timer.error {
            Report::Retry
        } else {
            state.timer.error = false;
            DONE
        }),
        Phase::Local => {
            state.threads[number].set(Flag::Local, false);
            Some(DONE)
        }
        Phase::Reload => reload(state, shape, number),
        Phase::Check => {
            let timer = &state.timer;
            let sound = timer.valid && !timer.error && !state.threads[number].has(Flag::Local);
            Some(if sound {
                DONE
            } else {
                Report::Done(Findings::AGAIN)
            })
        }
        Phase::Idle | Phase::Arrive | Phase::Depart => Some(DONE),
    }
}

/// What is reported when a retry is refused.
pub(crate) fn after_refused_retry(state: &State, phase: Phase) -> Report {
    match phase {
        Phase::Reload => Report::Abort(AbortReason::ReloadFailed),
        // ERROR with dirty registers does not end.
        _ if state.timer.error => Report::Abort(AbortReason::ClearFailed),
        _ => Report::Done(Findings::FAILED),
    }
}

/// A thread rewrites its own HDEC; threads with one TB have one HDEC, too.
pub(crate) fn clean(state: &mut State, shape: Shape, number: usize) {
    let sharing = shape.sharing(number);
    for (other, thread) in state.threads.iter_mut().enumerate() {
        if sharing & mask_of(other as u8) != 0 {
            thread.set(Flag::Dirty, false);
        }
    }
}

fn is_dirty(state: &State) -> bool {
    let dirty = |thread: &crate::thread::Thread| thread.has(Flag::Dirty);
    state.threads.iter().any(dirty)
}

/// TB is written: of one sub-core, or of all. A thread that is dead takes nothing out any more.
fn rewrite(state: &mut State, shape: Shape, sub_core: Option<usize>) {
    let in_guest = state.core.in_guest() & !state.dead(shape);
    if in_guest != 0 {
        state.broken = Broken::RewrittenInGuest;
    } else if state.core.closing() == 0 {
        state.broken = Broken::RewrittenOpen;
    }
    match sub_core {
        Some(sub_core) => state.timer.offset[sub_core] = 0,
        None => state.timer.offset = [0; crate::state::THREADS],
    }
}

fn reload(state: &mut State, shape: Shape, number: usize) -> Option<Report> {
    if !state.threads[number].has(Flag::Owns) {
        if state.timer.valid && !state.timer.tod_error {
            return Some(DONE);
        }
        if state.timer.tod_error && state.timer.tod_dead {
            return Some(Report::Abort(AbortReason::ReloadFailed));
        }
        state.timer.tod_error = false;
        if state.timer.valid {
            return Some(DONE);
        }
        state.timer.disturbed = false;
        state.threads[number].set(Flag::Owns, true);
        return None;
    }
    state.threads[number].set(Flag::Owns, false);
    if state.timer.disturbed {
        return Some(Report::Retry);
    }
    rewrite(state, shape, None);
    state.timer.valid = true;
    state.timer.repaired |= state.timer.owed;
    state.timer.owed = false;
    Some(Report::Done(Findings::RELOADED))
}

/// Whom `OPAL_RESYNC_TIMEBASE` waits for: a meeting that it must not disturb, or the owner of TFMR.
#[must_use]
pub(crate) fn resync_waits_for(state: &State, shape: Shape, number: usize) -> u8 {
    let owner = state.which(shape, |thread| thread.has(Flag::Owns));
    let meeting = state.meeting;
    if meeting.phase() == Phase::Idle || meeting.expects(number as u8) {
        owner
    } else {
        owner | meeting.participants & !meeting.done & !mask_of(number as u8)
    }
}

/// `OPAL_RESYNC_TIMEBASE`, in two steps; `true` when it returns.
pub(crate) fn resync(state: &mut State, shape: Shape, number: usize) -> bool {
    if !state.threads[number].has(Flag::Owns) {
        state.timer.resyncs += 1;
        if state.timer.resyncs > 1 {
            state.broken = Broken::SecondResync;
        }
        if state.timer.tod_error {
            // A TOD that does not run: the HMI is there to start it.
            return true;
        }
        clean(state, shape, number);
        state.timer.error &= is_dirty(state);
        state.timer.disturbed = false;
        state.timer.valid = false;
        state.threads[number].set(Flag::Owns, true);
        return false;
    }
    state.threads[number].set(Flag::Owns, false);
    if !state.timer.disturbed {
        rewrite(state, shape, None);
        state.timer.valid = true;
        // The OS asked for it and sees what came of it: no event must follow.
        state.timer.quiet |= state.timer.owed;
        state.timer.owed = false;
    }
    true
}
