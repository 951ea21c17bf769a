//! TFMR commands and the TB state machine: sections 2.3 and 12.1.6 to 12.1.8.

mod common;
use common::*;
use hardware_model::{CommandFailure, CoreError, Generation, SYNC_TICKS};
use power_registers::chip_tod::TodRegister;
use power_registers::{Hmer, TbState, Tfmr};

const POWER9: Generation = Generation::Power9;
const STATES: [TbState; 7] = [
    TbState::Reset,
    TbState::SendTodMod,
    TbState::NotSet,
    TbState::SyncWait,
    TbState::GetTod,
    TbState::Running,
    TbState::Error,
];

fn put_into(machine: &hardware_model::Machine, state: TbState) {
    fail(
        machine,
        CoreError::Raw {
            state,
            commands: Tfmr::empty(),
            errors: Tfmr::empty(),
        },
    );
}

/// 2.2: the healthy value decodes as the field samples do.
#[test]
fn healthy_tfmr_reads_as_in_the_field() {
    let machine = machine(POWER9, 1, 1, 4);
    machine.thread(0).relax();
    machine.tick(SYNC_TICKS);
    let value = tfmr(machine.thread(0));
    assert_eq!(value.bits(), 0x2e12_0008_70e0_4000, "2.2");
    write(machine.thread(1), Tfmr::empty());
    assert!(
        !tfmr(machine.thread(0)).contains(Tfmr::TB_SYNC_OCCURRED),
        "12.1.2: a write clears 42"
    );
    machine.tick(SYNC_TICKS);
    assert!(tfmr(machine.thread(0)).contains(Tfmr::TB_SYNC_OCCURRED));
}

/// 2.3: bit 16 in every state.
#[test]
fn load_tod_mod_in_every_state() {
    for state in STATES {
        both(POWER9, 1, 1, |machine| {
            let thread = machine.thread(0);
            put_into(machine, state);
            look_long(thread);
            write(thread, Tfmr::LOAD_TOD_MOD);
            machine.tick(10_000);
            let value = tfmr(thread);
            match state {
                TbState::Error => {
                    assert_eq!(value.state(), TbState::Error, "12.1.7: 16 in 9 stays");
                    assert!(value.contains(Tfmr::LOAD_TOD_MOD), "12.1.7: 16 stays 1");
                    assert_broken(machine, "LOAD_TOD_MOD in state ERROR");
                }
                TbState::GetTod => {
                    assert_eq!(value.state(), TbState::Error, "2.3: 7 with 16");
                    assert!(value.contains(Tfmr::FW_CONTROL_ERROR), "2.3: 7 with 16");
                    assert_broken(machine, "LOAD_TOD_MOD in state GET_TOD");
                }
                _ => {
                    assert_eq!(value.state(), TbState::NotSet, "2.3: {state:?} with 16");
                    assert!(!value.intersects(Tfmr::COMMANDS), "2.3: 16 clears itself");
                    assert_rules_kept(machine);
                }
            }
        });
    }
}

/// 12.1.7: bit 18 outside NOT_SET is state 9 and 46.
#[test]
fn move_in_every_state() {
    for state in STATES {
        both(POWER9, 1, 1, |machine| {
            let thread = machine.thread(0);
            put_into(machine, state);
            look_long(thread);
            write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
            let value = tfmr(thread);
            if state == TbState::NotSet {
                assert_eq!(value.state(), TbState::SyncWait, "2.3: 2 with 18");
                assert!(value.contains(Tfmr::MOVE_CHIP_TOD_TO_TB));
                assert_rules_kept(machine);
            } else {
                assert_eq!(value.state(), TbState::Error, "12.1.7: {state:?} with 18");
                assert!(value.contains(Tfmr::FW_CONTROL_ERROR), "12.1.7: {state:?}");
                assert!(machine.hmi_pending(0));
                assert_broken(machine, "MOVE_CHIP_TOD_TO_TB outside NOT_SET");
            }
        });
    }
}

