//! Special-purpose registers of a thread.

use crate::machine::State;
use crate::trace::Register;
use power_registers::{Hmer, Spr, Tfmr};

impl State {
    pub(crate) fn read_spr(&mut self, thread: usize, spr: Spr) -> u64 {
        let (core, number) = self.place(thread);
        let now = self.now;
        let own = &self.threads[thread];
        match spr {
            Spr::Tfmr => {
                let view = self.tod_view(self.configuration.chip_of(core));
                let garbage = self.random.word();
                self.cores[core].read_tfmr(number, now, view, garbage)
            }
            Spr::Hmer => self.read_hmer(thread),
            Spr::Hmeer => self.cores[core].hmeer,
            Spr::Tb => self.cores[core].timebase(number, now),
            Spr::Hdec => self.cores[core].copies[self.cores[core].copy_of[number]].hdec,
            Spr::Dec => own.dec.wrapping_sub(now - own.counted_from[0]),
            Spr::Purr => own.purr.wrapping_add(now - own.counted_from[1]),
            Spr::Spurr => own.spurr.wrapping_add(now - own.counted_from[2]),
            Spr::Pir => u64::from(self.configuration.pir(thread)),
            Spr::Hid0 => own.hid0,
            other => panic!("the model has no {other:?} to read"),
        }
    }

    pub(crate) fn write_spr(&mut self, thread: usize, spr: Spr, value: u64) {
        self.record(thread, Register::Spr(spr), value);
        let (core, number) = self.place(thread);
        let now = self.now;
        match spr {
            Spr::Tfmr => {
                let effects = self.cores[core].write_tfmr(number, thread, value, now);
                for rule in effects.violations {
                    self.violation(thread, rule, value);
                }
                if effects.timer_hmi {
                    self.raise_core(core, Hmer::TFAC_ERROR);
                }
                if effects.second_hmi {
                    self.raise_core(core, Hmer::TIMER);
                }
            }
            Spr::Hmer => {
                let own = &self.threads[thread];
                if own.mailbox.is_some() && !value & Hmer::XSCOM_MAILBOX.bits() != 0 {
                    self.violation(
                        thread,
                        "the XSCOM mailbox cleared with an access in flight",
                        value,
                    );
                }
                self.threads[thread].hmer &= value;
            }
            Spr::Hmeer => {
                if value & Hmer::XSCOM_MAILBOX.bits() != 0 {
                    self.violation(thread, "HMEER must never enable the XSCOM mailbox", value);
                }
                self.cores[core].hmeer = value & Hmer::IMPLEMENTED;
            }
            Spr::Tbwl => {
                if self.cores[core].write_lower(number, value, now) {
                    self.violation(thread, "mttbl while TB is RUNNING", value);
                    self.raise_core(core, Hmer::TFAC_ERROR);
                }
            }
            Spr::Tbwu => self.cores[core].write_upper(number, value, now),
            Spr::Tbu40 => self.cores[core].write_upper40(number, value, now),
            Spr::Hdec => self.cores[core].write_hdec(number, value),
            Spr::Dec => {
                self.threads[thread].dec = value;
                self.rewritten(thread, 0, Tfmr::DEC_PARITY);
            }
            Spr::Purr => {
                self.threads[thread].purr = value;
                self.rewritten(thread, 1, Tfmr::PURR_PARITY);
            }
            Spr::Spurr => {
                self.threads[thread].spurr = value;
                self.rewritten(thread, 2, Tfmr::SPURR_PARITY);
            }
            Spr::Hid0 => self.threads[thread].hid0 = value,
            other => panic!("the model has no {other:?} to write"),
        }
    }

    fn rewritten(&mut self, thread: usize, counter: usize, parity: Tfmr) {
        let (core, number) = self.place(thread);
        self.threads[thread].counted_from[counter] = self.now;
        self.cores[core].threads[number].dirty &= !parity.bits();
    }
}
