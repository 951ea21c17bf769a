//! XIVE2's own: a page of registers for each engine, and a window each for sources, queues and targets.

use crate::{ibm, ibm_range};

/// SCOM address of the controller's first register.
pub const SCOM: u32 = 0x201_0800;

/// Registers of the common queue that open windows, as offsets from [`SCOM`].
pub mod scom {
    use super::ibm;

    /// Where the pages of registers are.
    pub const CONTROLLER_BAR: u32 = 0x08;
    /// Where the threads' pages are.
    pub const THREADS_BAR: u32 = 0x09;
    /// Where the pages of sources are.
    pub const SOURCES_BAR: u32 = 0x0a;
    /// Where the pages of queues are.
    pub const QUEUES_BAR: u32 = 0x0b;
    /// Where the pages of targets are.
    pub const TARGETS_BAR: u32 = 0x0c;

    /// A BAR is valid.
    pub const VALID: u64 = ibm(0);
    /// Its pages have 64 KiB.
    pub const PAGES_64K: u64 = ibm(1);

    /// How many bytes a window has, in the last three BARs: a power of 2 from 16 MiB on.
    #[must_use]
    pub const fn size(bytes: u64) -> u64 {
        (bytes.trailing_zeros() as u64).saturating_sub(24) & 0x1f
    }
}

/// Windows of chip 0 in memory; those of chip n are n times [`window::CHIP_STRIDE`] further up.
pub mod window {
    /// From one chip to the next.
    pub const CHIP_STRIDE: u64 = 1 << 44;
    /// Registers, notifications, synchronisation.
    pub const CONTROLLER: u64 = 0x6_0302_0000_0000;
    /// Its bytes.
    pub const CONTROLLER_BYTES: u64 = 1 << 25;
    /// Two pages for each target.
    pub const TARGETS: u64 = 0x6_0400_0000_0000;
    /// Two pages for each source.
    pub const SOURCES: u64 = 0x6_0500_0000_0000;
    /// Two pages for each queue.
    pub const QUEUES: u64 = 0x6_0600_0000_0000;
}

/// Registers in the window of the controller, as offsets: a page each for the common queue, the
/// virtualization controller, the presentation controller and the threads.
pub mod register {
    use super::super::window::PAGE;

    const VIRTUALIZATION: u64 = PAGE;
    const PRESENTATION: u64 = 2 * PAGE;
    const THREADS: u64 = 3 * PAGE;

    /// How the controller works: see [`super::configuration`].
    pub const CONFIGURATION: u64 = 0x018;
    /// Addresses one of the tables of sets, for [`SET_DATA`].
    pub const SET_ADDRESS: u64 = 0x070;
    /// What a set of a window holds.
    pub const SET_DATA: u64 = 0x078;
    /// Errors that are not told: bits are set here.
    pub const ERROR_MASK_SET: u64 = 0x1a8;
    /// Addresses a table descriptor of the virtualization controller.
    pub const SOURCES_TABLE_ADDRESS: u64 = VIRTUALIZATION;
    /// Its table descriptors.
    pub const SOURCES_TABLE_DATA: u64 = VIRTUALIZATION + 0x008;
    /// The first of seven: whether a queue inside may overflow into memory.
    pub const OVERFLOW: u64 = VIRTUALIZATION + 0x0b8;
    /// Whether a scrub of [`ASSIGNMENT_SCRUB`] is under way.
    pub const ASSIGNMENT_SCRUBBED: u64 = VIRTUALIZATION + 0x300;
    /// Has the cache of assignments forget entries.
    pub const ASSIGNMENT_SCRUB: u64 = VIRTUALIZATION + 0x308;
    /// Which synchronisations are over.
    pub const QUEUES: u64 = VIRTUALIZATION + 0x420;
    /// Names the entry of a queue that is looked at.
    pub const QUEUE_WATCH: u64 = VIRTUALIZATION + 0x500;
    /// The first of its four doublewords. Reading it fetches all, writing it stores all.
    pub const QUEUE_DATA: u64 = VIRTUALIZATION + 0x520;
    /// Addresses a table descriptor of the presentation controller.
    pub const TARGETS_TABLE_ADDRESS: u64 = PRESENTATION;
    /// Its table descriptors.
    pub const TARGETS_TABLE_DATA: u64 = PRESENTATION + 0x008;
    /// Names the entry of a notification target that is looked at.
    pub const TARGET_WATCH: u64 = PRESENTATION + 0x500;
    /// The first of its four doublewords, as [`QUEUE_DATA`].
    pub const TARGET_DATA: u64 = PRESENTATION + 0x520;
    /// Threads that take part: bits are set here, for the first 64.
    pub const THREADS_ON_0: u64 = THREADS + 0x010;
    /// The same for the next 64.
    pub const THREADS_ON_1: u64 = THREADS + 0x030;
    /// How threads are matched.
    pub const THREAD_CONTEXT: u64 = THREADS + 0x140;
    /// Here the bridge tells of an interrupt: in page 4, in the half that is for hardware.
    pub const NOTIFY: u64 = 4 * PAGE + 0x800;
    /// Waits for interrupts of software to arrive: in page 6, the first of seven ways, 0x80 bytes from
    /// each other.
    pub const SYNC: u64 = 6 * PAGE;
    /// How many ways there are.
    pub const SYNCS: u64 = 7;
}

