//! What a thread does without a meeting: errors of its own, and of a TOD that leaves TB running.

use super::caller::Caller;
use super::coordinator::Findings;
use super::core_state::CoreState;
use super::events::Scope;
use super::local::{self, Repair};
use super::meeting;
use crate::chip_tod::TodRecovery;
use crate::hardware::Hardware;
use crate::quirks::sub_cores;
use crate::system::System;
use opal_abi::hmi_event::Disposition;
use power_registers::Tfmr;

/// Longest wait for TB to notice that its TOD has stopped.
const STEPS_MICROSECONDS: u64 = 100;
const LEAST_SPINS: u64 = 20;

/// If the last meeting waited for this thread in vain, it takes home what the others did.
pub(super) fn catch_up<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    core: &CoreState,
) {
    if core.take_missed(caller.place.thread) {
        let findings = core.coordinator.load().findings;
        meeting::take_flags(caller, findings);
        // A sibling has rewritten a shared one; since then it may be in use.
        let own_copy = !sub_cores::share_copies(system.platform.generation);
        if findings.contains(Findings::HDEC_LOST) && own_copy {
            hw.set_hypervisor_decrementer(0);
        }
    }
}

const fn disposition(failed: bool) -> Disposition {
    if failed {
        Disposition::NotRecovered
    } else {
        Disposition::Recovered
    }
}

/// What needs no meeting: errors of this thread, and errors of the TOD that leave TB running. An event
/// for each that this thread repaired; none for what another was faster with. `false` when TFMR
/// became corrupt meanwhile: then it all has to be looked at again.
pub(super) fn handle_alone<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    tfmr: Tfmr,
    tod: bool,
) -> bool {
    let hmer = caller.hmer;
    let local = local::repair(hw, system, caller);
    if local == Repair::Unjudged {
        return false;
    }
    if local != Repair::Nothing {
        let scope = Scope::Thread(caller.index as u32);
        let disposition = disposition(local == Repair::Failed);
        caller.post_timer_event(hw, system, scope, hmer, tfmr, disposition);
    }
    let core = &system.platform.cores[caller.place.core];
    if !tod {
        system.judge_value(hw, caller.place);
        return true;
    }
    let recovery = system.recover_tod_errors(hw, core, true);
    if recovery == TodRecovery::Stopped && loses_timebase(hw, system) {
        // Now it is the core's affair.
        return false;
    }
    if recovery == TodRecovery::Nothing {
        system.judge_value(hw, caller.place);
        return true;
    }
    if recovery == TodRecovery::Stopped
        && let Some(tod) = system.tod_of(core.chip)
    {
        // One event says both.
        let _ = system.take_unsaid(tod);
    }
    let scope = Scope::Chip(core.chip.0);
    let disposition = disposition(recovery != TodRecovery::Recovered);
    caller.post_timer_event(hw, system, scope, hmer, tfmr, disposition);
    true
}

/// Whether TB stops now that its TOD has: steps are missed within a microsecond.
fn loses_timebase<H: Hardware>(hw: &mut H, system: &System<'_>) -> bool {
    let mut waiting = system.budget(STEPS_MICROSECONDS, LEAST_SPINS);
    loop {
        if !hw.tfmr().tb_usable() {
            return true;
        }
        if waiting.spin(hw).is_err() {
            return false;
        }
    }
}
