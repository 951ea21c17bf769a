//! The calls and what is tried with them.

use super::calls::{Argument, Change, Place, Reach, Shown, Template, UNTOUCHED, Value, Variant};
use opal_abi::Token;

const fn template(
    token: Token,
    name: &'static str,
    reach: Reach,
    arguments: &'static [Argument],
    variants: &'static [Variant],
) -> Template {
    Template {
        token: token as u64,
        name,
        reach,
        plain: "good",
        arguments,
        variants,
    }
}

/// A call that no good argument is tried with, because it would not come back.
const fn only_bad(plain: &'static str, call: Template) -> Template {
    Template { plain, ..call }
}

const fn unknown(name: &'static str, token: u64) -> Template {
    Template {
        token,
        name,
        reach: Reach::All,
        plain: "no-arguments",
        arguments: &[],
        variants: &[],
    }
}

const fn number(number: u64) -> Argument {
    Argument::Value(Value::Number(number))
}

const fn pointer(name: &'static str, bytes: u64, content: u64, shown: Shown) -> Argument {
    Argument::Pointer(Place {
        name,
        bytes,
        content,
        shown,
    })
}

const fn value(name: &'static str, argument: usize, value: u64) -> Variant {
    Variant {
        name,
        argument,
        change: Change::Value(Value::Number(value)),
    }
}

const fn content(name: &'static str, argument: usize, content: u64) -> Variant {
    Variant {
        name,
        argument,
        change: Change::Content(content),
    }
}

/// 29 February 2024, 12:34:56, as the call has it.
const DATE: u64 = 0x2024_0229;
const TIME: u64 = 0x1234_5600 << 32;

const TERMINALS: [Variant; 3] = [
    value("terminal:unknown", 0, 7),
    value("terminal:beyond-32-bits", 0, 1 << 32),
    value("terminal:-1", 0, u64::MAX),
];

/// Text to and from a terminal: its number, and the length that a pointer leads to.
const TEXTS: [Variant; 7] = [
    TERMINALS[0],
    TERMINALS[1],
    TERMINALS[2],
    content("length:none", 1, 0),
    content("length:beyond-memory", 1, 1 << 40),
    content("length:sign-bit", 1, 1 << 63),
    content("length:-1", 1, u64::MAX),
];

