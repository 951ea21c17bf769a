//! One chip: its registers, what it has in its caches, its PSI bridge.

use super::Faults;
use super::psi::Psi;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use xive_controller::ChipMemory;

pub(super) const PSI: u64 = 0x6_0302_0300_0000;
pub(super) const VALID: u64 = 1 << 63;

/// What is at an address, as on chip 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Register(u64),
    Notify(u64),
    /// A port for synchronisations.
    Sync(u64),
    /// A source of software, and whether it is the page that ends it.
    Source(u32, bool),
    /// A queue, and its page: notification, escalation.
    Queue(u32, usize),
    Psi(u32),
    PsiRegister(u64),
}

pub(crate) struct Chip {
    pub(crate) block: u32,
    /// It is of the second generation.
    pub(super) second: bool,
    pub(super) memory: ChipMemory<'static>,
    pub(super) bars: BTreeMap<u32, u64>,
    pub(super) registers: BTreeMap<u64, u64>,
    pub(super) set_at: Option<u64>,
    pub(super) sets: Vec<u64>,
    pub(super) target_sets: Vec<u64>,
    /// Descriptors, by (engine, table, block).
    pub(crate) tables: BTreeMap<(u64, u64, u64), u64>,
    states: BTreeMap<u32, u8>,
    pub(super) assignments: BTreeMap<u32, u64>,
    pub(crate) queues: BTreeMap<u32, [u64; 4]>,
    pub(crate) targets: BTreeMap<u32, [u64; 8]>,
    pub(super) data: [u64; 8],
    pub(super) conflict: bool,
    pub(super) scrubs: bool,
    /// Ports that a synchronisation was started through.
    pub(super) syncs: BTreeSet<u64>,
    pub(crate) threads_on: u128,
    pub(crate) psi: Psi,
}

impl Chip {
    pub(super) fn new(second: bool, memory: ChipMemory<'static>) -> Self {
        Self {
            block: memory.chip,
            second,
            memory,
            bars: BTreeMap::new(),
            registers: BTreeMap::new(),
            set_at: None,
            sets: Vec::new(),
            target_sets: Vec::new(),
            tables: BTreeMap::new(),
            states: BTreeMap::new(),
            assignments: BTreeMap::new(),
            queues: BTreeMap::new(),
            targets: BTreeMap::new(),
            data: [0; 8],
            conflict: false,
            scrubs: false,
            syncs: BTreeSet::new(),
            threads_on: 0,
            psi: Psi {
                wide: second,
                ..Psi::default()
            },
        }
    }

    pub(super) fn state(&self) -> String {
        let assignments: Vec<u64> = (0..4096).map(|index| self.in_memory(index)).collect();
        format!(
            "{:?} {:?} {:?} {:?}",
            assignments, self.states, self.queues, self.targets
        )
    }

    pub(super) fn scom(&mut self, address: u32, value: u64) {
        let (bridge, stride) = if self.second {
            (0x301_1d0a, 44)
        } else {
            (0x501_290a, 42)
        };
        if address == bridge {
            assert_eq!(value, (PSI + (u64::from(self.block) << stride)) | 1);
            self.psi.open = true;
        } else if self.second {
            self.open_second(address - 0x201_0800, value);
        } else {
            self.open_first(address - 0x501_3000, value);
        }
    }

    pub(super) fn is_open(&self, bar: u32) -> bool {
        self.bars.get(&bar).is_some_and(|bar| bar & VALID != 0)
    }

    /// Sets a BAR.
    pub(super) fn set_bar(&mut self, register: u32, value: u64) {
        let old = self.bars.insert(register, value).unwrap_or(0);
        assert!(
            value == 0 || old & VALID == 0,
            "an open window does not move: {register:#x}"
        );
    }

    /// What is at an address that was moved to chip 0.
    pub(super) fn place(&self, local: u64) -> Place {
        if (PSI..PSI + 0x100).contains(&local) {
            return Place::PsiRegister(local - PSI);
        }
        let found = if self.second {
            self.place_second(local)
        } else {
            self.place_first(local)
        };
        found.unwrap_or_else(|| panic!("nothing is at {local:#x}"))
    }

    /// A line of the bridge.
    pub(super) fn psi_line(&self, offset: u64, bytes: u64) -> Option<Place> {
        (offset < 14 * bytes).then(|| {
            assert!(self.psi.pages, "the bridge's pages are closed");
            Place::Psi((offset / bytes) as u32)
        })
    }

    pub(super) fn load_register(&mut self, offset: u64, faults: Faults) -> u64 {
        if self.second {
            self.load_second(offset, faults)
        } else {
            self.load_first(offset, faults)
        }
    }

