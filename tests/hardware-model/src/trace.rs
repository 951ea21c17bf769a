use power_registers::Spr;

/// What an access went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// A special-purpose register, written.
    Spr(Spr),
    /// A SCOM register of a chip, written.
    ScomWrite {
        /// Index of the chip.
        chip: usize,
        /// SCOM address.
        address: u32,
    },
    /// A SCOM register of a chip, read; the value is what was read.
    ScomRead {
        /// Index of the chip.
        chip: usize,
        /// SCOM address.
        address: u32,
    },
}

/// One line of the trace: every write, and the reads of SCOM registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Number of the access in the machine's life.
    pub number: u64,
    /// Index of the thread.
    pub thread: usize,
    /// Where it went.
    pub register: Register,
    /// What was written or read.
    pub value: u64,
}

/// Something that software must not do, or must not do then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Number of the access in the machine's life.
    pub number: u64,
    /// Index of the thread.
    pub thread: usize,
    /// The rule that was broken.
    pub rule: &'static str,
    /// The value that broke it.
    pub value: u64,
}

/// What the accesses of one thread came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// `mfspr`, and `mftb`.
    pub spr_reads: u64,
    /// `mtspr`.
    pub spr_writes: u64,
    /// Loads from XSCOM windows.
    pub scom_reads: u64,
    /// Stores to XSCOM windows.
    pub scom_writes: u64,
    /// Spins of waits.
    pub relaxes: u64,
    /// Most spins without a write between them: the longest wait.
    pub longest_wait: u64,
}
