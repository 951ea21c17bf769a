//! Special-purpose registers of a thread.

use crate::model::Model;
use crate::trace::Register;
use power_registers::{Hmer, Spr, Tfmr};

const NO_SUCH_REGISTER: &str = "a special-purpose register that the model does not have";
/// Causes of which nothing is left once HMER is cleared.
const ONCE: u64 = Hmer::IMPLEMENTED & !Hmer::TIMER.union(Hmer::XSCOM_MAILBOX).bits();

impl Model {
    pub(crate) fn spr_read(&mut self, thread: usize, spr: Spr) -> u64 {
        let (core, number) = self.place(thread);
        let now = self.now;
        let own = &self.threads[thread];
        match spr {
            Spr::Tfmr => {
                let view = self.tod_view(self.configuration.chip_of(core));
                self.cores[core].read_tfmr(number, now, view, &mut self.random)
            }
            Spr::Hmer => self.read_hmer(thread),
            Spr::Hmeer => self.cores[core].hmeer,
            Spr::Tb => self.cores[core].timebase(number, now),
            Spr::Hdec => self.cores[core].copies[self.cores[core].copy_of[number]].hdec,
            Spr::Dec => own.dec.wrapping_sub(now - own.counted_from[0]),
            Spr::Purr => own.purr.wrapping_add(now - own.counted_from[1]),
            Spr::Spurr => own.spurr.wrapping_add(now - own.counted_from[2]),
            Spr::Vtb => own.vtb.wrapping_add(now - own.counted_from[3]),
            Spr::Sprc => self.core_scoms[core].sprc,
            Spr::Sprd => self.selected_tfmr(core),
            Spr::Pir => u64::from(self.configuration.pir(thread)),
            Spr::Hid0 => self.core_scoms[core].hid0,
            other => {
                self.violation(thread, NO_SUCH_REGISTER, other as u64);
                0
            }
        }
    }

    pub(crate) fn spr_written(&mut self, thread: usize, spr: Spr, value: u64) {
        self.record(thread, Register::Spr(spr), value);
        let (core, number) = self.place(thread);
        let now = self.now;
        match spr {
            Spr::Tfmr => {
                let effects = self.cores[core].write_tfmr(number, thread, value, now);
                for rule in effects.violations() {
                    self.violation(thread, rule, value);
                }
                if effects.timer_hmi {
                    self.raise_core(core, Hmer::TFAC_ERROR);
                }
                if effects.second_hmi {
                    self.raise_core(core, Hmer::TIMER);
                }
                self.changed(core);
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
                let own = &mut self.threads[thread];
                // TFMR keeps what the timer's causes stand for; the others tell it only once.
                let lost = own.unread & own.hmer & !value & ONCE;
                own.hmer &= value;
                own.unread &= value;
                if lost != 0 {
                    self.violation(thread, "HMER bits cleared that were never read", lost);
                }
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
                    self.changed(core);
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
            Spr::Hid0 => self.core_scoms[core].hid0 = value,
            Spr::Vtb => {
                self.threads[thread].vtb = value;
                self.threads[thread].counted_from[3] = now;
            }
            Spr::Sprc => self.core_scoms[core].sprc = value,
            other => self.violation(thread, NO_SUCH_REGISTER, other as u64),
        }
    }

    fn rewritten(&mut self, thread: usize, counter: usize, parity: Tfmr) {
        let (core, number) = self.place(thread);
        self.threads[thread].counted_from[counter] = self.now;
        self.cores[core].threads[number].dirty &= !parity.bits();
    }
}
