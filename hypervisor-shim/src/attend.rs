//! What a thread does for an HMI, from the exit to going on.
//!
//! 1. Close the core: from now on no guest is entered. Ring the siblings that are in one.
//! 2. Take the own offset out of TB and leave the own bit.
//! 3. Wait until nobody of this core is in a guest.
//! 4. Call the firmware. It meets the other threads and repairs.
//! 5. Wait until all who closed are back. One claims (bit 63) and resyncs if TB is still not valid.
//! 6. Open. The last one begins the next epoch; only then is a guest entered again.
//!
//! Every wait has a budget of spins, never of TB. A wait that runs out says who is missing and
//! sets the abort bit, which all waiters see.

use crate::control::{Activity, count};
use crate::core_word::{Claim, CoreWord};
use crate::machine::Machine;
use crate::shim::{Shim, Thread};
use crate::timebase_offset;
use core::sync::atomic::Ordering;
use flight_recorder::Step;
use opal_abi::{Token, hmi_flags};
use power_registers::Hmer;

/// Patience of a wait, in microseconds of spinning: a recovery by the firmware lasts a second at most,
/// and a search for the cause of an alert may come with it.
const PATIENCE_MICROSECONDS: u64 = 3_000_000;
/// Siblings in a guest are rung again after this many spins.
const RING_AGAIN_MICROSECONDS: u64 = 1_000;
/// A thread that waits for its siblings looks for a new error after this many spins.
const LOOK_MICROSECONDS: u64 = 10;
/// Visits to the firmware after which a thread goes on, error or not: the interrupt comes again.
const MOST_VISITS: u32 = 8;

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
    let word = shim.word(thread).load();
    word.closing() != 0 && !has_attended(shim, thread, word)
}

fn has_attended(shim: &Shim<'_>, thread: &Thread, word: CoreWord) -> bool {
    let attended = shim
        .status(thread)
        .attended_plus_one
        .load(Ordering::Relaxed);
    attended == u64::from(word.epoch()) + 1
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
    let word = shim.word(thread);
    let status = shim.status(thread);
    status
        .activity
        .store(Activity::Hmi as u64, Ordering::Relaxed);
    count(&status.hmis);
    let before = word.load();
    let again = before.closing() != 0 && has_attended(shim, thread, before);
    let now = word.close(thread.number, again);
    match cause {
        Cause::InHost(pc, msr) => shim.record(machine, thread, Step::HmiInHost, [pc, msr]),
        Cause::InGuest(pc, msr) => shim.record(machine, thread, Step::HmiInGuest, [pc, msr]),
        Cause::Summoned => shim.record(machine, thread, Step::Summoned, [now.0, 0]),
    }
    ring_guests(machine, thread, now);

    // The guest's offset goes out of TB *before* the firmware may put host time back: taken out
    // afterwards it would make host time wrong by the offset.
    if !cfg!(feature = "mutate-skip-offset") {
        take_offset_out(shim, machine, thread, applied);
    }
    word.leave(thread.number);

    shim.record(machine, thread, Step::WaitForGuests, [word.load().0, 0]);
    if !cfg!(feature = "mutate-skip-guest-wait") {
        let interval = RING_AGAIN_MICROSECONDS * shim.configuration.spins_per_microsecond;
        let mut ring_at = interval;
        wait(
            shim,
            machine,
            thread,
            Step::GuestsOut,
            |machine, word, spins| {
                if spins >= ring_at {
                    ring_at = spins + interval;
                    ring_guests(machine, thread, word);
                }
                word.in_guest()
            },
        );
    }

    let mut flags = 0;
    for visit in 1.. {
        flags |= visit_firmware(shim, machine, thread);
        if cfg!(feature = "mutate-skip-offset") {
            take_offset_out(shim, machine, thread, applied);
        }
        word.back_from_firmware(thread.number);
        if resync(shim, machine, thread) == Round::Over || visit == MOST_VISITS {
            break;
        }
        word.close(thread.number, true);
    }

    status
        .hmer_after
        .store(machine.hmer().bits(), Ordering::Relaxed);
    status
        .tfmr_after
        .store(machine.tfmr().bits(), Ordering::Relaxed);
    let epoch = word.load().epoch();
    status
        .attended_plus_one
        .store(u64::from(epoch) + 1, Ordering::Relaxed);
    let (now, last) = word.open(thread.number);
    shim.record(machine, thread, Step::GoOn, [u64::from(epoch), now.0]);
    if last {
        count(&shim.control.header.epochs);
    }
    fetch_events(shim, machine);
    flags
}

