//! The timer facility of one core: state machine, error bits, what happens by itself.

mod copies;
mod progress;
mod steps;

use crate::configuration::{Configuration, Generation, Start, TimebaseCopies};
use crate::fault::CommandFailure;
use alloc::vec::Vec;
use power_registers::{Hmeer, TbState, Tfmr};

/// What CLEAR_TB_ERRORS alone clears: these bits are no write-one-to-clear ones.
pub(crate) const CLEARED_BY_COMMAND: u64 = Tfmr::CHIP_TOD_TIMEOUT
    .union(Tfmr::CHIP_TOD_PARITY_ERROR)
    .bits();
const LATCHED: u64 = Tfmr::HDEC_PARITY.union(Tfmr::TB_RESIDUE_ERROR).bits();

/// A command of TFMR that has not completed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    /// The thread that issued it; `None` when a fault left it behind.
    pub(crate) issuer: Option<usize>,
    /// When it completes by itself; `u64::MAX` = never.
    pub(crate) done_at: u64,
}

/// TB and HDEC as the threads that share a copy have them.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeCopy {
    /// TB while it is frozen.
    pub(crate) frozen: u64,
    /// TB minus model time while it runs.
    pub(crate) offset: u64,
    pub(crate) hdec: u64,
    pub(crate) dirty_lower: bool,
    pub(crate) dirty_upper: bool,
    pub(crate) dirty_hdec: bool,
}

/// What TFMR holds for one thread alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThreadBits {
    /// Bits 57:62 without 60.
    pub(crate) bits: u64,
    /// Of these, waiting for the second write.
    pub(crate) armed: u64,
    /// Of these, the register was not rewritten yet.
    pub(crate) dirty: u64,
    /// The entry into a state that this thread last saw, and how often it saw TFMR since.
    seen: (u64, u64),
}

#[derive(Clone, Debug)]
pub(crate) struct CoreTimer {
    pub(crate) base: u64,
    pub(crate) write_twice: bool,
    pub(crate) latches: bool,
    pub(crate) command_ticks: u64,
    /// Whether steps and sync pulses of the chip's TOD come.
    steps: bool,
    /// Until when none of them reaches this core.
    pub(crate) steps_lost_until: u64,
    /// How many of the next commands fail, by [`CommandFailure`].
    failing: [u32; 6],
    /// The LOAD_TOD_MOD in flight will time out.
    pub(crate) load_times_out: bool,
    /// States entered since the model last asked, one bit for each code.
    entered: u16,
    /// Bits 0:24 without the commands.
    pub(crate) control: u64,
    pub(crate) load_tod_mod: Option<InFlight>,
    pub(crate) move_tod: Option<InFlight>,
    /// When the TOD's value, already sent, will be in TB.
    pub(crate) transfer_at: Option<u64>,
    pub(crate) clear_armed: bool,
    pub(crate) clear_busy_until: u64,
    pub(crate) hdec_armed: bool,
    pub(crate) corrupt: bool,
    pub(crate) corrupt_armed: bool,
    /// The last write repaired TFMR.
    pub(crate) just_repaired: bool,
    pub(crate) state: TbState,
    pub(crate) last: TbState,
    /// Counts entries into a state.
    entry: u64,
    /// Whether hardware entered the present state by itself, in an error.
    struck: bool,
    pub(crate) enabled: bool,
    /// Error bits of the core.
    pub(crate) errors: u64,
    sync_occurred: bool,
    /// From when on sync pulses were not yet looked for.
    sync_from: u64,
    /// When the sync pulse comes that SYNC_WAIT waits for.
    sync_due: u64,
    pub(crate) latched: u64,
    pub(crate) threads: Vec<ThreadBits>,
    pub(crate) copies: Vec<TimeCopy>,
    pub(crate) copy_of: Vec<usize>,
    pub(crate) hmeer: u64,
}

