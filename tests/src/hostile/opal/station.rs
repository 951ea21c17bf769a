//! A thread of the model with something on its LPC bus, which the model has not.

use crate::ModelHardware;
use hardware_model::Random;
use opaline_firmware::hardware::{Hardware, Pir};
use power_registers::{Hmer, Tfmr};

/// What is on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bus {
    /// Nothing: all ones.
    Nobody,
    /// A UART that is always ready and has always input.
    Ready,
    /// Whatever is there is broken.
    Anything,
}

/// The thread and its bus.
#[derive(Debug)]
pub(super) struct Station<'a> {
    model: ModelHardware<'a>,
    bus: Bus,
    random: Random,
}

impl<'a> Station<'a> {
    pub(super) fn new(model: ModelHardware<'a>, bus: u8) -> Self {
        Self {
            model,
            bus: match bus % 4 {
                0 | 1 => Bus::Ready,
                2 => Bus::Nobody,
                _ => Bus::Anything,
            },
            random: Random::new(bus.into()),
        }
    }
}

impl Hardware for Station<'_> {
    fn load_byte(&mut self, address: u64) -> u8 {
        match self.bus {
            Bus::Nobody => 0xff,
            Bus::Anything => self.random.word() as u8,
            // Line status of the UART; its other registers, and all else on the bus.
            Bus::Ready => match address & 0xffff {
                0x3fd => 0x61,
                0x3f8..=0x3ff => 0x2a,
                _ => 0xff,
            },
        }
    }
    fn store_byte(&mut self, _: u64, _: u8) {}
    fn load_half_word(&mut self, address: u64) -> u16 {
        self.model.load_half_word(address)
    }
    fn load_word(&mut self, address: u64) -> u32 {
        self.model.load_word(address)
    }
    fn store_word(&mut self, address: u64, value: u32) {
        self.model.store_word(address, value);
    }

    fn pir(&self) -> Pir {
        self.model.pir()
    }
    fn tfmr(&mut self) -> Tfmr {
        self.model.tfmr()
    }
    fn set_tfmr(&mut self, value: Tfmr) {
        self.model.set_tfmr(value);
    }
    fn hmer(&mut self) -> Hmer {
        self.model.hmer()
    }
    fn and_hmer(&mut self, keep: u64) {
        self.model.and_hmer(keep);
    }
    fn hmeer(&mut self) -> Hmer {
        self.model.hmeer()
    }
    fn set_hmeer(&mut self, value: Hmer) {
        self.model.set_hmeer(value);
    }
    fn hid0(&mut self) -> u64 {
        self.model.hid0()
    }
    fn set_hid0(&mut self, value: u64) {
        self.model.set_hid0(value);
    }
    fn wake(&mut self, _: Pir) {}
    fn timebase(&mut self) -> u64 {
        self.model.timebase()
    }
    fn set_timebase_lower(&mut self, value: u32) {
        self.model.set_timebase_lower(value);
    }
    fn set_timebase_upper(&mut self, value: u32) {
        self.model.set_timebase_upper(value);
    }
    fn set_decrementer(&mut self, value: u64) {
        self.model.set_decrementer(value);
    }
    fn set_hypervisor_decrementer(&mut self, value: u64) {
        self.model.set_hypervisor_decrementer(value);
    }
    fn purr(&mut self) -> u64 {
        self.model.purr()
    }
    fn spurr(&mut self) -> u64 {
        self.model.spurr()
    }
    fn set_purr(&mut self, value: u64) {
        self.model.set_purr(value);
    }
    fn set_spurr(&mut self, value: u64) {
        self.model.set_spurr(value);
    }
    fn load(&mut self, address: u64) -> u64 {
        self.model.load(address)
    }
    fn store(&mut self, address: u64, value: u64) {
        self.model.store(address, value);
    }
    fn relax(&mut self) {
        self.model.relax();
    }
}
