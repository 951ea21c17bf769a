//! POWER9: threads other than 0 go on reading TFMR 26 (HDEC parity) and 45 (TB residue) as 1 after
//! these were cleared; only thread 0 shows the truth.
//!
//! The truth can be had from any thread: SPRC selects thread 0's TFMR, SPRD reads it, both by SCOM.
//!
//! Source: HMI and ChipTOD specification, section 2.6.

use crate::platform::Generation;
use power_registers::Tfmr;

/// The bits that latch.
const LATCHED: Tfmr = Tfmr::HDEC_PARITY.union(Tfmr::TB_RESIDUE_ERROR);

/// How to read thread 0's TFMR from another thread of its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Core register that selects (SPRC), without the core's own part of the address.
    pub select_register: u32,
    /// What is written there.
    pub selector: u64,
    /// Core register with the answer (SPRD).
    pub data_register: u32,
}

/// Where thread 0's TFMR is to be read.
pub const TRUTH: Truth = Truth {
    select_register: 0x0001_0a80,
    selector: 8 << 3,
    data_register: 0x0001_0a81,
};

/// Bits of TFMR that mean nothing on this thread of a core, unless thread 0 shows them too.
#[must_use]
pub const fn latched(generation: Generation, thread: usize) -> Tfmr {
    if matches!(generation, Generation::Power9) && thread != 0 {
        LATCHED
    } else {
        Tfmr::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secondaries_of_power9_may_lie() {
        assert_eq!(latched(Generation::Power9, 1).bits(), 0x0000_0020_0004_0000);
        assert!(latched(Generation::Power9, 0).is_empty());
        assert!(latched(Generation::Power8, 7).is_empty());
        assert!(latched(Generation::Power10, 3).is_empty());
    }
}
