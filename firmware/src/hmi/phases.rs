//! The work of each phase of a meeting, by the thread whose task it is.

use super::Caller;
use super::coordinator::{AbortReason, Findings, Phase};
use super::core_state::{CoreState, Plan};
use super::diagnosis::{LOCAL, diagnose, ignoring_latched, owned, rows};
use super::local;
use crate::chip_tod::TodRecovery;
use crate::decisions::Table;
use crate::hardware::Hardware;
use crate::system::System;
use crate::timebase::reload::{DeadTod, ReloadError, Target, reload};
use crate::timebase::{TfmrError, estimate, own_tfmr, own_tfmr_in_turn, procedures};
use flight_recorder::Step;
use hmi_meeting::way::Report;
use power_registers::{TbState, Tfmr};

const DONE: Report = Report::Done(Findings::NONE);

/// Does the work of `phase`. `participants` are the threads of this meeting.
pub(super) fn work<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    phase: Phase,
    participants: u8,
) -> Report {
    match phase {
        Phase::RepairTfmr => repair_tfmr(hw, system, caller, participants),
        Phase::Clean => clean(hw, system, caller),
        Phase::Clear => clear(hw, system, caller),
        Phase::Local => repair_local(hw, system, caller),
        Phase::Reload => reload_timebase(hw, system, caller),
        Phase::Check => check(hw, system, caller),
        Phase::Idle | Phase::Arrive | Phase::Depart => DONE,
    }
}

/// Leader: makes TFMR trustworthy, and decides what is to be cleaned.
fn repair_tfmr<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &Caller,
    participants: u8,
) -> Report {
    let core = system.core(caller.place.core);
    let Some(_owned) = own_tfmr(hw, system, caller.place) else {
        return Report::Abort(AbortReason::TfmrHeld);
    };
    let mut tfmr = hw.tfmr();
    let corrupt = tfmr.contains(Tfmr::TFMR_CORRUPT);
    if corrupt {
        procedures::write_twice(hw, system, Tfmr::TFMR_CORRUPT);
        tfmr = hw.tfmr();
        let gone = !tfmr.contains(Tfmr::TFMR_CORRUPT);
        system.record(hw, Step::RepairTfmr, [u64::from(gone), 0]);
        if !gone {
            return Report::Retry;
        }
        tfmr = procedures::end_commands(hw, system, tfmr);
    }
    let revealed = rows(tfmr, diagnose(tfmr, false));
    system.decisions.hit_all(Table::Tfmr, revealed);
    let before_clear = tfmr;
    let no_reason = !tfmr.intersects(Tfmr::CORE_ERRORS);
    if procedures::needs_clear(tfmr) && (corrupt || no_reason) {
        // If dirty registers hold it in ERROR, the phases to come clean and clear again.
        let _ = procedures::clear_tb_errors(hw, system, tfmr & Tfmr::TB_FATAL);
    }
    let tfmr = owned(hw, system, caller);
    if tfmr.contains(Tfmr::TFMR_CORRUPT) {
        // Again: no plan can be made of it.
        return Report::Retry;
    }
    // What was read of a corrupt TFMR means nothing.
    let reported = if corrupt {
        Tfmr::empty()
    } else {
        found(system, core, participants)
    };
    let hdec = (tfmr | reported).contains(Tfmr::HDEC_PARITY);
    let timebase = tfmr.state() != TbState::Running;
    let before = core.plan();
    core.set_plan(Plan {
        hdec,
        timebase,
        reload: before.reload || tfmr.contains(Tfmr::CHIP_TOD_PARITY_ERROR),
        damaged: timebase
            && (before.damaged
                || (tfmr | before_clear | reported).contains(Tfmr::TB_RESIDUE_ERROR)),
    });
    Report::Done(if hdec {
        Findings::HDEC_LOST
    } else {
        Findings::NONE
    })
}

/// What the participants found; thread 0 is believed if it is there.
fn found(system: &System<'_>, core: &CoreState, participants: u8) -> Tfmr {
    let threads = (0..8).filter(|thread| participants >> thread & 1 != 0);
    let deposits = threads.map(|thread| (thread, core.deposited(thread)));
    super::diagnosis::most_informative(system.platform.generation, deposits).0
}

