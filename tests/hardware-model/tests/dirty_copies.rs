//! Registers that a fault left dirty: sections 12.1.1, 12.1.3 to 12.1.5.

mod common;
use common::*;
use hardware_model::{Configuration, CoreError, Fault, Generation, Machine, ThreadError};
use hardware_model::{Thread, TimebaseCopies};
use power_registers::{Hmer, Spr, TbState, Tfmr};

/// 12.1.4: one dirty TB copy at the time of clearing latches the residue again.
#[test]
fn residue_latches_again_until_every_thread_scrubbed() {
    for generation in [Generation::Power9, Generation::Power10] {
        both(generation, 1, 4, |machine| {
            fail(machine, CoreError::TbResidue);
            assert!((0..4).all(|number| machine.hmer(number).contains(Hmer::TFAC_ERROR)));
            for number in 0..3 {
                scrub(machine.thread(number));
            }
            clear(machine.thread(0));
            let value = tfmr(machine.thread(0));
            assert_eq!(value.state(), TbState::Error, "12.1.4: state 9 again");
            assert!(
                value.contains(Tfmr::TB_RESIDUE_ERROR),
                "12.1.4: latched again"
            );
            scrub(machine.thread(3));
            clear(machine.thread(0));
            let value = tfmr(machine.thread(0));
            assert_eq!(value.state(), TbState::Reset, "12.1.6");
            assert!(!value.contains(Tfmr::TB_RESIDUE_ERROR));
            assert_rules_kept(machine);
        });
    }
}

/// 7 (8267789f9): a scrub that never writes the lower half leaves the copy dirty.
#[test]
fn both_halves_must_be_written() {
    let machine = machine(Generation::Power9, 1, 1, 1);
    fail(&machine, CoreError::TbResidue);
    machine.thread(0).write_spr(Spr::Tbwu, 0);
    machine.thread(0).write_spr(Spr::Tbwu, 0);
    clear(machine.thread(0));
    assert_eq!(tfmr(machine.thread(0)).state(), TbState::Error);
}

fn split(sub_cores: usize) -> Machine {
    let mut configuration = Configuration::new(Generation::Power8, 1, 1, 8);
    configuration.copies = TimebaseCopies::SubCores(sub_cores);
    Machine::new(configuration)
}

/// 12.1.1: on POWER8 one thread of each sub-core is enough, and a missed sub-core is seen.
#[test]
fn sub_cores_share_a_copy() {
    for sub_cores in [1, 2, 4] {
        let machine = split(sub_cores);
        fail(&machine, CoreError::TbResidue);
        for sub_core in 1..sub_cores {
            scrub(machine.thread(sub_core * 8 / sub_cores));
        }
        clear(machine.thread(0));
        let state = tfmr(machine.thread(0)).state();
        assert_eq!(state, TbState::Error, "12.1.4: {sub_cores} sub-cores");
        scrub(machine.thread(7 / sub_cores));
        clear(machine.thread(0));
        let state = tfmr(machine.thread(0)).state();
        assert_eq!(state, TbState::Reset, "12.1.6: {sub_cores} sub-cores");
        // One state, so one reload: TB of every sub-core is rewritten.
        reload(machine.thread(3));
        for thread in 0..8 {
            assert_eq!(machine.timebase(thread), machine.true_time(), "{sub_cores}");
        }
        assert_rules_kept(&machine);
    }
}

/// 2.6: TB of a sub-core is its own, and HID0 says how the core is split.
#[test]
fn sub_cores_have_their_own_timebase() {
    for (sub_cores, hid0) in [
        (1, 0_u64),
        (2, 0x0200_0000_0000_0000),
        (4, 0x2000_0000_0000_0000),
    ] {
        let machine = split(sub_cores);
        assert_eq!(machine.thread(5).read_spr(Spr::Hid0), hid0, "2.6");
        machine
            .thread(0)
            .write_spr(Spr::Tbu40, 0x0777_0000_0000_0000);
        for thread in 0..8 {
            let shared = thread / (8 / sub_cores) == 0;
            let seen = machine.thread(thread).read_spr(Spr::Tb) >> 48 == 0x777;
            assert_eq!(seen, shared, "2.6: {sub_cores} sub-cores, thread {thread}");
        }
    }
}

/// 12.1.4 for 26: HDEC parity stays until every HDEC copy was rewritten; TB runs on.
#[test]
fn hdec_parity_latches_again_until_every_thread_wrote_hdec() {
    for option in [true, false] {
        let mut configuration = Configuration::new(Generation::Power9, 1, 1, 2);
        configuration.latched_errors = false;
        configuration.write_twice = option;
        let machine = Machine::new(configuration);
        let before = machine.thread(1).read_spr(Spr::Hdec);
        fail(&machine, CoreError::HdecParity);
        let thread = machine.thread(0);
        assert!(tfmr(thread).contains(Tfmr::HDEC_PARITY | Tfmr::TB_VALID));
        assert_ne!(
            machine.thread(1).read_spr(Spr::Hdec),
            before,
            "a damaged value"
        );
        thread.write_spr(Spr::Hdec, 0);
        write_twice(thread, Tfmr::HDEC_PARITY);
        assert!(tfmr(thread).contains(Tfmr::HDEC_PARITY), "12.1.4");
        machine.thread(1).write_spr(Spr::Hdec, 0);
        write(thread, Tfmr::HDEC_PARITY);
        let left = tfmr(thread).contains(Tfmr::HDEC_PARITY);
        assert_eq!(
            left, option,
            "12.1.3: one write is enough only without the option"
        );
        write(thread, Tfmr::HDEC_PARITY);
        assert!(!tfmr(thread).contains(Tfmr::HDEC_PARITY));
        assert_rules_kept(&machine);
    }
}

