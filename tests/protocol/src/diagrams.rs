//! The shipped state machines as Mermaid diagrams, made by running them.
//!
//! Every place is given every observation; each change of place is an arrow.

use hmi_meeting::way::{self, Came, Report, Way};
use hmi_meeting::{AbortReason, Findings, Phase, Verdict, Word};
use hypervisor_shim::core_word::{self, Answer, CoreWord};
use hypervisor_shim::passage::{Exit, Observation, Outcome, Passage, Place, Wait, Who};
use std::collections::{BTreeMap, BTreeSet};

/// Arrows: from, to, on what.
type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

fn draw(title: &str, arrows: &Arrows) -> String {
    let mut text = format!("### {title}\n\n```mermaid\nstateDiagram-v2\n");
    for ((from, to), labels) in arrows {
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        text += &format!("    {from} --> {to}: {}\n", labels.join(", "));
    }
    text + "```\n\n"
}

/// A name that Mermaid takes.
fn name(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let text: String = text
        .chars()
        .map(|letter| {
            if letter.is_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let mut parts: Vec<&str> = text.split('_').filter(|part| !part.is_empty()).collect();
    parts.dedup();
    parts.join("_")
}

/// All.
#[must_use]
pub fn all() -> String {
    [
        draw("The way of a thread in the shim", &passage()),
        draw("The phases of a meeting", &phases()),
        draw(
            "The way of a thread through the firmware's handler",
            &handler(),
        ),
    ]
    .concat()
}

const WHO: Who = Who {
    number: 0,
    siblings: 3,
    sharing: 1,
};

fn passage() -> Arrows {
    use core_word::Event;
    let go = |events: &[Event]| {
        let start = CoreWord::default();
        events
            .iter()
            .fold(start, |word, event| core_word::step(word, *event).0)
    };
    let closed = Event::Close {
        thread: 1,
        interrupted: true,
    };
    let own = Event::Close {
        thread: 0,
        interrupted: true,
    };
    let guest = Event::Enter {
        thread: 1,
        sharing: 2,
    };
    let words = [
        ("open", go(&[])),
        ("closing", go(&[closed])),
        ("all out", go(&[own, Event::Back { thread: 0 }])),
        ("somebody missing", go(&[guest, own, closed, Event::Claim])),
        ("aborted", go(&[guest, own, closed, Event::Abort])),
    ];
    let mut observations = vec![
        ("done".to_owned(), Observation::Done),
        ("TB is well".to_owned(), Observation::Judged(true)),
        ("TB is not well".to_owned(), Observation::Judged(false)),
        (
            "answered at once".to_owned(),
            Observation::Exit(Exit::Answered),
        ),
        ("wanted".to_owned(), Observation::Exit(Exit::Wanted)),
        ("HMI".to_owned(), Observation::Exit(Exit::Hmi)),
        ("budget used up".to_owned(), Observation::Expired),
        ("time to call again".to_owned(), Observation::Called),
        ("HMI".to_owned(), Observation::Interrupted),
    ];
    for (text, word) in words {
        observations.push((text.to_owned(), Observation::Word(word)));
    }
    let answers = [
        Answer::Entered,
        Answer::Closing,
        Answer::Busy,
        Answer::Won,
        Answer::Held,
        Answer::Resolved,
        Answer::Early,
        Answer::Past,
        Answer::Opened,
        Answer::Noted,
    ];
    for answer in answers {
        let word = if answer == Answer::Closing {
            words[1].1
        } else {
            words[2].1
        };
        let text = name(&answer).to_lowercase();
        observations.push((text, Observation::Answered(word, answer)));
    }
    let mut arrows = Arrows::new();
    for place in PLACES {
        let passage = Passage {
            place,
            attended: None,
        };
        for (text, observation) in &observations {
            if let Observation::Answered(_, answer) = observation
                && !fits(place, *answer)
            {
                continue;
            }
            let next = passage.step(WHO, *observation).place;
            if next != place {
                let arrow = arrows.entry((label(place), label(next))).or_default();
                arrow.insert(text.clone());
            }
        }
    }
    arrows
}

/// Whether an event of this place can be answered so.
fn fits(place: Place, answer: Answer) -> bool {
    match place {
        Place::Asking => matches!(answer, Answer::Entered | Answer::Closing | Answer::Busy),
        Place::Claiming => matches!(
            answer,
            Answer::Won | Answer::Held | Answer::Resolved | Answer::Early
        ),
        Place::Opening => matches!(answer, Answer::Opened | Answer::Noted),
        Place::Closing { interrupted: false } => matches!(answer, Answer::Past | Answer::Noted),
        _ => answer == Answer::Noted,
    }
}

fn label(place: Place) -> String {
    match place {
        Place::Ringing { .. } => "Ringing".to_owned(),
        Place::Closing { interrupted: true } => "Closing".to_owned(),
        Place::Closing { interrupted: false } => "Closing_summoned".to_owned(),
        other => name(&other),
    }
}

const PLACES: [Place; 27] = [
    Place::Asking,
    Place::SwitchingIn,
    Place::Looking,
    Place::InGuest,
    Place::AfterAnswer,
    Place::AfterExit,
    Place::SwitchingOut,
    Place::Leaving,
    Place::Closing { interrupted: true },
    Place::Closing { interrupted: false },
    Place::Ringing { others: 0 },
    Place::TakingOut,
    Place::LeavingForHmi,
    Place::Awaiting(Wait::Guests),
    Place::Awaiting(Wait::Siblings),
    Place::Awaiting(Wait::Claim),
    Place::GivingUp(Wait::Guests),
    Place::GivingUp(Wait::Siblings),
    Place::GivingUp(Wait::Claim),
    Place::Going,
    Place::Calling,
    Place::Returning,
    Place::Claiming,
    Place::Judging,
    Place::Resyncing,
    Place::Resolving,
    Place::Over(Outcome::Attended),
];

/// What two threads can do to the meeting's word.
fn phases() -> Arrows {
    use hmi_meeting::Event;
    let mut arrows = Arrows::new();
    let mut seen = BTreeSet::new();
    let mut left = vec![Word::default()];
    while let Some(word) = left.pop() {
        if !seen.insert(word.to_bits()) || word.generation > 1 {
            continue;
        }
        for thread in 0..2 {
            let (generation, phase) = (word.generation, word.phase());
            let done = |findings| Event::Done {
                thread,
                generation,
                phase,
                findings,
            };
            let reason = AbortReason::ReloadFailed;
            let abort = Event::Abort {
                thread,
                generation,
                reason,
            };
            let join = Event::Join {
                thread,
                seen: word.as_seen(),
                expected: 3,
            };
            let events = [
                ("join", join),
                ("done", done(Findings::NONE)),
                ("done with an error left", done(Findings::AGAIN)),
                ("retry", Event::Retry { thread, generation }),
                ("abort", abort),
                (
                    "expire",
                    Event::Expire {
                        thread,
                        generation,
                        phase,
                    },
                ),
                ("dissolve", Event::Dissolve { thread, generation }),
                ("leave", Event::Leave { thread, generation }),
            ];
            for (text, event) in events {
                let (next, _) = hmi_meeting::step(word, event);
                if next.phase() != phase {
                    let arrow = (name(&phase), name(&next.phase()));
                    arrows.entry(arrow).or_default().insert(text.to_owned());
                }
                left.push(next);
            }
        }
    }
    arrows
}

/// The words that a thread can see on its way.
fn meeting_words() -> Vec<(&'static str, Word)> {
    let at = |phase: Phase, done: u8, findings: Findings| {
        let bits = 1 << 32
            | u64::from(findings.bits()) << 26
            | (phase as u64) << 16
            | u64::from(done) << 8
            | 3;
        Word::from_bits(bits)
    };
    vec![
        ("gathering", at(Phase::Arrive, 1, Findings::NONE)),
        ("own work", at(Phase::Clean, 0, Findings::NONE)),
        ("others work", at(Phase::Clean, 1, Findings::NONE)),
        ("departing", at(Phase::Depart, 0, Findings::NONE)),
        ("idle", at(Phase::Idle, 0, Findings::NONE)),
    ]
}

fn handler() -> Arrows {
    use way::Observation as Seen;
    let phase = Phase::Clean;
    let places = [
        way::Place::Looking,
        way::Place::Joining,
        way::Place::Meeting,
        way::Place::Waiting(phase),
        way::Place::Waiting(Phase::Arrive),
        way::Place::Expiring(phase),
        way::Place::Dissolving,
        way::Place::Working(phase),
        way::Place::Retrying(phase),
        way::Place::Refused(phase),
        way::Place::Reporting(phase, Report::Done(Findings::NONE)),
        way::Place::TakingHome,
        way::Place::Leaving,
        way::Place::Forgotten,
        way::Place::AwaitingIdle,
        way::Place::Forgetting,
        way::Place::Alone,
        way::Place::LookingAgain,
        way::Place::Complaining,
    ];
    let found = |core: bool| Seen::Found {
        seen: Word::default(),
        core,
    };
    let mut observations = vec![
        ("done", Seen::Done),
        ("error of the core", found(true)),
        ("no error of the core", found(false)),
        ("joined", Seen::Verdict(Verdict::Joined(1))),
        ("stale", Seen::Verdict(Verdict::Stale)),
        ("late", Seen::Verdict(Verdict::Late)),
        ("accepted", Seen::Verdict(Verdict::Accepted)),
        ("ignored", Seen::Verdict(Verdict::Ignored)),
        ("done", Seen::Reported(Report::Done(Findings::NONE))),
        ("retry", Seen::Reported(Report::Retry)),
        ("nothing left", Seen::Complete(true)),
        ("to be looked at again", Seen::Complete(false)),
        ("budget used up", Seen::Expired),
        ("error gone", Seen::Mended),
    ];
    let words = meeting_words();
    observations.extend(words.iter().map(|(text, word)| (*text, Seen::Word(*word))));
    let mut arrows = Arrows::new();
    for place in places {
        for (round, led) in [(0, false), (way::ROUNDS - 1, true)] {
            let mut way = Way::new(0, Came::ByInterrupt);
            way.place = place;
            way.round = round;
            way.led = led;
            way.broken = true;
            way.unrepaired = round != 0;
            way.generation = 1;
            way.seen = words[3].1.as_seen();
            for (text, observation) in &observations {
                if let Seen::Verdict(verdict) = observation
                    && !is_answer(place, *verdict)
                {
                    continue;
                }
                let next = way.step(*observation).place;
                if next != place {
                    let arrow = arrows.entry((kind(place), kind(next))).or_default();
                    arrow.insert((*text).to_owned());
                }
            }
        }
    }
    arrows
}

fn is_answer(place: way::Place, verdict: Verdict) -> bool {
    let joining = matches!(verdict, Verdict::Joined(_) | Verdict::Stale | Verdict::Late);
    joining == (place == way::Place::Joining)
}

/// The place without the phase.
fn kind(place: way::Place) -> String {
    let text = format!("{place:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}