/// Everyone: rewrites the own HDEC and TB. A copy that stays dirty brings the error back as soon
/// as it is cleared.
fn clean<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &Caller) -> Report {
    if cfg!(feature = "mutate-skip-scrub") && caller.place.thread == 1 {
        return DONE;
    }
    let plan = system.core(caller.place.core).plan();
    if plan.hdec {
        hw.set_hypervisor_decrementer(0);
    }
    if cfg!(feature = "mutate-skip-tb-repair") {
        return DONE;
    }
    let mut seed = 0;
    if plan.timebase {
        // One at a time: threads may share a TB, and one that is half written would be taken for
        // what is left of the truth.
        let Some(_owned) = own_tfmr_in_turn(hw, system, caller.place) else {
            return Report::Abort(AbortReason::TfmrHeld);
        };
        if may_write_timebase(hw.tfmr()) {
            seed = estimate::seed(hw, system, caller.place);
            estimate::write_timebase(hw, seed);
        }
    }
    system.record(hw, Step::Clean, [seed, 0]);
    DONE
}

/// In RUNNING the write itself would be the error, and a TB that is about to receive the TOD is left
/// alone until that command is flushed. What a corrupt TFMR says of the state means nothing.
const fn may_write_timebase(tfmr: Tfmr) -> bool {
    !tfmr.contains(Tfmr::TFMR_CORRUPT)
        && !matches!(
            tfmr.state(),
            TbState::Running | TbState::SyncWait | TbState::GetTod
        )
}

/// Leader: clears the errors of the core, each as it was observed.
fn clear<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &Caller) -> Report {
    let Some(_owned) = own_tfmr(hw, system, caller.place) else {
        return Report::Abort(AbortReason::TfmrHeld);
    };
    let tfmr = owned(hw, system, caller);
    if tfmr.contains(Tfmr::TFMR_CORRUPT) {
        // It became so meanwhile: none of its bits may be acted upon.
        return Report::Retry;
    }
    let registers = tfmr & (Tfmr::HDEC_PARITY | Tfmr::TFAC_XFER_ERROR);
    if !registers.is_empty() {
        procedures::write_twice(hw, system, registers);
    }
    let transfer = tfmr & Tfmr::TRANSFER_ERRORS;
    let fatal = tfmr & Tfmr::TB_FATAL | transfer;
    if !fatal.is_empty() || procedures::needs_clear(tfmr) {
        // Judged by the state below.
        let _ = procedures::clear_tb_errors(hw, system, fatal);
    }
    if !transfer.is_empty() {
        let left = hw.tfmr();
        if !left.contains(Tfmr::TFMR_CORRUPT) {
            system
                .core(caller.place.core)
                .note_stuck_transfer(left & transfer);
        }
    }
    let after = owned(hw, system, caller);
    let in_error = after.state() == TbState::Error || after.contains(Tfmr::TFMR_CORRUPT);
    system.record(hw, Step::Clear, [u64::from(!in_error), after.bits()]);
    if in_error || after.intersects(Tfmr::CORE_ERRORS) {
        return Report::Retry;
    }
    DONE
}

/// What follows a retry that is not granted any more. ERROR is the end; with an error bit that
/// merely stays, TB can still be made to run, but it is not called recovered.
pub(super) fn after_refused_retry<H: Hardware>(hw: &mut H, phase: Phase) -> Report {
    let tfmr = hw.tfmr();
    if tfmr.contains(Tfmr::TFMR_CORRUPT) {
        Report::Abort(AbortReason::TfmrCorrupt)
    } else if tfmr.state() != TbState::Error && phase == Phase::Clear {
        Report::Done(Findings::FAILED)
    } else if phase == Phase::Reload {
        Report::Abort(AbortReason::ReloadFailed)
    } else {
        Report::Abort(AbortReason::ClearFailed)
    }
}

/// Everyone: repairs the own thread-local registers. Whether it helped is checked at the end.
fn repair_local<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller) -> Report {
    let _ = local::repair(hw, system, caller);
    DONE
}

