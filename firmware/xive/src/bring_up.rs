//! From reset to a controller that delivers.

use crate::chip::Chip;
use crate::numbers::{FIRST_PSI, Interrupt, block_of_thread};
use crate::tables::{
    ASSIGNMENT_TABLE, OVERFLOW_TABLE, OVERFLOWS, Place, QUEUE_TABLE, SOURCES, STATE_TABLE,
    TARGET_TABLE, Tables, WORDS,
};
use crate::{Bus, Controller, MAX_CHIPS, XiveError};
use arrayvec::ArrayVec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use power_registers::xive::{
    EventAssignment, FIRST_SOURCE_SET, FIRST_TARGET_SET, OVERFLOW_ONE_PAGE, SCOM, SOURCE_SETS,
    TARGET_SETS, Table, notify, on_the_bus, physical_target, psi, register, scom, source_set,
    table_address, table_elsewhere, table_here, target_set, thread_context, thread_on, window,
    windows,
};

/// A chip, with memory for its tables.
#[derive(Clone, Copy, Debug)]
pub struct ChipMemory<'m> {
    /// The chip's number.
    pub chip: u32,
    /// The memory: [`crate::TABLE_WORDS`].
    pub words: &'m [AtomicU64],
    /// Its real address, aligned to [`crate::TABLE_BYTES`].
    pub real: u64,
}

/// Why there is no controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BringUpError {
    /// No chip, more than [`MAX_CHIPS`], one twice, or a number that is no block.
    Chips,
    /// Not as much memory as is needed, or not aligned.
    Memory,
    /// A thread of a chip that is not there, or one that has no target.
    Thread {
        /// Its PIR.
        pir: u32,
    },
    /// A SCOM register could not be written.
    Scom {
        /// The chip.
        chip: u32,
        /// The register.
        address: u32,
    },
    /// An entry could not be stored.
    Entry,
}

impl fmt::Display for BringUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chips => write!(f, "at most {MAX_CHIPS} chips are served"),
            Self::Memory => write!(f, "not enough aligned memory for its tables"),
            Self::Thread { pir } => write!(f, "no target for PIR {pir:#x}"),
            Self::Scom { chip, address } => {
                write!(f, "SCOM register {address:#x} of chip {chip} fails")
            }
            Self::Entry => write!(f, "its tables cannot be written"),
        }
    }
}

impl From<XiveError> for BringUpError {
    fn from(_: XiveError) -> Self {
        Self::Entry
    }
}

impl<'m> Controller<'m> {
    /// Brings up the controllers of all chips, for these threads. Nothing is on but the threads'
    /// targets; each thread has to open its own ring ([`crate::open_thread`]).
    ///
    /// # Errors
    /// [`BringUpError`].
    #[inline(never)]
    pub fn bring_up(
        bus: &mut dyn Bus,
        memory: &[ChipMemory<'m>],
        threads: impl Iterator<Item = u32>,
    ) -> Result<Self, BringUpError> {
        let mut chips = ArrayVec::<Chip<'m>, MAX_CHIPS>::new();
        for part in memory {
            let known = chips.iter().any(|chip| chip.block == part.chip);
            if known || part.chip > 0xf {
                return Err(BringUpError::Chips);
            }
            let fits = part.words.len() >= WORDS && part.real.is_multiple_of(crate::TABLE_BYTES);
            let words = part.words.get(..WORDS).filter(|_| fits);
            let tables = Tables {
                words: words.ok_or(BringUpError::Memory)?,
                real: part.real,
            };
            chips
                .try_push(Chip::new(part.chip, tables))
                .map_err(|_| BringUpError::Chips)?;
        }
        if chips.is_empty() {
            return Err(BringUpError::Chips);
        }
        for pir in threads {
            let block = block_of_thread(pir);
            let chip = chips.iter_mut().find(|chip| chip.block == block);
            let chip = chip
                .filter(|_| pir & 0x80 == 0)
                .ok_or(BringUpError::Thread { pir })?;
            chip.threads.set(pir & 0x7f, true);
        }
        for chip in &chips {
            chip.tables.clear();
            chip.clear_assignments();
        }
        fence(Ordering::SeqCst);
        for chip in &chips {
            chip.open_windows(bus)?;
        }
        let blocks: ArrayVec<u32, MAX_CHIPS> = chips.iter().map(|chip| chip.block).collect();
        for chip in &mut chips {
            chip.set_up(bus, &blocks);
            chip.set_up_psi(bus)?;
            for thread in 0..128 {
                if chip.threads.has(thread) {
                    let index = physical_target(thread);
                    chip.set_target(bus, index, chip.target_on(index))?;
                    let (place, bit) = thread_on(thread);
                    bus.store(chip.register(place), bit);
                }
            }
        }
        Ok(Self { chips })
    }
}

impl Chip<'_> {
    /// All assignments lead nowhere; nothing has them in its cache yet.
    fn clear_assignments(&self) {
        let block = self.block;
        for index in 0..SOURCES {
            let source = if index < FIRST_PSI {
                Interrupt::Software { block, index }
            } else {
                let line = index - FIRST_PSI;
                Interrupt::Psi { block, line }
            };
            let nowhere = EventAssignment::masked(source.number());
            self.tables.set_assignment(index, nowhere);
        }
    }

