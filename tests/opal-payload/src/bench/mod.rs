//! How long calls take, on a clock that no firmware sets.
//!
//! Each line begins with `bench`. A call is repeated and its line gives repetitions and ticks in
//! sum; `nothing` is the same with a firmware that returns at once, to be taken off. A line `hmi`
//! gives, for each thread, when it called and when it was back.

mod hmi;

use crate::client::{Answer, Client, call};
use crate::line::print;
use crate::tree::Machine;
use core::fmt;
use opal_abi::{OpalError, SUCCESS, Token};

/// A client that can tell how long something took.
pub trait Measured: Client {
    /// The clock.
    fn clock(&self) -> u64;
    /// Calls a firmware that does nothing.
    fn call_nothing(&self, token: u64, arguments: [u64; 8]) -> Answer;
    /// A place where a debugger may stop the machine and break something.
    fn strike(&self);
    /// A place where a debugger may stop it when that is mended.
    fn mended(&self);
}

/// Repetitions of calls that are short.
const MANY: u32 = 1000;
/// Repetitions of calls that are long.
const FEW: u32 = 16;
/// Calls in vain until an answer is believed to stay as it is.
const PATIENCE: u32 = 100_000;
/// Words of the scratch memory: a result, a length, and text from there on.
const RESULT: usize = 0;
const LENGTH: usize = 1;
const TEXT: usize = 2;
/// Bytes of output that are measured at a time.
const OUTPUT_BYTES: usize = 256;

/// Measures everything.
///
/// # Errors
/// When the console fails, or a call does not answer as it must.
pub fn run<C: Measured>(client: &C, machine: &Machine<'_>) -> fmt::Result {
    let result = client.scratch() + 8 * RESULT as u64;
    let nothing = repeat(client, MANY, || {
        client.call_nothing(Token::Test as u64, [0; 8]);
        true
    });
    tell(client, "nothing", MANY, nothing)?;
    for (name, token, argument, times) in [
        ("test", Token::Test, 0, MANY),
        (
            "check_token",
            Token::CheckToken,
            Token::ConsoleFlush as u64,
            MANY,
        ),
        ("poll_events", Token::PollEvents, result, MANY),
        ("resync_timebase", Token::ResyncTimebase, 0, FEW),
    ] {
        let ticks = repeat(
            client,
            times,
            || matches!(call(client, token, [argument, 0, 0]), Answer::Returned(value) if value >= 0),
        );
        tell(client, name, times, ticks)?;
    }
    let [write, flush] = console(client);
    tell(client, "console_write", FEW, write)?;
    tell(client, "console_flush", FEW, flush)?;
    hmi::run(client, machine)?;
    print(client, format_args!("bench done"))
}

/// What a started thread does with a job.
pub fn work<C: Measured>(client: &C, job: u64) {
    hmi::work(client, job);
}

/// Whether a job is one of these.
#[must_use]
pub const fn is_job(job: u64) -> bool {
    job == hmi::JOB
}

/// Ticks of so many repetitions; `None` when one of them failed.
fn repeat<C: Measured>(client: &C, times: u32, mut once: impl FnMut() -> bool) -> Option<u64> {
    let begin = client.clock();
    for _ in 0..times {
        if !once() {
            return None;
        }
    }
    Some(client.clock() - begin)
}

fn tell<C: Measured>(client: &C, name: &str, times: u32, ticks: Option<u64>) -> fmt::Result {
    match ticks {
        Some(ticks) => print(client, format_args!("bench {name} {times} {ticks}")),
        None => print(client, format_args!("bench {name} failed")),
    }
}

/// Ticks of 256 bytes of output, [`FEW`] times: until the firmware has taken them, and from then until
/// it has sent them.
fn console<C: Measured>(client: &C) -> [Option<u64>; 2] {
    let (mut write, mut flush) = (Some(0), Some(0));
    for _ in 0..FEW {
        let line = [b'.'; OUTPUT_BYTES];
        for (index, chunk) in line.as_chunks::<8>().0.iter().enumerate() {
            let mut chunk = *chunk;
            if 8 * (index + 1) == OUTPUT_BYTES {
                chunk[6..].copy_from_slice(b"\r\n");
            }
            client.store(TEXT + index, u64::from_be_bytes(chunk));
        }
        let begin = client.clock();
        let all = write_all(client);
        let written = client.clock();
        let sent = flush_all(client);
        let end = client.clock();
        write = write.filter(|_| all).map(|sum| sum + written - begin);
        flush = flush.filter(|_| sent).map(|sum| sum + end - written);
    }
    [write, flush]
}

