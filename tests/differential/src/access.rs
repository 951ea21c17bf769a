//! What one thread does to one register.

use hardware_model::{Configuration, Generation};
use power_registers::Spr;
use std::fmt;

/// A register access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `mfspr`, or `mftb` for [`Spr::Tb`].
    ReadSpr(Spr),
    /// `mtspr`.
    WriteSpr(Spr, u64),
    /// Load through the XSCOM window of a chip.
    ReadScom {
        /// Index of the chip.
        chip: usize,
        /// SCOM address.
        address: u32,
    },
    /// Store through the XSCOM window of a chip.
    WriteScom {
        /// Index of the chip.
        chip: usize,
        /// SCOM address.
        address: u32,
        /// What is stored.
        value: u64,
    },
}

/// One access of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Index of the thread that does it.
    pub thread: usize,
    /// What it does.
    pub operation: Operation,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {}: ", self.thread)?;
        match self.operation {
            Operation::ReadSpr(spr) => write!(f, "mfspr {spr:?}"),
            Operation::WriteSpr(spr, value) => write!(f, "mtspr {spr:?} <- {value:#018x}"),
            Operation::ReadScom { chip, address } => {
                write!(f, "read SCOM {address:#x} of chip {chip}")
            }
            Operation::WriteScom {
                chip,
                address,
                value,
            } => write!(f, "write SCOM {address:#x} of chip {chip} <- {value:#018x}"),
        }
    }
}

/// Real address of a SCOM register. Source: HMI and ChipTOD specification, section 3.1.
#[must_use]
pub fn scom_address(configuration: &Configuration, chip: usize, address: u32) -> u64 {
    let address = u64::from(address);
    let offset = match configuration.generation {
        Generation::Power8 => (address << 4 & !0xff) | (address << 3 & 0x78),
        Generation::Power9 | Generation::Power10 => address << 3,
    };
    configuration.xscom_base(chip) + offset
}
