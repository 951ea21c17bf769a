use super::*;
use opal_abi::hmi_event::{EventType, Severity};
use proptest::prelude::*;
use std::vec::Vec;

const RECOVERED: Disposition = Disposition::Recovered;
const UNRECOVERED: Disposition = Disposition::NotRecovered;

fn event(n: u64, disposition: Disposition) -> HmiEvent {
    HmiEvent {
        severity: Severity::ErrorSync,
        event_type: EventType::TimerFacility,
        disposition,
        hmer: n,
        tfmr: 0,
        checkstop: None,
    }
}

fn post(queue: &EventQueue, n: u64, disposition: Disposition) -> bool {
    queue.post(0, Scope::Machine, &event(n, disposition))
}

fn hmer_of(message: [u8; message::SIZE]) -> u64 {
    u64::from_be_bytes(message[16..24].try_into().unwrap())
}

fn is_unrecovered(message: &[u8; message::SIZE]) -> bool {
    message[11] == 1
}

fn drain(queue: &EventQueue) -> Vec<u64> {
    core::iter::from_fn(|| queue.take()).map(hmer_of).collect()
}

fn assert_accounted(queue: &EventQueue) -> Counts {
    let counts = queue.counts();
    let known = counts.delivered + counts.waiting + counts.coalesced + counts.lost;
    assert_eq!(counts.posted, known, "{counts:?}");
    assert!(counts.coalesced >= counts.coalesced_across + counts.folded);
    assert_eq!(counts.waiting != 0, queue.pending());
    counts
}

#[test]
fn events_come_out_in_order_and_equal_ones_are_kept_while_there_is_room() {
    let queue = EventQueue::new();
    assert!(!queue.pending());
    for n in [1, 2, 2] {
        assert!(post(&queue, n, RECOVERED));
    }
    assert!(queue.pending());
    assert_eq!(drain(&queue), [1, 2, 2]);
    assert!(!queue.pending());
    assert_eq!(queue.take(), None);
    assert_eq!(assert_accounted(&queue).delivered, 3);
}

#[test]
fn an_unrecovered_event_displaces_a_recovered_one() {
    let queue = EventQueue::new();
    assert!(post(&queue, 100, UNRECOVERED));
    for n in 1..CAPACITY as u64 {
        assert!(post(&queue, n, RECOVERED));
    }
    assert!(!post(&queue, 200, RECOVERED));
    assert_eq!(queue.lost(), 1);
    assert!(post(&queue, 300, UNRECOVERED));
    assert_eq!(queue.lost(), 2);
    let found = drain(&queue);
    assert_eq!(found.len(), CAPACITY);
    assert_eq!(
        (found[0], found[1]),
        (100, 2),
        "the oldest recovered one went"
    );
    assert_eq!(found[CAPACITY - 1], 300);
    assert_accounted(&queue);
}

#[test]
fn equal_events_are_coalesced_when_room_is_short() {
    let queue = EventQueue::new();
    for n in 0..CAPACITY as u64 {
        assert!(post(&queue, n / 2, RECOVERED));
    }
    // An equal one waits.
    assert!(post(&queue, 3, RECOVERED));
    // None is equal to this one, but others are to each other.
    assert!(post(&queue, 1_000, RECOVERED));
    let counts = assert_accounted(&queue);
    assert_eq!((counts.coalesced, counts.lost), (2, 0));
    assert_eq!(counts.waiting, CAPACITY as u64);
    assert!(drain(&queue).contains(&1_000));
}

#[test]
fn other_scopes_are_joined_last_and_counted() {
    let queue = EventQueue::new();
    for core in 0..CAPACITY as u32 {
        assert!(queue.post(0, Scope::Core(core), &event(7, RECOVERED)));
    }
    assert!(queue.post(0, Scope::Core(3), &event(7, RECOVERED)));
    assert_eq!(assert_accounted(&queue).coalesced_across, 0);
    assert!(queue.post(0, Scope::Core(99), &event(7, RECOVERED)));
    let counts = assert_accounted(&queue);
    assert_eq!((counts.coalesced, counts.coalesced_across), (2, 1));
    assert!(queue.post(0, Scope::Core(99), &event(8, RECOVERED)));
    assert_eq!(assert_accounted(&queue).coalesced_across, 2);
}

