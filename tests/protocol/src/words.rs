//! A trace in words.

use crate::hardware::Fault;
use crate::model::{Move, Protocol};
use crate::moves::{What, who};
use crate::state::{State, THREADS};
use crate::symmetry::{Renaming, representative};
use crate::thread::{Flag, Life};
use hmi_meeting::Phase;
use hmi_meeting::way;
use hypervisor_shim::core_word::Event;
use hypervisor_shim::passage::{Action, Wait};

/// One line for each move. Threads keep the numbers that they had in the first state.
#[must_use]
pub fn trace(model: &Protocol, first: State, moves: &[Move]) -> Vec<String> {
    // Number now -> number at the beginning.
    let mut names: [u8; THREADS] = std::array::from_fn(|number| number as u8);
    let mut state = first;
    let mut lines = vec![format!("at first: {}", threads(model, &state, &names))];
    for happens in moves {
        let Some(after) = model.after(&state, *happens) else {
            lines.push(format!("{happens:?} cannot happen here"));
            break;
        };
        lines.push(line(model, &state, &after, *happens, &names));
        if model.symmetric {
            let (next, renaming) = representative(&after, model.shape);
            names = renamed(&names, &renaming);
            state = next;
        } else {
            state = after;
        }
    }
    lines.push(format!("at last: {}", threads(model, &state, &names)));
    lines
}

fn renamed(names: &Renaming, renaming: &Renaming) -> Renaming {
    let mut next = *names;
    for (number, name) in names.iter().enumerate() {
        next[usize::from(renaming[number])] = *name;
    }
    next
}

fn threads(model: &Protocol, state: &State, names: &Renaming) -> String {
    let mut parts: Vec<(u8, String)> = (0..model.shape.all())
        .map(|number| {
            let thread = state.threads[number];
            let what = if thread.has(Flag::InFirmware) {
                format!("in the firmware, {}", firmware(state, number))
            } else {
                match thread.life() {
                    Life::Host => "in the host".to_owned(),
                    Life::Closed => "in the host, interrupts closed".to_owned(),
                    Life::InOpal => "in an OPAL call".to_owned(),
                    Life::Idle => "idle in the firmware".to_owned(),
                    Life::Asleep => "asleep".to_owned(),
                    Life::Offline => "offline".to_owned(),
                    Life::Dead => "dead".to_owned(),
                    Life::Passing => shim(model, state, number, names),
                }
            };
            let pending = if thread.has(Flag::Pending) {
                ", its HMI pending"
            } else {
                ""
            };
            let name = names[number];
            (name, format!("thread {name}: {what}{pending}"))
        })
        .collect();
    parts.sort();
    let parts: Vec<_> = parts.into_iter().map(|(_, text)| text).collect();
    let timer = &state.timer;
    let offsets = &timer.offset[..usize::from(model.shape.sub_cores)];
    let valid = if timer.valid { "runs" } else { "is broken" };
    format!(
        "{}. TB {valid}, offsets in it {offsets:?}",
        parts.join("; ")
    )
}

fn set(mask: u8, names: &Renaming) -> String {
    let mut numbers: Vec<_> = (0..THREADS)
        .filter(|number| mask >> number & 1 != 0)
        .map(|number| names[number])
        .collect();
    numbers.sort_unstable();
    if numbers.is_empty() {
        return "nobody".to_owned();
    }
    let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(" and ")
}

fn line(
    model: &Protocol,
    before: &State,
    after: &State,
    happens: Move,
    names: &Renaming,
) -> String {
    let (thread, what) = match happens {
        Move::Strike { fault, target } => {
            let name = names[usize::from(target)];
            return match fault {
                Fault::Thread => {
                    format!("a register of thread {name} breaks; only it gets the HMI")
                }
                Fault::Core => {
                    "an error of the core breaks TB; HDEC of all threads is dirty".to_owned()
                }
                Fault::Chip => "the ChipTOD fails, TB stops".to_owned(),
                Fault::NoReason => "TB stops, without a reason in any register".to_owned(),
                Fault::NotTimebase => "an HMI that is not about TB".to_owned(),
            } + if model.one && fault != Fault::Thread {
                "; the HMI reaches one thread only"
            } else {
                ""
            };
        }
        Move::Act { thread, what, .. } => (usize::from(thread), what),
    };
    let name = names[thread];
    let text = match what {
        What::TakeHmi => "takes the HMI".to_owned(),
        What::Heed => "sees that it is called, and comes".to_owned(),
        What::HeedBell => "is rung out of its guest".to_owned(),
        What::OpenInterrupts => "opens interrupts".to_owned(),
        What::Enter => "wants to enter its guest".to_owned(),
        What::LeaveGuest => "leaves its guest: HDEC".to_owned(),
        What::Answer => "answers its guest and lets it go on".to_owned(),
        What::Die => "stops for ever".to_owned(),
        What::Expire => "has waited too long".to_owned(),
        What::Step if before.threads[thread].has(Flag::InFirmware) => firmware(before, thread),
        What::Step => shim(model, before, thread, names),
    };
    let mut text = format!("thread {name} {text}");
    if before.meeting.phase() != after.meeting.phase() {
        text += &format!(" -- the meeting: {}", phase(after.meeting.phase()));
    }
    let offsets = |state: &State| state.timer.offset;
    if offsets(before) != offsets(after) || before.timer.valid != after.timer.valid {
        let valid = if after.timer.valid {
            "runs"
        } else {
            "is broken"
        };
        let sub_cores = &after.timer.offset[..usize::from(model.shape.sub_cores)];
        text += &format!(" -- TB {valid}, offsets in it {sub_cores:?}");
    }
    text
}

