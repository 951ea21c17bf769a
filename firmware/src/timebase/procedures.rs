//! The elementary TFMR procedures. Every write contains the base value, every wait is bounded.
//!
//! The caller owns the core's TFMR: a write replaces all control bits, so two writers at a time
//! would cancel each other's commands.

use crate::budget::Budget;
use crate::hardware::Hardware;
use crate::system::System;
use power_registers::{TbState, Tfmr};

/// Longest wait for a command of TFMR; what is awaited comes within a sync period of 16 us.
const COMMAND_MICROSECONDS: u64 = 1_000;
/// Fewest polls of TFMR in a wait, whatever a spin lasts.
const LEAST_POLLS: u64 = 20_000;

/// Longest wait for a transfer once the TOD was told to send: no sync pulse is awaited here, and
/// the cores of the chip queue up for it.
const TRANSFER_MICROSECONDS: u64 = 100;
const LEAST_TRANSFER_POLLS: u64 = 200;

/// Why a TFMR procedure failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TfmrError {
    /// TFMR itself is corrupt: nothing in it can be trusted.
    Corrupt,
    /// The state machine went to ERROR.
    EnteredError {
        /// TFMR then.
        tfmr: Tfmr,
    },
    /// What was awaited did not come.
    TimedOut {
        /// TFMR at the end.
        tfmr: Tfmr,
    },
    /// The command ended in another state than it should.
    UnexpectedState {
        /// TFMR then.
        tfmr: Tfmr,
    },
}

/// The budget of one TFMR command.
pub(super) fn command_budget(system: &System<'_>) -> Budget {
    system.budget(COMMAND_MICROSECONDS, LEAST_POLLS)
}

/// Writes the base value with `bits`.
pub(crate) fn write<H: Hardware>(hw: &mut H, system: &System<'_>, bits: Tfmr) {
    hw.set_tfmr(system.base_tfmr() | bits);
}

/// Writes it twice: errors and per-thread bits go with the second write only.
pub(crate) fn write_twice<H: Hardware>(hw: &mut H, system: &System<'_>, bits: Tfmr) {
    write(hw, system, bits);
    write(hw, system, bits);
}

/// Reads TFMR until `done`; ends early when TFMR is corrupt.
fn poll<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    done: impl Fn(Tfmr) -> bool,
) -> Result<Tfmr, TfmrError> {
    poll_within(hw, command_budget(system), done)
}

fn poll_within<H: Hardware>(
    hw: &mut H,
    mut waiting: Budget,
    done: impl Fn(Tfmr) -> bool,
) -> Result<Tfmr, TfmrError> {
    loop {
        let tfmr = hw.tfmr();
        if tfmr.contains(Tfmr::TFMR_CORRUPT) {
            return Err(TfmrError::Corrupt);
        }
        if done(tfmr) {
            return Ok(tfmr);
        }
        waiting.spin(hw).map_err(|_| TfmrError::TimedOut { tfmr })?;
    }
}

/// CLEAR_TB_ERRORS together with the observed `errors`, then CLEAR alone. Gives TFMR afterwards;
/// whether the state left ERROR is for the caller to judge.
pub(crate) fn clear_tb_errors<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    errors: Tfmr,
) -> Result<Tfmr, TfmrError> {
    write(hw, system, Tfmr::CLEAR_TB_ERRORS | errors);
    write(hw, system, Tfmr::CLEAR_TB_ERRORS);
    poll(hw, system, |tfmr| !tfmr.contains(Tfmr::CLEAR_TB_ERRORS))
}

/// Ends what TFMR was about when it became corrupt, and gives TFMR then. Whoever gave the commands has
/// given up. One that is under way is not cut off: it ends by itself, or never; in ERROR none does. Of
/// CLEAR only the first write may have come: the second one ends it.
pub(crate) fn end_commands<H: Hardware>(hw: &mut H, system: &System<'_>, tfmr: Tfmr) -> Tfmr {
    const WAITING: Tfmr = Tfmr::LOAD_TOD_MOD.union(Tfmr::MOVE_CHIP_TOD_TO_TB);
    if !tfmr.intersects(Tfmr::COMMANDS) {
        return tfmr;
    }
    if tfmr.intersects(WAITING) && tfmr.state() != TbState::Error {
        // What comes of it is read below.
        let budget = system.budget(TRANSFER_MICROSECONDS, LEAST_TRANSFER_POLLS);
        let _ = poll_within(hw, budget, |tfmr| !tfmr.intersects(WAITING));
    }
    if tfmr.contains(Tfmr::CLEAR_TB_ERRORS) {
        write(hw, system, Tfmr::CLEAR_TB_ERRORS);
        let _ = poll(hw, system, |tfmr| !tfmr.contains(Tfmr::CLEAR_TB_ERRORS));
    }
    hw.tfmr()
}

