//! Reads and writes of TFMR.

mod commands;

use crate::core_timer::{CoreTimer, InFlight};
use crate::random::Random;
use power_registers::{TbState, Tfmr};

/// Error bits of the core that one write of 1 clears.
const CLEARED_ONCE: u64 = Tfmr::TFAC_XFER_ERROR
    .union(Tfmr::TBST_CORRUPT)
    .union(Tfmr::TB_MISSING_SYNC)
    .union(Tfmr::TB_MISSING_STEP)
    .union(Tfmr::TB_RESIDUE_ERROR)
    .union(Tfmr::FW_CONTROL_ERROR)
    .bits();
const OVERFLOWS: u64 = Tfmr::PURR_OVERFLOW.union(Tfmr::SPURR_OVERFLOW).bits();
const THREAD_PARITY: u64 = Tfmr::THREAD_ERRORS.bits();
const COMMANDS: u64 = Tfmr::COMMANDS.bits();
const HDEC: u64 = Tfmr::HDEC_PARITY.bits();
const RESIDUE: u64 = Tfmr::TB_RESIDUE_ERROR.bits();
const CONTROL_ERROR: u64 = Tfmr::FW_CONTROL_ERROR.bits();
const LOAD: u64 = Tfmr::LOAD_TOD_MOD.bits();
const MOVE: u64 = Tfmr::MOVE_CHIP_TOD_TO_TB.bits();
const CLEAR: u64 = Tfmr::CLEAR_TB_ERRORS.bits();
const CORRUPT: u64 = Tfmr::TFMR_CORRUPT.bits();

/// What the chip's TOD shows in TFMR.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TodView {
    pub(crate) fsm_code: u64,
    pub(crate) interrupt: bool,
}

/// What a write of TFMR brought about beyond the facility itself.
#[derive(Debug, Default)]
pub(crate) struct WriteEffects {
    /// A new error of the facility: all threads get HMER 4.
    pub(crate) timer_hmi: bool,
    /// TFMR was repaired: the second HMI with HMER 4 and 5 comes.
    pub(crate) second_hmi: bool,
    /// Rules that the write broke.
    violations: [Option<&'static str>; 4],
}

impl WriteEffects {
    /// The rules that the write broke.
    pub(crate) fn violations(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.violations.into_iter().flatten()
    }

    fn broke(&mut self, rule: &'static str) {
        if let Some(free) = self.violations.iter_mut().find(|free| free.is_none()) {
            *free = Some(rule);
        }
    }
}

impl CoreTimer {
    /// TFMR as thread 0 has it, or as `thread` has it without the erratum.
    pub(crate) fn true_tfmr(&self, thread: usize, now: u64, tod: TodView) -> u64 {
        let mut value = self.control | self.errors | self.threads[thread].bits;
        value |= self.state_bits();
        if self.load_tod_mod.is_some() {
            value |= LOAD;
        }
        if self.move_tod.is_some() {
            value |= MOVE;
        }
        if self.clear_armed || now < self.clear_busy_until {
            value |= CLEAR;
        }
        for (on, bit) in [
            (self.enabled, Tfmr::TB_ENABLED),
            (self.state == TbState::Running, Tfmr::TB_VALID),
            (self.synced(now), Tfmr::TB_SYNC_OCCURRED),
            (tod.interrupt, Tfmr::CHIP_TOD_INTERRUPT),
        ] {
            if on {
                value |= bit.bits();
            }
        }
        value | (tod.fsm_code & 0xf) << 13 | Tfmr::TB_ECLIPZ.bits()
    }

    fn state_bits(&self) -> u64 {
        Tfmr::empty().with_states(self.state, self.last).bits()
    }

    /// `mfspr TFMR`; `garbage` is what a corrupt TFMR shows.
    pub(crate) fn read_tfmr(
        &mut self,
        thread: usize,
        now: u64,
        tod: TodView,
        garbage: &mut Random,
    ) -> u64 {
        self.look(thread);
        if self.corrupt {
            return garbage.word() | CORRUPT;
        }
        let value = self.true_tfmr(thread, now, tod);
        if thread == 0 {
            value
        } else {
            value | self.latched
        }
    }

