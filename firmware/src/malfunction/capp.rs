//! CAPP, the coherent accelerator port of POWER8 and POWER9.

use super::{Search, read_unit, tables};
use crate::decisions::{CAPP_RECOVERY as ROW, Table};
use crate::hardware::{ChipId, Hardware};
use crate::hmi::Caller;
use crate::hmi::events::Scope;
use crate::system::System;
use opal_abi::hmi_event::{Disposition, EventType, HmiEvent, Severity};
use power_registers::fir::CAPP_RECOVERY;

/// Looks at the CAPPs of a chip that alarms. One that recovers is isolated by the hardware, so the
/// OS goes on; it resets the PCI host bridge behind it itself.
pub(super) fn search<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    chip: ChipId,
    search: &mut Search,
) {
    for registers in tables::capps(system.platform.generation) {
        let mut read = |address| read_unit(hw, system, chip, address);
        let fir = match read(registers.fir) {
            Ok(fir) => fir.unwrap_or(0),
            Err(_) => {
                search.doubt = true;
                continue;
            }
        };
        // A mask that cannot be read masks nothing.
        if fir == 0 || fir & !read(registers.mask).ok().flatten().unwrap_or(0) == 0 {
            continue;
        }
        match read(registers.error_status) {
            Ok(Some(status)) if status & CAPP_RECOVERY != 0 => {}
            // It does not recover, so it explains nothing.
            Ok(_) => continue,
            Err(_) => {
                search.doubt = true;
                continue;
            }
        }
        system.decisions.hit(Table::Capp, ROW);
        search.explained = true;
        let event = HmiEvent {
            severity: Severity::NoError,
            event_type: EventType::CappRecovery,
            disposition: Disposition::Recovered,
            hmer: caller.hmer.bits(),
            // It says nothing of the timer facility.
            tfmr: 0,
            checkstop: None,
        };
        caller.post(hw, system, Scope::Chip(chip.0), &event);
        return;
    }
}
