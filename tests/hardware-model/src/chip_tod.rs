//! The ChipTOD of one chip, as far as it can be told without looking at the others.

use crate::SYNC_TICKS;
use crate::configuration::{Configuration, Start, StepNetwork, Topology};
use power_registers::chip_tod::{FSM_RUNNING, TodRegister};
use power_registers::{ibm, ibm_range};

/// State of the TOD's own state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TodState {
    Error,
    Stopped,
    Running,
    NotSet,
}

/// S_PATH_CTRL 26:31, which POWER10 must never see as 0.
pub(crate) const S_PATH_DEVIATION: u64 = ibm_range(26, 31);
/// Received TTYPEs are information; the earlier boot firmware masks them.
const MASKED_AT_START: u64 = ibm_range(38, 43);
/// TX_TTYPE_CTRL 32 and 33: answer requests of the network.
const ANSWERS_REQUESTS: u64 = ibm(32) | ibm(33);

#[derive(Clone, Debug)]
pub(crate) struct ChipTod {
    pub(crate) state: TodState,
    /// Value minus model time while it runs.
    pub(crate) offset: u64,
    /// The value while it does not run.
    pub(crate) frozen: u64,
    /// From when on FSM says that a RUNNING TOD runs.
    runs_at: u64,
    /// From when on the value counts; it is `frozen` until then.
    counts_at: u64,
    pub(crate) error: u64,
    pub(crate) mask: u64,
    pub(crate) registers: [u64; 0x34],
    /// ERROR bits of registers whose content is still damaged.
    pub(crate) damaged: u64,
    pub(crate) poison: Poison,
    /// Whether it can be started at all.
    pub(crate) able: bool,
    /// PSS_MSS_CTRL as it was last written: parity keeps a damaged one from taking effect.
    pub(crate) roles: u64,
    pub(crate) network: StepNetwork,
    /// Errors that were injected through SCOM, and when they show.
    pub(crate) injected: Option<(u64, u64)>,
    /// LOAD_TOD_MOD came, and no LOAD_TOD since.
    pub(crate) ordered_not_set: bool,
}

/// POWER10 erratum: a zero in S_PATH_CTRL 26:31 needs all-ones, then the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poison {
    None,
    Zeroed,
    OnesWritten,
}

pub(crate) const fn offset_of(register: TodRegister) -> usize {
    (register.address() - TodRegister::MasterPathControl.address()) as usize
}

impl ChipTod {
    pub(crate) fn new(configuration: &Configuration, chip: usize) -> Self {
        let network = configuration
            .networks
            .get(chip)
            .copied()
            .unwrap_or_default();
        let mut registers = [0; 0x34];
        // Plausible and distinct contents, so that a restore of the wrong one is seen.
        for (number, register) in TodRegister::CACHED.iter().enumerate() {
            registers[offset_of(*register)] =
                ibm(3 + number as u32) | ibm(40) | (chip as u64) << 4 | number as u64;
        }
        registers[offset_of(TodRegister::SlavePathControl)] |= 0xc << 32;
        let roles = roles(configuration.topology, chip, network);
        registers[offset_of(TodRegister::PssMssControl)] = roles;
        Self {
            state: if configuration.start == Start::Reset {
                TodState::Error
            } else {
                TodState::Running
            },
            offset: configuration.epoch,
            frozen: 0,
            runs_at: 0,
            counts_at: 0,
            error: 0,
            mask: MASKED_AT_START,
            registers,
            damaged: 0,
            poison: Poison::None,
            able: true,
            roles,
            network,
            injected: None,
            ordered_not_set: false,
        }
    }

    /// Whether FSM bit 4 is on.
    pub(crate) fn is_running(&self, now: u64) -> bool {
        self.state == TodState::Running && now >= self.runs_at
    }

    /// Whether steps and sync pulses reach the cores of the chip.
    pub(crate) fn steps(&self) -> bool {
        // A stopped TOD has its oscillator still; only errors stop the steps.
        self.state != TodState::Error
    }

    pub(crate) const fn interrupt(&self) -> bool {
        self.error & !self.mask != 0
    }

