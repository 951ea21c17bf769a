//! XIVE, the interrupt controller of POWER9: registers, the entries of its tables, and the pages
//! through which sources and threads are steered.
//!
//! Three engines share one page of registers: the common queue (CQ, the bridge to the bus), the
//! presentation controller (PC, the threads) and the virtualization controller (VC, sources and
//! queues). The addresses of windows and BARs are those that QEMU and hostboot give them.

mod entries;

pub use entries::{End, EventAssignment, NotificationTarget};

use crate::{ibm, ibm_range};

/// SCOM address of the controller's first register. QEMU answers for those of the common queue as the
/// manuals have them; the others are reached through [`window::CONTROLLER`].
pub const SCOM: u32 = 0x501_3000;

/// Registers of the common queue, as offsets from [`SCOM`]; they come first, since they open the
/// windows.
pub mod scom {
    use super::ibm;

    /// Where the page of registers is.
    pub const CONTROLLER_BAR: u32 = 0x10;
    /// Where the threads' pages are.
    pub const THREADS_BAR: u32 = 0x12;
    /// The same for threads that come later.
    pub const THREADS_BAR_2: u32 = 0x14;
    /// Where the window of the presentation controller is.
    pub const TARGETS_BAR: u32 = 0x16;
    /// How large it is.
    pub const TARGETS_MASK: u32 = 0x17;
    /// Where the window of the virtualization controller is.
    pub const SOURCES_BAR: u32 = 0x18;
    /// How large it is.
    pub const SOURCES_MASK: u32 = 0x19;

    /// A BAR is valid.
    pub const VALID: u64 = ibm(0);
    /// Its pages have 64 KiB.
    pub const PAGES_64K: u64 = ibm(1);
    /// Bits of [`TARGETS_MASK`].
    pub const TARGETS_MASK_BITS: u64 = super::ibm_range(26, 38);
    /// Bits of [`SOURCES_MASK`].
    pub const SOURCES_MASK_BITS: u64 = super::ibm_range(21, 37);
}

/// Windows of chip 0 in memory; those of chip n are n times [`window::CHIP_STRIDE`] further up.
pub mod window {
    /// From one chip to the next.
    pub const CHIP_STRIDE: u64 = 1 << 42;
    /// Registers (page 0) and notifications (page 1).
    pub const CONTROLLER: u64 = 0x6_0302_0310_0000;
    /// The threads' pages: the same for all chips, each thread sees its own.
    pub const THREADS: u64 = 0x6_0302_0318_0000;
    /// The presentation controller's: one page for each notification target.
    pub const TARGETS: u64 = 0x6_0180_0000_0000;
    /// Its bytes.
    pub const TARGETS_BYTES: u64 = 1 << 36;
    /// The virtualization controller's: two pages for each source and each queue.
    pub const SOURCES: u64 = 0x6_0100_0000_0000;
    /// Its bytes.
    pub const SOURCES_BYTES: u64 = 1 << 39;
    /// Bytes of a page everywhere.
    pub const PAGE: u64 = 1 << 16;
}

/// Registers in the page of the controller, as offsets.
pub mod register {
    /// Addresses one of the tables of sets, for [`SET_DATA`].
    pub const SET_ADDRESS: u64 = 0x0f0;
    /// What a set of a window holds.
    pub const SET_DATA: u64 = 0x0f8;
    /// Page sizes of the windows.
    pub const WINDOWS: u64 = 0x100;
    /// How threads are matched.
    pub const THREAD_CONTEXT: u64 = 0x400;
    /// Threads that take part: bits are set here, for cores 0 to 15.
    pub const THREADS_ON_0: u64 = 0x448;
    /// The same for cores 16 to 23.
    pub const THREADS_ON_1: u64 = 0x468;
    /// General settings of the presentation controller.
    pub const TARGETS_GLOBAL: u64 = 0x480;
    /// Addresses a table descriptor of the presentation controller.
    pub const TARGETS_TABLE_ADDRESS: u64 = 0x488;
    /// Its table descriptors.
    pub const TARGETS_TABLE_DATA: u64 = 0x490;
    /// Names the entry of a notification target that is looked at.
    pub const TARGET_WATCH: u64 = 0x738;
    /// The first of the entry's eight doublewords. Reading it fetches all, writing it stores all.
    pub const TARGET_DATA: u64 = 0x740;
    /// General settings of the virtualization controller.
    pub const SOURCES_GLOBAL: u64 = 0x800;
    /// Addresses a table descriptor of the virtualization controller.
    pub const SOURCES_TABLE_ADDRESS: u64 = 0x808;
    /// Its table descriptors.
    pub const SOURCES_TABLE_DATA: u64 = 0x810;
    /// The first of six: whether a queue inside may overflow into memory.
    pub const OVERFLOW: u64 = 0x840;
    /// Settings of the cache of queues, and whether a synchronisation is over.
    pub const QUEUES: u64 = 0x920;
    /// Names the entry of a queue that is looked at.
    pub const QUEUE_WATCH: u64 = 0x928;
    /// The first of its four doublewords, as [`TARGET_DATA`].
    pub const QUEUE_DATA: u64 = 0x930;
    /// Has the cache of assignments forget an entry.
    pub const ASSIGNMENT_SCRUB: u64 = 0x990;
}

