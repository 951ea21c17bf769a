//! XSCOM: loads and stores that reach the registers of a chip, with HMER as the mailbox for how
//! they ended.
//!
//! One access at a time in the whole machine: replies of two threads can get mixed (erratum). The
//! lock is released on every path, every wait is bounded without TB, nothing is printed.

mod status;
mod tables;

use crate::budget::{Budget, DEFAULT_SPINS_PER_MICROSECOND};
use crate::hardware::{ChipId, Hardware};
use crate::lock::Lock;
use crate::platform::Platform;
use crate::quirks::lost_wakeup::{LostWakeup, lost_wakeup};
use core::sync::atomic::{AtomicU64, Ordering};
use power_registers::Hmer;
pub use status::XscomError;

/// Tries of an access whose engine is busy.
const BUSY_TRIES: u32 = 3_000;
/// The engine is reset at each of so many busy tries.
const BUSY_TRIES_PER_RESET: u32 = 1_000;
/// Longest wait for "done"; an access takes about one microsecond.
const DONE_MICROSECONDS: u64 = 10_000;
/// Longest wait for the engine; a holder may be in its busy retries.
const ENGINE_MICROSECONDS: u64 = 100_000;
/// Pause after a reset that asks for one.
const RESET_MICROSECONDS: u64 = 10;
/// Fewest spins of a wait, whatever a spin lasts.
const LEAST_SPINS: u64 = 10_000;

/// The XSCOM engine of the machine.
#[derive(Debug)]
pub struct Xscom {
    engine: Lock<()>,
    spins_per_microsecond: AtomicU64,
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write(u64),
}

/// What is accessed.
#[derive(Clone, Copy)]
struct Register<'a> {
    platform: &'a Platform,
    chip: ChipId,
    address: u32,
    real: u64,
}

impl Default for Xscom {
    fn default() -> Self {
        Self::new()
    }
}

