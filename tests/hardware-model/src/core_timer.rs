//! The timer facility of one core: state machine, error bits, TB and HDEC copies.

use crate::configuration::{Configuration, Start, TimebaseCopies};
use power_registers::{TbState, Tfmr};

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
    pub(crate) transfer_errors: bool,
    pub(crate) command_ticks: u64,
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
    pub(crate) state: TbState,
    pub(crate) last: TbState,
    /// Counts entries into a state.
    entry: u64,
    /// Whether hardware entered the present state by itself, in an error.
    struck: bool,
    pub(crate) enabled: bool,
    /// Error bits of the core.
    pub(crate) errors: u64,
    pub(crate) sync_occurred: bool,
    pub(crate) latched: u64,
    pub(crate) threads: Vec<ThreadBits>,
    pub(crate) copies: Vec<TimeCopy>,
    pub(crate) copy_of: Vec<usize>,
    pub(crate) sprc: u64,
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
            transfer_errors: configuration.generation == crate::Generation::Power10,
            command_ticks: configuration.costs.command,
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
            latched: 0,
            threads: vec![ThreadBits::default(); threads],
            copies: vec![copy; copies],
            copy_of: (0..threads)
                .map(|thread| thread * copies / threads)
                .collect(),
            sprc: 0,
            hmeer: if configuration.start == Start::Running {
                match configuration.generation {
                    crate::Generation::Power10 => power_registers::Hmeer::POWER10.0.bits(),
                    _ => power_registers::Hmeer::POWER8_POWER9.0.bits(),
                }
            } else {
                0
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
        self.new_entry(false);
    }

    pub(crate) fn new_entry(&mut self, struck: bool) {
        self.entry += 1;
        self.struck = struck;
    }

    /// A thread looks at TFMR, or writes it: gives whether it must already have known the state.
    ///
    /// Between its look and its command anything can strike, and it may look without judging (to
    /// record): so the first few looks after an error do not count.
    pub(crate) fn look(&mut self, thread: usize) -> bool {
        const LOOKS_WITHOUT_JUDGING: u64 = 8;
        let seen = &mut self.threads[thread].seen;
        if seen.0 != self.entry {
            *seen = (self.entry, 0);
        }
        let looks = seen.1;
        seen.1 += 1;
        looks
            > if self.struck {
                LOOKS_WITHOUT_JUDGING
            } else {
                0
            }
    }

    /// TB of every copy becomes the TOD's value and runs.
    pub(crate) fn run_from(&mut self, tod: u64, now: u64) {
        self.enter(TbState::Running, now);
        for copy in &mut self.copies {
            copy.offset = tod.wrapping_sub(now);
        }
        self.enabled = true;
        self.move_tod = None;
        self.transfer_at = None;
    }

    /// An error that stops TB.
    pub(crate) fn fail(&mut self, bits: u64, now: u64) {
        self.report(bits);
        self.transfer_at = None;
        self.enter(TbState::Error, now);
    }

    /// Time moves on to `now`; `synced` = a sync pulse came meanwhile.
    pub(crate) fn advance(&mut self, now: u64, synced: bool, tod: Option<u64>) {
        if self.state == TbState::SendTodMod
            && self
                .load_tod_mod
                .is_some_and(|command| command.done_at <= now)
        {
            self.load_tod_mod = None;
            self.enter(TbState::NotSet, now);
        }
        if synced {
            self.sync_occurred = true;
            if self.state == TbState::SyncWait && self.move_tod.is_some() {
                self.enter(TbState::GetTod, now);
            }
        }
        if let (Some(at), Some(tod)) = (self.transfer_at, tod)
            && at <= now
            && self.state == TbState::GetTod
        {
            self.run_from(tod, now);
        }
    }

    /// The TOD sends its value; taken only in GET_TOD.
    pub(crate) fn receive_tod(&mut self, now: u64) -> bool {
        let taken = self.state == TbState::GetTod && self.move_tod.is_some() && !self.corrupt;
        if taken && self.transfer_at.is_none() {
            self.transfer_at = Some(now + self.command_ticks);
        }
        taken
    }

    pub(crate) fn timebase(&self, thread: usize, now: u64) -> u64 {
        let copy = &self.copies[self.copy_of[thread]];
        if self.state == TbState::Running {
            now.wrapping_add(copy.offset)
        } else {
            copy.frozen
        }
    }

    fn set_timebase(&mut self, thread: usize, value: u64, now: u64) {
        let running = self.state == TbState::Running;
        let copy = &mut self.copies[self.copy_of[thread]];
        if running {
            copy.offset = value.wrapping_sub(now);
        } else {
            copy.frozen = value;
        }
    }

    /// TB changes under the software's feet.
    pub(crate) fn damage_timebase(&mut self, thread: usize, value: u64, now: u64) {
        self.set_timebase(thread, value, now);
    }

    /// `mttbl`; gives whether it broke TB.
    pub(crate) fn write_lower(&mut self, thread: usize, value: u64, now: u64) -> bool {
        let broke = self.state == TbState::Running;
        if broke {
            self.fail(0, now);
        }
        let merged = self.timebase(thread, now) & !0xffff_ffff | value & 0xffff_ffff;
        self.set_timebase(thread, merged, now);
        self.copies[self.copy_of[thread]].dirty_lower = false;
        broke
    }

    /// `mttbu`.
    pub(crate) fn write_upper(&mut self, thread: usize, value: u64, now: u64) {
        let merged = self.timebase(thread, now) & 0xffff_ffff | value << 32;
        self.set_timebase(thread, merged, now);
        self.copies[self.copy_of[thread]].dirty_upper = false;
    }

    /// `mttbu40`: the low 24 bits keep counting.
    pub(crate) fn write_upper40(&mut self, thread: usize, value: u64, now: u64) {
        let merged = self.timebase(thread, now) & 0xff_ffff | value & !0xff_ffff;
        self.set_timebase(thread, merged, now);
    }

    pub(crate) fn write_hdec(&mut self, thread: usize, value: u64) {
        let copy = &mut self.copies[self.copy_of[thread]];
        copy.hdec = value;
        copy.dirty_hdec = false;
    }

    pub(crate) fn is_timebase_dirty(&self) -> bool {
        self.copies
            .iter()
            .any(|copy| copy.dirty_lower || copy.dirty_upper)
    }

    pub(crate) fn is_hdec_dirty(&self) -> bool {
        self.copies.iter().any(|copy| copy.dirty_hdec)
    }
}

/// What faults are made of.
impl CoreTimer {
    /// Error bits come on.
    pub(crate) fn report(&mut self, bits: u64) {
        self.errors |= bits;
        if self.latches {
            self.latched |= bits & (Tfmr::HDEC_PARITY | Tfmr::TB_RESIDUE_ERROR).bits();
        }
    }

    /// Every TB copy has a wrong residue until it is rewritten.
    pub(crate) fn dirty_timebase(&mut self) {
        for copy in &mut self.copies {
            copy.dirty_lower = true;
            copy.dirty_upper = true;
        }
    }

    /// Every HDEC copy has a wrong parity until it is rewritten.
    pub(crate) fn dirty_hdec(&mut self) {
        for copy in &mut self.copies {
            copy.dirty_hdec = true;
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