/// Bits of [`register::CONFIGURATION`]. Entries and rings are those of the second generation then, what
/// is pending for a virtual processor is saved by software, and a thread has seven bits.
#[must_use]
pub const fn configuration(block: u32) -> u64 {
    /// All eight priorities.
    const PRIORITIES_8: u64 = 3 << (63 - 11);
    /// The block is not the chip's place in the machine, but said here.
    const BLOCK_IS_SAID: u64 = ibm(16);
    PRIORITIES_8 | BLOCK_IS_SAID | (block as u64 & 0x7f) << (63 - 23)
}

/// Errors that are none: loads from a page that only triggers, which programs may have, and notes of the
/// virtualization controller.
pub const HARMLESS: u64 = ibm(19) | ibm_range(61, 63);

/// All synchronisations that [`register::QUEUES`] tells of.
pub const SYNCHRONISED: u64 = ibm_range(0, 6);

/// Bits of [`register::THREAD_CONTEXT`].
pub mod thread_context {
    use super::ibm;

    /// Two cores are one of eight threads.
    pub const FUSED: u64 = ibm(0);
}

/// Sets of each window.
pub const SETS: u32 = 16;

/// The tables of sets, as [`first_set`] numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum SetOf {
    /// Of the window of sources.
    Sources = 0,
    /// Of that of queues.
    Queues = 2,
    /// Of that of targets.
    Targets = 3,
}

/// Addresses the sets of a window, from the first one on.
#[must_use]
pub const fn first_set(of: SetOf) -> u64 {
    ibm(0) | (of as u64) << 48
}

/// A set: all of them are this chip's block.
#[must_use]
pub const fn set(block: u32) -> u64 {
    ibm(0) | block as u64 & 0xf
}

/// The tables in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Table {
    /// Two state bits of each source.
    States = 0,
    /// Where each source goes: [`super::EventAssignment`]. Not for the presentation controller.
    Assignments = 1,
    /// Queues: [`super::End`].
    Queues = 2,
    /// [`super::NotificationTarget`].
    Targets = 3,
    /// The controllers' windows, by chip. Not for the presentation controller.
    Controllers = 6,
    /// Where a controller says that a synchronisation is over, by chip.
    Synchronisation = 7,
    /// Where the seven queues inside overflow to. Not for the presentation controller.
    Overflow = 8,
}

/// A queue inside may overflow into 64 KiB: 2 to the power of (12 + 4) bytes.
pub const OVERFLOW_64K: u64 = ibm(38) | 4 << (63 - 47);

/// Has the cache of assignments forget one entry.
#[must_use]
pub const fn scrub(block: u32, index: u32) -> u64 {
    (block as u64 & 0xf) << 60 | (index as u64 & 0x0fff_ffff) << 32 | 0xffff_ffff
}

/// The PSI bridge: where it is opened, and where its pages are.
pub mod psi {
    use super::ibm;

    /// SCOM address of the register that opens the bridge's window.
    pub const SCOM_BAR: u32 = 0x301_1d0a;
    /// Where the pages of its sources are, of chip 0: one page of 64 KiB each.
    pub const PAGES: u64 = 0x6_0302_0200_0000;
    /// Log of their bytes.
    pub const PAGE_SHIFT: u32 = 16;
    /// They have as many.
    pub const PAGES_64K: u64 = ibm(1);
}
