//! The whole as a Stateright model, with its properties.

use crate::hardware::{Fault, strike};
use crate::moves::{What, act};
use crate::state::{Broken, Shape, State};
use crate::symmetry::representative;
use crate::thread::{Flag, Life, Thread};
use hmi_meeting::Phase;
use std::collections::HashSet;

/// What is explored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The core.
    pub shape: Shape,
    /// What can break.
    pub classes: Vec<Fault>,
    /// How many faults strike, at any time.
    pub faults: u8,
    /// How many threads may start elsewhere than in the host with open interrupts. From there every
    /// place in the guest, on the way in and on the way out is reached.
    pub elsewhere: usize,
    /// Threads that may be late, so that waits of the firmware run out on them.
    pub late: usize,
    /// Threads that may stop for ever, at any step.
    pub mortal: usize,
    /// Whether the HMI of a fault of the core reaches only one thread.
    pub one: bool,
    /// Whether the TOD may be beyond repair.
    pub dead_tod: bool,
    /// Negative control: this thread does not clean its registers.
    pub dirty_thread: Option<u8>,
    /// Whether states that differ only in the numbers of threads count as one.
    pub symmetric: bool,
    /// Whether steps that nobody can tell from no step are made at once: [`crate::reduction`].
    pub reduced: bool,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// A fault.
    Strike {
        /// What breaks.
        fault: Fault,
        /// The thread that suffers it.
        target: u8,
    },
    /// A thread does something.
    Act {
        /// The thread.
        thread: u8,
        /// What.
        what: What,
        /// Who counts as the lowest thread.
        lowest: u8,
    },
}

impl Protocol {
    /// One fault of each class, all threads live and in the host.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            classes: Fault::ALL.to_vec(),
            faults: 1,
            elsewhere: 0,
            late: 0,
            mortal: 0,
            one: false,
            dead_tod: false,
            dirty_thread: None,
            symmetric: true,
            reduced: false,
        }
    }

    /// The state after a move, with the numbers that threads have in it.
    #[must_use]
    pub fn after(&self, state: &State, happens: Move) -> Option<State> {
        if state.broken != Broken::Nothing {
            return None;
        }
        match happens {
            Move::Strike { fault, target } => {
                let target = usize::from(target);
                strike(state, self.shape, fault, target, self.one)
            }
            Move::Act {
                thread,
                what,
                lowest,
            } => {
                let number = usize::from(thread);
                let mut next = act(state, self.shape, number, what, lowest)?;
                if self.reduced && what == What::Enter {
                    next = act(&next, self.shape, number, What::Step, lowest)?;
                }
                if self.dirty_thread == Some(thread) && state.threads[number].has(Flag::Dirty) {
                    next.threads[number]
                        .set(Flag::Dirty, next.threads[number].life() != Life::Dead);
                }
                Some(next)
            }
        }
    }

    fn starts(&self) -> Vec<State> {
        let elsewhere = [
            Life::Closed,
            Life::InOpal,
            Life::Idle,
            Life::Offline,
            // Nothing but its own HMI would bring it.
            Life::Asleep,
        ];
        let elsewhere = &elsewhere[..elsewhere.len() - usize::from(self.one)];
        let mut lives = vec![vec![Life::Host; self.shape.all()]];
        for number in 0..self.shape.all() {
            for start in lives.clone() {
                let others = start.iter().filter(|life| **life != Life::Host).count();
                if others < self.elsewhere {
                    lives.extend(elsewhere.iter().map(|life| {
                        let mut start = start.clone();
                        start[number] = *life;
                        start
                    }));
                }
            }
        }
        let mut states = Vec::new();
        for lives in lives {
            for tod_dead in [false, true] {
                if tod_dead && !self.dead_tod {
                    continue;
                }
                let mut state = State::new();
                state.timer.faults = self.faults;
                state.timer.tod_dead = tod_dead;
                for (thread, life) in state.threads.iter_mut().zip(&lives) {
                    *thread = Thread::default();
                    thread.set_life(*life);
                }
                states.push(state);
            }
        }
        states
    }

    /// Every choice of `count` threads gets a flag.
    fn marked(&self, states: Vec<State>, flag: Flag, count: usize) -> Vec<State> {
        let mut marked = states;
        for _ in 0..count {
            let before = std::mem::take(&mut marked);
            for state in before {
                for number in 0..self.shape.all() {
                    let thread = state.threads[number];
                    // A thread of the firmware's idle loop is late only by a defect of the firmware.
                    let can = match thread.life() {
                        Life::Offline => false,
                        Life::Idle => flag != Flag::Late,
                        _ => true,
                    };
                    if !thread.has(flag) && can {
                        let mut state = state;
                        state.threads[number].set(flag, true);
                        marked.push(state);
                    }
                }
            }
        }
        marked
    }
}

