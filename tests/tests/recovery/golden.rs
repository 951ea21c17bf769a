//! Golden traces: which registers are written, in which order, by whom, with which result.

use super::*;
use hardware_model::{Access, ThreadError};
use opal_abi::hmi_flags::{DEC_LOST, HDEC_LOST, NEW_EVENT, TB_RESYNC};
use opaline_tests::{Ran, Role, firmware_writes, writes_of};
use power_registers::chip_tod::{TRIGGER, TodError};
use power_registers::{Spr, TbState};

const TFMR: Register = Register::Spr(Spr::Tfmr);

/// The TFMR writes of the machine, in order, and the one thread that made them.
fn tfmr_writes(bench: &Bench) -> (usize, Vec<u64>) {
    let writes: Vec<_> = firmware_writes(&bench.machine)
        .into_iter()
        .filter(|access| access.register == TFMR)
        .collect();
    let leader = writes.first().expect("a TFMR write").thread;
    assert!(
        writes.iter().all(|access| access.thread == leader),
        "one owner of TFMR: {writes:x?}"
    );
    (
        leader,
        writes.into_iter().map(|access| access.value).collect(),
    )
}

fn position(trace: &[Access], register: Register, value: u64) -> usize {
    trace
        .iter()
        .position(|access| access.register == register && access.value == value)
        .unwrap_or_else(|| panic!("no {register:x?} <- {value:#x} in {trace:#x?}"))
}

/// Exactly one recovered timer event, told to exactly one thread.
#[track_caller]
fn assert_one_event(ran: &Ran) {
    assert_eq!(ran.events.len(), 1, "{:#x?}", ran.events);
    let event = &ran.events[0];
    assert_eq!(
        (event.severity, event.event_type, event.recovered),
        (2, 4, true)
    );
    assert_ne!(event.hmer & Hmer::TIMER.bits(), 0, "HMER as found");
    let told = ran
        .outcomes
        .iter()
        .flatten()
        .filter(|outcome| outcome.flags & NEW_EVENT != 0);
    assert_eq!(told.count(), 1);
    let queued = ran
        .outcomes
        .iter()
        .flatten()
        .filter(|outcome| outcome.event_queued);
    assert_eq!(queued.count(), 1);
}

/// Flags of every thread that came, NEW_EVENT aside.
#[track_caller]
fn assert_flags(ran: &Ran, threads: std::ops::Range<usize>, flags: u64) {
    for thread in threads {
        assert_eq!(ran.flags(thread) & !NEW_EVENT, flags, "thread {thread}");
    }
}

/// What every reload does from NOT_SET on: aim, arm, send; in this order.
#[track_caller]
fn assert_reload_tail(bench: &Bench) {
    let trace = firmware_writes(&bench.machine);
    let aimed = trace
        .iter()
        .position(|access| access.register == tod(TodRegister::TxTtypeControl))
        .expect("the TOD is aimed");
    let armed = position(&trace, TFMR, base_and(bench, Tfmr::MOVE_CHIP_TOD_TO_TB));
    let sent = position(&trace, tod(TodRegister::MoveTodToTb), TRIGGER);
    let not_set = position(&trace, TFMR, base_and(bench, Tfmr::LOAD_TOD_MOD));
    assert!(
        not_set < armed && aimed < sent && armed < sent,
        "{trace:#x?}"
    );
    let fsm = Register::ScomRead {
        chip: 0,
        address: TodRegister::Fsm.address(),
    };
    let all = bench.machine.trace();
    let looked = all
        .iter()
        .position(|access| access.register == fsm)
        .expect("FSM is read");
    assert!(
        all[looked].number < trace[armed].number,
        "the TOD must be known to run before MOVE"
    );
}

/// Whatever it waited for did not cost a budget. How long free threads take is the host's affair.
#[track_caller]
fn assert_within_a_millisecond(schedule: Schedule, ran: &Ran) {
    assert!(
        schedule == Schedule::Free || ran.ticks < 512_000,
        "{schedule:?}: {} ticks",
        ran.ticks
    );
}

