//! One thread's way through a meeting of its core: the actions of [`hmi_meeting::way`], carried out.

use super::Caller;
use super::coordinator::{Applied, Event, Findings, Phase, ThreadMask, Verdict, Word};
use super::core_state::CoreState;
use super::diagnosis::{diagnose, most_informative};
use super::local;
use super::phases;
use crate::budget::Budget;
use crate::chip_tod::{CHIP_LOCK_MICROSECONDS, NETWORK_LOCK_MICROSECONDS};
use crate::hardware::Hardware;
use crate::quirks::sub_cores;
use crate::system::System;
use crate::timebase::{TFMR_MICROSECONDS, TFMR_TURN_MICROSECONDS};
use flight_recorder::Step;
use hmi_meeting::way::Observation;
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
/// of its engine, tried twice (80), a restart of the TOD (10: three ways, a start of 2 in each), the
/// wait for cores whose TB runs (10), three loads (7: two commands of 1 each, and the transfer). That
/// is 407; the other phases need less: `Clean` the turn of each thread with TFMR (300).
pub(crate) const PHASE_MICROSECONDS: u64 = 450_000;
/// The part of it that is no wait for a lock.
const OWN_WORK_MICROSECONDS: u64 = 107_000;
const _: () = assert!(
    TFMR_MICROSECONDS + NETWORK_LOCK_MICROSECONDS + CHIP_LOCK_MICROSECONDS + OWN_WORK_MICROSECONDS
        <= PHASE_MICROSECONDS
        && TFMR_TURN_MICROSECONDS < PHASE_MICROSECONDS
);
// With a thread that never comes and another that dies a recovery still ends within a second.
const _: () = assert!(ARRIVAL_MICROSECONDS + PHASE_MICROSECONDS < 1_000_000);
/// Longest wait for more threads, once those are there who can clean all that the core shares.
const STRAGGLER_MICROSECONDS: u64 = 200_000;
const LEAST_SPINS: u64 = 10_000;
/// While others are awaited, TFMR is looked at every so many spins.
const SPINS_PER_LOOK: u64 = 1_024;

/// A wait of this thread for others, in a meeting or for its end.
pub(super) struct Waiting {
    phase: Option<Phase>,
    budget: Budget,
    /// Spins of the budget after which TFMR is looked at again.
    look_at: u64,
    quorum: Option<Quorum>,
    /// The word as it was loaded last.
    word: Word,
}

impl Waiting {
    pub(super) fn new(system: &System<'_>) -> Self {
        Self {
            phase: None,
            budget: system.budget(ARRIVAL_MICROSECONDS, LEAST_SPINS),
            look_at: SPINS_PER_LOOK,
            quorum: None,
            word: Word::default(),
        }
    }

    /// Loads the word.
    pub(super) fn load(&mut self, core: &CoreState) -> Observation {
        self.word = core.coordinator.load();
        Observation::Word(self.word)
    }

