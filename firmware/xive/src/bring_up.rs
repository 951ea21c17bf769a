//! From reset to a controller that delivers.

mod first;
mod second;

use crate::chip::Chip;
use crate::numbers::{FIRST_PSI, Interrupt, block_of_thread};
use crate::tables::{OVERFLOW_TABLE, Place, SOURCES, Tables, WORDS};
use crate::{Bus, Controller, MAX_CHIPS, XiveError};
use arrayvec::ArrayVec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use power_registers::xive::{
    EventAssignment, Generation, on_the_bus, physical_target, psi, table_address, table_here,
    thread_on,
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

/// What kind of machine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Of its controllers.
    pub generation: Generation,
    /// Two cores act as one of eight threads.
    pub fused: bool,
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
        machine: Machine,
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
                .try_push(Chip::new(machine.generation, part.chip, tables))
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
            match machine.generation {
                Generation::First => chip.open_windows(bus)?,
                Generation::Second => chip.open_windows_2(bus)?,
            }
        }
        let blocks: ArrayVec<u32, MAX_CHIPS> = chips.iter().map(|chip| chip.block).collect();
        for chip in &mut chips {
            match machine.generation {
                Generation::First => chip.set_up(bus, machine.fused),
                Generation::Second => chip.set_up_2(bus, machine.fused),
            }
            for other in blocks.iter().filter(|block| **block != chip.block) {
                match machine.generation {
                    Generation::First => chip.know(bus, *other),
                    Generation::Second => chip.know_2(bus, *other),
                }
            }
            chip.let_overflow(bus);
            chip.set_up_psi(bus)?;
            for thread in 0..128 {
                if chip.threads.has(thread) {
                    let index = physical_target(thread);
                    chip.set_target(bus, index, chip.target_on(index))?;
                    let (place, bit) = thread_on(thread);
                    bus.store(chip.register(chip.layout().threads_on[place]), bit);
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

    /// Stores to SCOM registers, one after the other.
    #[inline(never)]
    fn scoms(
        &self,
        bus: &mut dyn Bus,
        first: u32,
        steps: &[(u32, u64)],
    ) -> Result<(), BringUpError> {
        let chip = self.block;
        for (offset, value) in steps {
            let address = first + offset;
            if !bus.scom(chip, address, *value) {
                return Err(BringUpError::Scom { chip, address });
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn set(&self, bus: &mut dyn Bus, register: u64, value: u64) {
        bus.store(self.register(register), value);
    }

    /// Describes a table: to the virtualization controller first, and to the presentation controller, if
    /// it has it.
    #[inline(never)]
    fn describe(&self, bus: &mut dyn Bus, table: u64, index: u32, value: u64, engines: usize) {
        for [address, data] in self.layout().describe.iter().take(engines) {
            self.set(bus, *address, table_address(table, index));
            self.set(bus, *data, value);
        }
    }

    fn here(&self, place: Place) -> u64 {
        table_here(self.tables.address(place), place.bytes)
    }

    /// What waits inside may overflow into memory.
    #[inline(never)]
    fn let_overflow(&self, bus: &mut dyn Bus) {
        let layout = self.layout();
        for queue in 0..layout.overflows {
            let offset = OVERFLOW_TABLE.offset + u64::from(queue) * OVERFLOW_TABLE.bytes;
            let page = self.here(Place {
                offset,
                ..OVERFLOW_TABLE
            });
            self.describe(bus, layout.overflow_table, queue, page, 1);
            let register = layout.overflow + 8 * u64::from(queue);
            self.set(bus, register, layout.overflows_to);
        }
    }

    /// The bridge tells its interrupts to this chip's controller.
    #[inline(never)]
    fn set_up_psi(&self, bus: &mut dyn Bus) -> Result<(), BringUpError> {
        let layout = self.layout();
        self.scoms(bus, layout.psi_scom, &[(0, self.psi(0) | psi::OPEN)])?;
        let first = on_the_bus(self.block, FIRST_PSI);
        let steps = [
            (psi::NOTIFY_AT, 0),
            (psi::PAGES_AT, 0),
            (
                psi::PAGES_AT,
                self.psi_pages() | layout.psi_pages_are | psi::VALID,
            ),
            (psi::CONTROL, psi::RESET),
            (psi::CONTROL, 0),
            (psi::FIRST_NUMBER, u64::from(first) << 32),
            (psi::NOTIFY_AT, self.register(layout.notify) | psi::VALID),
        ];
        for (offset, value) in steps {
            bus.store(self.psi(offset), value);
        }
        self.silence_psi(bus);
        Ok(())
    }
}