/// Leader: the TOD's own errors, then TB from the TOD if it does not run.
fn reload_timebase<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &Caller) -> Report {
    if cfg!(feature = "mutate-skip-tb-repair") {
        return Report::Done(Findings::RELOADED);
    }
    let Some(_owned) = own_tfmr(hw, system, caller.place) else {
        return Report::Abort(AbortReason::TfmrHeld);
    };
    let tfmr = hw.tfmr();
    let tod_error = tfmr.contains(Tfmr::CHIP_TOD_INTERRUPT);
    let state = system.core(caller.place.core);
    let plan = state.plan();
    if tfmr.tb_usable() && !tod_error && !plan.reload {
        return DONE;
    }
    let core = &system.platform.cores[caller.place.core];
    let Some(tod) = system.tod_of(core.chip) else {
        return Report::Abort(AbortReason::ReloadFailed);
    };
    let mut findings = Findings::NONE;
    let fails =
        |recovery: TodRecovery| matches!(recovery, TodRecovery::Failed | TodRecovery::Stopped);
    if tod_error && tfmr.tb_usable() {
        if fails(system.recover_tod_errors(hw, core, true)) {
            findings = Findings::FAILED;
        }
    } else if tod_error {
        // Whether the TOD is of use the load shows, and it may have to be tried again: what cannot be
        // repaired is said at its end.
        system.recover_tod_errors_quietly(hw, tod, core, false);
    }
    // The repair of the TOD took time: judge by what is now.
    if hw.tfmr().tb_usable() && !plan.reload {
        return Report::Done(findings);
    }
    let place = caller.place;
    let dead = DeadTod::Restart {
        spins: caller.spins,
    };
    let rebuilt = system.chip_tod.counters.rebuilds();
    let loaded = reload(hw, system, Target { core, place }, dead, None);
    if plan.damaged && system.chip_tod.counters.rebuilds() != rebuilt {
        // Neither a TOD nor TB knew the time: TB runs again, but it only guesses.
        findings = Findings::FAILED;
    }
    if loaded.is_ok() {
        state.note_timebase_loaded();
        system.clear_after_reload(hw, tod);
        // A SCOM that failed may have left errors in the TOD: what stays now is not recovered.
        if hw.tfmr().contains(Tfmr::CHIP_TOD_INTERRUPT)
            && fails(system.recover_tod_errors(hw, core, true))
        {
            findings = Findings::FAILED;
        }
    }
    let again = matches!(
        loaded,
        Err(ReloadError::Tfmr(
            TfmrError::EnteredError { .. } | TfmrError::Corrupt
        ))
    );
    if !again && system.take_unsaid(tod) {
        findings = Findings::FAILED;
    }
    match loaded {
        Ok(reloaded) => {
            let attempts = u64::from(reloaded.attempts);
            system.record(hw, Step::Running, [reloaded.timebase, attempts]);
            Report::Done(findings.with(Findings::RELOADED))
        }
        // TB runs and follows the TOD: that is no reason to stop here, but it is not right.
        Err(ReloadError::WentBackwards { .. }) => {
            Report::Done(findings.with(Findings::RELOADED).with(Findings::FAILED))
        }
        // A new error of the core while TB was loading: its registers may be dirty again.
        Err(_) if again => Report::Retry,
        Err(_) => Report::Abort(AbortReason::ReloadFailed),
    }
}

/// Everyone: is the own view of TFMR and TB good?
fn check<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller) -> Report {
    if cfg!(feature = "mutate-skip-tb-repair") {
        return DONE;
    }
    let timebase = hw.timebase();
    let tfmr = ignoring_latched(system, caller, hw.tfmr());
    let core = system.core(caller.place.core);
    let monotonic = timebase >= core.last_good_timebase(caller.place.thread);
    let sound = tfmr.tb_usable()
        && tfmr.state() == TbState::Running
        && !tfmr.intersects(Tfmr::CORE_ERRORS | LOCAL);
    let findings = match (sound, monotonic) {
        (true, true) => Findings::NONE,
        (false, _) => Findings::AGAIN,
        (true, false) => {
            caller.backwards = true;
            core.accept_timebase(caller.place.thread, timebase);
            Findings::FAILED
        }
    };
    let good = findings == Findings::NONE;
    system.record(hw, Step::Check, [u64::from(good), timebase]);
    Report::Done(findings)
}
