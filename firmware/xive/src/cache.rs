//! The entries as the hardware caches them: looked at and changed through its registers.

use crate::chip::Chip;
use crate::tables::QUEUES;
use crate::{Bus, XiveError};
use core::sync::atomic::{Ordering, fence};
use power_registers::xive::{
    End, EventAssignment, NotificationTarget, SCRUBBING, SYNCHRONISED, WATCH_CONFLICT, notify,
    register, scrub, watch,
};

/// Looks at a register until something is over; each takes about a microsecond, and none takes many.
const LOOKS: u32 = 100_000;
/// Tries of a store that others disturb.
const TRIES: u32 = 100;

impl Chip<'_> {
    /// Changes where a source goes.
    #[inline(never)]
    pub(crate) fn assign(
        &self,
        bus: &mut dyn Bus,
        source: u32,
        value: EventAssignment,
    ) -> Result<(), XiveError> {
        if self.tables.assignment(source) == value {
            return Ok(());
        }
        self.tables.set_assignment(source, value);
        // Memory before the cache looks again.
        fence(Ordering::SeqCst);
        let register = self.register(register::ASSIGNMENT_SCRUB);
        bus.store(register, scrub(self.block, source));
        await_value(bus, register, |value| value & SCRUBBING == 0)
    }

    /// A queue as the hardware has it.
    #[inline(never)]
    pub(crate) fn queue(&self, bus: &mut dyn Bus, queue: u32) -> End {
        let place = [register::QUEUE_WATCH, register::QUEUE_DATA].map(|at| self.register(at));
        End(fetch(bus, place, watch(self.block, queue)))
    }

    /// Sets a queue, and remembers whether it is on.
    #[inline(never)]
    pub(crate) fn set_queue(
        &mut self,
        bus: &mut dyn Bus,
        queue: u32,
        value: End,
    ) -> Result<(), XiveError> {
        debug_assert!(queue < QUEUES);
        let place = [register::QUEUE_WATCH, register::QUEUE_DATA].map(|at| self.register(at));
        store(bus, place, watch(self.block, queue), value.0)?;
        self.queues_on.set(queue, value.is_on());
        Ok(())
    }

    /// A target as the hardware has it.
    #[inline(never)]
    pub(crate) fn target(&self, bus: &mut dyn Bus, index: u32) -> NotificationTarget {
        let place = [register::TARGET_WATCH, register::TARGET_DATA].map(|at| self.register(at));
        NotificationTarget(fetch(bus, place, watch(self.block, index)))
    }

    /// Sets a target, and remembers whether it is on.
    #[inline(never)]
    pub(crate) fn set_target(
        &mut self,
        bus: &mut dyn Bus,
        index: u32,
        value: NotificationTarget,
    ) -> Result<(), XiveError> {
        let place = [register::TARGET_WATCH, register::TARGET_DATA].map(|at| self.register(at));
        store(bus, place, watch(self.block, index), value.0)?;
        self.targets_on.set(index, value.is_on());
        Ok(())
    }

    /// Waits until everything that was under way has arrived in the queues.
    #[inline(never)]
    pub(crate) fn synchronise(&self, bus: &mut dyn Bus) -> Result<(), XiveError> {
        for sync in [notify::SYNC_SOFTWARE, notify::SYNC_HARDWARE] {
            bus.store(self.notify(sync), 0);
        }
        let register = self.register(register::QUEUES);
        await_value(bus, register, |value| value & SYNCHRONISED == SYNCHRONISED)?;
        let value = bus.load(register);
        bus.store(register, value & !SYNCHRONISED);
        Ok(())
    }
}

#[inline(never)]
fn await_value(
    bus: &mut dyn Bus,
    register: u64,
    good: impl Fn(u64) -> bool,
) -> Result<(), XiveError> {
    for _ in 0..LOOKS {
        if good(bus.load(register)) {
            return Ok(());
        }
        bus.relax();
    }
    Err(XiveError::Hardware)
}

/// The doublewords of an entry. Reading the first one fetches them all.
#[inline(never)]
fn fetch<const N: usize>(bus: &mut dyn Bus, [watch, data]: [u64; 2], entry: u64) -> [u64; N] {
    bus.store(watch, entry);
    let mut words = [0; N];
    for (index, word) in words.iter_mut().enumerate() {
        *word = bus.load(data + 8 * index as u64);
    }
    words
}

/// Stores an entry: the first doubleword last, since it takes the others along.
#[inline(never)]
fn store<const N: usize>(
    bus: &mut dyn Bus,
    place: [u64; 2],
    entry: u64,
    words: [u64; N],
) -> Result<(), XiveError> {
    let [watch, data] = place;
    for _ in 0..TRIES {
        let _: [u64; N] = fetch(bus, place, entry);
        for (index, word) in words.iter().enumerate().rev() {
            bus.store(data + 8 * index as u64, *word);
        }
        // A load behind the store: when it is back, the watch tells how it went.
        bus.load(data);
        if bus.load(watch) & WATCH_CONFLICT == 0 {
            return Ok(());
        }
        bus.relax();
    }
    Err(XiveError::Hardware)
}
