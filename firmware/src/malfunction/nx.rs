//! NX, the accelerator of POWER8 and POWER9.

use super::tables::{self, Nx};
use super::{Search, post_checkstop, read_unit};
use crate::decisions::Table;
use crate::hardware::{ChipId, Hardware};
use crate::hmi::Caller;
use crate::hmi::events::Scope;
use crate::system::System;
use crate::xscom::XscomError;
use opal_abi::hmi_event::Checkstop;
use power_registers::fir::{NX_ATTENTION, NX_DIAGNOSE, NX_DMA_ENGINE, NX_POWERBUS, NxRow};

/// That NX asked for attention, and why: a reason of 0 is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attention {
    reason: u32,
}

/// Looks at the NX of a chip that alarms. `told` is what the OS knows of it.
pub(super) fn search<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    chip: ChipId,
    told: &mut Option<Attention>,
    search: &mut Search,
) {
    let Some(registers) = tables::nx(system.platform.generation) else {
        return;
    };
    match read_unit(hw, system, chip, registers.status) {
        Ok(Some(status)) if status & NX_ATTENTION != 0 => {}
        Ok(_) => {
            *told = None;
            return;
        }
        Err(_) => {
            search.doubt = true;
            return;
        }
    }
    let reason = read_reasons(hw, system, chip, registers.dma_engine, NX_DMA_ENGINE)
        | read_reasons(hw, system, chip, registers.powerbus, NX_POWERBUS);
    search.found_fatal();
    if told.is_some_and(|told| told.reason & reason == reason) {
        return;
    }
    *told = Some(Attention { reason });
    let stop = Checkstop::Nx {
        reason,
        chip: chip.0,
    };
    post_checkstop(hw, system, caller, Scope::Chip(chip.0), stop);
    ask_for_diagnosis(hw, system, chip, registers);
}

/// The reasons that a FIR tells; none when it cannot be read.
fn read_reasons<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    chip: ChipId,
    address: u32,
    rows: &[NxRow],
) -> u32 {
    let fir = read_unit(hw, system, chip, address)
        .ok()
        .flatten()
        .unwrap_or(0);
    let hit = rows.iter().filter(|row| fir & row.mask != 0);
    hit.fold(0, |reason, row| {
        system.decisions.hit_all(Table::Nx, row.mask);
        reason | row.reason
    })
}

/// Asks the diagnostics for an analysis, without touching the other bits of the FIR. Where the
/// register that sets bits does not exist, the FIR itself is written, as older firmware does.
fn ask_for_diagnosis<H: Hardware>(hw: &mut H, system: &System<'_>, chip: ChipId, registers: Nx) {
    let mut write = |address| {
        system
            .xscom
            .write(hw, system.platform, chip, address, NX_DIAGNOSE)
    };
    if write(registers.dma_engine_or) == Err(XscomError::InvalidAddress) {
        // The event is out; that nobody will analyse it changes nothing about it.
        let _ = write(registers.dma_engine);
    }
}
