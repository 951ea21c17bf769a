//! What can happen next: a thread makes a step of the shipped programs, or lives its life outside.

use crate::state::{Broken, Shape, State};
use crate::thread::{Flag, Life, Thread};
use crate::{firmware, hardware};
use hmi_meeting::Phase;
use hmi_meeting::way::{Place as WayPlace, Way};
use hypervisor_shim::core_word::{Answer, Event, step};
use hypervisor_shim::passage::{Action, Exit, Observation, Outcome, Passage, Place, Wait, Who};

/// What a thread can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// Carry out the next action of its program.
    Step,
    /// Take the HMI that waits, in host context, out of sleep, or in its guest.
    TakeHmi,
    /// Attend because a sibling closed the core, or come because the firmware calls.
    Heed,
    /// Leave the guest because the doorbell rang.
    HeedBell,
    /// Open interrupts again, or return from an OPAL call.
    OpenInterrupts,
    /// Begin the way into the guest.
    Enter,
    /// Leave the guest: HDEC.
    LeaveGuest,
    /// Leave the guest for something that is answered at once.
    Answer,
    /// The budget of its wait is used up.
    Expire,
    /// Stop for ever.
    Die,
}

impl What {
    /// What a thread does by its own choice: nobody may rely on it.
    #[must_use]
    pub const fn is_voluntary(self) -> bool {
        matches!(
            self,
            Self::Enter | Self::LeaveGuest | Self::Answer | Self::Die
        )
    }

    /// All.
    pub const ALL: [Self; 10] = [
        Self::Step,
        Self::TakeHmi,
        Self::Heed,
        Self::HeedBell,
        Self::OpenInterrupts,
        Self::Enter,
        Self::LeaveGuest,
        Self::Answer,
        Self::Expire,
        Self::Die,
    ];
}

/// The thread as the shim sees it. All threads of the core run the shim but the firmware's idle ones.
#[must_use]
pub fn who(shape: Shape, number: usize) -> Who {
    Who {
        number: number as u8,
        siblings: shape.mask(),
        sharing: shape.sharing(number),
    }
}

/// Whether a thread can do this now.
#[must_use]
pub fn can(state: &State, shape: Shape, number: usize, what: What) -> bool {
    let thread = state.threads[number];
    let life = thread.life();
    if life == Life::Dead {
        return false;
    }
    let in_guest = || thread.is_at(Place::InGuest);
    let waits = || {
        thread.is_at(Place::Awaiting(Wait::Siblings)) || thread.is_at(Place::Awaiting(Wait::Claim))
    };
    match what {
        What::TakeHmi => {
            thread.has(Flag::Pending)
                && (matches!(life, Life::Host | Life::Asleep) || in_guest() || waits())
        }
        What::Heed => match life {
            // It calls the firmware again now and then; only when something comes of it is that a step.
            Life::Passing => waits() && firmware::is_wanted(state, number),
            Life::Host => state.core.summons(thread.has(Flag::Attended).then_some(0)),
            Life::Idle => thread.has(Flag::Summoned) && !thread.has(Flag::InFirmware),
            _ => false,
        },
        What::HeedBell => thread.has(Flag::Rung) && in_guest(),
        What::OpenInterrupts => matches!(life, Life::Closed | Life::InOpal),
        What::Enter => life == Life::Host && (state.timer.valid || !thread.has(Flag::WithoutTime)),
        What::LeaveGuest | What::Answer => in_guest(),
        What::Die => thread.has(Flag::Mortal) && life != Life::Dead,
        What::Step => has_step(state, shape, number),
        What::Expire => {
            let awaited = awaited(state, shape, number);
            let dead = state.dead(shape);
            // Where a thread may be late, it may also start a meeting when the others have left theirs.
            let late = state.which(shape, |thread| thread.has(Flag::Late));
            let away = state.which(shape, |thread| !thread.has(Flag::InFirmware));
            // Where the OS was told that TB is dead, a thread that is interrupted once more may wait in
            // vain for those who have gone on.
            let given_up = state.timer.told && state.timer.tod_dead;
            let slow = if (late != 0 || given_up) && thread.has(Flag::InFirmware) {
                late | away
            } else {
                0
            };
            // An idle thread closes nothing: that it ends its work, of microseconds, before a wait of
            // seconds does is assumed.
            let at_work = |number: usize| {
                let idle = state.threads[number].life() == Life::Idle;
                idle && has_step(state, shape, number)
            };
            // A thread that is neither dead nor late does its step long before.
            // One wait that runs out is enough: the abort reaches all the others.
            let told = matches!(thread.place(), Place::Awaiting(_)) && state.core.aborted();
            let in_shim = life == Life::Passing && !thread.has(Flag::InFirmware);
            !(told && in_shim)
                && awaited != 0
                && awaited & !(dead | slow) == 0
                && !(0..shape.all()).any(at_work)
        }
    }
}

