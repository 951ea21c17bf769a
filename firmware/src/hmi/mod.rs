//! The handler of Hypervisor Maintenance Interrupts: `OPAL_HANDLE_HMI` and `OPAL_HANDLE_HMI2`.
//!
//! It runs on each thread that took the interrupt, on all of them at once. HMER is read once and
//! cleared by AND; the timer's bits are cleared before the repair begins, so that a new error in
//! the middle raises a new interrupt. What is broken is read from TFMR, whatever HMER says.
//!
//! No heap, no console, no wait without a budget.

pub mod coordinator;

mod alone;
mod caller;
pub(crate) mod causes;
pub(crate) mod core_state;
pub(crate) mod counters;
mod diagnosis;
pub mod events;
pub(crate) mod first_seer;
mod local;
mod meeting;
mod phases;

use crate::decisions::Table;
use crate::hardware::Hardware;
use crate::system::System;
use crate::timebase::settled_tfmr;
use alone::{catch_up, handle_alone};
pub(crate) use caller::Caller;
use coordinator::Findings;
use core_state::CoreState;
use diagnosis::diagnose;
use flight_recorder::Step;
use hmi_meeting::way::{Action, Came, Observation, Place, Way};
pub(crate) use meeting::ARRIVAL_MICROSECONDS;
use meeting::Waiting;
use opal_abi::hmi_event::Disposition;
use opal_abi::hmi_flags;
use power_registers::{Hmer, TbState, Tfmr};

/// How often an idle thread handles what came meanwhile.
const ROUNDS: u32 = 4;
/// Calls of a thread in a row that end with a dead TB, until it is left at that.
const HOPELESS: u8 = 4;

/// What the handler tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Outcome {
    /// [`opal_abi::hmi_flags`].
    pub flags: u64,
    /// Whether this call queued an event.
    pub event_queued: bool,
}

/// Handles the HMI that the calling thread took, or the summons of a sibling that did.
///
/// To be called in host context: no guest's offset in TB. Always comes to an end; what could not be
/// repaired is said by the flag [`hmi_flags::TOD_TB_FAIL`] and by an event.
pub fn handle<H: Hardware>(hw: &mut H, system: &System<'_>) -> Outcome {
    let hmer = hw.hmer();
    let pir = hw.pir();
    let index = system.platform.thread_index(pir);
    let (Some((core, place)), Some(index)) = (system.find(pir), index) else {
        return stranger(hw, hmer);
    };
    core.answer_summons(place.thread);
    system.record(hw, Step::Arrive, [hmer.bits(), 0]);
    let timer = hmer & Hmer::TIMER;
    if !timer.is_empty() {
        hw.and_hmer(!timer.bits());
    }
    let tfmr = hw.tfmr();
    let mut caller = Caller {
        place,
        index,
        hmer,
        tfmr,
        flags: 0,
        spins: 0,
        backwards: false,
    };
    system.note_timers(hw);
    let mut was_broken = handle_timer(hw, system, &mut caller, core);
    if core.is_idle(place.thread) {
        was_broken |= handle_again(hw, system, &mut caller, core);
    }
    causes::report(hw, system, &mut caller);
    was_broken |= !timer.is_empty();
    let mut dead = is_dead(hw, system, &caller, was_broken);
    for _ in 1..ROUNDS {
        if !dead || !is_struck_again(hw, &mut caller, core) {
            break;
        }
        was_broken |= handle_timer(hw, system, &mut caller, core);
        dead = is_dead(hw, system, &caller, was_broken);
    }
    core.note_lost(dead);
    if dead {
        caller.flags |= hmi_flags::TOD_TB_FAIL;
    }
    system.note_timebase(hw);
    let failed = caller.flags & hmi_flags::TOD_TB_FAIL != 0;
    if core.count_failure(place.thread, failed) >= HOPELESS {
        end_storm(hw);
    }
    system.record(hw, Step::Return, [caller.flags, 0]);
    let event_queued = caller.flags & hmi_flags::NEW_EVENT != 0;
    Outcome {
        flags: caller.flags,
        event_queued,
    }
}

/// Where each try to repair TB fails and so raises the next HMI, there is no end to it: the cause that
/// the last try raised is cleared. The OS has been told that TB is dead, as often as it was tried.
fn end_storm<H: Hardware>(hw: &mut H) {
    let raised = hw.hmer() & Hmer::TIMER;
    if !raised.is_empty() {
        hw.and_hmer(!raised.bits());
    }
}

/// A thread that the platform does not know: nothing can be repaired from here, but the causes are
/// cleared, lest they raise the interrupt for ever.
fn stranger<H: Hardware>(hw: &mut H, hmer: Hmer) -> Outcome {
    hw.and_hmer(!hmer.difference(Hmer::XSCOM_MAILBOX).bits());
    let flags = if hw.tfmr().tb_usable() {
        0
    } else {
        hmi_flags::TOD_TB_FAIL
    };
    Outcome {
        flags,
        event_queued: false,
    }
}

