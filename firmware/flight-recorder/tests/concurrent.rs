//! The flight recorder, used by several threads at once.
//!
//! `cargo xtask orderings` runs these under loom, which tries every order of the accesses and every
//! value that the memory model allows; Miri runs them with many seeds; else they run as they are.

use flight_recorder::{FlightRecorder, RECORDS, Step};
#[cfg(loom)]
use loom::{sync::Arc, thread};
#[cfg(not(loom))]
use std::{sync::Arc, thread};

fn record(recorder: &FlightRecorder, thread: usize, n: u64) {
    let pir = n as u32;
    recorder.record(thread, pir, Step::Check, n, n, n, [n, n]);
}

/// Runs the model. Under loom in every way there is; `preemptions` bounds how often a thread is
/// stopped where it need not be. Else as the threads happen to run.
fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    #[cfg(loom)]
    {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = preemptions;
        let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counter = executions.clone();
        builder.check(move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            model();
        });
        println!(
            "{} executions",
            executions.load(std::sync::atomic::Ordering::Relaxed)
        );
    }
    #[cfg(not(loom))]
    {
        let _ = preemptions;
        (0..if cfg!(miri) { 1 } else { 50 }).for_each(|_| model());
    }
}

/// A record that is overwritten while it is read is left out, never shown half.
#[test]
fn a_torn_record_is_not_shown() {
    check(Some(2), || {
        let recorder = Arc::new(FlightRecorder::new());
        // All places are full, so that the next takes the first of them.
        (1..=RECORDS as u64).for_each(|n| record(&recorder, 0, n));
        let writer = {
            let recorder = recorder.clone();
            thread::spawn(move || record(&recorder, 0, 9))
        };
        for found in recorder.records(0) {
            let n = found.timebase;
            let values = [
                found.tfmr,
                found.hmer,
                found.arguments[0],
                found.arguments[1],
                u64::from(found.pir),
            ];
            assert_eq!(values, [n; 5], "{found:?}");
        }
        writer.join().unwrap();
        assert_eq!(recorder.records(0).count(), RECORDS);
    });
}

/// What one thread recorded before it met another comes before what that one records then.
#[test]
fn the_order_of_records_is_that_of_what_happened() {
    check(Some(2), || {
        let recorder = Arc::new(FlightRecorder::new());
        let first = {
            let recorder = recorder.clone();
            thread::spawn(move || record(&recorder, 0, 1))
        };
        first.join().unwrap();
        record(&recorder, 1, 2);
        let sequence = |thread| recorder.records(thread).next().unwrap().sequence;
        assert_eq!((sequence(0), sequence(1)), (1, 2));
    });
}

/// Two threads at once: no two records have the same place in the order.
#[test]
fn every_record_has_a_place_of_its_own() {
    check(Some(2), || {
        let recorder = Arc::new(FlightRecorder::new());
        let other = {
            let recorder = recorder.clone();
            thread::spawn(move || record(&recorder, 1, 2))
        };
        record(&recorder, 0, 1);
        other.join().unwrap();
        let sequence = |thread| recorder.records(thread).next().unwrap().sequence;
        let mut both = [sequence(0), sequence(1)];
        both.sort_unstable();
        assert_eq!(both, [1, 2]);
    });
}
