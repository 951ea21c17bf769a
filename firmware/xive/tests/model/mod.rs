//! A machine with XIVE, as far as its registers, tables and pages go: strict where QEMU is lax.
//!
//! Assignments are cached until they are scrubbed. Queues and targets are changed through their watch
//! alone: who writes to their tables is found out, since the model keeps its own. Windows do not answer
//! before they are open, and do not move while they are; no table is described twice; nothing is read
//! that has no meaning.

mod chip;
mod entries;
mod first;
mod psi;
mod router;
mod second;

use chip::Chip;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use xive_controller::{Bus, ChipMemory, Generation, TABLE_BYTES, TABLE_WORDS};

const THREADS: u64 = 0x6_0302_0318_0000;
const PAGE: u64 = 1 << 16;
const FIRST_TABLES: u64 = 0x30c0_0000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// The SCOM store of this number fails.
    pub(crate) scom: Option<usize>,
    /// So many stores of watched entries meet somebody else's.
    pub(crate) conflicts: u32,
    /// A scrub never ends.
    pub(crate) scrub_hangs: bool,
    /// A synchronisation never ends.
    pub(crate) sync_hangs: bool,
}

/// The ring of a physical thread, and of the pool that it carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ring {
    pub(crate) enabled: bool,
    pub(crate) valid: bool,
    pub(crate) priority: u8,
    /// Pending priorities, bit 7 is priority 0; of the thread and of its pool.
    pub(crate) pending: [u8; 2],
    /// The word of the pool.
    pub(crate) pool: u32,
}

impl Ring {
    /// The most favoured priority that is pending and gets through.
    pub(crate) fn interrupt(&self) -> Option<u8> {
        let first = (self.pending[0] | self.pending[1]).leading_zeros() as u8;
        (self.valid && first < 8 && first < self.priority).then_some(first)
    }
}

/// The machine.
pub(crate) struct Model {
    second: bool,
    pub(crate) chips: BTreeMap<u32, Chip>,
    pub(crate) rings: BTreeMap<u32, Ring>,
    /// The thread that makes the accesses.
    pub(crate) thread: u32,
    /// Words of queues, by real address.
    pub(crate) memory: BTreeMap<u64, u32>,
    pub(crate) faults: Faults,
    scoms: usize,
    pub(crate) waits: u64,
    /// Loads and stores of any kind.
    pub(crate) accesses: u64,
}

/// Memory for the tables of some chips, dirty as it is after a reboot.
pub(crate) fn memory(chips: &[u32]) -> Vec<ChipMemory<'static>> {
    let places = chips.iter().enumerate();
    let part = |(index, chip): (usize, &u32)| {
        let words = (0..TABLE_WORDS).map(|word| AtomicU64::new(0x5ca1_ab1e << 8 | word as u64));
        ChipMemory {
            chip: *chip,
            words: Vec::leak(words.collect()),
            real: FIRST_TABLES + index as u64 * TABLE_BYTES,
        }
    };
    places.map(part).collect()
}