/// T1: TB residue, TOD running.
#[test]
fn t1_timebase_residue() {
    for generation in GENERATIONS {
        for schedule in schedules() {
            let threads = most_threads(generation);
            let bench = bench(generation, 1, 2, threads);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(1, CoreError::TbResidue));
            let found = bench.machine.tfmr(threads);
            let ran = bench.run(&system, schedule).go();

            assert_one_event(&ran);
            assert_flags(&ran, threads..2 * threads, TB_RESYNC);
            let event = &ran.events[0];
            assert_eq!(
                event.hmer & !Hmer::XSCOM_MAILBOX.bits(),
                Hmer::TFAC_ERROR.bits()
            );
            let ignored = Tfmr::TB_SYNC_OCCURRED;
            assert_eq!(event.tfmr - ignored, found - ignored);

            let (leader, tfmr) = tfmr_writes(&bench);
            let clear = base_and(&bench, Tfmr::CLEAR_TB_ERRORS | Tfmr::TB_RESIDUE_ERROR);
            assert_eq!(
                tfmr,
                [
                    clear,
                    base_and(&bench, Tfmr::CLEAR_TB_ERRORS),
                    base_and(&bench, Tfmr::LOAD_TOD_MOD),
                    base_and(&bench, Tfmr::MOVE_CHIP_TOD_TO_TB),
                ]
            );
            assert!(
                leader >= threads,
                "the other core has nothing to do with it"
            );
            let trace = firmware_writes(&bench.machine);
            let cleared = position(&trace, TFMR, clear);
            for thread in threads..2 * threads {
                let own: Vec<_> = trace
                    .iter()
                    .filter(|access| access.thread == thread)
                    .collect();
                assert_eq!(own[0].register, Register::Spr(Spr::Hmer));
                assert_eq!(
                    own[0].value, CLEAR_TFAC,
                    "HMER is cleared before anything else"
                );
                let scrub: Vec<_> = own
                    .iter()
                    .filter(|access| {
                        matches!(access.register, Register::Spr(Spr::Tbwl | Spr::Tbwu))
                    })
                    .collect();
                let order: Vec<_> = scrub.iter().map(|access| access.register).collect();
                assert_eq!(order, [Spr::Tbwl, Spr::Tbwu, Spr::Tbwl].map(Register::Spr));
                assert!(
                    scrub[2].number < trace[cleared].number,
                    "scrub before CLEAR"
                );
            }
            for thread in 0..threads {
                assert!(
                    trace.iter().all(|access| access.thread != thread),
                    "{trace:#x?}"
                );
            }
            assert_reload_tail(&bench);
            bench.assert_core_good(0);
            bench.assert_core_good(1);
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// T1 aims at the core by the rule of the generation.
#[test]
fn t1_target() {
    for (generation, target) in [
        (Generation::Power8, 0x0000_0011_0000_0000_u64),
        (Generation::Power9, 0x0000_0021_0000_0000),
        (Generation::Power10, 0x2002_44a3_1000_0000),
    ] {
        let bench = bench(generation, 1, 2, 2);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(1, CoreError::MissingStep));
        let ran = bench.run(&system, Schedule::Seeded(1)).go();
        assert_one_event(&ran);
        let trace = firmware_writes(&bench.machine);
        position(&trace, tod(TodRegister::TxTtypeControl), target);
    }
}

/// Each of the errors that stop TB: only the bits that were seen are cleared.
#[test]
fn each_fatal_error_clears_its_own_bit() {
    for (error, bit) in [
        (CoreError::TbstCorrupt, Tfmr::TBST_CORRUPT),
        (CoreError::MissingSync, Tfmr::TB_MISSING_SYNC),
        (CoreError::MissingStep, Tfmr::TB_MISSING_STEP),
        (CoreError::FirmwareControl, Tfmr::FW_CONTROL_ERROR),
    ] {
        for generation in GENERATIONS {
            let bench = bench(generation, 1, 1, 4);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, error));
            let ran = bench.run(&system, Schedule::Seeded(3)).go();
            assert_one_event(&ran);
            assert_flags(&ran, 0..4, TB_RESYNC);
            let (_, tfmr) = tfmr_writes(&bench);
            assert_eq!(tfmr[0], base_and(&bench, Tfmr::CLEAR_TB_ERRORS | bit));
            assert_eq!(tfmr[1], base_and(&bench, Tfmr::CLEAR_TB_ERRORS));
            assert_eq!(tfmr.len(), 4);
            bench.assert_core_good(0);
            bench.assert_rules_kept();
        }
    }
}

