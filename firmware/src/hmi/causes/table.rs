//! What each bit of HMER means on each generation.
//!
//! Source: HMI and ChipTOD specification, sections 1.3 and 5.3, with these decisions of ours:
//! bit 17 of POWER8 and POWER9 is reported as the debug trigger that it is, bit 16 as a FIR that
//! SCOM set. A SPURR scale limit has no type of its own, and the type of another cause would be
//! wrong, so it goes without.

use crate::platform::Generation;
use opal_abi::hmi_event::{Disposition, EventType, Severity};

/// What a bit means, and who sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The answer to an XSCOM access: no cause, and not to be touched.
    Mailbox,
    /// The timer facility; TFMR tells more.
    Timer,
    /// Of the whole machine: some chip asks for attention.
    MalfunctionAlert,
    /// Of a core: one event, by the first thread that comes.
    Core(Report),
    /// As [`Self::Core`], and the core's WOF tells what was recovered.
    CoreRecovery(Report),
    /// No meaning that is known: cleared, counted, one harmless event.
    Reserved,
}

/// The event of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) event_type: EventType,
    pub(super) severity: Severity,
    pub(super) disposition: Disposition,
}

const fn harmless(event_type: EventType) -> Report {
    Report {
        event_type,
        severity: Severity::NoError,
        disposition: Disposition::Recovered,
    }
}

pub(super) const UNKNOWN: Report = harmless(EventType::Unknown);

const RECOVERED: Meaning = Meaning::CoreRecovery(harmless(EventType::ProcessorRecoveryDone));
const MASKED: Meaning = Meaning::CoreRecovery(harmless(EventType::ProcessorRecoveryMasked));
const AGAIN: Meaning = Meaning::CoreRecovery(harmless(EventType::ProcessorRecoveryAgain));
const SCOM_FIR: Meaning = Meaning::Core(harmless(EventType::ScomFir));
const DEBUG_TRIGGER: Meaning = Meaning::Core(harmless(EventType::DebugTrigger));
/// Known, but the OS has no name for it.
const UNTYPED: Meaning = Meaning::Core(UNKNOWN);
/// The table of dirty lines is running full: nothing was lost yet.
const HA_OVERFLOW: Meaning = Meaning::Core(Report {
    event_type: EventType::HaOverflow,
    severity: Severity::Warning,
    disposition: Disposition::Recovered,
});
/// SPRC, the SPR mode register or HMEER are not what they were.
const RESOURCE: Meaning = Meaning::Core(Report {
    event_type: EventType::HypervisorResource,
    severity: Severity::Fatal,
    disposition: Disposition::NotRecovered,
});

use Meaning::{Mailbox, MalfunctionAlert, Reserved, Timer};

/// Bits that exist.
pub(super) const BITS: usize = 24;

/// By IBM bit: POWER8, POWER9, POWER10.
const MEANINGS: [[Meaning; 3]; BITS] = [
    [MalfunctionAlert; 3],                    // 0
    [Reserved, UNTYPED, Reserved],            // 1: request of the POWER9 CME
    [RECOVERED; 3],                           // 2
    [MASKED, MASKED, Reserved],               // 3
    [Timer; 3],                               // 4
    [Timer; 3],                               // 5
    [HA_OVERFLOW, HA_OVERFLOW, UNTYPED],      // 6: on POWER10 the SPURR scale limit
    [Reserved; 3],                            // 7
    [Mailbox; 3],                             // 8
    [Mailbox; 3],                             // 9
    [Reserved; 3],                            // 10
    [AGAIN; 3],                               // 11
    [Reserved; 3],                            // 12
    [Reserved; 3],                            // 13
    [UNTYPED, UNTYPED, Reserved],             // 14: thermal warning, rising
    [UNTYPED, UNTYPED, Reserved],             // 15: thermal warning, falling
    [SCOM_FIR; 3],                            // 16
    [DEBUG_TRIGGER, DEBUG_TRIGGER, Reserved], // 17
    [Reserved, Reserved, DEBUG_TRIGGER],      // 18
    [Reserved; 3],                            // 19
    [RESOURCE, RESOURCE, Reserved],           // 20
    [Mailbox; 3],                             // 21
    [Mailbox; 3],                             // 22
    [Mailbox; 3],                             // 23
];

/// The meaning of an IBM bit; beyond bit 23 nothing is implemented.
pub(super) fn meaning(generation: Generation, bit: u32) -> Meaning {
    let column = match generation {
        Generation::Power8 => 0,
        Generation::Power9 => 1,
        Generation::Power10 => 2,
    };
    MEANINGS
        .get(bit as usize)
        .map_or(Reserved, |row| row[column])
}

#[cfg(test)]
mod tests {
    use super::*;
    use power_registers::{Hmeer, Hmer, ibm};

    const GENERATIONS: [Generation; 3] =
        [Generation::Power8, Generation::Power9, Generation::Power10];

    #[test]
    fn the_mailbox_and_the_timer_are_where_the_register_says() {
        for generation in GENERATIONS {
            let mut mailbox = 0;
            let mut timer = 0;
            for bit in 0..64 {
                match meaning(generation, bit) {
                    Mailbox => mailbox |= ibm(bit),
                    Timer => timer |= ibm(bit),
                    _ => {}
                }
            }
            assert_eq!(mailbox, Hmer::XSCOM_MAILBOX.bits());
            assert_eq!(timer, Hmer::TIMER.bits());
        }
    }

    /// What HMEER enables has a meaning.
    #[test]
    fn no_enabled_bit_is_reserved() {
        for generation in GENERATIONS {
            let enabled = match generation {
                Generation::Power8 | Generation::Power9 => Hmeer::POWER8_POWER9,
                Generation::Power10 => Hmeer::POWER10,
            };
            for bit in (0..64).filter(|bit| enabled.0.bits() & ibm(*bit) != 0) {
                assert_ne!(meaning(generation, bit), Reserved, "{generation:?} {bit}");
            }
        }
    }

    /// Only what cannot be repaired is fatal, and what is fatal is not called recovered.
    #[test]
    fn fatal_and_not_recovered_go_together() {
        for generation in GENERATIONS {
            for bit in 0..64 {
                let (Meaning::Core(report) | Meaning::CoreRecovery(report)) =
                    meaning(generation, bit)
                else {
                    continue;
                };
                let fatal = report.severity == Severity::Fatal;
                assert_eq!(fatal, report.disposition == Disposition::NotRecovered);
                assert_eq!(fatal, bit == 20 && generation != Generation::Power10);
            }
        }
    }
}
