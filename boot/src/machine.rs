//! The firmware's hardware trait, by instructions.

use crate::instructions as cpu;
use opaline_firmware::hardware::{Hardware, Pir};
use power_registers::{Hmer, Tfmr};

/// The calling hardware thread. Holds nothing: every method acts on the thread that runs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThisThread;

impl Hardware for ThisThread {
    fn pir(&self) -> Pir {
        Pir(cpu::pir())
    }

    fn tfmr(&mut self) -> Tfmr {
        Tfmr::from_bits_retain(cpu::tfmr())
    }

    fn set_tfmr(&mut self, value: Tfmr) {
        cpu::set_tfmr(value.bits());
    }

    fn hmer(&mut self) -> Hmer {
        Hmer::from_bits_retain(cpu::hmer())
    }

    fn and_hmer(&mut self, keep: u64) {
        cpu::set_hmer(keep);
    }

    fn hmeer(&mut self) -> Hmer {
        Hmer::from_bits_retain(cpu::hmeer())
    }

    fn set_hmeer(&mut self, value: Hmer) {
        cpu::set_hmeer(value.bits());
    }

    fn hid0(&mut self) -> u64 {
        cpu::hid0()
    }

    fn set_hid0(&mut self, value: u64) {
        cpu::set_hid0(value);
    }

    fn wake(&mut self, thread: Pir) {
        crate::waiting::wake(thread);
    }

    fn timebase(&mut self) -> u64 {
        cpu::tb()
    }

    fn set_timebase_lower(&mut self, value: u32) {
        cpu::set_tbwl(u64::from(value));
    }

    fn set_timebase_upper(&mut self, value: u32) {
        cpu::set_tbwu(u64::from(value));
    }

    fn set_decrementer(&mut self, value: u64) {
        cpu::set_dec(value);
    }

    fn set_hypervisor_decrementer(&mut self, value: u64) {
        cpu::set_hdec(value);
    }

    fn purr(&mut self) -> u64 {
        cpu::purr()
    }

    fn spurr(&mut self) -> u64 {
        cpu::spurr()
    }

    fn set_purr(&mut self, value: u64) {
        cpu::set_purr(value);
    }

    fn set_spurr(&mut self, value: u64) {
        cpu::set_spurr(value);
    }

    fn load(&mut self, address: u64) -> u64 {
        cpu::load_doubleword(address)
    }

    fn store(&mut self, address: u64, value: u64) {
        cpu::store_doubleword(address, value);
    }

    fn load_half_word(&mut self, address: u64) -> u16 {
        cpu::load_half_word(address)
    }

    fn load_word(&mut self, address: u64) -> u32 {
        cpu::load_word(address)
    }

    fn store_word(&mut self, address: u64, value: u32) {
        cpu::store_word(address, value);
    }

    fn load_byte(&mut self, address: u64) -> u8 {
        cpu::load_byte(address)
    }

    fn store_byte(&mut self, address: u64, value: u8) {
        cpu::store_byte(address, value);
    }

    fn relax(&mut self) {
        cpu::relax();
    }
}
