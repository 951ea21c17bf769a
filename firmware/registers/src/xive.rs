//! XIVE, the interrupt controller of POWER9, and XIVE2, that of POWER10: registers, the entries of their
//! tables, and the pages through which sources and threads are steered.
//!
//! Three engines: the common queue (CQ, the bridge to the bus), the presentation controller (PC, the
//! threads) and the virtualization controller (VC, sources and queues). Here is what both generations
//! have; [`first`] and [`second`] have what is their own. The addresses of windows and BARs are those
//! that QEMU and hostboot give them.

mod end;
mod entries;
pub mod first;
pub mod second;

pub use end::End;
pub use entries::{EventAssignment, NotificationTarget};

use crate::ibm;

/// Which controller it is: entries and registers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// XIVE, of POWER9.
    First,
    /// XIVE2, of POWER10.
    Second,
}

/// Windows in memory that both have.
pub mod window {
    /// The threads' pages: the same for all chips, each thread sees its own.
    pub const THREADS: u64 = 0x6_0302_0318_0000;
    /// Bytes of a page everywhere.
    pub const PAGE: u64 = 1 << 16;
}

/// Names an entry of a queue or target of a block to be looked at.
#[must_use]
pub const fn watch(block: u32, index: u32) -> u64 {
    (block as u64 & 0xf) << 32 | index as u64
}

/// Another access got in between: the entry was not stored.
pub const WATCH_CONFLICT: u64 = ibm(0);

/// A scrub of a cache is under way.
pub const SCRUBBING: u64 = ibm(0);

/// Addresses the descriptor of a table (by its number) of a block.
#[must_use]
pub const fn table_address(table: u64, block: u32) -> u64 {
    table << 48 | (block as u64 & 0xf) << 32
}

const ADDRESS_BITS: u64 = 0x00ff_ffff_ffff_f000;

/// The descriptor of a table of this chip: `bytes` is a power of 2 from 4 KiB on, and the table is
/// aligned to it.
#[must_use]
pub const fn table_here(address: u64, bytes: u64) -> u64 {
    let size = bytes.trailing_zeros() as u64;
    2 << 62 | address & ADDRESS_BITS | size.saturating_sub(12) & 0x1f
}

/// The descriptor of a table of another chip: the window to which accesses go, and its bytes (4 KiB where
/// that is not asked).
#[must_use]
pub const fn table_elsewhere(window: u64, bytes: u64) -> u64 {
    1 << 62 | table_here(window, bytes)
}

/// What a load from the second page of a source or queue does, as offsets.
pub mod page {
    /// Ends the interrupt.
    pub const END: u64 = 0;
    /// Tells the state.
    pub const GET: u64 = 0x800;
    /// Tells it and makes it 00: ready.
    pub const SET_READY: u64 = 0xc00;
    /// Tells it and makes it 01: off.
    pub const SET_OFF: u64 = 0xd00;
}

/// The pages of a thread, each a view of the same registers: the hypervisor's is the second.
pub mod thread {
    use super::window;

    /// Views: firmware, hypervisor, OS, user.
    pub const VIEWS: u64 = 4;
    /// The hypervisor's.
    pub const HYPERVISOR: u64 = window::THREADS + window::PAGE;
    /// The ring of the physical thread: its first word holds what is pending.
    pub const PHYSICAL: u64 = HYPERVISOR + 0x30;
    /// A byte: interrupts of this priority and less favoured ones wait.
    pub const PHYSICAL_PRIORITY: u64 = HYPERVISOR + 0x31;
    /// A byte: the ring takes part.
    pub const PHYSICAL_VALID: u64 = HYPERVISOR + 0x38;
    /// A load of two bytes takes what is pending.
    pub const PHYSICAL_TAKE: u64 = HYPERVISOR + 0x830;
    /// A load of eight bytes takes the ring of the pool out.
    pub const POOL_OUT: u64 = HYPERVISOR + 0x828;
    /// The value of [`PHYSICAL_VALID`].
    pub const VALID: u8 = 0x80;
}

/// The bridge of the service processor's interface (PSI): 14 level interrupts of the chip itself.
pub mod psi {
    use super::ibm;

    /// Interrupts of a bridge.
    pub const SOURCES: u32 = 14;
    /// Of serial interrupts of the LPC bus: the first of four lines.
    pub const SERIAL_LINE_0: u32 = 7;
    /// The one to which the console's UART is routed.
    pub const UART: u32 = 8;
    /// The window of chip 0.
    pub const WINDOW: u64 = 0x6_0302_0300_0000;
    /// Its bit that opens it.
    pub const OPEN: u64 = 1;
    /// Resets the state of all sources.
    pub const CONTROL: u64 = 0x58;
    /// Value of it.
    pub const RESET: u64 = ibm(1);
    /// Where the pages of its sources are to be.
    pub const PAGES_AT: u64 = 0x60;
    /// Where it tells of interrupts.
    pub const NOTIFY_AT: u64 = 0x68;
    /// What is told for its first source, in the upper half.
    pub const FIRST_NUMBER: u64 = 0x70;
    /// An address is valid.
    pub const VALID: u64 = 1;
}

/// The number of a source on the bus: block and index.
#[must_use]
pub const fn on_the_bus(block: u32, index: u32) -> u32 {
    block << 28 | index & 0x0fff_ffff
}

/// The word that puts a target into a thread's ring: block and index.
#[must_use]
pub const fn ring_word(generation: Generation, block: u32, index: u32) -> u32 {
    match generation {
        Generation::First => (block & 0x1f) << 19 | index & 0x7_ffff,
        Generation::Second => (block & 0xf) << 24 | index & 0xff_ffff,
    }
}

/// The bit of a thread in the registers of those that take part, and in which of the two.
#[must_use]
pub const fn thread_on(thread: u32) -> (usize, u64) {
    let place = (thread & 0x7f) / 64;
    (place as usize, ibm(thread & 0x3f))
}

impl Generation {
    /// From the windows of one chip to those of the next.
    #[must_use]
    pub const fn chip_stride(self) -> u64 {
        match self {
            Self::First => first::window::CHIP_STRIDE,
            Self::Second => second::window::CHIP_STRIDE,
        }
    }
}

/// The index of a physical thread's target within its chip's block.
#[must_use]
pub const fn physical_target(pir: u32) -> u32 {
    1 << 7 | pir & 0x7f
}

#[cfg(test)]
mod tests;