/// 12.1.7: bits 16 and 18 together are state 9 and 46, for all threads; software may inject so.
#[test]
fn both_commands_at_once_are_a_control_error() {
    for state in STATES {
        both(POWER9, 1, 4, |machine| {
            put_into(machine, state);
            let thread = machine.thread(2);
            write(thread, Tfmr::LOAD_TOD_MOD | Tfmr::MOVE_CHIP_TOD_TO_TB);
            let value = tfmr(machine.thread(0));
            assert_eq!(value.state(), TbState::Error, "12.1.7");
            assert!(value.contains(Tfmr::FW_CONTROL_ERROR), "12.1.7");
            assert!((0..4).all(|number| machine.hmi_pending(number)));
            assert_rules_kept(machine);
        });
    }
}

/// 2.3: CLEAR leaves ERROR for RESET, and flushes a command that is stuck in 6 or 7.
#[test]
fn clear_in_every_state() {
    for state in STATES {
        both(POWER9, 1, 1, |machine| {
            put_into(machine, state);
            clear(machine.thread(0));
            let expected = match state {
                TbState::NotSet | TbState::Running => state,
                _ => TbState::Reset,
            };
            assert_eq!(tfmr(machine.thread(0)).state(), expected, "2.3: {state:?}");
            assert_rules_kept(machine);
        });
    }
}

/// 12.3 T9: a stuck MOVE is flushed by CLEAR, and the reload works.
#[test]
fn clear_flushes_a_stuck_move() {
    both(POWER9, 1, 4, |machine| {
        fail(machine, CoreError::StuckMove);
        let thread = machine.thread(0);
        let value = tfmr(thread);
        assert_eq!(
            (value.state(), value.last_state()),
            (TbState::GetTod, TbState::SyncWait),
            "2.2: MOVE stuck in 7"
        );
        assert!(value.contains(Tfmr::MOVE_CHIP_TOD_TO_TB));
        clear(thread);
        reload(thread);
        assert_eq!(machine.timebase(0), machine.true_time(), "12.1.8");
        assert_rules_kept(machine);
    });
}

/// 12.1.3: CLEAR needs its second write with no other write between; with the option off, one.
#[test]
fn clear_is_written_twice() {
    both(POWER9, 1, 1, |machine| {
        fail(machine, CoreError::MissingStep);
        let thread = machine.thread(0);
        write(thread, Tfmr::CLEAR_TB_ERRORS | Tfmr::TB_MISSING_STEP);
        assert!(
            tfmr(thread).contains(Tfmr::CLEAR_TB_ERRORS),
            "12.1.3: armed or busy"
        );
        if !machine.configuration().write_twice {
            assert_eq!(tfmr(thread).state(), TbState::Reset, "12.1.3: option off");
            return;
        }
        write(thread, Tfmr::empty());
        write(thread, Tfmr::CLEAR_TB_ERRORS);
        assert_eq!(tfmr(thread).state(), TbState::Error, "12.1.3: not in a row");
        write(thread, Tfmr::CLEAR_TB_ERRORS);
        assert_eq!(tfmr(thread).state(), TbState::Reset, "12.1.3");
        assert_rules_kept(machine);
    });
}

/// 2.4: CLEAR is polled until it reads 0; a command before that fails.
#[test]
fn a_command_before_clear_is_done_fails() {
    let machine = machine(POWER9, 1, 1, 4);
    fail(&machine, CoreError::MissingStep);
    let thread = machine.thread(0);
    write_twice(thread, Tfmr::CLEAR_TB_ERRORS | Tfmr::TB_MISSING_STEP);
    write(thread, Tfmr::LOAD_TOD_MOD);
    assert_broken(&machine, "CLEAR_TB_ERRORS is not done");
    assert_eq!(tfmr(thread).state(), TbState::Error, "2.3: illegal command");
}

