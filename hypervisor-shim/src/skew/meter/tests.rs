//! The meter over scripted clocks.

use super::*;
use crate::run::Dice;

/// Threads that take turns as they come, with TBs that are off by so many ticks. A handover
/// takes at least `quickest` ticks, and now and then a thread is held up for long.
fn measure(off: &[i64], quickest: u64, seed: u64) -> Skew {
    let meter = SkewMeter::new();
    let mut dice = Dice::new(seed);
    let mut clock: u64 = 1 << 40;
    for _ in 0..1_000_000 {
        clock += quickest + dice.below(400);
        if dice.below(20) == 0 {
            clock += dice.below(10_000_000);
        }
        let index = dice.below(off.len() as u64) as usize;
        if !meter.is_open_to(index) {
            continue;
        }
        assert!(meter.try_lock());
        let timebase = clock.wrapping_add_signed(off[index]);
        let noted = meter.note(1, off.len() as u64, index, timebase);
        meter.unlock();
        if noted == Noted::Enough {
            return meter.result(|| false).expect("nobody interrupts");
        }
    }
    panic!("it does not end");
}

#[test]
fn equal_timebases_never_step_back() {
    let seeds = if cfg!(miri) { 2 } else { 50 };
    for seed in 1..seeds {
        for threads in [2, 3, 8, 16, 64] {
            let skew = measure(&[0; 64][..threads], 30, seed);
            assert_eq!(skew.threads, threads as u64);
            assert!(skew.handovers >= READINGS * threads as u64);
            assert_eq!((skew.step_back, skew.certain()), (0, 0), "{skew:?}");
            assert!(skew.doubt < 1_000, "{skew:?}");
        }
    }
}

/// However far one thread is off, and whichever it is: it is found to within the doubt.
#[test]
fn a_thread_that_is_off_is_found() {
    for (seed, off) in [
        200,
        -200,
        700,
        -700,
        2_561,
        -2_561,
        100_000,
        -100_000,
        1 << 41,
        -(1 << 41),
    ]
    .into_iter()
    .enumerate()
    {
        for culprit in (0..8).step_by(if cfg!(miri) { 7 } else { 1 }) {
            let mut offs = [0; 8];
            offs[culprit] = off;
            let skew = measure(&offs, 30, seed as u64 + 1);
            let wrong = skew.disagreement.abs_diff(off.unsigned_abs());
            assert!(wrong <= skew.doubt, "off by {off}: {skew:?}");
            assert!(skew.doubt < 500, "off by {off}: {skew:?}");
            if off.unsigned_abs() > 500 {
                assert!(skew.step_back > 0 && skew.certain() > 0, "{off}: {skew:?}");
                assert!(skew.step_back <= off.unsigned_abs(), "{off}: {skew:?}");
            }
        }
    }
}

#[test]
fn an_old_step_does_not_count_in_the_next_measurement() {
    let meter = SkewMeter::new();
    assert_eq!(meter.note(1, 2, 0, 1_000), Noted::GoOn);
    assert_eq!(meter.note(1, 2, 1, 10), Noted::GoOn);
    assert!(meter.end(1) && !meter.end(1));
    assert_eq!(meter.result(|| false).unwrap().step_back, 990);
    assert_eq!(meter.note(1, 2, 0, 2_000), Noted::Late);
    assert_eq!(meter.note(2, 2, 1, 2_010), Noted::GoOn);
    assert_eq!(meter.note(2, 2, 0, 2_020), Noted::GoOn);
    assert!(meter.end(2));
    assert_eq!(meter.result(|| false).unwrap().step_back, 0);
    assert_eq!(meter.result(|| true), None);
}

/// Where no two threads ever run at the same time, as few handovers as can be make an end.
#[test]
fn a_late_measurement_ends_soon() {
    let skew = measure(&[0; 8], LATE_TICKS as u64 / 10, 3);
    assert!(skew.handovers < 150, "{skew:?}");
    assert_eq!((skew.threads, skew.step_back, skew.certain()), (8, 0, 0));
}

#[test]
fn nobody_reads_twice_in_a_row() {
    let meter = SkewMeter::new();
    assert!(meter.is_open_to(3) && meter.try_lock());
    assert!(!meter.try_lock() && !meter.is_open_to(4));
    assert_eq!(meter.note(1, 2, 3, 50), Noted::GoOn);
    meter.unlock();
    assert!(!meter.is_open_to(3) && meter.is_open_to(4));
}
