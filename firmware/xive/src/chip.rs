//! One chip's controller: what of it is in use.

use crate::bits::Bits;
use crate::blocks::Blocks;
use crate::layout::{self, Layout};
use crate::numbers::{FIRST_PSI, FIRST_SOURCE, Interrupt, Target};
use crate::tables::{QUEUES, SOURCES, TARGETS, Tables};
use crate::{Bus, XiveError};
use power_registers::xive::{
    End, EventAssignment, Generation, NotificationTarget, page, physical_target, psi, window,
};

/// A source and a queue have two pages each.
pub(crate) const PAIR: u64 = 2 * window::PAGE;

/// One chip's controller.
#[derive(Debug)]
pub(crate) struct Chip<'m> {
    pub(crate) generation: Generation,
    /// The number of the chip, and of its block of everything.
    pub(crate) block: u32,
    pub(crate) tables: Tables<'m>,
    /// Threads of the chip, by the last bits of their PIR.
    pub(crate) threads: Bits<2>,
    pub(crate) sources: Bits<{ SOURCES as usize / 64 }>,
    pub(crate) queues_on: Bits<{ QUEUES as usize / 64 }>,
    pub(crate) targets_on: Bits<{ TARGETS as usize / 64 }>,
    pub(crate) blocks: Blocks,
}

impl<'m> Chip<'m> {
    pub(crate) const fn new(generation: Generation, block: u32, tables: Tables<'m>) -> Self {
        Self {
            generation,
            block,
            tables,
            threads: Bits::new(),
            sources: Bits::new(),
            queues_on: Bits::new(),
            targets_on: Bits::new(),
            blocks: Blocks::new(),
        }
    }

    pub(crate) const fn layout(&self) -> &'static Layout {
        layout::of(self.generation)
    }

    pub(crate) fn window(&self, of_chip_0: u64) -> u64 {
        of_chip_0 + self.generation.chip_stride() * u64::from(self.block)
    }

    /// The real address of a register, or of a port.
    pub(crate) fn register(&self, offset: u64) -> u64 {
        self.window(self.layout().controller) + offset
    }

    pub(crate) fn psi(&self, offset: u64) -> u64 {
        self.window(psi::WINDOW) + offset
    }

    /// The page that triggers a source of software; the next one ends it.
    pub(crate) fn trigger_page(&self, index: u32) -> u64 {
        self.window(self.layout().sources) + u64::from(index) * PAIR
    }

    pub(crate) fn psi_pages(&self) -> u64 {
        self.window(self.layout().psi_pages)
    }

    pub(crate) fn psi_page(&self, line: u32) -> u64 {
        self.psi_pages() + (u64::from(line) << self.layout().psi_page_shift)
    }

    /// The page that ends the notification of a queue; the next one ends its escalation.
    pub(crate) fn queue_page(&self, queue: u32) -> u64 {
        self.window(self.layout().queues) + u64::from(queue) * PAIR
    }

    /// The target exists: a thread of the machine, or a virtual processor that was allocated.
    #[inline(never)]
    pub(crate) fn has_target(&self, target: Target) -> bool {
        if target.is_virtual() {
            self.blocks.holds(target.index)
        } else {
            let thread = target.index & 0x7f;
            target.index == physical_target(thread) && self.threads.has(thread)
        }
    }

    /// Switches a source off where it is: nothing it signals gets further.
    #[inline(never)]
    fn silence(&self, bus: &mut dyn Bus, source: Interrupt) {
        let page = match source {
            Interrupt::Software { index, .. } => self.trigger_page(index) + window::PAGE,
            Interrupt::Psi { line, .. } => self.psi_page(line),
            Interrupt::Escalation { queue, .. } => self.queue_page(queue) + window::PAGE,
        };
        bus.load(page + page::SET_OFF);
    }

    /// Index of a source in the tables of states and assignments.
    pub(crate) const fn source_index(source: Interrupt) -> Option<u32> {
        match source {
            Interrupt::Software { index, .. } => Some(index),
            Interrupt::Psi { line, .. } => Some(FIRST_PSI + line),
            Interrupt::Escalation { .. } => None,
        }
    }

    /// Frees a source of software: off, and without a way.
    #[inline(never)]
    pub(crate) fn free_source(&mut self, bus: &mut dyn Bus, index: u32) -> Result<(), XiveError> {
        let block = self.block;
        let source = Interrupt::Software { block, index };
        self.silence(bus, source);
        self.assign(bus, index, EventAssignment::masked(source.number()))?;
        self.sources.set(index, false);
        Ok(())
    }

    pub(crate) fn silence_psi(&self, bus: &mut dyn Bus) {
        let block = self.block;
        for line in 0..psi::SOURCES {
            self.silence(bus, Interrupt::Psi { block, line });
        }
    }

    /// See [`crate::Controller::reset`].
    #[inline(never)]
    pub(crate) fn reset(&mut self, bus: &mut dyn Bus) -> Result<(), XiveError> {
        let block = self.block;
        for index in FIRST_SOURCE..FIRST_PSI {
            if self.sources.has(index) {
                self.free_source(bus, index)?;
            }
        }
        self.silence_psi(bus);
        for line in 0..psi::SOURCES {
            let source = Interrupt::Psi { block, line };
            let nowhere = EventAssignment::masked(source.number());
            self.assign(bus, FIRST_PSI + line, nowhere)?;
        }
        for queue in 0..QUEUES {
            if self.queues_on.has(queue) {
                self.set_queue(bus, queue, End::new(self.generation, [0; 4]).off())?;
            }
        }
        for index in 0..TARGETS {
            if self.targets_on.has(index) {
                self.set_target(bus, index, NotificationTarget::off(self.generation))?;
            }
        }
        self.blocks = Blocks::new();
        for thread in 0..128 {
            if self.threads.has(thread) {
                let index = physical_target(thread);
                self.set_target(bus, index, self.target_on(index))?;
            }
        }
        self.synchronise(bus)
    }

    /// The entry of a target that is on.
    pub(crate) fn target_on(&self, index: u32) -> NotificationTarget {
        let target = Target {
            block: self.block,
            index,
        };
        NotificationTarget::on(self.generation, self.block, target.queue(0))
    }
}
