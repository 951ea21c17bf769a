//! What can go wrong, as data.

use crate::xscom_fault::XscomFault;
use alloc::vec::Vec;
use power_registers::{TbState, Tfmr};

/// An error of the timer facility of one core; all its threads get the HMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoreError {
    /// Parity of every HDEC copy (TFMR 26); TB keeps running.
    HdecParity,
    /// Residue of every TB copy (TFMR 45).
    TbResidue,
    /// The state machine is corrupt (TFMR 27).
    TbstCorrupt,
    /// A sync pulse was missed (TFMR 43).
    MissingSync,
    /// A step was missed (TFMR 44), once.
    MissingStep,
    /// No step reaches the core for so many ticks (`u64::MAX` = never again): TFMR 44, and CLEAR
    /// finds it again as long as this lasts.
    StepsLost {
        /// How long.
        ticks: u64,
    },
    /// An illegal command (TFMR 46), as bits 16 and 18 together give.
    FirmwareControl,
    /// POWER10: transfer between shadow and core (TFMR 25); TB keeps running.
    Transfer,
    /// State ERROR with no error bit, as POWER10 gives after a deep stop.
    NoReason,
    /// TFMR itself (TFMR 60): everything else in it reads as garbage.
    TfmrCorrupt {
        /// Whether TB runs on underneath.
        tb_survives: bool,
    },
    /// POWER8 and POWER9: LOAD_TOD_MOD timed out (TFMR 54); the core is in ERROR.
    TodTimeout,
    /// Parity of a transfer from the TOD (TFMR 56); the core is in ERROR.
    TodParity,
    /// Bit 18 left on in GET_TOD by a resync that never got its TOD; no error bit.
    StuckMove,
    /// Bit 16 left on in ERROR, with a residue error.
    StuckLoadTodMod,
    /// The next so many commands of this kind fail like that. No HMI yet.
    CommandsFail {
        /// Which, and how.
        failure: CommandFailure,
        /// How many of them.
        count: u32,
    },
    /// Any state, with any commands left on and any errors reported.
    Raw {
        /// The state.
        state: TbState,
        /// LOAD_TOD_MOD and MOVE_CHIP_TOD_TO_TB, or none.
        commands: Tfmr,
        /// Error bits of the core without 60; 26 and 45 make registers dirty.
        errors: Tfmr,
    },
}

/// How a TFMR command fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandFailure {
    /// CLEAR_TB_ERRORS completes, but the state stays ERROR.
    ClearIneffective,
    /// LOAD_TOD_MOD never completes: SEND_TOD_MOD, bit 16 stays on.
    LoadStuck,
    /// POWER8 and POWER9: LOAD_TOD_MOD times out: ERROR with TFMR 54.
    LoadTimeout,
    /// The TOD's value does not arrive: GET_TOD, bit 18 stays on.
    MoveLost,
    /// The TOD's value arrives damaged: ERROR with TFMR 56.
    MoveParity,
    /// TB is damaged as soon as it runs: ERROR with TFMR 45, registers dirty.
    MoveResidue,
}

/// An error of one thread's own register; only that thread gets the HMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names follow TFMR 57 to 59, 61 and 62")]
pub enum ThreadError {
    PurrParity,
    SpurrParity,
    DecParity,
    PurrOverflow,
    SpurrOverflow,
}

/// A cause of HMER that is not the timer's; all threads of the core get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoreCause {
    /// HMER 2: the error of this FIR bit was recovered; WOF keeps the bit.
    Recovered {
        /// IBM number of the bit in the core's FIR.
        fir_bit: u8,
    },
    /// HMER 3 (POWER8, POWER9): as above, for an error masked from reporting.
    RecoveredMasked,
    /// HMER 11: recovered again before 2 or 3 was cleared.
    RecoveredAgain,
    /// HMER 6 (POWER10): the SPURR's frequency ratio is beyond its limit.
    SpurrScaleLimit,
    /// HMER 16: SCOM set a reserved FIR bit; POWER10 sets FIR 61 with it.
    ScomFir,
    /// HMER 17 (POWER8, POWER9) or 18 (POWER10, with FIR 60).
    DebugTrigger,
    /// HMER 20 (POWER8, POWER9): parity of SPRC, the SPR mode register or HMEER.
    HypervisorResource,
}

