//! The second generation: a window each for sources, queues and targets.

use super::BringUpError;
use crate::Bus;
use crate::chip::{Chip, PAIR};
use crate::tables::{
    ASSIGNMENT_TABLE, Place, QUEUE_TABLE, QUEUES, SOURCES, STATE_TABLE, SYNCHRONISATION,
    TARGET_TABLE, TARGETS,
};
use power_registers::xive::second::{
    HARMLESS, SCOM, SETS, SetOf, Table, configuration, first_set, register, scom, set,
    thread_context, window,
};
use power_registers::xive::{table_elsewhere, table_here, window as common};

/// Bytes of the windows of sources, queues and targets: two pages for each of what there can be.
const SOURCES_BYTES: u64 = PAIR * SOURCES as u64;
const QUEUES_BYTES: u64 = PAIR * QUEUES as u64;
const TARGETS_BYTES: u64 = PAIR * TARGETS as u64;
/// Bytes of a target's entry.
const TARGET_BYTES: u64 = 32;

/// Engines that have a table: the virtualization controller has them all.
const ONE: usize = 1;
const BOTH: usize = 2;

impl Chip<'_> {
    #[inline(never)]
    pub(super) fn open_windows_2(&self, bus: &mut dyn Bus) -> Result<(), BringUpError> {
        let open = scom::VALID | scom::PAGES_64K;
        let layout = self.layout();
        let wide = |of_chip_0: u64, bytes| self.window(of_chip_0) | open | scom::size(bytes);
        // Closed first, as those of the first generation.
        let steps = [
            (scom::CONTROLLER_BAR, 0),
            (scom::CONTROLLER_BAR, self.register(0) | open),
            (scom::THREADS_BAR, 0),
            (scom::THREADS_BAR, common::THREADS | open),
            (scom::TARGETS_BAR, 0),
            (scom::TARGETS_BAR, wide(layout.targets, TARGETS_BYTES)),
            (scom::SOURCES_BAR, 0),
            (scom::SOURCES_BAR, wide(layout.sources, SOURCES_BYTES)),
            (scom::QUEUES_BAR, 0),
            (scom::QUEUES_BAR, wide(layout.queues, QUEUES_BYTES)),
        ];
        self.scoms(bus, SCOM, &steps)
    }

    #[inline(never)]
    pub(super) fn set_up_2(&self, bus: &mut dyn Bus, fused: bool) {
        let block = self.block;
        let fused = if fused { thread_context::FUSED } else { 0 };
        self.set(bus, register::CONFIGURATION, configuration(block));
        self.set(bus, register::ERROR_MASK_SET, HARMLESS);
        self.set(bus, register::THREAD_CONTEXT, fused);
        for of in [SetOf::Sources, SetOf::Queues, SetOf::Targets] {
            self.set(bus, register::SET_ADDRESS, first_set(of));
            for _ in 0..SETS {
                self.set(bus, register::SET_DATA, set(block));
            }
        }
        let targets = Place {
            bytes: TARGET_BYTES * u64::from(TARGETS),
            ..TARGET_TABLE
        };
        let controller = table_here(self.register(0), window::CONTROLLER_BYTES);
        for (table, descriptor, engines) in [
            (Table::States, self.here(STATE_TABLE), BOTH),
            (Table::Assignments, self.here(ASSIGNMENT_TABLE), ONE),
            (Table::Queues, self.here(QUEUE_TABLE), BOTH),
            (Table::Targets, self.here(targets), BOTH),
            (Table::Controllers, controller, ONE),
            (Table::Synchronisation, self.here(SYNCHRONISATION), BOTH),
        ] {
            self.describe(bus, table as u64, block, descriptor, engines);
        }
    }

    /// The tables of another chip are in its windows.
    #[inline(never)]
    pub(super) fn know_2(&self, bus: &mut dyn Bus, other: u32) {
        let layout = self.layout();
        let away = window::CHIP_STRIDE * u64::from(other);
        for (table, window, bytes, engines) in [
            (Table::States, layout.sources, SOURCES_BYTES, BOTH),
            (Table::Queues, layout.queues, QUEUES_BYTES, BOTH),
            (Table::Targets, layout.targets, TARGETS_BYTES, BOTH),
            (
                Table::Controllers,
                layout.controller,
                window::CONTROLLER_BYTES,
                ONE,
            ),
        ] {
            let there = table_elsewhere(window + away, bytes);
            self.describe(bus, table as u64, other, there, engines);
        }
    }
}
