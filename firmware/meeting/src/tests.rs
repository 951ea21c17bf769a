mod endings;
mod interleavings;

use super::*;
use std::vec::Vec;

const LEADERS: [Phase; 3] = [Phase::RepairTfmr, Phase::Clear, Phase::Reload];

fn go(word: &mut Word, event: Event) -> Verdict {
    let (next, verdict) = step(*word, event);
    *word = next;
    verdict
}

fn join(word: &mut Word, thread: u8, expected: ThreadMask) -> Verdict {
    let seen = *word;
    go(
        word,
        Event::Join {
            thread,
            seen,
            expected,
        },
    )
}

fn done(word: &mut Word, thread: u8) -> Verdict {
    let (generation, phase) = (word.generation, word.phase());
    go(
        word,
        Event::Done {
            thread,
            generation,
            phase,
            findings: Findings::NONE,
        },
    )
}

/// A meeting of threads 0..4 in which everyone has arrived.
fn gathered() -> Word {
    let mut word = Word::default();
    for thread in [2, 0, 3, 1] {
        assert_eq!(join(&mut word, thread, 0xf), Verdict::Joined(1));
    }
    word
}

/// All do their work until this phase comes.
fn until(word: &mut Word, phase: Phase) {
    while word.phase() != phase {
        let current = word.phase();
        for thread in 0..4 {
            if word.phase() == current {
                let _ = done(word, thread);
            }
        }
    }
}

/// Events of the first meeting.
const fn leave(thread: u8) -> Event {
    let generation = 1;
    Event::Leave { thread, generation }
}

const fn retry(thread: u8) -> Event {
    let generation = 1;
    Event::Retry { thread, generation }
}

const fn abort(thread: u8, reason: AbortReason) -> Event {
    Event::Abort {
        thread,
        generation: 1,
        reason,
    }
}

const fn expire(thread: u8, phase: Phase) -> Event {
    Event::Expire {
        thread,
        generation: 1,
        phase,
    }
}

#[test]
fn the_word_round_trips() {
    for bits in [0, u64::MAX, 0x1234_5678_5afe_a55a, 0xffff_ffff_7fff_ffff] {
        assert_eq!(Word::from_bits(bits).to_bits(), bits, "{bits:#x}");
    }
}

#[test]
fn all_phases_pass_in_order_and_the_word_is_idle_again() {
    let mut word = gathered();
    assert_eq!(
        word.leader, 0,
        "the lowest thread leads, whoever came first"
    );
    let mut phases = Vec::new();
    while word.phase() != Phase::Depart {
        let phase = word.phase();
        phases.push(phase);
        for thread in (0..4).rev() {
            let works = !LEADERS.contains(&phase) || thread == 0;
            let task = word.task(thread, 1);
            assert_eq!(
                task,
                if works {
                    Task::Work(phase)
                } else {
                    Task::Wait(phase)
                }
            );
            if works {
                assert_eq!(done(&mut word, thread), Verdict::Accepted);
            }
        }
    }
    use Phase::*;
    assert_eq!(phases, [RepairTfmr, Clean, Clear, Local, Reload, Check]);
    for thread in 0..4 {
        assert_eq!(word.task(thread, 1), Task::Leave);
        assert_eq!(go(&mut word, leave(thread)), Verdict::Accepted);
        assert_eq!(word.task(thread, 1), Task::Gone);
    }
    assert_eq!(word.phase(), Phase::Idle);
    assert_eq!(word.generation, 1);
}

#[test]
fn nobody_passes_a_phase_before_all_are_done() {
    let mut word = gathered();
    done(&mut word, 0);
    assert_eq!(word.phase(), Phase::Clean);
    for thread in [0, 1, 2] {
        done(&mut word, thread);
        assert_eq!(word.phase(), Phase::Clean);
        assert_eq!(word.task(thread, 1), Task::Wait(Phase::Clean));
    }
    assert_eq!(done(&mut word, 2), Verdict::Ignored, "twice does not count");
    done(&mut word, 3);
    assert_eq!(word.phase(), Phase::Clear);
    assert_eq!(
        done(&mut word, 1),
        Verdict::Ignored,
        "only the leader ends its phases"
    );
}

#[test]
fn absent_threads_are_never_waited_for() {
    let mut word = Word::default();
    assert_eq!(join(&mut word, 5, 0), Verdict::Joined(1));
    assert_eq!(word.task(5, 1), Task::Work(Phase::RepairTfmr));
}

#[test]
fn whoever_does_not_come_in_time_is_left_out() {
    let mut word = Word::default();
    join(&mut word, 1, 0xf);
    join(&mut word, 3, 0xf);
    assert!(word.expects(0) && word.expects(2) && !word.expects(1));
    assert_eq!(go(&mut word, expire(1, Phase::Arrive)), Verdict::Accepted);
    assert_eq!((word.participants, word.leader), (0b1010, 1));
    assert_eq!(
        go(&mut word, expire(1, Phase::Arrive)),
        Verdict::Ignored,
        "the second expiry is too late"
    );
    assert_eq!(join(&mut word, 0, 0xf), Verdict::Late);
    assert_eq!(word.task(0, 1), Task::Gone);
    assert_eq!(done(&mut word, 0), Verdict::Ignored);
}

#[test]
fn an_unexpected_thread_is_welcome_while_gathering() {
    let mut word = Word::default();
    join(&mut word, 0, 0b11);
    assert_eq!(join(&mut word, 7, 0), Verdict::Joined(1));
    assert_eq!(word.participants, 0b1000_0011);
}

