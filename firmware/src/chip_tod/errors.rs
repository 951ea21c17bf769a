//! Repair of TOD errors that the ERROR register reports, and that TFMR shows as bit 51.

use super::error_table::{Remedy, bits_with, maskable_bits, told_bits};
use super::rebuild::running_timebase;
use super::{ChipState, TodPlace, aim, is_running};
use crate::decisions::Table;
use crate::hardware::Hardware;
use crate::platform::Core;
use crate::system::System;
use crate::xscom::XscomError;
use core::sync::atomic::Ordering;
use flight_recorder::Step;
use power_registers::Tfmr;
use power_registers::chip_tod::{TodError, TodRegister};

/// Times that errors are looked for: new ones may come while the first are being repaired.
const ROUNDS: u32 = 3;

/// How the repair of TOD errors ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum TodRecovery {
    /// No error is there: another thread was faster.
    Nothing = 0,
    /// All errors are gone, or masked since they came again and again.
    Recovered = 1,
    /// Something could not be read, restored or cleared.
    Failed = 2,
    /// The errors are gone, but the TOD has stopped: TB will follow.
    Stopped = 3,
}

/// One repair under way.
struct Repair<'a> {
    tod: TodPlace,
    core: &'a Core,
    timebase_runs: bool,
    /// Bits that were acted upon.
    tried: TodError,
    failed: TodError,
    masked: TodError,
}

