//! Serial interrupts of the LPC bus: of them, that of the console's UART.

use crate::hardware::Hardware;
use power_registers::lpc::{
    COLLECT, ROUTES_0, ROUTES_1, SERIAL_CONTROL, SERIAL_MASK, SERIAL_STATUS, route, serial,
};
use power_registers::xive::psi;

/// The interrupt of the first serial port, as on PCs.
const UART: u32 = 4;

/// Has the bus collect them: the UART's goes to a line of its own, no other counts.
pub(super) fn collect<H: Hardware>(hw: &mut H, base: u64) {
    hw.store_word(base + SERIAL_MASK, 0);
    hw.store_word(base + ROUTES_0, 0);
    hw.store_word(base + ROUTES_1, route(UART, psi::UART - psi::SERIAL_LINE_0));
    hw.store_word(base + SERIAL_CONTROL, COLLECT);
    clear(hw, base);
    hw.store_word(base + SERIAL_MASK, serial(UART));
}

/// Forgets that of the UART; if the UART still has it, it comes again.
pub(super) fn clear<H: Hardware>(hw: &mut H, base: u64) {
    hw.store_word(base + SERIAL_STATUS, serial(UART));
}
