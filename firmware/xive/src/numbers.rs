//! The numbers of an OS: what they name.

use crate::tables::{QUEUES, SOURCES, TARGETS};
use power_registers::xive::{physical_target, psi};

/// The first interrupts have no source: an OS takes 0 for none.
pub(crate) const FIRST_SOURCE: u32 = 16;
/// The last 16 are those of the chip's PSI bridge.
pub(crate) const FIRST_PSI: u32 = SOURCES - 16;
/// Virtual processors come behind what hardware threads may have.
pub(crate) const FIRST_VIRTUAL: u32 = 256;

const BLOCK_SHIFT: u32 = 20;
const ESCALATION: u32 = 1 << 30;
const ESCALATION_BLOCK_SHIFT: u32 = 24;
const VIRTUAL: u64 = 1 << 31;
const VIRTUAL_BLOCK_SHIFT: u32 = 16;
const BLOCKS: u32 = 16;

/// An interrupt, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// One that software triggers.
    Software {
        /// The chip's block.
        block: u32,
        /// Within it.
        index: u32,
    },
    /// A level of the chip's PSI bridge.
    Psi {
        /// The chip's block.
        block: u32,
        /// Which one.
        line: u32,
    },
    /// What a queue escalates to.
    Escalation {
        /// The queue's block.
        block: u32,
        /// The queue.
        queue: u32,
    },
}

impl Interrupt {
    /// What a number names, if there can be such an interrupt.
    #[must_use]
    #[inline(never)]
    pub fn from_number(number: u64) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        if number & ESCALATION != 0 {
            let block = (number & !ESCALATION) >> ESCALATION_BLOCK_SHIFT;
            let queue = number & ((1 << ESCALATION_BLOCK_SHIFT) - 1);
            return (block < BLOCKS && queue < QUEUES).then_some(Self::Escalation { block, queue });
        }
        let (block, index) = (number >> BLOCK_SHIFT, number & ((1 << BLOCK_SHIFT) - 1));
        match index {
            _ if block >= BLOCKS => None,
            FIRST_SOURCE..FIRST_PSI => Some(Self::Software { block, index }),
            FIRST_PSI.. if index - FIRST_PSI < psi::SOURCES => Some(Self::Psi {
                block,
                line: index - FIRST_PSI,
            }),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Software { block, index } => block << BLOCK_SHIFT | index,
            Self::Psi { block, line } => block << BLOCK_SHIFT | (FIRST_PSI + line),
            Self::Escalation { block, queue } => {
                ESCALATION | block << ESCALATION_BLOCK_SHIFT | queue
            }
        }
    }

    pub(crate) const fn block(self) -> u32 {
        match self {
            Self::Software { block, .. }
            | Self::Psi { block, .. }
            | Self::Escalation { block, .. } => block,
        }
    }
}

/// A target, by its number: a thread has its PIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) block: u32,
    /// Within the block's table.
    pub(crate) index: u32,
}

impl Target {
    /// What a number names, if there can be such a target.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        if number & VIRTUAL != 0 {
            let number = number & !VIRTUAL;
            let block = number >> VIRTUAL_BLOCK_SHIFT;
            let index = number & ((1 << VIRTUAL_BLOCK_SHIFT) - 1);
            let fits = block < u64::from(BLOCKS)
                && (u64::from(FIRST_VIRTUAL)..u64::from(TARGETS)).contains(&index);
            return fits.then_some(Self {
                block: block as u32,
                index: index as u32,
            });
        }
        let pir = u32::try_from(number).ok()?;
        let block = block_of_thread(pir);
        let fits = block < BLOCKS && pir & 0x80 == 0;
        fits.then_some(Self {
            block,
            index: physical_target(pir),
        })
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        if self.is_virtual() {
            VIRTUAL | (self.block as u64) << VIRTUAL_BLOCK_SHIFT | self.index as u64
        } else {
            (self.block << 8 | self.index & 0x7f) as u64
        }
    }

    pub(crate) const fn is_virtual(self) -> bool {
        self.index >= FIRST_VIRTUAL
    }

    pub(crate) const fn queue(self, priority: u8) -> u32 {
        self.index * crate::PRIORITIES as u32 + priority as u32
    }

    pub(crate) const fn of_queue(block: u32, queue: u32) -> (Self, u8) {
        let priorities = crate::PRIORITIES as u32;
        let target = Self {
            block,
            index: queue / priorities,
        };
        (target, (queue % priorities) as u8)
    }
}

/// The chip of a thread, which is its block.
pub(crate) const fn block_of_thread(pir: u32) -> u32 {
    pir >> 8
}
