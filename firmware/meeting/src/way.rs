//! The program of one thread in the handler of the timer's HMIs: look, come to a meeting or start
//! one, work, wait, report, leave; or handle alone what is this thread's affair.
//!
//! It is a pure machine: [`Way::action`] says what is to be done now, [`Way::step`] takes what came
//! of it. It always comes to an end: it looks at most [`ROUNDS`] times, and each wait has a budget.

use crate::{AbortReason, Event, Findings, Phase, Task, Verdict, Word};

/// Meetings that a thread may miss or find stale before it gives up.
pub const ROUNDS: u8 = 4;

/// How a thread came to the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Came {
    /// HMER says that it took the interrupt.
    ByInterrupt,
    /// The OS sent it: a sibling took the interrupt, or TB looked broken.
    BySibling,
    /// The firmware called it from the idle loop, and the core has threads that run the OS.
    FromIdle,
}

/// What a thread reports about its work in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// The phase is done for this thread.
    Done(Findings),
    /// The leader wants the registers cleaned once more.
    Retry,
    /// Nobody needs to go on.
    Abort(AbortReason),
}

/// Where a thread stands: what it is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the action of each is in `Way::action`")]
pub enum Place {
    Looking,
    Joining,
    Meeting,
    Waiting(Phase),
    Expiring(Phase),
    Dissolving,
    Working(Phase),
    Retrying(Phase),
    Refused(Phase),
    Reporting(Phase, Report),
    TakingHome,
    Leaving,
    Forgotten,
    AwaitingIdle,
    Forgetting,
    Alone,
    LookingAgain,
    Complaining,
    Over,
}

/// What the thread has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Load the word, *then* read TFMR, and observe [`Observation::Found`].
    Look,
    /// Deposit what was found, apply [`Event::Join`] with this, and observe
    /// [`Observation::Verdict`].
    Join {
        /// The word as it was before TFMR was read.
        seen: Word,
    },
    /// Load the word, and observe [`Observation::Word`].
    Load,
    /// Wait a spin for the end of this phase, or observe [`Observation::Expired`]; in
    /// [`Phase::Arrive`] also [`Observation::Mended`].
    Wait(Phase),
    /// Apply this to the word, and observe [`Observation::Verdict`].
    Apply(Event),
    /// Do the work of this phase, and observe [`Observation::Reported`].
    Work(Phase),
    /// Judge what can be reported when a retry is refused, and observe [`Observation::Reported`].
    JudgeRefusal(Phase),
    /// Take the findings of the meeting home. Its leader reports to the OS, for all.
    TakeHome {
        /// Whether this thread leads.
        leads: bool,
    },
    /// Report as the leader of a meeting that went on without it.
    ReportForgotten,
    /// Load the word, after a spin if the last look did not end the wait. Observe
    /// [`Observation::Word`] or [`Observation::Expired`].
    AwaitIdle,
    /// Handle what needs no meeting, and observe [`Observation::Complete`].
    HandleAlone,
    /// Read TFMR a last time, and observe [`Observation::Found`].
    LookAgain,
    /// Report that the error is still there: every time the others were at work without this thread.
    Complain,
    /// Nothing: it is over.
    Finish,
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It is done.
    Done,
    /// What TFMR says.
    Found {
        /// The word as it was before TFMR was read.
        seen: Word,
        /// Whether there is an error of the core, or a TB that does not run.
        core: bool,
    },
    /// The word.
    Word(Word),
    /// What became of an event.
    Verdict(Verdict),
    /// How the own work ended.
    Reported(Report),
    /// Whether nothing is left to be looked at.
    Complete(bool),
    /// The budget of a wait is used up.
    Expired,
    /// While others are awaited, TFMR shows no error of the core any more.
    Mended,
}

