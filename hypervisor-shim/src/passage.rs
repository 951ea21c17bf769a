//! The way of one thread into its guest, out of it, and through an HMI: in which order it makes its
//! steps on the core's word, and what lies between them.
//!
//! This is the order that keeps TB right, as a pure machine: [`Passage::action`] says what is to be
//! done now, [`Passage::step`] takes what came of it. [`crate::guest`] and [`crate::attend`] carry the
//! actions out; the checker in `tests/protocol` explores the same machine with all interleavings.
//!
//! In: ask, offset into TB, look whether TB can be trusted, run.
//!
//! For an HMI:
//! 1. Close the core: from now on no guest is entered. Ring the siblings that are in one.
//! 2. Take the own offset out of TB and leave the own bit.
//! 3. Wait until nobody of this core is in a guest.
//! 4. Call the firmware. It meets the other threads and repairs.
//! 5. Wait until all who closed are back. While that lasts, call the firmware again now and then: for
//!    an error that came since, a sibling may wait for this thread there. Then one claims (bit 63) and resyncs if TB is still not valid.
//! 6. Open. The last one begins the next epoch; only then is a guest entered again.

use crate::core_word::{Answer, CoreWord, Event};

/// Who a thread is among the threads of its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// Its number in the core.
    pub number: u8,
    /// Threads of its core that run the shim.
    pub siblings: u8,
    /// Threads that have the same TB, itself among them.
    pub sharing: u8,
}

impl Who {
    const fn own(self) -> u8 {
        1 << self.number
    }

    /// The siblings that are in a guest.
    #[must_use]
    pub const fn others_in_guest(self, word: CoreWord) -> u8 {
        word.in_guest() & !self.own() & self.siblings
    }
}

/// What a thread waits for. Every wait ends with the budget, or when somebody gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wait {
    /// Until nobody of the core is in a guest.
    Guests,
    /// Until all who closed are back from the firmware.
    Siblings,
    /// Until the claimant has resolved the round.
    Claim,
}

impl Wait {
    /// Whom the thread still waits for; 0: the wait is over.
    #[must_use]
    pub const fn missing(self, who: Who, word: CoreWord) -> u8 {
        match self {
            Self::Guests => word.in_guest(),
            Self::Siblings => word.closing() & !word.returned(),
            Self::Claim if word.resolved() || !word.claimed() => 0,
            Self::Claim => word.closing() & !who.own(),
        }
    }
}

/// How a guest was left, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Something that is answered at once: the guest may go on.
    Answered,
    /// The thread is wanted in host context.
    Wanted,
    /// An HMI.
    Hmi,
}

/// How a passage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The guest was left in good order; the thread is in host context.
    Left,
    /// An HMI was handled.
    Attended,
    /// The guest could not be entered: the TB is another guest's, or siblings still close.
    Busy,
}

/// Where a thread stands: what it is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the action of each is in `Passage::action`")]
pub enum Place {
    Asking,
    SwitchingIn,
    Looking,
    InGuest,
    AfterAnswer,
    AfterExit,
    SwitchingOut,
    Leaving,
    Closing { interrupted: bool },
    Ringing { others: u8 },
    TakingOut,
    LeavingForHmi,
    Awaiting(Wait),
    GivingUp(Wait),
    Going,
    Calling,
    Returning,
    Claiming,
    Judging,
    Resyncing,
    Resolving,
    Opening,
    Over(Outcome),
}

