//! The path of a maintenance interrupt: all threads call at once, as an OS whose threads took it.

use super::Measured;
use crate::client::{Answer, call};
use crate::line::{Line, print};
use crate::tree::{MAX_THREADS, Machine};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};
use opal_abi::{SUCCESS, Token, message};

/// What a thread is given to do.
pub(super) const JOB: u64 = 1 << 62;
/// Waits for a thread until it is given up.
const PATIENCE: u64 = 100_000_000;
/// Words of the scratch memory: flags of a call, and a message.
const FLAGS: usize = 0;
const MESSAGE: usize = 2;

/// What [`told`] gives.
static CALLS: [[AtomicU64; 4]; MAX_THREADS] =
    [const { [const { AtomicU64::new(0) }; 4] }; MAX_THREADS];

/// As many rounds as the command line says (`hmi=N`). A debugger breaks the timebase in each.
pub(super) fn run<C: Measured>(client: &C, machine: &Machine<'_>) -> fmt::Result {
    let rounds = machine
        .command_line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("hmi=")?.parse::<u32>().ok())
        .unwrap_or(0);
    if rounds == 0 {
        return Ok(());
    }
    let Some(threads) = start(client, machine) else {
        return print(
            client,
            format_args!("bench hmi failed: not all threads start"),
        );
    };
    for _ in 0..rounds {
        client.strike();
        (1..threads).for_each(|thread| client.give(thread, JOB));
        work(client, JOB);
        if !all_wait(client, threads) {
            return print(
                client,
                format_args!("bench hmi failed: not all threads are back"),
            );
        }
        client.mended();
        let mut line = Line::new();
        for thread in 0..threads {
            let [begin, end, code, flags] = told(thread);
            write!(line, " {begin}:{end}:{}:{flags:x}", code as i64)?;
        }
        print(client, format_args!("bench hmi{}", line.as_str()))?;
        fetch_messages(client);
    }
    Ok(())
}

/// When a thread called, when it was back, the code, and the flags.
pub(super) fn told(thread: usize) -> [u64; 4] {
    CALLS[thread]
        .each_ref()
        .map(|word| word.load(Ordering::Acquire))
}

/// What each thread does.
pub(super) fn work<C: Measured>(client: &C, _: u64) {
    let flags = client.scratch() + 8 * FLAGS as u64;
    client.store(FLAGS, 0);
    let begin = client.clock();
    let answer = call(client, Token::HandleHmi2, [flags, 0, 0]);
    let end = client.clock();
    let code = match answer {
        Answer::Returned(code) => code as u64,
        Answer::Exception(vector) => vector,
    };
    let told = [begin, end, code, client.load(FLAGS)];
    for (place, value) in CALLS[client.thread()].iter().zip(told) {
        place.store(value, Ordering::Release);
    }
}

/// Starts all threads but this one; gives how many there are.
fn start<C: Measured>(client: &C, machine: &Machine<'_>) -> Option<usize> {
    let mut threads = 1;
    for pir in machine.pirs() {
        if u64::from(*pir) == client.pir() {
            continue;
        }
        let address = client.expect_thread(threads);
        let answer = call(client, Token::StartCpu, [u64::from(*pir), address, 0]);
        threads += 1;
        if answer != Answer::Returned(SUCCESS) || !all_wait(client, threads) {
            return None;
        }
    }
    Some(threads)
}

/// Waits until all threads but this one have nothing to do.
fn all_wait<C: Measured>(client: &C, threads: usize) -> bool {
    (1..threads).all(|thread| {
        (0..PATIENCE).any(|_| {
            client.relax();
            client.waits(thread)
        })
    })
}

/// So that the queue of events never fills.
fn fetch_messages<C: Measured>(client: &C) {
    let buffer = client.scratch() + 8 * MESSAGE as u64;
    let next = || call(client, Token::GetMessage, [buffer, message::SIZE as u64, 0]);
    while next() == Answer::Returned(SUCCESS) {}
}
