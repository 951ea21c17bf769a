//! The few POWER instructions that are stuffed into a thread, and those that are looked for.

use power_registers::Spr;

/// A general-purpose register, by number.
pub type Gpr = u32;

/// `sc 1`: a hypercall, the shortest way from a guest into the hypervisor.
pub const SC_1: u32 = 0x4400_0022;
/// `hrfid`.
pub const HRFID: u32 = 0x4c00_0224;
const RFID: u32 = 0x4c00_0024;
/// `stop`, the sleep of POWER9 and later.
pub const STOP: u32 = 0x4c00_02e4;
/// `nap`, the sleep of POWER8.
pub const NAP: u32 = 0x4c00_0364;
/// `or 31, 31, 31`: the lowest priority; the emulator goes on with another thread.
pub const YIELD: u32 = 0x7fff_fb78;
/// `b` to the instruction before.
pub const BRANCH_BACK: u32 = 0x4bff_fffc;
/// `isync`.
pub const ISYNC: u32 = 0x4c00_012c;

const fn spr_field(spr: Spr) -> u32 {
    let number = spr as u32;
    (number & 31) << 16 | (number >> 5) << 11
}

/// `mfspr target, spr`.
#[must_use]
pub const fn mfspr(target: Gpr, spr: Spr) -> u32 {
    0x7c00_02a6 | target << 21 | spr_field(spr)
}

/// `mtspr spr, source`.
#[must_use]
pub const fn mtspr(spr: Spr, source: Gpr) -> u32 {
    0x7c00_03a6 | source << 21 | spr_field(spr)
}

/// `add target, a, b`.
#[must_use]
pub const fn add(target: Gpr, a: Gpr, b: Gpr) -> u32 {
    0x7c00_0214 | target << 21 | a << 16 | b << 11
}

/// `xor target, a, b`.
#[must_use]
pub const fn xor(target: Gpr, a: Gpr, b: Gpr) -> u32 {
    0x7c00_0278 | a << 21 | target << 16 | b << 11
}

/// `li target, value`.
#[must_use]
pub const fn li(target: Gpr, value: u16) -> u32 {
    0x3800_0000 | target << 21 | value as u32
}

/// `mtctr source`.
#[must_use]
pub const fn mtctr(source: Gpr) -> u32 {
    0x7c09_03a6 | source << 21
}

/// `msgsnd operand`.
#[must_use]
pub const fn msgsnd(operand: Gpr) -> u32 {
    0x7c00_019c | operand << 11
}

/// `bdnz` back over so many instructions.
#[must_use]
pub const fn bdnz_back(instructions: u16) -> u32 {
    0x4200_0000 | (instructions.wrapping_mul(4).wrapping_neg() & 0xfffc) as u32
}

/// `srdi target, source, 32`.
#[must_use]
pub const fn upper_half(target: Gpr, source: Gpr) -> u32 {
    // rldicl target, source, 32, 32
    0x7800_0022 | source << 21 | target << 16
}

/// Whether this instruction may open interrupts or leave hypervisor state: behind it a pending
/// HMI is taken.
#[must_use]
pub const fn may_open_interrupts(word: u32) -> bool {
    let extended = word & 0xfc00_07fe;
    word == HRFID
        || word == RFID
        || extended == 0x7c00_0164 // mtmsrd
        || extended == 0x7c00_0124 // mtmsr
}

/// A doubleword store: which registers its address is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoublewordStore {
    /// Base register; `None` is zero.
    pub base: Option<Gpr>,
    /// Index register, for the X forms.
    pub index: Option<Gpr>,
    /// Displacement, for the DS form.
    pub displacement: i64,
}

impl DoublewordStore {
    /// Decodes `std`, `stdx` and `stdcix`; anything else is `None`.
    #[must_use]
    pub const fn decode(word: u32) -> Option<Self> {
        let a = word >> 16 & 31;
        let base = if a == 0 { None } else { Some(a) };
        if word >> 26 == 62 && word & 3 == 0 {
            let displacement = (word & 0xfffc) as u16 as i16 as i64;
            return Some(Self {
                base,
                index: None,
                displacement,
            });
        }
        if word >> 26 == 31 && matches!(word >> 1 & 0x3ff, 149 | 1013) {
            return Some(Self {
                base,
                index: Some(word >> 11 & 31),
                displacement: 0,
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as an assembler makes them.
    #[test]
    fn encodings() {
        assert_eq!(mfspr(3, Spr::Vtb), 0x7c71_d2a6);
        assert_eq!(mfspr(4, Spr::Tb), 0x7c8c_42a6);
        assert_eq!(mtspr(Spr::Tbwl, 6), 0x7cdc_43a6);
        assert_eq!(mtspr(Spr::Tbwu, 5), 0x7cbd_43a6);
        assert_eq!(add(3, 3, 4), 0x7c63_2214);
        assert_eq!(xor(3, 4, 5), 0x7c83_2a78);
        assert_eq!(li(6, 0), 0x38c0_0000);
        assert_eq!(mtctr(9), 0x7d29_03a6);
        assert_eq!(bdnz_back(1), 0x4200_fffc);
        assert_eq!(upper_half(5, 3), 0x7865_0022);
    }

    #[test]
    fn stores_are_decoded() {
        let store = |base, index, displacement| {
            Some(DoublewordStore {
                base,
                index,
                displacement,
            })
        };
        assert_eq!(
            DoublewordStore::decode(0xf8a4_fff0),
            store(Some(4), None, -16)
        );
        assert_eq!(
            DoublewordStore::decode(0x7ca0_27ea),
            store(None, Some(4), 0)
        );
        assert_eq!(
            DoublewordStore::decode(0x7ca3_212a),
            store(Some(3), Some(4), 0)
        );
        // stdu, ld, mtmsrd.
        for other in [0xf8a4_fff1, 0xe8a4_0000, 0x7c61_0164] {
            assert_eq!(DoublewordStore::decode(other), None, "{other:#x}");
        }
    }

    #[test]
    fn gates_are_recognised() {
        for gate in [HRFID, RFID, 0x7c61_0164, 0x7c60_0124] {
            assert!(may_open_interrupts(gate), "{gate:#x}");
        }
        for other in [SC_1, ISYNC, 0x7c60_00a6, 0x4e80_0020] {
            assert!(!may_open_interrupts(other), "{other:#x}");
        }
    }
}
