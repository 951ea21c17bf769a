//! The ChipTOD: the time counter of each chip, from which the cores load TB.
//!
//! Two kinds of locks keep its users apart. The **chip lock** covers what one chip's cores share: the
//! target of transfers (0x27), the repair of ERROR, the cache of registers. The **network lock** is
//! machine-wide and covers what changes the time of a whole chip: restart, switch of the topology,
//! rebuild. Who needs both takes the network lock first. No one waits for a sync pulse under a chip
//! lock, so cores that lost TB together load it together: only the few accesses to 0x27 and 0x17
//! follow one another.
//!
//! | module | what |
//! |---|---|
//! | `error_table` | what is done about each bit of ERROR |
//! | `errors`, `history`, `cache` | the repair of ERROR |
//! | `topology` | roles, standing, valid steps: pure decisions |
//! | `restart` | a TOD that does not run: a neighbour's time, or the steps below |
//! | `switch` | to the backup master |
//! | `suspicion` | a TOD that runs, perhaps with the wrong time |
//! | `witness` | a time that nobody reported as damaged: do the other chips contradict it? |
//! | `watch` | the TOD beside a TB that runs, now and then |
//! | `rebuild` | when no TOD of the machine runs: from the best estimate |
//! | `target`, `transfer` | sending the TOD to a core, and to a chip that asks |

mod cache;
mod counters;
pub mod diagnostics;
pub mod error_table;
mod errors;
mod history;
mod rebuild;
mod restart;
mod restart_error;
mod suspicion;
mod switch;
mod target;
pub mod topology;
mod transfer;
mod watch;
mod witness;

use crate::budget::Expired;
use crate::hardware::{ChipId, Hardware};
use crate::lock::Lock;
use crate::platform::{MAX_CHIPS, TodRole};
use crate::system::System;
use crate::xscom::XscomError;
use cache::Cache;
pub use cache::CachedRegisters;
use core::sync::atomic::{AtomicU64, Ordering};
pub use counters::TodCounters;
pub use errors::TodRecovery;
use power_registers::chip_tod::{
    FSM_RUNNING, FSM_STATE, FSM_STATE_RUNNING, TRIGGER, TodError, TodRegister,
};
pub(crate) use rebuild::value_to_load;
pub(crate) use restart::Lost;
pub use restart_error::RestartError;
use spin::MutexGuard;
pub use target::{aim, core_scom};

/// Longest wait for a chip's lock: each of its cores holds it for a few accesses.
pub(crate) const CHIP_LOCK_MICROSECONDS: u64 = 100_000;
/// Longest wait for the network: its holder restarts a TOD, step by step with bounded waits.
pub(crate) const NETWORK_LOCK_MICROSECONDS: u64 = 100_000;
const LEAST_SPINS: u64 = 100_000;

/// What the firmware knows about the ChipTODs of the machine.
#[derive(Debug)]
pub struct ChipTod {
    network: Lock<Network>,
    /// By the chip's place in the platform.
    chips: [Lock<ChipState>; MAX_CHIPS],
    /// Per chip: step checks that are cleared after the next reload of TB. Changed under the chip
    /// lock.
    held_back: [AtomicU64; MAX_CHIPS],
    /// Per chip: the cores that took part in an attempt to restart the TOD that failed, by their
    /// place in the platform. The others of them do not try again.
    hopeless: [AtomicU64; MAX_CHIPS],
    /// One bit a chip: it was told to answer requests and could not be told to stop, so the next aim
    /// does.
    answers_in_vain: AtomicU64,
    /// One bit a chip: its value had a parity error, and was not found to be right yet.
    suspects: AtomicU64,
    /// One bit a chip: its ERROR had bits that could not be repaired and are not looked at any more, and
    /// no event has said so yet.
    unsaid: AtomicU64,
    /// One bit a chip: it is being given a time. What it shows until then is nobody's time.
    restarting: AtomicU64,
    /// Per chip: what its cores found when they compared it with their TB.
    watches: [watch::Watch; MAX_CHIPS],
    /// Counts restarts, also those that failed, so that one which happens between two looks is noticed.
    epoch: AtomicU64,
    /// What happened so far.
    pub counters: TodCounters,
}

/// What the network lock protects, beside what is in the hardware.
#[derive(Debug)]
pub(crate) struct Network {
    /// The topology in use when it was last looked at.
    in_use: Option<topology::Topology>,
}

/// What a chip lock protects.
#[derive(Debug)]
pub(crate) struct ChipState {
    cache: Cache,
    errors: history::History,
}

/// A chip that has a ChipTOD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TodPlace {
    pub(crate) chip: ChipId,
    /// Its place in the platform.
    index: usize,
}

impl TodPlace {
    /// Its bit in a mask of chips.
    const fn bit(self) -> u64 {
        1 << self.index
    }
}

impl Default for ChipTod {
    fn default() -> Self {
        Self::new()
    }
}

impl ChipTod {
    /// Nothing known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            network: Lock::new(Network { in_use: None }),
            chips: [const {
                Lock::new(ChipState {
                    cache: Cache::new(),
                    errors: history::History::new(),
                })
            }; MAX_CHIPS],
            held_back: [const { AtomicU64::new(0) }; MAX_CHIPS],
            hopeless: [const { AtomicU64::new(0) }; MAX_CHIPS],
            answers_in_vain: AtomicU64::new(0),
            suspects: AtomicU64::new(0),
            unsaid: AtomicU64::new(0),
            restarting: AtomicU64::new(0),
            watches: [const { watch::Watch::new() }; MAX_CHIPS],
            epoch: AtomicU64::new(0),
            counters: TodCounters::new(),
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether the TOD has not been given another time since `epoch`, and is not about to be: then what
    /// was loaded from it meanwhile is its time.
    pub(crate) fn kept_its_time(&self, tod: TodPlace, epoch: u64) -> bool {
        // In this order: who restarts it counts before it says that it is done.
        !self.is_restarting(tod) && self.epoch() == epoch
    }

