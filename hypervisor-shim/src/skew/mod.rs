//! How far the timebases of all threads of the machine are apart, by a loop of lock and read.
//!
//! All threads, of all cores and chips, take one lock in turn while they are in host context, and
//! whoever has it reads TB and compares it with the reading before. A measurement is asked for by
//! a count in the control block, and its result is put there; what it says is in [`meter`].
//!
//! It must never stand in the way of a repair. No thread waits for the lock: it tries, and looks
//! between two tries whether its core closes. If so, the measurement is given up by all of them.
//! While a thread has the lock its interrupts are closed, for a reading, or for clearing what the
//! measurement before left. The tries are counted, so a measurement to which a thread does not
//! come ends, too; and so does one that is still on when the run is to end.

pub mod meter;

use crate::attend::is_summoned;
use crate::control::{Activity, count};
use crate::machine::Machine;
use crate::oracle::trusted;
use crate::shim::{Shim, Thread};
use core::sync::atomic::Ordering;
use meter::Noted;
pub use meter::{Skew, SkewMeter};
use power_registers::Hmer;

/// Patience of a thread for one measurement, in microseconds of spinning.
const PATIENCE_MICROSECONDS: u64 = 10_000_000;

/// The number of the measurement that is asked for, if one is.
fn wanted(shim: &Shim<'_>) -> Option<u64> {
    let header = &shim.control.header;
    let done = header.skew_done.load(Ordering::Acquire);
    // Ended and not done: somebody works out its result.
    (header.skew_wanted.load(Ordering::Acquire) > done && shim.skew.ended() == done)
        .then(|| done + 1)
}

/// Asks for one more measurement, unless one that was asked for is still to come.
pub fn ask(shim: &Shim<'_>) {
    let header = &shim.control.header;
    let next = header.skew_done.load(Ordering::Acquire) + 1;
    header.skew_wanted.fetch_max(next, Ordering::AcqRel);
}

/// Whether all measurements that were asked for are over.
#[must_use]
pub fn is_idle(shim: &Shim<'_>) -> bool {
    let header = &shim.control.header;
    header.skew_done.load(Ordering::Acquire) >= header.skew_wanted.load(Ordering::Acquire)
}

/// Takes part in the measurement that is asked for, if one is. The thread is in host context.
pub fn take_part(shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) {
    let Some(number) = wanted(shim) else {
        return;
    };
    shim.status(thread)
        .activity
        .store(Activity::Host as u64, Ordering::Relaxed);
    // A thread alone agrees with itself.
    if shim.threads < 2 {
        finish(shim, thread, number);
        return;
    }
    let budget = PATIENCE_MICROSECONDS.saturating_mul(shim.configuration.spins_per_microsecond);
    let mut epoch = None;
    for _ in 0..budget {
        let word = shim.word(thread).load();
        if shim.skew.ended() >= number {
            return;
        }
        if is_summoned(shim, thread) || shim.control.header.stop.load(Ordering::Relaxed) != 0 {
            break;
        }
        if word.closing() != 0 && epoch.is_none() {
            // The siblings are still on their way out of a repair that is over for this thread.
            machine.relax();
            continue;
        }
        // A repair began, or came and went, and what was read before it tells nothing.
        if word.closing() != 0 || *epoch.get_or_insert(word.epoch()) != word.epoch() {
            break;
        }
        if shim.skew.is_open_to(thread.index)
            && read_once(shim, machine, thread, number) == Noted::Enough
        {
            publish(shim, thread, number);
            return;
        }
        machine.relax();
    }
    give_up(shim, number);
}

/// Whether the core closes, whoever of its threads closed it.
fn closes(shim: &Shim<'_>, thread: &Thread) -> bool {
    shim.word(thread).load().closing() != 0
}

/// One try for the lock, and one reading under it if TB is host time.
fn read_once(shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread, number: u64) -> Noted {
    let open = machine.set_interrupts(false);
    let mut noted = Noted::GoOn;
    if shim.skew.try_lock() {
        let word = shim.word(thread);
        let before = word.load();
        let timebase = machine.timebase();
        // An HMI that waits for interrupts to be opened: TB may be broken since.
        if trusted(machine, word, &shim.configuration, before.0)
            && !machine.hmer().intersects(Hmer::TIMER)
        {
            noted = shim.skew.note(number, shim.threads, thread.index, timebase);
        }
        shim.skew.unlock();
    }
    machine.set_interrupts(open);
    noted
}

fn finish(shim: &Shim<'_>, thread: &Thread, number: u64) {
    if shim.skew.end(number) {
        publish(shim, thread, number);
    }
}

/// Puts the result into the control block.
fn publish(shim: &Shim<'_>, thread: &Thread, number: u64) {
    let header = &shim.control.header;
    match shim.skew.result(|| closes(shim, thread)) {
        Some(skew) => {
            for (word, value) in [
                (&header.skew_threads, skew.threads),
                (&header.skew_handovers, skew.handovers),
                (&header.skew_step_back, skew.step_back),
                (&header.skew_disagreement, skew.disagreement),
                (&header.skew_doubt, skew.doubt),
            ] {
                word.store(value, Ordering::Relaxed);
            }
            for (word, value) in [
                (&header.skew_largest_step_back, skew.step_back),
                (&header.skew_largest_disagreement, skew.certain()),
            ] {
                word.fetch_max(value, Ordering::Relaxed);
            }
        }
        None => count(&header.skew_given_up),
    }
    header.skew_done.store(number, Ordering::Release);
}

fn give_up(shim: &Shim<'_>, number: u64) {
    if shim.skew.end(number) {
        let header = &shim.control.header;
        count(&header.skew_given_up);
        header.skew_done.store(number, Ordering::Release);
    }
}
