//! XIVE's own: one page of registers for all three engines, and one window for sources and queues.

use super::watch;
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
    /// The presentation controller's: one page for each notification target.
    pub const TARGETS: u64 = 0x6_0180_0000_0000;
    /// Its bytes.
    pub const TARGETS_BYTES: u64 = 1 << 36;
    /// The virtualization controller's: two pages for each source and each queue.
    pub const SOURCES: u64 = 0x6_0100_0000_0000;
    /// Its bytes.
    pub const SOURCES_BYTES: u64 = 1 << 39;
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
    /// Waits for interrupts to arrive: those of software; 0x80 bytes on, those of hardware.
    pub const SYNC: u64 = 0xc00;
    /// How many such ports are used.
    pub const SYNCS: u64 = 2;
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

    /// Two cores are one of eight threads.
    pub const FUSED: u64 = ibm(4);

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
    /// Where each source goes: [`super::EventAssignment`].
    Assignments = 0,
    /// Two state bits of each source.
    States = 1,
    /// Queues: [`super::End`].
    Queues = 2,
    /// [`super::NotificationTarget`].
    Targets = 3,
    /// Where the six queues inside overflow to, one for each block number.
    Overflow = 4,
}

/// A queue inside may overflow into one page.
pub const OVERFLOW_ONE_PAGE: u64 = ibm(45) | 1 << 12;

/// Has the cache of assignments forget an entry; the bit 0 stays on until it has.
#[must_use]
pub const fn scrub(block: u32, index: u32) -> u64 {
    ibm(0) | watch(block, index)
}

/// The PSI bridge: where it is opened, and where its pages are.
pub mod psi {
    /// SCOM address of the register that opens the bridge's window.
    pub const SCOM_BAR: u32 = 0x501_290a;
    /// Where the pages of its sources are, of chip 0: one page of 4 KiB each.
    pub const PAGES: u64 = 0x6_0302_031c_0000;
    /// Log of their bytes.
    pub const PAGE_SHIFT: u32 = 12;
}
