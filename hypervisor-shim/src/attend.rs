//! What a thread does for an HMI, from the exit to going on: the actions of [`crate::passage`],
//! carried out.
//!
//! Every wait has a budget of spins, never of TB. A wait that runs out says who is missing and
//! sets the abort bit, which all waiters see.

use crate::control::{Activity, count};
use crate::core_word::{Answer, CoreWord, Event};
use crate::machine::Machine;
use crate::passage::{Action, Observation, Passage, Wait};
use crate::shim::{Shim, Thread};
use crate::timebase_offset;
use core::sync::atomic::Ordering;
use flight_recorder::Step;
use opal_abi::{Token, hmi_flags};
use power_registers::Hmer;

/// Patience of a wait, in microseconds of spinning: a recovery by the firmware lasts a second at most,
/// and a search for the cause of an alert may come with it.
const PATIENCE_MICROSECONDS: u64 = 3_000_000;
/// While a thread waits, it rings siblings that are in a guest, or calls the firmware, again after so
/// many spins.
const AGAIN_MICROSECONDS: u64 = 1_000;
/// Each time that it has called in vain it waits twice as long, up to this many times: siblings wait
/// for it in the firmware for longer than that.
const CALL_DOUBLINGS: u32 = 7;

/// How often it calls the firmware at once, for an HMI that came. One that comes even so waits for its
/// turn.
const CALLS_AT_ONCE: u32 = 8;

/// Why a thread attends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It took the HMI in host context, at this address, with this MSR.
    InHost(u64, u64),
    /// It took the HMI in its guest, at this address, with this MSR.
    InGuest(u64, u64),
    /// A sibling closed the core.
    Summoned,
}

/// Whether the core is closing and this thread has not attended yet.
#[must_use]
pub fn is_summoned(shim: &Shim<'_>, thread: &Thread) -> bool {
    shim.word(thread).load().summons(attended(shim, thread))
}

/// The epoch of its core that the thread attended last.
pub(crate) fn attended(shim: &Shim<'_>, thread: &Thread) -> Option<u16> {
    let plus_one = shim
        .status(thread)
        .attended_plus_one
        .load(Ordering::Relaxed);
    plus_one.checked_sub(1).map(|epoch| epoch as u16)
}

/// Handles an HMI on this thread and gives the flags of `OPAL_HANDLE_HMI2`. `applied` is the
/// offset that is in TB for this thread's guest; it is 0 on return.
///
/// Interrupts must be closed.
pub fn attend(
    shim: &Shim<'_>,
    machine: &mut impl Machine,
    thread: &Thread,
    cause: Cause,
    applied: &mut i64,
) -> u64 {
    let interrupted = !matches!(cause, Cause::Summoned);
    let passage = Passage::attend(attended(shim, thread), interrupted);
    carry_out(shim, machine, thread, cause, applied, passage)
}

/// The same from where `passage` says that an HMI is to be handled.
pub(crate) fn carry_out(
    shim: &Shim<'_>,
    machine: &mut impl Machine,
    thread: &Thread,
    cause: Cause,
    applied: &mut i64,
    mut passage: Passage,
) -> u64 {
    let status = shim.status(thread);
    status
        .activity
        .store(Activity::Hmi as u64, Ordering::Relaxed);
    count(&status.hmis);
    let who = shim.who(thread);
    let mut waiting = Waiting::default();
    let mut flags = 0;
    loop {
        let observation = match passage.action(who) {
            Action::Word(event) => {
                let observation = apply(shim, machine, thread, cause, event);
                if matches!(event, Event::Open { .. }) {
                    note_attended(shim, machine, thread, passage, observation);
                }
                observation
            }
            Action::Ring(others) => {
                ring(machine, others);
                Observation::Done
            }
            Action::TakeOffsetOut => {
                take_offset_out(shim, machine, thread, applied);
                Observation::Done
            }
            Action::Await(wait) => waiting.look(shim, machine, thread, wait),
            Action::GiveUp(wait) => waiting.give_up(shim, machine, thread, wait),
            Action::CallFirmware => {
                flags = call_firmware(shim, machine, thread);
                Observation::Done
            }
            Action::Judge => Observation::Judged(shim.configuration.timebase_trusted(machine)),
            Action::Resync => {
                let return_code = machine.call_opal(Token::ResyncTimebase, [0; 8]);
                count(&shim.control.header.resyncs);
                shim.record(machine, thread, Step::Resynced, [return_code as u64, 0]);
                Observation::Done
            }
            // Not on the way through an HMI, or over.
            Action::Finish(_)
            | Action::Load
            | Action::PutOffsetIn
            | Action::Look
            | Action::RunGuest
            | Action::SwitchOut => break,
        };
        passage = passage.step(who, observation);
    }
    fetch_events(shim, machine);
    flags
}

