//! Interrupts: what an OS is told of them, and where they go.

use crate::chip::Chip;
use crate::numbers::{FIRST_PSI, FIRST_SOURCE, Interrupt, Target};
use crate::{Bus, Controller, OFF, PRIORITIES, XiveError};
use power_registers::xive::{EventAssignment, window};

/// Log of bytes of a page.
const PAGE_SHIFT: u32 = window::PAGE.trailing_zeros();

/// How an OS handles an interrupt by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// Level, not edge.
    pub is_level: bool,
    /// The page that ends it, and that shows and sets its state.
    pub end_page: u64,
    /// The page that triggers it, if software can.
    pub trigger_page: Option<u64>,
    /// Log of bytes of both.
    pub page_shift: u32,
    /// The chip that it comes from.
    pub chip: u32,
}

/// Where an interrupt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceConfiguration {
    /// The target; `None` if it never had one.
    pub target: Option<Target>,
    /// The priority there, or [`OFF`].
    pub priority: u8,
    /// The number that appears in the queue.
    pub number: u32,
}

/// What is to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synchronise {
    /// Changes of a source have come into effect.
    pub source: bool,
    /// What the source signalled is in its queue.
    pub queue: bool,
}

impl<'m> Controller<'m> {
    /// The interrupt of a number, if there is one, and its chip.
    #[inline(never)]
    fn source(&self, number: u64) -> Result<(&Chip<'m>, Interrupt), XiveError> {
        let source = Interrupt::from_number(number).ok_or(XiveError::Parameter)?;
        let chip = self.chip(source.block())?;
        let exists = match source {
            Interrupt::Software { index, .. } => chip.sources.has(index),
            Interrupt::Psi { .. } => true,
            Interrupt::Escalation { block, queue } => {
                chip.has_target(Target::of_queue(block, queue).0)
            }
        };
        exists.then_some((chip, source)).ok_or(XiveError::Parameter)
    }

    /// How an OS handles the interrupt.
    ///
    /// # Errors
    /// [`XiveError::Parameter`].
    pub fn source_info(&self, number: u64) -> Result<SourceInfo, XiveError> {
        let (chip, source) = self.source(number)?;
        let (is_level, end_page, trigger_page, page_shift) = match source {
            Interrupt::Software { index, .. } => {
                let trigger = chip.trigger_page(index);
                (false, trigger + window::PAGE, Some(trigger), PAGE_SHIFT)
            }
            Interrupt::Psi { line, .. } => (
                true,
                chip.psi_page(line),
                None,
                chip.layout().psi_page_shift,
            ),
            Interrupt::Escalation { queue, .. } => {
                let page = chip.queue_page(queue) + window::PAGE;
                (false, page, None, PAGE_SHIFT)
            }
        };
        Ok(SourceInfo {
            is_level,
            end_page,
            trigger_page,
            page_shift,
            chip: chip.block,
        })
    }

    #[inline(never)]
    fn assignment(
        &self,
        bus: &mut dyn Bus,
        number: u64,
    ) -> Result<(Interrupt, EventAssignment), XiveError> {
        let (chip, source) = self.source(number)?;
        let assignment = match (source, Chip::source_index(source)) {
            (Interrupt::Escalation { queue, .. }, _) => chip.queue(bus, queue).escalation(),
            (_, Some(index)) => chip.tables.assignment(index),
            (_, None) => return Err(XiveError::Parameter),
        };
        Ok((source, assignment))
    }

    /// Where an interrupt goes.
    ///
    /// # Errors
    /// [`XiveError::Parameter`].
    #[inline(never)]
    pub fn source_configuration(
        &self,
        bus: &mut dyn Bus,
        number: u64,
    ) -> Result<SourceConfiguration, XiveError> {
        let (_, assignment) = self.assignment(bus, number)?;
        let (block, queue) = assignment.queue();
        let (target, priority) = Target::of_queue(block, queue);
        let known = self.chip(block).is_ok_and(|chip| chip.has_target(target));
        Ok(SourceConfiguration {
            target: known.then_some(target),
            priority: if assignment.is_on() { priority } else { OFF },
            number: assignment.number(),
        })
    }