/// LOAD_TOD_MOD: TB to NOT_SET, ready to receive the TOD.
pub(crate) fn to_not_set<H: Hardware>(hw: &mut H, system: &System<'_>) -> Result<Tfmr, TfmrError> {
    write(hw, system, Tfmr::LOAD_TOD_MOD);
    let done = |tfmr: Tfmr| !tfmr.contains(Tfmr::LOAD_TOD_MOD) || tfmr.state() == TbState::Error;
    let tfmr = poll(hw, system, done)?;
    match tfmr.state() {
        TbState::NotSet => Ok(tfmr),
        TbState::Error => Err(TfmrError::EnteredError { tfmr }),
        _ => Err(TfmrError::UnexpectedState { tfmr }),
    }
}

/// MOVE_CHIP_TOD_TO_TB: arms the reception, and waits for the sync pulse after which TB takes the
/// TOD. Only legal in NOT_SET.
pub(crate) fn arm_move<H: Hardware>(hw: &mut H, system: &System<'_>) -> Result<(), TfmrError> {
    write(hw, system, Tfmr::MOVE_CHIP_TOD_TO_TB);
    let tfmr = poll(hw, system, |tfmr| {
        matches!(
            tfmr.state(),
            TbState::GetTod | TbState::Running | TbState::Error
        )
    })?;
    match tfmr.state() {
        TbState::Error => Err(TfmrError::EnteredError { tfmr }),
        _ => Ok(()),
    }
}

/// Waits until the TOD was received.
pub(crate) fn await_move<H: Hardware>(hw: &mut H, system: &System<'_>) -> Result<Tfmr, TfmrError> {
    let budget = system.budget(TRANSFER_MICROSECONDS, LEAST_TRANSFER_POLLS);
    let tfmr = poll_within(hw, budget, |tfmr| {
        !tfmr.contains(Tfmr::MOVE_CHIP_TOD_TO_TB) || tfmr.state() == TbState::Error
    })?;
    match tfmr.state() {
        TbState::Error => Err(TfmrError::EnteredError { tfmr }),
        _ => Ok(tfmr),
    }
}

/// Waits until the TOD reports no error any more (TFMR 51).
pub(crate) fn await_tod_interrupt_off<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
) -> Result<Tfmr, TfmrError> {
    poll(hw, system, |tfmr| !tfmr.contains(Tfmr::CHIP_TOD_INTERRUPT))
}

/// Whether CLEAR is due before any other command: in ERROR nothing else works, and a command that
/// still waits would turn the next one into a firmware control error.
pub(crate) fn needs_clear(tfmr: Tfmr) -> bool {
    tfmr.intersects(Tfmr::LOAD_TOD_MOD | Tfmr::MOVE_CHIP_TOD_TO_TB)
        || matches!(
            tfmr.state(),
            TbState::SyncWait | TbState::GetTod | TbState::Error | TbState::Unknown(_)
        )
}

/// After a failure: leaves neither ERROR nor a command in flight behind, as far as CLEAR can.
pub(crate) fn leave_clean<H: Hardware>(hw: &mut H, system: &System<'_>) {
    let tfmr = hw.tfmr();
    if needs_clear(tfmr) && !tfmr.contains(Tfmr::TFMR_CORRUPT) {
        // A failure here adds nothing to the one that is being reported.
        let _ = clear_tb_errors(hw, system, tfmr & Tfmr::TB_FATAL);
    }
}

/// Clears the per-thread status of the calling thread.
pub(crate) fn clean_thread<H: Hardware>(hw: &mut H, system: &System<'_>) {
    write(hw, system, Tfmr::THREAD_CLEANUP);
}