    /// Whether somebody is giving it a time.
    pub(crate) fn is_restarting(&self, tod: TodPlace) -> bool {
        self.restarting.load(Ordering::Acquire) & tod.bit() != 0
    }
}

impl System<'_> {
    /// Whether this chip has a ChipTOD at all.
    #[must_use]
    pub fn has_chip_tod(&self, chip: ChipId) -> bool {
        self.tod_of(chip).is_some()
    }

    /// The ChipTOD of a chip, if it has one.
    pub(crate) fn tod_of(&self, chip: ChipId) -> Option<TodPlace> {
        self.tods().find(|tod| tod.chip == chip)
    }

    /// The ChipTODs of the machine.
    pub(crate) fn tods(&self) -> impl Iterator<Item = TodPlace> {
        let chips = self.platform.chips.iter().enumerate();
        chips
            .filter(|(_, chip)| chip.chip_tod.is_some())
            .map(|(index, chip)| TodPlace {
                chip: chip.id,
                index,
            })
    }

    /// The chip that the device tree names as master.
    fn master_of(&self, role: TodRole) -> Option<TodPlace> {
        let found = |chip: &&crate::platform::Chip| chip.chip_tod == Some(role);
        let chip = self.platform.chips.iter().find(found)?;
        self.tod_of(chip.id)
    }

    /// The chip that is master of the primary topology.
    #[must_use]
    pub fn primary_tod(&self) -> Option<ChipId> {
        self.master_of(TodRole::Primary).map(|tod| tod.chip)
    }

    pub(crate) fn lock_chip<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
    ) -> Result<MutexGuard<'_, ChipState>, Expired> {
        let budget = self.budget(CHIP_LOCK_MICROSECONDS, LEAST_SPINS);
        let taken = self.chip_tod.chips[tod.index].lock_within(hw, budget);
        taken.map(|(guard, _)| guard)
    }

    /// The network, and the spins that it took to get it.
    pub(crate) fn lock_network<H: Hardware>(
        &self,
        hw: &mut H,
    ) -> Result<(MutexGuard<'_, Network>, u64), Expired> {
        let budget = self.budget(NETWORK_LOCK_MICROSECONDS, LEAST_SPINS);
        self.chip_tod.network.lock_within(hw, budget)
    }

    /// Reads a ChipTOD register. No read of these has an effect, so one that fails on the way is
    /// tried once more.
    ///
    /// # Errors
    /// [`XscomError`] of the second try.
    pub fn tod_read<H: Hardware>(
        &self,
        hw: &mut H,
        chip: ChipId,
        register: TodRegister,
    ) -> Result<u64, XscomError> {
        let mut read = || self.xscom.read(hw, self.platform, chip, register.address());
        match read() {
            Err(error) if error.may_pass() => read(),
            done => done,
        }
    }

    /// Writes a ChipTOD register. The caller holds the lock that covers it, or the machine is not up
    /// yet.
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

    /// FSM of a chip's TOD; test it with [`is_running`]. A TOD that runs again can be relied on
    /// again, whatever failed before.
    ///
    /// # Errors
    /// [`XscomError`].
    // Asked in a dozen places.
    #[inline(never)]
    pub(crate) fn tod_fsm<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
    ) -> Result<u64, XscomError> {
        let fsm = self.tod_read(hw, tod.chip, TodRegister::Fsm)?;
        if is_running(fsm) {
            let hopeless = &self.chip_tod.hopeless[tod.index];
            // Mostly it is 0 already: then nothing is written.
            if hopeless.load(Ordering::Relaxed) != 0 {
                hopeless.store(0, Ordering::Release);
            }
        }
        Ok(fsm)
    }

    /// FSM of a chip's TOD. A value that does not say that it runs, and cannot be, is not believed: the
    /// register may have a parity error, which is cleared then.
    ///
    /// # Errors
    /// [`XscomError`].
    pub(crate) fn tod_fsm_for_sure<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
    ) -> Result<u64, XscomError> {
        let fsm = self.tod_fsm(hw, tod)?;
        if is_running(fsm) || is_plausible(fsm) {
            return Ok(fsm);
        }
        let parity = TodError::FSM_READ_PARITY.bits();
        if self.tod_read(hw, tod.chip, TodRegister::Error)? & parity != 0 {
            self.tod_write(hw, tod.chip, TodRegister::Error, parity)?;
        }
        // Somebody may have cleared the error since the first look.
        self.tod_fsm(hw, tod)
    }
}

/// Whether an FSM value can be that of a TOD that does not run: not with the state of one that does,
/// nor with bits that are none of the register's.
const fn is_plausible(fsm: u64) -> bool {
    fsm & !FSM_STATE & !FSM_RUNNING == 0 && fsm & FSM_STATE != FSM_STATE_RUNNING
}

/// Whether an FSM value says that the TOD is running.
#[must_use]
pub const fn is_running(fsm: u64) -> bool {
    fsm & FSM_RUNNING != 0
}

#[cfg(test)]
mod tests;