/// Applies an event to the core's word, and records what others should know of it.
fn apply(
    shim: &Shim<'_>,
    machine: &mut impl Machine,
    thread: &Thread,
    cause: Cause,
    event: Event,
) -> Observation {
    let status = shim.status(thread);
    if matches!(event, Event::Open { .. }) {
        status
            .hmer_after
            .store(machine.hmer().bits(), Ordering::Relaxed);
        status
            .tfmr_after
            .store(machine.tfmr().bits(), Ordering::Relaxed);
    }
    let (now, answer) = shim.word(thread).apply(event);
    match event {
        Event::Close { .. } => {
            let (step, arguments) = match cause {
                Cause::InHost(pc, msr) => (Step::HmiInHost, [pc, msr]),
                Cause::InGuest(pc, msr) => (Step::HmiInGuest, [pc, msr]),
                Cause::Summoned => (Step::Summoned, [now.0, 0]),
            };
            shim.record(machine, thread, step, arguments);
        }
        Event::Leave { .. } => {
            let arguments = [shim.word(thread).load().0, 0];
            shim.record(machine, thread, Step::WaitForGuests, arguments);
        }
        Event::Claim if answer == Answer::Won => {
            shim.record(machine, thread, Step::Claimed, [now.0, 0]);
        }
        _ => {}
    }
    Observation::Answered(now, answer)
}

/// The thread has opened: it attended this epoch.
fn note_attended(
    shim: &Shim<'_>,
    machine: &mut impl Machine,
    thread: &Thread,
    passage: Passage,
    observation: Observation,
) {
    let Observation::Answered(now, answer) = observation else {
        return;
    };
    let epoch = u64::from(passage.attended.unwrap_or_default());
    // Only the thread itself reads it to decide something.
    shim.status(thread)
        .attended_plus_one
        .store(epoch + 1, Ordering::Relaxed);
    shim.record(machine, thread, Step::GoOn, [epoch, now.0]);
    if answer == Answer::Opened {
        count(&shim.control.header.epochs);
    }
}

fn call_firmware(shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) -> u64 {
    let status = shim.status(thread);
    let arguments = [Token::HandleHmi2 as u64, 0];
    shim.record(machine, thread, Step::CallFirmware, arguments);
    let (return_code, flags) = machine.handle_hmi2();
    let arguments = [return_code as u64, flags];
    shim.record(machine, thread, Step::FirmwareReturned, arguments);
    status
        .return_code
        .store(return_code as u64, Ordering::Relaxed);
    status.flags.store(flags, Ordering::Relaxed);
    flags
}

fn take_offset_out(
    shim: &Shim<'_>,
    machine: &mut impl Machine,
    thread: &Thread,
    applied: &mut i64,
) {
    if *applied != 0 {
        timebase_offset::shift(machine, applied.wrapping_neg());
        shim.record(machine, thread, Step::LeftGuest, [0, *applied as u64]);
        *applied = 0;
        shim.status(thread).applied.store(0, Ordering::Relaxed);
    }
}

/// A wait: how long it lasts, and the last look at the word.
#[derive(Default)]
struct Waiting {
    spins: u64,
    /// Spins after which siblings were rung, or the firmware was called, the last time.
    last_time: u64,
    /// Calls of the firmware that did not end the wait.
    in_vain: u32,
    /// `None` before the first look of a wait.
    seen: Option<CoreWord>,
    /// HMIs that came while it waited, and were heeded at once.
    calls: u32,
}

