//! A thread in the firmware's handler: the shipped way through a meeting, on the abstract hardware.

use crate::hardware;
use crate::moves::go_on;
use crate::state::{Broken, Shape, State};
use crate::thread::{Flag, Life};
use hmi_meeting::way::{Action, Came, Observation, Place, Report, Way};
use hmi_meeting::{Event, Findings, Phase, Task, Verdict, Word, mask_of, step};
use hypervisor_shim::passage;

/// The thread calls the handler: its timer causes are cleared, its summons is answered.
pub(crate) fn call(state: &mut State, number: usize) {
    let thread = &mut state.threads[number];
    let is_idle = thread.life() == Life::Idle;
    let came = if is_idle {
        Came::FromIdle
    } else if thread.has(Flag::Pending) {
        Came::ByInterrupt
    } else {
        Came::BySibling
    };
    thread.set(Flag::Pending, false);
    thread.set(Flag::Summoned, false);
    thread.set(Flag::InFirmware, true);
    thread.set_way(Way::new(number as u8, came));
}

/// Whether something would come of a call of the handler by a thread that waits in the shim. One that
/// took an interrupt is another case.
pub(crate) fn is_wanted(state: &State, number: usize) -> bool {
    let word = state.meeting;
    let given_up = word.phase() == Phase::Idle && word.findings.contains(Findings::FAILED);
    word.expects(number as u8) || is_broken(state) && !given_up
}

/// Threads that a meeting waits for: all that are started.
fn expected(state: &State, shape: Shape) -> u8 {
    state.which(shape, |thread| thread.life() != Life::Offline)
}

/// Whom a thread in the handler waits for; 0 if it does not wait.
pub(crate) fn awaited(state: &State, shape: Shape, number: usize) -> u8 {
    let thread = state.threads[number];
    let way = thread.way(number as u8);
    let word = state.meeting;
    let others = |mask: u8| mask & !mask_of(number as u8);
    match way.place {
        Place::Meeting => match word.task(way.thread, way.generation) {
            Task::Wait(_) => others(word.missing()),
            _ => 0,
        },
        Place::AwaitingIdle if !is_over(word) => others(word.participants & !word.done),
        // A TB that is being loaded looks broken: `settled_tfmr` waits for the owner of TFMR.
        _ if waits_for_tfmr(state, number, way) => {
            state.which(shape, |thread| thread.has(Flag::Owns))
        }
        _ => 0,
    }
}

const fn is_over(word: Word) -> bool {
    matches!(word.phase(), Phase::Idle | Phase::Arrive)
}

/// Whether its next action needs TFMR for itself, and another owns it.
fn waits_for_tfmr(state: &State, number: usize, way: Way) -> bool {
    let needs = match way.place {
        Place::Looking => state.threads[number].has(Flag::Glanced) && !state.timer.valid,
        Place::LookingAgain | Place::Over => !state.timer.valid,
        Place::Working(phase) => phase != Phase::Check,
        Place::Alone | Place::TakingHome => true,
        _ => false,
    };
    needs && state.is_tfmr_held(number)
}

pub(crate) fn has_step(state: &State, _: Shape, number: usize) -> bool {
    let way = state.threads[number].way(number as u8);
    match way.place {
        Place::Meeting => match state.meeting.task(way.thread, way.generation) {
            Task::Wait(Phase::Arrive) => way.broken && !is_broken(state),
            Task::Wait(_) => false,
            _ => true,
        },
        Place::AwaitingIdle => is_over(state.meeting),
        _ => !waits_for_tfmr(state, number, way),
    }
}

/// The budget of a wait is used up. `false`: not with this `lowest`.
pub(crate) fn expire(state: &mut State, shape: Shape, number: usize, lowest: u8) -> bool {
    let way = state.threads[number].way(number as u8);
    let way = match way.place {
        Place::Meeting | Place::AwaitingIdle => way
            .step(Observation::Word(state.meeting))
            .step(Observation::Expired),
        // TFMR is not let go: it is judged, or given up, as it is.
        _ => return lowest == 0 && without_tfmr(state, shape, number, way),
    };
    if let Action::Apply(event) = way.action() {
        return apply(state, shape, number, way, event, lowest);
    }
    put(state, number, way);
    lowest == 0
}