impl CoreTimer {
    pub(crate) fn new(configuration: &Configuration) -> Self {
        let threads = configuration.threads_per_core;
        let copies = match configuration.copies {
            TimebaseCopies::PerThread => threads,
            TimebaseCopies::SubCores(count) => count.clamp(1, threads),
        };
        let reset = configuration.start == Start::Reset;
        let copy = TimeCopy {
            frozen: configuration.epoch,
            offset: configuration.epoch,
            ..TimeCopy::default()
        };
        Self {
            base: configuration.base(),
            write_twice: configuration.write_twice,
            latches: configuration.latched_errors,
            command_ticks: configuration.costs.command,
            steps: !reset,
            steps_lost_until: 0,
            failing: [0; 6],
            load_times_out: false,
            entered: 0,
            control: match configuration.start {
                Start::Running => configuration.base(),
                Start::Reset => 0,
                // Largest step limit, four clocks a step.
                Start::EarlyFirmware => 0xffd2_0000_0000_0000,
            },
            load_tod_mod: None,
            move_tod: None,
            transfer_at: None,
            clear_armed: false,
            clear_busy_until: 0,
            hdec_armed: false,
            corrupt: false,
            corrupt_armed: false,
            just_repaired: false,
            state: if reset {
                TbState::Reset
            } else {
                TbState::Running
            },
            last: if reset {
                TbState::Reset
            } else {
                TbState::GetTod
            },
            entry: 0,
            struck: false,
            enabled: !reset,
            errors: 0,
            sync_occurred: false,
            sync_from: 0,
            sync_due: u64::MAX,
            latched: 0,
            threads: alloc::vec![ThreadBits::default(); threads],
            copies: alloc::vec![copy; copies],
            copy_of: (0..threads)
                .map(|thread| thread * copies / threads)
                .collect(),
            hmeer: match (configuration.start, configuration.generation) {
                (Start::Running, Generation::Power10) => Hmeer::POWER10.0.bits(),
                (Start::Running, _) => Hmeer::POWER8_POWER9.0.bits(),
                _ => 0,
            },
        }
    }

    /// Goes to a state; TB of every copy freezes when RUNNING is left.
    pub(crate) fn enter(&mut self, state: TbState, now: u64) {
        if self.state == state {
            return;
        }
        if self.state == TbState::Running {
            for copy in &mut self.copies {
                copy.frozen = now.wrapping_add(copy.offset);
            }
        }
        self.last = self.state;
        self.state = state;
        self.entered |= 1 << (state.code() & 0xf);
        self.sync_due = if state == TbState::SyncWait {
            self.next_sync(now)
        } else {
            u64::MAX
        };
        self.new_entry(false);
    }

    /// The states entered since the last question, one bit for each code.
    pub(crate) fn take_entered(&mut self) -> u16 {
        core::mem::take(&mut self.entered)
    }

    /// The next commands of a kind fail.
    pub(crate) fn fail_commands(&mut self, failure: CommandFailure, count: u32) {
        self.failing[failure as usize] = count;
    }

    /// Whether this command fails like that; counts.
    pub(crate) fn fails(&mut self, failure: CommandFailure) -> bool {
        let left = &mut self.failing[failure as usize];
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        fails
    }

    pub(crate) fn new_entry(&mut self, struck: bool) {
        self.entry += 1;
        self.struck = struck;
    }

    /// Whether a thread that writes TFMR must know the state.
    ///
    /// Between its look and its command anything can strike, and it may look without judging (to
    /// record): so the first few looks after an error do not count.
    pub(crate) fn knows(&self, thread: usize) -> bool {
        const LOOKS_WITHOUT_JUDGING: u64 = 4;
        let (entry, looks) = self.threads[thread].seen;
        let few = if self.struck {
            LOOKS_WITHOUT_JUDGING
        } else {
            0
        };
        entry == self.entry && looks > few
    }

    /// A thread reads TFMR.
    pub(crate) fn look(&mut self, thread: usize) {
        let seen = &mut self.threads[thread].seen;
        if seen.0 != self.entry {
            *seen = (self.entry, 0);
        }
        seen.1 += 1;
    }

    /// The present entry into a state, to notice another.
    pub(crate) const fn entry(&self) -> u64 {
        self.entry
    }

    /// An error that stops TB.
    pub(crate) fn fail(&mut self, bits: u64, now: u64) {
        self.report(bits);
        self.transfer_at = None;
        self.enter(TbState::Error, now);
    }
}

/// What faults are made of.
impl CoreTimer {
    /// Error bits come on.
    pub(crate) fn report(&mut self, bits: u64) {
        self.errors |= bits;
        if self.latches {
            self.latched |= bits & LATCHED;
        }
    }

    pub(crate) fn leave_move(&mut self) {
        self.move_tod = Some(InFlight {
            issuer: None,
            done_at: u64::MAX,
        });
        self.transfer_at = None;
    }

    pub(crate) fn leave_load_tod_mod(&mut self) {
        self.load_tod_mod = Some(InFlight {
            issuer: None,
            done_at: u64::MAX,
        });
    }
}