    /// `mtspr TFMR`.
    pub(crate) fn write_tfmr(
        &mut self,
        thread: usize,
        global_thread: usize,
        value: u64,
        now: u64,
    ) -> WriteEffects {
        let (knew, entry) = (self.knows(thread), self.entry());
        let effects = self.act(thread, global_thread, value, now, knew);
        // What a write brings about its writer knows. Nothing else is seen by writing.
        if self.entry() != entry {
            self.look(thread);
        }
        effects
    }

    fn act(
        &mut self,
        thread: usize,
        global_thread: usize,
        value: u64,
        now: u64,
        knew: bool,
    ) -> WriteEffects {
        let mut effects = WriteEffects::default();
        self.forget_sync(now);

        let control = value & Tfmr::CONTROL.bits() & !COMMANDS;
        if control & Tfmr::TB_ECLIPZ.bits() == 0 {
            effects.broke("every TFMR write needs bit 14 (TB_ECLIPZ)");
        } else if control & !Tfmr::MASK_HMI.bits() != self.base {
            effects.broke("every TFMR write needs the base control field");
        }
        self.control = control;

        if self.corrupt {
            self.write_corrupt(value, knew, &mut effects);
            return effects;
        }
        // The second write of a repair whose first one was enough: software cannot know.
        if core::mem::take(&mut self.just_repaired) && value & (CORRUPT | COMMANDS) == CORRUPT {
            return effects;
        }
        self.clear_error_bits(thread, value, now, &mut effects);

        if value & LOAD != 0 && value & MOVE != 0 {
            // The one error that software can cause at will; it is used to inject, so no violation.
            // Both stay on, as stuck commands were seen to do, until CLEAR_TB_ERRORS.
            let stuck = Some(InFlight {
                issuer: Some(global_thread),
                done_at: u64::MAX,
            });
            self.load_tod_mod = stuck;
            self.move_tod = stuck;
            self.control_error(now, &mut effects);
            return effects;
        }
        self.keep_or_drop(value, global_thread, now, &mut effects);
        self.clear_command(value & CLEAR != 0, now);
        if value & CLEAR != 0 {
            if value & COMMANDS != CLEAR {
                effects.broke("a TFMR command together with CLEAR_TB_ERRORS");
            }
            return effects;
        }
        if value & COMMANDS != 0 && now < self.clear_busy_until {
            effects.broke("a TFMR command while CLEAR_TB_ERRORS is not done");
            self.control_error(now, &mut effects);
            return effects;
        }
        if value & LOAD != 0 && self.load_tod_mod.is_none() {
            self.load_command(global_thread, now, knew, &mut effects);
        }
        if value & MOVE != 0 {
            self.move_command(global_thread, now, knew, &mut effects);
        }
        effects
    }

    /// Nothing works before bit 60 was written twice.
    fn write_corrupt(&mut self, value: u64, knew: bool, effects: &mut WriteEffects) {
        if value & COMMANDS != 0 && knew {
            effects.broke("a TFMR command while TFMR is corrupt");
        }
        if value & CORRUPT == 0 {
            self.corrupt_armed = false;
        } else if self.write_twice && !self.corrupt_armed {
            self.corrupt_armed = true;
        } else {
            self.corrupt = false;
            self.corrupt_armed = false;
            self.just_repaired = !self.write_twice;
            effects.second_hmi = true;
        }
    }

    fn clear_error_bits(
        &mut self,
        thread: usize,
        value: u64,
        now: u64,
        effects: &mut WriteEffects,
    ) {
        self.errors &= !(value & CLEARED_ONCE);
        if value & RESIDUE != 0 && self.is_timebase_dirty() {
            self.errors |= RESIDUE;
            if self.state != TbState::Error {
                self.enter(TbState::Error, now);
                effects.timer_hmi = true;
            }
        }
        if value & HDEC == 0 {
            self.hdec_armed = false;
        } else if self.write_twice && !self.hdec_armed {
            self.hdec_armed = true;
        } else {
            self.hdec_armed = false;
            if !self.is_hdec_dirty() {
                self.errors &= !HDEC;
            }
        }
        let write_twice = self.write_twice;
        let own = &mut self.threads[thread];
        own.bits &= !(value & OVERFLOWS);
        let parity = value & THREAD_PARITY;
        let complete = if write_twice {
            parity & own.armed
        } else {
            parity
        };
        own.armed = parity & !complete;
        own.bits &= !(complete & !own.dirty);
    }
}
