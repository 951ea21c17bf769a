//! Error bits of TFMR, one by one: sections 2.1, 12.1.2, 12.1.9 and 12.1.10.

mod common;
use common::*;
use hardware_model::{Configuration, CoreError, Fault, Generation, Impossible, Model, SYNC_TICKS};
use power_registers::chip_tod::TodRegister;
use power_registers::{Hmer, Spr, TbState, Tfmr};

/// 2.3: what stops TB and what does not; 12.1.2: each bit clears itself only.
#[test]
fn fatal_errors_stop_the_timebase() {
    for (error, bit) in [
        (CoreError::TbstCorrupt, Tfmr::TBST_CORRUPT),
        (CoreError::MissingSync, Tfmr::TB_MISSING_SYNC),
        (CoreError::MissingStep, Tfmr::TB_MISSING_STEP),
        (CoreError::FirmwareControl, Tfmr::FW_CONTROL_ERROR),
        (CoreError::TbResidue, Tfmr::TB_RESIDUE_ERROR),
    ] {
        for generation in GENERATIONS {
            both(generation, 1, 2, |machine| {
                fail(machine, error);
                let thread = machine.thread(1);
                let value = tfmr(thread);
                assert_eq!(value.state(), TbState::Error, "2.3: {error:?}");
                assert_eq!(value & Tfmr::CORE_ERRORS, bit, "2.1: {error:?}");
                assert!(!value.contains(Tfmr::TB_VALID), "2.1: 41");
                assert!(
                    (0..2).all(|number| machine.hmi_pending(number)),
                    "section 0"
                );
                let others = Tfmr::TB_FATAL.difference(bit);
                write(thread, others);
                assert!(tfmr(thread).contains(bit), "12.1.2: {error:?}");
                scrub(machine.thread(0));
                scrub(thread);
                write(thread, bit);
                let latched = generation == Generation::Power9 && error == CoreError::TbResidue;
                let seen = tfmr(machine.thread(0)) & Tfmr::CORE_ERRORS;
                assert!(seen.is_empty(), "12.1.2: {error:?}");
                assert_eq!(tfmr(thread).contains(bit), latched, "12.1.5");
                assert_eq!(
                    tfmr(thread).state(),
                    TbState::Error,
                    "2.3: only CLEAR leaves 9"
                );
                assert_rules_kept(machine);
            });
        }
    }
}

/// 12.1.2: status bits that are not write-one-to-clear do not change by a write.
#[test]
fn read_only_bits_stay() {
    let machine = machine(Generation::Power9, 1, 1, 1);
    let thread = machine.thread(0);
    let read_only = Tfmr::from_bits_retain(0x0000_000f_f0ff_f000) - Tfmr::CORE_ERRORS;
    let before = tfmr(thread) - Tfmr::TB_SYNC_OCCURRED;
    write(thread, read_only);
    assert_eq!(tfmr(thread) - Tfmr::TB_SYNC_OCCURRED, before, "12.1.2");
    thread.write_spr(Spr::Tfmr, Tfmr::TB_ECLIPZ.bits());
    let control = tfmr(thread) & Tfmr::CONTROL;
    assert_eq!(control, Tfmr::TB_ECLIPZ, "12.1.2: a write replaces 0:24");
    assert_broken(&machine, "base control field");
}

/// 2.1: TFMR 25 and HMER 5, POWER10 only; TB runs on.
#[test]
fn transfer_errors_of_power10() {
    both(Generation::Power10, 1, 2, |machine| {
        fail(machine, CoreError::Transfer);
        assert!(
            machine.hmer(1).contains(Hmer::TFMR_PARITY_ERROR),
            "1.3: bit 5"
        );
        let thread = machine.thread(0);
        assert!(tfmr(thread).contains(Tfmr::TFAC_XFER_ERROR | Tfmr::TB_VALID));
        write(thread, Tfmr::TFAC_XFER_ERROR);
        assert!(!tfmr(thread).contains(Tfmr::TFAC_XFER_ERROR), "12.1.2");
        assert_rules_kept(machine);
    });
}

