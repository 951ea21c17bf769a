//! Telling the diagnostics daemon: a bit of the chip's local FIR, set by its OR address.

use super::TodPlace;
use crate::hardware::Hardware;
use crate::platform::Generation;
use crate::system::System;
use power_registers::ibm;

/// Where firmware reports a TOD error, and with which bit. Source: HMI and ChipTOD specification,
/// section 3.10. POWER10's OR address is presumed from its neighbours, not documented.
#[must_use]
pub const fn local_fir(generation: Generation) -> (u32, u64) {
    match generation {
        Generation::Power8 => (0x0104_000c, ibm(18)),
        Generation::Power9 => (0x0104_000c, ibm(20)),
        Generation::Power10 => (0x0104_0102, ibm(27)),
    }
}

impl System<'_> {
    /// Tells the diagnostics daemon that the TOD of this chip had an error. Nothing depends on
    /// whether it hears of it.
    pub(super) fn tell_diagnostics<H: Hardware>(&self, hw: &mut H, tod: TodPlace) {
        let (address, bit) = local_fir(self.platform.generation);
        let told = self.xscom.write(hw, self.platform, tod.chip, address, bit);
        if told.is_ok() {
            self.chip_tod.counters.count_told();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bit_of_an_error_that_firmware_reports() {
        assert_eq!(
            local_fir(Generation::Power8),
            (0x0104_000c, 0x0000_2000_0000_0000)
        );
        assert_eq!(
            local_fir(Generation::Power9),
            (0x0104_000c, 0x0000_0800_0000_0000)
        );
        assert_eq!(
            local_fir(Generation::Power10),
            (0x0104_0102, 0x0000_0010_0000_0000)
        );
    }
}