/// What the thread has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Apply this to the core's word, and observe [`Observation::Answered`].
    Word(Event),
    /// Load the core's word, and observe [`Observation::Word`].
    Load,
    /// Put the guest's offset into TB.
    PutOffsetIn,
    /// Look whether something stands against running the guest: an HMI that waits, a TB that TFMR
    /// does not call valid. Observe [`Observation::Judged`].
    Look,
    /// Run the guest until it is left, and observe [`Observation::Exit`].
    RunGuest,
    /// If TB can be trusted, take the guest's time and offset out in good order. Observe
    /// [`Observation::Judged`]; `false`: nothing was taken out.
    SwitchOut,
    /// Ring these threads.
    Ring(u8),
    /// Take the guest's offset out of TB, if it is in.
    TakeOffsetOut,
    /// Load the core's word, after a spin if the last look did not end the wait. Observe
    /// [`Observation::Word`], or [`Observation::Expired`] when the budget is used up, or
    /// [`Observation::Called`] or [`Observation::Interrupted`].
    Await(Wait),
    /// Apply [`Event::Abort`] to the core's word, and tell who is missing.
    GiveUp(Wait),
    /// Call `OPAL_HANDLE_HMI2`.
    CallFirmware,
    /// Ask TFMR whether TB can be used, and observe [`Observation::Judged`].
    Judge,
    /// Call `OPAL_RESYNC_TIMEBASE`.
    Resync,
    /// Nothing: it is over.
    Finish(Outcome),
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observation {
    /// It is done.
    Done,
    /// The word that an event left, and its answer.
    Answered(CoreWord, Answer),
    /// The core's word.
    Word(CoreWord),
    /// Whether it is well: TB can be used.
    Judged(bool),
    /// How the guest was left.
    Exit(Exit),
    /// The budget of a wait is used up.
    Expired,
    /// It has waited for a while: it is time to see whether others wait for it in the firmware.
    Called,
    /// While it waits for others, an HMI of the timer came for this thread.
    Interrupted,
}

/// The state of a thread on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Passage {
    /// Where it stands.
    pub place: Place,
    /// The epoch of the core that it attended last.
    pub attended: Option<u16>,
}

const INTERRUPTED: Place = Place::Closing { interrupted: true };
const SUMMONED: Place = Place::Closing { interrupted: false };

impl Passage {
    /// At the way into the guest.
    #[must_use]
    pub const fn enter(attended: Option<u16>) -> Self {
        let place = Place::Asking;
        Self { place, attended }
    }

    /// At the way through an HMI, from host context. `interrupted`: it is this thread that took it.
    #[must_use]
    pub const fn attend(attended: Option<u16>, interrupted: bool) -> Self {
        let place = Place::Closing { interrupted };
        Self { place, attended }
    }

    /// What is to be done now.
    #[must_use]
    pub const fn action(self, who: Who) -> Action {
        let thread = who.number;
        match self.place {
            Place::Asking => Action::Word(Event::Enter {
                thread,
                sharing: who.sharing,
            }),
            Place::SwitchingIn => Action::PutOffsetIn,
            Place::Looking => Action::Look,
            Place::InGuest => Action::RunGuest,
            Place::AfterAnswer | Place::AfterExit => Action::Load,
            Place::SwitchingOut => Action::SwitchOut,
            Place::Leaving | Place::LeavingForHmi => Action::Word(Event::Leave { thread }),
            Place::Closing { interrupted } => Action::Word(Event::Close {
                thread,
                interrupted,
            }),
            Place::Ringing { others } => Action::Ring(others),
            Place::TakingOut => Action::TakeOffsetOut,
            Place::Awaiting(wait) => Action::Await(wait),
            Place::GivingUp(wait) => Action::GiveUp(wait),
            Place::Going => Action::Word(Event::Go { thread }),
            Place::Calling => Action::CallFirmware,
            Place::Returning => Action::Word(Event::Back { thread }),
            Place::Claiming => Action::Word(Event::Claim),
            Place::Judging => Action::Judge,
            Place::Resyncing => Action::Resync,
            Place::Resolving => Action::Word(Event::Resolve),
            Place::Opening => Action::Word(Event::Open { thread }),
            Place::Over(outcome) => Action::Finish(outcome),
        }
    }

