//! TFMR commands while another is in flight: sections 2.2, 2.3, 12.1.7 and 12.2. Where these leave
//! a choice, QEMU and the model agree.

mod common;
use common::*;
use hardware_model::{CoreError, Fault, Generation, SYNC_TICKS};
use power_registers::chip_tod::TodRegister;
use power_registers::{TbState, Tfmr};

const POWER9: Generation = Generation::Power9;
const MOVE: Tfmr = Tfmr::MOVE_CHIP_TOD_TO_TB;
const LOAD: Tfmr = Tfmr::LOAD_TOD_MOD;
const CLEAR: Tfmr = Tfmr::CLEAR_TB_ERRORS;

/// 12.1.7: "18 in state != 2: state 9 + 46", also when 18 is what led there.
#[test]
fn a_move_that_is_repeated_is_a_control_error() {
    for synced in [false, true] {
        both(POWER9, 1, 1, |machine| {
            let thread = machine.thread(0);
            to_not_set(thread);
            write(thread, MOVE);
            if synced {
                wait_state(thread, TbState::GetTod);
            }
            write(thread, MOVE);
            let value = tfmr(thread);
            assert_eq!(value.state(), TbState::Error);
            assert!(value.contains(Tfmr::FW_CONTROL_ERROR));
        });
    }
}

/// 2.3: "2, 6, 8 | bit 16 | 1 -> 2", with the MOVE of SYNC_WAIT in flight.
#[test]
fn load_tod_mod_leads_out_of_sync_wait() {
    both(POWER9, 1, 2, |machine| {
        let thread = machine.thread(0);
        to_not_set(thread);
        write(thread, MOVE);
        assert_eq!(tfmr(thread).state(), TbState::SyncWait);
        to_not_set(thread);
        assert!(!tfmr(thread).contains(MOVE));
        assert_rules_kept(machine);
        write(thread, MOVE);
        write(machine.thread(1), LOAD);
        assert_broken(machine, "LOAD_TOD_MOD dropped the MOVE of another thread");
    });
}

/// 12.1.7 and the samples of 2.2: commands stay on in ERROR until CLEAR.
#[test]
fn both_commands_stay_on_until_clear() {
    both(POWER9, 1, 1, |machine| {
        let thread = machine.thread(0);
        write(thread, LOAD | MOVE);
        machine.tick(2 * SYNC_TICKS);
        let value = tfmr(thread);
        assert_eq!(value.state(), TbState::Error);
        assert!(value.contains(LOAD | MOVE));
        clear(thread);
        let value = tfmr(thread);
        assert_eq!(value.state(), TbState::Reset);
        assert!(!value.intersects(Tfmr::COMMANDS));
    });
}

/// 2.3: "9 | any other command | stays 9". So a LOAD_TOD_MOD that was under way when the core fell into
/// ERROR ends by CLEAR only, and whoever gives that drops nothing that would have ended.
#[test]
fn in_error_any_thread_may_clear() {
    for error in [
        CoreError::MissingStep,
        CoreError::TfmrCorrupt { tb_survives: false },
    ] {
        both(POWER9, 1, 2, |machine| {
            let thread = machine.thread(0);
            write(thread, LOAD);
            machine.inject(&Fault::Core { core: 0, error });
            let other = machine.thread(1);
            if error != CoreError::MissingStep {
                write_twice(other, Tfmr::TFMR_CORRUPT);
            }
            machine.tick(2 * SYNC_TICKS);
            assert!(tfmr(other).contains(LOAD));
            assert_eq!(tfmr(other).state(), TbState::Error);
            clear(other);
            assert!(!tfmr(other).contains(LOAD));
            assert_rules_kept(machine);
        });
    }
}

/// No source knows CLEAR together with another command; nothing may rely on the other one.
#[test]
fn clear_acts_alone() {
    for other in [LOAD, MOVE] {
        both(POWER9, 1, 1, |machine| {
            let thread = machine.thread(0);
            write(thread, LOAD | MOVE);
            write(thread, CLEAR | Tfmr::FW_CONTROL_ERROR | other);
            write(thread, CLEAR | other);
            wait_off(thread, CLEAR);
            machine.tick(SYNC_TICKS);
            let value = tfmr(thread);
            assert_eq!(value.state(), TbState::Reset, "{other:?}");
            assert!(!value.intersects(Tfmr::COMMANDS));
            assert_broken(machine, "a TFMR command together with CLEAR_TB_ERRORS");
        });
    }
}

/// 12.2: errors stop the steps; a TOD that was stopped still has its oscillator.
#[test]
fn a_stopped_tod_gives_steps() {
    let machine = machine(POWER9, 1, 1, 1);
    let thread = machine.thread(0);
    to_not_set(thread);
    put(thread, 0, TodRegister::LoadTodMod, 1 << 63);
    put(thread, 0, TodRegister::LoadTod, 0x1ff1);
    write(thread, MOVE);
    wait_state(thread, TbState::GetTod);
}
