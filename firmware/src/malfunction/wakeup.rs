//! Special wakeup: keeps a core awake while its registers are read.
//!
//! A sleeping core answers with an error and all ones, so nothing that it says would be of use. The
//! request is taken back on every way out. Waits are counted in spins, since TB may stand, and all
//! the waits of one search share a limit. Only one search runs at a time, so that nobody takes back
//! what another one asked for.

use super::tables;
use crate::budget::Budget;
use crate::hardware::{ChipId, Hardware};
use crate::system::System;
use power_registers::fir::WAKEUP_REQUEST;

/// Longest wait for one core.
const CORE_MICROSECONDS: u64 = 100_000;
/// Longest wait for all cores of a search together.
const SEARCH_MICROSECONDS: u64 = 300_000;
/// Between two looks.
const POLL_MICROSECONDS: u64 = 100;

/// How much waiting a search has left.
#[derive(Debug)]
pub(super) struct Patience {
    microseconds: u64,
}

impl Patience {
    pub(super) const fn new() -> Self {
        Self {
            microseconds: SEARCH_MICROSECONDS,
        }
    }
}

/// Does `work` while the small core is awake, or as awake as it could be made; says whether it
/// was.
pub(super) fn awake<H: Hardware, T>(
    hw: &mut H,
    system: &System<'_>,
    chip: ChipId,
    core: u32,
    patience: &mut Patience,
    work: impl FnOnce(&mut H) -> T,
) -> (T, bool) {
    let registers = tables::wakeup(system.platform.generation, core);
    let write = |hw: &mut H, value| {
        system
            .xscom
            .write(hw, system.platform, chip, registers.request, value)
    };
    let requested = write(hw, WAKEUP_REQUEST).is_ok();
    let is_awake = requested && await_done(hw, system, chip, registers, patience);
    let done = work(hw);
    // Also a request that was answered with an error may have got there.
    let _ = write(hw, 0);
    (done, is_awake)
}

fn await_done<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    chip: ChipId,
    registers: tables::Wakeup,
    patience: &mut Patience,
) -> bool {
    let mut left = CORE_MICROSECONDS.min(patience.microseconds);
    loop {
        let status = system
            .xscom
            .read(hw, system.platform, chip, registers.status);
        match status {
            Ok(status) if status & registers.done != 0 => return true,
            // The core may be on its way.
            Ok(_) => {}
            Err(_) => return false,
        }
        if left < POLL_MICROSECONDS {
            return false;
        }
        left -= POLL_MICROSECONDS;
        patience.microseconds -= POLL_MICROSECONDS;
        Budget::microseconds(POLL_MICROSECONDS, system.spins_per_microsecond(), 1).elapse(hw);
    }
}
