//! The way from the driver of the controller to the hardware.

use crate::hardware::{ChipId, Hardware};
use crate::platform::Platform;
use crate::xscom::Xscom;
use xive_controller::Bus;

/// The calling thread, with the way to SCOM registers.
pub(crate) struct Door<'d, H> {
    pub(super) hw: &'d mut H,
    pub(super) platform: &'d Platform,
    pub(super) xscom: &'d Xscom,
}

impl<H: Hardware> Bus for Door<'_, H> {
    fn scom(&mut self, chip: u32, address: u32, value: u64) -> bool {
        let done = self
            .xscom
            .write(self.hw, self.platform, ChipId(chip), address, value);
        done.is_ok()
    }

    fn load(&mut self, address: u64) -> u64 {
        self.hw.load(address)
    }

    fn store(&mut self, address: u64, value: u64) {
        self.hw.store(address, value);
    }

    fn load_half_word(&mut self, address: u64) -> u16 {
        self.hw.load_half_word(address)
    }

    fn store_word(&mut self, address: u64, value: u32) {
        self.hw.store_word(address, value);
    }

    fn store_byte(&mut self, address: u64, value: u8) {
        self.hw.store_byte(address, value);
    }

    fn relax(&mut self) {
        self.hw.relax();
    }
}
