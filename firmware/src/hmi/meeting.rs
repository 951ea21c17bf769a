//! One thread's way through a meeting of its core.

use super::Caller;
use super::coordinator::{Applied, Event, Findings, Phase, Task, ThreadMask, Verdict, Word};
use super::core_state::CoreState;
use super::diagnosis::most_informative;
use super::local;
use super::phases::{self, Report};
use crate::chip_tod::{CHIP_LOCK_MICROSECONDS, NETWORK_LOCK_MICROSECONDS};
use crate::hardware::Hardware;
use crate::quirks::sub_cores;
use crate::system::System;
use crate::timebase::TFMR_MICROSECONDS;
use flight_recorder::Step;
use opal_abi::hmi_event::Disposition;
use opal_abi::hmi_flags;
use power_registers::{Hmer, Tfmr};

/// Longest wait for threads to arrive.
pub(crate) const ARRIVAL_MICROSECONDS: u64 = 500_000;
/// Longest wait in any other phase. A thread that dies in the middle costs the others this once: the
/// meeting ends there, without it.
///
/// What the leader needs at most, in milliseconds, while no more than one SCOM access is lost: in
/// `Reload` TFMR (100), the TOD network (100), the lock of its chip (100), a lost access with the reset
/// of its engine, tried twice (80), a restart of the TOD (10: three ways, a start of 2 in each), three
/// loads (7: two commands of 1 each, and the transfer). That is 397; the other phases need less.
pub(crate) const PHASE_MICROSECONDS: u64 = 450_000;
/// The part of it that is no wait for a lock.
const OWN_WORK_MICROSECONDS: u64 = 97_000;
const _: () = assert!(
    TFMR_MICROSECONDS + NETWORK_LOCK_MICROSECONDS + CHIP_LOCK_MICROSECONDS + OWN_WORK_MICROSECONDS
        <= PHASE_MICROSECONDS
);
// With a thread that never comes and another that dies a recovery still ends within a second.
const _: () = assert!(ARRIVAL_MICROSECONDS + PHASE_MICROSECONDS < 1_000_000);
/// Longest wait for more threads, once those are there who can clean all that the core shares.
const STRAGGLER_MICROSECONDS: u64 = 200_000;
const LEAST_SPINS: u64 = 10_000;

/// How a thread got into a meeting, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attendance {
    /// It took part to the end.
    Attended,
    /// It has to look at TFMR again: a meeting went by without it.
    LookAgain,
}

/// Comes to the meeting of the core, or starts one, and goes through it.
///
/// `seen` is the word as it was before the thread read `tfmr`.
pub(super) fn attend<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    seen: Word,
    tfmr: Tfmr,
) -> Attendance {
    let core = system.core(caller.place.core);
    let thread = caller.place.thread as u8;
    let joined = {
        // Before the word says that this thread is there. Only participants' deposits are read.
        if matches!(seen.phase(), Phase::Idle | Phase::Arrive) {
            core.deposit(caller.place.thread, tfmr, caller.hmer);
        }
        let expected = core.expected();
        core.coordinator.apply(Event::Join {
            thread,
            seen,
            expected,
        })
    };
    match joined.verdict {
        Verdict::Joined(generation) => {
            if joined.before.phase() == Phase::Idle {
                core.summon_idle();
            }
            system.record(hw, Step::Join, [joined.after.to_bits(), 0]);
            if joined.after.phase() != Phase::Arrive {
                note_closed(hw, system, core, joined);
            }
            go_through(hw, system, caller, generation);
            Attendance::Attended
        }
        Verdict::Late => {
            await_idle(hw, system, core);
            Attendance::LookAgain
        }
        Verdict::Stale | Verdict::Ignored | Verdict::Accepted => Attendance::LookAgain,
    }
}

/// Waits until a meeting of others is over; stragglers in its last phase are forgotten.
fn await_idle<H: Hardware>(hw: &mut H, system: &System<'_>, core: &CoreState) {
    let mut waiting = system.budget(PHASE_MICROSECONDS, LEAST_SPINS);
    loop {
        let word = core.coordinator.load();
        let (generation, phase) = (word.generation, word.phase());
        if matches!(phase, Phase::Idle | Phase::Arrive) {
            return;
        }
        if waiting.spin(hw).is_err() {
            if phase == Phase::Depart {
                core.coordinator.apply(Event::Expire { generation, phase });
            }
            return;
        }
    }
}