/// 2.1: what a generation does not have cannot be injected.
#[test]
fn errors_of_other_generations() {
    let mut power9 = Model::new(Configuration::new(Generation::Power9, 1, 1, 1));
    let mut power10 = Model::new(Configuration::new(Generation::Power10, 1, 1, 1));
    let core = |error| Fault::Core { core: 0, error };
    let refused = Err(Impossible::NotInThisGeneration);
    assert_eq!(
        power9.inject(&core(CoreError::Transfer)),
        refused,
        "2.1: 25"
    );
    assert_eq!(
        power10.inject(&core(CoreError::TodTimeout)),
        refused,
        "2.1: 54"
    );
    let nowhere = Fault::Core {
        core: 1,
        error: CoreError::NoReason,
    };
    assert_eq!(power9.inject(&nowhere), Err(Impossible::NoSuchPlace));
}

/// 12.1.9: a corrupt TFMR reads as seeded garbage, takes no command, and brings a second HMI.
#[test]
fn a_corrupt_tfmr_is_garbage_until_repaired() {
    for tb_survives in [true, false] {
        both(Generation::Power9, 1, 4, |machine| {
            fail(machine, CoreError::TfmrCorrupt { tb_survives });
            let thread = machine.thread(1);
            let (first, second) = (tfmr(thread), tfmr(machine.thread(3)));
            assert!(first.contains(Tfmr::TFMR_CORRUPT) && second.contains(Tfmr::TFMR_CORRUPT));
            assert_ne!(first, second, "12.1.9: garbage");
            let clean = !Hmer::TIMER.bits();
            (0..4).for_each(|number| machine.thread(number).write_spr(Spr::Hmer, clean));
            write(thread, Tfmr::TFMR_CORRUPT);
            let left = tfmr(thread).contains(Tfmr::TFMR_CORRUPT);
            assert_eq!(left, machine.configuration().write_twice, "12.1.9: twice");
            write(thread, Tfmr::TFMR_CORRUPT);
            let value = tfmr(thread);
            let state = if tb_survives {
                TbState::Running
            } else {
                TbState::Error
            };
            assert_eq!(value.state(), state, "2.4: TB survived, or 9");
            assert!(!value.contains(Tfmr::TFMR_CORRUPT));
            let second = |number| machine.hmer(number).contains(Hmer::TIMER);
            assert!((0..4).all(second), "12.1.9: HMER 4 and 5, 60 = 0");
            assert_rules_kept(machine);
        });
    }
}

/// 12.1.3, option off: the second write of a repair does not drop a command that it cannot know of.
#[test]
fn a_repair_drops_no_command() {
    both(Generation::Power9, 1, 2, |machine| {
        let thread = machine.thread(0);
        to_not_set(thread);
        write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
        fail(machine, CoreError::TfmrCorrupt { tb_survives: true });
        write_twice(machine.thread(1), Tfmr::TFMR_CORRUPT);
        let value = tfmr(thread);
        assert!(value.contains(Tfmr::MOVE_CHIP_TOD_TO_TB));
        assert!(!value.intersects(Tfmr::FW_CONTROL_ERROR | Tfmr::TFMR_CORRUPT));
        assert_rules_kept(machine);
    });
}

/// 2.4 rule 1: nothing else works before 60 was repaired.
#[test]
fn a_corrupt_tfmr_takes_no_command() {
    let machine = machine(Generation::Power9, 1, 1, 1);
    fail(&machine, CoreError::TfmrCorrupt { tb_survives: false });
    let thread = machine.thread(0);
    look_long(thread);
    write_twice(thread, Tfmr::CLEAR_TB_ERRORS | Tfmr::TB_MISSING_STEP);
    assert_broken(&machine, "while TFMR is corrupt");
    write_twice(thread, Tfmr::TFMR_CORRUPT);
    assert_eq!(tfmr(thread).state(), TbState::Error);
}

