//! Byte access to the I/O ports of the LPC bus: console UART and BMC are there.
//!
//! From POWER9 on the bus is a window in memory. On POWER8 each byte goes through the ECCB
//! registers in XSCOM space: command, then wait for "done". Two threads that interleave there wait
//! for ever, hence one lock around each access. Every wait is bounded.

use crate::budget::{Budget, lock_within};
use crate::hardware::{ChipId, Hardware};
use crate::platform::{LpcBus, Platform};
use crate::xscom::{Xscom, XscomError};
use power_registers::eccb::{self, Status, register};
use spin::Mutex;

/// Where the I/O space begins on the OPB, the bus between chip and LPC.
const IO_SPACE: u32 = 0xd001_0000;
/// Longest wait for an access of another thread, which itself is bounded.
const LOCK_SPINS: u64 = 10_000_000;
/// Most reads of the status until an access is done; one takes a few microseconds.
const DONE_SPINS: u64 = 10_000;

/// Why a port cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LpcError {
    /// Another thread did not finish its access in time.
    Held,
    /// The access was never done.
    NeverDone,
    /// The bus reports an error: nobody answers at this port, or it is broken.
    Failed {
        /// The status register as read.
        status: u64,
    },
    /// The registers of the bus cannot be reached.
    Xscom(XscomError),
}

impl From<XscomError> for LpcError {
    fn from(error: XscomError) -> Self {
        Self::Xscom(error)
    }
}

/// The LPC bus of the primary chip.
#[derive(Debug, Default)]
pub struct Lpc {
    access: Mutex<()>,
    /// Held through a dialogue with the BMC, which takes many accesses.
    pub(crate) bmc_dialogue: Mutex<()>,
}

impl Lpc {
    /// The bus, free.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            access: Mutex::new(()),
            bmc_dialogue: Mutex::new(()),
        }
    }

    /// Reads the byte at an I/O port. A port that nobody owns reads as 0xff.
    ///
    /// # Errors
    /// [`LpcError`].
    pub fn read<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        port: u16,
    ) -> Result<u8, LpcError> {
        match platform.lpc {
            LpcBus::Mapped { base } => Ok(hw.load_byte(mapped(base, port))),
            LpcBus::Xscom { chip, address } => {
                let eccb = Eccb {
                    platform,
                    xscom,
                    chip,
                    address,
                };
                self.with_eccb(hw, |hw| eccb.access(hw, port, true))
                    .map(Status::byte)
            }
        }
    }

    /// Writes a byte to an I/O port.
    ///
    /// # Errors
    /// [`LpcError`].
    pub fn write<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        port: u16,
        value: u8,
    ) -> Result<(), LpcError> {
        match platform.lpc {
            LpcBus::Mapped { base } => {
                hw.store_byte(mapped(base, port), value);
                Ok(())
            }
            LpcBus::Xscom { chip, address } => {
                let eccb = Eccb {
                    platform,
                    xscom,
                    chip,
                    address,
                };
                self.with_eccb(hw, |hw| {
                    eccb.write(hw, register::DATA, eccb::byte_data(value))?;
                    eccb.access(hw, port, false).map(drop)
                })
            }
        }
    }

    fn with_eccb<H: Hardware, T>(
        &self,
        hw: &mut H,
        work: impl FnOnce(&mut H) -> Result<T, LpcError>,
    ) -> Result<T, LpcError> {
        let _access =
            lock_within(hw, &self.access, Budget::spins(LOCK_SPINS)).map_err(|_| LpcError::Held)?;
        work(hw)
    }
}

fn mapped(base: u64, port: u16) -> u64 {
    base + u64::from(IO_SPACE) + u64::from(port)
}

/// The registers of the indirect access of POWER8.
#[derive(Clone, Copy)]
struct Eccb<'a> {
    platform: &'a Platform,
    xscom: &'a Xscom,
    chip: ChipId,
    address: u32,
}

impl Eccb<'_> {
    fn write<H: Hardware>(self, hw: &mut H, register: u32, value: u64) -> Result<(), LpcError> {
        let address = self.address + register;
        Ok(self
            .xscom
            .write(hw, self.platform, self.chip, address, value)?)
    }

    /// Starts an access of one byte and waits until it is done.
    fn access<H: Hardware>(self, hw: &mut H, port: u16, read: bool) -> Result<Status, LpcError> {
        let command = eccb::byte_command(IO_SPACE + u32::from(port), read);
        self.write(hw, register::CONTROL, command)?;
        let mut waiting = Budget::spins(DONE_SPINS);
        loop {
            let address = self.address + register::STATUS;
            let status = Status(self.xscom.read(hw, self.platform, self.chip, address)?);
            if status.is_done() {
                let failed = LpcError::Failed { status: status.0 };
                return if status.has_failed() {
                    Err(failed)
                } else {
                    Ok(status)
                };
            }
            waiting.spin(hw).map_err(|_| LpcError::NeverDone)?;
        }
    }
}