/// The state of a thread on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// The thread.
    pub thread: u8,
    /// How it came.
    pub came: Came,
    /// Where it stands.
    pub place: Place,
    /// How often it looked in vain.
    pub round: u8,
    /// The last look showed an error of the core.
    pub broken: bool,
    /// The last meeting that it did not get into left an error of the core.
    pub unrepaired: bool,
    /// It led when it last saw its meeting.
    pub led: bool,
    /// What it has seen of the word: [`Word::as_seen`].
    pub seen: Word,
    /// The meeting that it is in.
    pub generation: u32,
}

impl Way {
    /// At the beginning.
    #[must_use]
    pub const fn new(thread: u8, came: Came) -> Self {
        Self {
            thread,
            came,
            place: Place::Looking,
            round: 0,
            broken: false,
            unrepaired: false,
            led: false,
            seen: Word::from_bits(0),
            generation: 0,
        }
    }

    /// What is to be done now.
    #[must_use]
    pub const fn action(self) -> Action {
        let (thread, generation) = (self.thread, self.generation);
        match self.place {
            Place::Looking => Action::Look,
            Place::Joining => Action::Join { seen: self.seen },
            Place::Meeting => Action::Load,
            Place::Waiting(phase) => Action::Wait(phase),
            Place::Expiring(phase) => Action::Apply(Event::Expire {
                thread,
                generation,
                phase,
            }),
            Place::Dissolving => Action::Apply(Event::Dissolve { thread, generation }),
            Place::Working(phase) => Action::Work(phase),
            Place::Retrying(_) => Action::Apply(Event::Retry { thread, generation }),
            Place::Refused(phase) => Action::JudgeRefusal(phase),
            Place::Reporting(phase, report) => Action::Apply(match report {
                Report::Done(findings) => Event::Done {
                    thread,
                    generation,
                    phase,
                    findings,
                },
                Report::Abort(reason) => Event::Abort {
                    thread,
                    generation,
                    reason,
                },
                Report::Retry => Event::Retry { thread, generation },
            }),
            Place::TakingHome => Action::TakeHome { leads: self.led },
            Place::Leaving => Action::Apply(Event::Leave { thread, generation }),
            Place::Forgotten => Action::ReportForgotten,
            Place::AwaitingIdle => Action::AwaitIdle,
            Place::Forgetting => Action::Apply(Event::Expire {
                thread,
                generation: self.seen.generation,
                phase: Phase::Depart,
            }),
            Place::Alone => Action::HandleAlone,
            Place::LookingAgain => Action::LookAgain,
            Place::Complaining => Action::Complain,
            Place::Over => Action::Finish,
        }
    }

    /// Goes on with what came of the action. An observation that does not belong to it changes
    /// nothing.
    #[must_use]
    pub const fn step(self, observation: Observation) -> Self {
        use Observation::{Complete, Done, Expired, Found, Mended, Reported, Verdict as Heard};
        match (self.place, observation) {
            (Place::Looking, Found { seen, core }) => self.looked(seen, core),
            (Place::Joining, Heard(verdict)) => self.joined(verdict),
            (Place::Meeting, Observation::Word(word)) => self.in_meeting(word),
            (Place::Waiting(_), Done) => self.at(Place::Meeting),
            // One that came because it is expected knows nothing of the error.
            (Place::Waiting(Phase::Arrive), Mended) if self.broken => self.at(Place::Dissolving),
            (Place::Waiting(_), Mended) => self.at(Place::Meeting),
            (Place::Waiting(phase), Expired) => self.at(Place::Expiring(phase)),
            (Place::Working(phase), Reported(report)) => match report {
                Report::Retry => self.at(Place::Retrying(phase)),
                _ => self.at(Place::Reporting(phase, report)),
            },
            (Place::Retrying(phase), Heard(verdict)) => match verdict {
                Verdict::Accepted => self.at(Place::Meeting),
                _ => self.at(Place::Refused(phase)),
            },
            (Place::Refused(phase), Reported(report)) => self.at(Place::Reporting(phase, report)),
            (Place::Expiring(_) | Place::Dissolving | Place::Reporting(..), Heard(_)) => {
                self.at(Place::Meeting)
            }
            (Place::TakingHome, Done) => self.at(Place::Leaving),
            (Place::AwaitingIdle, Observation::Word(word)) => match word.phase() {
                Phase::Idle | Phase::Arrive => self.look_again(),
                _ => Self {
                    seen: word.as_seen(),
                    ..self
                },
            },
            // Stragglers in the last phase are forgotten.
            (Place::AwaitingIdle, Expired) => match self.seen.phase() {
                Phase::Depart => self.at(Place::Forgetting),
                _ => self.look_again(),
            },
            (Place::Forgetting, Heard(_)) | (Place::Alone, Complete(false)) => self.look_again(),
            (Place::LookingAgain, Found { core: true, .. }) => self.at(Place::Complaining),
            (Place::LookingAgain, Found { .. })
            | (Place::Alone, Complete(true))
            | (Place::Leaving, Heard(_))
            | (Place::Forgotten | Place::Complaining, Done) => self.at(Place::Over),
            _ => self,
        }
    }