/// 12.1.10: the POWER10 HMI that gives no reason.
#[test]
fn no_reason_has_no_error_bit() {
    both(Generation::Power10, 1, 4, |machine| {
        fail(machine, CoreError::NoReason);
        let value = tfmr(machine.thread(3));
        assert_eq!(value.state(), TbState::Error, "12.1.10");
        assert!(
            !value.intersects(Tfmr::CORE_ERRORS | Tfmr::TB_VALID),
            "12.1.10"
        );
        assert!(hmer(machine.thread(3)).contains(Hmer::TFAC_ERROR));
        clear(machine.thread(0));
        reload(machine.thread(0));
        assert_eq!(machine.timebase(2), machine.true_time());
        assert_rules_kept(machine);
    });
}

/// 2.1: 54 and 56 as found; they go with CLEAR.
#[test]
fn tod_timeout_and_parity() {
    for (error, bit, last) in [
        (
            CoreError::TodTimeout,
            Tfmr::CHIP_TOD_TIMEOUT,
            TbState::SendTodMod,
        ),
        (
            CoreError::TodParity,
            Tfmr::CHIP_TOD_PARITY_ERROR,
            TbState::GetTod,
        ),
    ] {
        both(Generation::Power8, 1, 2, |machine| {
            fail(machine, error);
            let value = tfmr(machine.thread(1));
            assert!(value.contains(bit), "2.1: {error:?}");
            assert_eq!((value.state(), value.last_state()), (TbState::Error, last));
            clear(machine.thread(0));
            assert!(!tfmr(machine.thread(1)).contains(bit));
            assert_rules_kept(machine);
        });
    }
}

/// 12.1.6: CLEAR does not leave 9 while a source of missing steps is active; it may end.
#[test]
fn lost_steps_hold_the_error() {
    both(Generation::Power9, 2, 2, |machine| {
        fail(
            machine,
            CoreError::StepsLost {
                ticks: 20 * SYNC_TICKS,
            },
        );
        let thread = machine.thread(0);
        assert!(tfmr(thread).contains(Tfmr::TB_MISSING_STEP));
        assert_eq!(
            tfmr(machine.thread(2)).state(),
            TbState::Running,
            "one core only"
        );
        clear(thread);
        let value = tfmr(thread);
        assert_eq!(value.state(), TbState::Error, "12.1.6");
        assert!(
            value.contains(Tfmr::TB_MISSING_STEP),
            "12.1.6: latched again"
        );
        machine.tick(20 * SYNC_TICKS);
        clear(thread);
        reload(thread);
        assert_eq!(machine.timebase(0), machine.true_time());
        assert_rules_kept(machine);
    });
}

/// 12.1.6: steps that are away when TB is about to run stop it at once; without them no sync comes.
#[test]
fn lost_steps_stop_a_timebase_that_begins() {
    let machine = machine(Generation::Power9, 1, 1, 1);
    let thread = machine.thread(0);
    to_get_tod(thread);
    fail(&machine, CoreError::StepsLost { ticks: u64::MAX });
    assert!(
        !machine.hmi_pending(0),
        "TB does not run: nothing is missed yet"
    );
    put(
        thread,
        0,
        TodRegister::TxTtypeControl,
        target(Generation::Power9, 0),
    );
    put(thread, 0, TodRegister::MoveTodToTb, 1 << 63);
    wait_off(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
    let value = tfmr(thread);
    assert_eq!(value.state(), TbState::Error);
    assert!(value.contains(Tfmr::TB_MISSING_STEP) && machine.hmi_pending(0));
    fail(&machine, CoreError::StepsLost { ticks: 0 });
    clear(thread);
    fail(&machine, CoreError::StepsLost { ticks: u64::MAX });
    to_not_set(thread);
    write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
    machine.tick(100 * SYNC_TICKS);
    assert_eq!(tfmr(thread).state(), TbState::SyncWait);
    assert_rules_kept(&machine);
}
