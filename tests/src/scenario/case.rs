//! What a case is: the machine, what its threads do, the faults and when they strike.

use super::expect::{Expect, Time};
use super::word::Word;
use serde::{Deserialize, Serialize};

/// One case, on each of its generations and with each of its seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// What it is about, in one line.
    pub title: String,
    /// Sections of specifications and numbers of field bugs that ask for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cites: Vec<String>,
    /// The processors; all three when absent.
    #[serde(default = "Processor::all")]
    pub generations: Vec<Processor>,
    /// Each decides an order of the threads; 1 and 2 when absent.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// The machine.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shape: Shape,
    /// What the threads do; a later entry overrides an earlier one, others are in the host.
    #[serde(default, rename = "thread", skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<ThreadCase>,
    /// What breaks.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultCase>,
    /// What must come of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expect: Expect,
}

impl Case {
    /// A machine of which nothing is expected but honesty; threads and faults are to come.
    #[must_use]
    pub fn judged(title: String, processor: Processor, seed: u64, shape: Shape) -> Self {
        Self {
            title,
            cites: Vec::new(),
            generations: vec![processor],
            seeds: vec![seed],
            shape,
            threads: Vec::new(),
            faults: Vec::new(),
            expect: Expect {
                timebase: Some(Time::Judged),
                ..Expect::default()
            },
        }
    }

    /// What a thread does.
    #[must_use]
    pub fn doing(&self, thread: usize) -> Doing {
        let mut entries = self.threads.iter().rev();
        let mine = entries.find(|entry| entry.who.means(&self.shape, thread));
        mine.map_or(Doing::Host, |entry| entry.doing)
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_seeds() -> Vec<u64> {
    vec![1, 2]
}

/// A processor generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the products' own")]
pub enum Processor {
    Power8,
    Power9,
    Power10,
}

impl Processor {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![Self::Power8, Self::Power9, Self::Power10]
    }

    /// As the model has it.
    #[must_use]
    pub const fn model(self) -> hardware_model::Generation {
        match self {
            Self::Power8 => hardware_model::Generation::Power8,
            Self::Power9 => hardware_model::Generation::Power9,
            Self::Power10 => hardware_model::Generation::Power10,
        }
    }
}

impl std::fmt::Display for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Power8 => "power8",
            Self::Power9 => "power9",
            Self::Power10 => "power10",
        })
    }
}

/// The backup master of the TOD network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backup {
    /// Chip 1, if there is one.
    #[default]
    Present,
    /// Chip 1 is configured, but its step network is not valid.
    Disabled,
    /// No secondary topology.
    Absent,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Shape {
    /// Chips.
    pub chips: usize,
    /// Cores of each chip.
    pub cores: usize,
    /// Threads of each core.
    pub threads: usize,
    /// POWER8: sub-cores of each core, each with its own TB and HDEC.
    pub subcores: usize,
    /// POWER9 and POWER10: cores come in fused pairs.
    pub fused: bool,
    /// The backup master.
    pub backup: Backup,
    /// Whether parity bits and CLEAR need their two identical writes.
    pub write_twice: bool,
    /// POWER9: threads other than 0 keep reading TFMR 26 and 45 once these were set.
    pub latched_errors: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            chips: 1,
            cores: 1,
            threads: 4,
            subcores: 1,
            fused: false,
            backup: Backup::Present,
            write_twice: true,
            latched_errors: true,
        }
    }
}

impl Shape {
    /// Cores of the machine.
    #[must_use]
    pub const fn all_cores(&self) -> usize {
        self.chips * self.cores
    }

    /// Threads of the machine.
    #[must_use]
    pub const fn all_threads(&self) -> usize {
        self.all_cores() * self.threads
    }
}

/// Which threads. Keys narrow the choice; none = all threads of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Who {
    /// Threads of this chip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip: Option<usize>,
    /// Threads of this core, counted over the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<usize>,
    /// Threads with these numbers in their core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Vec<usize>>,
    /// These threads, counted over the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<Vec<usize>>,
}

impl Who {
    /// Exactly this thread.
    #[must_use]
    pub fn thread(thread: usize) -> Self {
        Self {
            thread: Some(vec![thread]),
            ..Self::default()
        }
    }

