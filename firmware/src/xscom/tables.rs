//! What differs between the generations, as data.

use crate::platform::Generation;

/// Registers that reset the XSCOM engine, all written with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EngineReset {
    /// Receive status, on the chip of the issuing thread.
    pub(super) receive_status: u32,
    /// Log, on the target chip.
    pub(super) log: u32,
    /// Error, on the target chip.
    pub(super) error: u32,
}

/// The registers of a generation.
pub(super) const fn engine_reset(generation: Generation) -> EngineReset {
    match generation {
        Generation::Power8 => EngineReset {
            receive_status: 0x0202_000f,
            log: 0x0202_0007,
            error: 0x0202_0009,
        },
        Generation::Power9 | Generation::Power10 => EngineReset {
            receive_status: 0x0009_0018,
            log: 0x0009_0012,
            error: 0x0009_0013,
        },
    }
}

/// Offset of a SCOM address in the XSCOM window.
pub(super) const fn offset(generation: Generation, address: u32) -> u64 {
    let address = address as u64;
    match generation {
        Generation::Power8 => address << 4 & !0xff | address << 3 & 0x78,
        Generation::Power9 | Generation::Power10 => address << 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_each_generation() {
        assert_eq!(offset(Generation::Power8, 0x000f_000f), 0x00f0_0078);
        assert_eq!(offset(Generation::Power8, 0x0004_0024), 0x0040_0220);
        assert_eq!(offset(Generation::Power8, 0x1501_3100), 0x1_5013_1000);
        assert_eq!(offset(Generation::Power9, 0x0004_0024), 0x0020_0120);
        assert_eq!(offset(Generation::Power10, 0x2102_44a3), 0x1_0812_2518);
    }
}
