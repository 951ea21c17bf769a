//! POWER10 revision 2, fused cores: the TOD is sent to the even small core, for both halves.
//!
//! Each half has its own TFMR and goes through the sequence by itself, but the receiver of the odd
//! half cannot be addressed: aimed at the even one, the value reaches the half that waits.
//!
//! Source: HMI and ChipTOD specification, sections 2.6 and 3.4.

use crate::platform::Generation;

/// Small core to aim at so that small core `number` receives the TOD.
///
/// `version` is the processor version register (PVR); its bits 20:23 are the major revision.
#[must_use]
pub const fn receiver(generation: Generation, version: u32, fused: bool, number: u32) -> u32 {
    let major = version >> 8 & 0xf;
    if fused && major == 2 && matches!(generation, Generation::Power10) {
        number & !1
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POWER10_2_0: u32 = 0x0080_0200;
    const POWER10_1_0: u32 = 0x0080_0100;
    const POWER9_2_2: u32 = 0x004e_0202;

    #[test]
    fn the_even_half_of_a_fused_power10_of_revision_2() {
        let aimed = |generation, version, fused| receiver(generation, version, fused, 3);
        assert_eq!(aimed(Generation::Power10, POWER10_2_0, true), 2);
        assert_eq!(aimed(Generation::Power10, POWER10_2_0, false), 3);
        assert_eq!(aimed(Generation::Power10, POWER10_1_0, true), 3);
        assert_eq!(aimed(Generation::Power9, POWER9_2_2, true), 3);
        assert_eq!(receiver(Generation::Power10, POWER10_2_0, true, 2), 2);
    }
}