/// Whom a waiting thread waits for; 0 if it does not wait.
#[must_use]
pub fn awaited(state: &State, shape: Shape, number: usize) -> u8 {
    let thread = state.threads[number];
    if thread.has(Flag::InFirmware) {
        return firmware::awaited(state, shape, number);
    }
    if thread.life() != Life::Passing {
        return 0;
    }
    match thread.place() {
        Place::Awaiting(wait) => {
            let missing = wait.missing(who(shape, number), state.core);
            match wait {
                Wait::Claim => missing & claimants(state, shape),
                Wait::Guests | Wait::Siblings => missing,
            }
        }
        Place::Resyncing if !thread.has(Flag::Owns) => {
            hardware::resync_waits_for(state, shape, number)
        }
        _ => 0,
    }
}

/// Who can have the claim: the word says only that somebody has it, so for the shim all who close are
/// missing. Those who wait for it themselves, or are in the firmware again, have it not, and no budget
/// of a wait for it depends on them.
fn claimants(state: &State, shape: Shape) -> u8 {
    let claims = |thread: Thread| {
        let places = [Place::Judging, Place::Resyncing, Place::Resolving];
        thread.life() == Life::Dead || places.into_iter().any(|place| thread.is_at(place))
    };
    state.which(shape, claims)
}

/// Whether the next action of a thread's program can be carried out now.
pub(crate) fn has_step(state: &State, shape: Shape, number: usize) -> bool {
    let thread = state.threads[number];
    if thread.has(Flag::InFirmware) {
        return firmware::has_step(state, shape, number);
    }
    if thread.life() != Life::Passing {
        return false;
    }
    match thread.place() {
        Place::InGuest => false,
        Place::Awaiting(_) => {
            let passage = thread.passage();
            let looked = passage.step(who(shape, number), Observation::Word(state.core));
            looked != passage
        }
        Place::Resyncing => {
            thread.has(Flag::Owns) || hardware::resync_waits_for(state, shape, number) == 0
        }
        // `settled_tfmr`: it looks when nobody is at work on TFMR.
        _ => true,
    }
}

