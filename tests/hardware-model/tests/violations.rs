//! What the model must catch a driver at: sections 12.1.7 and 2.2.

mod common;
use common::*;
use hardware_model::{CoreError, Fault, Generation, Moment};
use power_registers::chip_tod::TodRegister;
use power_registers::{Spr, TbState, Tfmr};

const POWER9: Generation = Generation::Power9;

/// 12.1.7 and 2.2: a write without the base field, or without bit 14.
#[test]
fn a_write_without_base_is_a_violation() {
    for (value, rule) in [
        (Tfmr::DEC_PARITY.bits(), "bit 14"),
        (Tfmr::TB_ECLIPZ.bits(), "base control field"),
    ] {
        let machine = machine(POWER9, 1, 1, 4);
        machine.thread(0).write_spr(Spr::Tfmr, value);
        assert_broken(&machine, rule);
    }
}

/// 12.1.7: another thread's write must not drop a command in flight; one that names it may.
#[test]
fn a_command_in_flight_must_not_be_dropped() {
    for (command, not_set) in [
        (Tfmr::MOVE_CHIP_TOD_TO_TB, true),
        (Tfmr::LOAD_TOD_MOD, false),
    ] {
        for (extra, kept) in [(command, true), (Tfmr::empty(), false)] {
            let machine = machine(POWER9, 1, 1, 4);
            let leader = machine.thread(0);
            if not_set {
                to_not_set(leader);
            }
            write(leader, command);
            write(machine.thread(1), Tfmr::DEC_PARITY | extra);
            if kept {
                assert!(tfmr(leader).contains(command), "2.2");
                assert_rules_kept(&machine);
            } else {
                let value = tfmr(leader);
                assert_eq!(value.state(), TbState::Error, "2.2: cancels or fails");
                assert!(value.contains(Tfmr::FW_CONTROL_ERROR), "2.2");
                assert_broken(&machine, "dropped a command in flight");
            }
        }
    }
}

/// 2.2: CLEAR by another thread, while nothing stands in the way of a command.
#[test]
fn clear_must_not_drop_what_is_under_way() {
    let machine = machine(POWER9, 1, 1, 2);
    let leader = machine.thread(0);
    write(leader, Tfmr::LOAD_TOD_MOD);
    write(machine.thread(1), Tfmr::CLEAR_TB_ERRORS);
    assert_broken(&machine, "dropped the command of another thread");
}

/// 2.4: whoever issued it may give up a command that hangs, and so may another thread.
#[test]
fn clear_may_drop_what_hangs() {
    let machine = machine(POWER9, 1, 1, 2);
    to_get_tod(machine.thread(0));
    clear(machine.thread(1));
    assert_eq!(tfmr(machine.thread(1)).state(), TbState::Reset);
    assert_rules_kept(&machine);
}

/// A fault that strikes between a look and a command is not held against the software.
#[test]
fn a_race_with_the_hardware_is_no_violation() {
    let machine = machine(POWER9, 1, 1, 4);
    let thread = machine.thread(0);
    to_not_set(thread);
    let error = CoreError::MissingSync;
    machine.inject_at(Moment::Access(1), Fault::Core { core: 0, error });
    write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
    assert_eq!(tfmr(thread).state(), TbState::Error);
    assert_rules_kept(&machine);
}

/// But software that has looked again and again knows the state.
#[test]
fn a_command_against_better_knowledge_is_a_violation() {
    let machine = machine(POWER9, 1, 1, 4);
    fail(&machine, CoreError::MissingSync);
    let thread = machine.thread(0);
    for _ in 0..5 {
        let _ = tfmr(thread);
    }
    write(thread, Tfmr::LOAD_TOD_MOD);
    assert_broken(&machine, "LOAD_TOD_MOD in state ERROR");
}

/// 3.9 and 12.2: POWER10's S_PATH_CTRL 26:31 written as 0.
#[test]
fn a_zeroed_s_path_is_a_violation_on_power10_only() {
    for generation in GENERATIONS {
        let machine = machine(generation, 1, 1, 1);
        put(machine.thread(0), 0, TodRegister::SlavePathControl, 1);
        if generation == Generation::Power10 {
            assert_broken(&machine, "26:31");
        } else {
            assert_rules_kept(&machine);
        }
    }
}

/// 3.3: registers that are read-only, and LOAD_TOD's value and state.
#[test]
fn misuse_of_the_chip_tod() {
    for (register, value, rule) in [
        (TodRegister::PssMssStatus, 0, "read-only"),
        (TodRegister::TodValue, 0, "read-only"),
        (TodRegister::Fsm, 0, "read-only"),
        (TodRegister::LoadTod, 0x1ff0, "outside NOT_SET"),
        (TodRegister::LoadTod, 0x1fe0, "one step before a sync"),
    ] {
        let machine = machine(POWER9, 1, 1, 1);
        put(machine.thread(0), 0, register, value);
        assert_broken(&machine, rule);
    }
}

/// An SPR that the model does not have.
#[test]
fn unknown_registers() {
    let machine = machine(POWER9, 1, 1, 1);
    assert_eq!(machine.thread(0).read_spr(Spr::Ptcr), 0);
    machine.thread(0).write_spr(Spr::Ptcr, 1);
    assert_eq!(machine.violations().len(), 2);
    assert_broken(&machine, "does not have");
}