fn go_through<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller, generation: u32) {
    let core = system.core(caller.place.core);
    let thread = caller.place.thread as u8;
    let mut awaited = None;
    let mut last = Word::default();
    let mut waiting = system.budget(ARRIVAL_MICROSECONDS, LEAST_SPINS);
    let mut quorum = None;
    loop {
        let word = core.coordinator.load();
        match word.task(thread, generation) {
            Task::Wait(phase) => {
                if awaited != Some(phase) {
                    awaited = Some(phase);
                    waiting = system.budget(limit_microseconds(phase), LEAST_SPINS);
                    if phase == Phase::Arrive {
                        quorum = Quorum::of(hw, system, caller);
                    }
                }
                if phase == Phase::Arrive && quorum.is_some_and(|needed| needed.is_met(word)) {
                    // Met once and for all: who has arrived stays.
                    quorum = None;
                    waiting = system.budget(STRAGGLER_MICROSECONDS, LEAST_SPINS);
                }
                match waiting.spin(hw) {
                    Ok(spins) => caller.spins += spins,
                    Err(_) => {
                        let expired = core.coordinator.apply(Event::Expire { generation, phase });
                        note_expired(hw, system, core, expired, phase);
                    }
                }
            }
            Task::Work(phase) => {
                if phase == Phase::RepairTfmr {
                    let spins = waiting.spent();
                    system.record(hw, Step::AllArrived, [word.to_bits(), spins]);
                }
                let mut report = phases::work(hw, system, caller, phase, word.participants);
                if report == Report::Retry {
                    let retried = core.coordinator.apply(Event::Retry { thread, generation });
                    if retried.verdict == Verdict::Accepted {
                        last = word;
                        continue;
                    }
                    report = phases::after_refused_retry(hw, phase);
                }
                tell(hw, system, caller, report, phase, generation);
            }
            Task::Leave => return leave(hw, system, caller, word, generation),
            Task::Gone => {
                // This thread was so slow that the others forgot it. As a leader it still owes the
                // report, and without the findings nothing good is claimed.
                // If the others had the time to hand that on, it is done.
                let handed_on = word.generation == generation && word.leader != thread;
                if last.phase() > Phase::Arrive && last.leader == thread && !handed_on {
                    let (tfmr, hmer) = core.deposited(caller.place.thread);
                    let disposition = Disposition::NotRecovered;
                    caller.post_timer_event(
                        hw,
                        system,
                        caller.core_scope(),
                        hmer,
                        tfmr,
                        disposition,
                    );
                }
                return;
            }
        }
        last = word;
    }
}

/// Who must be there, where not everyone must.
#[derive(Clone, Copy, Debug)]
struct Quorum {
    sub_cores: u32,
    threads: u32,
}

impl Quorum {
    fn of<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &Caller) -> Option<Self> {
        sub_cores::share_copies(system.platform.generation).then(|| Self {
            sub_cores: sub_cores::count(hw.hid0()),
            threads: system.platform.cores[caller.place.core].threads.len() as u32,
        })
    }

    const fn is_met(self, word: Word) -> bool {
        sub_cores::are_all_present(self.sub_cores, self.threads, word.done)
    }
}

const fn limit_microseconds(phase: Phase) -> u64 {
    match phase {
        Phase::Arrive => ARRIVAL_MICROSECONDS,
        _ => PHASE_MICROSECONDS,
    }
}

/// Tells the others how the own work ended.
fn tell<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &Caller,
    report: Report,
    phase: Phase,
    generation: u32,
) {
    let coordinator = &system.core(caller.place.core).coordinator;
    let thread = caller.place.thread as u8;
    match report {
        Report::Done(findings) => {
            coordinator.apply(Event::Done {
                thread,
                generation,
                phase,
                findings,
            });
        }
        Report::Abort(reason) => {
            coordinator.apply(Event::Abort {
                thread,
                generation,
                reason,
            });
            system.record(hw, Step::Abort, [reason as u64, 0]);
        }
        Report::Retry => {}
    }
}

/// Notes who did not come, when the gathering was just closed.
fn note_closed<H: Hardware>(hw: &mut H, system: &System<'_>, core: &CoreState, applied: Applied) {
    let absent = applied.before.participants & !applied.after.participants;
    core.note_missed(absent);
    if absent != 0 {
        system.counters.count_absent(absent);
        system.record(
            hw,
            Step::Absent,
            [u64::from(absent), applied.after.to_bits()],
        );
    }
}

fn note_expired<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    core: &CoreState,
    applied: Applied,
    phase: Phase,
) {
    if applied.verdict != Verdict::Accepted {
        return;
    }
    if phase == Phase::Arrive {
        note_closed(hw, system, core, applied);
    } else if let Some(reason) = applied.after.abort_reason() {
        let missing = applied.before.missing();
        system.record(hw, Step::Abort, [reason as u64, u64::from(missing)]);
    }
}

/// Takes the findings home. The leader reports to the OS, for all.
fn leave<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    word: Word,
    generation: u32,
) {
    let core = system.core(caller.place.core);
    let thread = caller.place.thread as u8;
    let failed = word.findings.contains(Findings::FAILED);
    if word.abort_reason().is_some() {
        // The phase for it was skipped. Whatever comes of it, the event says "not recovered".
        let _ = local::repair(hw, system, caller);
    }
    take_flags(caller, word.findings);
    if word.leader == thread {
        let (tfmr, hmer) = report_of(system, core, word.participants);
        let disposition = if failed {
            Disposition::NotRecovered
        } else {
            Disposition::Recovered
        };
        caller.post_timer_event(hw, system, caller.core_scope(), hmer, tfmr, disposition);
    }
    core.coordinator.apply(Event::Leave { thread, generation });
}

/// Flags that all threads of a meeting take home.
pub(super) fn take_flags(caller: &mut Caller, findings: Findings) {
    if findings.contains(Findings::RELOADED) {
        caller.flags |= hmi_flags::TB_RESYNC;
    }
    if findings.contains(Findings::HDEC_LOST) {
        caller.flags |= hmi_flags::HDEC_LOST;
    }
}

fn report_of(system: &System<'_>, core: &CoreState, participants: ThreadMask) -> (Tfmr, Hmer) {
    let threads = (0..8).filter(move |thread| participants >> thread & 1 != 0);
    let deposits = threads.map(move |thread| (thread, core.deposited(thread)));
    most_informative(system.platform.generation, deposits)
}