fn selected(thread: Thread<'_>, number: u64) -> Tfmr {
    put_raw(thread, 0, 0x2001_0a80, (8 + number) << 3).unwrap();
    Tfmr::from_bits_retain(get_raw(thread, 0, 0x2001_0a81).unwrap())
}

/// 12.1.5: on POWER9 26 and 45 stay latched on threads other than 0; SPRC and SPRD tell the truth.
#[test]
fn latched_errors_of_power9() {
    both(Generation::Power9, 1, 4, |machine| {
        fail(machine, CoreError::HdecParity);
        let secondary = machine.thread(2);
        assert!(selected(secondary, 0).contains(Tfmr::HDEC_PARITY));
        for number in 0..4 {
            machine.thread(number).write_spr(Spr::Hdec, 0);
        }
        write_twice(machine.thread(0), Tfmr::HDEC_PARITY);
        assert!(!tfmr(machine.thread(0)).contains(Tfmr::HDEC_PARITY));
        assert!(
            tfmr(secondary).contains(Tfmr::HDEC_PARITY),
            "12.1.5: sticky"
        );
        for number in 0..4 {
            let truth = selected(secondary, number);
            assert!(
                !truth.contains(Tfmr::HDEC_PARITY),
                "12.1.5: thread {number}"
            );
            assert_eq!(truth.state(), TbState::Running);
        }
        assert_eq!(selected(secondary, 7).bits(), 0, "no such thread");
        assert_rules_kept(machine);
    });
}

/// 12.1.5 is an erratum of POWER9 only.
#[test]
fn other_generations_latch_nothing() {
    for generation in [Generation::Power8, Generation::Power10] {
        both(generation, 1, 2, |machine| {
            fail(machine, CoreError::HdecParity);
            (0..2).for_each(|number| machine.thread(number).write_spr(Spr::Hdec, 0));
            write_twice(machine.thread(0), Tfmr::HDEC_PARITY);
            assert!(!tfmr(machine.thread(1)).contains(Tfmr::HDEC_PARITY));
        });
    }
}

/// 12.1.1: 57 to 59 show on their thread only, and need the rewrite and two writes.
#[test]
fn thread_errors_are_private() {
    for (error, bit, spr) in [
        (ThreadError::PurrParity, Tfmr::PURR_PARITY, Spr::Purr),
        (ThreadError::SpurrParity, Tfmr::SPURR_PARITY, Spr::Spurr),
        (ThreadError::DecParity, Tfmr::DEC_PARITY, Spr::Dec),
    ] {
        both(Generation::Power9, 1, 4, |machine| {
            machine.inject(&Fault::Thread { thread: 2, error });
            for number in [0, 1, 3] {
                assert!(
                    !tfmr(machine.thread(number)).contains(bit),
                    "12.1.1: {error:?}"
                );
                assert!(!machine.hmi_pending(number), "section 0: the one thread");
            }
            let thread = machine.thread(2);
            assert!(machine.hmi_pending(2));
            write_twice(thread, bit);
            assert!(tfmr(thread).contains(bit), "2.4: {spr:?} was not rewritten");
            thread.write_spr(spr, u64::MAX);
            write(thread, bit);
            let left = tfmr(thread).contains(bit);
            assert_eq!(
                left,
                machine.configuration().write_twice,
                "12.1.3: {error:?}"
            );
            write(thread, bit);
            assert!(!tfmr(thread).contains(bit));
            assert_rules_kept(machine);
        });
    }
}

/// 2.1: 61 and 62 are per thread and write-one-to-clear.
#[test]
fn overflows_clear_with_one_write() {
    for (error, bit) in [
        (ThreadError::PurrOverflow, Tfmr::PURR_OVERFLOW),
        (ThreadError::SpurrOverflow, Tfmr::SPURR_OVERFLOW),
    ] {
        let machine = machine(Generation::Power8, 1, 1, 8);
        machine.inject(&Fault::Thread { thread: 7, error });
        assert!(machine.hmi_pending(7) && !machine.hmi_pending(0));
        let thread = machine.thread(7);
        write(machine.thread(0), bit);
        assert!(tfmr(thread).contains(bit), "12.1.1: each thread its own");
        write(thread, bit);
        assert!(!tfmr(thread).contains(bit), "2.1");
        assert_rules_kept(&machine);
    }
}
