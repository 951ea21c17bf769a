//! The coordinator with what a meeting hands over through it: deposits, the plan, and registers.

use super::{Arc, Place, check, thread};
use crate::hmi::coordinator::{
    AbortReason, Event, Findings, Phase, Task, ThreadMask, Verdict, Word,
};
use crate::hmi::core_state::{CoreState, Plan};
use power_registers::{Hmer, Tfmr};

/// A core, and the registers that its threads rewrite.
#[derive(Debug)]
struct Core {
    state: CoreState,
    /// One of each thread.
    own: [Place; 4],
    /// Of the whole core: commands act on all threads.
    shared: Place,
}

impl Core {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: CoreState::new(),
            own: std::array::from_fn(|_| Place::new()),
            shared: Place::new(),
        })
    }

    fn of(&self, participants: ThreadMask) -> impl Iterator<Item = &Place> {
        let takes_part = move |thread: &usize| participants >> thread & 1 != 0;
        let threads = (0..self.own.len()).filter(takes_part);
        threads.map(|thread| &self.own[thread])
    }

    fn deposit(&self, thread: u8) {
        let tfmr = Tfmr::from_bits_retain(u64::from(thread) + 1);
        self.state.deposit(thread.into(), tfmr, Hmer::empty());
    }

    fn join(&self, thread: u8, seen: Word, expected: ThreadMask) -> (Word, Verdict) {
        self.deposit(thread);
        let event = Event::Join {
            thread,
            seen,
            expected,
        };
        let applied = self.state.coordinator.apply(event);
        (applied.after, applied.verdict)
    }

    fn read_deposits(&self, participants: ThreadMask) {
        for thread in (0..4).filter(|thread| participants >> thread & 1 != 0) {
            let (tfmr, _) = self.state.deposited(thread);
            assert_eq!(tfmr.bits(), thread as u64 + 1);
        }
    }

    /// What the phases do, as far as others see it.
    fn work(&self, thread: u8, word: Word, phase: Phase) -> Findings {
        let own = &self.own[usize::from(thread)];
        match phase {
            Phase::RepairTfmr => {
                self.read_deposits(word.participants);
                let timebase = true;
                self.state.set_plan(Plan {
                    timebase,
                    ..Plan::default()
                });
                self.shared.write();
            }
            Phase::Clean => {
                assert!(self.state.plan().timebase);
                own.write();
            }
            Phase::Clear | Phase::Reload => {
                self.of(word.participants).for_each(Place::write);
                self.shared.write();
                if phase == Phase::Reload {
                    return Findings::RELOADED;
                }
            }
            Phase::Local => own.write(),
            Phase::Check => {
                own.read();
                self.shared.read();
            }
            Phase::Idle | Phase::Arrive | Phase::Depart => unreachable!(),
        }
        Findings::NONE
    }

    /// A thread's way through a meeting, as `meeting::go_through` has it. Gives the findings.
    fn go_through(&self, thread: u8, generation: u32, abort_in: Option<Phase>) -> Findings {
        let coordinator = &self.state.coordinator;
        loop {
            let word = coordinator.load();
            match word.task(thread, generation) {
                Task::Wait(_) => thread::yield_now(),
                Task::Work(phase) if Some(phase) == abort_in => {
                    let reason = AbortReason::ReloadFailed;
                    coordinator.apply(Event::Abort {
                        thread,
                        generation,
                        reason,
                    });
                }
                Task::Work(phase) => {
                    let findings = self.work(thread, word, phase);
                    coordinator.apply(Event::Done {
                        thread,
                        generation,
                        phase,
                        findings,
                    });
                }
                Task::Leave => {
                    if word.leader == thread {
                        self.read_deposits(word.participants);
                    }
                    coordinator.apply(Event::Leave { thread, generation });
                    return word.findings;
                }
                Task::Gone => panic!("forgotten, though nobody's budget ends here"),
            }
        }
    }

    /// Two that come to a meeting of two.
    fn attend(&self, thread: u8, expected: ThreadMask, abort_in: Option<Phase>) -> Findings {
        loop {
            let seen = self.state.coordinator.load();
            match self.join(thread, seen, expected).1 {
                Verdict::Joined(generation) => {
                    return self.go_through(thread, generation, abort_in);
                }
                _ => thread::yield_now(),
            }
        }
    }
}