    /// Whether this thread is meant.
    #[must_use]
    pub fn means(&self, shape: &Shape, thread: usize) -> bool {
        let core = thread / shape.threads;
        self.chip.is_none_or(|chip| chip == core / shape.cores)
            && self.core.is_none_or(|only| only == core)
            && (self.number.as_ref()).is_none_or(|some| some.contains(&(thread % shape.threads)))
            && self
                .thread
                .as_ref()
                .is_none_or(|some| some.contains(&thread))
    }
}

/// What threads do when the first faults strike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ThreadCase {
    /// Which threads.
    #[serde(default, skip_serializing_if = "is_default")]
    pub who: Who,
    /// What they do.
    pub doing: Doing,
    /// For how many spins, where that has a meaning.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spins: u64,
    /// After how many accesses of its handler a thread dies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub accesses: u64,
}

/// What a thread does.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Doing {
    /// In the host, interrupts open.
    #[default]
    Host,
    /// In the host, interrupts closed for `spins` more.
    HostClosed,
    /// In its guest, with the guest's offset in TB.
    Guest,
    /// On the way into its guest; the seed says how far.
    Entering,
    /// On the way out of its guest; the seed says how far.
    Leaving,
    /// Makes OPAL calls for `spins` more.
    Opal,
    /// In the middle of `OPAL_RESYNC_TIMEBASE`; the seed says how far.
    Resync,
    /// In the firmware's idle loop: comes when it is summoned.
    Idle,
    /// In the host, but its interrupt is delivered only after `spins`.
    Late,
    /// Offline in a stop state of the OS: the HMI wakes it, after `spins`, and it sleeps again.
    Offline,
    /// Never started; the firmware knows.
    NeverStarted,
    /// The firmware waits for it, but it never comes.
    Lost,
    /// Comes, and makes no access any more after `accesses`.
    Dies,
}

/// Something that breaks. Each kind has a place (`core`, `thread`, `threads` or `chip`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FaultCase {
    /// What breaks.
    pub kind: Kind,
    /// The core, counted over the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<usize>,
    /// The thread, counted over the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<usize>,
    /// The threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<Who>,
    /// The chip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip: Option<usize>,
    /// Bits of the register that the kind is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<Word>,
    /// A value: of TB, or of a SCOM register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Word>,
    /// State of the TB state machine, 0 to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<u8>,
    /// Commands left on in TFMR (bits 16 and 18).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Word>,
    /// Address of a SCOM register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u32>,
    /// Which unit of the chip, or which FIR of an NPU; 0 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unit: usize,
    /// Path 0 or 1 of the step network.
    #[serde(default, skip_serializing_if = "is_default")]
    pub path: u8,
    /// How TFMR commands fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<CommandFailure>,
    /// XSCOM: accesses that still succeed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skip: u64,
    /// XSCOM accesses or TFMR commands that fail; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// XSCOM: status code 1 to 7 (DONE never comes when absent); a sleeping core's: 2 or 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u8>,
    /// When; at the start if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when: Moment,
}

impl FaultCase {
    /// A fault of this kind at the start, with no place yet.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            core: None,
            thread: None,
            threads: None,
            chip: None,
            bits: None,
            value: None,
            state: None,
            commands: None,
            address: None,
            unit: 0,
            path: 0,
            failure: None,
            skip: 0,
            count: None,
            status: None,
            when: Moment::default(),
        }
    }
}

