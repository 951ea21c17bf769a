//! Errors of one thread's own registers: repaired by that thread, without the others.

use super::Caller;
use super::diagnosis::LOCAL;
use crate::hardware::Hardware;
use crate::system::System;
use crate::timebase::accounting::Register;
use crate::timebase::{own_tfmr, procedures};
use flight_recorder::Step;
use opal_abi::hmi_flags;
use power_registers::Tfmr;

/// How a repair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// There was nothing to do.
    Nothing,
    /// All of it is repaired.
    Done,
    /// Something is still broken.
    Failed,
    /// TFMR is corrupt: it does not say. The meeting that repairs TFMR looks at the rest again.
    Unjudged,
}

/// Times that the registers are repaired: the same error may come again in the middle.
const ROUNDS: u32 = 3;

/// Repairs PURR, SPURR and DEC of this thread if TFMR reports them, and clears the reports.
///
/// DEC is left about to fire: the OS takes a decrementer interrupt and arms it again. PURR and SPURR
/// go on from their last known value.
pub(super) fn repair<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller) -> Repair {
    let Some(_owned) = own_tfmr(hw, system, caller.place) else {
        let broken = hw.tfmr().intersects(LOCAL);
        return if broken {
            Repair::Failed
        } else {
            Repair::Nothing
        };
    };
    let mut repair = Repair::Nothing;
    let mut rounds = 0;
    loop {
        let tfmr = hw.tfmr();
        if tfmr.contains(Tfmr::TFMR_CORRUPT) {
            return Repair::Unjudged;
        }
        let bits = tfmr & LOCAL;
        if bits.is_empty() {
            return repair;
        }
        if rounds == ROUNDS {
            return Repair::Failed;
        }
        rounds += 1;
        rewrite(hw, system, caller, bits);
        procedures::write_twice(hw, system, bits);
        let after = hw.tfmr();
        let gone = !after.intersects(bits) && !after.contains(Tfmr::TFMR_CORRUPT);
        system.record(hw, Step::RepairLocal, [bits.bits(), u64::from(gone)]);
        repair = Repair::Done;
    }
}

/// New values for the registers that `bits` report.
fn rewrite<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller, bits: Tfmr) {
    if bits.contains(Tfmr::DEC_PARITY) {
        hw.set_decrementer(u64::MAX);
        caller.flags |= hmi_flags::DEC_LOST;
    }
    if bits.contains(Tfmr::PURR_PARITY) {
        let value = system.last_known(hw, caller.place, Register::Purr);
        hw.set_purr(value);
    }
    if bits.contains(Tfmr::SPURR_PARITY) {
        let value = system.last_known(hw, caller.place, Register::Spurr);
        hw.set_spurr(value);
    }
}