impl Waiting {
    /// Looks at the word, after a spin if it is not the first look.
    fn look(
        &mut self,
        shim: &Shim<'_>,
        machine: &mut impl Machine,
        thread: &Thread,
        wait: Wait,
    ) -> Observation {
        let spins_per_microsecond = shim.configuration.spins_per_microsecond;
        let who = shim.who(thread);
        if let Some(seen) = self.seen {
            let budget = PATIENCE_MICROSECONDS.saturating_mul(spins_per_microsecond);
            if self.spins >= budget {
                return Observation::Expired;
            }
            if wait == Wait::Guests && self.is_due(AGAIN_MICROSECONDS, spins_per_microsecond) {
                ring(machine, who.others_in_guest(seen));
            }
            let left = budget - self.spins;
            self.spins += machine.relax_up_to(left).clamp(1, left);
        }
        let now = shim.word(thread).load();
        self.seen = Some(now);
        if wait.missing(who, now) != 0 && wait != Wait::Guests {
            let called = self.called(machine, spins_per_microsecond);
            if let Some(observation) = called {
                return observation;
            }
        }
        if wait.missing(who, now) == 0 {
            if self.spins != 0 {
                let over = match wait {
                    Wait::Guests => Step::GuestsOut,
                    Wait::Siblings | Wait::Claim => Step::SiblingsBack,
                };
                shim.record(machine, thread, over, [now.0, self.spins]);
            }
            self.begin_anew();
        }
        Observation::Word(now)
    }

    /// Whether the thread should see if it is wanted in the firmware. The budget of its wait goes on.
    fn called(
        &mut self,
        machine: &mut impl Machine,
        spins_per_microsecond: u64,
    ) -> Option<Observation> {
        if self.calls < CALLS_AT_ONCE && machine.hmer().intersects(Hmer::TIMER) {
            self.calls += 1;
            return Some(Observation::Interrupted);
        }
        let after = AGAIN_MICROSECONDS << self.in_vain;
        let due = self.is_due(after, spins_per_microsecond);
        if due {
            self.in_vain = CALL_DOUBLINGS.min(self.in_vain + 1);
        }
        due.then_some(Observation::Called)
    }

    /// Whether it is time to ring or to call again.
    fn is_due(&mut self, microseconds: u64, spins_per_microsecond: u64) -> bool {
        let due = self.spins >= self.last_time + microseconds * spins_per_microsecond;
        if due {
            self.last_time = self.spins;
        }
        due
    }

    const fn begin_anew(&mut self) {
        self.spins = 0;
        self.last_time = 0;
        self.in_vain = 0;
        self.seen = None;
    }

    /// The budget is used up, or somebody else's was.
    fn give_up(
        &mut self,
        shim: &Shim<'_>,
        machine: &mut impl Machine,
        thread: &Thread,
        wait: Wait,
    ) -> Observation {
        let seen = self.seen.unwrap_or_default();
        let (now, answer) = shim.word(thread).apply(Event::Abort);
        count(&shim.status(thread).expired_waits);
        let absent = wait.missing(shim.who(thread), seen);
        let arguments = [seen.0, u64::from(absent)];
        shim.record(machine, thread, Step::WaitExpired, arguments);
        self.begin_anew();
        Observation::Answered(now, answer)
    }
}

/// Rings these threads of the core.
fn ring(machine: &mut impl Machine, mut others: u8) {
    while others != 0 {
        let number = others.trailing_zeros();
        machine.ring(number);
        others &= others - 1;
    }
}

/// Fetches the messages that wait and counts what they say.
pub fn fetch_events(shim: &Shim<'_>, machine: &mut impl Machine) {
    use opal_abi::message::{PARAMETERS, TYPE_HMI_EVENT};
    let header = &shim.control.header;
    // More cannot wait than the queue holds; the bound also ends a queue that never empties.
    for _ in 0..64 {
        let Some(message) = machine.next_message() else {
            return;
        };
        let word = |at: usize| {
            message.get(at..at + 8).map_or(0, |bytes| {
                bytes
                    .iter()
                    .fold(0, |value: u64, byte| value << 8 | u64::from(*byte))
            })
        };
        if word(0) >> 32 != u64::from(TYPE_HMI_EVENT) {
            continue;
        }
        let head = word(PARAMETERS);
        header.last_event_head.store(head, Ordering::Relaxed);
        header
            .last_event_hmer
            .store(word(PARAMETERS + 8), Ordering::Relaxed);
        header
            .last_event_tfmr
            .store(word(PARAMETERS + 16), Ordering::Relaxed);
        let disposition = head >> 32 & 0xff;
        if disposition != 0 {
            count(&header.events_unrecovered);
        }
        // Last: who sees it may stop the machine, and finds all the rest there.
        count(&header.events);
    }
}

/// Whether the firmware says that TB is dead.
#[must_use]
pub const fn timebase_failed(flags: u64) -> bool {
    flags & hmi_flags::TOD_TB_FAIL != 0
}
