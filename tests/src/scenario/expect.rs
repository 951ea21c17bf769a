//! What must come of a case. Where nothing is said, the strict rules hold: see [`Expect`].

use super::case::{Who, is_default};
use super::word::Word;
use serde::{Deserialize, Serialize};

/// What must come of a case.
///
/// Where a key is absent: every fault is repaired, TB of every thread that runs is the exact time,
/// no error bit is left in TFMR, no cause in HMER, no unmasked bit in a TOD's ERROR, no rule of the
/// machine was broken, every event says "recovered" and none is there twice.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Expect {
    /// Exactly these events, in any order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<EventCase>>,
    /// Without `events`: at least so many; 1 when absent, if there is a fault that makes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_events: Option<usize>,
    /// Flags that `OPAL_HANDLE_HMI2` gave, all calls of a thread together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FlagsCase>,
    /// TB of every thread that runs, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timebase: Option<Time>,
    /// The same for one core.
    #[serde(rename = "core", skip_serializing_if = "Vec::is_empty")]
    pub cores: Vec<CoreCase>,
    /// TFMR bits that may be left: errors and commands.
    #[serde(skip_serializing_if = "Word::is_zero")]
    pub tfmr_left: Word,
    /// HMER bits that may be left.
    #[serde(skip_serializing_if = "Word::is_zero")]
    pub hmer_left: Word,
    /// ChipTODs, at the end.
    #[serde(rename = "tod", skip_serializing_if = "Vec::is_empty")]
    pub tods: Vec<TodCase>,
    /// SCOM registers, at the end.
    #[serde(rename = "register", skip_serializing_if = "Vec::is_empty")]
    pub registers: Vec<RegisterCase>,
    /// How often registers were read and written.
    #[serde(rename = "count", skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<CountCase>,
    /// Golden traces of writes.
    #[serde(rename = "trace", skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<TraceCase>,
    /// Rules of the machine that may be broken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<String>,
    /// Most ticks of the machine from the first fault until all is quiet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_ticks: Option<u64>,
    /// How often the shim called `OPAL_RESYNC_TIMEBASE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resyncs: Option<u64>,
    /// Threads whose activity could not be brought about; none when absent.
    #[serde(skip_serializing_if = "is_default")]
    pub unplaced: bool,
}

/// One event. What is absent is not looked at, but `recovered` is then true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventCase {
    /// Type, as the ABI numbers it.
    #[serde(rename = "type")]
    pub event_type: u8,
    /// Severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// Disposition.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub recovered: bool,
    /// How many of them; 1 when absent.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: usize,
    /// HMER as found, the XSCOM mailbox aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmer: Option<Word>,
    /// Bits that TFMR as found has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tfmr_has: Option<Word>,
    /// Version 2: 1 core, 2 NX, 3 NPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xstop_type: Option<u8>,
    /// Version 2: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xstop_reason: Option<u32>,
    /// Version 2: PIR of the core's first thread, or the chip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
    /// All 40 bytes, in hex; blanks and `|` do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

const fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_yes(value: &bool) -> bool {
    *value
}

const fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_one(value: &usize) -> bool {
    *value == 1
}

/// Flags that threads got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlagsCase {
    /// Which threads.
    #[serde(default, skip_serializing_if = "is_default")]
    pub who: Who,
    /// Exactly these; `new-event` is not looked at unless it is named.
    pub are: Vec<Flag>,
}

/// A flag of `OPAL_HANDLE_HMI2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the ABI's own")]
pub enum Flag {
    TbResync,
    DecLost,
    HdecLost,
    TodTbFail,
    NewEvent,
}

/// What TB must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Time {
    /// Running, and the machine's time to the tick.
    Exact,
    /// Running, one time for the whole machine, at most so many ticks from what it should be.
    Within(u64),
    /// Running, one time for the whole machine, not behind any that was seen before.
    NotBehind,
    /// Not valid, and said so.
    Invalid,
    /// Running and exact, or not valid and said so by every thread that can speak.
    Honest,
    /// Not looked at.
    Any,
    /// As a campaign judges, and then nothing else that is expected counts: everything is repaired,
    /// or what is not was said.
    Judged,
}

/// What is expected of one core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CoreCase {
    /// The core, counted over the machine.
    pub core: usize,
    /// TB of its threads.
    pub timebase: Time,
}

/// What is expected of a ChipTOD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TodCase {
    /// The chip.
    pub chip: usize,
    /// All bits of ERROR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Word>,
    /// Code of the state machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsm: Option<u8>,
    /// Whether it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<bool>,
}

/// What a SCOM register holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegisterCase {
    /// The chip.
    pub chip: usize,
    /// SCOM address.
    pub address: u32,
    /// The value; what it was before the faults when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Word>,
    /// Bits that count; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Word>,
}

/// How often a register was accessed, over all threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CountCase {
    /// An SPR by name, or a SCOM address.
    pub register: String,
    /// Chip of the SCOM register; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip: Option<usize>,
    /// Exactly so many reads (SCOM only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<usize>,
    /// At most so many reads (SCOM only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_reads: Option<usize>,
    /// Exactly so many writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<usize>,
}

/// The writes of some threads to some registers, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TraceCase {
    /// Only of these threads.
    #[serde(default, skip_serializing_if = "is_default")]
    pub who: Who,
    /// Only to these registers.
    pub registers: Vec<String>,
    /// The writes: `REGISTER VALUE`. The value is a number, `*` for any, `B+24+45` for TFMR's base
    /// value and these IBM bits, or `~4~5` for all ones without these.
    pub writes: Vec<String>,
}
