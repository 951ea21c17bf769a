//! The meeting of a core's threads: one 64-bit word, and pure functions on it.
//!
//! An error of the core's timer facility is repaired by all its threads together: each rewrites its
//! own registers, one of them (the leader) gives the commands. A meeting has a generation, so that
//! a thread that comes late cannot get into a meeting that is not its own; it knows who takes part,
//! so that nobody waits for a thread that never comes; and it has one place, `Depart`, to which
//! success and abort both lead, so that no one is left waiting in another phase.
//!
//! An error that stays, or a new one in the middle, sends the meeting back to `RepairTfmr`, at most
//! [`MAX_RETRIES`] times.
//!
//! [`step`] is the whole protocol. [`Coordinator`] only applies it to an atomic.
//!
//! | phase | who works | what |
//! |---|---|---|
//! | `Arrive` | everyone | comes; ends when all are there, or someone's budget is used up |
//! | `RepairTfmr` | leader | a corrupt TFMR, so that the rest of it can be trusted |
//! | `Clean` | everyone | rewrites the own HDEC and TB |
//! | `Clear` | leader | clears the core's errors |
//! | `Local` | everyone | repairs the own PURR, SPURR, DEC |
//! | `Reload` | leader | TOD errors, then TB from the TOD |
//! | `Check` | everyone | looks at the own TFMR and TB |
//! | `Depart` | everyone | leaves; the last one makes the word idle |

use core::sync::atomic::{AtomicU64, Ordering};

/// How often a meeting may go back to `RepairTfmr`.
pub const MAX_RETRIES: u8 = 3;

/// Where a meeting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the table of the module")]
pub enum Phase {
    Idle = 0,
    Arrive = 1,
    RepairTfmr = 2,
    Clean = 3,
    Clear = 4,
    Local = 5,
    Reload = 6,
    Check = 7,
    Depart = 8,
}

impl Phase {
    const fn from_code(code: u64) -> Self {
        match code {
            1 => Self::Arrive,
            2 => Self::RepairTfmr,
            3 => Self::Clean,
            4 => Self::Clear,
            5 => Self::Local,
            6 => Self::Reload,
            7 => Self::Check,
            8 => Self::Depart,
            _ => Self::Idle,
        }
    }

    /// Whether only the leader works in it.
    #[must_use]
    pub const fn is_leaders(self) -> bool {
        matches!(self, Self::RepairTfmr | Self::Clear | Self::Reload)
    }

    /// Whether participants are bound to it: it can be aborted.
    #[must_use]
    pub const fn is_work(self) -> bool {
        (self as u8) > (Self::Arrive as u8) && (self as u8) < (Self::Depart as u8)
    }

    const fn next(self) -> Self {
        Self::from_code(self as u64 + 1)
    }
}

/// Why a meeting was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AbortReason {
    /// TFMR stays corrupt.
    TfmrCorrupt = 1,
    /// The state machine does not leave ERROR.
    ClearFailed = 2,
    /// TB could not be loaded.
    ReloadFailed = 3,
    /// Someone did not do his part in time.
    WaitExpired = 4,
    /// Another thread did not let go of TFMR.
    TfmrHeld = 5,
}

impl AbortReason {
    const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            1 => Self::TfmrCorrupt,
            2 => Self::ClearFailed,
            3 => Self::ReloadFailed,
            4 => Self::WaitExpired,
            5 => Self::TfmrHeld,
            _ => return None,
        })
    }
}

/// Findings that all participants take home, as bits that are collected in the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Findings(u8);