#[test]
fn a_thread_that_looked_before_a_whole_meeting_looks_again() {
    let seen = Word::default();
    let mut word = seen;
    join(&mut word, 0, 0);
    while word.phase() != Phase::Depart {
        done(&mut word, 0);
    }
    let in_depart = word;
    go(&mut word, leave(0));
    assert_eq!(
        go(
            &mut word,
            Event::Join {
                thread: 1,
                seen,
                expected: 0
            }
        ),
        Verdict::Stale
    );
    let depart = Event::Join {
        thread: 1,
        seen: in_depart,
        expected: 0,
    };
    assert_eq!(go(&mut word, depart), Verdict::Stale);
    join(&mut word, 0, 0b11);
    assert_eq!(word.phase(), Phase::Arrive);
    assert_eq!(go(&mut word, depart), Verdict::Stale);
    assert_eq!(
        go(
            &mut word,
            Event::Join {
                thread: 1,
                seen,
                expected: 0
            }
        ),
        Verdict::Stale
    );
    assert_eq!(join(&mut word, 1, 0), Verdict::Joined(2));
}

#[test]
fn a_thread_that_looked_just_before_the_start_is_in_time() {
    let seen = Word::default();
    let mut word = seen;
    join(&mut word, 0, 0b11);
    let event = Event::Join {
        thread: 1,
        seen,
        expected: 0b11,
    };
    assert_eq!(go(&mut word, event), Verdict::Joined(1));
}

#[test]
fn the_leader_goes_back_a_few_times_at_most() {
    let mut word = gathered();
    for _ in 0..MAX_RETRIES {
        done(&mut word, 0);
        assert_eq!(go(&mut word, retry(0)), Verdict::Ignored, "not from Clean");
        for thread in 0..4 {
            done(&mut word, thread);
        }
        assert_eq!(word.phase(), Phase::Clear);
        let other = retry(1);
        assert_eq!(go(&mut word, other), Verdict::Ignored, "only the leader");
        assert_eq!(go(&mut word, retry(0)), Verdict::Accepted);
        assert_eq!(word.phase(), Phase::RepairTfmr);
    }
    assert_eq!(go(&mut word, retry(0)), Verdict::Ignored);
}

#[test]
fn an_error_that_one_thread_still_sees_sends_all_back_until_it_counts_as_failed() {
    let mut word = gathered();
    let mut walks = 0;
    while word.phase() != Phase::Depart {
        let phase = word.phase();
        walks += usize::from(phase == Phase::RepairTfmr);
        for thread in 0..4 {
            let sees = phase == Phase::Check && thread == 2;
            let findings = if sees {
                Findings::AGAIN
            } else {
                Findings::NONE
            };
            go(
                &mut word,
                Event::Done {
                    thread,
                    generation: 1,
                    phase,
                    findings,
                },
            );
        }
    }
    assert_eq!(walks, 1 + usize::from(MAX_RETRIES));
    assert!(word.findings.contains(Findings::FAILED));
    assert!(!word.findings.contains(Findings::AGAIN));
    assert_eq!(word.abort_reason(), None);
}

#[test]
fn findings_are_collected_and_begin_anew() {
    let mut word = gathered();
    let findings = Findings::HDEC_LOST;
    let phase = word.phase();
    go(
        &mut word,
        Event::Done {
            thread: 0,
            generation: 1,
            phase,
            findings,
        },
    );
    assert!(word.findings.contains(Findings::HDEC_LOST));
    let reason = AbortReason::TfmrHeld;
    go(&mut word, abort(0, reason));
    for thread in 0..4 {
        go(&mut word, leave(thread));
    }
    assert!(
        word.findings.contains(Findings::HDEC_LOST),
        "kept for those who missed it"
    );
    join(&mut word, 0, 0b11);
    assert_eq!(word.findings, Findings::NONE);
    assert_eq!(word.abort_reason(), None);
}

/// A thread whose meeting was dissolved, or went on without it, is expected in the next one as everyone
/// is; what it still reports is about the old one.
#[test]
fn work_of_one_meeting_does_not_count_for_the_next() {
    let mut word = Word::default();
    join(&mut word, 0, 0b111);
    join(&mut word, 1, 0b111);
    let dissolve = Event::Dissolve {
        thread: 0,
        generation: 1,
    };
    assert_eq!(go(&mut word, dissolve), Verdict::Accepted);
    assert_eq!(join(&mut word, 2, 0b111), Verdict::Joined(2));
    // It would wait for itself.
    assert!(word.expects(1));
    assert_eq!(word.task(1, 1), Task::Gone);
    assert_eq!(join(&mut word, 1, 0b111), Verdict::Joined(2));
    assert_eq!(join(&mut word, 0, 0b111), Verdict::Joined(2));
    let generation = 1;
    let phase = Phase::RepairTfmr;
    let old = [
        Event::Done {
            thread: 0,
            generation,
            phase,
            findings: Findings::NONE,
        },
        Event::Retry {
            thread: 0,
            generation,
        },
    ];
    for event in old {
        let before = word;
        assert_eq!(go(&mut word, event), Verdict::Ignored, "{event:?}");
        assert_eq!(word, before);
    }
    // Nor does one leave a meeting in the name of another.
    let abort = Event::Abort {
        thread: 0,
        generation: 2,
        reason: AbortReason::ReloadFailed,
    };
    assert_eq!(go(&mut word, abort), Verdict::Accepted);
    let leave = Event::Leave {
        thread: 0,
        generation,
    };
    assert_eq!(go(&mut word, leave), Verdict::Ignored);
}
