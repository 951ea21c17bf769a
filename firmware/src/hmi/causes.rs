//! Causes in HMER that are not the timer facility's. Each has its own event and disposition.

use super::Caller;
use super::core_state::FirstSeer;
use crate::hardware::Hardware;
use crate::platform::Generation;
use crate::system::System;
use opal_abi::hmi_event::{Disposition, EventType, HmiEvent, Severity};
use power_registers::Hmer;

/// Which of the threads that see a cause reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reporter {
    /// The core's lowest thread that runs.
    LowestThread,
    /// Each: the cause is the thread's own.
    EachThread,
    /// The first of the core that sees it.
    FirstOfCore,
    /// The first of the machine that sees it.
    FirstOfMachine,
}

/// One cause, on the generations that have it.
struct Cause {
    bit: Hmer,
    generations: &'static [Generation],
    event_type: EventType,
    severity: Severity,
    disposition: Disposition,
    reporter: Reporter,
}

const ALL: &[Generation] = &[Generation::Power8, Generation::Power9, Generation::Power10];
const BEFORE_POWER10: &[Generation] = &[Generation::Power8, Generation::Power9];
const POWER10: &[Generation] = &[Generation::Power10];

const fn harmless(
    bit: Hmer,
    generations: &'static [Generation],
    event_type: EventType,
    reporter: Reporter,
) -> Cause {
    let (severity, disposition) = (Severity::NoError, Disposition::Recovered);
    Cause {
        bit,
        generations,
        event_type,
        severity,
        disposition,
        reporter,
    }
}

const fn fatal(
    bit: Hmer,
    generations: &'static [Generation],
    event_type: EventType,
    reporter: Reporter,
) -> Cause {
    let (severity, disposition) = (Severity::Fatal, Disposition::NotRecovered);
    Cause {
        bit,
        generations,
        event_type,
        severity,
        disposition,
        reporter,
    }
}

const CAUSES: &[Cause] = &[
    harmless(
        Hmer::PROC_RECV_DONE,
        ALL,
        EventType::ProcessorRecoveryDone,
        Reporter::LowestThread,
    ),
    harmless(
        Hmer::PROC_RECV_AGAIN,
        ALL,
        EventType::ProcessorRecoveryAgain,
        Reporter::LowestThread,
    ),
    harmless(
        Hmer::PROC_RECV_ERROR_MASKED,
        BEFORE_POWER10,
        EventType::ProcessorRecoveryMasked,
        Reporter::LowestThread,
    ),
    harmless(
        Hmer::SCOM_FIR,
        ALL,
        EventType::ScomFir,
        Reporter::EachThread,
    ),
    harmless(
        Hmer::DEBUG_TRIGGER,
        BEFORE_POWER10,
        EventType::DebugTrigger,
        Reporter::EachThread,
    ),
    harmless(
        Hmer::DEBUG_TRIGGER_P10,
        POWER10,
        EventType::DebugTrigger,
        Reporter::EachThread,
    ),
    fatal(
        Hmer::HYP_RESOURCE_ERROR,
        BEFORE_POWER10,
        EventType::HypervisorResource,
        Reporter::FirstOfCore,
    ),
    // What alarmed is not looked up: the honest answer to an unknown checkstop is "not recovered".
    fatal(
        Hmer::MALFUNCTION_ALERT,
        ALL,
        EventType::MalfunctionAlert,
        Reporter::FirstOfMachine,
    ),
];

/// Reports the causes in the caller's HMER other than the timer's, and gives the bits to clear:
/// every one that was found, known or not, so that none can raise the interrupt again.
pub(super) fn report<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller) -> Hmer {
    let generation = system.platform.generation;
    let found = Hmer::from_bits_retain(caller.hmer.bits() & Hmer::IMPLEMENTED)
        .difference(Hmer::TIMER | Hmer::XSCOM_MAILBOX);
    let mut unknown = found;
    let known = CAUSES
        .iter()
        .filter(|cause| cause.generations.contains(&generation));
    for cause in known.filter(|cause| found.contains(cause.bit)) {
        unknown = unknown.difference(cause.bit);
        if reports(system, caller, cause) {
            let Cause {
                event_type,
                severity,
                disposition,
                ..
            } = *cause;
            caller.post(
                hw,
                system,
                HmiEvent {
                    severity,
                    event_type,
                    disposition,
                    hmer: caller.hmer.bits(),
                    tfmr: caller.tfmr.bits(),
                },
            );
        }
    }
    if !unknown.is_empty() {
        system.counters.count_unknown_hmer(unknown.bits());
        let seer = &system.core(caller.place.core).unknown;
        if is_first_of_core(system, caller, seer) {
            caller.post(
                hw,
                system,
                HmiEvent {
                    severity: Severity::NoError,
                    event_type: EventType::Unknown,
                    disposition: Disposition::Recovered,
                    hmer: caller.hmer.bits(),
                    tfmr: caller.tfmr.bits(),
                },
            );
        }
    }
    found
}

fn reports(system: &System<'_>, caller: &Caller, cause: &Cause) -> bool {
    let core = system.core(caller.place.core);
    match cause.reporter {
        Reporter::EachThread => true,
        Reporter::LowestThread => {
            let running = core.expected();
            let lowest = if running == 0 {
                0
            } else {
                running.trailing_zeros() as usize
            };
            caller.place.thread == lowest
        }
        Reporter::FirstOfCore => is_first_of_core(system, caller, &core.hypervisor_resource),
        Reporter::FirstOfMachine => system
            .malfunction
            .is_first(1 << caller.index, all_threads(system)),
    }
}

fn is_first_of_core(system: &System<'_>, caller: &Caller, seer: &FirstSeer) -> bool {
    let expected = u64::from(system.core(caller.place.core).expected());
    let me = 1 << caller.place.thread;
    seer.is_first(me, expected | me)
}

/// Threads of the machine that see a broadcast, by their index.
fn all_threads(system: &System<'_>) -> u64 {
    let mut all = 0;
    let mut first = 0;
    for (index, core) in system.platform.cores.iter().enumerate() {
        all |= u64::from(system.core(index).expected()) << first;
        first += core.threads.len();
    }
    all
}