/// The state after a thread did this. `lowest`: who counts as the lowest thread, if a meeting closes.
#[must_use]
pub fn act(state: &State, shape: Shape, number: usize, what: What, lowest: u8) -> Option<State> {
    if !can(state, shape, number, what) {
        return None;
    }
    let mut next = *state;
    let in_firmware = state.threads[number].has(Flag::InFirmware);
    let elects = in_firmware && matches!(what, What::Step | What::Expire);
    if lowest != 0 && !elects {
        return None;
    }
    let thread = &mut next.threads[number];
    let attended = thread.has(Flag::Attended).then_some(0);
    match what {
        What::TakeHmi if thread.life() == Life::Passing && !thread.is_at(Place::InGuest) => {
            go_on(&mut next, shape, number, Observation::Interrupted);
        }
        What::Heed if thread.life() == Life::Passing => {
            go_on(&mut next, shape, number, Observation::Called);
        }
        What::TakeHmi if thread.life() == Life::Passing => {
            go_on(&mut next, shape, number, Observation::Exit(Exit::Hmi));
        }
        What::Heed if thread.life() == Life::Idle => firmware::call(&mut next, number),
        What::TakeHmi | What::Heed => {
            thread.set_passage(Passage::attend(attended, what == What::TakeHmi));
        }
        What::HeedBell => {
            thread.set(Flag::Rung, false);
            go_on(&mut next, shape, number, Observation::Exit(Exit::Wanted));
        }
        What::OpenInterrupts => thread.set_life(Life::Host),
        What::Enter => thread.set_passage(Passage::enter(attended)),
        What::LeaveGuest => go_on(&mut next, shape, number, Observation::Exit(Exit::Wanted)),
        What::Answer => go_on(&mut next, shape, number, Observation::Exit(Exit::Answered)),
        What::Die => {
            // It holds what it holds, for ever; what it was about to do does not matter any more.
            let owns = thread.has(Flag::Owns);
            *thread = Thread::default();
            thread.set_life(Life::Dead);
            thread.set(Flag::Owns, owns);
        }
        What::Expire if in_firmware => {
            if !firmware::expire(&mut next, shape, number, lowest) {
                return None;
            }
        }
        What::Expire => expire(&mut next, shape, number),
        What::Step if in_firmware => {
            if !firmware::step_thread(&mut next, shape, number, lowest) {
                return None;
            }
        }
        What::Step => step_passage(&mut next, shape, number),
    }
    next.normalise();
    Some(next)
}

/// Carries out the next action of the shim's program.
fn step_passage(state: &mut State, shape: Shape, number: usize) {
    let passage = state.threads[number].passage();
    let sub_core = shape.sub_core(number);
    let observation = match passage.action(who(shape, number)) {
        Action::Word(event) => return apply(state, shape, number, event),
        Action::PutOffsetIn => {
            state.timer.offset[sub_core] += 1;
            state.threads[number].set(Flag::Applied, true);
            Observation::Done
        }
        Action::Look => {
            let pending = state.threads[number].has(Flag::Pending);
            Observation::Judged(!pending && state.timer.valid)
        }
        Action::SwitchOut => {
            if state.timer.valid {
                take_offset_out(state, number, sub_core);
            }
            Observation::Judged(state.timer.valid)
        }
        Action::TakeOffsetOut => {
            take_offset_out(state, number, sub_core);
            Observation::Done
        }
        Action::Await(_) => Observation::Word(state.core),
        Action::GiveUp(_) => return apply(state, shape, number, Event::Abort),
        Action::CallFirmware => return firmware::call(state, number),
        Action::Judge => Observation::Judged(state.timer.valid),
        Action::Resync => {
            if !hardware::resync(state, shape, number) {
                return;
            }
            Observation::Done
        }
        Action::Load | Action::RunGuest | Action::Ring(_) | Action::Finish(_) => {
            state.broken = Broken::Lost;
            return;
        }
    };
    go_on(state, shape, number, observation);
}

fn take_offset_out(state: &mut State, number: usize, sub_core: usize) {
    if state.threads[number].has(Flag::Applied) {
        state.threads[number].set(Flag::Applied, false);
        state.timer.offset[sub_core] -= 1;
    }
}

fn apply(state: &mut State, shape: Shape, number: usize, event: Event) {
    let (word, answer) = step(state.core, event);
    state.core = word;
    if word.epoch() != 0 {
        state.begin_epoch();
    }
    let word = state.core;
    if matches!(event, Event::Leave { .. }) {
        // Nobody looks for the bell of a guest that is out; the next one begins without.
        state.threads[number].set(Flag::Rung, false);
    }
    let before = state.threads[number].passage();
    go_on(state, shape, number, Observation::Answered(word, answer));
    if answer == Answer::Opened {
        debug_assert!(before.place == Place::Opening, "only the last one opens");
    }
}

