//! The state of a meeting, packed into 64 bits.

use crate::{AbortReason, Findings, MAX_RETRIES, Phase};

/// A set of threads of one core, bit n = thread n.
pub type ThreadMask = u8;

/// The mask of one thread.
#[must_use]
pub const fn mask_of(thread: u8) -> ThreadMask {
    1 << (thread & 7)
}

/// The state of a core's meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Word {
    /// Counts meetings; wraps.
    pub generation: u32,
    /// Who is in the meeting, and while it is [`Phase::Arrive`], who is expected.
    pub participants: ThreadMask,
    /// Who finished the present phase.
    pub done: ThreadMask,
    /// Who leads, valid after [`Phase::Arrive`].
    pub leader: u8,
    /// Where it stands.
    pub(crate) phase: u8,
    /// Code of the [`AbortReason`], 0 = none.
    pub(crate) abort: u8,
    /// What it found; kept while idle, for threads that missed it.
    pub findings: Findings,
    /// How often it went back.
    pub(crate) retries: u8,
}

impl Word {
    /// From 64 bits: generation 32:63, retries 30:31, findings 26:29, abort 23:25, leader 20:22,
    /// phase 16:19, done 8:15, participants 0:7 (least significant bit 0).
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            generation: (bits >> 32) as u32,
            retries: (bits >> 30 & 3) as u8,
            findings: Findings((bits >> 26 & 0xf) as u8),
            abort: (bits >> 23 & 7) as u8,
            leader: (bits >> 20 & 7) as u8,
            phase: (bits >> 16 & 0xf) as u8,
            done: (bits >> 8) as u8,
            participants: bits as u8,
        }
    }

    /// To 64 bits; the inverse of [`Self::from_bits`].
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32
            | (self.retries as u64) << 30
            | (self.findings.0 as u64) << 26
            | (self.abort as u64) << 23
            | (self.leader as u64) << 20
            | (self.phase as u64) << 16
            | (self.done as u64) << 8
            | self.participants as u64
    }

    /// Where the meeting stands.
    #[must_use]
    pub const fn phase(self) -> Phase {
        Phase::from_code(self.phase as u64)
    }

    /// Why it was given up, if it was.
    #[must_use]
    pub const fn abort_reason(self) -> Option<AbortReason> {
        AbortReason::from_code(self.abort as u64)
    }

    /// Whether a meeting is gathering and this thread is waited for.
    #[must_use]
    pub const fn expects(self, thread: u8) -> bool {
        matches!(self.phase(), Phase::Arrive)
            && self.participants & !self.done & mask_of(thread) != 0
    }

    /// What [`crate::Event::Join`] asks of a word that was seen: which meeting it was, and where it
    /// stood.
    #[must_use]
    pub const fn as_seen(self) -> Self {
        let mut seen = Self::from_bits(0);
        seen.generation = self.generation;
        seen.phase = self.phase;
        seen
    }

    /// What a participant of meeting `generation` has to do now.
    #[must_use]
    pub const fn task(self, thread: u8, generation: u32) -> Task {
        let me = mask_of(thread);
        if self.generation != generation || self.participants & me == 0 {
            return Task::Gone;
        }
        let phase = self.phase();
        match phase {
            Phase::Idle => Task::Gone,
            Phase::Arrive => Task::Wait(phase),
            // Nobody leaves a meeting that failed before the report is made: the leader may be dead.
            Phase::Depart if self.done & me == 0 && self.owes_report() && self.leader != thread => {
                Task::Wait(phase)
            }
            Phase::Depart if self.done & me == 0 => Task::Leave,
            Phase::Depart => Task::Gone,
            _ if self.done & me != 0 || phase.is_leaders() && self.leader != thread => {
                Task::Wait(phase)
            }
            _ => Task::Work(phase),
        }
    }

    pub(crate) const fn in_phase(self, phase: Phase) -> Self {
        Self {
            phase: phase as u8,
            done: 0,
            ..self
        }
    }

    /// Goes on when everyone who works in this phase is done.
    pub(crate) const fn advanced(self) -> Self {
        let phase = self.phase();
        let needed = if phase.is_leaders() {
            mask_of(self.leader)
        } else {
            self.participants
        };
        if self.done & needed != needed {
            return self;
        }
        match phase {
            Phase::Arrive => {
                let leader = self.done.trailing_zeros() as u8;
                Self { leader, ..self }.in_phase(Phase::RepairTfmr)
            }
            Phase::Depart => Self {
                done: 0,
                phase: Phase::Idle as u8,
                ..self
            },
            Phase::Check if self.findings.contains(Findings::AGAIN) => self.again(),
            _ => self.in_phase(phase.next()),
        }
    }

    /// From `Check`, with an error that is still there.
    const fn again(self) -> Self {
        let findings = self.findings.without(Findings::AGAIN);
        match self.retried() {
            Some(back) => Self { findings, ..back },
            None => {
                let findings = findings.with(Findings::FAILED);
                Self { findings, ..self }.in_phase(Phase::Depart)
            }
        }
    }

    /// Back to `RepairTfmr`, if that is still allowed.
    pub(crate) const fn retried(self) -> Option<Self> {
        if self.retries == MAX_RETRIES {
            return None;
        }
        Some(
            Self {
                retries: self.retries + 1,
                ..self
            }
            .in_phase(Phase::RepairTfmr),
        )
    }

    /// Who has not done his part of the present phase; in the end of a meeting that failed it is the
    /// leader alone, until it has reported.
    #[must_use]
    pub const fn missing(self) -> ThreadMask {
        let reports = matches!(self.phase(), Phase::Depart) && self.owes_report();
        let working = if self.phase().is_leaders() || reports {
            mask_of(self.leader)
        } else {
            self.participants
        };
        working & !self.done
    }

    /// The meeting without those that are missing.
    pub(crate) const fn without_missing(self) -> Self {
        let left = self.participants & !self.missing();
        if left == 0 {
            return self;
        }
        Self {
            participants: left,
            ..self
        }
    }

    /// Whether the meeting failed, and its leader, who has to say so, has not left yet.
    pub(crate) const fn owes_report(self) -> bool {
        let leader = mask_of(self.leader);
        self.findings.contains(Findings::FAILED)
            && self.participants & leader != 0
            && self.done & leader == 0
    }

    /// With this participant as the leader, who owes the report; the same for any other thread.
    pub(crate) const fn led_by(self, thread: u8) -> Self {
        if self.participants & mask_of(thread) == 0 {
            return self;
        }
        Self {
            leader: thread,
            ..self
        }
    }

    pub(crate) const fn aborted(self, reason: AbortReason) -> Self {
        let findings = self.findings.with(Findings::FAILED);
        Self {
            abort: reason as u8,
            findings,
            ..self
        }
        .in_phase(Phase::Depart)
    }
}

/// What a participant has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Wait until this phase is over.
    Wait(Phase),
    /// Do the work of this phase, then report it.
    Work(Phase),
    /// Take the findings home, and report [`crate::Event::Leave`].
    Leave,
    /// The meeting is over, or goes on without this thread.
    Gone,
}
