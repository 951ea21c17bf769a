//! TFMR, the Time Facility Management Register: it commands and reports the timebase of a core.
//!
//! Source: HMI and ChipTOD specification, section 2.1 to 2.3.

use crate::{ibm, ibm_range};

/// State of the timebase state machine (TBST, TFMR bits 28:31).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the hardware's own")]
pub enum TbState {
    Reset,
    SendTodMod,
    NotSet,
    SyncWait,
    GetTod,
    Running,
    Error,
    /// A code that no manual names.
    Unknown(u8),
}

impl TbState {
    /// Decodes the four bits of TBST.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code & 0xf {
            0 => Self::Reset,
            1 => Self::SendTodMod,
            2 => Self::NotSet,
            6 => Self::SyncWait,
            7 => Self::GetTod,
            8 => Self::Running,
            9 => Self::Error,
            other => Self::Unknown(other),
        }
    }

    /// The four bits of TBST.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Reset => 0,
            Self::SendTodMod => 1,
            Self::NotSet => 2,
            Self::SyncWait => 6,
            Self::GetTod => 7,
            Self::Running => 8,
            Self::Error => 9,
            Self::Unknown(code) => code,
        }
    }
}

bitflags::bitflags! {
    /// The value of TFMR.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Tfmr: u64 {
        /// Suppresses HMIs of this facility.
        const MASK_HMI = ibm(10);
        /// "Eclipz" step and sync mode: must be 1 in every write.
        const TB_ECLIPZ = ibm(14);
        /// Command: go to NOT_SET; clears itself.
        const LOAD_TOD_MOD = ibm(16);
        /// Command: arm the reception of the TOD; stays 1 until it came.
        const MOVE_CHIP_TOD_TO_TB = ibm(18);
        /// Command: leave ERROR for RESET; to be written twice.
        const CLEAR_TB_ERRORS = ibm(24);
        /// POWER10: error in the transfer of timer state between shadow and core.
        const TFAC_XFER_ERROR = ibm(25);
        /// HDEC parity error.
        const HDEC_PARITY = ibm(26);
        /// The TB state machine is corrupt.
        const TBST_CORRUPT = ibm(27);
        /// TB is enabled.
        const TB_ENABLED = ibm(40);
        /// TB is valid: 1 in state RUNNING only.
        const TB_VALID = ibm(41);
        /// A sync pulse came since the last write of TFMR.
        const TB_SYNC_OCCURRED = ibm(42);
        /// A sync pulse was missed.
        const TB_MISSING_SYNC = ibm(43);
        /// A step was missed: the usual symptom of a dead TOD.
        const TB_MISSING_STEP = ibm(44);
        /// Residue (parity) error of TB.
        const TB_RESIDUE_ERROR = ibm(45);
        /// An illegal command for the state, or two at once.
        const FW_CONTROL_ERROR = ibm(46);
        /// The ChipTOD reports an unmasked error.
        const CHIP_TOD_INTERRUPT = ibm(51);
        /// LOAD_TOD_MOD timed out (POWER8, POWER9).
        const CHIP_TOD_TIMEOUT = ibm(54);
        /// Parity error in the transfer from the ChipTOD.
        const CHIP_TOD_PARITY_ERROR = ibm(56);
        /// Parity error of this thread's PURR.
        const PURR_PARITY = ibm(57);
        /// Parity error of this thread's SPURR.
        const SPURR_PARITY = ibm(58);
        /// Parity error of this thread's DEC.
        const DEC_PARITY = ibm(59);
        /// TFMR itself is corrupt: nothing else in it can be trusted.
        const TFMR_CORRUPT = ibm(60);
        /// Overflow of this thread's PURR.
        const PURR_OVERFLOW = ibm(61);
        /// Overflow of this thread's SPURR.
        const SPURR_OVERFLOW = ibm(62);
        /// Fields and reserved bits: values, not flags.
        const _ = !0;
    }
}

