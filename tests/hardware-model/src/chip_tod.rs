//! The ChipTOD of one chip, as far as it can be told without looking at the others.

use crate::configuration::{Configuration, Generation, Start};
use crate::random::Random;
use crate::{SYNC_TICKS, Topology};
use power_registers::chip_tod::{FSM_RUNNING, TodError, TodRegister};
use power_registers::{ibm, ibm_range};

/// State of the TOD's own state machine, by its code in FSM 0:3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TodState {
    Error = 0,
    Stopped = 1,
    Running = 2,
    NotSet = 7,
}

/// S_PATH_CTRL 26:31, which POWER10 must never see as 0.
pub(crate) const S_PATH_DEVIATION: u64 = ibm_range(26, 31);
/// Bits of ERROR that stop the TOD and its steps.
const STOPPING: u64 = TodError::I_PATH_SYNC_CHECK
    .union(TodError::FSM_STATE_PARITY)
    .union(TodError::TIME_REGISTER_PARITY)
    .bits();
/// Received TTYPEs are information; the earlier boot firmware masks them.
const MASKED_AT_START: u64 = ibm_range(38, 43);
/// TX_TTYPE_CTRL 32 and 33: answer requests of the network.
const ANSWERS_REQUESTS: u64 = ibm(32) | ibm(33);

#[derive(Clone, Debug)]
pub(crate) struct ChipTod {
    pub(crate) state: TodState,
    /// Value minus model time from `starts_at` on.
    offset: u64,
    /// The value until `starts_at`.
    loaded: u64,
    starts_at: u64,
    pub(crate) error: u64,
    pub(crate) mask: u64,
    pub(crate) registers: [u64; 0x34],
    /// Parity bits of cached registers whose content is still damaged.
    damaged: u64,
    poison: Poison,
}

/// POWER10 erratum: a zero in S_PATH_CTRL 26:31 needs all-ones, then the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poison {
    None,
    Zeroed,
    OnesWritten,
}

pub(crate) const fn offset_of(register: TodRegister) -> usize {
    (register.address() - TodRegister::MasterPathControl.address()) as usize
}

impl ChipTod {
    pub(crate) fn new(configuration: &Configuration, chip: usize) -> Self {
        let reset = configuration.start == Start::Reset;
        let mut registers = [0; 0x34];
        // Plausible and distinct contents, so that a restore of the wrong one is seen.
        for (number, register) in TodRegister::CACHED.iter().enumerate() {
            registers[offset_of(*register)] =
                ibm(3 + number as u32) | ibm(40) | (chip as u64) << 4 | number as u64;
        }
        registers[offset_of(TodRegister::SlavePathControl)] |= 0xc << 32;
        let Topology { primary, secondary } = configuration.topology;
        let role = |master: bool, tod: u32, drawer: u32| {
            if master {
                ibm(tod) | ibm(drawer)
            } else {
                ibm(drawer)
            }
        };
        registers[offset_of(TodRegister::PssMssControl)] =
            role(chip == primary, 1, 2) | role(secondary == Some(chip), 9, 10);
        Self {
            state: if reset {
                TodState::Error
            } else {
                TodState::Running
            },
            offset: configuration.epoch,
            loaded: 0,
            starts_at: 0,
            error: 0,
            mask: MASKED_AT_START,
            registers,
            damaged: 0,
            poison: Poison::None,
        }
    }

    pub(crate) fn running(&self) -> bool {
        self.state == TodState::Running
    }

    /// Whether steps and sync pulses reach the cores of the chip.
    pub(crate) fn steps(&self) -> bool {
        matches!(self.state, TodState::Running | TodState::NotSet)
    }

    pub(crate) fn interrupt(&self) -> bool {
        self.error & !self.mask != 0
    }

    pub(crate) fn fsm(&self) -> u64 {
        (self.state as u64) << 60 | if self.running() { FSM_RUNNING } else { 0 }
    }

    /// The time, in ticks of TB.
    pub(crate) fn value(&self, now: u64) -> u64 {
        if now < self.starts_at {
            self.loaded
        } else {
            now.wrapping_add(self.offset)
        }
    }

    pub(crate) fn answers_requests(&self) -> bool {
        self.running()
            && self.registers[offset_of(TodRegister::TxTtypeControl)] & ANSWERS_REQUESTS
                == ANSWERS_REQUESTS
    }

    /// LOAD_TOD with the start bit: the value is the one of the step before the next sync.
    pub(crate) fn load(&mut self, value: u64, now: u64) {
        if self.poison != Poison::None {
            return;
        }
        self.starts_at = (now / SYNC_TICKS + 1) * SYNC_TICKS;
        self.loaded = value;
        self.offset = value.wrapping_add(16).wrapping_sub(self.starts_at);
        self.state = TodState::Running;
    }

    /// Runs with the time of another chip.
    pub(crate) fn follow(&mut self, other: &Self) {
        if self.state == TodState::NotSet && self.poison == Poison::None {
            self.offset = other.offset;
            self.loaded = other.loaded;
            self.starts_at = other.starts_at;
            self.state = TodState::Running;
        }
    }

    pub(crate) fn start(&mut self) {
        if self.state == TodState::Stopped && self.poison == Poison::None {
            self.state = TodState::Running;
        }
    }

    /// Error bits come on; gives whether the TOD stopped.
    pub(crate) fn fail(&mut self, bits: u64, random: &mut Random) -> bool {
        self.error |= bits;
        for (register, parity) in TodRegister::CACHED.iter().zip(TodError::CACHED_PARITY) {
            if bits & parity.bits() != 0 {
                self.damaged |= parity.bits();
                self.registers[offset_of(*register)] ^= random.word() | 1;
            }
        }
        let stops = bits & STOPPING != 0 && self.steps();
        if bits & STOPPING != 0 {
            self.state = TodState::Error;
        }
        stops
    }

    /// W1C of ERROR: parity of a register that is still damaged comes back.
    pub(crate) fn clear_errors(&mut self, bits: u64) {
        self.error &= !bits;
        self.error |= bits & self.damaged;
    }

    /// A plain store into a register of the file.
    pub(crate) fn store(
        &mut self,
        generation: Generation,
        register: usize,
        value: u64,
    ) -> Option<&'static str> {
        self.registers[register] = value;
        for (cached, parity) in TodRegister::CACHED.iter().zip(TodError::CACHED_PARITY) {
            if register == offset_of(*cached) {
                self.damaged &= !parity.bits();
            }
        }
        if generation != Generation::Power10 || register != offset_of(TodRegister::SlavePathControl)
        {
            return None;
        }
        let field = value & S_PATH_DEVIATION;
        if field == 0 {
            self.poison = Poison::Zeroed;
            return Some("POWER10: S_PATH_CTRL 26:31 must never be written as 0");
        }
        self.poison = match self.poison {
            Poison::Zeroed if field == S_PATH_DEVIATION => Poison::OnesWritten,
            Poison::OnesWritten | Poison::None => Poison::None,
            Poison::Zeroed => Poison::Zeroed,
        };
        None
    }
}
