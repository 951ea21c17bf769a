//! What can go wrong on the line.

use std::fmt;
use std::time::Duration;

use crate::ThreadId;

/// Trouble with the stub.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The socket failed.
    Io(std::io::Error),
    /// The stub closed the connection, as QEMU does when it ends.
    Closed,
    /// No answer in time.
    Timeout {
        /// What was awaited.
        waiting_for: String,
        /// How long.
        after: Duration,
    },
    /// The stub refused a command with an error number.
    Refused {
        /// The command that was sent.
        command: String,
        /// The number behind `E`.
        code: u8,
    },
    /// The stub does not know the command.
    Unsupported {
        /// The command that was sent.
        command: String,
    },
    /// An answer that the protocol does not allow there.
    Malformed {
        /// The command that was sent.
        command: String,
        /// What came back.
        answer: String,
    },
    /// Too many packets arrived damaged, or ours did.
    Damaged,
    /// The target description has no register of this name.
    NoSuchRegister(String),
    /// The register does not fit in 64 bits.
    RegisterTooWide {
        /// Its name.
        name: String,
        /// Its width.
        bits: u32,
    },
    /// The machine did not stop after the interrupt byte.
    WillNotStop,
    /// The process behind the stub ended; the number is its exit code or signal.
    Exited(u8),
    /// A thread that the stub does not list.
    NoSuchThread(ThreadId),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the debugger's socket failed: {error}"),
            Self::Closed => write!(f, "the stub closed the connection"),
            Self::Timeout { waiting_for, after } => {
                write!(f, "no {waiting_for} within {} ms", after.as_millis())
            }
            Self::Refused { command, code } => {
                write!(f, "the stub refused `{command}` with error {code}")
            }
            Self::Unsupported { command } => write!(f, "the stub does not know `{command}`"),
            Self::Malformed { command, answer } => {
                write!(
                    f,
                    "`{command}` was answered by `{answer}`, which makes no sense there"
                )
            }
            Self::Damaged => write!(f, "packets keep arriving damaged"),
            Self::NoSuchRegister(name) => write!(f, "the machine has no register `{name}`"),
            Self::RegisterTooWide { name, bits } => {
                write!(f, "register `{name}` has {bits} bits, more than 64")
            }
            Self::WillNotStop => write!(f, "the machine does not stop"),
            Self::Exited(code) => write!(f, "the machine ended with code {code}"),
            Self::NoSuchThread(thread) => write!(f, "there is no thread {thread}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
