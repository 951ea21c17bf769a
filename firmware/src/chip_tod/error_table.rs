//! What is done about each of the 64 bits of a ChipTOD's ERROR register, as data.
//!
//! Source: HMI and ChipTOD specification, section 3.6.

use power_registers::chip_tod::{TodError, TodRegister};
use power_registers::{ibm, ibm_range};

/// What is done about a bit. All but the last end with the bit cleared; a bit that comes again and
/// again is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Cleared.
    Clear,
    /// The register is rewritten from the cache, read back, then the bit is cleared.
    Restore(TodRegister),
    /// The target of transfers (0x27) is rewritten, then the bit is cleared.
    RewriteTarget,
    /// The TOD stopped: cleared before it is restarted.
    Restart,
    /// A step check: while TB stands it says which path failed, so it is cleared after the reload.
    AfterReload,
    /// Cleared; then the TOD's value is compared with TB, and loaded anew if it is wrong.
    CheckValue,
    /// Not for firmware to clear: reported as not recovered, once.
    Leave,
}

/// Some bits with one remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The bits of ERROR.
    pub bits: u64,
    /// What is done.
    pub remedy: Remedy,
    /// Whether the diagnostics daemon is told.
    pub told: bool,
}

const fn row(bits: u64, remedy: Remedy) -> Row {
    let told = false;
    Row { bits, remedy, told }
}

const fn told(bits: u64, remedy: Remedy) -> Row {
    let told = true;
    Row { bits, remedy, told }
}

const fn restored(bit: u32, register: TodRegister) -> Row {
    row(ibm(bit), Remedy::Restore(register))
}

/// Every bit, once.
pub const TABLE: &[Row] = &[
    restored(0, TodRegister::MasterPathControl),
    // Parity of master paths 0 and 1.
    told(ibm_range(1, 2), Remedy::Clear),
    restored(3, TodRegister::PrimaryPort0Control),
    restored(4, TodRegister::PrimaryPort1Control),
    restored(5, TodRegister::SecondaryPort0Control),
    restored(6, TodRegister::SecondaryPort1Control),
    restored(7, TodRegister::SlavePathControl),
    restored(8, TodRegister::InternalPathControl),
    restored(9, TodRegister::PssMssControl),
    // Parity of slave path 0.
    told(ibm(10), Remedy::Clear),
    // Parity of the status registers 0x08 and 0x09, and of 0x0a.
    row(ibm_range(11, 13), Remedy::Clear),
    // Step checks of master path 0, master path 1, slave path 0, internal path.
    row(ibm_range(14, 17), Remedy::AfterReload),
    // Hamming distance of the PSS state; parity of 0x0b.
    row(ibm_range(18, 19), Remedy::Clear),
    // Parity of slave path 1.
    told(ibm(20), Remedy::Clear),
    // Step check of slave path 1.
    row(ibm(21), Remedy::AfterReload),
    // Parity of the internal path's delay, of 0x0c, 0x11 to 0x16, 0x17 to 0x22, 0x1d to 0x1f.
    row(ibm_range(22, 26), Remedy::Clear),
    // Parity of the TOD's value (0x20).
    row(ibm(27), Remedy::CheckValue),
    // Parity of 0x23, 0x24, 0x29, 0x30 to 0x33.
    row(ibm_range(28, 31), Remedy::Clear),
    restored(32, TodRegister::ChipControl),
    // Sync check, parity of the state machine, parity of the time register.
    row(ibm_range(33, 35), Remedy::Restart),
    // Overflow of the time; parity of the low-order step.
    row(ibm_range(36, 37), Remedy::Clear),
    // A TTYPE was received: information, masked by the earlier boot firmware.
    row(ibm_range(38, 43), Remedy::Clear),
    // Errors of the PIB slave.
    row(ibm_range(44, 48), Remedy::Clear),
    // Parity of 0x27.
    row(ibm(49), Remedy::RewriteTarget),
    // How a transfer failed; an invalid TTYPE; parity of TTYPE4's data; a request failed; a reset
    // in the middle of an access. The transfer itself is tried again by who waits for it.
    row(ibm_range(50, 56), Remedy::Clear),
    // An external checkstop was seen.
    row(ibm(57), Remedy::Leave),
    // Spare.
    row(ibm_range(58, 61), Remedy::Clear),
    // The oscillators were switched over.
    told(ibm(62), Remedy::Clear),
    row(ibm(63), Remedy::Clear),
];

/// Bits whose remedy satisfies `wanted`.
pub fn bits_with(wanted: impl Fn(Remedy) -> bool) -> TodError {
    let rows = TABLE.iter().filter(|row| wanted(row.remedy));
    TodError::from_bits_retain(rows.fold(0, |all, row| all | row.bits))
}

/// Bits of which the diagnostics daemon is told.
pub fn told_bits() -> TodError {
    let rows = TABLE.iter().filter(|row| row.told);
    TodError::from_bits_retain(rows.fold(0, |all, row| all | row.bits))
}

/// Bits that may be masked when they do not stay away. A TOD that stops must always say so, and a
/// bit that is left is left for others to see.
pub fn maskable_bits() -> TodError {
    bits_with(|remedy| !matches!(remedy, Remedy::Restart | Remedy::Leave))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_has_one_row() {
        let mut seen = 0;
        for row in TABLE {
            assert_eq!(seen & row.bits, 0, "{row:x?}");
            seen |= row.bits;
        }
        assert_eq!(seen, u64::MAX);
    }

    #[test]
    fn parity_of_a_cached_register_restores_that_register() {
        let cached = TodError::CACHED_PARITY.into_iter().zip(TodRegister::CACHED);
        for (parity, register) in cached {
            let row = TABLE.iter().find(|row| row.bits == parity.bits()).unwrap();
            assert_eq!(row.remedy, Remedy::Restore(register));
        }
        let restored = bits_with(|remedy| matches!(remedy, Remedy::Restore(_)));
        assert_eq!(restored.bits().count_ones(), 9);
    }

    #[test]
    fn the_tod_stops_with_three_bits_only() {
        assert_eq!(
            bits_with(|remedy| remedy == Remedy::Restart),
            TodError::STOPPING
        );
        assert!(!maskable_bits().intersects(TodError::STOPPING));
        assert_eq!(
            !maskable_bits() & !TodError::STOPPING,
            TodError::from_bits_retain(ibm(57))
        );
    }
}
