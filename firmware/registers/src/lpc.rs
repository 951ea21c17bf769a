//! Serial interrupts of the LPC bus of POWER9: registers of its controller and of the bus that leads
//! to it (OPB), as offsets in the window of the chip. All have four bytes.

/// Controller: whether serial interrupts are collected.
pub const SERIAL_CONTROL: u64 = 0xc001_2030;
/// Controller: which of them count; the first is the most significant bit.
pub const SERIAL_MASK: u64 = 0xc001_2034;
/// Controller: which came; ones clear them.
pub const SERIAL_STATUS: u64 = 0xc001_2038;
/// OPB master: on which of four lines interrupts 14 and 15 go.
pub const ROUTES_0: u64 = 0xc001_0008;
/// OPB master: on which of four lines interrupts 0 to 13 go.
pub const ROUTES_1: u64 = 0xc001_000c;

/// Collect them, a frame at a time.
pub const COLLECT: u32 = 1 << 31;

/// The bit of a serial interrupt in mask and status.
#[must_use]
pub const fn serial(interrupt: u32) -> u32 {
    (1 << 31) >> (interrupt & 0x1f)
}

/// [`ROUTES_1`] with one interrupt on a line; all others on line 0.
#[must_use]
pub const fn route(interrupt: u32, line: u32) -> u32 {
    assert!(interrupt < 14 && line < 4, "14 interrupts on four lines");
    line << (26 - 2 * interrupt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_is_interrupt_4_on_line_1() {
        assert_eq!(serial(4), 0x0800_0000);
        assert_eq!(route(4, 1), 1 << 18);
        assert_eq!(route(13, 3), 3);
    }
}
