//! Which of the threads that see a broadcast cause is to report it.

use crate::atomic::{AtomicU64, const_fn};
use core::sync::atomic::Ordering;

/// Finds the first of several threads that see the same broadcast cause.
///
/// Each thread clears only its own copy of the cause, so a thread that sees it twice is in a new
/// occurrence, and so is everyone once all have seen the old one. A thread that never comes cannot
/// make it forget: it is the others that see the cause again. Threads that are not expected any more
/// do not count, lest a cause that they saw hide a new one from those who are left.
#[derive(Debug)]
pub(crate) struct FirstSeer(AtomicU64);

impl FirstSeer {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    /// Whether the thread with bit `me` is the first; `all` are those who see the cause.
    pub(crate) fn is_first(&self, me: u64, all: u64) -> bool {
        let all = all | me;
        let is_first = |seen: u64| seen & all == 0 || seen & me != 0;
        let next = |seen: u64| {
            let seen = if is_first(seen) { me } else { seen & all | me };
            Some(if seen == all { 0 } else { seen })
        };
        // The closure always gives a value, so both ways give what was there before. The word is all
        // that it is about: nothing else is published with it.
        let (Ok(before) | Err(before)) =
            self.0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        is_first(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_of_an_occurrence_is_first() {
        let seer = FirstSeer::new();
        for _ in 0..3 {
            let firsts = [2, 0, 3, 1].map(|thread| seer.is_first(1 << thread, 0xf));
            assert_eq!(firsts, [true, false, false, false]);
        }
    }

    #[test]
    fn seeing_it_again_is_a_new_occurrence() {
        let seer = FirstSeer::new();
        assert!(seer.is_first(1, 0xf));
        assert!(!seer.is_first(2, 0xf));
        assert!(seer.is_first(1, 0xf));
        assert!(!seer.is_first(2, 0xf));
    }

    #[test]
    fn a_thread_that_never_comes_neither_hides_nor_doubles_an_occurrence() {
        let seer = FirstSeer::new();
        // Thread 3 is expected, but lost.
        for _ in 0..5 {
            let firsts = [0, 1, 2].map(|thread| seer.is_first(1 << thread, 0xf));
            assert_eq!(firsts, [true, false, false]);
        }
        // Any order; the first to come again is in the new occurrence.
        let firsts = [2, 0, 1].map(|thread| seer.is_first(1 << thread, 0xf));
        assert_eq!(firsts, [true, false, false]);
    }

    #[test]
    fn a_late_thread_is_in_the_occurrence_of_the_others() {
        let seer = FirstSeer::new();
        for thread in 0..3 {
            seer.is_first(1 << thread, 0xf);
        }
        // A second occurrence, of which thread 3 knows no more than of the first.
        assert!(seer.is_first(1 << 1, 0xf));
        assert!(!seer.is_first(1 << 3, 0xf));
        assert!(!seer.is_first(1 << 0, 0xf));
        assert!(!seer.is_first(1 << 2, 0xf));
        assert!(seer.is_first(1 << 3, 0xf), "all have seen that one");
    }

    #[test]
    fn threads_that_went_offline_do_not_hide_a_new_occurrence() {
        let seer = FirstSeer::new();
        assert!(seer.is_first(1, 0xf));
        assert!(!seer.is_first(2, 0xf));
        // 0 and 1 are set absent; 2 and 3 are left.
        assert!(seer.is_first(4, 0xc));
        assert!(!seer.is_first(8, 0xc));
        // One that is not expected still reports what it sees.
        assert!(seer.is_first(1, 0xc));
    }
}
