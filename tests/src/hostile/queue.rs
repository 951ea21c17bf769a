//! The event queue of an OS that fetches when it likes, or never.
//!
//! Fixed memory is the type's; what is checked is the count: what was posted came out or was
//! counted as coalesced or lost, an event that was not recovered gives way to none and is folded into
//! another only when all that wait are like it, and the order is kept.

use super::Input;
use opal_abi::hmi_event::{Disposition, EventType, HmiEvent, Severity};
use opal_abi::message;
use opaline_firmware::hmi::events::{CAPACITY, EventQueue, Scope};

/// Posts and fetches as the input says.
///
/// # Panics
/// If a promise is broken.
pub(super) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let queue = EventQueue::new();
    let mut tally = Tally::default();
    let mut number = 0;
    while !input.is_empty() {
        let step = input.byte();
        let count = 1 + u64::from(step >> 3);
        for _ in 0..count {
            match step & 7 {
                0 | 1 => tally.take(&queue),
                kind => {
                    number += u64::from(kind != 7);
                    let disposition = if kind == 2 {
                        Disposition::NotRecovered
                    } else {
                        Disposition::Recovered
                    };
                    tally.post(&queue, event(number, disposition));
                }
            }
        }
        tally.check(&queue);
    }
    while queue.pending() {
        tally.take(&queue);
    }
    tally.check(&queue);
}

/// An event with a number in it.
pub(super) fn event(number: u64, disposition: Disposition) -> HmiEvent {
    HmiEvent {
        severity: Severity::ErrorSync,
        event_type: EventType::TimerFacility,
        disposition,
        hmer: number,
        tfmr: 0,
        checkstop: None,
    }
}

/// What went in and came out.
#[derive(Debug, Default)]
struct Tally {
    posted: u64,
    taken: u64,
    /// Numbers of the events that were not recovered and have not come out, oldest first.
    unrecovered: Vec<u64>,
    last: u64,
    /// Unrecovered events that were folded into others.
    folded: u64,
}

impl Tally {
    fn post(&mut self, queue: &EventQueue, event: HmiEvent) {
        self.posted += 1;
        let queued = queue.post(0, Scope::Machine, &event);
        if event.disposition == Disposition::NotRecovered {
            assert!(queued, "an unrecovered event is never lost");
            let folded = queue.counts().folded;
            if folded == self.folded {
                self.unrecovered.push(event.hmer);
            } else {
                self.folded = folded;
                assert!(
                    self.unrecovered.len() >= CAPACITY,
                    "folded although a recovered one could have gone"
                );
            }
        }
    }

    fn take(&mut self, queue: &EventQueue) {
        let Some(message) = queue.take() else { return };
        self.taken += 1;
        let (number, recovered) = decode(&message);
        assert!(number >= self.last, "{number} after {}", self.last);
        self.last = number;
        if !recovered {
            assert_eq!(
                self.unrecovered.first(),
                Some(&number),
                "in order, none left out"
            );
            self.unrecovered.remove(0);
        }
    }

    fn check(&self, queue: &EventQueue) {
        let counts = queue.counts();
        let waiting = self.posted - self.taken - counts.lost - counts.coalesced;
        assert_eq!(waiting, counts.waiting, "{self:?}, {counts:?}");
        assert!(
            waiting <= CAPACITY as u64,
            "{self:?}, lost {}",
            queue.lost()
        );
        assert_eq!(
            queue.pending(),
            waiting != 0,
            "{self:?}, lost {}",
            queue.lost()
        );
    }
}

fn decode(message: &[u8; message::SIZE]) -> (u64, bool) {
    let mut number = [0; 8];
    number.copy_from_slice(&message[16..24]);
    (u64::from_be_bytes(number), message[11] == 0)
}