/// All calls that come back and leave the machine as it was.
pub(super) const CALLS: &[Template] = &[
    template(Token::Test, "TEST", Reach::All, &[], &[]),
    template(
        Token::ConsoleWrite,
        "CONSOLE_WRITE",
        Reach::All,
        &[
            number(0),
            pointer("length", 8, 4, Shown::Bytes(8)),
            // Bytes of 0, which a terminal does not show.
            pointer("buffer", 4, 0, Shown::Bytes(8)),
        ],
        &TEXTS,
    ),
    template(
        Token::ConsoleRead,
        "CONSOLE_READ",
        Reach::All,
        &[
            number(0),
            pointer("length", 8, 16, Shown::Bytes(8)),
            pointer("buffer", 16, UNTOUCHED, Shown::Bytes(8)),
        ],
        &TEXTS,
    ),
    template(
        Token::RtcRead,
        "RTC_READ",
        Reach::Each,
        &[
            pointer("date", 4, UNTOUCHED, Shown::Written),
            pointer("time", 8, UNTOUCHED, Shown::Written),
        ],
        &[],
    ),
    template(
        Token::RtcWrite,
        "RTC_WRITE",
        Reach::Alone,
        &[number(DATE), number(TIME)],
        &[
            value("date:none", 0, 0),
            value("date:month-13", 0, 0x2024_1301),
            value("date:day-0", 0, 0x2024_0200),
            value("date:february-30", 0, 0x2024_0230),
            value("date:no-decimal", 0, 0x2024_0a01),
            value("date:before-the-epoch", 0, 0x1969_1231),
            value("date:beyond-32-bits", 0, 1 << 32 | DATE),
            value("time:hour-24", 1, 0x2400_0000 << 32),
            value("time:minute-60", 1, 0x1260_0000 << 32),
            value("time:no-decimal", 1, 0x1a00_0000 << 32),
            value("time:-1", 1, u64::MAX),
        ],
    ),
    only_bad(
        "request:2",
        template(
            Token::CecPowerDown,
            "CEC_POWER_DOWN",
            Reach::Last,
            &[number(2)],
            &[
                value("request:-1", 0, u64::MAX),
                value("request:beyond-32-bits", 0, 1 << 32),
            ],
        ),
    ),
    template(
        Token::PollEvents,
        "POLL_EVENTS",
        Reach::All,
        &[pointer("events", 8, UNTOUCHED, Shown::Bytes(8))],
        &[],
    ),
    template(
        Token::ConsoleWriteBufferSpace,
        "CONSOLE_WRITE_BUFFER_SPACE",
        Reach::All,
        &[number(0), pointer("space", 8, UNTOUCHED, Shown::IsZero)],
        &TERMINALS,
    ),
    template(
        Token::QueryCpuStatus,
        "QUERY_CPU_STATUS",
        Reach::All,
        &[
            Argument::Value(Value::OwnPir),
            pointer("status", 1, UNTOUCHED, Shown::Bytes(1)),
        ],
        &[
            value("thread:unknown", 0, 0x7ff),
            value("thread:beyond-any-PIR", 0, 0x7fff_ffff),
            value("thread:-1", 0, u64::MAX),
            Variant {
                name: "thread:beyond-32-bits",
                argument: 0,
                change: Change::Value(Value::OwnPirAndMore),
            },
        ],
    ),
    template(
        Token::ReinitCpus,
        "REINIT_CPUS",
        Reach::Alone,
        &[number(0)],
        &[
            value("flags:big-endian", 0, 1),
            value("flags:both-endiannesses", 0, 3),
            value("flags:unknown", 0, 1 << 20),
            value("flags:beyond-32-bits", 0, 1 << 40),
            value("flags:-1", 0, u64::MAX),
        ],
    ),
    template(
        Token::ResyncTimebase,
        "RESYNC_TIMEBASE",
        Reach::All,
        &[],
        &[],
    ),
    template(
        Token::CheckToken,
        "CHECK_TOKEN",
        Reach::All,
        &[number(Token::CheckToken as u64)],
        &[
            value("token:unknown", 0, 255),
            value("token:beyond-any", 0, 100_000),
            value("token:-1", 0, u64::MAX),
            value(
                "token:beyond-32-bits",
                0,
                1 << 32 | Token::CheckToken as u64,
            ),
        ],
    ),
    template(
        Token::GetMessage,
        "GET_MSG",
        Reach::All,
        &[pointer("buffer", 72, UNTOUCHED, Shown::Written), number(72)],
        &[
            value("size:0", 1, 0),
            value("size:71", 1, 71),
            value("size:beyond-memory", 1, 1 << 40),
            value("size:-1", 1, u64::MAX),
        ],
    ),
    template(
        Token::SyncHostReboot,
        "SYNC_HOST_REBOOT",
        Reach::Alone,
        &[],
        &[],
    ),
    template(Token::HandleHmi, "HANDLE_HMI", Reach::All, &[], &[]),
    only_bad(
        "type:5",
        template(
            Token::CecReboot2,
            "CEC_REBOOT2",
            Reach::Last,
            &[number(5), number(0)],
            &[
                value("type:-1", 0, u64::MAX),
                value("type:beyond-32-bits", 0, 1 << 32),
                value("type:platform-error", 0, 1),
                value("type:memory-preserving", 0, 3),
            ],
        ),
    ),
    template(
        Token::ConsoleFlush,
        "CONSOLE_FLUSH",
        Reach::All,
        &[number(0)],
        &TERMINALS,
    ),
    template(
        Token::NmmuSetPtcr,
        "NMMU_SET_PTCR",
        Reach::Alone,
        &[number(u64::MAX), number(0)],
        &[value("chip:unknown", 0, 99)],
    ),
    template(
        Token::HandleHmi2,
        "HANDLE_HMI2",
        Reach::All,
        &[pointer("flags", 8, UNTOUCHED, Shown::Bytes(8))],
        &[],
    ),
    unknown("INVALID_CALL", u64::MAX),
    unknown("UNKNOWN_TOKEN", 250),
    unknown("TOKEN_BEYOND_ANY", 100_000),
    unknown("TOKEN_BEYOND_32_BITS", 1 << 32),
];
