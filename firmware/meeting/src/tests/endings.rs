//! How a meeting ends: left, given up, without those who are missing.

use super::*;

#[test]
fn an_abort_frees_everyone_from_every_phase() {
    use Phase::{Check, Clean, Clear, Local, Reload, RepairTfmr};
    for phase in [RepairTfmr, Clean, Clear, Local, Reload, Check] {
        let mut word = gathered();
        until(&mut word, phase);
        assert!(word.phase().is_work());
        let reason = AbortReason::ReloadFailed;
        assert_eq!(go(&mut word, abort(2, reason)), Verdict::Accepted);
        assert_eq!(word.abort_reason(), Some(reason));
        assert!(word.findings.contains(Findings::FAILED));
        // It leads, and its report is awaited.
        for thread in [0, 1, 3] {
            assert_eq!(word.task(thread, 1), Task::Wait(Phase::Depart));
        }
        for thread in [2, 0, 1, 3] {
            assert_eq!(word.task(thread, 1), Task::Leave);
            assert_eq!(go(&mut word, leave(thread)), Verdict::Accepted);
        }
        assert_eq!(word.phase(), Phase::Idle);
    }
}

/// A leader that dies before it reports is replaced, and the next one, too. The last to leave ends the
/// meeting.
#[test]
fn who_waits_for_a_report_in_vain_makes_it() {
    let mut word = gathered();
    assert_eq!(
        go(&mut word, abort(2, AbortReason::ClearFailed)),
        Verdict::Accepted
    );
    for (thread, dead) in [(1, 2), (3, 1)] {
        assert_eq!(word.task(thread, 1), Task::Wait(Phase::Depart));
        assert_eq!(word.missing(), mask_of(dead), "nobody waits for who waits");
        assert_eq!(
            go(&mut word, expire(thread, Phase::Depart)),
            Verdict::Accepted
        );
        assert_eq!(word.leader, thread);
        assert_eq!(word.task(thread, 1), Task::Leave, "after its report");
        assert_eq!(word.task(dead, 1), Task::Gone);
        assert_eq!(word.task(0, 1), Task::Wait(Phase::Depart));
    }
    for thread in [3, 0] {
        assert_eq!(go(&mut word, leave(thread)), Verdict::Accepted);
    }
    assert_eq!(word.phase(), Phase::Idle);
}

/// Where nothing failed there is nothing that must be said, and nobody waits.
#[test]
fn a_meeting_that_succeeds_is_left_in_any_order() {
    let mut word = gathered();
    until(&mut word, Phase::Depart);
    for thread in [3, 2, 1, 0] {
        assert_eq!(word.task(thread, 1), Task::Leave);
        assert_eq!(go(&mut word, leave(thread)), Verdict::Accepted);
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
        assert_eq!(
            go(&mut word, abort(thread, AbortReason::TfmrHeld)),
            Verdict::Accepted
        );
        assert_eq!(word.leader, thread);
    }
    let mut word = gathered();
    done(&mut word, 0);
    let stranger = abort(7, AbortReason::TfmrHeld);
    assert_eq!(go(&mut word, stranger), Verdict::Ignored);
    assert_eq!(word.leader, 0);
}

#[test]
fn an_expired_wait_in_a_phase_of_work_aborts() {
    let mut word = gathered();
    done(&mut word, 0);
    done(&mut word, 0);
    assert_eq!(go(&mut word, expire(1, Phase::Clean)), Verdict::Accepted);
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
        until(&mut word, phase);
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
    go(&mut word, abort(0, reason));
    go(&mut word, leave(0));
    assert_eq!(join(&mut word, 0, 0xf), Verdict::Late);
    go(&mut word, expire(1, Phase::Depart));
    assert_eq!(word.phase(), Phase::Idle);
    assert_eq!(join(&mut word, 0, 0b11), Verdict::Joined(2));
    assert_eq!(go(&mut word, leave(3)), Verdict::Ignored);
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
