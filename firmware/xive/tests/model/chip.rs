//! One chip: its registers, what it has in its caches, its PSI bridge.

use super::{Faults, PAGE, STRIDE};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use xive_controller::ChipMemory;

const CONTROLLER: u64 = 0x6_0302_0310_0000;
const SOURCES: u64 = 0x6_0100_0000_0000;
const SOURCES_BYTES: u64 = 1 << 39;
const SET: u64 = SOURCES_BYTES / 64;
const PSI: u64 = 0x6_0302_0300_0000;
const PSI_PAGES: u64 = 0x6_0302_031c_0000;
const SYNCHRONISED: u64 = 0xf800_0000;
const VALID: u64 = 1 << 63;

/// What is at an address, as on chip 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Register(u64),
    Notify(u64),
    /// A source of software, and whether it is the page that ends it.
    Source(u32, bool),
    /// A queue, and its page: notification, escalation.
    Queue(u32, usize),
    Psi(u32),
    PsiRegister(u64),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Psi {
    open: bool,
    pages: bool,
    pub(crate) notify: Option<u64>,
    pub(crate) first: u64,
    /// State bits.
    pub(crate) states: [u8; 14],
    pub(crate) levels: [bool; 14],
}

impl Psi {
    pub(super) fn store(&mut self, offset: u64, value: u64) {
        assert!(self.open, "the bridge's window is closed");
        match offset {
            0x58 if value & 1 << 62 != 0 => self.states = [0; 14],
            0x58 => {}
            0x60 => {
                assert!(value == 0 || !self.pages, "pages do not move");
                assert!(value == 0 || value & 1 == 1);
                self.pages = value != 0;
            }
            0x68 => self.notify = (value & 1 != 0).then_some(value & !1),
            0x70 => self.first = value >> 32,
            _ => panic!("no register of the bridge at {offset:#x}"),
        }
    }
}

pub(crate) struct Chip {
    pub(crate) block: u32,
    memory: ChipMemory<'static>,
    bars: BTreeMap<u32, u64>,
    registers: BTreeMap<u64, u64>,
    set_at: Option<u64>,
    sets: Vec<u64>,
    target_sets: Vec<u64>,
    /// Descriptors, by (engine, table, block).
    pub(crate) tables: BTreeMap<(u64, u64, u64), u64>,
    states: BTreeMap<u32, u8>,
    assignments: BTreeMap<u32, u64>,
    pub(crate) queues: BTreeMap<u32, [u64; 4]>,
    pub(crate) targets: BTreeMap<u32, [u64; 8]>,
    data: [u64; 8],
    conflict: bool,
    scrubs: bool,
    pub(super) synchronised: bool,
    pub(crate) threads_on: u128,
    pub(crate) psi: Psi,
}

