//! How an XSCOM access can end.

use core::fmt;
use power_registers::Hmer;

/// Why an XSCOM access gave nothing. The data of a failed access is never handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XscomError {
    /// The platform has no chip of this number.
    NoSuchChip,
    /// The address lies outside the chip's window.
    OutsideWindow,
    /// Another thread did not let go of the engine in time.
    EngineHeld,
    /// HMER never said "done".
    NeverDone,
    /// Status 1: engine blocked, also after all retries.
    Busy,
    /// Status 2: the chiplet is offline, or its core sleeps. Not a fault of the machine.
    ChipletOffline,
    /// Status 3: the region is not (partially) good.
    PartialGood,
    /// Status 4: no such register.
    InvalidAddress,
    /// Status 5: clock error.
    Clock,
    /// Status 6: parity error.
    Parity,
    /// Status 7: timeout on the bus.
    Timeout,
    /// Failed, and the status field says nothing (status 0).
    Unspecified,
}

impl XscomError {
    /// Whether the same access may work when it is tried once more. One that was not made, or was
    /// tried for as long as it may be, is not.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        !matches!(
            self,
            Self::NoSuchChip | Self::OutsideWindow | Self::EngineHeld | Self::Busy
        )
    }

    /// The OPAL return code for this error.
    #[must_use]
    pub const fn opal_code(self) -> i64 {
        match self {
            Self::NoSuchChip | Self::OutsideWindow => -1,
            Self::Busy => -2,
            Self::EngineHeld | Self::NeverDone | Self::Unspecified => -6,
            Self::ChipletOffline => -14,
            Self::PartialGood => -25,
            Self::InvalidAddress => -26,
            Self::Clock => -27,
            Self::Parity => -28,
            Self::Timeout => -29,
        }
    }
}

impl fmt::Display for XscomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchChip => "no such chip",
            Self::OutsideWindow => "outside the chip's window",
            Self::EngineHeld => "the engine is held by another thread",
            Self::NeverDone => "the access is never done",
            Self::Busy => "the engine stays busy",
            Self::ChipletOffline => "the chiplet is offline",
            Self::PartialGood => "the region is not good",
            Self::InvalidAddress => "invalid address",
            Self::Clock => "clock error",
            Self::Parity => "parity error",
            Self::Timeout => "timeout on the bus",
            Self::Unspecified => "it failed without a status",
        })
    }
}

/// What HMER says when an access is done.
pub(super) const fn result_of(hmer: Hmer) -> Result<(), XscomError> {
    if !hmer.contains(Hmer::XSCOM_FAIL) {
        return Ok(());
    }
    Err(match hmer.xscom_status() {
        0 => XscomError::Unspecified,
        1 => XscomError::Busy,
        2 => XscomError::ChipletOffline,
        3 => XscomError::PartialGood,
        4 => XscomError::InvalidAddress,
        5 => XscomError::Clock,
        6 => XscomError::Parity,
        _ => XscomError::Timeout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_code() {
        let codes: [i64; 8] = core::array::from_fn(|status| {
            let hmer = Hmer::XSCOM_FAIL.bits() | Hmer::XSCOM_DONE.bits() | (status as u64) << 40;
            result_of(Hmer::from_bits_retain(hmer))
                .unwrap_err()
                .opal_code()
        });
        assert_eq!(codes, [-6, -2, -14, -25, -26, -27, -28, -29]);
    }

    #[test]
    fn the_status_counts_only_with_the_fail_bit() {
        assert_eq!(result_of(Hmer::XSCOM_DONE | Hmer::XSCOM_STATUS), Ok(()));
    }
}
