//! Targets: threads, and virtual processors that an OS allocates.

use crate::numbers::Target;
use crate::{Bus, Controller, PRIORITIES, XiveError};
use power_registers::xive::{NotificationTarget, ring_word};

/// A target, as an OS is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetInfo {
    /// It is on.
    pub is_on: bool,
    /// The word that puts it into a thread's ring.
    pub ring_word: u32,
    /// The chip whose tables hold it.
    pub chip: u32,
}

impl Controller<'_> {
    /// A block of `2^order` virtual processors, off; gives the number of the first one.
    ///
    /// # Errors
    /// [`XiveError::Exhausted`], also for more than a chip can ever hold.
    pub fn allocate_targets(&mut self, order: u64) -> Result<u64, XiveError> {
        let order = u32::try_from(order).ok();
        let order = order.filter(|order| *order <= 11);
        let order = order.ok_or(XiveError::Exhausted)?;
        let mut chips = self.chips.iter_mut();
        let found = chips.find_map(|chip| {
            let block = chip.block;
            chip.blocks
                .allocate(order)
                .map(|index| Target { block, index })
        });
        Ok(found.ok_or(XiveError::Exhausted)?.number())
    }

    /// Gives a block back, by the number of its first virtual processor. All of it must be off, its
    /// queues, too.
    ///
    /// # Errors
    /// [`XiveError::Parameter`], [`XiveError::Active`].
    pub fn free_targets(&mut self, first: u64) -> Result<(), XiveError> {
        let first = Target::from_number(first).ok_or(XiveError::Parameter)?;
        let chip = self.chip_mut(first.block)?;
        let block = chip.blocks.find(first.index);
        let block = block
            .filter(|_| first.is_virtual())
            .ok_or(XiveError::Parameter)?;
        let priorities = u32::from(PRIORITIES);
        let queues = block.start * priorities..block.end * priorities;
        if chip.targets_on.any(block) || chip.queues_on.any(queues) {
            return Err(XiveError::Active);
        }
        chip.blocks.free(first.index);
        Ok(())
    }

    fn target(&self, number: u64) -> Result<Target, XiveError> {
        Ok(self.queue_of(number, 0)?.0)
    }

    /// A target, as an OS is told of it.
    ///
    /// # Errors
    /// [`XiveError::Parameter`].
    pub fn target_info(&self, number: u64) -> Result<TargetInfo, XiveError> {
        let target = self.target(number)?;
        let chip = self.chip(target.block)?;
        Ok(TargetInfo {
            is_on: chip.targets_on.has(target.index),
            ring_word: ring_word(chip.generation, target.block, target.index),
            chip: chip.block,
        })
    }

    /// Switches a target on, with nothing pending, or off.
    ///
    /// # Errors
    /// [`XiveError`].
    pub fn set_target(
        &mut self,
        bus: &mut dyn Bus,
        number: u64,
        on: bool,
    ) -> Result<(), XiveError> {
        let target = self.target(number)?;
        let chip = self.chip_mut(target.block)?;
        let entry = if on {
            chip.target_on(target.index)
        } else {
            NotificationTarget::off(chip.generation)
        };
        chip.set_target(bus, target.index, entry)
    }

    /// What is pending for a target that is on: as the first two words of a ring.
    ///
    /// # Errors
    /// [`XiveError::Parameter`], [`XiveError::Off`].
    pub fn target_state(&self, bus: &mut dyn Bus, number: u64) -> Result<u64, XiveError> {
        let target = self.target(number)?;
        let entry = self.chip(target.block)?.target(bus, target.index);
        if entry.is_on() {
            Ok(entry.state())
        } else {
            Err(XiveError::Off)
        }
    }
}