#[test]
fn a_queue_full_of_unrecovered_events_stands_for_the_next() {
    let queue = EventQueue::new();
    for n in 0..CAPACITY as u64 + 5 {
        assert!(post(&queue, n, UNRECOVERED), "{n}");
    }
    assert!(!post(&queue, 9_999, RECOVERED));
    let counts = assert_accounted(&queue);
    assert_eq!((counts.folded, counts.coalesced, counts.lost), (5, 5, 1));
    assert_eq!(drain(&queue).len(), CAPACITY);
}

#[test]
fn a_thread_that_does_not_get_the_queue_keeps_its_event() {
    let queue = EventQueue::new();
    assert!(post(&queue, 1, RECOVERED));
    let held = queue.ring.lock();
    assert!(queue.post(5, Scope::Machine, &event(2, RECOVERED)));
    assert!(queue.post(5, Scope::Machine, &event(3, RECOVERED)));
    assert!(!queue.post(5, Scope::Machine, &event(4, RECOVERED)));
    assert_eq!(queue.lost(), 1);
    assert!(queue.post(5, Scope::Machine, &event(5, UNRECOVERED)));
    assert_eq!(queue.lost(), 2);
    assert!(queue.post(5, Scope::Machine, &event(6, UNRECOVERED)));
    assert_eq!(queue.lost(), 3);
    assert!(queue.post(5, Scope::Machine, &event(7, UNRECOVERED)));
    assert_eq!(queue.lost(), 3);
    assert!(queue.post(6, Scope::Core(1), &event(8, UNRECOVERED)));
    assert_eq!(queue.take(), None, "it is held");
    assert!(queue.pending());
    drop(held);
    assert_accounted(&queue);
    assert_eq!(drain(&queue), [1, 5, 6, 8]);
    let counts = assert_accounted(&queue);
    assert_eq!((counts.waiting, counts.folded), (0, 1));
}

#[test]
fn slots_are_drained_though_the_ring_is_full() {
    let queue = EventQueue::new();
    for n in 0..CAPACITY as u64 {
        assert!(post(&queue, n, RECOVERED));
    }
    let held = queue.ring.lock();
    assert!(queue.post(2, Scope::Machine, &event(500, UNRECOVERED)));
    drop(held);
    let found = drain(&queue);
    assert_eq!(found.len(), CAPACITY + 1);
    assert!(found.contains(&500));
    assert_accounted(&queue);
}

#[test]
fn a_thread_without_an_index_loses_only_what_does_not_fit() {
    let queue = EventQueue::new();
    assert!(queue.post(usize::MAX, Scope::Machine, &event(1, UNRECOVERED)));
    assert_eq!(drain(&queue), [1]);
}

#[test]
fn scopes_survive_a_slot() {
    let scopes = [
        Scope::Machine,
        Scope::Chip(0x11),
        Scope::Core(63),
        Scope::Thread(u32::MAX),
    ];
    for scope in scopes {
        assert_eq!(Scope::from_word(scope.to_word()), scope);
    }
}

