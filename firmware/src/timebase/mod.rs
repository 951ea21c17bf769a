//! The timebase of a core: its elementary procedures, its initialisation, its reload from the TOD.

pub(crate) mod accounting;
pub mod boot;
mod describe;
mod doubt;
pub(crate) mod estimate;
pub(crate) mod procedures;
pub(crate) mod reload;

use crate::chip_tod::is_running;
use crate::hardware::Hardware;
use crate::hmi::coordinator::{Event, Phase};
use crate::platform::ThreadPlace;
use crate::system::System;
use power_registers::Tfmr;
pub use procedures::TfmrError;
use reload::{DeadTod, Target};
pub use reload::{ReloadError, Reloaded};
use spin::MutexGuard;

/// Longest wait for a core's TFMR: the owner may be waiting for the TOD.
pub(crate) const TFMR_MICROSECONDS: u64 = 100_000;
/// The same where all threads of the core take their turn and do nothing else: a hypervisor below may
/// keep one of them, and with it TFMR, from its processor for longer than that.
pub(crate) const TFMR_TURN_MICROSECONDS: u64 = 300_000;
/// Longest wait until a meeting of the core is over.
const MEETING_MICROSECONDS: u64 = 1_000_000;
const LEAST_SPINS: u64 = 100_000;

/// Why `OPAL_RESYNC_TIMEBASE` failed. TFMR is left without a command in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncError {
    /// This thread is not in the platform.
    UnknownThread,
    /// The threads of this core are repairing TB and do not come to an end.
    InRecovery,
    /// Another thread did not let go of this core's TFMR.
    TfmrHeld,
    /// TB was not loaded.
    Reload(ReloadError),
}

impl From<ReloadError> for ResyncError {
    fn from(error: ReloadError) -> Self {
        Self::Reload(error)
    }
}

/// `OPAL_RESYNC_TIMEBASE`: loads TB of the calling thread's core from the TOD.
///
/// Safe on any thread of the core and beside recoveries of other cores. A TOD that does not run is
/// noticed first: then TB is not touched, but a command that an earlier failure left in flight is
/// flushed.
///
/// # Errors
/// [`ResyncError`]; the OPAL code is `OPAL_HARDWARE` for all of them.
pub fn resync<H: Hardware>(hw: &mut H, system: &System<'_>) -> Result<(), ResyncError> {
    let pir = hw.pir();
    let (_, place) = system.find(pir).ok_or(ResyncError::UnknownThread)?;
    let core = &system.platform.cores[place.core];
    if cfg!(feature = "mutate-skip-tb-repair") {
        return Ok(());
    }
    await_no_meeting(hw, system, place)?;
    let _tfmr = own_tfmr(hw, system, place).ok_or(ResyncError::TfmrHeld)?;
    let tod = system
        .tod_of(core.chip)
        .ok_or(ResyncError::Reload(ReloadError::NoChipTod))?;
    let fsm = system
        .fsm_after_restart(hw, tod)
        .map_err(ReloadError::from)?;
    if !is_running(fsm) {
        procedures::leave_clean(hw, system);
        return Err(ReloadError::TodNotRunning { fsm }.into());
    }
    match resync_from_running_tod(hw, system, Target { core, place }, fsm) {
        Ok(_) => Ok(()),
        // TB was lost, that is why the OS asks; what it shows now is the machine's time.
        Err(ReloadError::WentBackwards { after, .. }) => {
            system.core(place.core).accept_timebase(place.thread, after);
            Ok(())
        }
        Err(error) => {
            procedures::leave_clean(hw, system);
            Err(error.into())
        }
    }
}

fn resync_from_running_tod<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
    fsm: u64,
) -> Result<Reloaded, ReloadError> {
    // No command before a corrupt TFMR is repaired: the HMI does that.
    if hw.tfmr().contains(Tfmr::TFMR_CORRUPT) {
        return Err(TfmrError::Corrupt.into());
    }
    procedures::clear_tb_errors(hw, system, Tfmr::BOOT_CLEAR)?;
    procedures::clean_thread(hw, system);
    let reloaded = reload::reload(hw, system, target, DeadTod::Fail, Some(fsm))?;
    system.core(target.place.core).note_timebase_loaded();
    system.note_timers(hw);
    Ok(reloaded)
}

/// A meeting of this core gives TFMR away between its phases, but must not be disturbed.
fn await_no_meeting<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    place: ThreadPlace,
) -> Result<(), ResyncError> {
    let coordinator = &system.core(place.core).coordinator;
    let mut waiting = system.budget(MEETING_MICROSECONDS, LEAST_SPINS);
    loop {
        let word = coordinator.load();
        // A meeting that still waits for this very thread does nothing before it comes.
        if word.phase() == Phase::Idle || word.expects(place.thread as u8) {
            return Ok(());
        }
        if waiting.spin(hw).is_err() {
            // Only threads that never leave can be the cause in `Depart`.
            let (generation, phase) = (word.generation, word.phase());
            if phase != Phase::Depart {
                return Err(ResyncError::InRecovery);
            }
            let thread = place.thread as u8;
            coordinator.apply(Event::Expire {
                thread,
                generation,
                phase,
            });
            return Ok(());
        }
    }
}

/// Becomes the owner of the core's TFMR, if its present owner lets go in time.
pub(crate) fn own_tfmr<'a, H: Hardware>(
    hw: &mut H,
    system: &'a System<'_>,
    place: ThreadPlace,
) -> Option<MutexGuard<'a, ()>> {
    own_tfmr_within(hw, system, place, TFMR_MICROSECONDS)
}

/// The same, for a step in which all threads of the core become its owner, one after another.
pub(crate) fn own_tfmr_in_turn<'a, H: Hardware>(
    hw: &mut H,
    system: &'a System<'_>,
    place: ThreadPlace,
) -> Option<MutexGuard<'a, ()>> {
    own_tfmr_within(hw, system, place, TFMR_TURN_MICROSECONDS)
}

fn own_tfmr_within<'a, H: Hardware>(
    hw: &mut H,
    system: &'a System<'_>,
    place: ThreadPlace,
    microseconds: u64,
) -> Option<MutexGuard<'a, ()>> {
    let budget = system.budget(microseconds, LEAST_SPINS);
    let taken = system.core(place.core).tfmr.lock_within(hw, budget);
    taken.ok().map(|(guard, _)| guard)
}

/// TFMR as it is when no other thread is at work on it: a TB that is being reloaded looks broken.
pub(crate) fn settled_tfmr<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    place: ThreadPlace,
) -> Tfmr {
    let tfmr = hw.tfmr();
    if tfmr.tb_usable() {
        return tfmr;
    }
    match own_tfmr(hw, system, place) {
        Some(_owned) => hw.tfmr(),
        None => tfmr,
    }
}

#[cfg(test)]
mod tests;