impl Tfmr {
    /// Control bits 0:24: each write replaces them all.
    pub const CONTROL: Self = Self::from_bits_retain(ibm_range(0, 24));
    /// Command bits.
    pub const COMMANDS: Self = Self::LOAD_TOD_MOD
        .union(Self::MOVE_CHIP_TOD_TO_TB)
        .union(Self::CLEAR_TB_ERRORS);
    /// Errors that belong to one thread and need no meeting.
    pub const THREAD_ERRORS: Self = Self::PURR_PARITY
        .union(Self::SPURR_PARITY)
        .union(Self::DEC_PARITY);
    /// Errors that belong to the core: all its threads get the HMI.
    pub const CORE_ERRORS: Self = Self::TFAC_XFER_ERROR
        .union(Self::HDEC_PARITY)
        .union(Self::TBST_CORRUPT)
        .union(Self::TB_MISSING_SYNC)
        .union(Self::TB_MISSING_STEP)
        .union(Self::TB_RESIDUE_ERROR)
        .union(Self::FW_CONTROL_ERROR)
        .union(Self::TFMR_CORRUPT);
    /// Errors after which TB must be rebuilt.
    pub const TB_FATAL: Self = Self::TBST_CORRUPT
        .union(Self::TB_MISSING_SYNC)
        .union(Self::TB_MISSING_STEP)
        .union(Self::TB_RESIDUE_ERROR)
        .union(Self::FW_CONTROL_ERROR);
    /// Errors in what the TOD sent to the core: a command that timed out (absent on POWER10), and a
    /// value that arrived damaged.
    pub const TRANSFER_ERRORS: Self = Self::CHIP_TOD_TIMEOUT.union(Self::CHIP_TOD_PARITY_ERROR);
    /// Errors that the boot sequence clears together with CLEAR_TB_ERRORS.
    pub const BOOT_CLEAR: Self = Self::TB_MISSING_SYNC
        .union(Self::TB_MISSING_STEP)
        .union(Self::TB_RESIDUE_ERROR);
    /// Per-thread bits 57:62 that the boot sequence cleans.
    pub const THREAD_CLEANUP: Self = Self::THREAD_ERRORS
        .union(Self::TFMR_CORRUPT)
        .union(Self::PURR_OVERFLOW)
        .union(Self::SPURR_OVERFLOW);

    /// The base value that *every* write of TFMR must contain, for a core of `core_hz`.
    ///
    /// Missing-step limit in units of four core cycles at 240 % of a 32 MHz step, one clock a
    /// step, sync check at 16 us, eclipz mode. `None` when the frequency gives no usable limit
    /// (0, or below 54 MHz). Source: HMI and ChipTOD specification, section 2.2.
    #[must_use]
    pub const fn base(core_hz: u64) -> Option<Self> {
        const STEP_HZ: u64 = 32_000_000;
        const JITTER_PERCENT: u64 = 240;
        const SYNC_SELECT_16_US: u64 = 4;
        let Some(scaled) = core_hz.checked_mul(JITTER_PERCENT) else {
            return None;
        };
        let limit = scaled / (4 * STEP_HZ) / 100;
        if limit == 0 {
            return None;
        }
        let limit = if limit > 0xff { 0xff } else { limit };
        Some(Self::from_bits_retain(
            limit << 56 | SYNC_SELECT_16_US << 50 | Self::TB_ECLIPZ.bits(),
        ))
    }

    /// TBST, the state of TB now.
    #[must_use]
    pub const fn state(self) -> TbState {
        TbState::from_code((self.bits() >> 32 & 0xf) as u8)
    }

    /// The state before the present one.
    #[must_use]
    pub const fn last_state(self) -> TbState {
        TbState::from_code((self.bits() >> 28 & 0xf) as u8)
    }

    /// CHIP_TOD_STATUS, bits 47:50: the state machine of the TOD as this core sees it.
    #[must_use]
    pub const fn chip_tod_status(self) -> u8 {
        (self.bits() >> 13 & 0xf) as u8
    }

