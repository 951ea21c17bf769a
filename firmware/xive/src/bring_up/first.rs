//! The first generation: windows are opened, their sets shared out, the tables described.

use super::BringUpError;
use crate::Bus;
use crate::chip::Chip;
use crate::layout::SETS_OF_SOURCES;
use crate::tables::{ASSIGNMENT_TABLE, QUEUE_TABLE, STATE_TABLE, TARGET_TABLE};
use power_registers::xive::first::{
    FIRST_SOURCE_SET, FIRST_TARGET_SET, SCOM, SOURCE_SETS, SetOf, TARGET_SETS, Table, register,
    scom, source_set, target_set, thread_context, window, windows,
};
use power_registers::xive::{table_elsewhere, window as common};

/// What set `index` of the window of sources holds.
const fn set_of(index: u32) -> (SetOf, u32) {
    let sources = SETS_OF_SOURCES as u32;
    if index < sources {
        (SetOf::Sources, index)
    } else {
        (SetOf::Queues, index - sources)
    }
}

impl Chip<'_> {
    #[inline(never)]
    pub(super) fn open_windows(&self, bus: &mut dyn Bus) -> Result<(), BringUpError> {
        let mask = |bytes: u64, bits: u64| !(bytes - 1) & bits;
        let open = scom::VALID | scom::PAGES_64K;
        // Closed first: after a reset of the machine that this unit did not take part in, they may be
        // open, and must not move then.
        let steps = [
            (scom::CONTROLLER_BAR, 0),
            (scom::CONTROLLER_BAR, self.register(0) | open),
            (scom::THREADS_BAR_2, 0),
            (scom::THREADS_BAR, 0),
            (scom::THREADS_BAR, common::THREADS | open),
            (scom::TARGETS_BAR, 0),
            (
                scom::TARGETS_MASK,
                mask(window::TARGETS_BYTES, scom::TARGETS_MASK_BITS),
            ),
            (
                scom::TARGETS_BAR,
                self.window(window::TARGETS) | scom::VALID,
            ),
            (scom::SOURCES_BAR, 0),
            (
                scom::SOURCES_MASK,
                mask(window::SOURCES_BYTES, scom::SOURCES_MASK_BITS),
            ),
            (
                scom::SOURCES_BAR,
                self.window(window::SOURCES) | scom::VALID,
            ),
        ];
        self.scoms(bus, SCOM, &steps)
    }

    #[inline(never)]
    pub(super) fn set_up(&self, bus: &mut dyn Bus, fused: bool) {
        let block = self.block;
        let threads = thread_context::TARGET | thread_context::CHIP_IS_BLOCK;
        let fused = if fused { thread_context::FUSED } else { 0 };
        self.set(
            bus,
            register::WINDOWS,
            windows::TARGETS_64K | windows::SOURCES_64K | windows::THREADS_LOCAL,
        );
        // All tables are direct.
        self.set(bus, register::SOURCES_GLOBAL, 0);
        self.set(bus, register::TARGETS_GLOBAL, 0);
        self.set(bus, register::THREAD_CONTEXT, threads | fused);
        self.set(bus, register::SET_ADDRESS, FIRST_SOURCE_SET);
        for index in 0..SOURCE_SETS {
            let (of, index) = set_of(index);
            self.set(bus, register::SET_DATA, source_set(of, block, index));
        }
        self.set(bus, register::SET_ADDRESS, FIRST_TARGET_SET);
        for index in 0..TARGET_SETS {
            self.set(bus, register::SET_DATA, target_set(block, index));
        }
        for (table, place) in [
            (Table::Assignments, ASSIGNMENT_TABLE),
            (Table::States, STATE_TABLE),
            (Table::Queues, QUEUE_TABLE),
            (Table::Targets, TARGET_TABLE),
        ] {
            self.describe(bus, table as u64, block, self.here(place), 2);
        }
    }

    /// The tables of another chip are in its windows.
    #[inline(never)]
    pub(super) fn know(&self, bus: &mut dyn Bus, other: u32) {
        let away = window::CHIP_STRIDE * u64::from(other);
        let layout = self.layout();
        for (table, window) in [
            (Table::Assignments, layout.sources),
            (Table::States, layout.sources),
            (Table::Queues, layout.controller + layout.notify),
            (Table::Targets, layout.targets),
        ] {
            let there = table_elsewhere(window + away, 4096);
            self.describe(bus, table as u64, other, there, 2);
        }
    }
}
