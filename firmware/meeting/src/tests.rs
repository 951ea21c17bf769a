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
        assert_eq!(
            go(
                &mut word,
                Event::Leave {
                    thread,
                    generation: 1
                }
            ),
            Verdict::Accepted
        );
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
    let expire = Event::Expire {
        thread: 1,
        generation: 1,
        phase: Phase::Arrive,
    };
    assert_eq!(go(&mut word, expire), Verdict::Accepted);
    assert_eq!((word.participants, word.leader), (0b1010, 1));
    assert_eq!(
        go(&mut word, expire),
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
    go(
        &mut word,
        Event::Leave {
            thread: 0,
            generation: 1,
        },
    );
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
fn an_abort_frees_everyone_from_every_phase() {
    for phases in 0..6 {
        let mut word = gathered();
        for _ in 0..phases {
            let phase = word.phase();
            while word.phase() == phase {
                for thread in 0..4 {
                    let _ = done(&mut word, thread);
                    if word.phase() != phase {
                        break;
                    }
                }
            }
        }
        assert!(word.phase().is_work());
        let reason = AbortReason::ReloadFailed;
        let abort = Event::Abort {
            thread: 2,
            generation: 1,
            reason,
        };
        assert_eq!(go(&mut word, abort), Verdict::Accepted);
        assert_eq!(word.abort_reason(), Some(reason));
        assert!(word.findings.contains(Findings::FAILED));
        // It leads, and its report is awaited.
        for thread in [0, 1, 3] {
            assert_eq!(word.task(thread, 1), Task::Wait(Phase::Depart));
        }
        for thread in [2, 0, 1, 3] {
            assert_eq!(word.task(thread, 1), Task::Leave);
            let leave = Event::Leave {
                thread,
                generation: 1,
            };
            assert_eq!(go(&mut word, leave), Verdict::Accepted);
        }
        assert_eq!(word.phase(), Phase::Idle);
    }
}

/// A leader that dies before it reports is replaced, and the next one, too. The last to leave ends the
/// meeting.
#[test]
fn who_waits_for_a_report_in_vain_makes_it() {
    let mut word = gathered();
    let abort = Event::Abort {
        thread: 2,
        generation: 1,
        reason: AbortReason::ClearFailed,
    };
    assert_eq!(go(&mut word, abort), Verdict::Accepted);
    for (thread, dead) in [(1, 2), (3, 1)] {
        assert_eq!(word.task(thread, 1), Task::Wait(Phase::Depart));
        assert_eq!(word.missing(), mask_of(dead), "nobody waits for who waits");
        let expire = Event::Expire {
            thread,
            generation: 1,
            phase: Phase::Depart,
        };
        assert_eq!(go(&mut word, expire), Verdict::Accepted);
        assert_eq!(word.leader, thread);
        assert_eq!(word.task(thread, 1), Task::Leave, "after its report");
        assert_eq!(word.task(dead, 1), Task::Gone);
        assert_eq!(word.task(0, 1), Task::Wait(Phase::Depart));
    }
    for thread in [3, 0] {
        let leave = Event::Leave {
            thread,
            generation: 1,
        };
        assert_eq!(go(&mut word, leave), Verdict::Accepted);
    }
    assert_eq!(word.phase(), Phase::Idle);
}

/// Where nothing failed there is nothing that must be said, and nobody waits.
#[test]
fn a_meeting_that_succeeds_is_left_in_any_order() {
    let mut word = gathered();
    while word.phase() != Phase::Depart {
        for thread in 0..4 {
            let _ = done(&mut word, thread);
        }
    }
    for thread in [3, 2, 1, 0] {
        assert_eq!(word.task(thread, 1), Task::Leave);
        let leave = Event::Leave {
            thread,
            generation: 1,
        };
        assert_eq!(go(&mut word, leave), Verdict::Accepted);
    }
}

#[test]
fn an_abort_of_another_meeting_or_of_a_stranger_changes_nothing() {
    let mut word = gathered();
    let reason = AbortReason::TfmrCorrupt;
    for (thread, generation) in [(0, 0), (0, 2), (5, 1)] {
        let before = word;
        let abort = Event::Abort {
            thread,
            generation,
            reason,
        };
        assert_eq!(go(&mut word, abort), Verdict::Ignored);
        assert_eq!(word, before);
    }
}

/// Whoever led may be dead, with a lock in hand that others waited for: who is alive owes the report.
#[test]
fn who_gives_up_leads_from_then_on() {
    for thread in 0..4 {
        let mut word = gathered();
        done(&mut word, 0);
        let abort = Event::Abort {
            thread,
            generation: 1,
            reason: AbortReason::TfmrHeld,
        };
        assert_eq!(go(&mut word, abort), Verdict::Accepted);
        assert_eq!(word.leader, thread);
    }
    let mut word = gathered();
    done(&mut word, 0);
    let stranger = Event::Abort {
        thread: 7,
        generation: 1,
        reason: AbortReason::TfmrHeld,
    };
    assert_eq!(go(&mut word, stranger), Verdict::Ignored);
    assert_eq!(word.leader, 0);
}

#[test]
fn an_expired_wait_in_a_phase_of_work_aborts() {
    let mut word = gathered();
    done(&mut word, 0);
    done(&mut word, 0);
    let expire = Event::Expire {
        thread: 1,
        generation: 1,
        phase: Phase::Clean,
    };
    assert_eq!(go(&mut word, expire), Verdict::Accepted);
    assert_eq!(word.abort_reason(), Some(AbortReason::WaitExpired));
    assert_eq!(word.phase(), Phase::Depart);
}

/// Nobody waits in `Depart` for who was missing before, and if that was the leader another has the
/// report to make.
#[test]
fn who_is_missing_in_a_phase_of_work_is_not_waited_for_again() {
    for (phase, missing) in [
        (Phase::RepairTfmr, 0),
        (Phase::Clean, 0),
        (Phase::Clean, 2),
        (Phase::Reload, 0),
    ] {
        let mut word = gathered();
        while word.phase() != phase {
            let current = word.phase();
            for thread in 0..4 {
                if word.phase() == current {
                    let _ = done(&mut word, thread);
                }
            }
        }
        for thread in (0..4).filter(|thread| *thread != missing && !phase.is_leaders()) {
            assert_eq!(done(&mut word, thread), Verdict::Accepted);
        }
        assert_eq!(word.missing(), mask_of(missing));
        let (generation, waiting) = (1, 3);
        let expire = Event::Expire {
            thread: waiting,
            generation,
            phase,
        };
        assert_eq!(go(&mut word, expire), Verdict::Accepted);
        assert_eq!(
            word.leader, waiting,
            "{phase:?}: of the others any may be dead"
        );
        assert_eq!(word.task(missing, generation), Task::Gone);
        for thread in [waiting, 0, 1, 2] {
            if thread == missing {
                continue;
            }
            assert_eq!(word.task(thread, generation), Task::Leave);
            go(&mut word, Event::Leave { thread, generation });
        }
        assert_eq!(word.phase(), Phase::Idle);
    }
}

#[test]
fn stragglers_in_depart_are_forgotten() {
    let mut word = gathered();
    let reason = AbortReason::TfmrCorrupt;
    go(
        &mut word,
        Event::Abort {
            thread: 0,
            generation: 1,
            reason,
        },
    );
    go(
        &mut word,
        Event::Leave {
            thread: 0,
            generation: 1,
        },
    );
    assert_eq!(join(&mut word, 0, 0xf), Verdict::Late);
    go(
        &mut word,
        Event::Expire {
            thread: 1,
            generation: 1,
            phase: Phase::Depart,
        },
    );
    assert_eq!(word.phase(), Phase::Idle);
    assert_eq!(join(&mut word, 0, 0b11), Verdict::Joined(2));
    assert_eq!(
        go(
            &mut word,
            Event::Leave {
                thread: 3,
                generation: 1
            }
        ),
        Verdict::Ignored
    );
}

#[test]
fn the_leader_goes_back_a_few_times_at_most() {
    let mut word = gathered();
    let retry = Event::Retry {
        thread: 0,
        generation: 1,
    };
    for _ in 0..MAX_RETRIES {
        done(&mut word, 0);
        assert_eq!(go(&mut word, retry), Verdict::Ignored, "not from Clean");
        for thread in 0..4 {
            done(&mut word, thread);
        }
        assert_eq!(word.phase(), Phase::Clear);
        let other = Event::Retry {
            thread: 1,
            generation: 1,
        };
        assert_eq!(go(&mut word, other), Verdict::Ignored, "only the leader");
        assert_eq!(go(&mut word, retry), Verdict::Accepted);
        assert_eq!(word.phase(), Phase::RepairTfmr);
    }
    assert_eq!(go(&mut word, retry), Verdict::Ignored);
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
    go(
        &mut word,
        Event::Abort {
            thread: 0,
            generation: 1,
            reason,
        },
    );
    for thread in 0..4 {
        go(
            &mut word,
            Event::Leave {
                thread,
                generation: 1,
            },
        );
    }
    assert!(
        word.findings.contains(Findings::HDEC_LOST),
        "kept for those who missed it"
    );
    join(&mut word, 0, 0b11);
    assert_eq!(word.findings, Findings::NONE);
    assert_eq!(word.abort_reason(), None);
}

/// Every order in which three threads can take their steps, with expiries in between: the word
/// never leaves a participant without a task for ever, and ends idle.
#[test]
fn every_interleaving_of_three_threads_ends_idle() {
    use std::collections::HashSet;
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    enum Thread {
        Outside,
        Inside(u32),
        Home,
    }
    type State = (Word, [Thread; 3]);
    let start: State = (Word::default(), [Thread::Outside; 3]);
    let mut known = HashSet::from([start]);
    let mut open = Vec::from([start]);
    while let Some((word, threads)) = open.pop() {
        let mut successors: Vec<State> = Vec::new();
        for (index, thread) in threads.into_iter().enumerate() {
            let number = index as u8;
            let mut after = |event: Event, to: Thread| {
                let (next, verdict) = step(word, event);
                let mut moved = threads;
                moved[index] = match verdict {
                    Verdict::Joined(generation) => Thread::Inside(generation),
                    _ => to,
                };
                successors.push((next, moved));
            };
            match thread {
                Thread::Home => {}
                // A late thread finds everything repaired and goes home.
                Thread::Outside => after(
                    Event::Join {
                        thread: number,
                        seen: word,
                        expected: 0b111,
                    },
                    Thread::Home,
                ),
                Thread::Inside(generation) => match word.task(number, generation) {
                    Task::Wait(phase) => after(
                        Event::Expire {
                            thread: number,
                            generation,
                            phase,
                        },
                        thread,
                    ),
                    Task::Work(phase) => {
                        let findings = Findings::NONE;
                        after(
                            Event::Done {
                                thread: number,
                                generation,
                                phase,
                                findings,
                            },
                            thread,
                        );
                        let reason = AbortReason::ReloadFailed;
                        after(
                            Event::Abort {
                                thread: number,
                                generation,
                                reason,
                            },
                            thread,
                        );
                        after(
                            Event::Retry {
                                thread: number,
                                generation,
                            },
                            thread,
                        );
                    }
                    Task::Leave => after(
                        Event::Leave {
                            thread: number,
                            generation,
                        },
                        Thread::Home,
                    ),
                    Task::Gone => after(
                        Event::Leave {
                            thread: number,
                            generation,
                        },
                        Thread::Home,
                    ),
                },
            }
        }
        let all_home = threads.iter().all(|thread| *thread == Thread::Home);
        assert_eq!(successors.is_empty(), all_home, "stuck in {word:?}");
        if all_home {
            assert_eq!(word.phase(), Phase::Idle);
        }
        for next in successors {
            if known.insert(next) {
                open.push(next);
            }
        }
    }
    assert!(known.len() > 200, "{} states", known.len());
}

/// What belongs to no phase of work changes nothing.
#[test]
fn events_of_another_meeting_or_phase_are_ignored() {
    let reason = AbortReason::ClearFailed;
    let abort = |generation| Event::Abort {
        thread: 0,
        generation,
        reason,
    };
    let mut word = Word::default();
    let idle = Event::Expire {
        thread: 0,
        generation: 0,
        phase: Phase::Idle,
    };
    assert_eq!(go(&mut word, idle), Verdict::Ignored);
    assert_eq!(join(&mut word, 0, 0b11), Verdict::Joined(1));
    let gathering = word;
    assert_eq!(go(&mut word, abort(1)), Verdict::Ignored);
    for generation in [0, 2] {
        let phase = Phase::Arrive;
        let expired = Event::Expire {
            thread: 0,
            generation,
            phase,
        };
        assert_eq!(go(&mut word, expired), Verdict::Ignored);
    }
    assert_eq!(word, gathering);
    let mut word = gathered();
    assert_eq!(go(&mut word, abort(1)), Verdict::Accepted);
    let over = word;
    assert_eq!(word.phase(), Phase::Depart);
    assert_eq!(go(&mut word, abort(1)), Verdict::Ignored);
    assert_eq!(word, over);
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
