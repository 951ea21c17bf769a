//! The cases again: on each thread, then on all at once. An answer is compared with what the boot
//! thread got while it was alone.

use super::calls::Reach;
use super::case::Case;
use super::pointer::Surroundings;
use crate::client::Client;
use crate::line::{Line, print};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

/// Room for so many cases.
pub(super) const MOST_CASES: usize = 512;
/// Times that each thread makes each call while all do.
const ROUNDS: u32 = 10;

/// What a thread is told to do.
pub(super) mod job {
    /// The cases, once.
    pub(in super::super) const EACH: u64 = 1;
    /// The cases, many times, while others do the same.
    pub(in super::super) const ALL: u64 = 2;
    /// Go back to the firmware.
    pub(in super::super) const RETURN: u64 = 3;
}

/// A sum of what the boot thread was told while it was alone; 0 for a case that was left out.
static ALONE: [AtomicU64; MOST_CASES] = [const { AtomicU64::new(0) }; MOST_CASES];
/// What a thread was told that differs: a sum of it, or 0.
static OTHERWISE: [AtomicU64; MOST_CASES] = [const { AtomicU64::new(0) }; MOST_CASES];
static FIRMWARE: AtomicU64 = AtomicU64::new(0);
static MEMORY_END: AtomicU64 = AtomicU64::new(0);

/// Keeps an answer to compare others with.
pub(super) fn remember(number: usize, text: &str) {
    ALONE[number].store(sum(text), Ordering::Relaxed);
}

/// Lets other threads know what they need.
pub(super) fn share(around: Surroundings) {
    FIRMWARE.store(around.firmware, Ordering::Relaxed);
    MEMORY_END.store(around.memory_end, Ordering::Relaxed);
}

/// What a started thread does with a job.
pub fn work<C: Client>(client: &C, job: u64) {
    match job {
        job::EACH => {
            // A console that fails cannot tell of it; then the closing line is missing.
            let _ = each(client);
        }
        job::ALL => all(client),
        job::RETURN => {
            crate::client::call(client, opal_abi::Token::ReturnCpu, [0; 3]);
        }
        _ => {}
    }
}

fn cases(reach: Reach) -> impl Iterator<Item = (usize, Case, u64)> {
    Case::all()
        .enumerate()
        .filter(move |(_, case)| case.call.reach >= reach)
        .filter(|(_, case)| !case.is_long())
        .filter(move |(_, case)| reach != Reach::All || !case.shares_memory())
        .map(|(number, case)| (number, case, ALONE[number].load(Ordering::Relaxed)))
        .filter(|(_, _, alone)| *alone != 0)
}

fn told<C: Client>(client: &C, case: &Case) -> Line {
    let around = Surroundings {
        firmware: FIRMWARE.load(Ordering::Relaxed),
        memory_end: MEMORY_END.load(Ordering::Relaxed),
    };
    let mut line = Line::new();
    // A line takes whatever is written to it.
    let _ = case.tell(client, around, &mut line);
    line
}

/// All cases that any thread may make, on this one, with a line for each other answer.
fn each<C: Client>(client: &C) -> fmt::Result {
    let mut otherwise = 0;
    for (_, case, alone) in cases(Reach::Each) {
        let line = told(client, &case);
        if sum(line.as_str()) != alone {
            otherwise += 1;
            let (thread, text) = (client.thread(), line.as_str());
            print(client, format_args!("thread {thread}: {case} -> {text}"))?;
        }
    }
    let thread = client.thread();
    print(
        client,
        format_args!("thread {thread}, answers other than on the boot thread -> {otherwise}"),
    )
}

/// The cases that may be made at once, many times.
pub(super) fn all<C: Client>(client: &C) {
    for _ in 0..ROUNDS {
        for (number, case, alone) in cases(Reach::All) {
            let sum = sum(told(client, &case).as_str());
            if sum != alone {
                OTHERWISE[number].store(sum, Ordering::Relaxed);
            }
        }
    }
}

/// Tells what came of it.
pub(super) fn tell_all<C: Client>(client: &C) -> fmt::Result {
    let mut otherwise = 0;
    for (number, case, _) in cases(Reach::All) {
        if OTHERWISE[number].load(Ordering::Relaxed) != 0 {
            otherwise += 1;
            print(
                client,
                format_args!("all threads at once: {case} -> otherwise"),
            )?;
        }
    }
    print(
        client,
        format_args!("all threads at once, answers other than alone -> {otherwise}"),
    )
}

/// A sum of a text that is never 0.
fn sum(text: &str) -> u64 {
    // FNV-1a.
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    sum | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_tell_texts_apart() {
        assert_ne!(sum("0"), sum("-1"));
        assert_ne!(sum(""), 0);
        assert_eq!(sum("0 length=0x4"), sum("0 length=0x4"));
    }
}