impl Xscom {
    /// The engine, free.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            engine: Lock::new(()),
            spins_per_microsecond: AtomicU64::new(DEFAULT_SPINS_PER_MICROSECOND),
        }
    }

    /// Sets how long a spin is, for the waits of this driver.
    pub fn set_spins_per_microsecond(&self, spins: u64) {
        self.spins_per_microsecond
            .store(spins.max(1), Ordering::Relaxed);
    }

    /// Reads the register at a SCOM `address` of a chip.
    ///
    /// # Errors
    /// [`XscomError`]; what the failed load returned is dropped.
    pub fn read<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        chip: ChipId,
        address: u32,
    ) -> Result<u64, XscomError> {
        self.access(hw, platform, chip, address, Access::Read)
    }

    /// Writes the register at a SCOM `address` of a chip.
    ///
    /// # Errors
    /// [`XscomError`].
    pub fn write<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        chip: ChipId,
        address: u32,
        value: u64,
    ) -> Result<(), XscomError> {
        self.access(hw, platform, chip, address, Access::Write(value))
            .map(drop)
    }

    fn access<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        chip: ChipId,
        address: u32,
        access: Access,
    ) -> Result<u64, XscomError> {
        let real = real_address(platform, chip, address)?;
        let waiting = self.budget(ENGINE_MICROSECONDS);
        let engine = self.engine.lock_within(hw, waiting);
        let (_engine, _) = engine.map_err(|_| XscomError::EngineHeld)?;
        match self.issue(hw, real, access) {
            Err(error) => {
                let register = Register {
                    platform,
                    chip,
                    address,
                    real,
                };
                self.insist(hw, register, access, error)
            }
            done => done,
        }
    }

    /// What an access needs that did not work at once: kept apart, so that those that do carry
    /// nothing of it. The caller holds the engine.
    #[cold]
    #[inline(never)]
    fn insist<H: Hardware>(
        &self,
        hw: &mut H,
        register: Register<'_>,
        access: Access,
        first: XscomError,
    ) -> Result<u64, XscomError> {
        let Register {
            platform,
            chip,
            address,
            real,
        } = register;
        let mut busy = 0;
        let mut wakeups = 0;
        let mut done = Err(first);
        loop {
            match done {
                Err(XscomError::Busy) if busy + 1 < BUSY_TRIES => {
                    busy += 1;
                    if busy % BUSY_TRIES_PER_RESET == 0 {
                        self.reset(hw, platform, chip);
                    }
                    hw.relax();
                }
                Err(XscomError::InvalidAddress) => {
                    self.reset(hw, platform, chip);
                    let Some(rule) = lost_wakeup(platform.generation, address) else {
                        return Err(XscomError::InvalidAddress);
                    };
                    if wakeups == rule.attempts {
                        return Err(XscomError::InvalidAddress);
                    }
                    wakeups += 1;
                    self.wake_core_path(hw, platform, chip, rule);
                }
                Err(error) => {
                    self.reset(hw, platform, chip);
                    return Err(error);
                }
                Ok(_) => return done,
            }
            done = self.issue(hw, real, access);
        }
    }

    /// One access: clear the mailbox, access, wait for "done", and read the outcome once more,
    /// since the fail bit and the status may lag behind it.
    fn issue<H: Hardware>(&self, hw: &mut H, real: u64, access: Access) -> Result<u64, XscomError> {
        hw.and_hmer(!Hmer::XSCOM_MAILBOX.bits());
        let value = match access {
            Access::Read => hw.load(real),
            Access::Write(value) => {
                hw.store(real, value);
                value
            }
        };
        let mut waiting = self.budget(DONE_MICROSECONDS);
        while !hw.hmer().contains(Hmer::XSCOM_DONE) {
            waiting.spin(hw).map_err(|_| XscomError::NeverDone)?;
        }
        status::result_of(hw.hmer()).map(|()| value)
    }

    /// Frees an engine that is stuck. What its own accesses answer does not matter.
    fn reset<H: Hardware>(&self, hw: &mut H, platform: &Platform, chip: ChipId) {
        let registers = tables::engine_reset(platform.generation);
        let local = platform
            .place(hw.pir())
            .and_then(|place| platform.cores.get(place.core))
            .map_or(chip, |core| core.chip);
        for (chip, address) in [
            (local, registers.receive_status),
            (chip, registers.log),
            (chip, registers.error),
        ] {
            if let Ok(real) = real_address(platform, chip, address) {
                let _ = self.issue(hw, real, Access::Write(0));
            }
        }
    }

    fn wake_core_path<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        chip: ChipId,
        rule: LostWakeup,
    ) {
        self.pause(hw);
        let poked = real_address(platform, chip, rule.poke)
            .and_then(|real| self.issue(hw, real, Access::Write(0)));
        if poked.is_err() {
            self.reset(hw, platform, chip);
            self.pause(hw);
        }
    }

    fn pause<H: Hardware>(&self, hw: &mut H) {
        let spins = self.spins_per_microsecond.load(Ordering::Relaxed);
        Budget::microseconds(RESET_MICROSECONDS, spins, 1).elapse(hw);
    }

    fn budget(&self, microseconds: u64) -> Budget {
        let spins = self.spins_per_microsecond.load(Ordering::Relaxed);
        Budget::microseconds(microseconds, spins, LEAST_SPINS)
    }
}

/// The real address of a register.
fn real_address(platform: &Platform, chip: ChipId, address: u32) -> Result<u64, XscomError> {
    let chip = platform.chip(chip).ok_or(XscomError::NoSuchChip)?;
    let offset = tables::offset(platform.generation, address);
    if offset
        .checked_add(8)
        .is_none_or(|end| end > chip.xscom_size)
    {
        return Err(XscomError::OutsideWindow);
    }
    Ok(chip.xscom_base + offset)
}

#[cfg(test)]
mod tests;
