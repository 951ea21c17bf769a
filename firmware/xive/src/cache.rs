//! The entries as the hardware caches them: looked at and changed through its registers.

use crate::chip::Chip;
use crate::tables::QUEUES;
use crate::{Bus, XiveError};
use core::sync::atomic::{Ordering, fence};
use power_registers::xive::{
    End, EventAssignment, Generation, NotificationTarget, SCRUBBING, WATCH_CONFLICT, first, second,
    watch,
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
        let scrub = match self.generation {
            Generation::First => first::scrub(self.block, source),
            Generation::Second => second::scrub(self.block, source),
        };
        let layout = self.layout();
        bus.store(self.register(layout.scrub), scrub);
        await_value(bus, self.register(layout.scrubbed), SCRUBBING, 0)
    }

    /// A queue as the hardware has it.
    #[inline(never)]
    pub(crate) fn queue(&self, bus: &mut dyn Bus, queue: u32) -> End {
        let mut end = End::new(self.generation, [0; 4]);
        self.fetch(bus, self.layout().queue_watch, queue, end.words_mut());
        end
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
        self.store(bus, self.layout().queue_watch, queue, value.words())?;
        self.queues_on.set(queue, value.is_on());
        Ok(())
    }

    /// A target as the hardware has it.
    #[inline(never)]
    pub(crate) fn target(&self, bus: &mut dyn Bus, index: u32) -> NotificationTarget {
        let mut target = NotificationTarget::off(self.generation);
        self.fetch(bus, self.layout().target_watch, index, target.words_mut());
        target
    }

    /// Sets a target, and remembers whether it is on.
    #[inline(never)]
    pub(crate) fn set_target(
        &mut self,
        bus: &mut dyn Bus,
        index: u32,
        value: NotificationTarget,
    ) -> Result<(), XiveError> {
        self.store(bus, self.layout().target_watch, index, value.words())?;
        self.targets_on.set(index, value.is_on());
        Ok(())
    }

    /// Waits until everything that was under way has arrived in the queues.
    #[inline(never)]
    pub(crate) fn synchronise(&self, bus: &mut dyn Bus) -> Result<(), XiveError> {
        let layout = self.layout();
        for port in 0..layout.syncs {
            bus.store(self.register(layout.sync + 0x80 * port), 0);
        }
        let (register, all) = (self.register(layout.synced), layout.synchronised);
        await_value(bus, register, all, all)?;
        let value = bus.load(register);
        bus.store(register, value & !all);
        Ok(())
    }

    /// The doublewords of an entry. Reading the first one fetches them all.
    #[inline(never)]
    fn fetch(&self, bus: &mut dyn Bus, place: [u64; 2], entry: u32, words: &mut [u64]) {
        let [spec, data] = place.map(|offset| self.register(offset));
        bus.store(spec, watch(self.block, entry));
        for (index, word) in words.iter_mut().enumerate() {
            *word = bus.load(data + 8 * index as u64);
        }
    }

    /// Stores an entry: the first doubleword last, since it takes the others along.
    #[inline(never)]
    fn store(
        &self,
        bus: &mut dyn Bus,
        place: [u64; 2],
        entry: u32,
        words: &[u64],
    ) -> Result<(), XiveError> {
        let [spec, data] = place.map(|offset| self.register(offset));
        let mut fetched = [0; 8];
        let fetched = &mut fetched[..words.len()];
        for _ in 0..TRIES {
            self.fetch(bus, place, entry, fetched);
            for (index, word) in words.iter().enumerate().rev() {
                bus.store(data + 8 * index as u64, *word);
            }
            // A load behind the store: when it is back, the watch tells how it went.
            bus.load(data);
            if bus.load(spec) & WATCH_CONFLICT == 0 {
                return Ok(());
            }
            bus.relax();
        }
        Err(XiveError::Hardware)
    }
}

/// Waits until the bits of a register have a value.
#[inline(never)]
fn await_value(bus: &mut dyn Bus, register: u64, bits: u64, value: u64) -> Result<(), XiveError> {
    for _ in 0..LOOKS {
        if bus.load(register) & bits == value {
            return Ok(());
        }
        bus.relax();
    }
    Err(XiveError::Hardware)
}