/// Calls the firmware, and gives its flags.
fn visit_firmware(shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) -> u64 {
    let status = shim.status(thread);
    let token = Token::HandleHmi2 as u64;
    shim.record(machine, thread, Step::CallFirmware, [token, 0]);
    let (return_code, flags) = machine.handle_hmi2();
    let answer = [return_code as u64, flags];
    shim.record(machine, thread, Step::FirmwareReturned, answer);
    status
        .return_code
        .store(return_code as u64, Ordering::Relaxed);
    status.flags.store(flags, Ordering::Relaxed);
    flags
}

/// How a wait for the siblings ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// All are back, and TB was resynced if need be.
    Over,
    /// Another error struck. A sibling that has gone to the firmware for it waits there for this
    /// thread.
    Again,
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

/// One thread wins the claim and resyncs if the firmware could not; the others wait for it.
fn resync(shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) -> Round {
    let word = shim.word(thread);
    let back = |word: CoreWord| word.closing() & !word.returned();
    if wait_for_siblings(shim, machine, thread, back) == Round::Again {
        return Round::Again;
    }
    let (now, claim) = word.claim();
    match claim {
        Claim::Resolved => {}
        Claim::Held => {
            let resolved = |word: CoreWord| {
                if word.resolved() || word.closing() & (1 << thread.number) == 0 {
                    0
                } else {
                    0xff
                }
            };
            return wait_for_siblings(shim, machine, thread, resolved);
        }
        Claim::Won => {
            shim.record(machine, thread, Step::Claimed, [now.0, 0]);
            // The word says that nobody is in a guest and nobody can enter: TB may be rewritten.
            if now.may_rewrite_timebase() && !shim.configuration.timebase_trusted(machine) {
                let return_code = machine.call_opal(Token::ResyncTimebase, [0; 8]);
                count(&shim.control.header.resyncs);
                shim.record(machine, thread, Step::Resynced, [return_code as u64, 0]);
            }
            word.resolve();
        }
    }
    Round::Over
}

/// Waits for siblings, but not beside an error for which they wait themselves: interrupts are closed
/// here, so that it must be looked for.
fn wait_for_siblings<M: Machine>(
    shim: &Shim<'_>,
    machine: &mut M,
    thread: &Thread,
    missing: impl Fn(CoreWord) -> u8,
) -> Round {
    let interval = LOOK_MICROSECONDS * shim.configuration.spins_per_microsecond;
    let (mut look_at, mut round) = (interval, Round::Over);
    let step = Step::SiblingsBack;
    wait(shim, machine, thread, step, |machine, word, spins| {
        if spins >= look_at {
            look_at = spins + interval;
            if machine.hmer().intersects(Hmer::TIMER) {
                round = Round::Again;
            }
        }
        if round == Round::Again {
            0
        } else {
            missing(word)
        }
    });
    round
}

/// Waits until `missing` gives 0, and records that as `over`. On the end of the budget, or an abort, it gives up.
fn wait<M: Machine>(
    shim: &Shim<'_>,
    machine: &mut M,
    thread: &Thread,
    over: Step,
    mut missing: impl FnMut(&mut M, CoreWord, u64) -> u8,
) {
    let word = shim.word(thread);
    let budget = PATIENCE_MICROSECONDS.saturating_mul(shim.configuration.spins_per_microsecond);
    let mut spins = 0;
    loop {
        let now = word.load();
        let absent = missing(machine, now, spins);
        if absent == 0 {
            if spins != 0 {
                shim.record(machine, thread, over, [now.0, spins]);
            }
            return;
        }
        if now.aborted() || spins >= budget {
            word.abort();
            count(&shim.status(thread).expired_waits);
            shim.record(
                machine,
                thread,
                Step::WaitExpired,
                [now.0, u64::from(absent)],
            );
            return;
        }
        let left = budget - spins;
        spins += machine.relax_up_to(left).clamp(1, left);
    }
}

/// Rings every sibling that is in a guest.
fn ring_guests(machine: &mut impl Machine, thread: &Thread, word: CoreWord) {
    let mut others = word.in_guest() & !(1 << thread.number) & thread.siblings;
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
        count(&header.events);
        let disposition = head >> 32 & 0xff;
        if disposition != 0 {
            count(&header.events_unrecovered);
        }
    }
}

/// Whether the firmware says that TB is dead.
#[must_use]
pub const fn timebase_failed(flags: u64) -> bool {
    flags & hmi_flags::TOD_TB_FAIL != 0
}