impl System<'_> {
    /// Repairs the errors of the TOD of the core's chip, by the error table, so that TFMR 51 drops.
    /// Errors that come meanwhile are repaired too. While TB stands (`timebase_runs` is false), step
    /// checks stay until [`Self::clear_after_reload`]: they tell the restart which path failed.
    ///
    /// Whatever could not be repaired is masked or remembered, so that it is reported once and not
    /// by each thread of the chip: by who gets [`TodRecovery::Failed`], or [`TodRecovery::Stopped`]
    /// and with it [`Self::take_unsaid`].
    pub(crate) fn recover_tod_errors<H: Hardware>(
        &self,
        hw: &mut H,
        core: &Core,
        timebase_runs: bool,
    ) -> TodRecovery {
        let Some(tod) = self.tod_of(core.chip) else {
            return TodRecovery::Failed;
        };
        let result = self.recover(hw, tod, core, timebase_runs, false);
        if result != TodRecovery::Stopped && self.take_unsaid(tod) {
            return TodRecovery::Failed;
        }
        result
    }

    /// The same for who makes no event of it: a failure is left to the next who does.
    pub(crate) fn recover_tod_errors_quietly<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        core: &Core,
        timebase_runs: bool,
    ) {
        let _ = self.recover(hw, tod, core, timebase_runs, true);
    }

    fn recover<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        core: &Core,
        timebase_runs: bool,
        quiet: bool,
    ) -> TodRecovery {
        let mut repair = Repair {
            tod,
            core,
            timebase_runs,
            tried: TodError::empty(),
            failed: TodError::empty(),
            masked: TodError::empty(),
        };
        let read = {
            let Ok(mut state) = self.lock_chip(hw, tod) else {
                return TodRecovery::Failed;
            };
            // Whoever came first has cleared it for the whole chip.
            if !interrupt_is_on(hw) {
                return TodRecovery::Nothing;
            }
            self.repair_all(hw, &mut state, &mut repair)
        };
        let result = match read {
            // When the register cannot be read, nothing is proven to be gone.
            Err(_) => TodRecovery::Failed,
            Ok(()) => self.judge_repair(hw, &repair),
        };
        if (quiet || result == TodRecovery::Stopped) && !repair.failed.is_empty() {
            self.chip_tod.unsaid.fetch_or(tod.bit(), Ordering::AcqRel);
        }
        self.decisions.hit_all(Table::Tod, repair.tried.bits());
        if repair.tried.intersects(told_bits()) || !repair.masked.is_empty() {
            self.tell_diagnostics(hw, tod);
        }
        if result != TodRecovery::Nothing {
            self.record(hw, Step::TodError, [repair.tried.bits(), result as u64]);
        }
        result
    }

    /// Whether errors of the TOD were given up, and no event has said so: now one will.
    pub(crate) fn take_unsaid(&self, tod: TodPlace) -> bool {
        self.chip_tod.unsaid.fetch_and(!tod.bit(), Ordering::AcqRel) & tod.bit() != 0
    }

    fn judge_repair<H: Hardware>(&self, hw: &mut H, repair: &Repair<'_>) -> TodRecovery {
        // That another chip asked for the time is nothing to report.
        if TodError::RECEIVED.contains(repair.tried) && repair.failed.is_empty() {
            return TodRecovery::Nothing;
        }
        if !repair.timebase_runs {
            // Who loads TB looks whether the TOD runs, and with which value.
            return if repair.failed.is_empty() {
                TodRecovery::Recovered
            } else {
                TodRecovery::Failed
            };
        }
        if repair.tried.intersects(TodError::STOPPING) {
            match self.tod_fsm(hw, repair.tod) {
                Ok(fsm) if is_running(fsm) => {}
                Ok(_) => return TodRecovery::Stopped,
                Err(_) => return TodRecovery::Failed,
            }
        }
        let right = !self.is_suspect(repair.tod) || self.makes_value_right(hw, repair.tod);
        if !right && running_timebase(hw).is_none() {
            // Who loads TB sees to it.
            return TodRecovery::Stopped;
        }
        if right && repair.failed.is_empty() {
            TodRecovery::Recovered
        } else {
            TodRecovery::Failed
        }
    }

    /// Repairs until no error is open, or gives up those that are.
    fn repair_all<H: Hardware>(
        &self,
        hw: &mut H,
        state: &mut ChipState,
        repair: &mut Repair<'_>,
    ) -> Result<(), XscomError> {
        for _ in 0..ROUNDS {
            let open = self.open_errors(hw, state, repair)?;
            if open.is_empty() {
                return Ok(());
            }
            repair.tried |= open;
            let failed = self.repair(hw, state, repair, open);
            repair.failed |= failed;
            let too_often = state.errors.count(open, hw.timebase());
            let masked = self.contain(hw, state, repair, failed | too_often);
            state.errors.given_up |= failed.difference(masked).bits();
            // Bit 51 off says the same as an ERROR without open bits, for less.
            if !interrupt_is_on(hw) {
                return Ok(());
            }
        }
        let left = self.open_errors(hw, state, repair)?;
        // What came only now has its try, too. If it stays, its HMI leads here again.
        let fresh = left.difference(repair.tried);
        repair.tried |= left;
        let failed = self.repair(hw, state, repair, fresh);
        repair.failed |= failed;
        let left = left.difference(fresh) | failed;
        let parity = bits_with(|remedy| matches!(remedy, Remedy::Restore(_)));
        repair.failed |= left & (parity | !maskable_bits());
        let stays = left.difference(self.contain(hw, state, repair, left));
        state.errors.given_up |= stays.bits();
        repair.failed |= stays;
        Ok(())
    }

    /// Errors that are reported, unmasked, not given up, and to be acted upon now.
    fn open_errors<H: Hardware>(
        &self,
        hw: &mut H,
        state: &mut ChipState,
        repair: &Repair<'_>,
    ) -> Result<TodError, XscomError> {
        let chip = repair.tod.chip;
        let found = self.tod_read(hw, chip, TodRegister::Error)?;
        state.errors.given_up &= found;
        if state.cache.mask.is_none() {
            state.cache.mask = self.tod_read(hw, chip, TodRegister::ErrorMask).ok();
        }
        let ignored = state.errors.given_up | state.cache.mask.unwrap_or(0);
        let open = TodError::from_bits_retain(found & !ignored);
        let held_back = &self.chip_tod.held_back[repair.tod.index];
        if repair.timebase_runs {
            held_back.store(0, Ordering::Release);
            return Ok(open);
        }
        let later = open & bits_with(|remedy| remedy == Remedy::AfterReload);
        held_back.fetch_or(later.bits(), Ordering::AcqRel);
        Ok(open.difference(later))
    }

    /// Repairs `errors`, and gives those that are beyond repair; the others are gone, or still open. A register is restored before its
    /// parity error is cleared, so nothing is cleared that is not in `errors`, save the set that
    /// firmware always clears as a whole.
    fn repair<H: Hardware>(
        &self,
        hw: &mut H,
        state: &ChipState,
        repair: &Repair<'_>,
        errors: TodError,
    ) -> TodError {
        let chip = repair.tod.chip;
        let as_a_whole = TodError::FIRMWARE_CLEAR;
        let mut failed = TodError::empty();
        if errors.intersects(as_a_whole) {
            // If this or another access fails, the bits stay on, and the next round comes here again.
            let _ = self.tod_write(hw, chip, TodRegister::Error, as_a_whole.bits());
        }
        let mut clear = TodError::empty();
        for row in super::error_table::TABLE {
            let bits = errors & TodError::from_bits_retain(row.bits);
            if bits.is_empty() {
                continue;
            }
            let may_be_cleared = match row.remedy {
                Remedy::Restore(register) => match state.cache.get(register) {
                    Some(cached) => self.restore_register(hw, repair.tod, register, cached),
                    None => {
                        failed |= bits;
                        false
                    }
                },
                Remedy::RewriteTarget => {
                    let value = aim(self.platform, repair.core, hw.pir(), 0);
                    self.tod_write(hw, chip, TodRegister::TxTtypeControl, value)
                        .is_ok()
                }
                Remedy::AfterReload => {
                    self.chip_tod.counters.count_step_check();
                    true
                }
                Remedy::CheckValue => {
                    // Before others see the bit gone.
                    let suspects = &self.chip_tod.suspects;
                    suspects.fetch_or(repair.tod.bit(), Ordering::AcqRel);
                    true
                }
                Remedy::Clear | Remedy::Restart => true,
                Remedy::Leave => {
                    failed |= bits;
                    false
                }
            };
            if may_be_cleared {
                clear |= bits;
            }
        }
        // These are gone already, unless their register had to be restored first.
        let restored = bits_with(|remedy| matches!(remedy, Remedy::Restore(_)));
        clear &= !as_a_whole | restored;
        if !clear.is_empty() {
            let _ = self.tod_write(hw, chip, TodRegister::Error, clear.bits());
        }
        failed
    }

    /// Masks bits that do not stay away, as far as they may be masked, and gives these.
    fn contain<H: Hardware>(
        &self,
        hw: &mut H,
        state: &mut ChipState,
        repair: &mut Repair<'_>,
        bits: TodError,
    ) -> TodError {
        let masked = bits & maskable_bits();
        let Some(mask) = state.cache.mask.filter(|_| !masked.is_empty()) else {
            return TodError::empty();
        };
        let (chip, value) = (repair.tod.chip, mask | masked.bits());
        if self
            .tod_write(hw, chip, TodRegister::ErrorMask, value)
            .is_err()
        {
            return TodError::empty();
        }
        state.cache.mask = Some(value);
        repair.masked |= masked;
        self.chip_tod.counters.count_masked();
        masked
    }

    /// Clears the step checks that were held back while TB stood. To be called when TB follows the
    /// TOD again.
    pub(crate) fn clear_after_reload<H: Hardware>(&self, hw: &mut H, tod: TodPlace) {
        let held_back = &self.chip_tod.held_back[tod.index];
        if held_back.load(Ordering::Acquire) == 0 {
            return;
        }
        let Ok(_chip) = self.lock_chip(hw, tod) else {
            return;
        };
        let bits = held_back.swap(0, Ordering::AcqRel);
        // If this fails, TFMR 51 stays on, and the next HMI finds them with TB running.
        if bits != 0
            && self
                .tod_write(hw, tod.chip, TodRegister::Error, bits)
                .is_ok()
        {
            self.decisions.hit_all(Table::Tod, bits);
            for _ in 0..bits.count_ones() {
                self.chip_tod.counters.count_step_check();
            }
        }
    }
}

/// Whether TFMR says that a TOD error is open. A corrupt TFMR does not say that none is.
fn interrupt_is_on<H: Hardware>(hw: &mut H) -> bool {
    hw.tfmr()
        .intersects(Tfmr::CHIP_TOD_INTERRUPT | Tfmr::TFMR_CORRUPT)
}
