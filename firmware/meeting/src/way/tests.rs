use super::*;
use crate::{mask_of, step};

const ALL: u8 = 0b111;

fn found(seen: Word, core: bool) -> Observation {
    Observation::Found { seen, core }
}

/// A meeting that gathers, which thread 0 called.
fn called() -> Word {
    let seen = Word::default();
    let event = Event::Join {
        thread: 0,
        seen,
        expected: ALL,
    };
    step(seen, event).0
}

/// The others clean what only it can clean; and an error that is gone for it may not be for them.
#[test]
fn who_is_expected_comes_though_it_sees_nothing_wrong() {
    let word = called();
    for came in [Came::ByInterrupt, Came::BySibling, Came::FromIdle] {
        for core in [false, true] {
            let way = Way::new(1, came).step(found(word, core));
            let seen = word.as_seen();
            assert_eq!(way.action(), Action::Join { seen }, "{came:?} {core}");
        }
        // Who is not expected has no reason.
        let way = Way::new(1, came).step(found(Word::default(), false));
        assert_eq!(way.action(), Action::HandleAlone, "{came:?}");
    }
}

/// Those who looked since then see nothing wrong: nobody may wait for them until the budget ends.
#[test]
fn a_meeting_for_an_error_that_is_gone_is_dissolved_and_all_look_again() {
    let word = called();
    let waiting = Way {
        place: Place::Waiting(Phase::Arrive),
        broken: true,
        generation: 1,
        ..Way::new(0, Came::ByInterrupt)
    };
    let way = waiting.step(Observation::Mended);
    let Action::Apply(event) = way.action() else {
        panic!("{way:?}");
    };
    let (dissolved, verdict) = step(word, event);
    assert_eq!(
        (dissolved.phase(), verdict),
        (Phase::Idle, Verdict::Accepted)
    );
    assert_eq!(dissolved.participants & mask_of(1), 0);
    let way = way.step(Observation::Verdict(verdict));
    let way = way.step(Observation::Word(dissolved));
    assert_eq!(way.action(), Action::Look);
    // One that came because it is expected knows nothing of an error, so cannot say that it is gone.
    let expected = Way {
        broken: false,
        ..waiting
    };
    let way = expected.step(Observation::Mended);
    assert_eq!(way.action(), Action::Load);
}
