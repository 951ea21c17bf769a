//! A TOD that runs, and whose value may be wrong: before TB is loaded from it, and after.

use super::reload::Target;
use crate::chip_tod::{Lost, TodPlace};
use crate::hardware::Hardware;
use crate::system::System;
use power_registers::Tfmr;

/// Whether the TOD got another time while TB was loaded, or its value was damaged: then TB is no
/// witness for it.
pub(super) fn was_loaded_wrongly<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
    tod: TodPlace,
    epoch: u64,
    lost: &mut Lost,
) -> bool {
    if hw.tfmr().contains(Tfmr::CHIP_TOD_INTERRUPT) {
        // What cannot be repaired stays unsaid until the event of this recovery is made.
        system.recover_tod_errors_quietly(hw, tod, target.core, false);
    }
    // Another core may have been faster: then the error is gone, and the suspicion is there, or the TOD
    // has its next value already.
    !system.has_good_value(hw, tod, lost) || !system.chip_tod.kept_its_time(tod, epoch)
}

/// The same for who leaves the TOD's errors to others: they may have repaired it since.
pub(super) fn was_doubtful<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    tod: TodPlace,
    epoch: u64,
    lost: &mut Lost,
) -> bool {
    system.suspect_what_is_reported(hw, tod);
    !system.has_good_value(hw, tod, lost) || !system.chip_tod.kept_its_time(tod, epoch)
}