/// Notifications and synchronisation: stores into page 1 of the controller, as offsets.
pub mod notify {
    /// Here the bridge of other units, and other chips, tell of an interrupt.
    pub const TRIGGER: u64 = 0;
    /// Waits for interrupts of software to arrive.
    pub const SYNC_SOFTWARE: u64 = 0xc00;
    /// Waits for those of hardware.
    pub const SYNC_HARDWARE: u64 = 0xc80;
}

/// Page sizes and locality, in [`register::WINDOWS`].
pub mod windows {
    use super::ibm;

    /// Pages of notification targets have 64 KiB.
    pub const TARGETS_64K: u64 = ibm(5);
    /// Pages of sources have 64 KiB.
    pub const SOURCES_64K: u64 = ibm(6);
    /// Accesses of threads stay on their chip.
    pub const THREADS_LOCAL: u64 = ibm(22);
}

/// Bits of [`register::THREAD_CONTEXT`].
pub mod thread_context {
    use super::ibm;

    /// This chip's threads are targets.
    pub const TARGET: u64 = ibm(1);
    /// The number of the chip is the block of its threads.
    pub const CHIP_IS_BLOCK: u64 = ibm(8);
}

/// All synchronisations that [`register::QUEUES`] tells of.
pub const SYNCHRONISED: u64 = ibm_range(32, 36);

/// Entries of a table of sets.
pub const SOURCE_SETS: u32 = 64;
/// The same of the presentation controller.
pub const TARGET_SETS: u32 = 16;

/// What a set of the window of sources holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOf {
    /// Pages of sources.
    Sources,
    /// Pages of queues.
    Queues,
}

/// Addresses the sets of the window of sources, from the first one on.
pub const FIRST_SOURCE_SET: u64 = ibm(0) | ibm(15);
/// Addresses the sets of the window of targets, from the first one on.
pub const FIRST_TARGET_SET: u64 = ibm(0) | ibm(14);

/// A set of the window of sources.
#[must_use]
pub const fn source_set(of: SetOf, block: u32, index: u32) -> u64 {
    let kind = match of {
        SetOf::Sources => 1,
        SetOf::Queues => 2,
    };
    kind << 62 | (block as u64 & 0xf) << 48 | (index as u64 & 0x3f) << 32
}

/// A set of the window of targets.
#[must_use]
pub const fn target_set(block: u32, index: u32) -> u64 {
    ibm(0) | (block as u64 & 0x1f) << 48 | (index as u64 & 0xf) << 32
}

/// The tables in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Table {
    /// Where each source goes: [`EventAssignment`].
    Assignments = 0,
    /// Two state bits of each source.
    States = 1,
    /// Queues: [`End`].
    Queues = 2,
    /// [`NotificationTarget`].
    Targets = 3,
    /// Where the six queues inside overflow to, one for each block number.
    Overflow = 4,
}

/// Addresses the descriptor of a table of a block.
#[must_use]
pub const fn table_address(table: Table, block: u32) -> u64 {
    (table as u64) << 48 | (block as u64 & 0x1f) << 32
}

const ADDRESS_BITS: u64 = 0x0fff_ffff_ffff_f000;

/// The descriptor of a table of this chip: `bytes` is a power of 2 from 4 KiB on, and the table is
/// aligned to it.
#[must_use]
pub const fn table_here(address: u64, bytes: u64) -> u64 {
    let size = bytes.trailing_zeros() as u64;
    2 << 62 | address & ADDRESS_BITS | size.saturating_sub(12) & 0x1f
}

/// The descriptor of a table of another chip, with the window to which accesses go.
#[must_use]
pub const fn table_elsewhere(window: u64) -> u64 {
    3 << 62 | window & ADDRESS_BITS
}

/// A queue inside may overflow into one page.
pub const OVERFLOW_ONE_PAGE: u64 = ibm(45) | 1 << 12;

/// Names an entry of a queue or target of a block to be looked at.
#[must_use]
pub const fn watch(block: u32, index: u32) -> u64 {
    (block as u64 & 0xf) << 32 | index as u64
}

/// Another access got in between: the entry was not stored.
pub const WATCH_CONFLICT: u64 = ibm(0);

/// Has a cache forget an entry; the bit 0 stays on until it has.
#[must_use]
pub const fn scrub(block: u32, index: u32) -> u64 {
    ibm(0) | watch(block, index)
}

/// A scrub is under way.
pub const SCRUBBING: u64 = ibm(0);

/// The bit of a thread in [`register::THREADS_ON_0`] or the next one, and which of both.
#[must_use]
pub const fn thread_on(thread: u32) -> (u64, u64) {
    let place = if thread & 0x7f < 64 {
        register::THREADS_ON_0
    } else {
        register::THREADS_ON_1
    };
    (place, ibm(thread & 0x3f))
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
    /// SCOM address of the register that opens the bridge's window.
    pub const SCOM_BAR: u32 = 0x501_290a;
    /// The window of chip 0.
    pub const WINDOW: u64 = 0x6_0302_0300_0000;
    /// Its bit that opens it.
    pub const OPEN: u64 = 1;
    /// Where the pages of its sources are, of chip 0: one page of 4 KiB each.
    pub const PAGES: u64 = 0x6_0302_031c_0000;
    /// Log of their bytes.
    pub const PAGE_SHIFT: u32 = 12;
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
pub const fn ring_word(block: u32, index: u32) -> u32 {
    (block & 0x1f) << 19 | index & 0x7_ffff
}

/// The index of a physical thread's target within its chip's block.
#[must_use]
pub const fn physical_target(pir: u32) -> u32 {
    1 << 7 | pir & 0x7f
}

#[cfg(test)]
mod tests;