/// The program goes on, over all that concerns this thread alone.
pub(crate) fn go_on(state: &mut State, shape: Shape, number: usize, observation: Observation) {
    let who = who(shape, number);
    let mut passage = state.threads[number].passage();
    let mut observation = observation;
    loop {
        passage = passage.step(who, observation);
        observation = match passage.action(who) {
            Action::Load => Observation::Word(state.core),
            Action::Ring(mut others) => {
                while others != 0 {
                    state.threads[others.trailing_zeros() as usize].set(Flag::Rung, true);
                    others &= others - 1;
                }
                Observation::Done
            }
            Action::Finish(outcome) => return finish(state, number, passage, outcome),
            _ => break,
        };
    }
    state.threads[number].set_passage(passage);
}

fn finish(state: &mut State, number: usize, passage: Passage, outcome: Outcome) {
    let thread = &mut state.threads[number];
    thread.set_life(Life::Host);
    thread.set(Flag::Attended, passage.attended == Some(0));
    if outcome == Outcome::Attended {
        thread.set(Flag::WithoutTime, true);
    }
}

/// A wait of the shim is over without result.
fn expire(state: &mut State, shape: Shape, number: usize) {
    if state.threads[number].place() == Place::Resyncing {
        // The call returns with an error.
        go_on(state, shape, number, Observation::Done);
    } else {
        go_on(state, shape, number, Observation::Expired);
    }
}

/// Whether a thread rests: nothing is under way on it, and nothing asks for it.
#[must_use]
pub fn rests(state: &State, shape: Shape, number: usize) -> bool {
    let thread = state.threads[number];
    let asked = [
        What::TakeHmi,
        What::Heed,
        What::HeedBell,
        What::OpenInterrupts,
    ];
    let is_asked = || asked.iter().any(|what| can(state, shape, number, *what));
    match thread.life() {
        Life::Offline | Life::Dead => true,
        Life::Host | Life::Idle | Life::Asleep => !thread.has(Flag::InFirmware) && !is_asked(),
        Life::Passing => thread.is_at(Place::InGuest) && !is_asked(),
        Life::Closed | Life::InOpal => false,
    }
}

/// Whether somebody waits and nothing that anybody must do can end it.
#[must_use]
pub fn is_stuck(state: &State, shape: Shape) -> bool {
    let all = shape.all();
    if (0..all).all(|number| rests(state, shape, number)) {
        return false;
    }
    let must = What::ALL.into_iter().filter(|what| !what.is_voluntary());
    !must
        .flat_map(|what| (0..all).map(move |number| (what, number)))
        .any(|(what, number)| can(state, shape, number, what))
}

/// Whether every thread rests.
#[must_use]
pub fn all_rest(state: &State, shape: Shape) -> bool {
    (0..shape.all()).all(|number| rests(state, shape, number))
}

/// Whether a thread reads TB now as its own time, and finds it wrong.
#[must_use]
pub fn reads_wrong(state: &State, shape: Shape, number: usize) -> Option<bool> {
    let thread = state.threads[number];
    if !state.timer.valid || thread.has(Flag::Pending) {
        // The HMI is taken before anything that is read counts.
        return None;
    }
    let offset = state.timer.offset[shape.sub_core(number)];
    if thread.is_at(Place::InGuest) {
        return Some(offset != 1);
    }
    let others = state.core.in_guest() & shape.sharing(number);
    let in_host = matches!(thread.life(), Life::Host | Life::Asleep | Life::Idle)
        && !thread.has(Flag::InFirmware);
    (in_host && others == 0 && state.core.closing() == 0).then_some(offset != 0)
}

/// Whether a meeting goes on.
#[must_use]
pub fn meets(state: &State) -> bool {
    state.meeting.phase() != Phase::Idle
}

/// Its way through the handler, as it stands now.
#[must_use]
pub fn way(thread: Thread, number: usize) -> Way {
    thread.way(number as u8)
}

/// Whether its way through the handler stands at this place.
#[must_use]
pub fn is_in_handler_at(thread: Thread, number: usize, place: WayPlace) -> bool {
    thread.has(Flag::InFirmware) && way(thread, number).place == place
}