const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "is over",
        Phase::Arrive => "gathers",
        Phase::RepairTfmr => "repairs TFMR",
        Phase::Clean => "all clean their registers",
        Phase::Clear => "clears the errors",
        Phase::Local => "all clear their own errors",
        Phase::Reload => "loads TB",
        Phase::Check => "all check",
        Phase::Depart => "departs",
    }
}

/// What the thread is about to do in the shim's program.
fn shim(model: &Protocol, state: &State, number: usize, names: &Renaming) -> String {
    let who = who(model.shape, number);
    let passage = state.threads[number].passage();
    match passage.action(who) {
        Action::Word(event) => match event {
            Event::Enter { .. } => "asks the word whether it may enter".to_owned(),
            Event::Leave { .. } => "leaves its bit".to_owned(),
            Event::Close { .. } => {
                let others = set(who.others_in_guest(state.core), names);
                format!("closes the core, rings {others}")
            }
            Event::Go { .. } => "says that it goes to the firmware".to_owned(),
            Event::Back { .. } => "says that it is back from the firmware".to_owned(),
            Event::Claim => "tries to claim the resync".to_owned(),
            Event::Resolve => "says that the claim is over".to_owned(),
            Event::Open { .. } => "opens".to_owned(),
            Event::Abort => "gives up for all".to_owned(),
        },
        Action::PutOffsetIn => "puts its offset into TB".to_owned(),
        Action::Look => "looks whether TB can be trusted".to_owned(),
        Action::RunGuest => "in its guest".to_owned(),
        Action::SwitchOut => "takes its offset out of TB in good order".to_owned(),
        Action::TakeOffsetOut => "takes its offset out of TB".to_owned(),
        Action::Await(Wait::Guests) => "has waited until nobody is in a guest".to_owned(),
        Action::Await(Wait::Siblings) => "has waited until all are back".to_owned(),
        Action::Await(Wait::Claim) => "has waited for the claimant".to_owned(),
        Action::GiveUp(_) => "gives up its wait, for all".to_owned(),
        Action::CallFirmware => "calls the firmware".to_owned(),
        Action::Judge => "has the claim and asks TFMR whether TB can be used".to_owned(),
        Action::Resync if state.threads[number].has(Flag::Owns) => "ends its resync".to_owned(),
        Action::Resync => "asks the firmware for a resync".to_owned(),
        Action::Load | Action::Ring(_) | Action::Finish(_) => format!("{:?}", passage.place),
    }
}

/// What the thread is about to do in the firmware's program.
fn firmware(state: &State, number: usize) -> String {
    let thread = state.threads[number];
    match thread.way(number as u8).action() {
        way::Action::Look if !thread.has(Flag::Glanced) => "loads the meeting's word".to_owned(),
        way::Action::Look => "reads TFMR".to_owned(),
        way::Action::Join { .. } => "joins".to_owned(),
        way::Action::Load => "looks what it has to do".to_owned(),
        way::Action::Work(Phase::Reload) if thread.has(Flag::Owns) => "has loaded TB".to_owned(),
        way::Action::Work(at) => format!("does its work: {}", phase(at)),
        way::Action::Apply(event) => match event {
            hmi_meeting::Event::Done { findings, .. } => format!("reports {findings:?}"),
            hmi_meeting::Event::Abort { reason, .. } => format!("gives the meeting up: {reason:?}"),
            hmi_meeting::Event::Retry { .. } => "wants it done again".to_owned(),
            hmi_meeting::Event::Leave { .. } => "leaves the meeting".to_owned(),
            other => format!("{other:?}"),
        },
        way::Action::JudgeRefusal(_) => "judges what a refused retry means".to_owned(),
        way::Action::TakeHome { leads: true } => "posts the event".to_owned(),
        way::Action::TakeHome { .. } => "takes the findings home".to_owned(),
        way::Action::ReportForgotten => "reports that it was forgotten".to_owned(),
        way::Action::AwaitIdle => "sees that the others' meeting is over".to_owned(),
        way::Action::HandleAlone => "handles its own errors".to_owned(),
        way::Action::LookAgain => "reads TFMR a last time".to_owned(),
        way::Action::Complain => "reports that the error is still there".to_owned(),
        way::Action::Wait(_) => "waits".to_owned(),
        way::Action::Finish => "looks at TB and HMER a last time".to_owned(),
    }
}

/// The shortest traces of the rules that a checker found broken.
#[must_use]
pub fn discoveries(
    checker: &impl stateright::Checker<Protocol>,
) -> Vec<(&'static str, Vec<String>)> {
    let model = checker.model();
    let found = checker.discoveries();
    let rules = model.rules().into_iter().map(|rule| rule.name);
    rules
        .filter_map(|rule| {
            let path = found.get(rule)?.clone();
            let first = path.clone().into_states().first().copied()?;
            let moves = path.into_actions();
            Some((rule, trace(model, first, &moves)))
        })
        .collect()
}

/// Properties that must be reached and were not.
#[must_use]
pub fn unreached(checker: &impl stateright::Checker<Protocol>) -> Vec<&'static str> {
    let found = checker.discoveries();
    let missing = checker.model().reached().into_iter();
    missing
        .map(|rule| rule.name)
        .filter(|name| !found.contains_key(name))
        .collect()
}