    pub(super) fn store_register(&mut self, offset: u64, value: u64, conflicts: &mut u32) {
        if self.second {
            self.store_second(offset, value, conflicts);
        } else {
            self.store_first(offset, value, conflicts);
        }
    }

    /// The index of the entry that a register names.
    fn watched(&self, register: u64) -> u32 {
        let spec = self.registers[&register];
        assert_eq!(spec >> 32 & 0xf, u64::from(self.block), "an own entry");
        spec as u32
    }

    /// Fetches the entry of a target that is named.
    pub(super) fn fetch_target(&mut self, register: u64) -> u64 {
        let index = self.watched(register);
        self.data = self.targets.get(&index).copied().unwrap_or([0; 8]);
        self.data[0]
    }

    /// Fetches the entry of a queue that is named.
    pub(super) fn fetch_queue(&mut self, register: u64) -> u64 {
        let index = self.watched(register);
        let end = self.queues.get(&index).copied().unwrap_or([0; 4]);
        self.data[..4].copy_from_slice(&end);
        self.data[0]
    }

    /// Whether a scrub is under way: it takes one look.
    pub(super) fn scrubbing(&mut self, faults: Faults) -> u64 {
        let busy = core::mem::take(&mut self.scrubs) || faults.scrub_hangs;
        u64::from(busy) << 63
    }

    pub(super) fn scrub(&mut self, source: u32) {
        self.assignments.remove(&source);
        self.scrubs = true;
    }

    /// Threads of a register take part from now on.
    pub(super) fn take_part(&mut self, half: u32, value: u64) {
        self.threads_on |= u128::from(value.reverse_bits()) << half;
    }

    /// A table is described to an engine: 0 is the presentation controller.
    pub(super) fn describe(&mut self, engine: u64, address: u64, value: u64) {
        let (table, block) = (
            self.registers[&address] >> 48 & 0xf,
            self.registers[&address] >> 32 & 0x1f,
        );
        let old = self.tables.insert((engine, table, block), value);
        assert_eq!(
            old, None,
            "table {table} of block {block} is described twice"
        );
        if value >> 62 == 2 {
            let bytes = 0x1000 << (value & 0x1f);
            let start = value & 0x00ff_ffff_ffff_f000;
            assert_eq!(start % bytes, 0, "aligned to its size");
            let memory = self.memory.real..self.memory.real + xive_controller::TABLE_BYTES;
            let is_window = self.second && table == 6;
            assert!(is_window || memory.contains(&start) && start + bytes <= memory.end);
        }
    }

    /// Stores what was written to the doublewords of an entry.
    pub(super) fn store_watched(
        &mut self,
        register: u64,
        is_target: bool,
        first: u64,
        conflicts: &mut u32,
    ) {
        let index = self.watched(register);
        self.conflict = *conflicts != 0;
        if self.conflict {
            *conflicts -= 1;
            return;
        }
        self.data[0] = first;
        if is_target {
            assert!(index < 4096);
            let mut entry = self.data;
            if self.second {
                entry[4..].fill(0);
            }
            self.targets.insert(index, entry);
        } else {
            assert!(index < 32_768);
            let end = *self.data.first_chunk().unwrap();
            self.queues.insert(index, end);
        }
    }

    /// An assignment in memory.
    fn in_memory(&self, source: u32) -> u64 {
        let Some(table) = self
            .tables
            .get(&(1, u64::from(self.second), self.block.into()))
        else {
            return 0;
        };
        let start = (table & 0x00ff_ffff_ffff_f000) - self.memory.real;
        let word = &self.memory.words[start as usize / 8 + source as usize];
        u64::from_be(word.load(Ordering::Relaxed))
    }

    /// An assignment as the cache has it.
    pub(super) fn assignment(&mut self, source: u32) -> u64 {
        let value = self.in_memory(source);
        *self.assignments.entry(source).or_insert(value)
    }

    /// State bits of a source of software; off at the beginning, as the table says.
    pub(super) fn source_state(&mut self, source: u32) -> &mut u8 {
        self.states.entry(source).or_insert(1)
    }

    /// A load from a page of a queue: state bits of notification or escalation.
    pub(super) fn queue_page(&mut self, queue: u32, page: usize, offset: u64) -> u64 {
        let end = self.queues.entry(queue).or_default();
        let shift = 30 - 2 * page as u64;
        let old = end[0] >> shift & 3;
        if offset >= 0xc00 {
            let new = offset >> 8 & 3;
            end[0] = end[0] & !(3 << shift) | new << shift;
        }
        old
    }
}
