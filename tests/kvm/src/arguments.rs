//! The command line.

use crate::OFFSET_UNIT_TICKS;
use core::fmt;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// TB of the guest minus TB of the host, in ticks.
    pub offset: i64,
    /// End when this file exists.
    pub until: &'a str,
}

/// What is wrong with the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentError {
    /// There must be two.
    Count,
    /// The offset is no number.
    Number,
    /// It is none that KVM can set.
    Offset,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("wanted: the offset in ticks, and a file that ends it"),
            Self::Number => f.write_str("the offset is no number"),
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
        let [offset, until] = words else {
            return Err(ArgumentError::Count);
        };
        let offset: i64 = offset.parse().map_err(|_| ArgumentError::Number)?;
        if !offset.unsigned_abs().is_multiple_of(OFFSET_UNIT_TICKS) {
            return Err(ArgumentError::Offset);
        }
        Ok(Self { offset, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_both_signs() {
        for offset in ["0", "16777216", "-1152921504606846976"] {
            let parsed = Arguments::parse(&[offset, "/tmp/stop"]).unwrap();
            assert_eq!(parsed.offset, offset.parse::<i64>().unwrap());
            assert_eq!(parsed.until, "/tmp/stop");
        }
    }

    #[test]
    fn what_kvm_would_round_is_refused() {
        for (words, error) in [
            (&["1", "x"][..], ArgumentError::Offset),
            (&["-16777217", "x"], ArgumentError::Offset),
            (&["many", "x"], ArgumentError::Number),
            (&["0"], ArgumentError::Count),
            (&[], ArgumentError::Count),
        ] {
            assert_eq!(Arguments::parse(words), Err(error));
        }
    }
}
