//! The bits by which a meeting calls threads and leaves word for them, and who reports first.

use super::{Arc, check, thread};
use crate::hmi::coordinator::{Event, Phase};
use crate::hmi::core_state::CoreState;
use crate::hmi::first_seer::FirstSeer;
use crate::system::Participation;

fn join(core: &CoreState, thread: u8) {
    let seen = core.coordinator.load();
    let expected = core.expected();
    core.coordinator.apply(Event::Join {
        thread,
        seen,
        expected,
    });
}

/// An idle thread that was called would go away again, and let the meeting wait for it, if it did
/// not find the meeting.
#[test]
fn who_is_summoned_finds_the_meeting() {
    check(None, || {
        let core = Arc::new(CoreState::new());
        core.set_participation(0, Participation::Running);
        core.set_participation(1, Participation::FirmwareIdle);
        let caller = {
            let core = core.clone();
            thread::spawn(move || {
                join(&core, 0);
                core.summon_idle();
            })
        };
        while !core.summoned(1) {
            thread::yield_now();
        }
        core.answer_summons(1);
        assert!(core.coordinator.load().expects(1));
        caller.join().unwrap();
    });
}

/// A thread that was waited for in vain takes home what that meeting found, not what one before did.
#[test]
fn who_was_missed_finds_the_meeting_that_missed_it() {
    check(None, || {
        let core = Arc::new(CoreState::new());
        core.set_participation(0, Participation::Running);
        core.set_participation(1, Participation::Running);
        let other = {
            let core = core.clone();
            thread::spawn(move || {
                join(&core, 0);
                core.coordinator.apply(Event::Expire {
                    thread: 0,
                    generation: 1,
                    phase: Phase::Arrive,
                });
                core.note_missed(0b10);
            })
        };
        if core.take_missed(1) {
            let word = core.coordinator.load();
            assert!(word.generation == 1 && word.phase() > Phase::Arrive);
            assert!(!core.take_missed(1), "only once");
        }
        other.join().unwrap();
    });
}

/// A summons that is taken back and one that is given at the same time do not get mixed up.
#[test]
fn a_summons_is_for_one_thread_alone() {
    check(None, || {
        let core = Arc::new(CoreState::new());
        core.set_participation(1, Participation::FirmwareIdle);
        core.set_participation(2, Participation::FirmwareIdle);
        core.summon_idle();
        let threads = [1, 2].map(|number| {
            let core = core.clone();
            thread::spawn(move || {
                assert!(core.summoned(number));
                core.answer_summons(number);
                core.set_participation(number, Participation::Running);
                assert!(!core.summoned(number) && !core.is_idle(number));
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(core.expected(), 0b110);
    });
}

/// However they come, one of the threads that see a cause reports it; then all is forgotten.
fn occurrence<const THREADS: usize>(preemptions: Option<usize>) {
    check(preemptions, || {
        let all = (1 << THREADS) - 1;
        let seer = Arc::new(FirstSeer::new());
        let threads = core::array::from_fn::<_, THREADS, _>(|thread| {
            let seer = seer.clone();
            thread::spawn(move || seer.is_first(1 << thread, all))
        });
        let firsts = threads.map(|thread| thread.join().unwrap());
        assert_eq!(firsts.iter().filter(|first| **first).count(), 1);
        assert!(seer.is_first(2, all), "a new occurrence");
    });
}

#[test]
fn one_thread_reports_an_occurrence() {
    occurrence::<2>(None);
}

#[test]
fn one_of_four_threads_reports_an_occurrence() {
    occurrence::<4>(Some(1));
}
