//! The event queue where threads do not get at it: the slots that are written without a lock.

use super::{Arc, check, thread};
use crate::hmi::events::{EventQueue, Scope};
use opal_abi::hmi_event::{Disposition, EventType, HmiEvent, Severity};
use opal_abi::message;
use std::vec::Vec;

fn event(n: u64, disposition: Disposition) -> HmiEvent {
    HmiEvent {
        severity: Severity::ErrorSync,
        event_type: EventType::TimerFacility,
        disposition,
        hmer: n,
        // The same in another place, so that an event that is mixed from two shows.
        tfmr: !n,
        checkstop: None,
    }
}

/// The number of an event that is whole.
fn number(bytes: &[u8; message::SIZE]) -> u64 {
    let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(word(16), !word(24), "an event in pieces");
    word(16)
}

/// Two post and one fetches, while each may find the queue held: every event comes out once and
/// whole.
#[test]
fn events_come_out_whole_and_once() {
    check(Some(2), || {
        let queue = Arc::new(EventQueue::new());
        let posters = [0u64, 1].map(|thread| {
            let queue = queue.clone();
            thread::spawn(move || {
                for n in [10 + thread, 20 + thread] {
                    let event = event(n, Disposition::NotRecovered);
                    assert!(queue.post(thread as usize, Scope::Machine, &event));
                }
            })
        });
        let mut got: Vec<u64> = queue.take().iter().map(number).collect();
        for poster in posters {
            poster.join().unwrap();
        }
        got.extend(core::iter::from_fn(|| queue.take()).map(|bytes| number(&bytes)));
        got.sort_unstable();
        assert_eq!(got, [10, 11, 20, 21]);
        let counts = queue.counts();
        assert_eq!((counts.posted, counts.delivered, counts.waiting), (4, 4, 0));
        assert!(!queue.pending());
    });
}

/// The slots alone, filled and emptied again and again: what is in them is never read half written,
/// nor written while it is read.
#[test]
fn a_slot_belongs_to_one_thread_at_a_time() {
    check(Some(3), || {
        let queue = Arc::new(EventQueue::new());
        let writer = {
            let queue = queue.clone();
            thread::spawn(move || {
                let dispositions = [
                    Disposition::Recovered,
                    Disposition::Recovered,
                    Disposition::NotRecovered,
                ];
                let kept = dispositions.map(|disposition| {
                    let number = 1 + disposition as u64;
                    queue.keep_in_slot(0, Scope::Core(1), &event(number, disposition))
                });
                // Two slots: the third may have to push out one of the others, but is kept.
                assert!(kept[2]);
            })
        };
        let mut got = Vec::new();
        for _ in 0..2 {
            got.extend(queue.take().iter().map(number));
        }
        writer.join().unwrap();
        got.extend(core::iter::from_fn(|| queue.take()).map(|bytes| number(&bytes)));
        assert_eq!(got.iter().filter(|n| **n == 2).count(), 1, "{got:?}");
        let counts = queue.counts();
        assert_eq!(counts.delivered + counts.lost, 3);
    });
}
