//! The ERROR register of a ChipTOD: section 3.6.

mod common;
use common::*;
use hardware_model::{Fault, Generation, Machine, SYNC_TICKS};
use power_registers::chip_tod::{TRIGGER, TodError, TodRegister as R};
use power_registers::{Tfmr, ibm};

fn strike(machine: &Machine, bit: u32) {
    machine.inject(&Fault::Tod {
        chip: 0,
        bits: ibm(bit),
    });
}

/// 3.6, 12.2: all 64 bits: reported by 51 unless masked, W1C unless something is damaged; only
/// 33 to 35 stop the TOD by themselves.
#[test]
fn all_bits() {
    let damaging = [0, 3, 4, 5, 6, 7, 8, 9, 32, 49];
    for bit in 0..64 {
        let machine = machine(Generation::Power9, 1, 2, 1);
        strike(&machine, bit);
        let masked = (38..=43).contains(&bit);
        for thread in 0..2 {
            let seen = machine.tfmr(thread).contains(Tfmr::CHIP_TOD_INTERRUPT);
            assert_eq!(seen, !masked, "12.2: 51, bit {bit}");
            assert_eq!(machine.hmi_pending(thread), !masked, "bit {bit}");
        }
        let stops = (33..=35).contains(&bit);
        assert_eq!(running(&machine, 0), !stops, "12.2: bit {bit}");
        assert_eq!(
            machine.tfmr(1).contains(Tfmr::TB_VALID),
            !stops,
            "bit {bit}"
        );
        put(machine.thread(0), 0, R::Error, ibm(bit));
        let left = get(machine.thread(0), 0, R::Error);
        let expected = if damaging.contains(&bit) { ibm(bit) } else { 0 };
        assert_eq!(left, expected, "3.6: W1C, bit {bit}");
        assert_rules_kept(&machine);
    }
}

/// 12.2: ERROR_INJECT sets the same bits.
#[test]
fn error_inject_sets_any_bit() {
    for bit in 0..64 {
        let machine = machine(Generation::Power10, 1, 1, 1);
        put(machine.thread(0), 0, R::ErrorInject, ibm(bit));
        machine.tick(machine.configuration().costs.tod_stop);
        assert_eq!(machine.peek_scom(0, 0x40030), Some(ibm(bit)), "3.6");
    }
}

/// 12.2: a parity error damages its register, and comes back until the register was rewritten.
#[test]
fn parity_damages_until_rewritten() {
    let registers = R::CACHED
        .into_iter()
        .zip(TodError::CACHED_PARITY.map(|parity| parity.bits()))
        .chain([(R::TxTtypeControl, ibm(49))]);
    for (register, parity) in registers {
        for generation in GENERATIONS {
            let machine = machine(generation, 1, 2, 2);
            let thread = machine.thread(0);
            let good = get(thread, 0, register);
            machine.inject(&Fault::Tod {
                chip: 0,
                bits: parity,
            });
            assert_ne!(get(thread, 0, register), good, "12.2: {register:?}");
            put(thread, 0, R::Error, parity);
            assert_eq!(get(thread, 0, R::Error), parity, "12.2: {register:?}");
            put(thread, 0, register, good);
            put(thread, 0, R::Error, parity);
            assert_eq!(get(thread, 0, R::Error), 0, "12.2: {register:?}");
            assert_rules_kept(&machine);
        }
    }
}

/// A damaged PSS_MSS_CTRL does not take effect, but writing the damage back does.
#[test]
fn damaged_roles_do_not_take_effect() {
    let machine = machine(Generation::Power9, 2, 1, 1);
    let thread = machine.thread(0);
    let status = get(thread, 0, R::PssMssStatus);
    strike(&machine, 9);
    assert_eq!(get(thread, 0, R::PssMssStatus), status);
    put(thread, 0, R::PssMssControl, 0);
    assert_eq!(
        get(thread, 0, R::PssMssStatus) & ibm(23),
        0,
        "3.7: a slave now"
    );
}

/// 3.9: a fault of POWER10's S_PATH_CTRL may zero the field, which poisons without any write.
#[test]
fn the_s_path_may_be_zeroed_by_its_fault() {
    let mut zeroed = 0;
    for seed in 0..20 {
        let mut configuration = hardware_model::Configuration::new(Generation::Power10, 1, 1, 1);
        configuration.seed = seed;
        let machine = Machine::new(configuration);
        let thread = machine.thread(0);
        strike(&machine, 7);
        let field = get(thread, 0, R::SlavePathControl) >> 32 & 0x3f;
        put(thread, 0, R::SlavePathControl, 0xc << 32);
        put(thread, 0, R::LoadTodMod, TRIGGER);
        put(thread, 0, R::LoadTod, 0x1ff0);
        settle(&machine);
        assert_eq!(running(&machine, 0), field != 0, "3.9: seed {seed}");
        zeroed += u32::from(field == 0);
        assert_rules_kept(&machine);
    }
    assert!((1..20).contains(&zeroed), "both happen: {zeroed} of 20");
}

