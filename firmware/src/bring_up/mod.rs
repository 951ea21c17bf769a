//! What every core and thread needs before its first HMI, besides a running TB: HMEER, a base value
//! in TFMR, and nothing pending that is left from before.
//!
//! Source: HMI and ChipTOD specification, sections 1.3, 2.2 and 5.4.

mod capability;

pub use capability::{Backup, Capability, capability};

use crate::hardware::{ChipId, Hardware};
use crate::platform::Generation;
use crate::system::System;
use crate::timebase::own_tfmr;
use power_registers::{Hmeer, Hmer, Tfmr};

/// What a generation enables in HMEER.
#[must_use]
pub const fn enabled_causes(generation: Generation) -> Hmer {
    match generation {
        Generation::Power8 | Generation::Power9 => Hmeer::POWER8_POWER9.0,
        Generation::Power10 => Hmeer::POWER10.0,
    }
}

/// SCOM register with one bit for each chip that raised a malfunction alert; a write is an AND.
#[must_use]
pub const fn malfunction_alert_register(generation: Generation) -> u32 {
    match generation {
        Generation::Power8 => 0x0202_0011,
        Generation::Power9 | Generation::Power10 => 0x0009_0022,
    }
}

/// A core is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreparedCore {
    /// HMEER now.
    pub hmeer: Hmer,
    /// Causes that were to be enabled and are not: the register did not take them.
    pub refused: Hmer,
}

/// Adds this generation's causes to HMEER of the calling thread's core, and gives TFMR its base
/// value where no ChipTOD will: local errors are cleared by writes that contain it.
///
/// To be called on one thread of each core; of a fused core on one of each half.
pub fn prepare_core<H: Hardware>(hw: &mut H, system: &System<'_>) -> PreparedCore {
    let enable = enabled_causes(system.platform.generation);
    let before = hw.hmeer();
    hw.set_hmeer(before | enable);
    let hmeer = hw.hmeer();
    if let Some((_, place)) = system.find(hw.pir())
        && !system.has_chip_tod(system.platform.cores[place.core].chip)
        && let Some(_owned) = own_tfmr(hw, system, place)
    {
        hw.set_tfmr(system.base_tfmr());
    }
    PreparedCore {
        hmeer,
        refused: enable & !hmeer,
    }
}

/// A thread is ready for its first HMI, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledThread {
    /// Causes that were pending in HMER, from before; they are cleared.
    pub stale: Hmer,
    /// Causes that its HMEER should enable and does not.
    pub unarmed: Hmer,
    /// TFMR after that.
    pub tfmr: Tfmr,
    /// The thread sees a TB that runs without an error, or the chip has no ChipTOD to run it from.
    pub sound: bool,
}

/// Clears what is pending in HMER of the calling thread, then looks whether TB is well: an error
/// that came meanwhile has no cause in HMER any more, but TFMR still shows it.
///
/// To be called on every thread, after the TBs were started and the alerts cleared.
pub fn settle_thread<H: Hardware>(hw: &mut H, system: &System<'_>) -> SettledThread {
    let stale = hw.hmer().difference(Hmer::XSCOM_MAILBOX);
    if !stale.is_empty() {
        hw.and_hmer(!stale.bits());
    }
    let tfmr = hw.tfmr();
    let sound = system.find(hw.pir()).is_some_and(|(_, place)| {
        let has_tod = system.has_chip_tod(system.platform.cores[place.core].chip);
        let (generation, thread) = (system.platform.generation, place.thread);
        let errors =
            Tfmr::CORE_ERRORS & !crate::quirks::latched_errors::latched(generation, thread);
        !has_tod || tfmr.tb_usable() && !tfmr.intersects(errors)
    });
    let unarmed = enabled_causes(system.platform.generation) & !hw.hmeer();
    SettledThread {
        stale,
        unarmed,
        tfmr,
        sound,
    }
}

/// What was found in the malfunction alert register of one chip, which is clear now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundAlerts {
    /// One IBM bit for each chip that had raised an alert.
    Chips(u64),
    /// The register cannot be reached, as on QEMU. Then nothing was cleared.
    Unreachable,
}

/// Clears the malfunction alerts that a chip was told of before this boot. Their causes stay in the
/// FIRs; an alert that is left would be handled, and reported to the OS, at the first HMI.
pub fn clear_alerts<H: Hardware>(hw: &mut H, system: &System<'_>, chip: ChipId) -> FoundAlerts {
    let register = malfunction_alert_register(system.platform.generation);
    let Ok(found) = system.xscom.read(hw, system.platform, chip, register) else {
        return FoundAlerts::Unreachable;
    };
    if found == 0 {
        return FoundAlerts::Chips(0);
    }
    match system
        .xscom
        .write(hw, system.platform, chip, register, !found)
    {
        Ok(()) => FoundAlerts::Chips(found),
        Err(_) => FoundAlerts::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hardware::{Answer, Scripted, platform};
    use flight_recorder::FlightRecorder;

    #[test]
    fn without_a_chip_tod_the_base_is_written_all_the_same() {
        let mut platform = platform(Generation::Power8, 8);
        platform.chips[0].chip_tod = None;
        let recorder = std::boxed::Box::new(FlightRecorder::new());
        let system = System::new(&platform, &recorder).unwrap();
        let mut hw = Scripted::new();
        let prepared = prepare_core(&mut hw, &system);
        assert_eq!(hw.tfmr_writes, [0x1212_0000_0000_0000]);
        // This machine has no HMEER.
        assert_eq!(prepared.refused.bits(), 0xbc10_0800_0000_0000);
        hw.tfmr = 0x1212_0000_0000_0000;
        assert!(settle_thread(&mut hw, &system).sound);
    }

    #[test]
    fn alerts_are_cleared_as_found_and_an_unreachable_register_is_said() {
        let platform = platform(Generation::Power10, 4);
        let recorder = std::boxed::Box::new(FlightRecorder::new());
        let system = System::new(&platform, &recorder).unwrap();
        let mut hw = Scripted::new();
        let clear = |hw: &mut Scripted| clear_alerts(hw, &system, ChipId(0));
        assert_eq!(clear(&mut hw), FoundAlerts::Chips(0));
        assert_eq!(hw.scom_writes, [], "nothing to clear");
        hw.scom.insert(0x0009_0022, 0x4000_0000_0000_0000);
        assert_eq!(clear(&mut hw), FoundAlerts::Chips(0x4000_0000_0000_0000));
        assert_eq!(hw.scom_writes, [(0x0009_0022, 0xbfff_ffff_ffff_ffff)]);
        hw.answers.push_back(Answer::Status(4));
        assert_eq!(clear(&mut hw), FoundAlerts::Unreachable);
    }
}
