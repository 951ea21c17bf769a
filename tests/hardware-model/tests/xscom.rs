//! XSCOM: section 3.1, and what SCOM sees of cores that sleep (4.8).

mod common;
use common::*;
use hardware_model::{Direction, Fault, Generation, Machine, Register, XscomAnswer, XscomFault};
use power_registers::chip_tod::{TRIGGER, TodRegister};
use power_registers::{Hmer, Spr};

const FSM: u32 = 0x40024;
const RUNNING: u64 = 0x2800_0000_0000_0000;

/// 3.1: the address formula of each generation, by what the trace decodes.
#[test]
fn addresses() {
    for (generation, real) in [
        (Generation::Power8, 0x0003_fc00_0040_0238_u64),
        (Generation::Power9, 0x0006_03fc_0020_0138),
        (Generation::Power10, 0x0006_03fc_0020_0138),
    ] {
        let machine = machine(generation, 2, 1, 1);
        assert_eq!(address(&machine, 0, 0x4_0027), real, "3.1");
        put(machine.thread(0), 1, TodRegister::TxTtypeControl, 5);
        let wanted = Register::ScomWrite {
            chip: 1,
            address: 0x4_0027,
        };
        let trace = machine.trace();
        let found = trace.iter().rfind(|access| access.register == wanted);
        assert_eq!(found.unwrap().value, 5);
        assert_rules_kept(&machine);
        let _ = machine.thread(0).load(0x1000);
        assert_broken(&machine, "outside every XSCOM window");
    }
}

/// 3.1: each status comes with FAIL, one read after DONE; data is all-ones; then it has passed.
#[test]
fn statuses() {
    for status in 1..=7 {
        let machine = machine(Generation::Power9, 1, 1, 1);
        machine.inject_xscom(XscomFault {
            after: 1,
            count: 1,
            ..all(XscomAnswer::Status(status))
        });
        let thread = machine.thread(0);
        assert_eq!(get_raw(thread, 0, FSM), Ok(RUNNING));
        thread.write_spr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits());
        assert_eq!(
            thread.load(address(&machine, 0, FSM)),
            u64::MAX,
            "3.1: all-ones"
        );
        while !hmer(thread).contains(Hmer::XSCOM_DONE) {}
        assert!(
            !machine.hmer(0).contains(Hmer::XSCOM_FAIL),
            "3.1: fail lags DONE"
        );
        assert_eq!(hmer(thread).xscom_status(), status, "3.1: 21:23");
        assert_eq!(get_raw(thread, 0, FSM), Ok(RUNNING), "passed");
        assert_rules_kept(&machine);
    }
}

/// 3.1 and 3.3: addresses that do not exist, and a register that is write-only.
#[test]
fn invalid_addresses() {
    for generation in GENERATIONS {
        let machine = machine(generation, 1, 1, 1);
        assert_eq!(
            get_raw(machine.thread(0), 0, 0x12345),
            Err(4),
            "3.1: code 4"
        );
        assert_eq!(
            get_raw(machine.thread(0), 0, 0x40031),
            Err(4),
            "3.3: write-only"
        );
        let absent = machine.configuration().core_fir(0) + 0x0100_0000;
        if generation != Generation::Power10 {
            assert_eq!(
                get_raw(machine.thread(0), 0, absent),
                Err(3),
                "8.1: absent core"
            );
        }
        assert_rules_kept(&machine);
    }
}

/// 12.2: a write that fails has no effect; one that is never done neither, and blocks nobody.
#[test]
fn failed_writes_do_nothing() {
    for answer in [XscomAnswer::Status(7), XscomAnswer::NeverDone] {
        let machine = machine(Generation::Power9, 1, 1, 2);
        machine.inject_xscom(XscomFault {
            address: Some(0x40018),
            count: 1,
            ..all(answer)
        });
        let thread = machine.thread(0);
        thread.write_spr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits());
        thread.store(address(&machine, 0, 0x40018), TRIGGER);
        for _ in 0..100 {
            let _ = hmer(thread);
        }
        let done = machine.hmer(0).contains(Hmer::XSCOM_DONE);
        assert_eq!(done, answer != XscomAnswer::NeverDone, "12.2: never-DONE");
        assert!(running(&machine, 0));
        put(machine.thread(1), 0, TodRegister::LoadTodMod, TRIGGER);
        assert!(!running(&machine, 0));
        assert_rules_kept(&machine);
    }
}

