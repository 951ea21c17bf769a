//! XIVE, the interrupt controller of POWER9, and XIVE2, that of POWER10: brought up, and then configured
//! call by call.
//!
//! A source (of software, or of a device) has two state bits and a pair of pages; its *assignment*
//! leads to a *queue*, a ring of words in the OS's memory; the queue notifies a *target*: a hardware
//! thread, or a virtual processor that some thread carries. Assignments, queues and targets are entries
//! of tables in the firmware's memory, which the hardware caches.
//!
//! Everything is reached through [`Bus`]. There is no heap and no lock: who shares a [`Controller`]
//! puts one around it. Every wait is a number of looks.
#![no_std]
#![forbid(unsafe_code)]

mod bits;
mod blocks;
mod bring_up;
mod cache;
mod chip;
mod layout;
mod numbers;
mod queues;
mod sources;
mod tables;
mod targets;
mod threads;

pub use bring_up::{BringUpError, ChipMemory, Machine};
pub use numbers::{Interrupt, Target};
pub use power_registers::xive::Generation;
pub use queues::{QUEUE_SIZES, QueueInfo, QueueRequest};
pub use sources::{SourceConfiguration, SourceInfo, Synchronise};
pub use tables::{BYTES as TABLE_BYTES, WORDS as TABLE_WORDS};
pub use targets::TargetInfo;
pub use threads::open_thread;

use arrayvec::ArrayVec;
use chip::Chip;

/// Most chips of a controller.
pub const MAX_CHIPS: usize = 2;
/// Priorities of a target: 0 is the most favoured.
pub const PRIORITIES: u8 = 8;
/// The priority of a source that is off.
pub const OFF: u8 = 0xff;

/// How the controller is reached. Loads and stores are cache-inhibited, at real addresses, in the
/// order of the calls.
pub trait Bus {
    /// Stores to the SCOM register of a chip; whether it worked.
    fn scom(&mut self, chip: u32, address: u32, value: u64) -> bool;
    /// Loads a doubleword.
    fn load(&mut self, address: u64) -> u64;
    /// Stores a doubleword.
    fn store(&mut self, address: u64, value: u64);
    /// Loads two bytes.
    fn load_half_word(&mut self, address: u64) -> u16;
    /// Stores four bytes.
    fn store_word(&mut self, address: u64, value: u32);
    /// Stores a byte.
    fn store_byte(&mut self, address: u64, value: u8);
    /// Passes a moment of a wait.
    fn relax(&mut self);
}

/// Why something was not done. Nothing has changed then, except after [`Self::Hardware`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XiveError {
    /// No such interrupt, target, queue, priority or chip, or not one that this can be done with.
    Parameter,
    /// All are in use.
    Exhausted,
    /// Something of it is still on.
    Active,
    /// It is off.
    Off,
    /// The hardware did not do it.
    Hardware,
}

/// The controllers of all chips.
#[derive(Debug)]
pub struct Controller<'m> {
    chips: ArrayVec<Chip<'m>, MAX_CHIPS>,
}

impl<'m> Controller<'m> {
    fn chip(&self, block: u32) -> Result<&Chip<'m>, XiveError> {
        let found = self.chips.iter().find(|chip| chip.block == block);
        found.ok_or(XiveError::Parameter)
    }

    fn chip_mut(&mut self, block: u32) -> Result<&mut Chip<'m>, XiveError> {
        let found = self.chips.iter_mut().find(|chip| chip.block == block);
        found.ok_or(XiveError::Parameter)
    }

    /// Everything as it was after [`Self::bring_up`], whatever an OS left on: no interrupt leads
    /// anywhere, all queues are off, nothing is allocated, the threads' targets are on. The rings of the
    /// threads stay as they are.
    ///
    /// # Errors
    /// [`XiveError::Hardware`].
    pub fn reset(&mut self, bus: &mut dyn Bus) -> Result<(), XiveError> {
        self.chips.iter_mut().try_for_each(|chip| chip.reset(bus))
    }
}
