//! POWER9 loses the first access to a core that just woke, and says "invalid address".
//!
//! An access to another register, which is expected to fail, brings the path back.
//!
//! Source: HMI and ChipTOD specification, section 3.1, status code 4.

use crate::platform::Generation;

/// The way back to a core whose path is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostWakeup {
    mask: u32,
    first: u32,
    last: u32,
    /// Written with 0 as it stands, without the core's own offset.
    pub poke: u32,
    /// How often the original access is tried again.
    pub attempts: u32,
}

const POWER9_LOST_WAKEUP: LostWakeup = LostWakeup {
    mask: 0x200f_fbff,
    first: 0x2001_0a00,
    last: 0x2001_0abf,
    poke: 0x2001_0800,
    attempts: 10,
};

/// The erratum, if the generation has it and the address is one that suffers from it.
#[must_use]
pub const fn lost_wakeup(generation: Generation, address: u32) -> Option<LostWakeup> {
    let rule = POWER9_LOST_WAKEUP;
    let masked = address & rule.mask;
    let suffers =
        matches!(generation, Generation::Power9) && masked >= rule.first && masked <= rule.last;
    if suffers { Some(rule) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_wakeup_is_for_core_registers_of_power9_only() {
        assert!(lost_wakeup(Generation::Power9, 0x2101_0a40).is_some());
        assert!(lost_wakeup(Generation::Power9, 0x2b01_0a84).is_some());
        assert!(lost_wakeup(Generation::Power9, 0x2001_0ac0).is_none());
        assert!(lost_wakeup(Generation::Power9, 0x0004_0024).is_none());
        assert!(lost_wakeup(Generation::Power10, 0x2001_0a40).is_none());
    }
}
