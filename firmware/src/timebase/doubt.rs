//! A TOD that runs, and whose value may be wrong: before TB is loaded from it, and after.

use super::reload::Target;
use crate::chip_tod::{Lost, TodPlace};
use crate::hardware::Hardware;
use crate::system::System;
use power_registers::Tfmr;

/// Longest wait for a TOD's value to be found right, by those who repair its errors.
const SUSPICION_MICROSECONDS: u64 = 10_000;
const LEAST_SPINS: u64 = 1_000;

/// Whether the TOD's value was damaged while TB was loaded: then TB is no witness for it.
pub(super) fn was_loaded_wrongly<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
    tod: TodPlace,
    lost: Lost,
) -> bool {
    if !hw.tfmr().contains(Tfmr::CHIP_TOD_INTERRUPT) {
        return false;
    }
    // What cannot be repaired is found again by who looks at TFMR 51 next.
    let _ = system.recover_tod_errors(hw, target.core, false);
    !system.has_good_value(hw, tod, lost)
}

/// The same for who leaves the TOD's errors to others: they may have repaired it since.
pub(super) fn was_doubtful<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    tod: TodPlace,
    epoch: u64,
    lost: Lost,
) -> bool {
    system.suspect_what_is_reported(hw, tod);
    system.chip_tod.epoch() != epoch || !system.has_good_value(hw, tod, lost)
}

/// Whether the TOD's value is right, or is found right in time by who looks at it now.
pub(super) fn loses_suspicion<H: Hardware>(hw: &mut H, system: &System<'_>, tod: TodPlace) -> bool {
    let mut waiting = system.budget(SUSPICION_MICROSECONDS, LEAST_SPINS);
    while system.is_suspect(tod) {
        if waiting.spin(hw).is_err() {
            return false;
        }
    }
    true
}