fn without_tfmr(state: &mut State, shape: Shape, number: usize, way: Way) -> bool {
    use hmi_meeting::AbortReason::TfmrHeld;
    let next = match way.place {
        Place::Over => {
            judge(state, shape, number);
            return true;
        }
        Place::Working(_) => way.step(Observation::Reported(Report::Abort(TfmrHeld))),
        Place::Alone => way.step(Observation::Complete(true)),
        Place::TakingHome => {
            take_home(
                state,
                number,
                matches!(way.action(), Action::TakeHome { leads: true }),
            );
            way.step(Observation::Done)
        }
        _ => way.step(found(state, way)),
    };
    state.threads[number].set(Flag::Glanced, false);
    put(state, number, next);
    true
}

fn found(state: &State, way: Way) -> Observation {
    let seen = way.seen;
    let core = is_broken(state);
    Observation::Found { seen, core }
}

const fn is_broken(state: &State) -> bool {
    state.timer.error || !state.timer.valid
}

/// Carries out the next action. `false`: not with this `lowest`.
pub(crate) fn step_thread(state: &mut State, shape: Shape, number: usize, lowest: u8) -> bool {
    let way = state.threads[number].way(number as u8);
    let action = way.action();
    let event = match action {
        Action::Apply(event) => Some(event),
        Action::Join { seen } => Some(Event::Join {
            thread: number as u8,
            seen,
            expected: expected(state, shape),
        }),
        _ => None,
    };
    if let Some(event) = event {
        return apply(state, shape, number, way, event, lowest);
    }
    if lowest != 0 {
        return false;
    }
    let observation = match action {
        Action::Finish => {
            judge(state, shape, number);
            return true;
        }
        Action::Look if !state.threads[number].has(Flag::Glanced) => {
            // The word first, TFMR afterwards.
            let expects = state.meeting.expects(number as u8);
            let mut seen = state.meeting.as_seen();
            seen.findings = state.meeting.findings;
            seen.participants = if expects { mask_of(number as u8) } else { 0 };
            state.threads[number].set(Flag::Glanced, true);
            state.threads[number].set_way(Way { seen, ..way });
            return true;
        }
        Action::Look | Action::LookAgain => {
            state.threads[number].set(Flag::Glanced, false);
            found(state, way)
        }
        Action::Load => {
            let next = way.step(Observation::Word(state.meeting));
            let findings = state.meeting.findings;
            let mended = matches!(next.action(), Action::Wait(Phase::Arrive));
            let next = if mended {
                next.step(Observation::Mended)
            } else {
                next
            };
            put(state, number, next);
            if next.place == Place::TakingHome {
                state.threads[number].set_findings(findings);
            }
            return true;
        }
        Action::AwaitIdle => Observation::Word(state.meeting),
        Action::Work(phase) => match hardware::work(state, shape, number, phase) {
            Some(report) => Observation::Reported(report),
            None => return true,
        },
        Action::JudgeRefusal(phase) => {
            Observation::Reported(hardware::after_refused_retry(state, phase))
        }
        Action::TakeHome { leads } => {
            take_home(state, number, leads);
            Observation::Done
        }
        Action::ReportForgotten | Action::Complain => {
            tell(state, true);
            Observation::Done
        }
        Action::HandleAlone => {
            alone(state, shape, number);
            Observation::Complete(true)
        }
        Action::Wait(_) | Action::Apply(_) | Action::Join { .. } => {
            state.broken = Broken::Lost;
            return true;
        }
    };
    put(state, number, way.step(observation));
    true
}

/// What needs no meeting.
fn alone(state: &mut State, shape: Shape, number: usize) {
    if state.threads[number].has(Flag::Missed) {
        state.threads[number].set(Flag::Missed, false);
        if state.meeting.findings.contains(Findings::HDEC_LOST) {
            hardware::clean(state, shape, number);
        }
    }
    state.threads[number].set(Flag::Local, false);
    if state.timer.tod_error && state.timer.valid {
        state.timer.tod_error = state.timer.tod_dead;
    }
}

fn take_home(state: &mut State, number: usize, leads: bool) {
    // As it was when the word was loaded: the others may have gone on to another meeting.
    let failed = state.threads[number].findings().contains(Findings::FAILED);
    if failed {
        state.threads[number].set(Flag::Local, false);
    }
    if leads {
        tell(state, failed);
    }
}

/// The event for the core.
fn tell(state: &mut State, failed: bool) {
    let timer = &mut state.timer;
    if failed {
        timer.told = true;
        timer.owed = false;
        timer.repaired = false;
        timer.quiet = false;
        return;
    }
    // What was told as not recovered may be mended later, by those who were late.
    if timer.repaired || timer.quiet {
        timer.repaired = false;
        timer.quiet = false;
    } else if timer.forgotten {
        timer.forgotten = false;
    } else if !timer.told {
        state.broken = Broken::EventForNothing;
    }
}

