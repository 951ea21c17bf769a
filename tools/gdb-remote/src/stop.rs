//! Why and where the machine stopped.

use std::fmt;
use std::str::FromStr;

/// A thread as the stub names it, with the multiprocess extension: `p1.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId {
    /// The process; QEMU has one for each cluster, on PowerNV one in all.
    pub process: u32,
    /// The thread in it, counted from 1.
    pub thread: u32,
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:x}.{:x}", self.process, self.thread)
    }
}

/// A text that names no thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadThreadId(pub String);

impl fmt::Display for BadThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` names no thread", self.0)
    }
}

impl std::error::Error for BadThreadId {}

impl FromStr for ThreadId {
    type Err = BadThreadId;

    fn from_str(text: &str) -> Result<Self, BadThreadId> {
        let number = |digits: &str| u32::from_str_radix(digits, 16).ok();
        match text.strip_prefix('p') {
            Some(both) => both.split_once('.').and_then(|(process, thread)| {
                Some(Self {
                    process: number(process)?,
                    thread: number(thread)?,
                })
            }),
            None => number(text).map(|thread| Self { process: 1, thread }),
        }
        .ok_or_else(|| BadThreadId(text.to_owned()))
    }
}

/// A stop reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReply {
    /// The machine stopped.
    Stopped {
        /// 5 at a break- or watchpoint and after a step, 2 after the interrupt byte.
        signal: u8,
        /// The thread it is about, if the stub says so.
        thread: Option<ThreadId>,
        /// The address of the watchpoint; QEMU leaves it out for device memory.
        watch: Option<u64>,
    },
    /// The process ended.
    Exited {
        /// Its exit code, or the signal that ended it.
        code: u8,
    },
}

impl StopReply {
    /// Parses a packet; `None` if it is no stop reply.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(packet).ok()?;
        let kind = text.chars().next()?;
        let number = || u8::from_str_radix(text.get(1..3)?, 16).ok();
        match kind {
            'S' if text.len() == 3 => Some(Self::Stopped {
                signal: number()?,
                thread: None,
                watch: None,
            }),
            'T' => {
                let (mut thread, mut watch) = (None, None);
                for (key, value) in text
                    .get(3..)?
                    .split(';')
                    .filter_map(|pair| pair.split_once(':'))
                {
                    match key {
                        "thread" => thread = value.parse().ok(),
                        "watch" | "rwatch" | "awatch" => {
                            watch = u64::from_str_radix(value, 16).ok();
                        }
                        _ => {}
                    }
                }
                Some(Self::Stopped {
                    signal: number()?,
                    thread,
                    watch,
                })
            }
            'W' | 'X' => Some(Self::Exited { code: number()? }),
            _ => None,
        }
    }

    /// The thread that stopped.
    #[must_use]
    pub const fn thread(&self) -> Option<ThreadId> {
        match self {
            Self::Stopped { thread, .. } => *thread,
            Self::Exited { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_replies() {
        let thread = Some(ThreadId {
            process: 1,
            thread: 0x1a,
        });
        assert_eq!(
            StopReply::parse(b"T05thread:p01.1a;"),
            Some(StopReply::Stopped {
                signal: 5,
                thread,
                watch: None
            })
        );
        assert_eq!(
            StopReply::parse(b"T05thread:p01.1a;watch:603fc00200b8;"),
            Some(StopReply::Stopped {
                signal: 5,
                thread,
                watch: Some(0x603f_c002_00b8)
            })
        );
        assert_eq!(
            StopReply::parse(b"S05"),
            Some(StopReply::Stopped {
                signal: 5,
                thread: None,
                watch: None
            })
        );
        assert_eq!(
            StopReply::parse(b"W00"),
            Some(StopReply::Exited { code: 0 })
        );
        assert_eq!(
            StopReply::parse(b"X06;process:1"),
            Some(StopReply::Exited { code: 6 })
        );
        for other in [&b""[..], b"OK", b"E01", b"T", b"Tzz", b"\xff", b"S5"] {
            assert_eq!(StopReply::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn thread_names() {
        let thread = ThreadId {
            process: 1,
            thread: 0x10,
        };
        assert_eq!("p01.10".parse(), Ok(thread));
        assert_eq!("10".parse(), Ok(thread));
        assert_eq!(thread.to_string(), "p1.10");
        for bad in ["", "p1", "p1.", "px.1", "-1"] {
            assert!(bad.parse::<ThreadId>().is_err(), "{bad}");
        }
    }
}