/// T2: HDEC parity, TB valid.
#[test]
fn t2_hdec_parity() {
    for generation in GENERATIONS {
        for schedule in schedules() {
            let bench = bench(generation, 1, 1, 4);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, CoreError::HdecParity));
            let ran = bench.run(&system, schedule).go();
            assert_one_event(&ran);
            assert_flags(&ran, 0..4, HDEC_LOST);
            let (_, tfmr) = tfmr_writes(&bench);
            assert_eq!(tfmr, [base_and(&bench, Tfmr::HDEC_PARITY); 2]);
            let trace = firmware_writes(&bench.machine);
            let cleared = position(&trace, TFMR, tfmr[0]);
            for thread in 0..4 {
                assert_eq!(writes_of(&bench.machine, thread, Spr::Hdec).len(), 1);
                assert!(
                    trace[cleared..].iter().all(|access| {
                        access.thread != thread || access.register != Register::Spr(Spr::Hdec)
                    }),
                    "HDEC is rewritten before its error is cleared"
                );
            }
            assert!(!trace.iter().any(|access| {
                matches!(
                    access.register,
                    Register::Spr(Spr::Tbwl | Spr::Tbwu | Spr::Tbu40)
                )
            }));
            bench.assert_core_good(0);
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// T3: DEC parity on thread 2 only; nobody else is involved.
#[test]
fn t3_dec_parity() {
    for generation in GENERATIONS {
        for schedule in schedules() {
            let bench = bench(generation, 1, 1, 4);
            let system = bench.booted_system();
            bench.machine.inject(&Fault::Thread {
                thread: 2,
                error: ThreadError::DecParity,
            });
            let ran = bench.run(&system, schedule).go();
            assert_one_event(&ran);
            assert_flags(&ran, 2..3, DEC_LOST);
            let trace = firmware_writes(&bench.machine);
            assert!(trace.iter().all(|access| access.thread == 2), "{trace:#x?}");
            // All ones: DEC is about to fire, and the OS arms it again.
            assert_eq!(writes_of(&bench.machine, 2, Spr::Dec), [u64::MAX]);
            assert_eq!(
                tfmr_writes(&bench),
                (2, vec![base_and(&bench, Tfmr::DEC_PARITY); 2])
            );
            bench.assert_core_good(0);
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// PURR and SPURR like T3, without a flag: the ABI has none. They go on: not behind what was read
/// before the fault, not ahead of the time that passed.
#[test]
fn purr_and_spurr_parity() {
    for (error, bit, spr) in [
        (ThreadError::PurrParity, Tfmr::PURR_PARITY, Spr::Purr),
        (ThreadError::SpurrParity, Tfmr::SPURR_PARITY, Spr::Spurr),
    ] {
        let bench = bench(Generation::Power9, 1, 1, 2);
        let system = bench.booted_system();
        // As at boot, or at an earlier HMI.
        system.note_timers(&mut bench.hardware(1));
        let before = bench.machine.thread(1).read_spr(spr);
        bench.machine.inject(&Fault::Thread { thread: 1, error });
        let ran = bench.run(&system, Schedule::Seeded(5)).go();
        assert_one_event(&ran);
        assert_flags(&ran, 1..2, 0);
        let written = writes_of(&bench.machine, 1, spr);
        assert_eq!(written.len(), 1);
        assert!(before > 0 && (before..=before + ran.ticks).contains(&written[0]));
        assert_eq!(tfmr_writes(&bench), (1, vec![base_and(&bench, bit); 2]));
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
}

/// Thread-local errors of every thread at once, beside a core error: all are repaired.
#[test]
fn local_errors_beside_a_core_error() {
    for schedule in schedules() {
        let bench = bench(Generation::Power9, 1, 1, 4);
        let system = bench.booted_system();
        for thread in 0..4 {
            bench.machine.inject(&Fault::Thread {
                thread,
                error: ThreadError::DecParity,
            });
        }
        bench.machine.inject(&core_fault(0, CoreError::TbResidue));
        let ran = bench.run(&system, schedule).go();
        for thread in 0..4 {
            assert_eq!(
                ran.flags(thread) & !NEW_EVENT,
                DEC_LOST | TB_RESYNC,
                "thread {thread}"
            );
        }
        assert!(ran.events.iter().all(|event| event.recovered));
        bench.assert_core_good(0);
        bench.assert_hmer_clean(&ran);
        bench.assert_rules_kept();
    }
}

/// T4: TFMR corrupt; and the second HMI that its repair brings is silent.
#[test]
fn t4_tfmr_corrupt() {
    for generation in GENERATIONS {
        for tb_survives in [false, true] {
            for schedule in schedules() {
                let bench = bench(generation, 1, 1, 4);
                let system = bench.booted_system();
                bench
                    .machine
                    .inject(&core_fault(0, CoreError::TfmrCorrupt { tb_survives }));
                let ran = bench.run(&system, schedule).go();
                assert_one_event(&ran);
                assert!(
                    ran.events[0].tfmr.contains(Tfmr::TFMR_CORRUPT),
                    "TFMR as found"
                );
                assert_flags(&ran, 0..4, if tb_survives { 0 } else { TB_RESYNC });
                for outcomes in &ran.outcomes {
                    for again in &outcomes[1..] {
                        assert_eq!((again.flags, again.event_queued), (0, false));
                    }
                }
                let (_, tfmr) = tfmr_writes(&bench);
                assert_eq!(tfmr[..2], [base_and(&bench, Tfmr::TFMR_CORRUPT); 2]);
                if !tb_survives {
                    let clear = base_and(&bench, Tfmr::CLEAR_TB_ERRORS);
                    assert_eq!(tfmr[2] & clear, clear);
                    assert_eq!(
                        tfmr[3..],
                        [
                            clear,
                            base_and(&bench, Tfmr::LOAD_TOD_MOD),
                            base_and(&bench, Tfmr::MOVE_CHIP_TOD_TO_TB),
                        ]
                    );
                    assert_reload_tail(&bench);
                }
                bench.assert_core_good(0);
                bench.assert_hmer_clean(&ran);
                bench.assert_rules_kept();
            }
        }
    }
}

/// T5: parity of a TOD register with TB running; 8 cores of 4 threads see it, one repairs it.
#[test]
fn t5_tod_register_parity() {
    for generation in [Generation::Power9, Generation::Power10] {
        for (register, parity) in TodRegister::CACHED.into_iter().zip(TodError::CACHED_PARITY) {
            let bench = bench(generation, 1, 8, 4);
            let system = bench.booted_system();
            let good = bench.machine.peek_scom(0, register.address());
            bench.machine.inject(&Fault::Tod {
                chip: 0,
                bits: parity.bits(),
            });
            let ran = bench.run(&system, Schedule::Seeded(parity.bits())).go();
            assert_one_event(&ran);
            assert_flags(&ran, 0..32, 0);
            let trace = firmware_writes(&bench.machine);
            let scoms: Vec<_> = trace
                .iter()
                .filter(|access| matches!(access.register, Register::ScomWrite { .. }))
                .collect();
            assert!(
                scoms.iter().all(|access| access.thread == scoms[0].thread),
                "{scoms:#x?}"
            );
            let restored = position(&trace, tod(register), good.unwrap());
            let cleared = position(&trace, tod(TodRegister::Error), parity.bits());
            assert!(restored < cleared);
            assert!(
                trace.iter().all(|access| access.register != TFMR),
                "TB is not touched"
            );
            assert_eq!(bench.machine.peek_scom(0, register.address()), good);
            assert_eq!(
                bench.machine.peek_scom(0, TodRegister::Error.address()),
                Some(0)
            );
            (0..8).for_each(|core| bench.assert_core_good(core));
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// T9: bit 18 stuck from a resync that failed, no error bit: CLEAR comes first.
#[test]
fn t9_stuck_move() {
    for generation in GENERATIONS {
        for schedule in schedules() {
            let bench = bench(generation, 1, 1, 4);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, CoreError::StuckMove));
            assert_eq!(bench.machine.tfmr(0).state(), TbState::GetTod);
            let ran = bench.run(&system, schedule).go();
            assert_one_event(&ran);
            assert_flags(&ran, 0..4, TB_RESYNC);
            let (_, tfmr) = tfmr_writes(&bench);
            let clear = base_and(&bench, Tfmr::CLEAR_TB_ERRORS);
            assert_eq!(
                tfmr,
                [
                    clear,
                    clear,
                    base_and(&bench, Tfmr::LOAD_TOD_MOD),
                    base_and(&bench, Tfmr::MOVE_CHIP_TOD_TO_TB),
                ]
            );
            assert_reload_tail(&bench);
            bench.assert_core_good(0);
            bench.assert_rules_kept();
        }
    }
}

/// The same for bit 16 stuck in ERROR.
#[test]
fn stuck_load_tod_mod() {
    for generation in GENERATIONS {
        let bench = bench(generation, 1, 1, 4);
        let system = bench.booted_system();
        bench
            .machine
            .inject(&core_fault(0, CoreError::StuckLoadTodMod));
        let ran = bench.run(&system, Schedule::Seeded(2)).go();
        assert_one_event(&ran);
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
}

/// T10: POWER10's HMI without a reason.
#[test]
fn t10_no_reason() {
    for schedule in schedules() {
        let bench = bench(Generation::Power10, 1, 1, 4);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(0, CoreError::NoReason));
        let ran = bench.run(&system, schedule).go();
        assert_one_event(&ran);
        assert_flags(&ran, 0..4, TB_RESYNC);
        let (_, tfmr) = tfmr_writes(&bench);
        let clears = tfmr
            .iter()
            .filter(|value| *value & Tfmr::CLEAR_TB_ERRORS.bits() != 0);
        assert_eq!(clears.count(), 2);
        assert_reload_tail(&bench);
        bench.assert_core_good(0);
        bench.assert_hmer_clean(&ran);
        bench.assert_rules_kept();
    }
}

/// POWER10: transfer error (TFMR 25, HMER 5); TB runs on.
#[test]
fn transfer_error() {
    for schedule in schedules() {
        let bench = bench(Generation::Power10, 1, 1, 4);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(0, CoreError::Transfer));
        let ran = bench.run(&system, schedule).go();
        assert_one_event(&ran);
        bench.assert_core_good(0);
        bench.assert_hmer_clean(&ran);
        bench.assert_rules_kept();
    }
}

/// T11: an absent thread is not waited for (on POWER8 its siblings clean what it shares).
#[test]
fn t11_absent_thread() {
    for schedule in schedules() {
        let bench = bench(Generation::Power8, 1, 1, 4);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(0, CoreError::TbResidue));
        let ran = bench.run(&system, schedule).role(3, Role::Absent).go();
        assert_one_event(&ran);
        assert_flags(&ran, 0..3, TB_RESYNC);
        assert_within_a_millisecond(schedule, &ran);
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
}

/// T11: a thread in the firmware's idle loop is summoned, comes within a millisecond, and cleans.
#[test]
fn t11_idle_thread_is_summoned() {
    for generation in GENERATIONS {
        for schedule in schedules() {
            let bench = bench(generation, 1, 1, 4);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, CoreError::TbResidue));
            let ran = bench.run(&system, schedule).role(3, Role::Idle).go();
            assert_one_event(&ran);
            assert_flags(&ran, 0..4, TB_RESYNC);
            assert!(!ran.outcomes[3].is_empty());
            assert_within_a_millisecond(schedule, &ran);
            assert_eq!(writes_of(&bench.machine, 3, Spr::Tbwl).len(), 2);
            bench.assert_core_good(0);
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// T13: the bytes of T1's event.
#[test]
fn t13_event_bytes() {
    let bench = bench(Generation::Power9, 1, 1, 4);
    let system = bench.booted_system();
    bench.machine.inject(&core_fault(0, CoreError::MissingStep));
    let ran = bench.run(&system, Schedule::Seeded(0)).go();
    let mut expected = vec![0, 0, 0, 4, 0, 0, 0, 40, 2, 2, 4, 0, 0, 0, 0, 0];
    expected.extend(ran.events[0].hmer.to_be_bytes());
    expected.extend(ran.events[0].tfmr.bits().to_be_bytes());
    expected.resize(72, 0);
    assert_eq!(ran.events[0].bytes[..], expected[..]);
    assert_eq!(
        ran.events[0].tfmr.bits() & !Tfmr::TB_SYNC_OCCURRED.bits(),
        0x2e12_0009_8088_4000
    );
}
