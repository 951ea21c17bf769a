//! Where things are, on either generation.

use power_registers::xive::{Generation, first, second, window};

/// How the first generation's window of sources is shared out: so many sets are sources, the rest queues.
pub(crate) const SETS_OF_SOURCES: u64 = 48;
/// Bytes of a set of it.
const SET_BYTES: u64 = first::window::SOURCES_BYTES / first::SOURCE_SETS as u64;

/// Windows are those of chip 0; registers and ports are offsets from [`Self::controller`].
pub(crate) struct Layout {
    pub(crate) controller: u64,
    pub(crate) sources: u64,
    /// Pages of queues.
    pub(crate) queues: u64,
    pub(crate) targets: u64,
    pub(crate) psi_scom: u32,
    pub(crate) psi_pages: u64,
    pub(crate) psi_page_shift: u32,
    /// What the address of these pages has with it.
    pub(crate) psi_pages_are: u64,
    /// Here the bridge, and other chips, tell of an interrupt.
    pub(crate) notify: u64,
    /// The first port for synchronisations, how many there are, 0x80 bytes from each other, the register
    /// that tells when they are over, and its value then.
    pub(crate) sync: u64,
    pub(crate) syncs: u64,
    pub(crate) synced: u64,
    pub(crate) synchronised: u64,
    /// Where the entry that is looked at is named, and where it is.
    pub(crate) queue_watch: [u64; 2],
    pub(crate) target_watch: [u64; 2],
    /// Where an assignment is scrubbed, and where it is told that this is done.
    pub(crate) scrub: u64,
    pub(crate) scrubbed: u64,
    pub(crate) threads_on: [u64; 2],
    /// Where tables are described: address and data, to the virtualization controller and to the
    /// presentation controller.
    pub(crate) describe: [[u64; 2]; 2],
    /// The first of the registers of what overflows, how many there are, and their value.
    pub(crate) overflow: u64,
    pub(crate) overflows: u32,
    pub(crate) overflows_to: u64,
    pub(crate) overflow_table: u64,
}

static FIRST: Layout = {
    use first::register;
    Layout {
        controller: first::window::CONTROLLER,
        sources: first::window::SOURCES,
        queues: first::window::SOURCES + SETS_OF_SOURCES * SET_BYTES,
        targets: first::window::TARGETS,
        psi_scom: first::psi::SCOM_BAR,
        psi_pages: first::psi::PAGES,
        psi_page_shift: first::psi::PAGE_SHIFT,
        psi_pages_are: 0,
        notify: window::PAGE + first::notify::TRIGGER,
        sync: window::PAGE + first::notify::SYNC,
        syncs: first::notify::SYNCS,
        synced: register::QUEUES,
        synchronised: first::SYNCHRONISED,
        queue_watch: [register::QUEUE_WATCH, register::QUEUE_DATA],
        target_watch: [register::TARGET_WATCH, register::TARGET_DATA],
        scrub: register::ASSIGNMENT_SCRUB,
        scrubbed: register::ASSIGNMENT_SCRUB,
        threads_on: [register::THREADS_ON_0, register::THREADS_ON_1],
        describe: [
            [
                register::SOURCES_TABLE_ADDRESS,
                register::SOURCES_TABLE_DATA,
            ],
            [
                register::TARGETS_TABLE_ADDRESS,
                register::TARGETS_TABLE_DATA,
            ],
        ],
        overflow: register::OVERFLOW,
        overflows: 6,
        overflows_to: first::OVERFLOW_ONE_PAGE,
        overflow_table: first::Table::Overflow as u64,
    }
};

static SECOND: Layout = {
    use second::register;
    Layout {
        controller: second::window::CONTROLLER,
        sources: second::window::SOURCES,
        queues: second::window::QUEUES,
        targets: second::window::TARGETS,
        psi_scom: second::psi::SCOM_BAR,
        psi_pages: second::psi::PAGES,
        psi_page_shift: second::psi::PAGE_SHIFT,
        psi_pages_are: second::psi::PAGES_64K,
        notify: register::NOTIFY,
        sync: register::SYNC,
        syncs: register::SYNCS,
        synced: register::QUEUES,
        synchronised: second::SYNCHRONISED,
        queue_watch: [register::QUEUE_WATCH, register::QUEUE_DATA],
        target_watch: [register::TARGET_WATCH, register::TARGET_DATA],
        scrub: register::ASSIGNMENT_SCRUB,
        scrubbed: register::ASSIGNMENT_SCRUBBED,
        threads_on: [register::THREADS_ON_0, register::THREADS_ON_1],
        describe: [
            [
                register::SOURCES_TABLE_ADDRESS,
                register::SOURCES_TABLE_DATA,
            ],
            [
                register::TARGETS_TABLE_ADDRESS,
                register::TARGETS_TABLE_DATA,
            ],
        ],
        overflow: register::OVERFLOW,
        overflows: 7,
        overflows_to: second::OVERFLOW_64K,
        overflow_table: second::Table::Overflow as u64,
    }
};

/// The layout of a generation.
pub(crate) const fn of(generation: Generation) -> &'static Layout {
    match generation {
        Generation::First => &FIRST,
        Generation::Second => &SECOND,
    }
}