/// 3.1 (HW822317): one access in flight; and the mailbox must be cleared before, not during.
#[test]
fn the_protocol_is_watched() {
    let machine = machine(Generation::Power9, 1, 1, 2);
    let fsm = address(&machine, 0, FSM);
    let (first, second) = (machine.thread(0), machine.thread(1));
    let _ = first.load(fsm);
    let _ = second.load(fsm);
    first.write_spr(Spr::Hmer, 0);
    finish(first).unwrap();
    finish(second).unwrap();
    let _ = first.load(fsm);
    let rules: Vec<_> = machine
        .violations()
        .iter()
        .map(|broken| broken.rule)
        .collect();
    assert_eq!(
        rules,
        [
            "two XSCOM accesses in flight",
            "the XSCOM mailbox cleared with an access in flight",
            "an XSCOM access with the HMER mailbox not cleared",
        ]
    );
}

/// Failures by chip, direction, thread and address; two windows at once.
#[test]
fn filters() {
    let bad = all(XscomAnswer::Status(5));
    let filtered: [(XscomFault, [bool; 4]); 5] = [
        (bad, [false; 4]),
        (
            XscomFault {
                chip: Some(1),
                ..bad
            },
            [true, false, false, true],
        ),
        (
            XscomFault {
                direction: Some(Direction::Write),
                ..bad
            },
            [true, true, false, true],
        ),
        (
            XscomFault {
                thread: Some(1),
                ..bad
            },
            [true, true, true, false],
        ),
        (
            XscomFault {
                address: Some(0x40021),
                ..bad
            },
            [true; 4],
        ),
    ];
    for (fault, expected) in filtered {
        let machine = machine(Generation::Power10, 2, 1, 2);
        machine.inject(&Fault::Xscom(fault));
        let (thread, other) = (machine.thread(0), machine.thread(1));
        let good = [
            get_raw(thread, 0, FSM).is_ok(),
            get_raw(thread, 1, FSM).is_ok(),
            put_raw(thread, 1, 0x40027, 0).is_ok(),
            get_raw(other, 0, FSM).is_ok(),
        ];
        assert_eq!(good, expected, "{fault:?}");
        machine.inject(&Fault::XscomHealed);
        assert!(get_raw(thread, 1, FSM).is_ok());
    }
}

/// Answers that are late, or that lie.
#[test]
fn late_and_lying_answers() {
    let machine = machine(Generation::Power9, 1, 1, 1);
    let thread = machine.thread(0);
    let once = |answer| XscomFault {
        count: 1,
        ..all(answer)
    };
    machine.inject_xscom(once(XscomAnswer::Late(50_000)));
    let before = machine.now();
    assert_eq!(get_raw(thread, 0, FSM), Ok(RUNNING));
    assert!(machine.now() - before > 50_000);
    machine.inject_xscom(once(XscomAnswer::Lie(7)));
    assert_eq!(get_raw(thread, 0, FSM), Ok(7));
    machine.inject_xscom(once(XscomAnswer::Lie(0)));
    put(thread, 0, TodRegister::LoadTodMod, TRIGGER);
    assert!(running(&machine, 0), "the write was not done");
    assert_rules_kept(&machine);
}

/// Software may give up an answer that is made to come late; the next access is none too many.
#[test]
fn a_late_answer_may_be_given_up() {
    let machine = machine(Generation::Power9, 1, 1, 2);
    machine.inject_xscom(XscomFault {
        count: 1,
        ..all(XscomAnswer::Late(1 << 40))
    });
    let thread = machine.thread(0);
    let _ = thread.load(address(&machine, 0, FSM));
    let _ = hmer(thread);
    assert_eq!(get_raw(machine.thread(1), 0, FSM), Ok(RUNNING));
    assert_rules_kept(&machine);
}

