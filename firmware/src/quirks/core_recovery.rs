//! HID0: whether a core tries to recover from its own errors.
//!
//! POWER8 and POWER9 come up with recovery off, by bits of different place: firmware turns it on.
//! On POWER10 an erratum (HW570622) makes recovery itself harmful: firmware turns it off.
//!
//! Source: HMI and ChipTOD specification, section 1.3.

use crate::platform::Generation;
use power_registers::ibm;

/// HID0 with core recovery as it should be on this generation; all else stays.
#[must_use]
pub const fn hid0(generation: Generation, value: u64) -> u64 {
    // The bit disables recovery on all of them.
    match generation {
        Generation::Power8 => value & !ibm(13),
        Generation::Power9 => value & !ibm(5),
        Generation::Power10 => value | ibm(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_is_on_until_power9_and_off_on_power10() {
        assert_eq!(hid0(Generation::Power8, u64::MAX), !0x0004_0000_0000_0000);
        assert_eq!(hid0(Generation::Power9, u64::MAX), !0x0400_0000_0000_0000);
        assert_eq!(hid0(Generation::Power10, 0), 0x0400_0000_0000_0000);
    }
}