/// The timer facility: carries out the actions of [`hmi_meeting::way`]. Gives whether anything was
/// found broken.
fn handle_timer<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    core: &CoreState,
) -> bool {
    let chip = system.platform.cores[caller.place.core].chip;
    let tb_should_run = system.has_chip_tod(chip) || caller.hmer.intersects(Hmer::TIMER);
    let thread = caller.place.thread as u8;
    let mut way = Way::new(thread, came(caller, core));
    let mut waiting = Waiting::new(system);
    let mut was_broken = false;
    let mut looked = (Tfmr::empty(), diagnose(Tfmr::empty(), false));
    let mut first = true;
    loop {
        let (tfmr, found) = looked;
        let observation = match way.action() {
            Action::Look => {
                let seen = core.coordinator.load();
                let tfmr = diagnosis::settled(hw, system, caller);
                if !tfmr.contains(Tfmr::TFMR_CORRUPT) {
                    core.note_lost(tb_should_run && !tfmr.tb_usable());
                }
                let found = diagnose(tfmr, tb_should_run);
                let rows = diagnosis::rows(tfmr, found);
                system.decisions.hit_all(Table::Tfmr, rows);
                looked = (tfmr, found);
                was_broken |= found.core || seen.expects(thread);
                let core = found.core;
                Observation::Found { seen, core }
            }
            Action::Join { seen } => meeting::join(hw, system, caller, seen, tfmr),
            Action::Load => waiting.load(core),
            Action::Wait(phase) => waiting.in_phase(hw, system, caller, phase),
            Action::Apply(event) => meeting::apply(hw, system, core, event),
            Action::Work(phase) => waiting.work(hw, system, caller, phase),
            Action::JudgeRefusal(phase) => {
                Observation::Reported(phases::after_refused_retry(hw, phase))
            }
            Action::TakeHome { leads } => waiting.take_home(hw, system, caller, leads),
            Action::ReportForgotten => meeting::report_forgotten(hw, system, caller),
            Action::AwaitIdle => {
                let observation = waiting.until_idle(hw, system, core, first);
                first = false;
                observation
            }
            Action::HandleAlone => {
                catch_up(hw, system, caller, core);
                was_broken |= found.tod || !found.local.is_empty();
                Observation::Complete(handle_alone(hw, system, caller, tfmr, found.tod))
            }
            Action::LookAgain => {
                let seen = core.coordinator.load();
                let core = diagnose(diagnosis::settled(hw, system, caller), tb_should_run).core;
                Observation::Found { seen, core }
            }
            Action::Complain => {
                let (hmer, tfmr) = (caller.hmer, caller.tfmr);
                let scope = caller.core_scope();
                let disposition = Disposition::NotRecovered;
                caller.post_timer_event(hw, system, scope, hmer, tfmr, disposition);
                Observation::Done
            }
            Action::Finish => return was_broken,
        };
        way = way.step(observation);
        if way.place != Place::AwaitingIdle {
            first = true;
        }
    }
}

/// How the thread came to the handler. An idle one leaves it to the threads of the OS to call a meeting:
/// the same interrupt reaches them, and only they can see to it that no guest is in.
fn came(caller: &Caller, core: &CoreState) -> Came {
    let interrupted = caller.hmer.intersects(Hmer::TIMER);
    if core.is_idle(caller.place.thread) && (core.has_running() || !interrupted) {
        Came::FromIdle
    } else if interrupted {
        Came::ByInterrupt
    } else {
        Came::BySibling
    }
}

/// Whether a new error struck after a repair that worked: its interrupt waits, and is taken back. An OS
/// that is told of a dead TB gives it up for good (Linux makes no delay any more), though the next
/// interrupt would see to it at once.
fn is_struck_again<H: Hardware>(hw: &mut H, caller: &mut Caller, core: &CoreState) -> bool {
    let again = hw.hmer() & Hmer::TIMER;
    if again.is_empty() || core.coordinator.load().findings.contains(Findings::FAILED) {
        return false;
    }
    hw.and_hmer(!again.bits());
    caller.hmer |= again;
    true
}

/// An idle thread of the firmware takes no interrupt, so that nobody would look at an error that came
/// while it handled another.
fn handle_again<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    core: &CoreState,
) -> bool {
    let mut was_broken = false;
    for _ in 0..ROUNDS {
        let again = hw.hmer() & Hmer::TIMER;
        if again.is_empty() {
            break;
        }
        hw.and_hmer(!again.bits());
        caller.hmer |= again;
        was_broken |= handle_timer(hw, system, caller, core);
    }
    was_broken
}

/// Whether TB cannot be used, from this thread's own view.
fn is_dead<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &Caller,
    timer_was_handled: bool,
) -> bool {
    let chip = system.platform.cores[caller.place.core].chip;
    let tfmr = settled_tfmr(hw, system, caller.place);
    // Without a ChipTOD, TB runs by itself and TFMR never says so.
    let means_something = system.has_chip_tod(chip) || timer_was_handled;
    let usable = tfmr.tb_usable() && tfmr.state() == TbState::Running;
    !cfg!(feature = "mutate-skip-tb-repair") && means_something && (!usable || caller.backwards)
}

#[cfg(test)]
mod tests;
