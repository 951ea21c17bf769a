//! Calls OPAL wrongly on purpose, on the machine, before the guests run: each misuse must get its
//! return code and change nothing else.

use crate::assembly::call_opal;
use crate::guest::{CLOBBERED, call_buffer_address};
use crate::instructions as cpu;
use crate::layout::{LINK_BASE, OWN};
use crate::thread::{with_opal_depth, without_block};
use core::sync::atomic::Ordering;
use log::error;
use opal_abi::{OpalError, SUCCESS, TEST_ANSWER, Token};

/// One call: name, token, first three arguments, expected result.
type Case = (&'static str, u64, [u64; 3], i64);

fn call(token: u64, arguments: [u64; 3]) -> i64 {
    let [first, second, third] = arguments;
    let (result, clobbered) = call_opal(token, [first, second, third, 0, 0, 0, 0, 0]);
    CLOBBERED.fetch_add(clobbered, Ordering::Relaxed);
    result
}

/// Runs all cases on the calling thread; gives (run, failed).
pub(crate) fn run() -> (u32, u32) {
    const PARAMETER: i64 = OpalError::Parameter.code();
    const INTERNAL: i64 = OpalError::InternalError.code();
    let good = call_buffer_address();
    let (test, check) = (Token::Test as u64, Token::CheckToken as u64);
    let (message, hmi2) = (Token::GetMessage as u64, Token::HandleHmi2 as u64);
    let room = Token::ConsoleWriteBufferSpace as u64;
    let cases: [Case; 24] = [
        ("test", test, [0; 3], TEST_ANSWER),
        ("unknown token", 179, [0; 3], PARAMETER),
        ("token -1", u64::MAX, [0; 3], PARAMETER),
        ("token beyond 32 bits", 1 << 32, [0; 3], PARAMETER),
        ("check of a token that is", check, [hmi2, 0, 0], 1),
        ("check of a token that is not", check, [179, 0, 0], 0),
        ("check of the token 256", check, [256, 0, 0], 0),
        ("check of a huge token", check, [1 << 32 | hmi2, 0, 0], 0),
        ("check of the token -1", check, [u64::MAX, 0, 0], 0),
        ("flags at no address", hmi2, [0; 3], PARAMETER),
        ("flags misaligned", hmi2, [good + 1, 0, 0], PARAMETER),
        ("flags in the firmware", hmi2, [LINK_BASE, 0, 0], PARAMETER),
        (
            "flags at the firmware's end",
            hmi2,
            [OWN.end - 8, 0, 0],
            PARAMETER,
        ),
        ("flags beyond memory", hmi2, [1 << 48, 0, 0], PARAMETER),
        (
            "flags wrapping around",
            hmi2,
            [u64::MAX - 7, 0, 0],
            PARAMETER,
        ),
        (
            "flags in the linear map",
            hmi2,
            [good | 0xc << 60, 0, 0],
            SUCCESS,
        ),
        ("flags", hmi2, [good, 0, 0], SUCCESS),
        (
            "message, none there",
            message,
            [good, 72, 0],
            OpalError::Resource.code(),
        ),
        (
            "message into the firmware",
            message,
            [LINK_BASE, 72, 0],
            PARAMETER,
        ),
        ("message too small", message, [good, 71, 0], PARAMETER),
        (
            "events at no address",
            Token::PollEvents as u64,
            [0; 3],
            SUCCESS,
        ),
        (
            "events in the firmware",
            Token::PollEvents as u64,
            [LINK_BASE, 0, 0],
            PARAMETER,
        ),
        ("room of the console", room, [0, good, 0], SUCCESS),
        (
            "room of a console that is not",
            room,
            [7, good, 0],
            PARAMETER,
        ),
    ];
    let mut failed = 0;
    let mut expect = |name: &str, result: i64, expected: i64| {
        if result != expected {
            error!("OPAL check `{name}`: expected {expected}, got {result}");
            failed += 1;
        }
    };
    for (name, token, arguments, expected) in cases {
        expect(name, call(token, arguments), expected);
    }
    without_block(|| expect("unknown PIR", call(test, [0; 3]), INTERNAL));
    with_opal_depth(1, || {
        expect("re-entry, allowed", call(room, [0, good, 0]), SUCCESS);
        expect("re-entry, not allowed", call(hmi2, [good, 0, 0]), INTERNAL);
    });
    with_opal_depth(2, || {
        expect("third entry", call(room, [0, good, 0]), INTERNAL);
        expect("a call without state", call(check, [hmi2, 0, 0]), 1);
    });
    let before = cpu::set_interrupts(true);
    let open = call(test, [0; 3]);
    cpu::set_interrupts(before);
    expect("interrupts open", open, OpalError::WrongState.code());
    (cases.len() as u32 + 6, failed)
}
