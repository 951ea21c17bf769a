//! Queues of targets.

use crate::numbers::{Interrupt, Target};
use crate::{Bus, Controller, XiveError};
use power_registers::xive::{End, EventAssignment};

/// Logs of bytes that the memory of a queue may have.
pub const QUEUE_SIZES: [u32; 4] = [12, 16, 21, 24];

/// A queue, as an OS is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueInfo {
    /// Its memory and the log of its bytes.
    pub memory: Option<(u64, u32)>,
    /// The page that ends its notification, unless it always notifies.
    pub end_page: u64,
    /// The interrupt to which it escalates.
    pub escalation: u32,
    /// It is on.
    pub is_on: bool,
    /// Each entry notifies.
    pub always_notifies: bool,
    /// What no thread takes escalates.
    pub escalates: bool,
}

/// A queue that is to be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRequest {
    /// Its memory, aligned to its bytes, and the log of them; one of [`QUEUE_SIZES`]. Without, it only
    /// notifies.
    pub memory: Option<(u64, u32)>,
    /// Each entry notifies.
    pub always_notifies: bool,
    /// What no thread takes escalates.
    pub escalates: bool,
}

impl Controller<'_> {
    /// A queue, as an OS is told of it.
    ///
    /// # Errors
    /// [`XiveError::Parameter`].
    #[inline(never)]
    pub fn queue_info(
        &self,
        bus: &mut dyn Bus,
        target: u64,
        priority: u8,
    ) -> Result<QueueInfo, XiveError> {
        let (target, queue) = self.queue_of(target, priority)?;
        let block = target.block;
        let chip = self.chip(block)?;
        let end = chip.queue(bus, queue);
        Ok(QueueInfo {
            memory: end.memory(),
            end_page: chip.queue_page(queue),
            escalation: Interrupt::Escalation { block, queue }.number(),
            is_on: end.is_on(),
            always_notifies: end.does_always_notify(),
            escalates: end.does_escalate(),
        })
    }

    /// Switches a queue on, empty; or off, with `None`. What it escalates to stays.
    ///
    /// # Errors
    /// [`XiveError`].
    #[inline(never)]
    pub fn set_queue(
        &mut self,
        bus: &mut dyn Bus,
        target: u64,
        priority: u8,
        request: Option<QueueRequest>,
    ) -> Result<(), XiveError> {
        let (target, queue) = self.queue_of(target, priority)?;
        let Target { block, index } = target;
        let chip = self.chip_mut(block)?;
        let old = chip.queue(bus, queue);
        let Some(request) = request else {
            chip.set_queue(bus, queue, old.off())?;
            return chip.synchronise(bus);
        };
        let mut new = old.of_target(block, index, priority);
        if let Some((page, shift)) = request.memory {
            if !QUEUE_SIZES.contains(&shift) || !page.is_multiple_of(1 << shift) {
                return Err(XiveError::Parameter);
            }
            new = new.in_memory(page, shift);
        }
        if request.always_notifies {
            new = new.always_notify();
        }
        if request.escalates {
            new = new.escalates();
        }
        if target.is_virtual() {
            new = new.keeps_backlog();
        }
        if new.escalation() == EventAssignment::default() {
            let number = Interrupt::Escalation { block, queue }.number();
            new = new.escalating_to(EventAssignment::masked(number));
        }
        chip.set_queue(bus, queue, new)
    }

    /// Generation and position of a queue that is on.
    ///
    /// # Errors
    /// [`XiveError::Parameter`], [`XiveError::Off`].
    pub fn queue_state(
        &self,
        bus: &mut dyn Bus,
        target: u64,
        priority: u8,
    ) -> Result<(bool, u32), XiveError> {
        let (target, queue) = self.queue_of(target, priority)?;
        let end = self.chip(target.block)?.queue(bus, queue);
        if end.is_on() {
            Ok(end.position())
        } else {
            Err(XiveError::Off)
        }
    }

    /// Sets generation and position of a queue that is on; the position lies within its memory.
    ///
    /// # Errors
    /// [`XiveError`].
    #[inline(never)]
    pub fn set_queue_state(
        &mut self,
        bus: &mut dyn Bus,
        target: u64,
        priority: u8,
        generation: bool,
        position: u32,
    ) -> Result<(), XiveError> {
        let (target, queue) = self.queue_of(target, priority)?;
        let chip = self.chip_mut(target.block)?;
        let end: End = chip.queue(bus, queue);
        let entries = end.memory().map_or(0, |(_, shift)| 1_u32 << (shift - 2));
        if !end.is_on() {
            return Err(XiveError::Off);
        }
        if position >= entries {
            return Err(XiveError::Parameter);
        }
        chip.set_queue(bus, queue, end.at(generation, position))
    }
}
