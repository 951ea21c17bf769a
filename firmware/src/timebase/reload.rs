//! Loading TB from a TOD that runs.

use super::doubt::{was_doubtful, was_loaded_wrongly};
use super::estimate;
use super::procedures::{TfmrError, arm_move, await_move, leave_clean, needs_clear, to_not_set};
use crate::chip_tod::{Lost, RestartError, TodPlace, is_running};
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

/// What to do with a TOD that does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadTod {
    /// Fail at once.
    Fail,
    /// Restart it. `spins` were spent since TB stopped.
    Restart {
        /// The spins.
        spins: u64,
    },
}

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
    /// The TOD is not running, and could not be made to.
    TodNotRestarted(RestartError),
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
    /// TB ran with a time that the other chips contradict. It was stopped again.
    Contradicted {
        /// TB after the load.
        timebase: u64,
    },
    /// TB ran with a time that was damaged, or replaced, while it was loaded. It was stopped again.
    Doubtful {
        /// TB after the load.
        timebase: u64,
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

impl From<RestartError> for ReloadError {
    fn from(error: RestartError) -> Self {
        Self::TodNotRestarted(error)
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

/// A load under way.
struct Load<'a> {
    target: Target<'a>,
    tod: TodPlace,
    dead: DeadTod,
    lost: Lost,
    /// FSM of the TOD, if it was just read.
    fsm: Option<u64>,
    /// That of the TODs before a try, and then that in which the TOD was asked to send.
    epoch: u64,
}

/// Loads TB of the core from its chip's TOD. `fsm`: what the caller has just read, if it has.
///
/// The caller owns the core's TFMR, and no lock of the ChipTOD. After a failure TFMR is left in
/// ERROR, or with a command in flight, only if CLEAR does not help.
pub(crate) fn reload<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
    dead: DeadTod,
    fsm: Option<u64>,
) -> Result<Reloaded, ReloadError> {
    let tod = system
        .tod_of(target.core.chip)
        .ok_or(ReloadError::NoChipTod)?;
    let stopped = estimate::seed(hw, system, target.place).max(system.newest_good_timebase());
    let lost = Lost {
        timebase: stopped,
        spins: match dead {
            DeadTod::Fail => 0,
            DeadTod::Restart { spins } => spins,
        },
        refused: false,
        patient: true,
    };
    let mut load = Load {
        target,
        tod,
        dead,
        lost,
        fsm,
        epoch: 0,
    };
    let _unsettled = system.core(target.place.core).unsettle();
    let mut attempts = 1;
    loop {
        load.epoch = system.chip_tod.epoch();
        let result = attempt(hw, system, &mut load);
        load.fsm = None;
        let epoch = load.epoch;
        let lost = &mut load.lost;
        if let Some(timebase) = refused(hw, system, tod, *lost, result) {
            system.refuse_value(tod);
            system.record(hw, Step::TodRefused, [timebase, lost.timebase]);
            if attempts == ATTEMPTS {
                // TB must not run with that.
                to_not_set(hw, system)?;
                return Err(ReloadError::Contradicted { timebase });
            }
            lost.refused = true;
            attempts += 1;
            continue;
        }
        match result {
            Ok(timebase) => {
                let doubtful = match dead {
                    DeadTod::Fail => was_doubtful(hw, system, tod, epoch, lost),
                    DeadTod::Restart { .. } => {
                        was_loaded_wrongly(hw, system, target, tod, epoch, lost)
                    }
                };
                if !doubtful {
                    return Ok(Reloaded { timebase, attempts });
                }
                if dead == DeadTod::Fail {
                    // If no other try works, it must not pass for the truth.
                    system.core(target.place.core).doubt_timebase();
                }
                if dead == DeadTod::Fail || attempts == ATTEMPTS {
                    to_not_set(hw, system)?;
                }
                if attempts == ATTEMPTS {
                    return Err(ReloadError::Doubtful { timebase });
                }
                attempts += 1;
            }
            // The TOD itself may say why.
            Err(ReloadError::WentBackwards { .. })
                if attempts < ATTEMPTS
                    && dead != DeadTod::Fail
                    && was_loaded_wrongly(hw, system, target, tod, epoch, lost) =>
            {
                attempts += 1;
            }
            Err(error) => {
                leave_clean(hw, system);
                if attempts == ATTEMPTS || !error.may_pass() {
                    return Err(error);
                }
                attempts += 1;
                if dead != DeadTod::Fail && hw.tfmr().contains(Tfmr::CHIP_TOD_INTERRUPT) {
                    // The TOD may have said why. Whether it is of use the next try shows.
                    system.recover_tod_errors_quietly(hw, tod, target.core, false);
                }
            }
        }
    }
}

/// One try.
fn attempt<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    load: &mut Load<'_>,
) -> Result<u64, ReloadError> {
    let (target, tod, known) = (load.target, load.tod, load.fsm);
    let lost = &mut load.lost;
    let tfmr = hw.tfmr();
    if tfmr.contains(Tfmr::TFMR_CORRUPT) {
        return Err(TfmrError::Corrupt.into());
    }
    if needs_clear(tfmr) {
        return Err(TfmrError::EnteredError { tfmr }.into());
    }
    let ask = |hw: &mut H| match known {
        Some(fsm) if is_running(fsm) => Ok(fsm),
        _ => system.tod_fsm_for_sure(hw, tod),
    };
    match load.dead {
        // A dead TOD raises an HMI, whose recovery restarts it. One that lies raises none.
        DeadTod::Fail if !lost.refused => {
            // TB, if it runs, is not stopped for a TOD that is not worth it.
            let mut fsm = ask(hw)?;
            system.suspect_what_is_reported(hw, tod);
            let good = system.has_good_value(hw, tod, lost);
            if !is_running(fsm) {
                fsm = system.fsm_after_restart(hw, tod)?;
            }
            if !good || !is_running(fsm) {
                return Err(ReloadError::TodNotRunning { fsm });
            }
            to_not_set(hw, system)?;
            system.record(hw, Step::Reload, [fsm, 0]);
        }
        _ => {
            // TB is NOT_SET before anything is asked of the TOD.
            to_not_set(hw, system)?;
            let fsm = ask(hw)?;
            system.record(hw, Step::Reload, [fsm, 0]);
            // One that somebody restarts just now is awaited, by its lock.
            let good = is_running(fsm)
                && !system.chip_tod.is_restarting(tod)
                && system.has_good_value(hw, tod, lost);
            if !good {
                system.restart_tod(hw, tod, target.place, load.epoch, lost)?;
            }
        }
    }
    load.epoch = system.chip_tod.epoch();
    receive(hw, system, target, tod)
}

