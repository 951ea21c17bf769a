//! What TFMR says is wrong, and who has to repair it.

use super::Caller;
use crate::chip_tod::core_scom;
use crate::decisions::NO_REASON;
use crate::hardware::Hardware;
use crate::platform::Generation;
use crate::quirks::latched_errors::{TRUTH, latched};
use crate::system::System;
use crate::timebase::{own_tfmr, settled_tfmr};
use power_registers::{Hmer, TbState, Tfmr, ibm};

/// Bits of one thread that the thread repairs itself.
pub(super) const LOCAL: Tfmr = Tfmr::THREAD_ERRORS
    .union(Tfmr::PURR_OVERFLOW)
    .union(Tfmr::SPURR_OVERFLOW);

/// What is wrong, by who repairs it. Several can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// The core's threads together.
    pub(super) core: bool,
    /// Any one thread of the chip.
    pub(super) tod: bool,
    /// This thread.
    pub(super) local: Tfmr,
}

/// Judges TFMR. `tb_should_run`: there is a ChipTOD, or HMER says that the timer facility failed;
/// without either a TB that was never started is no fault.
pub(super) fn diagnose(tfmr: Tfmr, tb_should_run: bool) -> Diagnosis {
    let invalid = !tfmr.contains(Tfmr::TB_VALID);
    // ERROR without a cause happens on POWER10 after deep sleep; a command that waits for ever is
    // what a failed resync leaves.
    let stuck = tfmr.state() == TbState::Error
        || tfmr.intersects(Tfmr::LOAD_TOD_MOD | Tfmr::MOVE_CHIP_TOD_TO_TB);
    let core = tfmr.intersects(Tfmr::CORE_ERRORS | Tfmr::TRANSFER_ERRORS)
        || invalid && (stuck || tb_should_run);
    Diagnosis {
        core,
        tod: !core && tfmr.contains(Tfmr::CHIP_TOD_INTERRUPT),
        // What a corrupt TFMR says about the thread means nothing.
        local: if tfmr.contains(Tfmr::TFMR_CORRUPT) {
            Tfmr::empty()
        } else {
            tfmr & LOCAL
        },
    }
}

/// Rows of the decision table that a diagnosis of `tfmr` acts upon.
pub(super) fn rows(tfmr: Tfmr, found: Diagnosis) -> u64 {
    if tfmr.contains(Tfmr::TFMR_CORRUPT) {
        return Tfmr::TFMR_CORRUPT.bits();
    }
    let mut rows = found.local.bits();
    if found.core {
        let errors = tfmr & (Tfmr::CORE_ERRORS | Tfmr::TRANSFER_ERRORS);
        let stuck = tfmr & (Tfmr::LOAD_TOD_MOD | Tfmr::MOVE_CHIP_TOD_TO_TB);
        rows |= (errors | stuck).bits();
        if errors.is_empty() && stuck.is_empty() {
            rows |= ibm(NO_REASON);
        }
    }
    if found.tod {
        rows |= Tfmr::CHIP_TOD_INTERRUPT.bits();
    }
    rows
}

/// TFMR as it is when no other thread is at work on it, without bits that are known to be stale.
pub(super) fn settled<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &Caller) -> Tfmr {
    let stuck = stuck_transfer(system, caller);
    let tfmr = settled_tfmr(hw, system, caller.place) & !stuck;
    if !may_be_latched(system, caller, tfmr) {
        return tfmr;
    }
    // A running TB with nothing but these bits: this is the case in which they may be old. Anything
    // else needs the whole core anyway.
    let others = Tfmr::CORE_ERRORS & !latched_for(system, caller);
    let only_latched = tfmr.tb_usable() && !tfmr.intersects(others);
    if !only_latched {
        return tfmr;
    }
    let Some(_owned) = own_tfmr(hw, system, caller.place) else {
        return tfmr;
    };
    unlatched(hw, system, caller, tfmr)
}

/// Bits about transfers that mean nothing: this generation has no such bit, or it never goes away.
fn stuck_transfer(system: &System<'_>, caller: &Caller) -> Tfmr {
    let unknown = match system.platform.generation {
        Generation::Power8 | Generation::Power9 => Tfmr::empty(),
        Generation::Power10 => Tfmr::CHIP_TOD_TIMEOUT,
    };
    unknown | system.core(caller.place.core).stuck_transfer()
}

