//! The machine, parsed once from the device tree into types; everything else trusts these.

use crate::hardware::{ChipId, Pir};
use arrayvec::ArrayVec;

pub mod device_tree;

/// Most threads that the firmware runs.
pub const MAX_THREADS: usize = 64;
/// Most cores that the firmware runs.
pub const MAX_CORES: usize = 64;
/// Most chips that the firmware runs.
pub const MAX_CHIPS: usize = 16;
/// Most threads of one core (two fused small cores).
pub const MAX_CORE_THREADS: usize = 8;
/// Most ranges of memory.
pub const MAX_MEMORY_RANGES: usize = 32;

/// Processor generation; POWER11 counts as POWER10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the products' own")]
pub enum Generation {
    Power8,
    Power9,
    Power10,
}

impl Generation {
    /// The generation of a processor version register, if it is one of ours.
    #[must_use]
    pub const fn from_pvr(pvr: u32) -> Option<Self> {
        match pvr >> 16 {
            0x4b..=0x4d => Some(Self::Power8),
            0x4e => Some(Self::Power9),
            0x80 | 0x82 => Some(Self::Power10),
            _ => None,
        }
    }
}

/// The part that a chip's TOD plays in the topology, as the device tree says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TodRole {
    /// Master of the primary topology.
    Primary,
    /// Master of the secondary topology.
    Secondary,
    /// Follows.
    Slave,
}

/// One processor chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Its number.
    pub id: ChipId,
    /// Real address of its XSCOM window.
    pub xscom_base: u64,
    /// Bytes of its XSCOM window.
    pub xscom_size: u64,
    /// The role of its ChipTOD; `None` when the tree has none.
    pub chip_tod: Option<TodRole>,
}

/// One core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// The chip that it is on.
    pub chip: ChipId,
    /// Its threads, thread 0 first.
    pub threads: ArrayVec<Pir, MAX_CORE_THREADS>,
}

impl Core {
    /// The core number that SCOM addresses use: the (small) core of thread 0 within its chip.
    #[must_use]
    pub fn scom_number(&self, generation: Generation) -> u32 {
        let pir = self.threads.first().map_or(0, |pir| pir.0);
        match generation {
            Generation::Power8 => pir >> 3 & 0xf,
            Generation::Power9 | Generation::Power10 => pir >> 2 & 0x3f,
        }
    }
}

/// Where a thread stands: indices into [`Platform::cores`] and that core's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadPlace {
    /// Index into [`Platform::cores`].
    pub core: usize,
    /// Number of the thread in its core.
    pub thread: usize,
}

/// How to reach the LPC bus of the primary chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LpcBus {
    /// Memory-mapped: real address of the LPCM window (POWER9, POWER10).
    Mapped {
        /// Real address of the window.
        base: u64,
    },
    /// Through the ECCB registers in XSCOM space (POWER8).
    Xscom {
        /// The chip that owns the bus.
        chip: ChipId,
        /// SCOM address of the first ECCB register.
        address: u32,
    },
}

/// A range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// First real address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// The whole machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Processor generation, from the tree's `compatible`.
    pub generation: Generation,
    /// Chips, in the order of the tree's numbers.
    pub chips: ArrayVec<Chip, MAX_CHIPS>,
    /// Cores, sorted by the PIR of their thread 0.
    pub cores: ArrayVec<Core, MAX_CORES>,
    /// Memory, sorted and without overlap.
    pub memory: ArrayVec<MemoryRange, MAX_MEMORY_RANGES>,
    /// The LPC bus with console and BMC.
    pub lpc: LpcBus,
    /// I/O port of the console UART on the LPC bus.
    pub uart_port: u16,
    /// Core clock in Hz, never 0.
    pub core_hz: u64,
}

impl Platform {
    /// The chip with this number.
    #[must_use]
    pub fn chip(&self, id: ChipId) -> Option<&Chip> {
        self.chips.iter().find(|chip| chip.id == id)
    }

    /// Where the thread with this PIR stands.
    #[must_use]
    pub fn place(&self, pir: Pir) -> Option<ThreadPlace> {
        self.cores.iter().enumerate().find_map(|(core, found)| {
            let thread = found.threads.iter().position(|thread| *thread == pir)?;
            Some(ThreadPlace { core, thread })
        })
    }

    /// Index of the thread with this PIR in the order of cores, then threads.
    #[must_use]
    pub fn thread_index(&self, pir: Pir) -> Option<usize> {
        let place = self.place(pir)?;
        let before = self.cores.iter().take(place.core);
        Some(before.map(|core| core.threads.len()).sum::<usize>() + place.thread)
    }

    /// Threads of all cores.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.cores.iter().map(|core| core.threads.len()).sum()
    }
}
