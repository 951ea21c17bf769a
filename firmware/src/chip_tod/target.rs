//! Which core receives the TOD: the value of TX_TTYPE_CTRL for MOVE_TOD_TO_TB.

use crate::hardware::Pir;
use crate::platform::{Core, Generation, Platform};
use crate::quirks::fused_aim;
use power_registers::{ibm, ibm_range};

/// Core-ID mode: multicast.
const MULTICAST: u64 = ibm(25);
/// Core-ID mode: slave address, bits 26:31.
const SLAVE: u64 = ibm_range(26, 31);
/// TTYPE4 send mode and enable: another chip's recovery may rely on them.
const TTYPE4_RESPONSE: u64 = ibm_range(32, 33);
/// SCOM addressing mode.
const SCOM_ADDRESSING: u64 = ibm(35);
/// Register of a POWER10 core that takes the TOD.
const POWER10_PC_TOD: u32 = 0x4a3;

/// SCOM address of a core's register.
///
/// `register` is without the core's own part: 0x10xxxxxx on POWER8, 24 bits on POWER9, 12 bits on
/// POWER10. `core` is the number of the (small) core on its chip.
#[must_use]
pub const fn core_scom(generation: Generation, core: u32, register: u32) -> u32 {
    match generation {
        Generation::Power8 => (core & 0xf) << 24 | register,
        Generation::Power9 => ((core & 0x1f) + 0x20) << 24 | register,
        Generation::Power10 => {
            (0x20 + (core >> 2)) << 24 | 0x2_0000 | (1 << (3 - (core & 3))) << 12 | register
        }
    }
}

/// The new value of TX_TTYPE_CTRL that aims at the small core of `thread`, one of `core`'s; `old`
/// is its present value.
///
/// POWER8 and POWER9 name the core by number, POWER10 by the SCOM address of its receiver (core
/// numbers do not work there). Bits that are not the target stay as they are.
#[must_use]
pub fn aim(platform: &Platform, core: &Core, thread: Pir, old: u64) -> u64 {
    let generation = platform.generation;
    let own = core.scom_number_of(generation, thread);
    let number = fused_aim::receiver(generation, platform.processor_version, core.fused, own);
    let by_number = |select: u64| old & !(MULTICAST | SLAVE) | select << 32;
    match generation {
        Generation::Power8 => by_number(0x10 | u64::from(number & 0xf)),
        Generation::Power9 => by_number(0x20 | u64::from(number & 0x1f)),
        Generation::Power10 => {
            let address = u64::from(core_scom(generation, number, POWER10_PC_TOD));
            address << 32 | SCOM_ADDRESSING | old & TTYPE4_RESPONSE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::ChipId;
    use crate::test_hardware::platform;

    const POWER10_2_0: u32 = 0x0080_0200;
    const POWER10_1_0: u32 = 0x0080_0100;

    fn core(pir: u32) -> Core {
        Core::new(ChipId(0), [Pir(pir)].into_iter().collect())
    }

    fn aim(generation: Generation, core: &Core, old: u64) -> u64 {
        let thread = core.threads[0];
        super::aim(&platform(generation, 1), core, thread, old)
    }

    #[test]
    fn core_addresses() {
        assert_eq!(core_scom(Generation::Power8, 5, 0x1001_3100), 0x1501_3100);
        assert_eq!(core_scom(Generation::Power9, 1, 0x0001_0a40), 0x2101_0a40);
        assert_eq!(core_scom(Generation::Power9, 11, 0x0001_0a84), 0x2b01_0a84);
        assert_eq!(core_scom(Generation::Power10, 0, 0x440), 0x2002_8440);
        assert_eq!(core_scom(Generation::Power10, 5, 0x4a3), 0x2102_44a3);
    }

    #[test]
    fn targets_by_number_keep_the_rest_of_the_register() {
        // POWER8, core 5 of chip 0; POWER9, core 1 and core 11 of chip 1.
        assert_eq!(
            aim(Generation::Power8, &core(0x28), 0),
            0x0000_0015_0000_0000
        );
        assert_eq!(aim(Generation::Power9, &core(4), 0), 0x0000_0021_0000_0000);
        assert_eq!(
            aim(Generation::Power9, &core(0x12c), 0),
            0x0000_002b_0000_0000
        );
        assert_eq!(
            aim(Generation::Power9, &core(4), u64::MAX),
            0xffff_ffa1_ffff_ffff,
            "multicast off, slave address replaced, everything else untouched"
        );
    }

    #[test]
    fn targets_by_scom_address_keep_the_response_mode() {
        assert_eq!(aim(Generation::Power10, &core(0), 0), 0x2002_84a3_1000_0000);
        assert_eq!(
            aim(Generation::Power10, &core(0x14), 0),
            0x2102_44a3_1000_0000
        );
        assert_eq!(
            aim(Generation::Power10, &core(0), u64::MAX),
            0x2002_84a3_d000_0000
        );
    }

    /// The address part of the aim at the half of fused core 1 (small cores 2 and 3) that begins
    /// with this PIR.
    fn aim_at_half(generation: Generation, version: u32, first: u32) -> u64 {
        let mut platform = platform(generation, 1);
        platform.processor_version = version;
        let threads = (0..4).map(|thread| Pir(first + 2 * thread)).collect();
        let half = Core {
            fused: true,
            ..Core::new(ChipId(0), threads)
        };
        super::aim(&platform, &half, Pir(first + 2), 0) >> 32
    }

    #[test]
    fn of_a_fused_power10_of_revision_2_the_even_half_is_named() {
        assert_eq!(
            aim_at_half(Generation::Power10, POWER10_2_0, 8),
            0x2002_24a3
        );
        assert_eq!(
            aim_at_half(Generation::Power10, POWER10_2_0, 9),
            0x2002_24a3
        );
        assert_eq!(
            aim_at_half(Generation::Power10, POWER10_1_0, 8),
            0x2002_24a3
        );
        assert_eq!(
            aim_at_half(Generation::Power10, POWER10_1_0, 9),
            0x2002_14a3
        );
    }

    #[test]
    fn of_a_fused_power9_each_half_is_named() {
        assert_eq!(aim_at_half(Generation::Power9, 0x004e_0202, 8), 0x22);
        assert_eq!(aim_at_half(Generation::Power9, 0x004e_0202, 9), 0x23);
    }
}