/// From the gathering to the end: each phase sees what the phase before did.
#[test]
fn each_phase_sees_what_the_others_did_before() {
    check(Some(2), || {
        let core = Core::new();
        let other = {
            let core = core.clone();
            thread::spawn(move || core.attend(1, 0b11, None))
        };
        assert_eq!(core.attend(0, 0b11, None), Findings::RELOADED);
        assert_eq!(other.join().unwrap(), Findings::RELOADED);
        // And whoever comes later, in host context or in a guest.
        assert_eq!(core.state.coordinator.load().phase(), Phase::Idle);
        core.of(0b11).for_each(Place::read);
    });
}

/// The answer of an event is enough to act on: it needs no further look at the word.
fn gathering<const THREADS: usize>(preemptions: Option<usize>) {
    check(preemptions, || {
        let core = Core::new();
        let seen = core.state.coordinator.load();
        let threads = core::array::from_fn::<_, THREADS, _>(|thread| {
            let core = core.clone();
            thread::spawn(move || {
                let all = (1 << THREADS) - 1;
                let (after, verdict) = core.join(thread as u8, seen, all);
                assert_eq!(verdict, Verdict::Joined(1));
                let closed = after.phase() != Phase::Arrive;
                if closed {
                    assert_eq!(after.participants, all);
                    core.read_deposits(all);
                }
                closed
            })
        });
        let closed = threads.map(|thread| thread.join().unwrap());
        assert_eq!(closed.iter().filter(|closed| **closed).count(), 1);
    });
}

#[test]
fn who_closes_the_gathering_sees_the_deposits() {
    gathering::<2>(None);
}

#[test]
fn who_closes_a_gathering_of_four_sees_the_deposits() {
    gathering::<4>(Some(1));
}

/// One gives up in the middle: the other leaves too, and both take the failure home.
#[test]
fn an_abort_reaches_all_and_nobody_waits() {
    for phase in [Phase::Clean, Phase::Reload] {
        check(Some(2), move || {
            let core = Core::new();
            let other = {
                let core = core.clone();
                thread::spawn(move || core.attend(1, 0b11, None))
            };
            let own = core.attend(0, 0b11, Some(phase));
            let others = other.join().unwrap();
            assert!(own.contains(Findings::FAILED) && others.contains(Findings::FAILED));
            assert_eq!(core.state.coordinator.load().phase(), Phase::Idle);
        });
    }
}

/// The wait for a thread that never comes ends once, whoever's budget ends first; both go on.
#[test]
fn a_gathering_ends_without_the_one_who_is_missing() {
    check(Some(2), || {
        let core = Core::new();
        let threads = [0, 1].map(|thread| {
            let core = core.clone();
            thread::spawn(move || {
                let seen = core.state.coordinator.load();
                let Verdict::Joined(generation) = core.join(thread, seen, 0b111).1 else {
                    // The other was so quick that its meeting began, or ended, without this one.
                    return None;
                };
                let phase = Phase::Arrive;
                let ended = core.state.coordinator.apply(Event::Expire {
                    thread,
                    generation,
                    phase,
                });
                let findings = core.go_through(thread, generation, None);
                assert_eq!(findings, Findings::RELOADED);
                Some(ended.verdict == Verdict::Accepted)
            })
        });
        let ended = threads.map(|thread| thread.join().unwrap());
        let meetings = core.state.coordinator.load().generation;
        let ends = ended.iter().flatten().filter(|ended| **ended).count();
        assert_eq!(ends, meetings as usize);
    });
}