/// Applies an event to the meeting's word as if `lowest` were the lowest thread.
fn apply(
    state: &mut State,
    shape: Shape,
    number: usize,
    way: Way,
    event: Event,
    lowest: u8,
) -> bool {
    let before = state.meeting;
    let (after, verdict) = renumbered(before, event, lowest);
    let closed = before.phase() <= Phase::Arrive && after.phase() > Phase::Arrive;
    // Who is the lowest matters when a leader is chosen, and only then.
    let fits = if closed {
        after.participants & mask_of(lowest) != 0
    } else {
        lowest == 0
    };
    if !fits {
        return false;
    }
    state.meeting = after;
    if before.phase() == Phase::Idle && after.phase() != Phase::Idle {
        for thread in &mut state.threads[..shape.all()] {
            thread.set(Flag::Summoned, thread.life() == Life::Idle);
        }
        state.threads[number].set(Flag::Summoned, false);
    }
    let ended = before.phase() == Phase::Depart && after.phase() == Phase::Idle;
    if ended && before.missing() & mask_of(before.leader) != 0 {
        let timer = &mut state.timer;
        timer.forgotten |= timer.repaired || timer.quiet || timer.told;
        timer.repaired = false;
    }
    if closed {
        let absent = before.participants & !after.participants;
        for (other, thread) in state.threads.iter_mut().enumerate() {
            let missed = absent & mask_of(other as u8) != 0;
            thread.set(Flag::Missed, missed);
            if missed {
                thread.set(Flag::Summoned, false);
            }
        }
    }
    if after.generation != before.generation {
        state.normalise();
    }
    let verdict = match verdict {
        Verdict::Joined(_) => Verdict::Joined(state.meeting.generation),
        other => other,
    };
    put(state, number, way.step(Observation::Verdict(verdict)));
    true
}

/// The shipped step, with thread `lowest` and thread 0 in each other's place.
fn renumbered(word: Word, event: Event, lowest: u8) -> (Word, Verdict) {
    let name = |thread: u8| match thread {
        0 => lowest,
        other if other == lowest => 0,
        other => other,
    };
    let mask = |mask: u8| {
        let swapped = (mask & 1) << lowest | mask >> lowest & 1;
        mask & !(1 | 1 << lowest) | swapped
    };
    let rename = |mut word: Word| {
        word.participants = mask(word.participants);
        word.done = mask(word.done);
        word.leader = name(word.leader);
        word
    };
    let event = match event {
        Event::Join {
            thread,
            seen,
            expected,
        } => Event::Join {
            thread: name(thread),
            seen,
            expected: mask(expected),
        },
        Event::Done {
            thread,
            generation,
            phase,
            findings,
        } => Event::Done {
            thread: name(thread),
            generation,
            phase,
            findings,
        },
        Event::Retry { thread, generation } => Event::Retry {
            thread: name(thread),
            generation,
        },
        Event::Abort {
            thread,
            generation,
            reason,
        } => Event::Abort {
            thread: name(thread),
            generation,
            reason,
        },
        Event::Leave { thread, generation } => Event::Leave {
            thread: name(thread),
            generation,
        },
        Event::Dissolve { thread, generation } => Event::Dissolve {
            thread: name(thread),
            generation,
        },
        Event::Expire {
            thread,
            generation,
            phase,
        } => Event::Expire {
            thread: name(thread),
            generation,
            phase,
        },
    };
    let (after, verdict) = step(rename(word), event);
    (rename(after), verdict)
}

/// Puts the way away.
fn put(state: &mut State, number: usize, way: Way) {
    state.threads[number].set_way(way);
}

/// The handler judges TB a last time, and returns; or it handles an error that struck after a repair
/// that worked, whose interrupt waits.
fn judge(state: &mut State, shape: Shape, number: usize) {
    let dead = !state.timer.valid;
    let failed = state.meeting.findings.contains(Findings::FAILED);
    let thread = &mut state.threads[number];
    let passing = thread.life() == Life::Passing;
    if thread.has(Flag::Pending) && (!passing || dead && !failed) {
        // An idle thread takes no interrupt: it looks itself for what came meanwhile.
        return call(state, number);
    }
    thread.clear_way();
    thread.set(Flag::InFirmware, false);
    state.timer.flagged |= dead;
    if passing {
        go_on(state, shape, number, passage::Observation::Done);
    }
}
