//! The word as a value: its fields.

/// The resync claim: the top bit, as Linux has it.
pub const CLAIM: u64 = 1 << 63;
pub(super) const ABORTED: u64 = 1 << 62;
pub(super) const RESOLVED: u64 = 1 << 61;
pub(super) const CLOSING_SHIFT: u32 = 48;
pub(super) const IN_GUEST_SHIFT: u32 = 40;
pub(super) const RETURNED_SHIFT: u32 = 32;
pub(super) const ENTRIES_SHIFT: u32 = 16;
pub(super) const EPOCH_MASK: u64 = 0xffff;

/// A value of the word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CoreWord(pub u64);

impl CoreWord {
    const fn mask(self, shift: u32) -> u8 {
        (self.0 >> shift) as u8
    }

    /// Threads that are closing the core.
    #[must_use]
    pub const fn closing(self) -> u8 {
        self.mask(CLOSING_SHIFT)
    }

    /// Threads that are in a guest, or have its offset in TB.
    #[must_use]
    pub const fn in_guest(self) -> u8 {
        self.mask(IN_GUEST_SHIFT)
    }

    /// Closing threads that are back from the firmware.
    #[must_use]
    pub const fn returned(self) -> u8 {
        self.mask(RETURNED_SHIFT)
    }

    /// Counts how often the core was opened again, or a thread that had attended came again.
    #[must_use]
    pub const fn epoch(self) -> u16 {
        (self.0 & EPOCH_MASK) as u16
    }

    pub(super) const fn next_epoch(self) -> u64 {
        self.epoch().wrapping_add(1) as u64
    }

    /// Counts entries into guests.
    #[must_use]
    pub const fn entries(self) -> u16 {
        (self.0 >> ENTRIES_SHIFT) as u16
    }

    /// Whether somebody gave up in this epoch.
    #[must_use]
    pub const fn aborted(self) -> bool {
        self.0 & ABORTED != 0
    }

    /// Whether a thread has the claim.
    #[must_use]
    pub const fn claimed(self) -> bool {
        self.0 & CLAIM != 0
    }

    /// Whether the claim of this round is over.
    #[must_use]
    pub const fn resolved(self) -> bool {
        self.0 & RESOLVED != 0
    }

    /// Whether TB may be rewritten: the core is closing and nobody is in a guest.
    #[must_use]
    pub const fn may_rewrite_timebase(self) -> bool {
        self.closing() != 0 && self.in_guest() == 0
    }

    /// Whether this is the epoch that a thread attended last.
    #[must_use]
    pub const fn is_epoch(self, attended: Option<u16>) -> bool {
        match attended {
            Some(epoch) => epoch == self.epoch(),
            None => false,
        }
    }

    /// Whether the core is closing, and a thread that attended this epoch last has not come yet.
    #[must_use]
    pub const fn summons(self, attended: Option<u16>) -> bool {
        self.closing() != 0 && !self.is_epoch(attended)
    }
}

impl core::fmt::Debug for CoreWord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "CoreWord(epoch {} closing {:#04x} in_guest {:#04x} returned {:#04x}",
            self.epoch(),
            self.closing(),
            self.in_guest(),
            self.returned()
        )?;
        for (bit, name) in [
            (CLAIM, "claim"),
            (RESOLVED, "resolved"),
            (ABORTED, "aborted"),
        ] {
            if self.0 & bit != 0 {
                write!(f, " {name}")?;
            }
        }
        f.write_str(")")
    }
}
