//! The instructions of the bare program that the fault injector does not have.

use fault_injector::instructions::Gpr;

/// Load or store of a doubleword at `displacement(base)`.
const fn ds_form(opcode: u32, register: Gpr, displacement: u16, base: Gpr) -> u32 {
    opcode << 26 | register << 21 | base << 16 | (displacement & 0xfffc) as u32
}

/// `ld`.
pub(crate) const fn ld(target: Gpr, displacement: u16, base: Gpr) -> u32 {
    ds_form(58, target, displacement, base)
}

/// `std`.
pub(crate) const fn std(source: Gpr, displacement: u16, base: Gpr) -> u32 {
    ds_form(62, source, displacement, base)
}

/// `lis target, value`.
pub(crate) const fn lis(target: Gpr, value: u16) -> u32 {
    0x3c00_0000 | target << 21 | value as u32
}

/// `addi target, source, value`.
pub(crate) const fn addi(target: Gpr, source: Gpr, value: u16) -> u32 {
    0x3800_0000 | target << 21 | source << 16 | value as u32
}

/// `andi. target, source, mask`.
pub(crate) const fn andi(target: Gpr, source: Gpr, mask: u16) -> u32 {
    0x7000_0000 | source << 21 | target << 16 | mask as u32
}

/// `mulli target, source, factor`.
pub(crate) const fn mulli(target: Gpr, source: Gpr, factor: u16) -> u32 {
    0x1c00_0000 | target << 21 | source << 16 | factor as u32
}

const fn md_form(extended: u32, target: Gpr, source: Gpr, shift: u32, limit: u32) -> u32 {
    30 << 26
        | source << 21
        | target << 16
        | (shift & 31) << 11
        | (limit & 31) << 6
        | (limit >> 5) << 5
        | extended << 2
        | (shift >> 5) << 1
}

/// `sldi target, source, shift`.
pub(crate) const fn sldi(target: Gpr, source: Gpr, shift: u32) -> u32 {
    md_form(1, target, source, shift, 63 - shift)
}

/// `srdi target, source, shift`, for shifts from 1.
pub(crate) const fn srdi(target: Gpr, source: Gpr, shift: u32) -> u32 {
    md_form(0, target, source, 64 - shift, shift)
}

/// `cmpd a, b`.
pub(crate) const fn cmpd(a: Gpr, b: Gpr) -> u32 {
    0x7c20_0000 | a << 16 | b << 11
}

/// `bne` over so many bytes.
pub(crate) const fn bne(bytes: i16) -> u32 {
    0x4082_0000 | (bytes as u16 & 0xfffc) as u32
}

/// `b` over so many bytes.
pub(crate) const fn b(bytes: i32) -> u32 {
    0x4800_0000 | bytes as u32 & 0x03ff_fffc
}

/// `bctr`.
pub(crate) const BCTR: u32 = 0x4e80_0420;
/// `sync`.
pub(crate) const SYNC: u32 = 0x7c00_04ac;
/// `or 1, 1, 1`: low priority; QEMU lets another thread run.
pub(crate) const PRIORITY_LOW: u32 = 0x7c21_0b78;
/// `or 2, 2, 2`: normal priority.
pub(crate) const PRIORITY_MEDIUM: u32 = 0x7c42_1378;

/// `ldcix target, 0, address`.
pub(crate) const fn ldcix(target: Gpr, address: Gpr) -> u32 {
    0x7c00_06ea | target << 21 | address << 11
}

/// `stdcix source, 0, address`.
pub(crate) const fn stdcix(source: Gpr, address: Gpr) -> u32 {
    0x7c00_07ea | source << 21 | address << 11
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as an assembler makes them.
    #[test]
    fn encodings() {
        assert_eq!(ld(5, 8, 12), 0xe8ac_0008);
        assert_eq!(std(4, 0, 6), 0xf886_0000);
        assert_eq!(lis(10, 0x10), 0x3d40_0010);
        assert_eq!(addi(5, 5, 1), 0x38a5_0001);
        assert_eq!(andi(3, 3, 7), 0x7063_0007);
        assert_eq!(mulli(4, 4, 4), 0x1c84_0004);
        assert_eq!(sldi(6, 5, 5), 0x78a6_2ea4);
        assert_eq!(sldi(6, 6, 3), 0x78c6_1f24);
        assert_eq!(srdi(4, 3, 8), 0x7864_c202);
        assert_eq!(cmpd(7, 3), 0x7c27_1800);
        assert_eq!(bne(8), 0x4082_0008);
        assert_eq!(b(-8), 0x4bff_fff8);
        assert_eq!(ldcix(4, 8), 0x7c80_46ea);
        assert_eq!(stdcix(4, 8), 0x7c80_47ea);
    }
}