    /// MAX_CYC_BETWEEN_STEPS, bits 0:7.
    #[must_use]
    pub const fn max_cycles_between_steps(self) -> u8 {
        (self.bits() >> 56) as u8
    }

    /// Whether TB can be used: valid, and TFMR itself intact.
    #[must_use]
    pub const fn tb_usable(self) -> bool {
        self.contains(Self::TB_VALID) && !self.intersects(Self::TFMR_CORRUPT)
    }

    /// This value with other states, for models and tools that play the hardware.
    #[must_use]
    pub const fn with_states(self, state: TbState, last: TbState) -> Self {
        let cleared = self.bits() & !ibm_range(28, 35);
        Self::from_bits_retain(cleared | (state.code() as u64) << 32 | (last.code() as u64) << 28)
    }
}

impl core::fmt::Debug for Tfmr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "Tfmr({:#018x}: {:?} from {:?}",
            self.bits(),
            self.state(),
            self.last_state()
        )?;
        for (name, _) in self.iter_names() {
            write!(f, " | {name}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn base_values_are_those_of_section_2_2() {
        for (hz, base) in [
            (1_000_000_000, 0x1212_0000_0000_0000),
            (2_500_000_000, 0x2e12_0000_0000_0000),
            (3_200_000_000, 0x3c12_0000_0000_0000),
        ] {
            assert_eq!(Tfmr::base(hz).unwrap().bits(), base);
        }
        assert_eq!(Tfmr::base(0), None);
        assert_eq!(
            Tfmr::base(20_000_000_000)
                .unwrap()
                .max_cycles_between_steps(),
            0xff
        );
    }

    #[test]
    fn sets_are_those_of_section_2_1() {
        assert_eq!(Tfmr::CONTROL.bits(), 0xffff_ff80_0000_0000);
        assert_eq!(Tfmr::THREAD_ERRORS.bits(), 0x70);
        assert_eq!(Tfmr::CORE_ERRORS.bits(), 0x0000_0070_001e_0008);
        assert_eq!(Tfmr::TB_FATAL.bits(), 0x0000_0010_001e_0000);
        assert_eq!(
            (Tfmr::BOOT_CLEAR | Tfmr::CLEAR_TB_ERRORS).bits(),
            0x0000_0080_001c_0000
        );
        assert_eq!(Tfmr::THREAD_CLEANUP.bits(), 0x7e);
        assert_eq!(Tfmr::COMMANDS.bits(), 0x0000_a080_0000_0000);
    }

    #[test]
    fn field_samples_decode() {
        // Genuine values from field logs (section 2.2).
        let stuck = Tfmr::from_bits_retain(0x2812_2009_60a2_4000);
        assert_eq!(
            (stuck.state(), stuck.last_state()),
            (TbState::Error, TbState::SyncWait)
        );
        assert!(stuck.contains(Tfmr::MOVE_CHIP_TOD_TO_TB | Tfmr::FW_CONTROL_ERROR));
        let dec = Tfmr::from_bits_retain(0x3212_0008_70e1_4010);
        assert_eq!(dec.chip_tod_status(), 0xa);
        assert_eq!(dec & Tfmr::THREAD_ERRORS, Tfmr::DEC_PARITY);
        assert!(dec.tb_usable());
        let text = format!("{stuck:?}");
        assert!(
            text.contains("Error from SyncWait") && text.contains("FW_CONTROL_ERROR"),
            "{text}"
        );
    }

    #[test]
    fn states_round_trip() {
        for code in 0..16 {
            assert_eq!(TbState::from_code(code).code(), code);
        }
        let value = Tfmr::from_bits_retain(u64::MAX).with_states(TbState::Running, TbState::GetTod);
        assert_eq!(
            (value.state(), value.last_state()),
            (TbState::Running, TbState::GetTod)
        );
    }
}
