//! The protocol: what each event does to the word.

use crate::{AbortReason, Findings, Phase, Task, ThreadMask, Word, mask_of};

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
    /// A participant gives the meeting up for all. It leads from now on: whoever led may be dead, with
    /// a lock in hand that this one waited for, and the report is owed.
    Abort {
        /// The thread.
        thread: u8,
        /// Its meeting.
        generation: u32,
        /// Why.
        reason: AbortReason,
    },
    /// The budget of a waiting thread is used up. Whoever is not there counts as absent in
    /// `Arrive`; in a phase of work the meeting is aborted, and nobody waits any more for who did not
    /// do his part; in `Depart` stragglers are forgotten, and the leader's report is made by who waits
    /// for it.
    Expire {
        /// Who waited: it is alive, so of a meeting that is aborted it is the leader from now on.
        thread: u8,
        /// The meeting.
        generation: u32,
        /// The phase that lasted too long.
        phase: Phase,
    },
    /// A participant that came for an error sees that it is gone, while the meeting still gathers: a
    /// resync was faster. Those who looked since then do not come, so nobody may wait for them. All who
    /// have arrived look again.
    Dissolve {
        /// The thread.
        thread: u8,
        /// Its meeting.
        generation: u32,
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
                (word.led_by(thread).aborted(reason), Verdict::Accepted)
            } else {
                (word, IGNORED)
            }
        }
        Event::Expire {
            thread,
            generation,
            phase,
        } => {
            if word.generation != generation || word.phase != phase as u8 {
                return (word, IGNORED);
            }
            let next = match phase {
                Phase::Idle => return (word, IGNORED),
                // One who waits for the leader's report makes it.
                Phase::Depart if matches!(word.task(thread, generation), Task::Wait(_)) => {
                    word.without_missing().led_by(thread)
                }
                Phase::Arrive | Phase::Depart => Word {
                    participants: word.done,
                    ..word
                }
                .advanced(),
                _ => word
                    .without_missing()
                    .led_by(thread)
                    .aborted(AbortReason::WaitExpired),
            };
            (next, Verdict::Accepted)
        }
        Event::Dissolve { thread, generation } => {
            let mine = word.generation == generation && word.done & mask_of(thread) != 0;
            if mine && matches!(word.phase(), Phase::Arrive) {
                let dissolved = Word {
                    participants: 0,
                    ..word
                };
                (dissolved.in_phase(Phase::Idle), Verdict::Accepted)
            } else {
                (word, IGNORED)
            }
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
