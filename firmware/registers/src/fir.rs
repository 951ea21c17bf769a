//! Fault isolation registers that a malfunction alert is traced to, and the special wakeup of
//! sleeping cores: bits and what they mean.
//!
//! Source: HMI and ChipTOD specification, sections 4.8 and 5.4.

use crate::ibm;

/// What a bit of a core's FIR says about the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreFirEffect {
    /// The core stopped; the reason as the ABI encodes it, 0 if that has no name for it.
    Checkstop(u32),
    /// Alone it is no checkstop, but beside one it tells more.
    Detail(u32),
    /// It was or can be recovered.
    Recoverable,
    /// For information, or set to inject an interrupt.
    Information,
}

/// One bit of a core's FIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreFirRow {
    /// The bit.
    pub mask: u64,
    /// What it says.
    pub effect: CoreFirEffect,
}

const fn row(bit: u32, effect: CoreFirEffect) -> CoreFirRow {
    CoreFirRow {
        mask: ibm(bit),
        effect,
    }
}

use CoreFirEffect::{Checkstop, Detail, Information, Recoverable};

/// Core FIR of POWER8 and POWER9. The recoverable ones are those of POWER9.
pub const CORE_POWER8_POWER9: &[CoreFirRow] = &[
    row(0, Recoverable),          // IFU SRAM
    row(2, Recoverable),          // IFU register file
    row(3, Checkstop(0x1)),       // IFU register file
    row(4, Recoverable),          // IFU logic
    row(5, Checkstop(0x2)),       // IFU logic
    row(8, Checkstop(0x4)),       // PC: checkstop during recovery
    row(9, Recoverable),          // ISU register file
    row(10, Checkstop(0x8)),      // ISU register file
    row(11, Recoverable),         // ISU logic
    row(12, Checkstop(0x10)),     // ISU logic
    row(13, Recoverable),         // ISU, not in the maintenance window
    row(21, Checkstop(0x20)),     // FXU logic
    row(24, Recoverable),         // VSU logic
    row(25, Checkstop(0x40)),     // VSU logic
    row(26, Checkstop(0x80)),     // PC: recovery in maintenance mode
    row(27, Recoverable),         // VSU DFU
    row(29, Recoverable),         // LSU SRAM
    row(31, Recoverable),         // LSU register file
    row(32, Checkstop(0x100)),    // LSU register file
    row(33, Recoverable),         // TLB multihit
    row(34, Recoverable),         // SLB multihit
    row(35, Recoverable),         // ERAT multihit
    row(36, Checkstop(0x200)),    // PC: no forward progress
    row(37, Recoverable),         // LSU logic
    row(38, Checkstop(0x400)),    // LSU logic
    row(39, Recoverable),         // LSU, not in the maintenance window
    row(43, Recoverable),         // PC: thread hang
    row(45, Checkstop(0x800)),    // PC logic
    row(48, Checkstop(0x1000)),   // PC: hypervisor resource
    row(52, Checkstop(0x2000)),   // PC: hang recovery failed
    row(54, Checkstop(0x4000)),   // PC: ambiguous hang
    row(60, Information),         // debug trigger: a side effect of HMER 17 and 18
    row(63, Checkstop(0x1_0000)), // injected through SPRC and SPRD
];

/// Core FIR of POWER10, with the reasons of POWER8 and POWER9 by their meaning.
pub const CORE_POWER10: &[CoreFirRow] = &[
    row(0, Recoverable),          // IFU SRAM
    row(1, Checkstop(0)),         // TC
    row(2, Recoverable),          // IFU register file
    row(3, Checkstop(0x1)),       // IFU register file
    row(4, Recoverable),          // IFU logic
    row(5, Checkstop(0x2)),       // IFU logic
    row(7, Recoverable),          // VSU accumulator
    row(8, Checkstop(0x4)),       // PC: checkstop during recovery
    row(9, Recoverable),          // VSU STF
    row(11, Recoverable),         // ISU logic
    row(12, Checkstop(0x10)),     // ISU logic
    row(14, Checkstop(0)),        // machine check with ME = 0
    row(15, Information),         // uncorrectable error from L2
    row(16, Checkstop(0)),        // too many of them
    row(17, Information),         // uncorrectable error on a cache-inhibited load
    row(18, Recoverable),         // TLB
    row(19, Information),         // SLB
    row(21, Recoverable),         // MMU context; FXU on the older ones
    row(22, Checkstop(0)),        // MMU logic
    row(23, Checkstop(0x2_0000)), // MMU, of the whole system
    row(24, Recoverable),         // VSU logic
    row(25, Checkstop(0x40)),     // VSU logic
    row(26, Detail(0x80)),        // PC: recovery in maintenance mode
    row(28, Checkstop(0)),        // PC, of the whole system
    row(29, Recoverable),         // LSU SRAM
    row(30, Information),         // LSU set delete
    row(31, Recoverable),         // LSU register file
    row(32, Checkstop(0x100)),    // LSU register file
    row(33, Information),         // TLB multihit
    row(34, Information),         // SLB multihit
    row(35, Information),         // ERAT multihit
    row(36, Checkstop(0x200)),    // PC: no forward progress
    row(37, Recoverable),         // LSU logic
    row(38, Checkstop(0x400)),    // LSU logic
    row(41, Checkstop(0)),        // LSU, of the whole system
    row(43, Recoverable),         // PC: thread hang
    row(45, Checkstop(0x800)),    // PC logic
    row(47, Checkstop(0x800)),    // PC: timebase facility
    row(52, Checkstop(0x2000)),   // PC: hang recovery failed
    row(53, Checkstop(0x4000)),   // PC: core internal hang
    row(55, Checkstop(0x4000)),   // PC: nest hang
    row(56, Recoverable),         // the other core of the chiplet
    row(57, Checkstop(0)),        // the other core
    row(58, Checkstop(0)),        // the other core, of the whole system
    row(59, Information),         // SCOM satellite
    row(60, Information),         // debug trigger: a side effect of HMER 18
    row(61, Recoverable),         // injected by SCOM or firmware; a side effect of HMER 16
    row(62, Checkstop(0x1_0000)), // injected by firmware
    row(63, Checkstop(0x1_0000)), // injected through SPRC and SPRD
];