impl Findings {
    /// Nothing to tell.
    pub const NONE: Self = Self(0);
    /// TB was loaded from the TOD.
    pub const RELOADED: Self = Self(1);
    /// HDEC was lost on all threads.
    pub const HDEC_LOST: Self = Self(2);
    /// Something is still broken.
    pub const FAILED: Self = Self(4);
    /// An error is there that another walk through the phases may repair. If none is left, this
    /// turns into [`Self::FAILED`].
    pub const AGAIN: Self = Self(8);

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

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
    phase: u8,
    /// Code of the [`AbortReason`], 0 = none.
    abort: u8,
    /// What it found; kept while idle, for threads that missed it.
    pub findings: Findings,
    /// How often it went back.
    retries: u8,
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
            Phase::Depart if self.done & me == 0 => Task::Leave,
            Phase::Depart => Task::Gone,
            _ if self.done & me != 0 || phase.is_leaders() && self.leader != thread => {
                Task::Wait(phase)
            }
            _ => Task::Work(phase),
        }
    }

    const fn in_phase(self, phase: Phase) -> Self {
        Self {
            phase: phase as u8,
            done: 0,
            ..self
        }
    }

    /// Goes on when everyone who works in this phase is done.
    const fn advanced(self) -> Self {
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
    const fn retried(self) -> Option<Self> {
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

    const fn aborted(self, reason: AbortReason) -> Self {
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
    /// Take the findings home, and report [`Event::Leave`].
    Leave,
    /// The meeting is over, or goes on without this thread.
    Gone,
}

/// What happens to a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A thread found an error of the core and comes, or starts a meeting.
    Join {
        /// The thread.
        thread: u8,
        /// The word as it was *before* the thread read its TFMR.
        seen: Word,
        /// Who else is expected, if this starts a meeting.
        expected: ThreadMask,
    },
    /// A participant finished its work in a phase.
    Done {
        /// The thread.
        thread: u8,
        /// Its meeting.
        generation: u32,
        /// The phase.
        phase: Phase,
        /// What it found.
        findings: Findings,
    },
    /// The leader could not clear the errors, or new ones came: from the start once more.
    Retry {
        /// The leader.
        thread: u8,
        /// Its meeting.
        generation: u32,
    },
    /// A participant gives the meeting up for all.
    Abort {
        /// The thread.
        thread: u8,
        /// Its meeting.
        generation: u32,
        /// Why.
        reason: AbortReason,
    },
    /// The budget of a waiting thread is used up. Whoever is not there counts as absent in
    /// `Arrive`; in a phase of work the meeting is aborted; in `Depart` stragglers are forgotten.
    Expire {
        /// The meeting.
        generation: u32,
        /// The phase that lasted too long.
        phase: Phase,
    },
    /// A participant leaves.
    Leave {
        /// The thread.
        thread: u8,
        /// Its meeting.
        generation: u32,
    },
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Accepted,
    /// The thread is in the meeting of this generation.
    Joined(u32),
    /// A whole meeting went by since the thread looked: read TFMR again.
    Stale,
    /// A meeting is at work without this thread: wait until it is idle, then read TFMR again.
    Late,
    /// It belongs to another meeting or phase, and changes nothing.
    Ignored,
}

/// Applies an event.
#[must_use]
pub const fn step(word: Word, event: Event) -> (Word, Verdict) {
    const IGNORED: Verdict = Verdict::Ignored;
    match event {
        Event::Join {
            thread,
            seen,
            expected,
        } => join(word, thread, seen, expected),
        Event::Done {
            thread,
            generation,
            phase,
            findings,
        } => match word.task(thread, generation) {
            Task::Work(current) if current as u8 == phase as u8 => {
                let done = word.done | mask_of(thread);
                let findings = word.findings.with(findings);
                (
                    Word {
                        done,
                        findings,
                        ..word
                    }
                    .advanced(),
                    Verdict::Accepted,
                )
            }
            _ => (word, IGNORED),
        },
        Event::Retry { thread, generation } => {
            let leads = matches!(
                word.task(thread, generation),
                Task::Work(Phase::RepairTfmr | Phase::Clear | Phase::Reload)
            );
            match word.retried() {
                Some(back) if leads => (back, Verdict::Accepted),
                _ => (word, IGNORED),
            }
        }
        Event::Abort {
            thread,
            generation,
            reason,
        } => {
            let mine = word.generation == generation && word.participants & mask_of(thread) != 0;
            if mine && word.phase().is_work() {
                (word.aborted(reason), Verdict::Accepted)
            } else {
                (word, IGNORED)
            }
        }
        Event::Expire { generation, phase } => {
            if word.generation != generation || word.phase != phase as u8 {
                return (word, IGNORED);
            }
            let next = match phase {
                Phase::Idle => return (word, IGNORED),
                Phase::Arrive | Phase::Depart => Word {
                    participants: word.done,
                    ..word
                }
                .advanced(),
                _ => word.aborted(AbortReason::WaitExpired),
            };
            (next, Verdict::Accepted)
        }
        Event::Leave { thread, generation } => match word.task(thread, generation) {
            Task::Leave => {
                let done = word.done | mask_of(thread);
                (Word { done, ..word }.advanced(), Verdict::Accepted)
            }
            _ => (word, IGNORED),
        },
    }
}

const fn join(word: Word, thread: u8, seen: Word, expected: ThreadMask) -> (Word, Verdict) {
    let me = mask_of(thread);
    let since = word.generation.wrapping_sub(seen.generation);
    let seen_before_its_start = since == 1 && matches!(seen.phase(), Phase::Idle);
    match word.phase() {
        Phase::Idle if since == 0 && matches!(seen.phase(), Phase::Idle) => {
            let started = Word {
                generation: word.generation.wrapping_add(1),
                participants: expected | me,
                done: me,
                leader: 0,
                phase: Phase::Arrive as u8,
                abort: 0,
                findings: Findings::NONE,
                retries: 0,
            };
            (started.advanced(), Verdict::Joined(started.generation))
        }
        Phase::Arrive if since == 0 || seen_before_its_start => {
            let joined = Word {
                participants: word.participants | me,
                done: word.done | me,
                ..word
            };
            (joined.advanced(), Verdict::Joined(word.generation))
        }
        Phase::Idle | Phase::Arrive => (word, Verdict::Stale),
        _ => (word, Verdict::Late),
    }
}

/// The word of one core, shared by its threads.
#[derive(Debug)]
pub struct Coordinator(AtomicU64);

/// An event was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The word before.
    pub before: Word,
    /// The word after.
    pub after: Word,
    /// What became of the event.
    pub verdict: Verdict,
}

impl Default for Coordinator {
    fn default() -> Self {
        Self::new()
    }
}

impl Coordinator {
    /// Idle, generation 0.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The word now. What participants wrote before it became so is visible.
    #[must_use]
    pub fn load(&self) -> Word {
        Word::from_bits(self.0.load(Ordering::Acquire))
    }

    /// Applies an event. What the caller wrote before is visible to whoever sees the new word.
    pub fn apply(&self, event: Event) -> Applied {
        let mut bits = self.0.load(Ordering::Acquire);
        loop {
            let before = Word::from_bits(bits);
            let (after, verdict) = step(before, event);
            match self.0.compare_exchange_weak(
                bits,
                after.to_bits(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    return Applied {
                        before,
                        after,
                        verdict,
                    };
                }
                // Someone else's event came first: every failure is another thread's progress.
                Err(current) => bits = current,
            }
        }
    }
}

#[cfg(test)]
#[path = "coordinator_tests.rs"]
mod tests;