    /// Sends an interrupt to a queue that is on; with priority [`OFF`] nowhere, whatever the target.
    ///
    /// # Errors
    /// [`XiveError`].
    #[inline(never)]
    pub fn configure_source(
        &mut self,
        bus: &mut dyn Bus,
        number: u64,
        target: u64,
        priority: u8,
        appears_as: u32,
    ) -> Result<(), XiveError> {
        let (source, old) = self.assignment(bus, number)?;
        let new = if priority == OFF {
            old.off()
        } else {
            let (target, queue) = self.queue_of(target, priority)?;
            if !self.chip(target.block)?.queues_on.has(queue) {
                return Err(XiveError::Parameter);
            }
            old.to(target.block, queue)
        };
        let new = new.with_number(appears_as);
        let chip = self.chip_mut(source.block())?;
        match (source, Chip::source_index(source)) {
            (Interrupt::Escalation { queue, .. }, _) => {
                // As one entry: should the hardware move the queue's position meanwhile, the watch
                // sees it, and this is tried again.
                let end = chip.queue(bus, queue);
                chip.set_queue(bus, queue, end.escalating_to(new))?;
            }
            (_, Some(index)) => chip.assign(bus, index, new)?,
            (_, None) => return Err(XiveError::Parameter),
        }
        chip.synchronise(bus)
    }

    /// The target of a number, and its queue of a priority.
    #[inline(never)]
    pub(crate) fn queue_of(&self, target: u64, priority: u8) -> Result<(Target, u32), XiveError> {
        let target = Target::from_number(target).ok_or(XiveError::Parameter)?;
        if priority >= PRIORITIES || !self.chip(target.block)?.has_target(target) {
            return Err(XiveError::Parameter);
        }
        Ok((target, target.queue(priority)))
    }

    /// An interrupt for software, on a chip or on any.
    ///
    /// # Errors
    /// [`XiveError::Parameter`] if there is no such chip, [`XiveError::Exhausted`].
    pub fn allocate_source(&mut self, on: Option<u32>) -> Result<u32, XiveError> {
        if let Some(chip) = on {
            self.chip(chip)?;
        }
        let mut chips = self.chips.iter_mut();
        let found = chips.find_map(|chip| {
            let wanted = on.is_none_or(|on| on == chip.block);
            let mut free = (FIRST_SOURCE..FIRST_PSI).filter(|index| !chip.sources.has(*index));
            let index = wanted.then(|| free.next())??;
            chip.sources.set(index, true);
            let block = chip.block;
            Some(Interrupt::Software { block, index }.number())
        });
        found.ok_or(XiveError::Exhausted)
    }

    /// Gives back what [`Self::allocate_source`] gave.
    ///
    /// # Errors
    /// [`XiveError::Parameter`].
    pub fn free_source(&mut self, bus: &mut dyn Bus, number: u64) -> Result<(), XiveError> {
        match self.source(number)?.1 {
            Interrupt::Software { block, index } => self.chip_mut(block)?.free_source(bus, index),
            _ => Err(XiveError::Parameter),
        }
    }

    /// Waits for what an interrupt has under way.
    ///
    /// # Errors
    /// [`XiveError`].
    pub fn synchronise_source(
        &self,
        bus: &mut dyn Bus,
        number: u64,
        what: Synchronise,
    ) -> Result<(), XiveError> {
        let (source, assignment) = self.assignment(bus, number)?;
        if what.source {
            self.chip(source.block())?.synchronise(bus)?;
        }
        let block = assignment.queue().0;
        if what.queue && (!what.source || block != source.block()) {
            self.chip(block)?.synchronise(bus)?;
        }
        Ok(())
    }
}
