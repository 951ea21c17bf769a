//! The machine, parsed once from the device tree into types; everything else trusts these.

use crate::hardware::{ChipId, Pir};
use arrayvec::ArrayVec;
use core::fmt;

pub mod device_tree;

/// Most threads that the firmware runs.
pub const MAX_THREADS: usize = 64;
/// Most cores that the firmware runs.
pub const MAX_CORES: usize = 64;
/// Most chips that the firmware runs.
pub const MAX_CHIPS: usize = 16;
/// Most threads of one core (two fused small cores).
pub const MAX_CORE_THREADS: usize = 8;
/// Most NPUs or PAUs of a chip.
pub const MAX_NPUS: usize = 8;
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

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Power8 => "POWER8",
            Self::Power9 => "POWER9",
            Self::Power10 => "POWER10",
        })
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
    /// SCOM base addresses of its NPUs (POWER8, POWER9) or PAUs (POWER10).
    pub npus: ArrayVec<u32, MAX_NPUS>,
}

/// One core: the threads that share a TFMR and an HMEER, and meet to repair TB.
///
/// A fused core has two of these sets, so it is two of these, its even and its odd small core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// The chip that it is on.
    pub chip: ChipId,
    /// Its threads, thread 0 first.
    pub threads: ArrayVec<Pir, MAX_CORE_THREADS>,
    /// Belongs to a fused core; then PIRs alternate between the two small cores.
    pub fused: bool,
    /// Index of the other small core of a fused core, in [`Platform::cores`]. A fused core whose
    /// halves share one TFMR stands as one and has none: see [`Platform::join_halves`].
    pub pair: Option<usize>,
}

impl Core {
    /// A core that is not fused.
    #[must_use]
    pub const fn new(chip: ChipId, threads: ArrayVec<Pir, MAX_CORE_THREADS>) -> Self {
        Self {
            chip,
            threads,
            fused: false,
            pair: None,
        }
    }

    /// The core number that SCOM addresses use: the small core of thread 0 within its chip.
    #[must_use]
    pub fn scom_number(&self, generation: Generation) -> u32 {
        let first = self.threads.first().copied().unwrap_or_default();
        self.scom_number_of(generation, first)
    }

    /// The core number of one of its threads: the halves of a fused core have their own.
    #[must_use]
    pub const fn scom_number_of(&self, generation: Generation, thread: Pir) -> u32 {
        let pir = thread.0;
        match generation {
            Generation::Power8 => pir >> 3 & 0xf,
            Generation::Power9 | Generation::Power10 if self.fused => {
                (pir >> 3 & 0x1f) << 1 | pir & 1
            }
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
    /// Processor version (PVR), from the tree; 0 if it does not say.
    pub processor_version: u32,
    /// QEMU made this machine: its ChipTOD and step network are constants, its TB follows nothing.
    pub is_qemu: bool,
}

impl Platform {
    /// The chip with this number.
    #[must_use]
    pub fn chip(&self, id: ChipId) -> Option<&Chip> {
        self.chips.iter().find(|chip| chip.id == id)
    }

    /// Where the thread with this PIR stands.
    #[must_use]
    // A search, from many places.
    #[inline(never)]
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

    /// Makes one core of a fused core's two halves, for a machine where they share one TFMR.
    ///
    /// Real ones do not; QEMU's do. `core` is either half; anything else is left as it is.
    pub fn join_halves(&mut self, core: usize) {
        let Some(pair) = self.cores.get(core).and_then(|found| found.pair) else {
            return;
        };
        let (stays, goes) = (core.min(pair), core.max(pair));
        if stays == goes || goes >= self.cores.len() {
            return;
        }
        let other = self.cores.remove(goes);
        let joined = &mut self.cores[stays];
        joined.pair = None;
        for thread in other.threads {
            // Two halves of four: they fit.
            let _ = joined.threads.try_push(thread);
        }
        sort_by_key(&mut joined.threads, |pir| *pir);
        for pair in self.cores.iter_mut().filter_map(|core| core.pair.as_mut()) {
            *pair -= usize::from(*pair > goes);
        }
    }
}

/// Sorts the few things that a machine has, which mostly are in order. The general way would be four
/// times 5 KiB of code.
pub(crate) fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    for end in 1..items.len() {
        for at in (1..=end).rev() {
            if key(&items[at - 1]) <= key(&items[at]) {
                break;
            }
            items.swap(at - 1, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hardware::platform;

    fn half(first: u32, pair: usize) -> Core {
        Core {
            fused: true,
            pair: Some(pair),
            ..Core::new(
                ChipId(0),
                (0..4).map(|thread| Pir(first + 2 * thread)).collect(),
            )
        }
    }

    fn fused() -> Platform {
        let mut platform = platform(Generation::Power10, 4);
        platform.cores = [half(0, 1), half(1, 0), half(8, 3), half(9, 2)]
            .into_iter()
            .collect();
        platform
    }

    #[test]
    fn things_are_sorted() {
        for items in [
            &[][..],
            &[1],
            &[3, 2, 1, 0],
            &[1, 2, 3],
            &[5, 1, 4, 1, 3, 9, 0],
        ] {
            let (mut ours, mut sorted) = (items.to_vec(), items.to_vec());
            sort_by_key(&mut ours, |item| *item);
            sorted.sort_unstable();
            assert_eq!(ours, sorted);
        }
    }

    #[test]
    fn small_cores_are_numbered_by_their_threads() {
        let numbers = |platform: &Platform| -> std::vec::Vec<u32> {
            let cores = platform.cores.iter();
            cores
                .map(|core| core.scom_number(Generation::Power10))
                .collect()
        };
        assert_eq!(numbers(&fused()), [0, 1, 2, 3]);
        let normal = platform(Generation::Power9, 4);
        assert_eq!(numbers(&normal), [0]);
    }

    #[test]
    fn halves_that_share_become_one_core_and_the_others_stay_linked() {
        let mut platform = fused();
        platform.join_halves(1);
        assert_eq!(platform.cores.len(), 3);
        let pirs: std::vec::Vec<u32> = platform.cores[0].threads.iter().map(|pir| pir.0).collect();
        assert_eq!(pirs, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(
            platform.cores[0].scom_number_of(Generation::Power9, Pir(5)),
            1
        );
        let pairs: std::vec::Vec<_> = platform.cores.iter().map(|core| core.pair).collect();
        assert_eq!(pairs, [None, Some(2), Some(1)]);
        let before = platform.clone();
        platform.join_halves(0);
        platform.join_halves(9);
        assert_eq!(platform, before, "not a half, not a core");
    }
}
