//! Errors of the ChipTOD itself.

use super::*;
use hardware_model::{XscomAnswer, XscomFault};
use opal_abi::hmi_flags::{NEW_EVENT, TB_RESYNC, TOD_TB_FAIL};
use power_registers::chip_tod::TodError;
use power_registers::ibm;

/// A stopped TOD that cannot be restarted: said cleanly and fast, by every thread; TFMR is left
/// ready for a later attempt.
#[test]
fn a_tod_that_stays_dead_is_reported() {
    for generation in GENERATIONS {
        for bits in [
            TodError::I_PATH_SYNC_CHECK,
            TodError::FSM_STATE_PARITY,
            TodError::TIME_REGISTER_PARITY,
        ] {
            let bench = bench(generation, 1, 2, 4);
            let system = bench.booted_system();
            bench.machine.inject_xscom(XscomFault {
                address: Some(TodRegister::LoadTod.address()),
                ..XscomFault::new(XscomAnswer::Status(5))
            });
            bench.machine.inject(&Fault::Tod {
                chip: 0,
                bits: bits.bits(),
            });
            let ran = bench.run(&system, Schedule::Seeded(bits.bits())).go();
            let failed = ran.events.iter().filter(|event| !event.recovered).count();
            assert_eq!(failed, 2, "one per core: {:#x?}", ran.events);
            for thread in 0..8 {
                let flags = ran.flags(thread) & !NEW_EVENT;
                assert_eq!(
                    flags & (TOD_TB_FAIL | TB_RESYNC),
                    TOD_TB_FAIL,
                    "thread {thread}"
                );
                let left = bench.machine.tfmr(thread) & Tfmr::COMMANDS;
                assert!(left.is_empty(), "{left:?}");
            }
            // 100 ms on a clock that the spins of eight threads advance together.
            assert!(ran.ticks < 8 * 51_200_000, "{} ticks", ran.ticks);
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// The TOD of another chip died: this chip has nothing to do with it.
#[test]
fn only_the_cores_of_the_chip_are_hit() {
    let bench = bench(Generation::Power9, 2, 1, 4);
    let system = bench.booted_system();
    let bits = TodError::I_PATH_SYNC_CHECK.bits();
    bench.machine.inject(&Fault::Tod { chip: 1, bits });
    let ran = bench.run(&system, Schedule::Seeded(3)).go();
    assert!(ran.outcomes[..4].iter().all(Vec::is_empty));
    bench.assert_core_good(0);
    bench.assert_rules_kept();
}

/// Errors outside the sets that firmware owns would hold TFMR 51 up for ever: they are cleared.
#[test]
fn stray_errors_do_not_stay() {
    // External checkstop (57) is not for firmware to clear; received TTYPEs (38:43) are masked.
    let stray = (0..64).filter(|bit| {
        let mask = ibm(*bit);
        !(33..=35).contains(bit)
            && !(38..=43).contains(bit)
            && *bit != 57
            && !TodError::CACHED_PARITY
                .iter()
                .any(|parity| parity.bits() == mask)
    });
    for bit in stray {
        let bench = bench(Generation::Power9, 1, 2, 2);
        let system = bench.booted_system();
        bench.machine.inject(&Fault::Tod {
            chip: 0,
            bits: ibm(bit),
        });
        let ran = bench.run(&system, Schedule::Seeded(bit.into())).go();
        assert!(ran.events.len() <= 1, "bit {bit}: {:#x?}", ran.events);
        let error = bench.machine.peek_scom(0, TodRegister::Error.address());
        assert_eq!(error, Some(0), "bit {bit}");
        (0..2).for_each(|core| bench.assert_core_good(core));
        bench.assert_hmer_clean(&ran);
        bench.assert_rules_kept();
    }
}

/// External checkstop: left alone, and no storm comes of it.
#[test]
fn an_error_that_stays_does_not_storm() {
    let bench = bench(Generation::Power9, 1, 1, 2);
    let system = bench.booted_system();
    bench.machine.inject(&Fault::Tod {
        chip: 0,
        bits: ibm(57),
    });
    for seed in 0..3 {
        let ran = bench.run(&system, Schedule::Seeded(seed)).go();
        assert!(ran.events.len() <= 1);
        bench.assert_time(0);
        bench.machine.inject(&Fault::Hmer {
            threads: vec![0, 1],
            bits: Hmer::TFAC_ERROR.bits(),
        });
    }
    bench.assert_rules_kept();
}

/// A register's parity error without a valid cache cannot be repaired: said so, TB runs on.
#[test]
fn parity_without_cache_is_not_recovered() {
    let bench = bench(Generation::Power9, 1, 1, 4);
    let system = bench.system();
    bench.machine.inject(&Fault::Tod {
        chip: 0,
        bits: TodError::PARITY_05.bits(),
    });
    let ran = bench.run(&system, Schedule::Seeded(7)).go();
    assert_eq!(ran.events.len(), 1, "{:#x?}", ran.events);
    assert!(!ran.events[0].recovered);
    for thread in 0..4 {
        assert_eq!(
            ran.flags(thread) & (TOD_TB_FAIL | TB_RESYNC),
            0,
            "TB itself is good"
        );
        bench.assert_time(thread);
    }
    bench.assert_rules_kept();
}

/// A TOD register's parity together with a core error: both are repaired.
#[test]
fn tod_parity_beside_a_core_error() {
    for schedule in schedules() {
        let bench = bench(Generation::Power10, 1, 2, 2);
        let system = bench.booted_system();
        bench.machine.inject(&Fault::Tod {
            chip: 0,
            bits: TodError::PARITY_07.bits(),
        });
        bench.machine.inject(&core_fault(1, CoreError::TbResidue));
        let ran = bench.run(&system, schedule).go();
        assert!(
            ran.events.iter().all(|event| event.recovered),
            "{:#x?}",
            ran.events
        );
        assert!(!ran.events.is_empty() && ran.events.len() <= 2);
        (0..2).for_each(|core| bench.assert_core_good(core));
        bench.assert_hmer_clean(&ran);
        bench.assert_rules_kept();
    }
}
