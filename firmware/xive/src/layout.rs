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

/// A layout: what both have, by the names that it has in each, and the rest.
macro_rules! layout {
    ($own:ident, $($rest:ident: $value:expr,)*) => {
        Layout {
            controller: $own::window::CONTROLLER,
            sources: $own::window::SOURCES,
            targets: $own::window::TARGETS,
            psi_scom: $own::psi::SCOM_BAR,
            psi_pages: $own::psi::PAGES,
            psi_page_shift: $own::psi::PAGE_SHIFT,
            synced: $own::register::QUEUES,
            synchronised: $own::SYNCHRONISED,
            queue_watch: [$own::register::QUEUE_WATCH, $own::register::QUEUE_DATA],
            target_watch: [$own::register::TARGET_WATCH, $own::register::TARGET_DATA],
            scrub: $own::register::ASSIGNMENT_SCRUB,
            threads_on: [$own::register::THREADS_ON_0, $own::register::THREADS_ON_1],
            describe: [
                [$own::register::SOURCES_TABLE_ADDRESS, $own::register::SOURCES_TABLE_DATA],
                [$own::register::TARGETS_TABLE_ADDRESS, $own::register::TARGETS_TABLE_DATA],
            ],
            overflow: $own::register::OVERFLOW,
            overflow_table: $own::Table::Overflow as u64,
            $($rest: $value,)*
        }
    };
}

static FIRST: Layout = layout! {
    first,
    queues: first::window::SOURCES + SETS_OF_SOURCES * SET_BYTES,
    psi_pages_are: 0,
    notify: window::PAGE + first::notify::TRIGGER,
    sync: window::PAGE + first::notify::SYNC,
    syncs: first::notify::SYNCS,
    scrubbed: first::register::ASSIGNMENT_SCRUB,
    overflows: 6,
    overflows_to: first::OVERFLOW_ONE_PAGE,
};

static SECOND: Layout = layout! {
    second,
    queues: second::window::QUEUES,
    psi_pages_are: second::psi::PAGES_64K,
    notify: second::register::NOTIFY,
    sync: second::register::SYNC,
    syncs: second::register::SYNCS,
    scrubbed: second::register::ASSIGNMENT_SCRUBBED,
    overflows: 7,
    overflows_to: second::OVERFLOW_64K,
};

/// The layout of a generation.
pub(crate) const fn of(generation: Generation) -> &'static Layout {
    match generation {
        Generation::First => &FIRST,
        Generation::Second => &SECOND,
    }
}