impl Chip {
    pub(super) fn new(memory: ChipMemory<'static>) -> Self {
        Self {
            block: memory.chip,
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
            synchronised: false,
            threads_on: 0,
            psi: Psi::default(),
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
        if address == 0x501_290a {
            assert_eq!(value, (PSI + u64::from(self.block) * STRIDE) | 1);
            self.psi.open = true;
            return;
        }
        let register = address - 0x501_3000;
        let old = self.bars.insert(register, value).unwrap_or(0);
        if matches!(register, 0x10 | 0x12 | 0x14 | 0x16 | 0x18) {
            assert!(
                value == 0 || old & VALID == 0,
                "an open window does not move: {register:#x}"
            );
        }
        if matches!(register, 0x17 | 0x19) {
            let bar = self.bars.get(&(register - 1)).copied().unwrap_or(0);
            assert_eq!(bar & VALID, 0, "nor does it change its size");
        }
    }

    fn is_open(&self, bar: u32) -> bool {
        self.bars.get(&bar).is_some_and(|bar| bar & VALID != 0)
    }

    /// What is at an address that was moved to chip 0.
    pub(super) fn place(&self, local: u64) -> Place {
        if (SOURCES..SOURCES + SOURCES_BYTES).contains(&local) {
            assert!(self.is_open(0x18), "the window of sources is closed");
            let offset = local - SOURCES;
            let set = self.sets[(offset / SET) as usize];
            let within = (set >> 32 & 0x3f) * SET + offset % SET;
            assert_eq!(set >> 48 & 0xf, u64::from(self.block));
            let index = (within / (2 * PAGE)) as u32;
            let second = !(within / PAGE).is_multiple_of(2);
            return match set >> 62 {
                1 => {
                    assert!(index < 16_384, "the table of states ends");
                    Place::Source(index, second)
                }
                2 => Place::Queue(index, second.into()),
                _ => panic!("no such set"),
            };
        }
        if (CONTROLLER..CONTROLLER + 2 * PAGE).contains(&local) {
            assert!(self.is_open(0x10), "the controller's window is closed");
            let offset = local - CONTROLLER;
            return if offset < PAGE {
                Place::Register(offset)
            } else {
                Place::Notify(offset - PAGE)
            };
        }
        if (PSI_PAGES..PSI_PAGES + 14 * 4096).contains(&local) {
            assert!(self.psi.pages, "the bridge's pages are closed");
            return Place::Psi(((local - PSI_PAGES) / 4096) as u32);
        }
        if (PSI..PSI + 0x100).contains(&local) {
            return Place::PsiRegister(local - PSI);
        }
        panic!("nothing is at {local:#x}");
    }

    pub(super) fn load_register(&mut self, offset: u64, faults: Faults) -> u64 {
        match offset {
            0x738 | 0x928 => u64::from(self.conflict) << 63,
            0x740 => {
                let index = self.watched(0x738);
                self.data = self.targets.get(&index).copied().unwrap_or([0; 8]);
                self.data[0]
            }
            0x748..0x780 => self.data[(offset as usize - 0x740) / 8],
            0x930 => {
                let index = self.watched(0x928);
                let end = self.queues.get(&index).copied().unwrap_or([0; 4]);
                self.data[..4].copy_from_slice(&end);
                self.data[0]
            }
            0x938..0x950 => self.data[(offset as usize - 0x930) / 8],
            0x990 => {
                // It takes one look.
                let busy = core::mem::take(&mut self.scrubs) || faults.scrub_hangs;
                u64::from(busy) << 63
            }
            0x920 if self.synchronised && !faults.sync_hangs => SYNCHRONISED,
            0x920 => 0,
            _ => panic!("no register for loads at {offset:#x}"),
        }
    }

    fn watched(&self, register: u64) -> u32 {
        let spec = self.registers[&register];
        assert_eq!(spec >> 32 & 0xf, u64::from(self.block), "an own entry");
        spec as u32
    }

    pub(super) fn store_register(&mut self, offset: u64, value: u64, conflicts: &mut u32) {
        match offset {
            0x0f0 => {
                assert_eq!(value >> 32 & 0x3f, 0, "from the first set on");
                self.set_at = Some(value);
            }
            0x0f8 => match self.set_at.unwrap() >> 48 & 0xf {
                1 => self.sets.push(value),
                2 => self.target_sets.push(value),
                table => panic!("no table of sets {table}"),
            },
            0x440..0x480 => {
                let half = if offset == 0x448 { 0 } else { 64 };
                assert!(matches!(offset, 0x448 | 0x468));
                self.threads_on |= u128::from(value.reverse_bits()) << half;
            }
            0x490 => self.describe(0, 0x488, value),
            0x810 => self.describe(1, 0x808, value),
            0x740 => self.store_watched(0x738, value, conflicts),
            0x930 => self.store_watched(0x928, value, conflicts),
            0x748..0x780 => self.data[(offset as usize - 0x740) / 8] = value,
            0x938..0x950 => self.data[(offset as usize - 0x930) / 8] = value,
            0x990 => {
                assert_eq!(value >> 63, 1);
                self.assignments.remove(&(value as u32));
                self.scrubs = true;
            }
            0x920 => self.synchronised = value & SYNCHRONISED != 0,
            0x100 | 0x400 | 0x480 | 0x488 | 0x738 | 0x800 | 0x808 | 0x928 | 0x840..0x870 => {
                self.registers.insert(offset, value);
            }
            _ => panic!("no register for stores at {offset:#x}"),
        }
    }

    fn describe(&mut self, engine: u64, address: u64, value: u64) {
        let (table, block) = (
            self.registers[&address] >> 48 & 7,
            self.registers[&address] >> 32 & 0x1f,
        );
        let old = self.tables.insert((engine, table, block), value);
        assert_eq!(
            old, None,
            "table {table} of block {block} is described twice"
        );
        if value >> 62 == 2 {
            let bytes = 0x1000 << (value & 0x1f);
            let start = value & 0x0fff_ffff_ffff_f000;
            assert_eq!(start % bytes, 0, "aligned to its size");
            let memory = self.memory.real..self.memory.real + xive_controller::TABLE_BYTES;
            assert!(memory.contains(&start) && start + bytes <= memory.end);
        }
    }

    fn store_watched(&mut self, register: u64, first: u64, conflicts: &mut u32) {
        let index = self.watched(register);
        self.conflict = *conflicts != 0;
        if self.conflict {
            *conflicts -= 1;
            return;
        }
        self.data[0] = first;
        if register == 0x738 {
            assert!(index < 4096);
            self.targets.insert(index, self.data);
        } else {
            assert!(index < 32_768);
            let end = *self.data.first_chunk().unwrap();
            self.queues.insert(index, end);
        }
    }

    /// An assignment in memory.
    fn in_memory(&self, source: u32) -> u64 {
        let Some(table) = self.tables.get(&(1, 0, self.block.into())) else {
            return 0;
        };
        let start = (table & 0x0fff_ffff_ffff_f000) - self.memory.real;
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
