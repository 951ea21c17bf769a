extern crate std;

use super::*;
use crate::core_word::step;
use std::vec;

const ME: Who = Who {
    number: 0,
    siblings: 0b111,
    sharing: 0b001,
};

fn word(events: &[Event]) -> CoreWord {
    let start = CoreWord::default();
    events
        .iter()
        .fold(start, |word, event| step(word, *event).0)
}

const fn close(thread: u8) -> Event {
    let interrupted = true;
    Event::Close {
        thread,
        interrupted,
    }
}

fn waiting(wait: Wait) -> Passage {
    Passage {
        place: Place::Awaiting(wait),
        attended: Some(0),
    }
}

/// Else it would try the claim again and again, without a budget.
#[test]
fn the_wait_for_siblings_lasts_until_the_last_is_back() {
    let passage = waiting(Wait::Siblings);
    let mut events = vec![close(0), close(1), close(2), Event::Back { thread: 0 }];
    for thread in [1, 2] {
        let word = word(&events);
        assert_eq!(passage.step(ME, Observation::Word(word)), passage);
        assert_ne!(Wait::Siblings.missing(ME, word) & 1 << thread, 0);
        events.push(Event::Back { thread });
    }
    let over = passage.step(ME, Observation::Word(word(&events)));
    assert_eq!(over.place, Place::Claiming);
}

/// A new round begins without a claim: whoever waited for the old one tries the new one itself, and does
/// not wait for somebody who has nothing to resolve.
#[test]
fn the_wait_for_a_claim_ends_when_nobody_has_it() {
    let passage = waiting(Wait::Claim);
    let back = |thread| Event::Back { thread };
    let held = [close(0), close(1), back(0), back(1), Event::Claim];
    assert_eq!(passage.step(ME, Observation::Word(word(&held))), passage);
    let again = [&held[..], &[Event::Resolve, close(1)]].concat();
    let now = word(&again);
    assert!(!now.resolved() && !now.claimed());
    let on = passage.step(ME, Observation::Word(now));
    assert_eq!(on.place, Place::Claiming);
}

/// It does not let the others wait for the millisecond after which it would call the firmware anyway.
#[test]
fn an_interrupt_is_heeded_at_once_in_every_wait_for_threads_that_may_wait_for_this_one() {
    for wait in [Wait::Siblings, Wait::Claim] {
        let on = waiting(wait).step(ME, Observation::Interrupted);
        assert_eq!(on.action(ME), Action::Word(close(0)), "{wait:?}");
    }
    // Here it has not called yet, and will.
    let guests = waiting(Wait::Guests);
    assert_eq!(guests.step(ME, Observation::Interrupted), guests);
}

/// For an error that reached one sibling only.
#[test]
fn who_waits_for_siblings_calls_the_firmware_again() {
    for wait in [Wait::Siblings, Wait::Claim] {
        let on = waiting(wait).step(ME, Observation::Called);
        assert_eq!(on.action(ME), Action::Word(Event::Go { thread: 0 }));
        let word = word(&[close(0), Event::Go { thread: 0 }]);
        let on = on.step(ME, Observation::Answered(word, Answer::Noted));
        assert_eq!(on.action(ME), Action::CallFirmware, "{wait:?}");
    }
}

/// A guest must not see a TB that nobody vouches for, be it for one instruction.
#[test]
fn no_guest_is_entered_with_a_timebase_that_is_not_well() {
    let looking = Passage {
        place: Place::Looking,
        attended: None,
    };
    let run = looking.step(ME, Observation::Judged(true));
    assert_eq!(run.action(ME), Action::RunGuest);
    let attend = looking.step(ME, Observation::Judged(false));
    assert_eq!(attend.action(ME), Action::Word(close(0)));
}