    #[inline(never)]
    fn open_windows(&self, bus: &mut dyn Bus) -> Result<(), BringUpError> {
        let chip = self.block;
        let mask = |bytes: u64, bits: u64| !(bytes - 1) & bits;
        // Closed first: after a reset of the machine that this unit did not take part in, they may be
        // open, and must not move then.
        let steps = [
            (scom::CONTROLLER_BAR, 0),
            (
                scom::CONTROLLER_BAR,
                self.register(0) | scom::VALID | scom::PAGES_64K,
            ),
            (scom::THREADS_BAR_2, 0),
            (scom::THREADS_BAR, 0),
            (
                scom::THREADS_BAR,
                window::THREADS | scom::VALID | scom::PAGES_64K,
            ),
            (scom::TARGETS_BAR, 0),
            (
                scom::TARGETS_MASK,
                mask(window::TARGETS_BYTES, scom::TARGETS_MASK_BITS),
            ),
            (scom::TARGETS_BAR, self.targets_window() | scom::VALID),
            (scom::SOURCES_BAR, 0),
            (
                scom::SOURCES_MASK,
                mask(window::SOURCES_BYTES, scom::SOURCES_MASK_BITS),
            ),
            (scom::SOURCES_BAR, self.sources_window() | scom::VALID),
        ];
        for (offset, value) in steps {
            let address = SCOM + offset;
            if !bus.scom(chip, address, value) {
                return Err(BringUpError::Scom { chip, address });
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn set_up(&self, bus: &mut dyn Bus, blocks: &[u32]) {
        let block = self.block;
        let mut set = |register: u64, value: u64| bus.store(self.register(register), value);
        set(
            register::WINDOWS,
            windows::TARGETS_64K | windows::SOURCES_64K | windows::THREADS_LOCAL,
        );
        // All tables are direct.
        set(register::SOURCES_GLOBAL, 0);
        set(register::TARGETS_GLOBAL, 0);
        set(
            register::THREAD_CONTEXT,
            thread_context::TARGET | thread_context::CHIP_IS_BLOCK,
        );
        set(register::SET_ADDRESS, FIRST_SOURCE_SET);
        for index in 0..SOURCE_SETS {
            let (of, index) = Self::set(index);
            set(register::SET_DATA, source_set(of, block, index));
        }
        set(register::SET_ADDRESS, FIRST_TARGET_SET);
        for index in 0..TARGET_SETS {
            set(register::SET_DATA, target_set(block, index));
        }
        let mut describe = |table: Table, block: u32, value: u64| {
            set(register::SOURCES_TABLE_ADDRESS, table_address(table, block));
            set(register::SOURCES_TABLE_DATA, value);
            if table != Table::Overflow {
                set(register::TARGETS_TABLE_ADDRESS, table_address(table, block));
                set(register::TARGETS_TABLE_DATA, value);
            }
        };
        let here = |place: Place| table_here(self.tables.address(place), place.bytes);
        describe(Table::Assignments, block, here(ASSIGNMENT_TABLE));
        describe(Table::States, block, here(STATE_TABLE));
        describe(Table::Queues, block, here(QUEUE_TABLE));
        describe(Table::Targets, block, here(TARGET_TABLE));
        for queue in 0..OVERFLOWS {
            let offset = OVERFLOW_TABLE.offset + u64::from(queue) * OVERFLOW_TABLE.bytes;
            let page = Place {
                offset,
                ..OVERFLOW_TABLE
            };
            describe(Table::Overflow, queue, here(page));
        }
        for other in blocks.iter().filter(|other| **other != block) {
            let away = window::CHIP_STRIDE * u64::from(*other);
            let sources = table_elsewhere(window::SOURCES + away);
            let tell = window::CONTROLLER + window::PAGE + notify::TRIGGER + away;
            describe(Table::Assignments, *other, sources);
            describe(Table::States, *other, sources);
            describe(Table::Queues, *other, table_elsewhere(tell));
            describe(
                Table::Targets,
                *other,
                table_elsewhere(window::TARGETS + away),
            );
        }
        for queue in 0..u64::from(OVERFLOWS) {
            set(register::OVERFLOW + 8 * queue, OVERFLOW_ONE_PAGE);
        }
    }

    /// The bridge tells its interrupts to this chip's controller.
    #[inline(never)]
    fn set_up_psi(&self, bus: &mut dyn Bus) -> Result<(), BringUpError> {
        let (chip, address) = (self.block, psi::SCOM_BAR);
        if !bus.scom(chip, address, self.psi(0) | psi::OPEN) {
            return Err(BringUpError::Scom { chip, address });
        }
        let first = on_the_bus(self.block, FIRST_PSI);
        let steps = [
            (psi::NOTIFY_AT, 0),
            (psi::PAGES_AT, 0),
            (psi::PAGES_AT, self.psi_pages() | psi::VALID),
            (psi::CONTROL, psi::RESET),
            (psi::CONTROL, 0),
            (psi::FIRST_NUMBER, u64::from(first) << 32),
            (psi::NOTIFY_AT, self.notify(notify::TRIGGER) | psi::VALID),
        ];
        for (offset, value) in steps {
            bus.store(self.psi(offset), value);
        }
        self.silence_psi(bus);
        Ok(())
    }
}