    /// The code in FSM 0:3.
    pub(crate) const fn code(&self, now: u64) -> u64 {
        match self.state {
            TodState::Error => 0,
            TodState::Stopped => 1,
            TodState::NotSet => 7,
            // WAIT_SYNC, then RUNNING that waits for sync.
            TodState::Running if now < self.runs_at => 0xd,
            TodState::Running if now < self.counts_at => 0xe,
            TodState::Running => 2,
        }
    }

    pub(crate) fn fsm(&self, now: u64) -> u64 {
        let running = if self.is_running(now) { FSM_RUNNING } else { 0 };
        self.code(now) << 60 | running
    }

    /// The time, in ticks of TB.
    pub(crate) fn value(&self, now: u64) -> u64 {
        if self.state == TodState::Running && now >= self.counts_at {
            now.wrapping_add(self.offset)
        } else {
            self.frozen
        }
    }

    pub(crate) fn answers_requests(&self, now: u64) -> bool {
        self.is_running(now)
            && self.registers[offset_of(TodRegister::TxTtypeControl)] & ANSWERS_REQUESTS
                == ANSWERS_REQUESTS
    }

    /// Goes to a state in which it does not run; the value stands.
    pub(crate) fn halt(&mut self, state: TodState, now: u64) {
        self.frozen = self.value(now);
        self.state = state;
    }

    /// LOAD_TOD: the value is that of the step before the next sync.
    pub(crate) fn load(&mut self, value: u64, now: u64, starts_after: u64) {
        self.frozen = value & !0xf;
        self.runs_at = now.saturating_add(starts_after);
        self.counts_at = (now / SYNC_TICKS + 1) * SYNC_TICKS;
        self.offset = (value & !0xf).wrapping_add(16).wrapping_sub(self.counts_at);
        self.state = TodState::Running;
    }

    /// Runs on with the time of another chip.
    pub(crate) fn follow(&mut self, other: &Clock, now: u64, starts_after: u64) {
        self.offset = other.offset;
        self.frozen = other.frozen;
        self.counts_at = other.counts_at;
        self.runs_at = now.saturating_add(starts_after);
        self.state = TodState::Running;
    }

    pub(crate) const fn clock(&self) -> Clock {
        Clock {
            offset: self.offset,
            frozen: self.frozen,
            counts_at: self.counts_at,
        }
    }

    /// START_TOD of a stopped TOD: it counts on from where it stands, at the next sync.
    pub(crate) fn start(&mut self, now: u64, starts_after: u64) {
        let value = self.frozen;
        self.load(value, now, starts_after);
    }

    /// The time becomes another, unnoticed.
    pub(crate) const fn shift(&mut self, value: u64, now: u64) {
        self.frozen = value;
        self.offset = value.wrapping_sub(now);
    }

    pub(crate) fn errors_due(&self) -> u64 {
        self.injected.map_or(u64::MAX, |(at, _)| at)
    }

    pub(crate) fn take_due_errors(&mut self, now: u64) -> Option<u64> {
        let (at, bits) = self.injected?;
        if at > now {
            return None;
        }
        self.injected = None;
        Some(bits)
    }
}

/// What one TOD sends to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: u64,
    frozen: u64,
    counts_at: u64,
}

/// PSS_MSS_CTRL of a chip: path selects, roles and step checks of both topologies.
fn roles(topology: Topology, chip: usize, network: StepNetwork) -> u64 {
    let mut value = 0;
    for (first, master, selects) in [
        (
            0,
            Some(topology.primary),
            (network.primary_master, network.primary_slave),
        ),
        (
            8,
            topology.secondary,
            (network.secondary_master, network.secondary_slave),
        ),
    ] {
        // Drawer bit: all chips are in one drawer, and a chip of the master's drawer has it.
        value |= ibm(first + 2) | ibm(first + 7);
        if selects.0 != 0 {
            value |= ibm(first);
        }
        if master == Some(chip) {
            // The step checks of both master paths.
            value |= ibm(first + 1) | ibm(first + 4) | ibm(first + 5);
        } else {
            // The step check of the selected slave path.
            value |= ibm(if selects.1 == 0 { first + 6 } else { first + 3 });
        }
    }
    value
}