/// 3.1: an engine that stays busy until receive status, log and error were reset.
#[test]
fn a_blocked_engine_needs_its_reset() {
    for (generation, engine) in [
        (Generation::Power8, [0x0202_000f, 0x0202_0007, 0x0202_0009]),
        (Generation::Power9, [0x0009_0018, 0x0009_0012, 0x0009_0013]),
        (Generation::Power10, [0x0009_0018, 0x0009_0012, 0x0009_0013]),
    ] {
        let machine = machine(generation, 2, 1, 1);
        let thread = machine.thread(0);
        machine.inject(&Fault::EngineBlocked { chip: 1 });
        assert_eq!(get_raw(thread, 0, FSM), Ok(RUNNING), "one chip only");
        assert_eq!(get_raw(thread, 1, FSM), Err(1), "3.1: code 1");
        put_raw(thread, 1, engine[1], 0).expect("3.1: log");
        assert_eq!(get_raw(thread, 1, FSM), Err(1));
        put_raw(thread, 1, engine[2], 0).expect("3.1: error");
        assert_eq!(get_raw(thread, 1, FSM), Err(1));
        put_raw(thread, 0, engine[0], 0).expect("3.1: the local chip's receive status");
        assert_eq!(get_raw(thread, 1, FSM), Ok(RUNNING));
        assert_rules_kept(&machine);
    }
}

/// What to write, what to poll, and the bit that says that the core is awake.
fn wakeup(generation: Generation) -> (u32, u32, u64) {
    match generation {
        Generation::Power8 => (0x110f_010d, 0x110f_0100, 0x0000_0001_0000_0000),
        Generation::Power9 => (0x210f_010d, 0x210f_0114, 1 << 62),
        Generation::Power10 => (0x200e_483c, 0x200e_482c, 1 << 62),
    }
}

/// 4.8: a sleeping core answers an error with all-ones until special wakeup, and again after it.
#[test]
fn sleeping_cores() {
    for (generation, status) in GENERATIONS.into_iter().flat_map(|g| [(g, 2), (g, 3)]) {
        let machine = machine(generation, 1, 2, 1);
        let thread = machine.thread(0);
        machine.inject(&Fault::Asleep { core: 1, status });
        let fir = machine.configuration().core_fir(1);
        let (write, poll, done) = wakeup(generation);
        assert_eq!(get_raw(thread, 0, fir), Err(status), "4.8");
        put_raw(thread, 0, write, 1 << 63).expect("4.8: special wakeup");
        assert_eq!(
            get_raw(thread, 0, poll).map(|seen| seen & done),
            Ok(0),
            "it takes time"
        );
        machine.tick(machine.configuration().costs.wakeup);
        assert_eq!(
            get_raw(thread, 0, poll).map(|seen| seen & done),
            Ok(done),
            "4.8"
        );
        assert_eq!(get_raw(thread, 0, fir), Ok(0));
        put_raw(thread, 0, write, 0).unwrap();
        assert_eq!(get_raw(thread, 0, fir), Err(status), "asleep again");
        machine.inject(&Fault::Awake { core: 1 });
        assert_eq!(get_raw(thread, 0, fir), Ok(0));
        assert_eq!(
            get_raw(thread, 0, machine.configuration().core_fir(0)),
            Ok(0)
        );
        assert_rules_kept(&machine);
    }
}

/// 3.1, code 4: the lost-wakeup erratum of POWER9 and the write that ends it.
#[test]
fn lost_wakeup() {
    let machine = machine(Generation::Power9, 1, 2, 1);
    let thread = machine.thread(0);
    machine.inject(&Fault::LostWakeup { core: 1 });
    let fir = machine.configuration().core_fir(1);
    assert_eq!(get_raw(thread, 0, fir), Err(4), "3.1: code 4 in the range");
    assert_eq!(
        put_raw(thread, 0, 0x2001_0800, 0),
        Err(4),
        "3.1: expected to fail"
    );
    assert_eq!(get_raw(thread, 0, fir), Ok(0));
    assert_rules_kept(&machine);
}

/// Counters are there without the trace.
#[test]
fn counters_without_trace() {
    let machine = machine(Generation::Power9, 1, 1, 2);
    machine.set_tracing(false);
    let thread = machine.thread(1);
    put(thread, 0, TodRegister::TxTtypeControl, 1);
    let _ = get(thread, 0, TodRegister::Fsm);
    (0..5).for_each(|_| thread.relax());
    thread.write_spr(Spr::Dec, 0);
    (0..3).for_each(|_| thread.relax());
    let counters = machine.counters(1);
    assert_eq!((counters.scom_reads, counters.scom_writes), (1, 1));
    assert_eq!((counters.relaxes, counters.longest_wait), (8, 5));
    assert_eq!(counters.spr_writes, 3);
    assert!(counters.spr_reads > 4);
    assert_eq!(machine.counters(0), Default::default());
    assert_eq!(machine.trace(), []);
    let _: &Machine = thread.machine();
}