/// What may happen to a queue.
#[derive(Clone, Copy, Debug)]
enum Act {
    Post {
        n: u64,
        unrecovered: bool,
        core: u32,
    },
    /// The same while somebody else holds the queue.
    PostHeld {
        n: u64,
        unrecovered: bool,
        thread: usize,
    },
    Take(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let post = (0_u64..90, any::<bool>(), 0_u32..3).prop_map(|(n, unrecovered, core)| Act::Post {
        n,
        unrecovered,
        core,
    });
    let held =
        (0_u64..90, any::<bool>(), 0_usize..4).prop_map(|(n, unrecovered, thread)| Act::PostHeld {
            n,
            unrecovered,
            thread,
        });
    prop_oneof![12 => post, 2 => held, 1 => (0_usize..20).prop_map(Act::Take)]
}

fn disposition(unrecovered: bool) -> Disposition {
    if unrecovered { UNRECOVERED } else { RECOVERED }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    /// Whatever happens: all are accounted for, none is invented, and the OS hears of an unrecovered
    /// event after each that was posted.
    #[test]
    fn every_event_is_accounted_for(acts in prop::collection::vec(act(), 1..300)) {
        let queue = EventQueue::new();
        let mut owed = false;
        let heard = |owed: &mut bool, queue: &EventQueue| {
            let message = queue.take();
            if message.as_ref().is_some_and(is_unrecovered) {
                *owed = false;
            }
            message.is_some()
        };
        for act in acts {
            match act {
                Act::Post { n, unrecovered, core } => {
                    let kept = queue.post(0, Scope::Core(core), &event(n, disposition(unrecovered)));
                    prop_assert!(kept || !unrecovered);
                    owed |= unrecovered;
                }
                Act::PostHeld { n, unrecovered, thread } => {
                    let held = queue.ring.lock();
                    let posted = event(n, disposition(unrecovered));
                    let kept = queue.post(thread, Scope::Machine, &posted);
                    prop_assert!(kept || !unrecovered);
                    owed |= unrecovered;
                    drop(held);
                }
                Act::Take(times) => {
                    for _ in 0..times {
                        heard(&mut owed, &queue);
                    }
                }
            }
            assert_accounted(&queue);
        }
        while heard(&mut owed, &queue) {}
        prop_assert!(!owed, "an unrecovered event left no trace");
        prop_assert_eq!(assert_accounted(&queue).waiting, 0);
    }
}

/// Threads that post while another one takes.
#[test]
fn many_threads_post_and_one_takes() {
    let (threads, posts) = if cfg!(miri) { (3, 40) } else { (8, 1_000) };
    let queue = EventQueue::new();
    let running = core::sync::atomic::AtomicUsize::new(threads);
    let (mut taken, mut unrecovered) = (0_u64, 0_u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (queue, running) = (&queue, &running);
            scope.spawn(move || {
                for n in 0..posts {
                    let bad = n % 50 == thread;
                    let posted = event(n as u64, disposition(bad));
                    let kept = queue.post(thread, Scope::Thread(thread as u32), &posted);
                    assert!(kept || !bad, "an unrecovered event was lost");
                }
                running.fetch_sub(1, Ordering::AcqRel);
            });
        }
        loop {
            let last = running.load(Ordering::Acquire) == 0;
            while let Some(message) = queue.take() {
                taken += 1;
                unrecovered += u64::from(is_unrecovered(&message));
            }
            if last {
                break;
            }
        }
    });
    let counts = assert_accounted(&queue);
    assert_eq!(counts.posted, (threads * posts) as u64);
    assert_eq!((counts.delivered, counts.waiting), (taken, 0));
    let bad = (0..threads)
        .map(|thread| (posts - thread).div_ceil(50) as u64)
        .sum::<u64>();
    assert!(
        unrecovered + counts.coalesced >= bad,
        "{unrecovered} of {bad}, {counts:?}"
    );
}

#[test]
fn a_thread_without_slots_loses_its_event_and_says_so() {
    let queue = EventQueue::new();
    let held = queue.ring.lock();
    let one = event(1, UNRECOVERED);
    assert!(!queue.post(crate::platform::MAX_THREADS, Scope::Machine, &one));
    assert!(queue.post(0, Scope::Machine, &one));
    drop(held);
    assert_eq!(queue.counts().lost, 1);
    assert_eq!(drain(&queue), [1]);
    assert_accounted(&queue);
}