fn write_all<C: Measured>(client: &C) -> bool {
    let address = |word: usize| client.scratch() + 8 * word as u64;
    let mut done = 0;
    for _ in 0..PATIENCE {
        client.store(LENGTH, OUTPUT_BYTES as u64 - done);
        let arguments = [0, address(LENGTH), address(TEXT) + done];
        match call(client, Token::ConsoleWrite, arguments) {
            Answer::Returned(SUCCESS) => done += client.load(LENGTH),
            Answer::Returned(code) if is_busy(code) => {}
            _ => return false,
        }
        if done >= OUTPUT_BYTES as u64 {
            return true;
        }
    }
    false
}

fn flush_all<C: Measured>(client: &C) -> bool {
    for _ in 0..PATIENCE {
        match call(client, Token::ConsoleFlush, [0; 3]) {
            Answer::Returned(SUCCESS) => return true,
            Answer::Returned(code) if is_busy(code) => {}
            _ => return false,
        }
    }
    false
}

fn is_busy(code: i64) -> bool {
    [OpalError::Busy, OpalError::BusyEvent, OpalError::Partial]
        .iter()
        .any(|error| error.code() == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::alone::{Alone, Firmware, SCRATCH};
    use core::cell::Cell;

    /// A firmware that takes 100 bytes at once, and a clock that goes on with each call.
    struct Fake {
        clock: Cell<u64>,
        strikes: Cell<u32>,
        code: i64,
    }

    impl Firmware for Fake {
        fn answer(&self, words: &mut [u64], token: u64, arguments: [u64; 8]) -> i64 {
            self.clock.set(self.clock.get() + 10);
            if token == Token::ConsoleWrite as u64 {
                let length = ((arguments[1] - SCRATCH) / 8) as usize;
                words[length] = words[length].min(100);
            }
            if token == Token::GetMessage as u64 {
                OpalError::Resource.code()
            } else {
                self.code
            }
        }
    }

    impl Measured for Alone<Fake> {
        fn clock(&self) -> u64 {
            self.firmware.clock.get()
        }

        fn call_nothing(&self, _: u64, _: [u64; 8]) -> Answer {
            self.firmware.clock.set(self.firmware.clock.get() + 1);
            Answer::Returned(0)
        }

        fn strike(&self) {
            self.firmware.strikes.set(self.firmware.strikes.get() + 1);
        }

        fn mended(&self) {}
    }

    fn fake(code: i64) -> Alone<Fake> {
        Alone::new(Fake {
            clock: Cell::new(0),
            strikes: Cell::new(0),
            code,
        })
    }

    fn tests(client: &Alone<Fake>) -> Option<u64> {
        repeat(
            client,
            3,
            || matches!(call(client, Token::Test, [0; 3]), Answer::Returned(code) if code >= 0),
        )
    }

    #[test]
    fn output_is_measured_until_all_of_it_is_taken() {
        // 256 bytes in three calls, and one to flush, 16 times.
        assert_eq!(console(&fake(SUCCESS)), [Some(480), Some(160)]);
        assert_eq!(tests(&fake(SUCCESS)), Some(30));
    }

    #[test]
    fn a_call_that_fails_is_no_figure() {
        let broken = fake(OpalError::Hardware.code());
        assert_eq!(console(&broken), [None, None]);
        assert_eq!(tests(&broken), None);
    }

    #[test]
    fn an_interrupt_is_measured_on_each_thread() {
        let client = fake(SUCCESS);
        hmi::work(&client, hmi::JOB);
        assert!(is_job(hmi::JOB) && !is_job(1));
        assert_eq!(hmi::told(0), [0, 10, 0, 0]);
    }
}
