//! NPU (POWER8, POWER9) and PAU (POWER10): links to accelerators.

use super::{Search, read_unit, tables};
use crate::decisions::Table;
use crate::hardware::{ChipId, Hardware};
use crate::hmi::Caller;
use crate::hmi::events::Scope;
use crate::platform::Chip;
use crate::system::System;
use crate::xscom::XscomError;
use opal_abi::hmi_event::{Checkstop, Disposition, EventType, HmiEvent, Severity};
use tables::NpuFir;

/// Looks at the NPUs or PAUs of a chip that alarms, each by itself. The hardware has fenced one that
/// failed: the OS loses a device and goes on.
pub(super) fn search<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    chip: &Chip,
    search: &mut Search,
) {
    let generation = system.platform.generation;
    for base in &chip.npus {
        let mut reasons = Reasons::default();
        for fir in tables::npu_firs(generation, *base) {
            match fatal_bits(hw, system, chip.id, fir) {
                Ok(bits) => {
                    system.decisions.hit_all(Table::Npu, bits);
                    reasons.add(fir.number, bits);
                }
                Err(_) => search.doubt = true,
            }
        }
        if !reasons.failed {
            continue;
        }
        search.explained = true;
        let tells = tables::npu_tells_reasons(generation);
        let event = HmiEvent {
            severity: Severity::Warning,
            event_type: EventType::MalfunctionAlert,
            disposition: Disposition::Recovered,
            hmer: caller.hmer.bits(),
            // It says nothing of the timer facility.
            tfmr: 0,
            checkstop: Some(Checkstop::Npu {
                reasons: if tells { reasons.bytes } else { [0; 4] },
                chip: chip.id.0,
            }),
        };
        caller.post(hw, system, Scope::Chip(chip.id.0), &event);
    }
}

/// Bits of a FIR that are on, not masked, and of which both actions say that they stop the unit.
fn fatal_bits<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    chip: ChipId,
    registers: NpuFir,
) -> Result<u64, XscomError> {
    let mut bits = read_unit(hw, system, chip, registers.fir)?.unwrap_or(0);
    for (address, inverted) in [
        (registers.mask, true),
        (registers.actions[0], false),
        (registers.actions[1], false),
    ] {
        if bits == 0 {
            break;
        }
        // Without them nobody knows what the bits mean.
        let value = system.xscom.read(hw, system.platform, chip, address)?;
        bits &= if inverted { !value } else { value };
    }
    Ok(bits)
}

/// The reasons of one unit, as the event has room for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reasons {
    failed: bool,
    bytes: [u8; 4],
    count: usize,
}

impl Reasons {
    /// Adds the bits of a FIR. Bit 0 of FIR 0 would read as "no reason", so it is told by the event
    /// alone; so is what comes after four.
    fn add(&mut self, fir: u8, bits: u64) {
        self.failed |= bits != 0;
        for bit in (0..64_u8).filter(|bit| bits >> (63 - bit) & 1 != 0) {
            let byte = fir << 6 | bit;
            if byte != 0 && self.count < self.bytes.len() {
                self.bytes[self.count] = byte;
                self.count += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use power_registers::ibm;

    #[test]
    fn a_reason_is_the_fir_and_the_bit() {
        let mut reasons = Reasons::default();
        reasons.add(0, ibm(0));
        assert!(reasons.failed);
        assert_eq!(reasons.bytes, [0; 4], "it has no byte of its own");
        reasons.add(1, ibm(2));
        reasons.add(2, ibm(0) | ibm(63));
        assert_eq!(reasons.bytes, [0x42, 0x80, 0xbf, 0]);
        reasons.add(2, ibm(5) | ibm(6));
        assert_eq!(reasons.bytes, [0x42, 0x80, 0xbf, 0x85]);
    }

    #[test]
    fn no_bit_is_no_failure() {
        let mut reasons = Reasons::default();
        reasons.add(1, 0);
        assert_eq!(reasons, Reasons::default());
    }
}
