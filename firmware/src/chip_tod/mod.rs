//! The ChipTOD: the time counter of each chip, from which the cores load TB.
//!
//! Its registers are shared by all cores of a chip (the target of a transfer above all), so whoever
//! changes them holds the TOD lock. The lock is machine-wide, as the topology is.

mod errors;
mod target;

use crate::budget::{Budget, Expired, lock_within};
use crate::hardware::{ChipId, Hardware};
use crate::platform::{Core, MAX_CHIPS, TodRole};
use crate::system::System;
use crate::xscom::XscomError;
use core::sync::atomic::{AtomicU64, Ordering};
pub use errors::TodRecovery;
use power_registers::chip_tod::{FSM_RUNNING, TRIGGER, TodRegister};
use spin::{Mutex, MutexGuard};
pub use target::{aim, core_scom};

/// Longest wait for the TOD lock: the holder may be reloading another core's TB.
const LOCK_MICROSECONDS: u64 = 500_000;
const LEAST_SPINS: u64 = 100_000;

/// What the firmware knows about the ChipTODs of the machine.
#[derive(Debug)]
pub struct ChipTod {
    state: Mutex<TodState>,
    /// Errors outside the sets that firmware owns, cleared so that they cannot storm.
    stray_errors: AtomicU64,
}

/// What the TOD lock protects.
#[derive(Debug)]
pub(crate) struct TodState {
    /// Per chip (by its place in the platform): [`TodRegister::CACHED`], as long as they are valid.
    cache: [[Option<u64>; TodRegister::CACHED.len()]; MAX_CHIPS],
    /// Per chip: ERROR bits that could not be repaired, and were reported.
    given_up: [u64; MAX_CHIPS],
}

/// Proof that the TOD lock is held.
pub(crate) type TodGuard<'a> = MutexGuard<'a, TodState>;

impl Default for ChipTod {
    fn default() -> Self {
        Self::new()
    }
}

impl ChipTod {
    /// Nothing known yet.
    #[must_use]
    pub const fn new() -> Self {
        let state = TodState {
            cache: [[None; TodRegister::CACHED.len()]; MAX_CHIPS],
            given_up: [0; MAX_CHIPS],
        };
        Self {
            state: Mutex::new(state),
            stray_errors: AtomicU64::new(0),
        }
    }

    /// ERROR bits outside firmware's sets that were cleared so far.
    #[must_use]
    pub fn stray_errors(&self) -> u64 {
        self.stray_errors.load(Ordering::Relaxed)
    }

    pub(crate) fn lock<H: Hardware>(
        &self,
        hw: &mut H,
        spins_per_microsecond: u64,
    ) -> Result<TodGuard<'_>, Expired> {
        let budget = Budget::microseconds(LOCK_MICROSECONDS, spins_per_microsecond, LEAST_SPINS);
        lock_within(hw, &self.state, budget)
    }
}

impl System<'_> {
    /// Whether this chip has a ChipTOD at all.
    #[must_use]
    pub fn has_chip_tod(&self, chip: ChipId) -> bool {
        self.platform
            .chip(chip)
            .is_some_and(|chip| chip.chip_tod.is_some())
    }

    /// The chip that is master of the primary topology.
    #[must_use]
    pub fn primary_tod(&self) -> Option<ChipId> {
        let primary = |role| role == Some(TodRole::Primary);
        self.platform
            .chips
            .iter()
            .find(|chip| primary(chip.chip_tod))
            .map(|chip| chip.id)
    }

    /// Reads a ChipTOD register.
    ///
    /// # Errors
    /// [`XscomError`].
    pub fn tod_read<H: Hardware>(
        &self,
        hw: &mut H,
        chip: ChipId,
        register: TodRegister,
    ) -> Result<u64, XscomError> {
        self.xscom.read(hw, self.platform, chip, register.address())
    }

    /// Writes a ChipTOD register. The caller holds the TOD lock, or the machine is not up yet.
    ///
    /// # Errors
    /// [`XscomError`].
    pub fn tod_write<H: Hardware>(
        &self,
        hw: &mut H,
        chip: ChipId,
        register: TodRegister,
        value: u64,
    ) -> Result<(), XscomError> {
        self.xscom
            .write(hw, self.platform, chip, register.address(), value)
    }

    /// Writes the trigger bit of a command register.
    ///
    /// # Errors
    /// [`XscomError`].
    pub(crate) fn tod_trigger<H: Hardware>(
        &self,
        hw: &mut H,
        chip: ChipId,
        register: TodRegister,
    ) -> Result<(), XscomError> {
        self.tod_write(hw, chip, register, TRIGGER)
    }

    /// FSM of a chip's TOD; test it with [`is_running`].
    ///
    /// # Errors
    /// [`XscomError`].
    pub(crate) fn tod_fsm<H: Hardware>(&self, hw: &mut H, chip: ChipId) -> Result<u64, XscomError> {
        self.tod_read(hw, chip, TodRegister::Fsm)
    }

    /// Aims the next MOVE_TOD_TO_TB of the core's chip at that core.
    pub(crate) fn tod_aim<H: Hardware>(&self, hw: &mut H, core: &Core) -> Result<(), XscomError> {
        let register = TodRegister::TxTtypeControl;
        let old = self.tod_read(hw, core.chip, register)?;
        let value = aim(self.platform, core, hw.pir(), old);
        self.tod_write(hw, core.chip, register, value)
    }

    /// Reads the nine registers of every chip into the cache, and gives how many are valid and how
    /// many could not be read.
    ///
    /// # Errors
    /// [`Expired`] when the TOD lock was not to be had.
    pub fn cache_tod_registers<H: Hardware>(&self, hw: &mut H) -> Result<CachedRegisters, Expired> {
        let mut state = self.chip_tod.lock(hw, self.spins_per_microsecond())?;
        let mut counted = CachedRegisters {
            valid: 0,
            unreadable: 0,
        };
        for (chip, cache) in self.platform.chips.iter().zip(state.cache.iter_mut()) {
            if chip.chip_tod.is_none() {
                continue;
            }
            for (register, entry) in TodRegister::CACHED.into_iter().zip(cache) {
                *entry = self.tod_read(hw, chip.id, register).ok();
                match entry {
                    Some(_) => counted.valid += 1,
                    None => counted.unreadable += 1,
                }
            }
        }
        Ok(counted)
    }
}

/// How the reading of the register cache went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CachedRegisters {
    /// Registers that can be restored from now on.
    pub valid: usize,
    /// Registers whose parity errors cannot be repaired.
    pub unreadable: usize,
}

/// Whether an FSM value says that the TOD is running.
#[must_use]
pub const fn is_running(fsm: u64) -> bool {
    fsm & FSM_RUNNING != 0
}