/// TFMR now, for a thread that owns it already.
pub(super) fn owned<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &Caller) -> Tfmr {
    let tfmr = hw.tfmr() & !stuck_transfer(system, caller);
    if may_be_latched(system, caller, tfmr) {
        unlatched(hw, system, caller, tfmr)
    } else {
        tfmr
    }
}

/// TFMR with the stale bits ignored: thread 0 looks at these itself.
pub(super) fn ignoring_latched(system: &System<'_>, caller: &Caller, tfmr: Tfmr) -> Tfmr {
    if may_be_latched(system, caller, tfmr) {
        tfmr & !latched_for(system, caller)
    } else {
        tfmr
    }
}

fn latched_for(system: &System<'_>, caller: &Caller) -> Tfmr {
    latched(system.platform.generation, caller.place.thread)
}

fn may_be_latched(system: &System<'_>, caller: &Caller, tfmr: Tfmr) -> bool {
    tfmr.intersects(latched_for(system, caller)) && !tfmr.contains(Tfmr::TFMR_CORRUPT)
}

/// Takes the latched bits from thread 0's TFMR, when that can be read. The caller owns TFMR, which
/// also keeps the two SCOMs of two threads of the core apart.
fn unlatched<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &Caller, tfmr: Tfmr) -> Tfmr {
    let core = &system.platform.cores[caller.place.core];
    let generation = system.platform.generation;
    let number = core.scom_number(generation);
    let address = |register| core_scom(generation, number, register);
    let select = address(TRUTH.select_register);
    let data = address(TRUTH.data_register);
    let stale = latched_for(system, caller);
    let selected = system
        .xscom
        .write(hw, system.platform, core.chip, select, TRUTH.selector);
    let read = selected.and_then(|()| system.xscom.read(hw, system.platform, core.chip, data));
    // QEMU answers 0; a real TFMR always has this bit. Without the truth the bits count.
    match read.map(Tfmr::from_bits_retain) {
        Ok(truth) if truth.contains(Tfmr::TB_ECLIPZ) => tfmr & !stale | truth & stale,
        _ => tfmr,
    }
}