impl Protocol {
    /// The states in which it can begin.
    #[must_use]
    pub fn first_states(&self) -> Vec<State> {
        let states = self.marked(self.starts(), Flag::Late, self.late);
        let states = self.marked(states, Flag::Mortal, self.mortal);
        let mut seen = HashSet::new();
        states
            .into_iter()
            .map(|state| {
                if self.symmetric {
                    representative(&state, self.shape).0
                } else {
                    state
                }
            })
            .filter(|state| seen.insert(*state))
            .collect()
    }

    /// What can happen next.
    pub fn moves(&self, state: &State, moves: &mut Vec<Move>) {
        if state.broken != Broken::Nothing {
            return;
        }
        if self.reduced
            && let Some(step) = crate::reduction::private_step(self, state)
        {
            moves.push(step);
            return;
        }
        let threads = self.shape.all() as u8;
        if state.timer.faults != 0 {
            for fault in &self.classes {
                // Who suffers it matters only where it is one thread's affair.
                let single = *fault == Fault::Thread || self.one;
                for target in 0..threads {
                    let twin = target > 0
                        && self.symmetric
                        && state.threads[usize::from(target)]
                            == state.threads[usize::from(target) - 1]
                        && !self.differ(state, target);
                    if !twin {
                        moves.push(Move::Strike {
                            fault: *fault,
                            target,
                        });
                    }
                    if !single {
                        break;
                    }
                }
            }
        }
        for thread in 0..threads {
            let program = state.threads[usize::from(thread)];
            for what in What::ALL {
                if !crate::moves::can(state, self.shape, usize::from(thread), what) {
                    continue;
                }
                let lowest = if program.has(Flag::InFirmware)
                    && matches!(what, What::Step | What::Expire)
                    && state.meeting.phase() <= Phase::Arrive
                {
                    threads
                } else {
                    1
                };
                moves.extend((0..lowest).map(|lowest| Move::Act {
                    thread,
                    what,
                    lowest,
                }));
            }
        }
    }

    /// The state after a move: the one that stands for all that are the same but for numbers.
    #[must_use]
    pub fn next(&self, state: &State, happens: Move) -> Option<State> {
        let next = self.after(state, happens)?;
        Some(if self.symmetric {
            representative(&next, self.shape).0
        } else {
            next
        })
    }

    /// Whether two neighbours that look alike are different for the words or the TB.
    fn differ(&self, state: &State, target: u8) -> bool {
        let pair = |mask: u8| (mask >> target ^ mask >> (target - 1)) & 1 != 0;
        let (now, before) = (usize::from(target), usize::from(target) - 1);
        pair(state.core.closing())
            || pair(state.core.in_guest())
            || pair(state.core.returned())
            || pair(state.meeting.participants)
            || pair(state.meeting.done)
            || state.meeting.leader == target
            || state.meeting.leader == target - 1
            || self.shape.sub_core(now) != self.shape.sub_core(before)
    }
}
