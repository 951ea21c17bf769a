//! HID0: bits that the firmware sets for an OS. POWER8 has them elsewhere than what came after.

use crate::ibm;

/// The bits of one layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hid0Bits {
    /// Hypervisor interrupts are taken in little-endian mode (HILE).
    pub little_endian_interrupts: u64,
    /// `attn` stops the machine instead of being an illegal instruction.
    pub attention: u64,
    /// The MMU serves radix trees in the host; 0 where no bit decides.
    pub radix: u64,
}

/// POWER8.
pub const POWER8: Hid0Bits = Hid0Bits {
    little_endian_interrupts: ibm(19),
    attention: ibm(31),
    radix: 0,
};

/// POWER9.
pub const POWER9: Hid0Bits = Hid0Bits {
    little_endian_interrupts: ibm(4),
    attention: ibm(3),
    radix: ibm(8),
};

/// POWER10: both kinds of MMU are there at any time.
pub const POWER10: Hid0Bits = Hid0Bits { radix: 0, ..POWER9 };
