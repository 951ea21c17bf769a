//! HMER and HMEER: why a Hypervisor Maintenance Interrupt came, and which causes may raise one.

use crate::{ibm, ibm_range};

bitflags::bitflags! {
    /// Hypervisor Maintenance Exception Register, one per thread; sticky, and `mtspr` ANDs.
    ///
    /// Source: HMI and ChipTOD specification, section 1.3.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Hmer: u64 {
        /// A core checkstopped, or NX, CAPP or NPU asks for attention.
        const MALFUNCTION_ALERT = ibm(0);
        /// A recoverable processor error was recovered.
        const PROC_RECV_DONE = ibm(2);
        /// As [`Self::PROC_RECV_DONE`], for an error that is masked from reporting (POWER8, POWER9).
        const PROC_RECV_ERROR_MASKED = ibm(3);
        /// Timer facility error; TFMR tells which.
        const TFAC_ERROR = ibm(4);
        /// TFMR parity error; on POWER10 an error in the transfer between shadow and core.
        const TFMR_PARITY_ERROR = ibm(5);
        /// POWER8 and POWER9: HA overflow warning. POWER10: SPURR scale limit.
        const SPURR_SCALE_LIMIT = ibm(6);
        /// An XSCOM access of this thread failed; polled, never enabled in HMEER.
        const XSCOM_FAIL = ibm(8);
        /// An XSCOM access of this thread is done; polled, never enabled in HMEER.
        const XSCOM_DONE = ibm(9);
        /// Recovery happened again before its first report was cleared.
        const PROC_RECV_AGAIN = ibm(11);
        /// Thermal warning, rising.
        const THERMAL_RISE = ibm(14);
        /// Thermal warning, falling.
        const THERMAL_FALL = ibm(15);
        /// A reserved FIR bit was set by SCOM to raise an HMI.
        const SCOM_FIR = ibm(16);
        /// Debug trigger; on POWER9 also the workaround for TM suspend.
        const DEBUG_TRIGGER = ibm(17);
        /// Debug trigger of POWER10.
        const DEBUG_TRIGGER_P10 = ibm(18);
        /// Hypervisor resource error (POWER8, POWER9).
        const HYP_RESOURCE_ERROR = ibm(20);
        /// XSCOM status code, valid with [`Self::XSCOM_FAIL`].
        const XSCOM_STATUS = ibm_range(21, 23);
    }
}

impl Hmer {
    /// Causes that send the handler to TFMR.
    pub const TIMER: Self = Self::TFAC_ERROR.union(Self::TFMR_PARITY_ERROR);
    /// The mailbox of this thread's XSCOM accesses; it is no interrupt cause.
    pub const XSCOM_MAILBOX: Self = Self::XSCOM_FAIL
        .union(Self::XSCOM_DONE)
        .union(Self::XSCOM_STATUS);
    /// Bits that exist in hardware (0..=23).
    pub const IMPLEMENTED: u64 = ibm_range(0, 23);

    /// The XSCOM status code, 0..=7.
    #[must_use]
    pub const fn xscom_status(self) -> u8 {
        (self.bits() >> 40 & 7) as u8
    }
}

impl core::fmt::Debug for Hmer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Hmer({:#018x}: ", self.bits())?;
        bitflags::parser::to_writer(self, &mut *f)?;
        f.write_str(")")
    }
}

/// Hypervisor Maintenance Exception Enable Register, one per core, same layout as [`Hmer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hmeer(pub Hmer);

impl Hmeer {
    /// What POWER8 and POWER9 enable (bits 0, 2, 3, 4, 5, 11, 20).
    pub const POWER8_POWER9: Self = Self(
        Hmer::MALFUNCTION_ALERT
            .union(Hmer::PROC_RECV_DONE)
            .union(Hmer::PROC_RECV_ERROR_MASKED)
            .union(Hmer::TIMER)
            .union(Hmer::PROC_RECV_AGAIN)
            .union(Hmer::HYP_RESOURCE_ERROR),
    );
    /// What POWER10 enables (bits 0, 2, 4, 5, 6, 11).
    pub const POWER10: Self = Self(
        Hmer::MALFUNCTION_ALERT
            .union(Hmer::PROC_RECV_DONE)
            .union(Hmer::TIMER)
            .union(Hmer::SPURR_SCALE_LIMIT)
            .union(Hmer::PROC_RECV_AGAIN),
    );
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn enable_masks_are_those_of_section_1_3() {
        assert_eq!(Hmeer::POWER8_POWER9.0.bits(), 0xbc10_0800_0000_0000);
        assert_eq!(Hmeer::POWER10.0.bits(), 0xae10_0000_0000_0000);
    }

    #[test]
    fn debug_decodes_and_keeps_unknown_bits() {
        let text = format!("{:?}", Hmer::from_bits_retain(0x0840_0000_0000_0001));
        assert!(text.contains("TFAC_ERROR | XSCOM_DONE"), "{text}");
        assert!(text.contains("0x1"), "{text}");
    }

    #[test]
    fn xscom_mailbox_mask_is_that_of_section_3_1() {
        assert_eq!(!Hmer::XSCOM_MAILBOX.bits(), 0xff3f_f8ff_ffff_ffff);
        assert_eq!(
            Hmer::from_bits_retain(0x0000_0500_0000_0000).xscom_status(),
            5
        );
    }
}