/// What can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `core`: parity of every HDEC (TFMR 26); TB runs on.
    HdecParity,
    /// `core`: residue of every TB (TFMR 45).
    TbResidue,
    /// `core`: the state machine is corrupt (TFMR 27).
    TbstCorrupt,
    /// `core`: a sync pulse was missed (TFMR 43).
    MissingSync,
    /// `core`: a step was missed (TFMR 44).
    MissingStep,
    /// `core`: an illegal command (TFMR 46).
    FirmwareControl,
    /// `core`: POWER10, transfer between shadow and core (TFMR 25); TB runs on.
    Transfer,
    /// `core`: ERROR with no error bit.
    NoReason,
    /// `core`: TFMR itself (TFMR 60); TB runs on underneath.
    TfmrCorrupt,
    /// `core`: TFMR itself (TFMR 60), with TB in ERROR.
    TfmrCorruptTbLost,
    /// `core`: MOVE_CHIP_TOD_TO_TB left on in GET_TOD; no error bit.
    StuckMove,
    /// `core`: LOAD_TOD_MOD left on in ERROR, with a residue error.
    StuckLoadTodMod,
    /// `core`: TFMR with this `state`, these `commands` left on and these error `bits`.
    Raw,
    /// `thread`: parity of PURR (TFMR 57).
    PurrParity,
    /// `thread`: parity of SPURR (TFMR 58).
    SpurrParity,
    /// `thread`: parity of DEC (TFMR 59).
    DecParity,
    /// `core`: no step reaches it for `value` ticks (TFMR 44); for ever when absent.
    StepsLost,
    /// `core`: POWER8 and POWER9, LOAD_TOD_MOD timed out (TFMR 54).
    TodTimeout,
    /// `core`: parity of a transfer from the TOD (TFMR 56).
    TodParity,
    /// `core`: the next `count` commands fail as `failure` says.
    CommandsFail,
    /// `thread`: PURR overflow (TFMR 61).
    PurrOverflow,
    /// `thread`: SPURR overflow (TFMR 62).
    SpurrOverflow,
    /// `thread`: TB becomes `value`, and nothing notices.
    Timebase,
    /// `chip`: the time of a running TOD becomes `value`, and nothing notices.
    TodTime,
    /// `chip`: the TOD cannot be started any more; one that runs goes on.
    TodDead,
    /// `core`: HMER 2, recovery of FIR bit `bits`; the FIR's lowest if there are many.
    Recovered,
    /// `core`: HMER 3, a recovery that is masked from reporting.
    RecoveredMasked,
    /// `core`: HMER 11, recovered again.
    RecoveredAgain,
    /// `core`: HMER 6, POWER10.
    SpurrScaleLimit,
    /// `core`: HMER 16.
    ScomFir,
    /// `core`: HMER 17, or 18 on POWER10.
    DebugTrigger,
    /// `core`: HMER 20.
    HypervisorResource,
    /// `core`: these `bits` of its FIR, with what they entail.
    CoreFir,
    /// `chip`: NX with DMA FIR `bits` and PowerBus FIR `value`.
    Nx,
    /// `chip`: CAPP `unit` with FIR `bits`.
    Capp,
    /// `chip`: the first NPU or PAU, its FIR number `unit` with `bits`.
    Npu,
    /// `chip`: a malfunction alert with nothing behind it.
    Alert,
    /// `chip`: no step comes on its master `path`.
    OscillatorDead,
    /// `chip`: no step comes on its slave `path`.
    SlavePathDead,
    /// `core`: asleep, its SCOM registers answer `status`.
    Asleep,
    /// `core`: awake again.
    Awake,
    /// `core`: POWER9, its SCOM registers answer "invalid address" after a wakeup.
    LostWakeup,
    /// `chip`: the XSCOM engine answers "busy" until it was reset.
    EngineBlocked,
    /// XSCOM works again.
    XscomHealed,
    /// `threads`: `bits` of HMER come on, with no other effect.
    Hmer,
    /// `chip`: `bits` of the ChipTOD's ERROR register come on, with what they entail.
    Tod,
    /// `chip`: SCOM register `address` exists and holds `value`.
    Scom,
    /// XSCOM accesses fail: after `skip` good ones `count` fail with `status`; only those to
    /// `address`, if given.
    Xscom,
}

/// How TFMR commands fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandFailure {
    /// CLEAR_TB_ERRORS leaves the state at ERROR.
    ClearIneffective,
    /// LOAD_TOD_MOD never completes.
    LoadStuck,
    /// LOAD_TOD_MOD times out (TFMR 54).
    LoadTimeout,
    /// The TOD's value does not arrive.
    MoveLost,
    /// The TOD's value arrives damaged (TFMR 56).
    MoveParity,
    /// TB is damaged as soon as it runs (TFMR 45).
    MoveResidue,
}

/// When a fault strikes. At most one of the keys says it; none = at the start, when every thread is
/// where it should be.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Moment {
    /// After so many accesses of the machine, counted from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Just before this register is read: an SPR by name, or a SCOM address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
    /// Just before this register is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<String>,
    /// When a meeting of `core` is in this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// When `thread` does this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<Doing>,
    /// Which thread; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<usize>,
    /// Which core's meeting; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<usize>,
    /// At which time that this happens, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
}

impl Moment {
    /// Whether it is the start.
    #[must_use]
    pub const fn is_start(&self) -> bool {
        self.after.is_none()
            && self.read.is_none()
            && self.write.is_none()
            && self.phase.is_none()
            && self.doing.is_none()
    }
}

/// A phase of a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "as in the coordinator")]
pub enum PhaseName {
    Arrive,
    RepairTfmr,
    Clean,
    Clear,
    Local,
    Reload,
    Check,
    Depart,
}