/// 2.3: 6 goes to 7 at a sync pulse, 7 to 8 when the TOD sends; the TOD must run.
#[test]
fn the_way_to_running() {
    for generation in GENERATIONS {
        both(generation, 1, 1, |machine| {
            let thread = machine.thread(0);
            to_not_set(thread);
            write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
            assert_eq!(tfmr(thread).state(), TbState::SyncWait);
            machine.tick(SYNC_TICKS);
            assert_eq!(tfmr(thread).state(), TbState::GetTod, "12.2: needs a sync");
            put(
                thread,
                0,
                TodRegister::TxTtypeControl,
                target(generation, 0),
            );
            put(thread, 0, TodRegister::MoveTodToTb, 1 << 63);
            wait_off(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
            let value = tfmr(thread);
            assert_eq!(value.state(), TbState::Running, "2.3");
            assert!(value.contains(Tfmr::TB_VALID), "2.1: 41 in state 8 only");
            assert_eq!(machine.timebase(0), machine.true_time());
            assert_rules_kept(machine);
        });
    }
}

/// 2.1 (54, 56) and 7 (a649c51cc, "works on retry"): commands that fail so many times.
#[test]
fn commands_fail_on_demand() {
    for (failure, bit) in [
        (CommandFailure::LoadTimeout, Tfmr::CHIP_TOD_TIMEOUT),
        (CommandFailure::MoveParity, Tfmr::CHIP_TOD_PARITY_ERROR),
        (CommandFailure::MoveResidue, Tfmr::TB_RESIDUE_ERROR),
    ] {
        both(POWER9, 1, 1, |machine| {
            let thread = machine.thread(0);
            fail(machine, CoreError::CommandsFail { failure, count: 1 });
            assert!(!machine.hmi_pending(0));
            if failure == CommandFailure::LoadTimeout {
                write(thread, Tfmr::LOAD_TOD_MOD);
                wait_off(thread, Tfmr::LOAD_TOD_MOD);
            } else {
                reload(thread);
            }
            let value = tfmr(thread);
            assert_eq!(value.state(), TbState::Error, "{failure:?}");
            assert!(value.contains(bit), "2.1: {failure:?}");
            assert!(hmer(thread).contains(Hmer::TFAC_ERROR));
            write(
                thread,
                bit & (Tfmr::CHIP_TOD_TIMEOUT | Tfmr::CHIP_TOD_PARITY_ERROR),
            );
            assert!(
                tfmr(thread).contains(bit),
                "12.1.2: 54 and 56 are no W1C bits"
            );
            scrub(thread);
            clear(thread);
            assert!(!tfmr(thread).contains(bit));
            reload(thread);
            assert_eq!(machine.timebase(0), machine.true_time());
        });
    }
}

/// Commands that hang: 2.2 has field samples of each.
#[test]
fn commands_hang_on_demand() {
    let machine = machine(POWER9, 1, 1, 1);
    let thread = machine.thread(0);
    let failing = |failure| fail(&machine, CoreError::CommandsFail { failure, count: 1 });
    failing(CommandFailure::LoadStuck);
    write(thread, Tfmr::LOAD_TOD_MOD);
    machine.tick(1_000_000);
    assert_eq!(tfmr(thread).state(), TbState::SendTodMod);
    assert!(tfmr(thread).contains(Tfmr::LOAD_TOD_MOD));
    clear(thread);
    failing(CommandFailure::MoveLost);
    to_get_tod(thread);
    put(thread, 0, TodRegister::TxTtypeControl, 0x20 << 32);
    put(thread, 0, TodRegister::MoveTodToTb, 1 << 63);
    machine.tick(1_000_000);
    assert_eq!(tfmr(thread).state(), TbState::GetTod);
    put(thread, 0, TodRegister::MoveTodToTb, 1 << 63);
    wait_off(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
    fail(&machine, CoreError::MissingStep);
    failing(CommandFailure::ClearIneffective);
    clear(thread);
    assert_eq!(tfmr(thread).state(), TbState::Error);
    clear(thread);
    assert_eq!(tfmr(thread).state(), TbState::Reset);
    assert_rules_kept(&machine);
}
