//! TOD and TB at boot: the master TOD is loaded and started, every core takes TB from its chip.
//!
//! TB goes on from the value that it has, read before anything stops it. Each core is tried
//! eleven times; one that fails is left clean, with the reason, and the others go on.

use super::own_tfmr;
use super::procedures::{
    TfmrError, await_tod_interrupt_off, clean_thread as write_cleanup, clear_tb_errors,
    leave_clean, to_not_set,
};
use super::reload::{ReloadError, Target, receive};
use crate::chip_tod::topology::Topology;
use crate::chip_tod::{CachedRegisters, TodPlace, is_running, value_to_load};
use crate::hardware::{ChipId, Hardware};
use crate::platform::{Core, ThreadPlace};
use crate::system::System;
use crate::xscom::XscomError;
use power_registers::Tfmr;
use power_registers::chip_tod::{TodError, TodRegister};

/// One try and ten more.
const ATTEMPTS: u32 = 11;
/// Longest wait for a TOD to run after it was started.
const TOD_START_MICROSECONDS: u64 = 10_000;
const LEAST_POLLS: u64 = 1_000;
/// Pause after the master's TOD was sent to the others.
const SETTLE_MICROSECONDS: u64 = 1_000;

/// Why TB could not be initialised. TFMR is left without a command in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// This thread is not in the platform.
    UnknownThread,
    /// No chip is master of the primary topology, or this core's chip has no ChipTOD. TFMR has its
    /// base value all the same.
    NoChipTod,
    /// The master is to be initialised by a thread of its own chip.
    NotOnPrimary {
        /// The chip of the master.
        primary: ChipId,
    },
    /// Another thread did not let go of TFMR or the TOD.
    Held,
    /// The TOD did not start.
    TodNotRunning {
        /// Its FSM register at the end.
        fsm: u64,
    },
    /// The TOD reports an error that does not go away (TFMR 51).
    TodInterrupt(TfmrError),
    /// A step of TFMR failed.
    Tfmr(TfmrError),
    /// A ChipTOD register could not be reached.
    Xscom(XscomError),
    /// TB could not be loaded.
    Reload(ReloadError),
}

impl BootError {
    const fn may_pass(self) -> bool {
        !matches!(
            self,
            Self::UnknownThread | Self::NoChipTod | Self::NotOnPrimary { .. } | Self::Held
        )
    }
}

impl From<XscomError> for BootError {
    fn from(error: XscomError) -> Self {
        Self::Xscom(error)
    }
}

impl From<TfmrError> for BootError {
    fn from(error: TfmrError) -> Self {
        Self::Tfmr(error)
    }
}

impl From<ReloadError> for BootError {
    fn from(error: ReloadError) -> Self {
        Self::Reload(error)
    }
}

/// A core takes TB from its chip's TOD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreReport {
    /// Tries that it took, from 1.
    pub attempts: u32,
    /// TB before it was stopped.
    pub timebase_before: u64,
    /// TB right after it ran again.
    pub timebase_after: u64,
}

/// The master TOD runs, and its core has TB from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterReport {
    /// The master's chip.
    pub chip: ChipId,
    /// Its core.
    pub core: CoreReport,
    /// The value that was loaded into the TOD.
    pub loaded: u64,
    /// Registers that were saved for the repair of parity errors.
    pub cached: CachedRegisters,
}

/// Starts the TOD of the primary master and loads TB of the calling thread's core; then saves the
/// TOD registers of all chips. To be called by one thread of the master's chip, before any other
/// core is initialised.
///
/// # Errors
/// [`BootError`].
pub fn initialise_master<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
) -> Result<MasterReport, BootError> {
    let (place, core) = here(hw, system)?;
    let _tfmr = own_tfmr(hw, system, place).ok_or(BootError::Held)?;
    let Some(tod) = system.master_in(Topology::Primary) else {
        hw.set_tfmr(system.base_tfmr());
        return Err(BootError::NoChipTod);
    };
    let primary = tod.chip;
    if primary != core.chip {
        return Err(BootError::NotOnPrimary { primary });
    }
    let timebase_before = hw.timebase();
    begin_anew(system, place);
    let loaded = value_to_load(timebase_before);
    let (attempts, timebase_after) = {
        let (_network, _) = system.lock_network(hw).map_err(|_| BootError::Held)?;
        let target = Target { core, place };
        tried(hw, system, |hw| {
            start_master(hw, system, target, tod, loaded)
        })?
    };
    system.budget(SETTLE_MICROSECONDS, 1).elapse(hw);
    system.note_timers(hw);
    let cached = system
        .cache_tod_registers(hw)
        .map_err(|_| BootError::Held)?;
    let core = CoreReport {
        attempts,
        timebase_before,
        timebase_after,
    };
    Ok(MasterReport {
        chip: primary,
        core,
        loaded,
        cached,
    })
}