impl Model {
    pub(crate) fn new(
        generation: Generation,
        memory: &[ChipMemory<'static>],
        threads: &[u32],
    ) -> Self {
        let second = generation == Generation::Second;
        let chips = memory.iter();
        let chips = chips.map(|part| (part.chip, Chip::new(second, *part)));
        Self {
            second,
            chips: chips.collect(),
            rings: threads.iter().map(|pir| (*pir, Ring::default())).collect(),
            thread: threads[0],
            memory: BTreeMap::new(),
            faults: Faults::default(),
            scoms: 0,
            waits: 0,
            accesses: 0,
        }
    }

    fn chip_at(&mut self, address: u64) -> (u32, u64) {
        self.accesses += 1;
        let (first, stride) = if self.second {
            (0x6_0302_0000_0000, 44)
        } else {
            (0x6_0100_0000_0000, 42)
        };
        let block = u32::try_from((address - first) >> stride).unwrap();
        assert!(self.chips.contains_key(&block), "no chip at {address:#x}");
        (block, address - (u64::from(block) << stride))
    }

    fn ring(&mut self) -> &mut Ring {
        self.accesses += 1;
        let ring = self.rings.get_mut(&self.thread).unwrap();
        assert!(ring.enabled, "the thread's pages are not on");
        ring
    }

    /// What the calling thread takes, and the words that came into a queue.
    pub(crate) fn take(&mut self, pir: u32) -> Option<u8> {
        let ring = self.rings.get_mut(&pir).unwrap();
        let first = ring.interrupt()?;
        let which = usize::from(ring.pending[0] >> (7 - first) & 1 == 0);
        ring.pending[which] &= !(1 << (7 - first));
        Some(first)
    }

    /// The words of a queue's memory.
    pub(crate) fn words(&self, page: u64) -> Vec<u32> {
        let words = self.memory.range(page..page + PAGE);
        words.map(|(_, word)| *word).collect()
    }

    /// Software triggers an interrupt: a store to its page.
    pub(crate) fn trigger(&mut self, page: u64) {
        self.store(page, 0);
    }

    /// A level of a PSI bridge.
    pub(crate) fn set_level(&mut self, block: u32, line: u32, on: bool) {
        let chip = self.chips.get_mut(&block).unwrap();
        chip.psi.levels[line as usize] = on;
        if on {
            self.psi_event(block, line);
        }
    }

    /// Everything that an access could have changed.
    pub(crate) fn state(&self) -> String {
        let chips: Vec<_> = self.chips.values().map(Chip::state).collect();
        format!("{chips:?} {:?}", self.rings)
    }

    pub(crate) fn scom_stores(&self) -> usize {
        self.scoms
    }
}

impl Bus for Model {
    fn scom(&mut self, chip: u32, address: u32, value: u64) -> bool {
        self.scoms += 1;
        self.accesses += 1;
        if self.faults.scom == Some(self.scoms - 1) {
            return false;
        }
        self.chips.get_mut(&chip).unwrap().scom(address, value);
        true
    }

    fn load(&mut self, address: u64) -> u64 {
        if address == THREADS + PAGE + 0x828 {
            let ring = self.ring();
            let old = ring.pool;
            ring.pool = 0;
            return old.into();
        }
        let faults = self.faults;
        let (block, local) = self.chip_at(address);
        let chip = self.chips.get_mut(&block).unwrap();
        match chip.place(local) {
            chip::Place::Register(offset) => chip.load_register(offset, faults),
            chip::Place::Source(index, true) => self.source_page(block, index, local & 0xfff),
            chip::Place::Queue(index, page) => chip.queue_page(index, page, local & 0xfff),
            chip::Place::Psi(line) => self.psi_page(block, line, local & 0xfff),
            place => panic!("{place:?} is not for loads: {address:#x}"),
        }
    }

    fn store(&mut self, address: u64, value: u64) {
        let (block, local) = self.chip_at(address);
        let chip = self.chips.get_mut(&block).unwrap();
        match chip.place(local) {
            chip::Place::Register(offset) => {
                let conflicts = &mut self.faults.conflicts;
                chip.store_register(offset, value, conflicts);
                let on = chip.threads_on;
                for (pir, ring) in &mut self.rings {
                    if pir >> 8 == block {
                        ring.enabled = on >> (pir & 0x7f) & 1 != 0;
                    }
                }
            }
            chip::Place::Notify(0 | 0x800) => self.notified(block, value),
            chip::Place::Sync(port) => {
                assert_eq!(port % 0x80, 0);
                chip.syncs.insert(port);
            }
            chip::Place::Source(index, false) => self.source_event(block, index),
            chip::Place::PsiRegister(offset) => chip.psi.store(offset, value),
            place => panic!("{place:?} is not for stores: {address:#x}"),
        }
    }

    fn load_half_word(&mut self, address: u64) -> u16 {
        assert_eq!(address, THREADS + PAGE + 0x830);
        let pir = self.thread;
        self.ring();
        let taken = self.take(pir);
        u16::from(taken.is_some()) << 15 | u16::from(self.ring().priority)
    }

    fn store_word(&mut self, address: u64, value: u32) {
        assert_eq!((address, value), (THREADS + PAGE + 0x30, 0));
        let ring = self.ring();
        assert!(!ring.valid, "a ring that takes part is not written");
        ring.pending[0] = 0;
        ring.priority = 0;
    }

    fn store_byte(&mut self, address: u64, value: u8) {
        let ring = self.ring();
        match address - THREADS - PAGE {
            0x31 => ring.priority = value,
            0x38 => ring.valid = value & 0x80 != 0,
            offset => panic!("no byte at {offset:#x}"),
        }
    }

    fn relax(&mut self) {
        self.waits += 1;
    }
}

/// The numbers of a set, for messages.
pub(crate) fn distinct(numbers: &[u32]) -> BTreeSet<u32> {
    numbers.iter().copied().collect()
}
