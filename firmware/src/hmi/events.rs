//! The queue of HMI events for the OS, in fixed memory.
//!
//! An event that says "not recovered" is never dropped for one that says "recovered": the OS
//! reboots the machine on the former.

use core::sync::atomic::{AtomicU64, Ordering};
use opal_abi::hmi_event::{Disposition, HmiEvent};
use opal_abi::message;
use spin::{Mutex, MutexGuard};

/// Events that wait for the OS at most.
pub const CAPACITY: usize = 64;
/// Tries to take the queue; it is held for a few instructions at a time.
const TRIES: u32 = 1_000_000;

/// The queue.
#[derive(Debug)]
pub struct EventQueue {
    ring: Mutex<Ring>,
    /// Kept beside the ring, so that asking takes no lock.
    waiting: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug)]
struct Ring {
    events: [Option<HmiEvent>; CAPACITY],
    /// Place of the oldest.
    first: usize,
    count: usize,
}

impl Ring {
    const fn place(&self, n: usize) -> usize {
        (self.first + n) % CAPACITY
    }

    fn push(&mut self, event: HmiEvent) -> bool {
        if self.count == CAPACITY {
            return false;
        }
        let place = self.place(self.count);
        self.events[place] = Some(event);
        self.count += 1;
        true
    }

    fn pop(&mut self) -> Option<HmiEvent> {
        if self.count == 0 {
            return None;
        }
        let event = self.events[self.first].take();
        self.first = self.place(1);
        self.count -= 1;
        event
    }

    /// Removes the oldest event that was recovered.
    fn drop_recovered(&mut self) -> bool {
        let recovered = |event: &HmiEvent| event.disposition == Disposition::Recovered;
        let found =
            (0..self.count).find(|&n| self.events[self.place(n)].as_ref().is_some_and(recovered));
        let Some(found) = found else { return false };
        for n in found..self.count - 1 {
            let (to, from) = (self.place(n), self.place(n + 1));
            self.events[to] = self.events[from].take();
        }
        self.count -= 1;
        true
    }
}

impl Default for EventQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl EventQueue {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ring: Mutex::new(Ring {
                events: [None; CAPACITY],
                first: 0,
                count: 0,
            }),
            waiting: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// Whether an event waits.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.waiting.load(Ordering::Acquire) != 0
    }

    /// Takes the oldest event, as the message of `OPAL_GET_MSG`.
    #[must_use]
    pub fn take(&self) -> Option<[u8; message::SIZE]> {
        let mut ring = self.ring()?;
        let event = ring.pop();
        self.waiting.store(ring.count as u64, Ordering::Release);
        event.as_ref().map(message::hmi_event)
    }

    /// Events that did not fit.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Acquire)
    }

    /// Queues an event. `false` when it was lost; then it is counted.
    pub fn post(&self, event: HmiEvent) -> bool {
        let Some(mut ring) = self.ring() else {
            self.count_lost();
            return false;
        };
        let mut queued = ring.push(event);
        if !queued {
            // Something is lost in any case: rather an event that was recovered.
            self.count_lost();
            let worse = event.disposition == Disposition::NotRecovered;
            queued = worse && ring.drop_recovered() && ring.push(event);
        }
        self.waiting.store(ring.count as u64, Ordering::Release);
        queued
    }

    fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::AcqRel);
    }

    fn ring(&self) -> Option<MutexGuard<'_, Ring>> {
        for _ in 0..TRIES {
            if let Some(ring) = self.ring.try_lock() {
                return Some(ring);
            }
            core::hint::spin_loop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opal_abi::hmi_event::{EventType, Severity};

    fn event(n: u64, disposition: Disposition) -> HmiEvent {
        let (severity, event_type) = (Severity::ErrorSync, EventType::TimerFacility);
        HmiEvent {
            severity,
            event_type,
            disposition,
            hmer: n,
            tfmr: 0,
        }
    }

    fn hmer_of(message: [u8; message::SIZE]) -> u64 {
        u64::from_be_bytes(message[16..24].try_into().unwrap())
    }

    #[test]
    fn events_come_out_in_order_and_equal_ones_are_kept() {
        let queue = EventQueue::new();
        assert!(!queue.pending());
        for n in [1, 2, 2] {
            assert!(queue.post(event(n, Disposition::Recovered)));
        }
        assert!(queue.pending());
        let found: [_; 3] = core::array::from_fn(|_| hmer_of(queue.take().unwrap()));
        assert_eq!(found, [1, 2, 2]);
        assert!(!queue.pending());
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn an_unrecovered_event_displaces_a_recovered_one() {
        let queue = EventQueue::new();
        assert!(queue.post(event(100, Disposition::NotRecovered)));
        for n in 1..CAPACITY as u64 {
            assert!(queue.post(event(n, Disposition::Recovered)));
        }
        assert!(!queue.post(event(200, Disposition::Recovered)));
        assert_eq!(queue.lost(), 1);
        assert!(queue.post(event(300, Disposition::NotRecovered)));
        assert_eq!(queue.lost(), 2);
        let found: std::vec::Vec<_> = core::iter::from_fn(|| queue.take()).map(hmer_of).collect();
        assert_eq!(found.len(), CAPACITY);
        assert_eq!(found[0], 100);
        assert_eq!(found[1], 2, "the oldest recovered one made room");
        assert_eq!(found[CAPACITY - 1], 300);
    }

    #[test]
    fn a_queue_full_of_unrecovered_events_loses_and_counts() {
        let queue = EventQueue::new();
        for n in 0..CAPACITY as u64 {
            assert!(queue.post(event(n, Disposition::NotRecovered)));
        }
        assert!(!queue.post(event(99, Disposition::NotRecovered)));
        assert_eq!(queue.lost(), 1);
    }
}
