//! Loading TB from a TOD that runs.

use super::procedures::{TfmrError, arm_move, await_move, leave_clean, needs_clear, to_not_set};
use crate::chip_tod::is_running;
use crate::hardware::Hardware;
use crate::platform::{Core, ThreadPlace};
use crate::system::System;
use crate::xscom::XscomError;
use flight_recorder::Step;
use power_registers::chip_tod::TodRegister;
use power_registers::{TbState, Tfmr};

/// Tries of a load: in the field a sync sometimes fails and works the next time.
const ATTEMPTS: u32 = 3;
/// Times that the TOD is asked to send, within one try.
const SENDS: u32 = 2;

/// Why TB could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadError {
    /// This chip has no ChipTOD.
    NoChipTod,
    /// Another core did not let go of the TOD in time.
    TodHeld,
    /// The TOD is not running: there is nothing to load.
    TodNotRunning {
        /// Its FSM register.
        fsm: u64,
    },
    /// A ChipTOD register could not be reached.
    Xscom(XscomError),
    /// A step of TFMR failed.
    Tfmr(TfmrError),
    /// The transfer ended, but TB is not right.
    NotRunning {
        /// TFMR then.
        tfmr: Tfmr,
    },
    /// TB runs, but behind a value that was seen before.
    WentBackwards {
        /// The value that was seen.
        before: u64,
        /// TB after the load.
        after: u64,
    },
}

impl ReloadError {
    /// Whether another try can help.
    const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Xscom(_) | Self::Tfmr(_) | Self::NotRunning { .. }
        )
    }
}

impl From<XscomError> for ReloadError {
    fn from(error: XscomError) -> Self {
        Self::Xscom(error)
    }
}

impl From<TfmrError> for ReloadError {
    fn from(error: TfmrError) -> Self {
        Self::Tfmr(error)
    }
}

/// TB was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// TB right after.
    pub timebase: u64,
    /// Tries that it took, from 1.
    pub attempts: u32,
}

/// The core and the thread that loads.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) core: &'a Core,
    pub(crate) place: ThreadPlace,
}

/// Loads TB of the core from its chip's TOD, which is not repaired here.
///
/// The caller owns the core's TFMR and the TOD. After a failure TFMR is left in ERROR, or with a
/// command in flight, only if CLEAR does not help.
pub(crate) fn reload<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
) -> Result<Reloaded, ReloadError> {
    if !system.has_chip_tod(target.core.chip) {
        return Err(ReloadError::NoChipTod);
    }
    let mut attempts = 1;
    loop {
        match attempt(hw, system, target) {
            Ok(timebase) => return Ok(Reloaded { timebase, attempts }),
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

fn attempt<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
) -> Result<u64, ReloadError> {
    let tfmr = hw.tfmr();
    if tfmr.contains(Tfmr::TFMR_CORRUPT) {
        return Err(TfmrError::Corrupt.into());
    }
    if needs_clear(tfmr) {
        return Err(TfmrError::EnteredError { tfmr }.into());
    }
    // TB is NOT_SET before anything is asked of the TOD.
    to_not_set(hw, system)?;
    let fsm = system.tod_fsm(hw, target.core.chip)?;
    system.record(hw, Step::Reload, [fsm, 0]);
    if !is_running(fsm) {
        return Err(ReloadError::TodNotRunning { fsm });
    }
    receive(hw, system, target)
}

/// From NOT_SET to RUNNING with the value of a TOD that runs.
pub(super) fn receive<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
) -> Result<u64, ReloadError> {
    let before = hw.tfmr();
    system.tod_aim(hw, target.core)?;
    arm_move(hw, system)?;
    let mut sends = 0;
    let tfmr = loop {
        system.tod_trigger(hw, target.core.chip, TodRegister::MoveTodToTb)?;
        sends += 1;
        match await_move(hw, system) {
            Ok(tfmr) => break tfmr,
            Err(TfmrError::TimedOut { .. }) if sends < SENDS => {}
            Err(error) => return Err(error.into()),
        }
    };
    verify(hw, system, target.place, before, tfmr)
}

/// RUNNING is not enough: TB must be valid, the transfer without parity error, and TB not behind
/// what this thread saw before.
fn verify<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    place: ThreadPlace,
    before: Tfmr,
    tfmr: Tfmr,
) -> Result<u64, ReloadError> {
    let spoiled =
        tfmr.contains(Tfmr::CHIP_TOD_PARITY_ERROR) && !before.contains(Tfmr::CHIP_TOD_PARITY_ERROR);
    if tfmr.state() != TbState::Running || !tfmr.tb_usable() || spoiled {
        return Err(ReloadError::NotRunning { tfmr });
    }
    let after = hw.timebase();
    let before = system.core(place.core).last_good_timebase(place.thread);
    if after < before {
        system.counters.count_backward_timebase();
        return Err(ReloadError::WentBackwards { before, after });
    }
    Ok(after)
}
