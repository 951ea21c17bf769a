//! The phases of a meeting, and how it can end.

/// How often a meeting may go back to `RepairTfmr`.
pub const MAX_RETRIES: u8 = 3;

/// Where a meeting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the table of the module")]
pub enum Phase {
    Idle = 0,
    Arrive = 1,
    RepairTfmr = 2,
    Clean = 3,
    Clear = 4,
    Local = 5,
    Reload = 6,
    Check = 7,
    Depart = 8,
}

impl Phase {
    /// From its number; [`Self::Idle`] for any that is none.
    #[must_use]
    pub const fn from_code(code: u64) -> Self {
        match code {
            1 => Self::Arrive,
            2 => Self::RepairTfmr,
            3 => Self::Clean,
            4 => Self::Clear,
            5 => Self::Local,
            6 => Self::Reload,
            7 => Self::Check,
            8 => Self::Depart,
            _ => Self::Idle,
        }
    }

    /// Whether only the leader works in it.
    #[must_use]
    pub const fn is_leaders(self) -> bool {
        matches!(self, Self::RepairTfmr | Self::Clear | Self::Reload)
    }

    /// Whether participants are bound to it: it can be aborted.
    #[must_use]
    pub const fn is_work(self) -> bool {
        !matches!(self, Self::Idle | Self::Arrive | Self::Depart)
    }

    pub(crate) const fn next(self) -> Self {
        Self::from_code(self as u64 + 1)
    }
}

/// Why a meeting was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AbortReason {
    /// TFMR stays corrupt.
    TfmrCorrupt = 1,
    /// The state machine does not leave ERROR.
    ClearFailed = 2,
    /// TB could not be loaded.
    ReloadFailed = 3,
    /// Someone did not do his part in time.
    WaitExpired = 4,
    /// Another thread did not let go of TFMR.
    TfmrHeld = 5,
}

impl AbortReason {
    /// From its number.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            1 => Self::TfmrCorrupt,
            2 => Self::ClearFailed,
            3 => Self::ReloadFailed,
            4 => Self::WaitExpired,
            5 => Self::TfmrHeld,
            _ => return None,
        })
    }
}

/// Findings that all participants take home, as bits that are collected in the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Findings(pub(crate) u8);

impl Findings {
    /// Nothing to tell.
    pub const NONE: Self = Self(0);
    /// TB was loaded from the TOD.
    pub const RELOADED: Self = Self(1);
    /// HDEC was lost on all threads.
    pub const HDEC_LOST: Self = Self(2);
    /// Something is still broken.
    pub const FAILED: Self = Self(4);
    /// An error is there that another walk through the phases may repair. If none is left, this
    /// turns into [`Self::FAILED`].
    pub const AGAIN: Self = Self(8);

    /// As bits; the inverse of [`Self::from_bits`].
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From the low four bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0xf)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}
