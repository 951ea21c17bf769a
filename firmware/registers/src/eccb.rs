//! The ECCB: the registers in XSCOM space through which POWER8 reaches its LPC bus, one access at
//! a time.

use crate::{ibm, ibm_range};

/// Registers, as offsets from the address that the device tree gives.
pub mod register {
    /// Starts an access.
    pub const CONTROL: u32 = 0;
    /// How the access ended, with what was read.
    pub const STATUS: u32 = 2;
    /// What is written; the first byte is the most significant.
    pub const DATA: u32 = 3;
}

const MAGIC: u64 = 0xd000_0000_0000_0000;
const SIZE_1: u64 = ibm(7);
const READ: u64 = ibm(15);
const ADDRESS_LENGTH_4: u64 = ibm(23);

/// The command that reads or writes one byte at an address of the OPB.
#[must_use]
pub const fn byte_command(opb_address: u32, read: bool) -> u64 {
    MAGIC | SIZE_1 | ADDRESS_LENGTH_4 | opb_address as u64 | if read { READ } else { 0 }
}

/// A byte in the place where [`register::DATA`] wants it.
#[must_use]
pub const fn byte_data(value: u8) -> u64 {
    (value as u64) << 56
}

/// The status register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u64);

impl Status {
    /// PIB error, and the two groups of error bits around the done bit.
    const ERRORS: u64 = ibm_range(0, 5) | ibm_range(45, 51) | ibm_range(53, 55);

    /// The access is over.
    #[must_use]
    pub const fn is_done(self) -> bool {
        self.0 & ibm(52) != 0
    }

    /// The access failed.
    #[must_use]
    pub const fn has_failed(self) -> bool {
        self.0 & Self::ERRORS != 0
    }

    /// The byte that was read: the first of the four in bits 6:37.
    #[must_use]
    pub const fn byte(self) -> u8 {
        (self.0 >> 50) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands that were tried on QEMU.
    #[test]
    fn commands_are_those_that_work() {
        assert_eq!(byte_command(0xd001_03f8, false), 0xd100_0100_d001_03f8);
        assert_eq!(byte_command(0xd001_03fd, true), 0xd101_0100_d001_03fd);
        assert_eq!(byte_data(0x41), 0x4100_0000_0000_0000);
    }

    #[test]
    fn status_fields_are_apart() {
        let status = Status(0x0185_6789_0000_0800);
        assert!(status.is_done() && !status.has_failed());
        assert_eq!(status.byte(), 0x61);
        assert!(!Status(0).is_done());
        for failed in [ibm(0), ibm(5), ibm(45), ibm(51), ibm(53), ibm(55)] {
            assert!(Status(failed).has_failed() && !Status(failed).is_done());
        }
        assert!(!Status(ibm_range(6, 37) | ibm(44)).has_failed());
    }
}