/// A fault to inject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// In the timer facility of a core.
    Core {
        /// Index of the core.
        core: usize,
        /// Which.
        error: CoreError,
    },
    /// In a register of a thread.
    Thread {
        /// Index of the thread.
        thread: usize,
        /// Which.
        error: ThreadError,
    },
    /// Bits of a ChipTOD's ERROR register come on, with what they entail.
    Tod {
        /// Index of the chip.
        chip: usize,
        /// The bits of ERROR.
        bits: u64,
    },
    /// TB of one thread becomes this value, with no error noticed.
    Timebase {
        /// Index of the thread.
        thread: usize,
        /// The value.
        value: u64,
    },
    /// A running TOD's time becomes this value, with no error noticed.
    TodTime {
        /// Index of the chip.
        chip: usize,
        /// The value.
        value: u64,
    },
    /// Whether a TOD can be started at all; `false` does not stop one that runs.
    TodStarts {
        /// Index of the chip.
        chip: usize,
        /// Whether.
        able: bool,
    },
    /// HMER bits come on in these threads, with no other effect.
    Hmer {
        /// Indices of the threads.
        threads: Vec<usize>,
        /// The bits.
        bits: u64,
    },
    /// A cause that all threads of a core get, with what it leaves in FIR and WOF.
    Cause {
        /// Index of the core.
        core: usize,
        /// Which.
        cause: CoreCause,
    },
    /// Bits of a core's FIR come on: recoverable ones are recovered (HMER 2, or 11), those of a
    /// core checkstop stop the core and raise a malfunction alert.
    CoreFir {
        /// Index of the core.
        core: usize,
        /// The bits.
        bits: u64,
    },
    /// POWER8 and POWER9: the NX unit asks for attention: its status, both FIRs, and the alert.
    Nx {
        /// Index of the chip.
        chip: usize,
        /// Bits of the DMA and engine FIR.
        dma: u64,
        /// Bits of the PowerBus interface FIR.
        pbi: u64,
    },
    /// POWER8 and POWER9: a CAPP starts its recovery: FIR bits, error status bit 0, and the alert.
    Capp {
        /// Index of the chip.
        chip: usize,
        /// Which of [`crate::Configuration::capps`].
        unit: usize,
        /// Bits of its FIR.
        bits: u64,
    },
    /// An NPU (POWER8, POWER9) or PAU (POWER10) asks for attention: FIR bits whose actions call
    /// for it, and the alert.
    Npu {
        /// Index of the chip.
        chip: usize,
        /// Which of [`crate::Configuration::npus`].
        unit: usize,
        /// Which of its FIRs: 0 to 2, only 0 on POWER8.
        fir: usize,
        /// The bits.
        bits: u64,
    },
    /// A malfunction alert for a chip with nothing behind it.
    Alert {
        /// Index of the chip.
        chip: usize,
    },
    /// An oscillator: whether steps come on a chip's master path.
    Oscillator {
        /// Index of the chip.
        chip: usize,
        /// Master path 0 or 1.
        path: u8,
        /// Whether steps come.
        valid: bool,
    },
    /// Whether steps come on a chip's slave path.
    SlavePath {
        /// Index of the chip.
        chip: usize,
        /// Slave path 0 or 1.
        path: u8,
        /// Whether steps come.
        valid: bool,
    },
    /// A core falls asleep, as far as SCOM is concerned: its registers answer with this status
    /// and all-ones, until special wakeup.
    Asleep {
        /// Index of the core.
        core: usize,
        /// 2 (chiplet offline) or 3 (partial good).
        status: u8,
    },
    /// A core is awake again.
    Awake {
        /// Index of the core.
        core: usize,
    },
    /// POWER9 erratum: after a wakeup the core's registers answer "invalid address", until zero
    /// was written to 0x20010800 of its chip.
    LostWakeup {
        /// Index of the core.
        core: usize,
    },
    /// The XSCOM engine of a chip answers "busy" until it was reset.
    EngineBlocked {
        /// Index of the chip.
        chip: usize,
    },
    /// XSCOM accesses fail from now on.
    Xscom(XscomFault),
    /// All XSCOM failures are taken back.
    XscomHealed,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// At once.
    Now,
    /// At the so-manieth access of any thread from now on.
    Access(u64),
    /// At the so-manieth SCOM access of any thread from now on, before it is answered.
    Scom(u64),
    /// After so many ticks of model time.
    Ticks(u64),
    /// When the timer facility of a core next enters a state.
    State {
        /// Index of the core.
        core: usize,
        /// The state.
        state: TbState,
    },
}

/// A fault that this machine cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// The thread, core, chip, unit or path does not exist.
    NoSuchPlace,
    /// This generation has no such thing.
    NotInThisGeneration,
}