/// Loads TB of the calling thread's core from its chip's TOD, which the master started. To be
/// called by one thread of each other core.
///
/// # Errors
/// [`BootError`]; the core is not usable then.
pub fn initialise_core<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
) -> Result<CoreReport, BootError> {
    let (place, core) = here(hw, system)?;
    let _tfmr = own_tfmr(hw, system, place).ok_or(BootError::Held)?;
    let Some(tod) = system.tod_of(core.chip) else {
        hw.set_tfmr(system.base_tfmr());
        return Err(BootError::NoChipTod);
    };
    let timebase_before = hw.timebase();
    begin_anew(system, place);
    let target = Target { core, place };
    let (attempts, timebase_after) = tried(hw, system, |hw| follow(hw, system, target, tod))?;
    system.note_timers(hw);
    Ok(CoreReport {
        attempts,
        timebase_before,
        timebase_after,
    })
}

/// Clears the per-thread status of the calling thread. To be called by every other thread, after
/// its core was initialised. An unknown thread is left as it is.
pub fn clean_thread<H: Hardware>(hw: &mut H, system: &System<'_>) {
    let Ok((place, _)) = here(hw, system) else {
        return;
    };
    let owned = own_tfmr(hw, system, place);
    if owned.is_some() {
        write_cleanup(hw, system);
    }
    drop(owned);
    system.note_timers(hw);
}

fn here<'a, H: Hardware>(
    hw: &H,
    system: &System<'a>,
) -> Result<(ThreadPlace, &'a Core), BootError> {
    let platform = system.platform;
    let place = platform.place(hw.pir()).ok_or(BootError::UnknownThread)?;
    let core = platform
        .cores
        .get(place.core)
        .ok_or(BootError::UnknownThread)?;
    Ok((place, core))
}

/// Time is established here: values from before a reboot are no measure for it.
fn begin_anew(system: &System<'_>, place: ThreadPlace) {
    system.core(place.core).accept_timebase(place.thread, 0);
}

/// Tries until it works; in the field a sync sometimes fails and works the next time.
fn tried<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    mut attempt: impl FnMut(&mut H) -> Result<u64, BootError>,
) -> Result<(u32, u64), BootError> {
    let mut attempts = 1;
    loop {
        match attempt(hw) {
            Ok(timebase) => return Ok((attempts, timebase)),
            Err(error) => {
                leave_clean(hw, system);
                if attempts == ATTEMPTS || !error.may_pass() {
                    return Err(error);
                }
                attempts += 1;
            }
        }
    }
}

/// Base value, errors cleared, thread cleaned: the start of every initialisation.
fn reset_tfmr<H: Hardware>(hw: &mut H, system: &System<'_>) -> Result<(), BootError> {
    hw.set_tfmr(system.base_tfmr());
    if clear_tb_errors(hw, system, Tfmr::BOOT_CLEAR) == Err(TfmrError::Corrupt) {
        // Corruption is among what the clean-up removes; only then does the clear show.
        write_cleanup(hw, system);
        clear_tb_errors(hw, system, Tfmr::BOOT_CLEAR)?;
    }
    write_cleanup(hw, system);
    Ok(())
}

fn start_master<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
    tod: TodPlace,
    loaded: u64,
) -> Result<u64, BootError> {
    let chip = tod.chip;
    reset_tfmr(hw, system)?;
    system.tod_write(
        hw,
        chip,
        TodRegister::Error,
        TodError::FIRMWARE_CLEAR.bits(),
    )?;
    to_not_set(hw, system)?;
    system.tod_trigger(hw, chip, TodRegister::TxTtype2)?;
    await_tod_interrupt_off(hw, system).map_err(BootError::TodInterrupt)?;
    system.tod_trigger(hw, chip, TodRegister::LoadTodMod)?;
    system.tod_trigger(hw, chip, TodRegister::TxTtype5)?;
    system.tod_write(hw, chip, TodRegister::LoadTod, loaded)?;
    await_tod(hw, system, tod)?;
    let timebase = receive(hw, system, target, tod)?;
    system.tod_trigger(hw, chip, TodRegister::TxTtype4)?;
    Ok(timebase)
}

fn follow<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
    tod: TodPlace,
) -> Result<u64, BootError> {
    reset_tfmr(hw, system)?;
    to_not_set(hw, system)?;
    await_tod(hw, system, tod)?;
    await_tod_interrupt_off(hw, system).map_err(BootError::TodInterrupt)?;
    Ok(receive(hw, system, target, tod)?)
}

fn await_tod<H: Hardware>(hw: &mut H, system: &System<'_>, tod: TodPlace) -> Result<(), BootError> {
    let mut waiting = system.budget(TOD_START_MICROSECONDS, LEAST_POLLS);
    loop {
        let fsm = system.tod_fsm(hw, tod)?;
        if is_running(fsm) {
            return Ok(());
        }
        waiting
            .spin(hw)
            .map_err(|_| BootError::TodNotRunning { fsm })?;
    }
}