    const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// Whether it may call others to a meeting. Where nothing helps, threads would call one another for
    /// ever, and those who have given up would not come.
    const fn may_call(self, seen: Word) -> bool {
        let given_up =
            matches!(seen.phase(), Phase::Idle) && seen.findings.contains(Findings::FAILED);
        match self.came {
            Came::ByInterrupt => true,
            Came::BySibling => !given_up,
            Came::FromIdle => false,
        }
    }

    const fn looked(self, seen: Word, core: bool) -> Self {
        let expected = seen.expects(self.thread);
        if core && !expected && !self.may_call(seen) {
            // Those who took the interrupt have said what came of it, or will.
            return self.at(Place::Over);
        }
        if core || expected {
            return Self {
                place: Place::Joining,
                broken: core,
                seen: seen.as_seen(),
                ..self
            };
        }
        self.at(Place::Alone)
    }

    const fn joined(self, verdict: Verdict) -> Self {
        if let Verdict::Joined(generation) = verdict {
            return Self {
                place: Place::Meeting,
                generation,
                led: false,
                ..self
            };
        }
        let missed = Self {
            unrepaired: self.broken,
            ..self
        };
        match verdict {
            Verdict::Late => missed.at(Place::AwaitingIdle),
            _ => missed.look_again(),
        }
    }

    const fn in_meeting(self, word: Word) -> Self {
        let arrived = !matches!(word.phase(), Phase::Idle | Phase::Arrive);
        let leads = Self {
            led: arrived && word.leader == self.thread,
            broken: self.broken && !arrived,
            ..self
        };
        match word.task(self.thread, self.generation) {
            Task::Wait(phase) => leads.at(Place::Waiting(phase)),
            Task::Work(phase) => leads.at(Place::Working(phase)),
            Task::Leave => leads.at(Place::TakingHome),
            // This thread was so slow that the others forgot it. As a leader it still owes the
            // report, unless it was handed on; without the findings nothing good is claimed.
            Task::Gone if self.led && !self.was_handed_on(word) => self.at(Place::Forgotten),
            // The others gave up without it, and said so: what did not work for them is not begun anew.
            Task::Gone if self.was_given_up(word) => self.at(Place::Over),
            // Forgotten, or the meeting was dissolved: it sees what there is.
            Task::Gone => Self {
                unrepaired: false,
                ..self
            }
            .look_again(),
        }
    }

    /// Whether another thread leads the same meeting.
    const fn was_handed_on(self, word: Word) -> bool {
        word.generation == self.generation && word.leader != self.thread
    }

    /// Whether the same meeting ended without a repair.
    const fn was_given_up(self, word: Word) -> bool {
        word.generation == self.generation && word.abort_reason().is_some()
    }

    const fn look_again(self) -> Self {
        let round = self.round + 1;
        let place = if round < ROUNDS {
            Place::Looking
        } else if self.unrepaired {
            Place::LookingAgain
        } else {
            Place::Over
        };
        Self {
            place,
            round,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