/// TB, if it runs with a time that the other chips contradict.
fn refused<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    tod: TodPlace,
    lost: Lost,
    result: Result<u64, ReloadError>,
) -> Option<u64> {
    let (Ok(after) | Err(ReloadError::WentBackwards { after, .. })) = result else {
        return None;
    };
    if system.is_believed(after, lost) {
        return None;
    }
    let shown = |hw: &mut H| Some(hw.timebase());
    let contradicted = system.is_contradicted(hw, shown, &[tod], lost);
    contradicted.then_some(after)
}

/// From NOT_SET to RUNNING with the value of a TOD that runs.
///
/// The core waits for its sync pulse without any lock, together with the others that lost TB. Then
/// it names itself as the target and has the TOD sent, under the lock of its chip.
pub(super) fn receive<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
    tod: TodPlace,
) -> Result<u64, ReloadError> {
    let before = hw.tfmr();
    // The restart of a TOD takes long: a new error may have struck TB meanwhile.
    match before.state() {
        _ if before.contains(Tfmr::TFMR_CORRUPT) => return Err(TfmrError::Corrupt.into()),
        TbState::NotSet => {}
        TbState::Error => return Err(TfmrError::EnteredError { tfmr: before }.into()),
        _ => return Err(TfmrError::UnexpectedState { tfmr: before }.into()),
    }
    arm_move(hw, system)?;
    let mut sends = 0;
    let tfmr = loop {
        match send(hw, system, target, tod) {
            Ok(tfmr) => break tfmr,
            // A SCOM that failed may work the next time: TB still waits.
            Err(ReloadError::Tfmr(TfmrError::TimedOut { .. })) if sends < SENDS => {}
            Err(error) => return Err(error),
        }
        sends += 1;
    };
    verify(hw, system, target.place, before, tfmr)
}

/// Has the TOD sent to the core, which is in GET_TOD. The target stays until the value came: the
/// next core that aims would take it away.
fn send<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    target: Target<'_>,
    tod: TodPlace,
) -> Result<Tfmr, ReloadError> {
    let chip = system
        .lock_chip(hw, tod)
        .map_err(|_| ReloadError::TodHeld)?;
    system.tod_aim(hw, tod, target.core, &chip)?;
    system.tod_trigger(hw, tod.chip, TodRegister::MoveTodToTb)?;
    Ok(await_move(hw, system)?)
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
    let tfmr = hw.tfmr();
    if tfmr.contains(Tfmr::TFMR_CORRUPT) {
        return Err(TfmrError::Corrupt.into());
    }
    if tfmr.state() == TbState::Error {
        // A new error, and what was read of TB may be damaged by it.
        return Err(TfmrError::EnteredError { tfmr }.into());
    }
    if after < before {
        system.counters.count_backward_timebase();
        return Err(ReloadError::WentBackwards { before, after });
    }
    Ok(after)
}
