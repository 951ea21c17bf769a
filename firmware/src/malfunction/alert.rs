//! The registers that name the chips which alarm.

use crate::bring_up::malfunction_alert_register;
use crate::hardware::{ChipId, Hardware};
use crate::platform::{MAX_CHIPS, ThreadPlace};
use crate::system::System;
use crate::xscom::XscomError;
use flight_recorder::Step;
use power_registers::ibm;

/// What the registers of the machine say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alerts {
    /// No chip alarms: another thread has seen to it already.
    None,
    /// These chips do, by their number.
    Chips(u64),
    /// No chip is named, but not all registers could be read: it may be any.
    Unreadable,
}

impl Alerts {
    pub(super) const fn names(self, chip: ChipId) -> bool {
        match self {
            Self::None => false,
            Self::Chips(bits) => chip.0 < 64 && bits & ibm(chip.0) != 0,
            Self::Unreadable => true,
        }
    }
}

/// Reads the registers of all chips, and clears what they say. The clearing comes first, so that a
/// chip which alarms during the search is heard again.
pub(super) fn take<H: Hardware>(hw: &mut H, system: &System<'_>) -> Alerts {
    let mut copies = [Some(0); MAX_CHIPS];
    let mut bits = 0;
    let mut unread: u64 = 0;
    for (copy, chip) in copies.iter_mut().zip(&system.platform.chips) {
        *copy = read(hw, system, chip.id).ok();
        match copy {
            Some(found) => bits |= *found,
            None => unread += 1,
        }
    }
    system.record(hw, Step::Alert, [bits, unread]);
    if bits == 0 {
        return if unread == 0 {
            Alerts::None
        } else {
            Alerts::Unreadable
        };
    }
    for (copy, chip) in copies.iter().zip(&system.platform.chips) {
        // One that could not be read may be written all the same: the register ANDs.
        if *copy != Some(0) {
            clear(hw, system, chip.id, bits);
        }
    }
    Alerts::Chips(bits)
}

/// Whether the register of the thread's own chip names any.
pub(super) fn own_chip_alarms<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    place: ThreadPlace,
) -> bool {
    let chip = system.platform.cores[place.core].chip;
    read(hw, system, chip).is_ok_and(|bits| bits != 0)
}

fn read<H: Hardware>(hw: &mut H, system: &System<'_>, chip: ChipId) -> Result<u64, XscomError> {
    let address = malfunction_alert_register(system.platform.generation);
    system.xscom.read(hw, system.platform, chip, address)
}

fn clear<H: Hardware>(hw: &mut H, system: &System<'_>, chip: ChipId, bits: u64) {
    let address = malfunction_alert_register(system.platform.generation);
    // What stays on is found again with the next alert; what was reported is not reported again.
    let _ = system
        .xscom
        .write(hw, system.platform, chip, address, !bits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_is_named_by_its_bit() {
        let named = Alerts::Chips(ibm(0) | ibm(63));
        for (chip, is_named) in [(0, true), (1, false), (63, true), (64, false), (127, false)] {
            assert_eq!(named.names(ChipId(chip)), is_named, "{chip}");
            assert!(!Alerts::None.names(ChipId(chip)));
            assert!(Alerts::Unreadable.names(ChipId(chip)));
        }
    }
}