/// One bit of an NX FIR that stops the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NxRow {
    /// The bit.
    pub mask: u64,
    /// The reason as the ABI encodes it.
    pub reason: u32,
}

const fn nx(bit: u32, reason: u32) -> NxRow {
    NxRow {
        mask: ibm(bit),
        reason,
    }
}

/// NX DMA and engine FIR.
pub const NX_DMA_ENGINE: &[NxRow] = &[
    nx(1, 0x1),     // SHM, invalid state
    nx(15, 0x2),    // DMA, invalid state 1
    nx(16, 0x4),    // DMA, invalid state 2
    nx(20, 0x8),    // channel 0
    nx(21, 0x10),   // channel 1
    nx(22, 0x20),   // channel 2
    nx(23, 0x40),   // channel 3
    nx(24, 0x80),   // channel 4
    nx(25, 0x100),  // channel 5
    nx(26, 0x200),  // channel 6
    nx(27, 0x400),  // channel 7
    nx(31, 0x800),  // CRB, uncorrectable error
    nx(32, 0x1000), // CRB, special uncorrectable error
];

/// NX PowerBus interface FIR. Its bit is none of [`NX_DMA_ENGINE`]'s.
pub const NX_POWERBUS: &[NxRow] = &[nx(12, 0x2000)]; // ISN, uncorrectable error

/// NX status: the unit asks for attention.
pub const NX_ATTENTION: u64 = ibm(54);
/// Bit of the NX DMA and engine FIR that asks the diagnostics for an analysis.
pub const NX_DIAGNOSE: u64 = ibm(38);
/// CAPP error status: the unit asks for its recovery.
pub const CAPP_RECOVERY: u64 = ibm(0);
/// Special wakeup of a core: the request.
pub const WAKEUP_REQUEST: u64 = ibm(0);
/// Special wakeup is done: PM GP0 of POWER8.
pub const WAKEUP_DONE_POWER8: u64 = ibm(31);
/// Special wakeup is done: special status of POWER9 and POWER10.
pub const WAKEUP_DONE: u64 = ibm(1);

/// All bits of a table of core FIR rows.
#[must_use]
pub const fn core_bits(rows: &[CoreFirRow]) -> u64 {
    let (mut bits, mut n) = (0, 0);
    while n < rows.len() {
        bits |= rows[n].mask;
        n += 1;
    }
    bits
}

/// All bits of a table of NX rows.
#[must_use]
pub const fn nx_bits(rows: &[NxRow]) -> u64 {
    let (mut bits, mut n) = (0, 0);
    while n < rows.len() {
        bits |= rows[n].mask;
        n += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_those_of_section_5_4() {
        assert_eq!(NX_ATTENTION, 0x200);
        assert_eq!(NX_DIAGNOSE, 0x0200_0000);
        assert_eq!(WAKEUP_DONE_POWER8, 0x1_0000_0000);
        for (mask, reason) in [
            (0x1000_0000_0000_0000, 0x1),
            (0x0400_0000_0000_0000, 0x2),
            (0x0080_0000_0000_0000, 0x4),
            (0x0020_0000_0000_0000, 0x8),
            (0x0008_0000_0000_0000, 0x10),
            (0x0000_0400_0000_0000, 0x20),
            (0x0000_0040_0000_0000, 0x40),
            (0x0000_0020_0000_0000, 0x80),
            (0x0000_0000_8000_0000, 0x100),
            (0x0000_0000_0800_0000, 0x200),
            (0x0000_0000_0200_0000, 0x400),
            (0x0000_0000_0004_0000, 0x800),
            (0x0000_0000_0000_8000, 0x1000),
            (0x0000_0000_0000_0800, 0x2000),
            (0x0000_0000_0000_0200, 0x4000),
            (0x0000_0000_0000_0001, 0x1_0000),
        ] {
            let found = CORE_POWER8_POWER9.iter().find(|row| row.mask == mask);
            assert_eq!(found.unwrap().effect, Checkstop(reason));
        }
    }

    #[test]
    fn no_bit_stands_twice() {
        for rows in [CORE_POWER8_POWER9, CORE_POWER10] {
            assert_eq!(core_bits(rows).count_ones() as usize, rows.len());
        }
        assert_eq!(
            nx_bits(NX_DMA_ENGINE).count_ones() as usize,
            NX_DMA_ENGINE.len()
        );
        assert_eq!(nx_bits(NX_DMA_ENGINE) & nx_bits(NX_POWERBUS), 0);
        let both = NX_DMA_ENGINE.iter().chain(NX_POWERBUS);
        let reasons = both.fold(0, |all, row| all | row.reason);
        assert_eq!(reasons, 0x3fff);
    }
}
