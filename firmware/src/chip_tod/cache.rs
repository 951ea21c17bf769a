//! Copies of the TOD registers that firmware can restore.

use super::TodPlace;
use super::topology::Topology;
use crate::budget::Expired;
use crate::hardware::Hardware;
use crate::quirks::never_zero_field;
use crate::system::System;
use power_registers::chip_tod::{TodError, TodRegister};

/// [`TodRegister::CACHED`] of a chip, as far as they are known to be good; and its error mask.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    registers: [Option<u64>; TodRegister::CACHED.len()],
    /// 0x40032; firmware alone changes it.
    pub(super) mask: Option<u64>,
}

impl Cache {
    pub(super) const fn new() -> Self {
        Self {
            registers: [None; TodRegister::CACHED.len()],
            mask: None,
        }
    }

    pub(super) fn get(&self, register: TodRegister) -> Option<u64> {
        let place = TodRegister::CACHED.iter().position(|r| *r == register)?;
        self.registers[place]
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

impl System<'_> {
    /// Reads the nine registers of every chip into the cache, and gives how many are valid and how
    /// many could not be read. A register whose parity is bad just now keeps its older copy.
    ///
    /// # Errors
    /// [`Expired`] when a lock was not to be had.
    pub fn cache_tod_registers<H: Hardware>(&self, hw: &mut H) -> Result<CachedRegisters, Expired> {
        let (mut network, _) = self.lock_network(hw)?;
        // All of them say the same.
        let first = self.tods().next();
        let status = first.and_then(|first| self.tod_status(hw, first).ok());
        network.in_use = status.and_then(Topology::in_use);
        let mut counted = CachedRegisters::default();
        for tod in self.tods() {
            self.cache_chip(hw, tod, &mut counted)?;
        }
        Ok(counted)
    }

    /// The same for one chip.
    pub(super) fn cache_chip<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        counted: &mut CachedRegisters,
    ) -> Result<(), Expired> {
        let mut state = self.lock_chip(hw, tod)?;
        let read = TodRegister::CACHED.map(|register| self.tod_read(hw, tod.chip, register).ok());
        // After them: one that is struck while they are read is bad, too.
        let error = self.tod_read(hw, tod.chip, TodRegister::Error);
        let bad = TodError::from_bits_retain(error.unwrap_or(u64::MAX));
        if state.cache.mask.is_none() {
            state.cache.mask = self.tod_read(hw, tod.chip, TodRegister::ErrorMask).ok();
        }
        let parities = read.into_iter().zip(TodError::CACHED_PARITY);
        for ((read, parity), entry) in parities.zip(&mut state.cache.registers) {
            if !bad.contains(parity) {
                *entry = read.or(*entry);
            }
            match entry {
                Some(_) => counted.valid += 1,
                None => counted.unreadable += 1,
            }
        }
        Ok(())
    }

    /// Rewrites a register, and reads it back.
    pub(super) fn restore_register<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        register: TodRegister,
        cached: u64,
    ) -> bool {
        let generation = self.platform.generation;
        // The error may strike again between write and read: once more, then it is no chance.
        for _ in 0..2 {
            let now = never_zero_field::applies(generation, register)
                .then(|| self.tod_read(hw, tod.chip, register).ok())
                .flatten();
            let plan = never_zero_field::restore(generation, register, cached, now);
            if let Some(first) = plan.first
                && self.tod_write(hw, tod.chip, register, first).is_err()
            {
                return false;
            }
            if self.tod_write(hw, tod.chip, register, plan.value).is_err() {
                return false;
            }
            match self.tod_read(hw, tod.chip, register) {
                Ok(read) if read == plan.value => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        false
    }
}
