//! Causes in HMER that are not the timer facility's. Each has its own event and disposition.

mod table;

use super::Caller;
use super::events::Scope;
use super::first_seer::FirstSeer;
use crate::atomic::{const_fn, each};
use crate::decisions::Table;
use crate::hardware::Hardware;
use crate::malfunction;
use crate::system::System;
use opal_abi::hmi_event::HmiEvent;
use power_registers::{Hmer, ibm};
use table::{Meaning, Report};

/// Which threads of a core have seen each of its causes; the last one is for all bits that do not
/// exist.
#[derive(Debug)]
pub(crate) struct Seen([FirstSeer; table::BITS + 1]);

impl Seen {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self(each!(FirstSeer::new(); table::BITS + 1))
        }
    }

    fn of(&self, bit: u32) -> &FirstSeer {
        &self.0[(bit as usize).min(table::BITS)]
    }
}

/// Clears and reports the causes in the caller's HMER other than the timer's: every one that was
/// found, known or not, so that none can raise the interrupt for ever.
///
/// They are cleared before they are looked into. So a cause that comes on again meanwhile raises
/// the interrupt again, and what it is about is found either now or then.
pub(super) fn report<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller) {
    let found = caller.hmer.difference(Hmer::TIMER | Hmer::XSCOM_MAILBOX);
    system
        .decisions
        .hit_all(Table::Hmer, (caller.hmer - Hmer::XSCOM_MAILBOX).bits());
    if found.is_empty() {
        return;
    }
    hw.and_hmer(!found.bits());
    let mut unknown = 0;
    let mut recovery = false;
    for bit in (0..64).filter(|bit| found.bits() & ibm(*bit) != 0) {
        match table::meaning(system.platform.generation, bit) {
            // Not among the found, or handled before.
            Meaning::Mailbox | Meaning::Timer => {}
            Meaning::MalfunctionAlert => malfunction::attend(hw, system, caller),
            Meaning::CoreRecovery(report) => {
                if is_first_of_core(system, caller, bit) {
                    if !recovery {
                        malfunction::record_recovery(hw, system, caller.place);
                    }
                    recovery = true;
                    post(hw, system, caller, report);
                }
            }
            Meaning::Core(report) => {
                if is_first_of_core(system, caller, bit) {
                    post(hw, system, caller, report);
                }
            }
            Meaning::Reserved => {
                if is_first_of_core(system, caller, bit) {
                    unknown |= ibm(bit);
                }
            }
        }
    }
    if unknown != 0 {
        system.counters.count_unknown_hmer(unknown);
        post(hw, system, caller, table::UNKNOWN);
    }
}

fn post<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller, report: Report) {
    let Report {
        event_type,
        severity,
        disposition,
    } = report;
    let event = HmiEvent {
        severity,
        event_type,
        disposition,
        hmer: caller.hmer.bits(),
        tfmr: caller.tfmr.bits(),
        checkstop: None,
    };
    let scope = Scope::Core(caller.place.core as u32);
    caller.post(hw, system, scope, &event);
}

fn is_first_of_core(system: &System<'_>, caller: &Caller, bit: u32) -> bool {
    let core = system.core(caller.place.core);
    let me = 1 << caller.place.thread;
    core.seen.of(bit).is_first(me, u64::from(core.expected()))
}
