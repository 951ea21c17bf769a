use alloc::vec::Vec;
use power_registers::Tfmr;

/// Processor generation of the modelled machine; POWER11 counts as POWER10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the products' own")]
pub enum Generation {
    Power8,
    Power9,
    Power10,
}

/// How the machine stands when the model starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// Time runs on all chips and cores, as firmware leaves it after its boot.
    Running,
    /// Nothing was initialised: TODs in ERROR, cores in RESET, TFMR 0.
    Reset,
    /// As the earlier boot firmware leaves it: time runs, with its own coarse TFMR control field.
    EarlyFirmware,
}

/// Which threads share a copy of TB and HDEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimebaseCopies {
    /// Each thread has its own (POWER9, POWER10).
    PerThread,
    /// The threads of a core are divided evenly among so many sub-cores (POWER8).
    SubCores(usize),
}

/// What time an access costs, in ticks of TB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Costs {
    /// An SPR access.
    pub spr: u64,
    /// The load or store of an XSCOM access.
    pub xscom: u64,
    /// From the load or store to XSCOM_DONE.
    pub xscom_latency: u64,
    /// One spin of a wait.
    pub relax: u64,
    /// From a TFMR command or a MOVE to its completion.
    pub command: u64,
    /// From the error that stops a TOD, injected through SCOM, to FSM saying so.
    pub tod_stop: u64,
    /// From the command that starts a TOD, or the answer to a TTYPE, to FSM saying so.
    pub tod_start: u64,
    /// From special wakeup to a core that is awake.
    pub wakeup: u64,
}

/// The step network of one chip as it stands at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepNetwork {
    /// Whether steps come on master path 0 and 1: the oscillators.
    pub master_valid: [bool; 2],
    /// Whether steps come on slave path 0 and 1.
    pub slave_valid: [bool; 2],
    /// Master path that the primary topology selects.
    pub primary_master: u8,
    /// Slave path that the primary topology selects.
    pub primary_slave: u8,
    /// Master path that the secondary topology selects.
    pub secondary_master: u8,
    /// Slave path that the secondary topology selects.
    pub secondary_slave: u8,
}

impl Default for StepNetwork {
    fn default() -> Self {
        Self {
            master_valid: [true; 2],
            slave_valid: [true; 2],
            primary_master: 0,
            primary_slave: 0,
            secondary_master: 1,
            secondary_slave: 1,
        }
    }
}

/// Chips that the device tree would name as TOD masters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topology {
    /// Master of the primary topology.
    pub primary: usize,
    /// Master of the secondary topology.
    pub secondary: Option<usize>,
}

/// The machine to model. Fields may be changed before [`crate::Machine::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Processor generation.
    pub generation: Generation,
    /// Chips.
    pub chips: usize,
    /// Ids of the chips, as PIRs and the malfunction alert name them (below 64). The first ones
    /// may do: the others have their index.
    pub chip_ids: Vec<u32>,
    /// Cores of each chip; small cores on POWER9 and POWER10, each with a timer facility.
    pub cores_per_chip: usize,
    /// Threads of each core: at most 8 on POWER8, 4 on the others.
    pub threads_per_core: usize,
    /// Core clock in Hz; it decides the control field that TFMR writes must have.
    pub core_hz: u64,
    /// How the machine stands at first.
    pub start: Start,
    /// Time at the start, in ticks.
    pub epoch: u64,
    /// Whether a CLEAR and the parity bits need their two identical writes.
    pub write_twice: bool,
    /// POWER9 erratum: threads other than 0 keep reading TFMR 26 and 45 once these were set.
    pub latched_errors: bool,
    /// Which threads share TB and HDEC.
    pub copies: TimebaseCopies,
    /// POWER9, POWER10: cores 2k and 2k+1 are one fused core, whose threads take turns between
    /// them. TFMR, HMEER and TB stay those of the small cores; PIRs are numbered otherwise.
    pub fused: bool,
    /// POWER10 DD2 quirk of fused cores: a MOVE aimed at the even small core serves both, one
    /// aimed at the odd one does nothing.
    pub fused_aim: bool,
    /// TOD masters.
    pub topology: Topology,
    /// Step networks of the chips, the first ones at least; the others have the default.
    pub networks: Vec<StepNetwork>,
    /// A step check whose path stays dead reports again as soon as it was cleared.
    pub persistent_step_checks: bool,
    /// A register with a parity or residue error holds a damaged value until it is written: HDEC,
    /// DEC, PURR, SPURR, and TB where it stands.
    pub damage: bool,
    /// SCOM offsets of the CAPP units of each chip (POWER8, POWER9).
    pub capps: Vec<u32>,
    /// SCOM base addresses of the NPUs or PAUs of each chip.
    pub npus: Vec<u32>,
    /// Whether accesses are traced. Violations and counters always are.
    pub trace: bool,
    /// What accesses cost.
    pub costs: Costs,
    /// Accesses after which the model panics: some wait will never end.
    pub watchdog: u64,
    /// Seed of everything random in the model.
    pub seed: u64,
}

impl Configuration {
    /// A machine of this shape with the defaults of its generation, time running.
    ///
    /// # Panics
    /// If the shape does not exist.
    #[must_use]
    pub fn new(
        generation: Generation,
        chips: usize,
        cores_per_chip: usize,
        threads_per_core: usize,
    ) -> Self {
        let most_threads = if generation == Generation::Power8 {
            8
        } else {
            4
        };
        let most_cores = if generation == Generation::Power8 {
            16
        } else {
            32
        };
        assert!((1..=16).contains(&chips), "1 to 16 chips");
        assert!(
            (1..=most_cores).contains(&cores_per_chip),
            "1 to {most_cores} cores"
        );
        assert!(
            (1..=most_threads).contains(&threads_per_core),
            "1 to {most_threads} threads"
        );
        Self {
            generation,
            chips,
            chip_ids: Vec::new(),
            cores_per_chip,
            threads_per_core,
            core_hz: 2_500_000_000,
            start: Start::Running,
            epoch: 0x0001_2345_6789_a000,
            write_twice: true,
            latched_errors: generation == Generation::Power9,
            copies: if generation == Generation::Power8 {
                TimebaseCopies::SubCores(1)
            } else {
                TimebaseCopies::PerThread
            },
            fused: false,
            fused_aim: generation == Generation::Power10,
            topology: Topology {
                primary: 0,
                secondary: (chips > 1).then_some(1),
            },
            networks: Vec::new(),
            persistent_step_checks: true,
            damage: true,
            capps: match generation {
                Generation::Power8 | Generation::Power9 => alloc::vec![0],
                Generation::Power10 => Vec::new(),
            },
            npus: match generation {
                Generation::Power8 => alloc::vec![0x0801_3c00],
                Generation::Power9 => alloc::vec![0x0501_1000],
                Generation::Power10 => alloc::vec![0x1001_0800, 0x1101_0800],
            },
            trace: true,
            costs: Costs {
                spr: 8,
                xscom: 64,
                xscom_latency: 256,
                relax: 512,
                command: 64,
                tod_stop: 512,
                tod_start: 1024,
                wakeup: 5120,
            },
            watchdog: 20_000_000,
            seed: 1,
        }
    }

    /// The control field that every TFMR write must have.
    ///
    /// # Panics
    /// If the core clock gives none.
    #[must_use]
    pub fn base(&self) -> u64 {
        Tfmr::base(self.core_hz)
            .expect("a usable core clock")
            .bits()
    }
}