    /// Goes on with what came of the action. An observation that does not belong to it changes
    /// nothing.
    #[must_use]
    pub const fn step(self, who: Who, observation: Observation) -> Self {
        use Observation::{
            Answered, Called, Done, Exit as Exited, Expired, Interrupted, Judged, Word,
        };
        let place = match (self.place, observation) {
            (Place::Asking, Answered(_, Answer::Entered)) => Place::SwitchingIn,
            (Place::Asking, Answered(word, Answer::Closing)) if word.summons(self.attended) => {
                SUMMONED
            }
            (Place::Asking, Answered(..)) => Place::Over(Outcome::Busy),
            (Place::SwitchingIn, Done) => Place::Looking,
            // An HMI that came while interrupts were closed would otherwise be taken as the first
            // thing in the guest, with a TB that cannot be trusted.
            (Place::Looking, Judged(well)) => {
                if well {
                    Place::InGuest
                } else {
                    INTERRUPTED
                }
            }
            (Place::InGuest, Exited(Exit::Answered)) => Place::AfterAnswer,
            (Place::InGuest, Exited(Exit::Wanted)) => Place::AfterExit,
            (Place::InGuest, Exited(Exit::Hmi)) => INTERRUPTED,
            (Place::AfterAnswer, Word(word)) if word.closing() == 0 => Place::Looking,
            (Place::AfterAnswer | Place::AfterExit, Word(word)) => {
                if word.summons(self.attended) {
                    SUMMONED
                } else {
                    Place::SwitchingOut
                }
            }
            (Place::SwitchingOut, Judged(well)) => {
                if well {
                    Place::Leaving
                } else {
                    INTERRUPTED
                }
            }
            (Place::Leaving, Answered(..)) => Place::Over(Outcome::Left),
            (SUMMONED, Answered(_, Answer::Past)) => Place::Over(Outcome::Attended),
            (Place::Closing { .. }, Answered(word, _)) => {
                let others = who.others_in_guest(word);
                Place::Ringing { others }
            }
            // The guest's offset goes out of TB *before* the firmware may put host time back: taken
            // out afterwards it would make host time wrong by the offset.
            (Place::Ringing { .. }, Done) if !cfg!(feature = "mutate-skip-offset") => {
                Place::TakingOut
            }
            (Place::TakingOut, Done) if cfg!(feature = "mutate-skip-offset") => Place::Returning,
            (Place::Ringing { .. } | Place::TakingOut, Done) => Place::LeavingForHmi,
            (Place::LeavingForHmi, Answered(..)) => {
                if cfg!(feature = "mutate-skip-guest-wait") {
                    Place::Going
                } else {
                    Place::Awaiting(Wait::Guests)
                }
            }
            // Who goes to the firmware now attends this epoch, whenever it closed.
            (Place::Going, Answered(word, _)) => {
                return Self {
                    place: Place::Calling,
                    attended: Some(word.epoch()),
                };
            }
            (Place::Awaiting(wait), Word(word)) => {
                if wait.missing(who, word) == 0 {
                    after(wait)
                } else if word.aborted() {
                    Place::GivingUp(wait)
                } else {
                    self.place
                }
            }
            // TB stays closed to guests all the while.
            (Place::Awaiting(Wait::Siblings | Wait::Claim), Called) => Place::Going,
            (Place::Awaiting(Wait::Siblings | Wait::Claim), Interrupted) => INTERRUPTED,
            (Place::Awaiting(wait), Expired) => Place::GivingUp(wait),
            (Place::GivingUp(Wait::Claim), Answered(..)) => Place::Opening,
            (Place::GivingUp(wait), Answered(..)) => after(wait),
            (Place::Calling, Done) if cfg!(feature = "mutate-skip-offset") => Place::TakingOut,
            (Place::Calling, Done) => Place::Returning,
            (Place::Returning, Answered(..)) => Place::Awaiting(Wait::Siblings),
            // The word says that nobody is in a guest and nobody can enter: TB may be rewritten.
            (Place::Claiming, Answered(word, Answer::Won)) => {
                if word.may_rewrite_timebase() {
                    Place::Judging
                } else {
                    Place::Resolving
                }
            }
            (Place::Claiming, Answered(_, Answer::Held)) => Place::Awaiting(Wait::Claim),
            (Place::Claiming, Answered(_, Answer::Early)) => Place::Awaiting(Wait::Siblings),
            (Place::Claiming, Answered(..)) => Place::Opening,
            (Place::Judging, Judged(well)) => {
                if well {
                    Place::Resolving
                } else {
                    Place::Resyncing
                }
            }
            (Place::Resyncing, Done) => Place::Resolving,
            (Place::Resolving, Answered(..)) => Place::Opening,
            (Place::Opening, Answered(..)) => Place::Over(Outcome::Attended),
            (unchanged, _) => unchanged,
        };
        Self {
            place,
            attended: self.attended,
        }
    }
}

/// What follows a wait. The word says whether a claim was resolved, or another round began.
const fn after(wait: Wait) -> Place {
    match wait {
        Wait::Guests => Place::Going,
        Wait::Siblings | Wait::Claim => Place::Claiming,
    }
}

#[cfg(test)]
mod tests;