    /// Waits a spin for the end of a phase. The budget is one for all spins in the phase.
    pub(super) fn in_phase<H: Hardware>(
        &mut self,
        hw: &mut H,
        system: &System<'_>,
        caller: &mut Caller,
        phase: Phase,
    ) -> Observation {
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            self.look_at = SPINS_PER_LOOK;
            self.budget = system.budget(limit_microseconds(phase), LEAST_SPINS);
            if phase == Phase::Arrive {
                self.quorum = Quorum::of(hw, system, caller);
            }
        }
        if phase == Phase::Arrive && self.quorum.is_some_and(|needed| needed.is_met(self.word)) {
            // Met once and for all: who has arrived stays.
            self.quorum = None;
            self.look_at = SPINS_PER_LOOK;
            self.budget = system.budget(STRAGGLER_MICROSECONDS, LEAST_SPINS);
        }
        if phase == Phase::Arrive && self.budget.spent() >= self.look_at {
            self.look_at = self.budget.spent() + SPINS_PER_LOOK;
            if !diagnose(hw.tfmr(), true).core {
                return Observation::Mended;
            }
        }
        match self.budget.spin(hw) {
            Ok(spins) => {
                caller.spins += spins;
                Observation::Done
            }
            Err(_) => Observation::Expired,
        }
    }

    /// Looks whether a meeting of others is over, after a spin if it was not the last time.
    pub(super) fn until_idle<H: Hardware>(
        &mut self,
        hw: &mut H,
        system: &System<'_>,
        core: &CoreState,
        first: bool,
    ) -> Observation {
        if first {
            self.budget = system.budget(PHASE_MICROSECONDS, LEAST_SPINS);
        } else if self.budget.spin(hw).is_err() {
            return Observation::Expired;
        }
        self.load(core)
    }

    /// Does the work of a phase.
    pub(super) fn work<H: Hardware>(
        &self,
        hw: &mut H,
        system: &System<'_>,
        caller: &mut Caller,
        phase: Phase,
    ) -> Observation {
        if phase == Phase::RepairTfmr {
            let arguments = [self.word.to_bits(), self.budget.spent()];
            system.record(hw, Step::AllArrived, arguments);
        }
        let participants = self.word.participants;
        Observation::Reported(phases::work(hw, system, caller, phase, participants))
    }

    /// Takes the findings home. The leader reports to the OS, for all.
    pub(super) fn take_home<H: Hardware>(
        &self,
        hw: &mut H,
        system: &System<'_>,
        caller: &mut Caller,
        leads: bool,
    ) -> Observation {
        let core = system.core(caller.place.core);
        let Word {
            findings,
            participants,
            ..
        } = self.word;
        if self.word.abort_reason().is_some() {
            // The phase for it was skipped. Whatever comes of it, the event says "not recovered".
            let _ = local::repair(hw, system, caller);
        }
        take_flags(caller, findings);
        if leads {
            let (tfmr, hmer) = report_of(system, core, participants);
            let disposition = if findings.contains(Findings::FAILED) {
                Disposition::NotRecovered
            } else {
                Disposition::Recovered
            };
            caller.post_timer_event(hw, system, caller.core_scope(), hmer, tfmr, disposition);
        }
        Observation::Done
    }
}

/// Comes to the meeting of the core, or starts one. `seen` is the word as it was before the thread
/// read `tfmr`.
pub(super) fn join<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &Caller,
    seen: Word,
    tfmr: Tfmr,
) -> Observation {
    let core = system.core(caller.place.core);
    let thread = caller.place.thread as u8;
    // Before the word says that this thread is there. Only participants' deposits are read.
    if matches!(seen.phase(), Phase::Idle | Phase::Arrive) {
        core.deposit(caller.place.thread, tfmr, caller.hmer);
    }
    let expected = core.expected();
    let joined = core.coordinator.apply(Event::Join {
        thread,
        seen,
        expected,
    });
    if let Verdict::Joined(_) = joined.verdict {
        if joined.before.phase() == Phase::Idle {
            core.summon_idle();
        }
        system.record(hw, Step::Join, [joined.after.to_bits(), 0]);
        if joined.after.phase() != Phase::Arrive {
            note_closed(hw, system, core, joined);
        }
    }
    Observation::Verdict(joined.verdict)
}

/// Applies an event of a meeting, and notes what others should know of it.
pub(super) fn apply<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    core: &CoreState,
    event: Event,
) -> Observation {
    let applied = core.coordinator.apply(event);
    match event {
        Event::Expire { phase, .. } => note_expired(hw, system, core, applied, phase),
        Event::Abort { reason, .. } => system.record(hw, Step::Abort, [reason as u64, 0]),
        _ => {}
    }
    Observation::Verdict(applied.verdict)
}

/// The leader of a meeting that went on without it reports: without the findings nothing good is
/// claimed.
pub(super) fn report_forgotten<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
) -> Observation {
    let core = system.core(caller.place.core);
    let (tfmr, hmer) = core.deposited(caller.place.thread);
    let disposition = Disposition::NotRecovered;
    caller.post_timer_event(hw, system, caller.core_scope(), hmer, tfmr, disposition);
    Observation::Done
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
