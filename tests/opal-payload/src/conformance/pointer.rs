//! Pointers as a caller may pass them, good ones and all kinds of bad ones.

/// What the kinds are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// First byte of the firmware.
    pub(super) firmware: u64,
    /// End of memory.
    pub(super) memory_end: u64,
}

/// The kind of a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A real address of the caller's own memory.
    Good,
    /// The same in the kernel's linear map.
    Linear,
    Null,
    /// One byte beside its alignment.
    Misaligned,
    /// The first byte behind memory.
    BehindMemory,
    /// Begins in memory and ends behind it.
    AcrossEnd,
    /// Where nothing is.
    Unmapped,
    /// The firmware's own first byte.
    Image,
    /// The firmware's data: the unused end of its memory console.
    Data,
    /// Where exception vectors may be.
    Vectors,
    /// A good address with a top nibble that no real address has.
    OtherNibble,
    /// The last bytes of the address space.
    Top,
    /// The last bytes of the linear map.
    LinearTop,
}

/// In the memory consoles of the firmwares that are known, behind what they write in a short run.
const CONSOLE_END: u64 = 0x3108_0000;
const LINEAR_MAP: u64 = 0xc << 60;

impl Kind {
    /// All but the good one.
    pub(super) const BAD: &[Self] = &[
        Self::Linear,
        Self::Null,
        Self::Misaligned,
        Self::BehindMemory,
        Self::AcrossEnd,
        Self::Unmapped,
        Self::Image,
        Self::Data,
        Self::Vectors,
        Self::OtherNibble,
        Self::Top,
        Self::LinearTop,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Linear => "linear-map",
            Self::Null => "null",
            Self::Misaligned => "misaligned",
            Self::BehindMemory => "behind-memory",
            Self::AcrossEnd => "across-end-of-memory",
            Self::Unmapped => "unmapped",
            Self::Image => "firmware-image",
            Self::Data => "firmware-data",
            Self::Vectors => "vectors",
            Self::OtherNibble => "wrong-top-nibble",
            Self::Top => "wraps",
            Self::LinearTop => "wraps-in-linear-map",
        }
    }

    /// Whether there is such a pointer to `bytes` bytes: one byte is never misaligned, and does not
    /// lie across anything.
    pub(super) const fn is_for(self, bytes: u64) -> bool {
        bytes > 1 || !matches!(self, Self::Misaligned | Self::AcrossEnd)
    }

    /// Whether what it points to is at the good address.
    pub(super) const fn reaches(self) -> bool {
        matches!(self, Self::Good | Self::Linear)
    }

    /// Whether it leads to memory that all threads share.
    pub(super) const fn is_shared(self) -> bool {
        matches!(self, Self::Null | Self::Vectors | Self::Image | Self::Data)
    }

    /// The pointer of this kind to `bytes` bytes, where a good one would be `good`.
    pub(super) const fn address(self, good: u64, bytes: u64, around: Surroundings) -> u64 {
        match self {
            Self::Good => good,
            Self::Linear => good | LINEAR_MAP,
            Self::Null => 0,
            Self::Misaligned => good + 1,
            Self::BehindMemory => around.memory_end,
            Self::AcrossEnd => around.memory_end - bytes / 2,
            Self::Unmapped => 1 << 48,
            Self::Image => around.firmware,
            Self::Data => CONSOLE_END,
            Self::Vectors => 0x2f00,
            Self::OtherNibble => good | 4 << 60,
            Self::Top => 0_u64.wrapping_sub(bytes.div_ceil(2)),
            Self::LinearTop => LINEAR_MAP + (1 << 60) - bytes.div_ceil(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let around = Surroundings {
            firmware: 0x3000_0000,
            memory_end: 0x8000_0000,
        };
        let address = |kind: Kind| kind.address(0x2100_0000, 8, around);
        assert_eq!(address(Kind::Linear), 0xc000_0000_2100_0000);
        assert_eq!(address(Kind::AcrossEnd), 0x7fff_fffc);
        assert_eq!(address(Kind::Top), u64::MAX - 3);
        assert_eq!(address(Kind::LinearTop), 0xcfff_ffff_ffff_fffc);
        assert_eq!(address(Kind::OtherNibble), 0x4000_0000_2100_0000);
    }
}
