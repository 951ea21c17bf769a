//! The command line.

use crate::OFFSET_UNIT_TICKS;
use core::{fmt, num::NonZeroU64};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// TB of the guest minus TB of the host, in ticks.
    pub offset: i64,
    /// Readings of TB from one hypercall of the guest to the next.
    pub rounds: NonZeroU64,
    /// End when this file exists.
    pub until: &'a str,
    /// The guest gets an interrupt controller in the kernel: POWER9's XIVE.
    pub controller: bool,
}

/// The first word of a command line that asks for no guest: only the host's clocks are watched, until
/// the file of the second word exists.
pub const CLOCKS: &str = "clocks";
/// The word for an interrupt controller in the kernel.
const CONTROLLER: &str = "controller";

/// What is wrong with the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentError {
    /// There must be three, or a fourth that is known.
    Count,
    /// One of the first two is no number, or there are no rounds.
    Number,
    /// It is none that KVM can set.
    Offset,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => {
                write!(
                    f,
                    "wanted: the offset in ticks, rounds, a file that ends it, and maybe {CONTROLLER}"
                )
            }
            Self::Number => f.write_str("offset and rounds must be numbers, and rounds not 0"),
            Self::Offset => write!(f, "the offset is no multiple of {OFFSET_UNIT_TICKS}"),
        }
    }
}

impl core::error::Error for ArgumentError {}

impl<'a> Arguments<'a> {
    /// From the words behind the program's name.
    ///
    /// # Errors
    /// [`ArgumentError`].
    pub fn parse(words: &[&'a str]) -> Result<Self, ArgumentError> {
        let ([offset, rounds, until], more) =
            words.split_first_chunk().ok_or(ArgumentError::Count)?;
        let controller = match more {
            [] => false,
            [CONTROLLER] => true,
            _ => return Err(ArgumentError::Count),
        };
        let offset: i64 = offset.parse().map_err(|_| ArgumentError::Number)?;
        if !offset.unsigned_abs().is_multiple_of(OFFSET_UNIT_TICKS) {
            return Err(ArgumentError::Offset);
        }
        let rounds = rounds.parse().map_err(|_| ArgumentError::Number)?;
        Ok(Self {
            offset,
            rounds,
            until,
            controller,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_both_signs() {
        for offset in ["0", "16777216", "-1152921504606846976"] {
            let parsed = Arguments::parse(&[offset, "50", "/tmp/stop"]).unwrap();
            assert_eq!(parsed.offset, offset.parse::<i64>().unwrap());
            assert_eq!((parsed.rounds.get(), parsed.until), (50, "/tmp/stop"));
            assert!(!parsed.controller);
            let parsed = Arguments::parse(&[offset, "50", "/tmp/stop", "controller"]);
            assert!(parsed.unwrap().controller);
        }
    }

    #[test]
    fn what_kvm_would_round_is_refused() {
        for (words, error) in [
            (&["1", "1", "x"][..], ArgumentError::Offset),
            (&["-16777217", "1", "x"], ArgumentError::Offset),
            (&["many", "1", "x"], ArgumentError::Number),
            (&["0", "0", "x"], ArgumentError::Number),
            (&["0", "1"], ArgumentError::Count),
            (&["0", "1", "x", "y"], ArgumentError::Count),
            (
                &["0", "1", "x", "controller", "controller"],
                ArgumentError::Count,
            ),
            (&[], ArgumentError::Count),
        ] {
            assert_eq!(Arguments::parse(words), Err(error));
        }
    }
}
