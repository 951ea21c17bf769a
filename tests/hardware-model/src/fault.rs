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
    /// A step was missed (TFMR 44).
    MissingStep,
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
    /// Bit 18 left on in GET_TOD by a resync that never got its TOD; no error bit.
    StuckMove,
    /// Bit 16 left on in ERROR, with a residue error.
    StuckLoadTodMod,
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

/// An error of one thread's own register; only that thread gets the HMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names follow TFMR 57 to 59")]
pub enum ThreadError {
    PurrParity,
    SpurrParity,
    DecParity,
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
    /// HMER bits come on in these threads, with no other effect.
    Hmer {
        /// Indices of the threads.
        threads: Vec<usize>,
        /// The bits.
        bits: u64,
    },
}