/// 3.6: status registers whose parity error is on show garbage until it is cleared.
#[test]
fn garbled_status() {
    for (bit, register) in [(11, R::PssMssStatus), (29, R::Fsm)] {
        let machine = machine(Generation::Power9, 1, 1, 1);
        let thread = machine.thread(0);
        let good = get(thread, 0, register);
        strike(&machine, bit);
        assert_ne!(get(thread, 0, register), good, "3.6: bit {bit}");
        put(thread, 0, R::Error, ibm(bit));
        assert_eq!(get(thread, 0, register), good, "3.6: bit {bit}");
    }
}

/// 3.6: parity of the value makes the time suspect, until it is loaded anew.
#[test]
fn a_suspect_value() {
    let machine = machine(Generation::Power9, 2, 1, 1);
    let thread = machine.thread(0);
    machine.inject(&Fault::Tod {
        chip: 1,
        bits: ibm(27),
    });
    assert!(running(&machine, 1));
    assert_ne!(machine.tod_time(1), machine.true_time(), "3.6: 27");
    put(thread, 1, R::Error, ibm(27));
    assert_ne!(
        machine.tod_time(1),
        machine.true_time(),
        "clearing repairs nothing"
    );
    put(thread, 1, R::LoadTodMod, TRIGGER);
    put(thread, 1, R::TxTtype3, TRIGGER);
    settle(&machine);
    assert_eq!(machine.tod_time(1), machine.true_time(), "3.6: reload");
    machine.inject(&Fault::Tod {
        chip: 1,
        bits: ibm(35),
    });
    assert_ne!(
        machine.tod_time(1) >> 13,
        machine.true_time() >> 13,
        "3.6: 35"
    );
}

/// 3.6: errors of the PIB master and of 0x17 lose the transfer that is on its way.
#[test]
fn a_lost_transfer() {
    for bit in [25, 50, 51, 52, 55, 56] {
        let machine = machine(Generation::Power9, 1, 1, 1);
        let thread = machine.thread(0);
        put(thread, 0, R::TxTtypeControl, target(Generation::Power9, 0));
        to_get_tod(thread);
        thread.write_spr(
            power_registers::Spr::Hmer,
            !power_registers::Hmer::XSCOM_MAILBOX.bits(),
        );
        thread.store(address(&machine, 0, 0x40017), TRIGGER);
        strike(&machine, bit);
        finish(thread).unwrap();
        machine.tick(4 * SYNC_TICKS);
        assert!(
            tfmr(thread).contains(Tfmr::MOVE_CHIP_TOD_TO_TB),
            "3.6: bit {bit}"
        );
        put(thread, 0, R::MoveTodToTb, TRIGGER);
        wait_off(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
        assert_eq!(machine.timebase(0), machine.true_time(), "3.6: retried");
    }
}

/// 3.6: parity of the data of a TTYPE_4 that is just coming: it is not taken.
#[test]
fn damaged_ttype_data_is_not_taken() {
    let machine = machine(Generation::Power9, 2, 1, 1);
    let thread = machine.thread(0);
    put(thread, 1, R::LoadTodMod, TRIGGER);
    put(thread, 1, R::TxTtype3, TRIGGER);
    assert!(!running(&machine, 1));
    machine.inject(&Fault::Tod {
        chip: 1,
        bits: ibm(54),
    });
    settle(&machine);
    assert_eq!(get(thread, 1, R::Fsm) >> 60, 7, "3.6: 54");
    put(thread, 1, R::TxTtype3, TRIGGER);
    settle(&machine);
    assert!(running(&machine, 1), "3.6: re-requested");
}

/// 3.6: a masked error does not show, and shows when the mask is taken off; TTYPEs are noted.
#[test]
fn the_mask_hides() {
    let machine = machine(Generation::Power9, 2, 1, 2);
    put(machine.thread(0), 0, R::TxTtype2, TRIGGER);
    assert_eq!(
        get(machine.thread(0), 1, R::Error),
        ibm(40),
        "3.6: received TTYPE_2"
    );
    assert_eq!(get(machine.thread(0), 0, R::Error), 0, "not by the sender");
    assert!(
        !machine.tfmr(2).contains(Tfmr::CHIP_TOD_INTERRUPT),
        "12.2: mask"
    );
    assert!(!machine.hmi_pending(2));
    put(machine.thread(0), 1, R::ErrorMask, 0);
    assert!(machine.tfmr(3).contains(Tfmr::CHIP_TOD_INTERRUPT));
    assert!(machine.hmi_pending(3));
}
