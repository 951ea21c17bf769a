use super::*;

const ALONE: [u8; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

fn go(word: CoreWord, events: &[Event]) -> (CoreWord, Answer) {
    let start = (word, Answer::Noted);
    events
        .iter()
        .fold(start, |(word, _), event| step(word, *event))
}

fn enter(thread: u8, sharing: u8) -> Event {
    Event::Enter { thread, sharing }
}

fn close(thread: u8) -> Event {
    let interrupted = true;
    Event::Close {
        thread,
        interrupted,
    }
}

fn go_to(thread: u8) -> Event {
    Event::Go { thread }
}

fn back(thread: u8) -> Event {
    Event::Back { thread }
}

#[test]
fn an_interrupt_after_the_claim_begins_an_epoch_and_summons_those_who_opened() {
    let both = [close(0), close(1), back(0), back(1), Event::Claim];
    let (word, _) = go(CoreWord::default(), &both);
    assert_eq!(step(word, close(1)).0.epoch(), 0, "nobody can have opened");
    let (word, _) = go(word, &[Event::Resolve, Event::Open { thread: 0 }]);
    let attended = Some(word.epoch());
    assert!(!word.summons(attended));
    let word = step(word, close(1)).0;
    assert!(word.summons(attended) && word.returned() == 0 && !word.resolved());
    assert_eq!(word.closing(), 2);
}

/// Two could summon each other for ever: each comes when the other has just opened.
#[test]
fn who_was_summoned_does_not_close_a_core_that_all_have_opened() {
    let summoned = |thread| Event::Close {
        thread,
        interrupted: false,
    };
    let (open, _) = go(CoreWord::default(), &[close(1), Event::Open { thread: 1 }]);
    assert_eq!(step(open, summoned(0)), (open, Answer::Past));
    let (closing, answer) = go(CoreWord::default(), &[close(1), summoned(0)]);
    assert_eq!((closing.closing(), answer), (0b11, Answer::Noted));
    // What it sees for itself is another matter, and a guest that is left has to be taken out.
    assert_eq!(step(open, close(0)).0.closing(), 1);
    let inside = step(open, enter(0, ALONE[0])).0;
    assert_eq!(step(inside, summoned(0)).0.closing(), 1);
}

#[test]
fn who_goes_to_the_firmware_again_is_not_back() {
    let events = [close(0), back(0), go_to(0)];
    assert_eq!(go(CoreWord::default(), &events).0.returned(), 0);
}

#[test]
fn no_entry_while_closing_and_no_rewrite_while_in_guest() {
    let (word, entry) = step(CoreWord::default(), enter(2, ALONE[2]));
    assert_eq!(entry, Answer::Entered);
    let word = step(word, close(0)).0;
    assert!(!word.may_rewrite_timebase());
    assert_eq!(step(word, enter(1, ALONE[1])), (word, Answer::Closing));
    let word = step(word, Event::Leave { thread: 2 }).0;
    assert!(word.may_rewrite_timebase());
    let (word, answer) = go(word, &[go_to(0), back(0), Event::Open { thread: 0 }]);
    assert_eq!((answer, word.epoch()), (Answer::Opened, 1));
    assert!(!word.may_rewrite_timebase());
    assert_eq!(step(word, enter(1, ALONE[1])).1, Answer::Entered);
}

#[test]
fn a_shared_timebase_takes_one_guest() {
    let (word, _) = step(CoreWord::default(), enter(0, 0xff));
    assert_eq!(step(word, enter(1, 0xff)).1, Answer::Busy);
    let left = step(word, Event::Leave { thread: 0 }).0;
    assert_eq!(step(left, enter(1, 0xff)).1, Answer::Entered);
}

#[test]
fn each_sub_core_takes_a_guest_of_its_own() {
    let (word, _) = step(CoreWord::default(), enter(1, 0x0f));
    assert_eq!(step(word, enter(3, 0x0f)).1, Answer::Busy);
    let (word, answer) = step(word, enter(4, 0xf0));
    assert_eq!((answer, word.in_guest()), (Answer::Entered, 0b0001_0010));
    let word = step(word, close(7)).0;
    let word = step(word, Event::Leave { thread: 1 }).0;
    assert!(
        !word.may_rewrite_timebase(),
        "the other sub-core's guest is still in"
    );
    let word = step(word, Event::Leave { thread: 4 }).0;
    assert!(word.may_rewrite_timebase());
}

#[test]
fn one_claim_a_round() {
    let (word, early) = go(
        CoreWord::default(),
        &[close(0), close(1), go_to(0), back(0), Event::Claim],
    );
    assert_eq!(early, Answer::Early, "one is not back yet");
    assert_eq!(go(word, &[Event::Abort, Event::Claim]).1, Answer::Won);
    let (word, first) = go(word, &[go_to(1), back(1), Event::Claim]);
    assert_eq!(first, Answer::Won);
    assert_eq!(word.0 & CLAIM, 1 << 63);
    assert_eq!(step(word, Event::Claim).1, Answer::Held);
    let word = step(word, Event::Resolve).0;
    assert_eq!(step(word, Event::Claim).1, Answer::Resolved);
    // An error after that opens a new round, unless the thread was only summoned.
    assert_eq!(go(word, &[close(0), Event::Claim]).1, Answer::Early);
    let summoned = Event::Close {
        thread: 0,
        interrupted: false,
    };
    assert_eq!(go(word, &[summoned, Event::Claim]).1, Answer::Resolved);
    let (word, answer) = step(word, Event::Open { thread: 0 });
    assert_eq!(answer, Answer::Noted);
    let (word, answer) = step(word, Event::Open { thread: 1 });
    assert!(answer == Answer::Opened && !word.resolved());
}

#[test]
fn the_last_to_open_forgets_an_abort() {
    let (word, _) = go(CoreWord::default(), &[close(0), close(1), Event::Abort]);
    let word = step(word, Event::Open { thread: 1 }).0;
    assert!(word.aborted());
    let (word, answer) = step(word, Event::Open { thread: 0 });
    assert!(answer == Answer::Opened && !word.aborted());
}

#[test]
fn counters_wrap_within_their_fields() {
    let word = CoreWord(0x0000_0000_ffff_ffff);
    let (word, _) = step(word, enter(7, ALONE[7]));
    assert_eq!(
        (word.entries(), word.epoch(), word.in_guest()),
        (0, 0xffff, 0x80)
    );
    let last = [
        Event::Leave { thread: 7 },
        close(7),
        go_to(7),
        Event::Open { thread: 7 },
    ];
    assert_eq!(go(word, &last).0, CoreWord(0));
}