/// The TFMR and HMER that describe a meeting best, out of what its participants found: the one that
/// shows most errors; with the error bits that only others saw.
pub(super) fn most_informative(
    generation: Generation,
    deposits: impl Iterator<Item = (usize, (Tfmr, Hmer))> + Clone,
) -> (Tfmr, Hmer) {
    let thread_0 = deposits
        .clone()
        .find(|(thread, _)| *thread == 0)
        .map(|(_, found)| found.0);
    let believed = |thread: usize, tfmr: Tfmr| {
        let stale = match thread_0 {
            Some(truth) => latched(generation, thread) & !truth,
            None => Tfmr::empty(),
        };
        tfmr & (Tfmr::CORE_ERRORS | LOCAL) & !stale
    };
    let score = |thread: usize, tfmr: Tfmr, hmer: Hmer| {
        let corrupt = u32::from(tfmr.contains(Tfmr::TFMR_CORRUPT)) * 1_000;
        let told = u32::from(hmer.intersects(Hmer::TIMER));
        corrupt + believed(thread, tfmr).bits().count_ones() * 2 + told
    };
    // The lowest thread wins a tie.
    let best = deposits.clone().reduce(|best, next| {
        let (b, n) = (best.1, next.1);
        if score(next.0, n.0, n.1) > score(best.0, b.0, b.1) {
            next
        } else {
            best
        }
    });
    let Some((_, (tfmr, hmer))) = best else {
        return (Tfmr::empty(), Hmer::empty());
    };
    if tfmr.contains(Tfmr::TFMR_CORRUPT) {
        return (tfmr, hmer);
    }
    let seen = deposits.fold(tfmr, |all, (thread, (tfmr, _))| {
        all | believed(thread, tfmr)
    });
    (seen, hmer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: u64 = 0x2e12_0008_70c0_4000;

    fn tfmr(bits: u64) -> Tfmr {
        Tfmr::from_bits_retain(bits)
    }

    #[test]
    fn each_error_has_its_scope() {
        let healthy = diagnose(tfmr(RUNNING), true);
        assert_eq!(
            healthy,
            Diagnosis {
                core: false,
                tod: false,
                local: Tfmr::empty()
            }
        );
        for bit in [25, 26, 27, 43, 44, 45, 46, 54, 56, 60] {
            let found = diagnose(tfmr(RUNNING | 1 << (63 - bit)), true);
            assert!(found.core, "bit {bit}");
        }
        for bit in [57, 58, 59, 61, 62] {
            let bits = 1 << (63 - bit);
            let found = diagnose(tfmr(RUNNING | bits), true);
            assert_eq!(
                (found.core, found.tod, found.local),
                (false, false, tfmr(bits))
            );
        }
        let found = diagnose(tfmr(RUNNING) | Tfmr::CHIP_TOD_INTERRUPT, true);
        assert_eq!((found.core, found.tod), (false, true));
    }

    /// Each error bit by itself is a row; commands and "no reason" are of an invalid TB.
    #[test]
    fn each_diagnosis_has_its_row() {
        let of = |bits: Tfmr| rows(bits, diagnose(bits, true));
        assert_eq!(of(tfmr(RUNNING)), 0);
        for bit in [
            25, 26, 27, 43, 44, 45, 46, 51, 54, 56, 57, 58, 59, 60, 61, 62,
        ] {
            assert_eq!(of(tfmr(RUNNING | ibm(bit))), ibm(bit), "bit {bit}");
        }
        assert_eq!(of(tfmr(0x1212_0009_8080_0000)), ibm(NO_REASON));
        assert_eq!(of(tfmr(0x3612_2007_60a0_4000)), ibm(18));
        assert_eq!(of(tfmr(0x2a12_8009_80a4_4000)), ibm(16) | ibm(45));
        let corrupt = tfmr(RUNNING) | Tfmr::TFMR_CORRUPT | Tfmr::DEC_PARITY;
        assert_eq!(of(corrupt), ibm(60), "nothing else in it counts");
    }

    #[test]
    fn field_samples_need_the_core() {
        for sample in [
            0xb612_0009_80a0_4008, // corrupt
            0x2a12_0009_80a8_4000, // missing step
            0x2a12_8009_80a4_4000, // LOAD_TOD_MOD stuck
            0x2812_2009_60a2_4000, // MOVE stuck, ERROR
            0x3612_2007_60a0_4000, // MOVE stuck in GET_TOD, no error bit
            0x1212_0009_8080_0000, // ERROR without a cause
        ] {
            assert!(diagnose(tfmr(sample), false).core, "{sample:#x}");
        }
    }

    #[test]
    fn a_timebase_that_never_ran_is_no_fault_without_a_chip_tod() {
        let base = tfmr(0x1212_0000_0000_0000);
        assert!(!diagnose(base, false).core);
        assert!(diagnose(base, true).core);
    }

    #[test]
    fn the_report_is_of_the_thread_that_saw_most() {
        let own = (tfmr(RUNNING) | Tfmr::TB_RESIDUE_ERROR, Hmer::TFAC_ERROR);
        let dec = (own.0 | Tfmr::DEC_PARITY, Hmer::TFAC_ERROR);
        let purr = (own.0 | Tfmr::PURR_PARITY, Hmer::TFAC_ERROR);
        let of = |deposits: &[(Tfmr, Hmer)]| {
            most_informative(Generation::Power10, deposits.iter().copied().enumerate())
        };
        assert_eq!(of(&[own, own]), own);
        assert_eq!(of(&[own, dec]).0, dec.0);
        assert_eq!(of(&[own, dec, purr]).0, dec.0 | Tfmr::PURR_PARITY);
        let summoned = (own.0, Hmer::empty());
        assert_eq!(
            of(&[summoned, own]),
            own,
            "a thread that was told knows more"
        );
    }

    #[test]
    fn stale_bits_of_power9_are_not_reported() {
        let truth = tfmr(RUNNING) | Tfmr::TB_MISSING_STEP;
        let deposits = [
            (truth, Hmer::TFAC_ERROR),
            (truth | Tfmr::HDEC_PARITY, Hmer::TFAC_ERROR),
        ];
        let all = deposits.iter().copied().enumerate();
        assert_eq!(most_informative(Generation::Power9, all.clone()).0, truth);
        assert_ne!(most_informative(Generation::Power10, all).0, truth);
    }

    #[test]
    fn a_meeting_of_nobody_has_nothing_to_report() {
        let nothing = (Tfmr::empty(), Hmer::empty());
        let nobody = core::iter::empty();
        assert_eq!(most_informative(Generation::Power9, nobody), nothing);
    }
}
