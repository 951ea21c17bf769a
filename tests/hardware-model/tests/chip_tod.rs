//! The rules of ChipTOD and XSCOM, one test each.

use hardware_model::{
    Configuration, Fault, Generation, Machine, Register, SYNC_TICKS, Start, Thread, XscomAnswer,
    XscomFault,
};
use power_registers::chip_tod::TodRegister as R;
use power_registers::chip_tod::{FSM_RUNNING, TRIGGER, TodError};
use power_registers::{Hmer, Spr, TbState, Tfmr};

const SYNC_CHECK: u64 = TodError::I_PATH_SYNC_CHECK.bits();

fn machine(generation: Generation, chips: usize, cores: usize) -> Machine {
    let mut configuration = Configuration::new(generation, chips, cores, 2);
    configuration.costs.tod_start = 0;
    configuration.costs.tod_stop = 0;
    Machine::new(configuration)
}

fn address(machine: &Machine, chip: usize, scom: u64) -> u64 {
    let configuration = machine.configuration();
    let offset = match configuration.generation {
        Generation::Power8 => (scom << 4 & !0xff) | (scom << 3 & 0x78),
        _ => scom << 3,
    };
    configuration.xscom_base(chip) | offset
}

/// Polls for DONE and gives the status.
fn finish(thread: Thread<'_>) -> Result<(), u8> {
    while thread.read_spr(Spr::Hmer) & Hmer::XSCOM_DONE.bits() == 0 {}
    let hmer = Hmer::from_bits_retain(thread.read_spr(Spr::Hmer));
    if hmer.contains(Hmer::XSCOM_FAIL) {
        Err(hmer.xscom_status())
    } else {
        Ok(())
    }
}

fn put_raw(thread: Thread<'_>, chip: usize, scom: u64, value: u64) -> Result<(), u8> {
    thread.write_spr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits());
    thread.store(address(thread.machine(), chip, scom), value);
    finish(thread)
}

fn get_raw(thread: Thread<'_>, chip: usize, scom: u64) -> Result<u64, u8> {
    thread.write_spr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits());
    let value = thread.load(address(thread.machine(), chip, scom));
    finish(thread).map(|()| value)
}

fn put(thread: Thread<'_>, chip: usize, register: R, value: u64) {
    put_raw(thread, chip, register.address().into(), value).expect("a good access");
}

fn get(thread: Thread<'_>, chip: usize, register: R) -> u64 {
    get_raw(thread, chip, register.address().into()).expect("a good access")
}

fn running(machine: &Machine, chip: usize) -> bool {
    machine.peek_scom(chip, R::Fsm.address()).unwrap() & FSM_RUNNING != 0
}

#[track_caller]
fn assert_rules_kept(machine: &Machine) {
    assert_eq!(machine.violations(), []);
}

/// The address formula of each generation, by what the trace decodes.
#[test]
fn xscom_addresses() {
    for (generation, scom, real) in [
        (Generation::Power8, 0x4_0027, 0x0003_fc00_0040_0238_u64),
        (Generation::Power9, 0x4_0027, 0x0006_03fc_0020_0138),
        (Generation::Power10, 0x4_0027, 0x0006_03fc_0020_0138),
    ] {
        let machine = machine(generation, 2, 1);
        assert_eq!(address(&machine, 0, scom), real);
        put(machine.thread(0), 1, R::TxTtypeControl, 5);
        let found = machine.trace().into_iter().rfind(|access| {
            access.register
                == Register::ScomWrite {
                    chip: 1,
                    address: 0x4_0027,
                }
        });
        assert_eq!(found.unwrap().value, 5);
        assert_rules_kept(&machine);
    }
}

/// Each status comes with FAIL one read after DONE; data is all-ones.
#[test]
fn xscom_statuses() {
    for status in 1..=7 {
        let machine = machine(Generation::Power9, 1, 1);
        let fault = XscomFault {
            after: 1,
            count: 1,
            ..XscomFault::new(XscomAnswer::Status(status))
        };
        machine.inject_xscom(fault);
        let thread = machine.thread(0);
        assert_eq!(get_raw(thread, 0, 0x40024), Ok(0x2800_0000_0000_0000));
        assert_eq!(get_raw(thread, 0, 0x40024), Err(status));
        assert_eq!(get_raw(thread, 0, 0x40024), Ok(0x2800_0000_0000_0000));
        assert_eq!(
            get_raw(thread, 0, 0x12345),
            Err(4),
            "an address that does not exist"
        );
        assert_eq!(
            get_raw(thread, 0, 0x40031),
            Err(4),
            "a register that is write-only"
        );
        assert_rules_kept(&machine);
    }
}

/// A write that fails has no effect; one that is never done neither, and blocks nobody.
#[test]
fn failed_xscom_writes_do_nothing() {
    for answer in [XscomAnswer::Status(7), XscomAnswer::NeverDone] {
        let machine = machine(Generation::Power9, 1, 1);
        machine.inject_xscom(XscomFault {
            address: Some(0x40018),
            count: 1,
            ..XscomFault::new(answer)
        });
        let thread = machine.thread(0);
        thread.write_spr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits());
        thread.store(address(&machine, 0, 0x40018), TRIGGER);
        for _ in 0..100 {
            let _ = thread.read_spr(Spr::Hmer);
        }
        assert_eq!(
            machine.hmer(0).contains(Hmer::XSCOM_DONE),
            answer != XscomAnswer::NeverDone
        );
        assert!(running(&machine, 0));
        put(machine.thread(1), 0, R::LoadTodMod, TRIGGER);
        assert!(!running(&machine, 0));
        assert_rules_kept(&machine);
    }
}

/// HW822317: one access in flight; and the mailbox must be cleared before, not during.
#[test]
fn xscom_protocol_is_watched() {
    let machine = machine(Generation::Power9, 1, 1);
    let fsm = address(&machine, 0, 0x40024);
    let _ = machine.thread(0).load(fsm);
    let _ = machine.thread(1).load(fsm);
    machine.thread(0).write_spr(Spr::Hmer, 0);
    let (first, second) = (machine.thread(0), machine.thread(1));
    finish(first).unwrap();
    finish(second).unwrap();
    let _ = first.load(fsm);
    let rules: Vec<_> = machine
        .violations()
        .into_iter()
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

/// Sync check stops the TOD of one chip; all its cores get missing step, no other.
#[test]
fn a_sync_check_stops_the_chip() {
    let machine = machine(Generation::Power9, 2, 2);
    put(machine.thread(0), 1, R::ErrorInject, SYNC_CHECK);
    assert!(running(&machine, 0) && !running(&machine, 1));
    for thread in 0..8 {
        let tfmr = machine.tfmr(thread);
        let hit = thread >= 4;
        assert_eq!(
            tfmr.contains(Tfmr::TB_MISSING_STEP | Tfmr::CHIP_TOD_INTERRUPT),
            hit
        );
        assert_eq!(tfmr.state() == TbState::Error, hit);
        assert_eq!(machine.hmer(thread).contains(Hmer::TFAC_ERROR), hit);
    }
    // The dead TOD does not block NOT_SET, but MOVE never gets its sync.
    put(machine.thread(4), 1, R::Error, SYNC_CHECK);
    assert_eq!(get(machine.thread(4), 1, R::Error), 0);
    assert!(!machine.tfmr(4).contains(Tfmr::CHIP_TOD_INTERRUPT));
    assert_eq!(get(machine.thread(4), 1, R::Fsm), 0);
}

/// TTYPE_3 is answered by the running master, or by a running chip that was told to.
#[test]
fn a_stopped_tod_asks_the_network() {
    let machine = machine(Generation::Power9, 3, 1);
    let thread = machine.thread(0);
    for chip in [0, 1] {
        put(thread, chip, R::ErrorInject, SYNC_CHECK);
    }
    put(thread, 1, R::LoadTodMod, TRIGGER);
    put(thread, 1, R::TxTtype3, TRIGGER);
    assert!(
        !running(&machine, 1),
        "the master is dead and nobody else was told to answer"
    );
    put(thread, 2, R::TxTtypeControl, 0xc000_0000);
    put(thread, 1, R::TxTtype3, TRIGGER);
    assert!(running(&machine, 1));
    assert_eq!(machine.tod_time(1), machine.true_time());
    put(thread, 0, R::LoadTodMod, TRIGGER);
    put(thread, 0, R::TxTtype3, TRIGGER);
    assert!(running(&machine, 0));
    assert_rules_kept(&machine);
}

/// The boot sequence of the TODs, and the time that was loaded.
#[test]
fn load_and_broadcast() {
    let mut configuration = Configuration::new(Generation::Power10, 2, 1, 1);
    configuration.start = Start::Reset;
    configuration.costs.tod_start = 0;
    let machine = Machine::new(configuration);
    let thread = machine.thread(0);
    put(thread, 0, R::LoadTodMod, TRIGGER);
    put(thread, 0, R::TxTtype5, TRIGGER);
    assert_eq!(get(thread, 1, R::Fsm) >> 60, 7);
    put(thread, 0, R::LoadTod, 0x1234_1ff0);
    assert!(running(&machine, 0));
    put(thread, 0, R::TxTtype4, TRIGGER);
    assert!(running(&machine, 1));
    let before = machine.now() / SYNC_TICKS;
    while machine.now() / SYNC_TICKS == before {
        machine.tick(1);
    }
    assert_eq!(machine.tod_time(0), 0x1234_2000);
    assert_eq!(machine.tod_time(1), 0x1234_2000);
    machine.tick(100);
    assert_eq!(get(thread, 0, R::TodValue) >> 12, 0x1_2342);
    assert_rules_kept(&machine);
    put(thread, 0, R::LoadTod, 0x1ff0);
    assert!(machine.violations()[0].rule.contains("outside NOT_SET"));
}

/// A parity error damages its register, and comes back until the register was rewritten.
#[test]
fn parity_damages_until_rewritten() {
    for (register, parity) in R::CACHED.into_iter().zip(TodError::CACHED_PARITY) {
        let machine = machine(Generation::Power10, 1, 2);
        let thread = machine.thread(0);
        let good = get(thread, 0, register);
        machine.inject(&Fault::Tod {
            chip: 0,
            bits: parity.bits(),
        });
        assert_ne!(get(thread, 0, register), good);
        assert!((0..4).all(|thread| machine.hmi_pending(thread)));
        assert_eq!(machine.tfmr(3).state(), TbState::Running);
        put(thread, 0, R::Error, parity.bits());
        assert_eq!(get(thread, 0, R::Error), parity.bits());
        put(thread, 0, register, good);
        put(thread, 0, R::Error, parity.bits());
        assert_eq!(get(thread, 0, R::Error), 0);
        assert_rules_kept(&machine);
    }
}

/// A masked error does not show in TFMR 51, and interrupts nobody.
#[test]
fn the_mask_hides() {
    let machine = machine(Generation::Power9, 1, 1);
    machine.inject(&Fault::Tod {
        chip: 0,
        bits: power_registers::ibm(40),
    });
    assert!(!machine.tfmr(0).contains(Tfmr::CHIP_TOD_INTERRUPT));
    assert!(!machine.hmi_pending(0));
    put(machine.thread(0), 0, R::ErrorMask, 0);
    assert!(machine.tfmr(1).contains(Tfmr::CHIP_TOD_INTERRUPT));
}

/// POWER10 and a zero in S_PATH_CTRL 26:31.
#[test]
fn a_zeroed_s_path_poisons_power10() {
    let machine = machine(Generation::Power10, 1, 1);
    let thread = machine.thread(0);
    put(thread, 0, R::SlavePathControl, 0);
    assert!(machine.violations()[0].rule.contains("26:31"));
    let restart = || {
        put(thread, 0, R::LoadTodMod, TRIGGER);
        put(thread, 0, R::LoadTod, 0x1ff0);
        running(&machine, 0)
    };
    assert!(!restart());
    put(thread, 0, R::SlavePathControl, 0xc << 32);
    assert!(!restart(), "all-ones must come first");
    put(thread, 0, R::SlavePathControl, 0x3f << 32);
    put(thread, 0, R::SlavePathControl, 0xc << 32);
    assert!(restart());
}

/// How each generation names the core, and that a wrong name moves nothing.
#[test]
fn targets_by_generation() {
    let good = |generation: Generation| match generation {
        Generation::Power8 => 0x11 << 32,
        Generation::Power9 => 0x21 << 32,
        Generation::Power10 => 0x2002_44a3 << 32 | power_registers::ibm(35),
    };
    for generation in [Generation::Power8, Generation::Power9, Generation::Power10] {
        let own = good(generation);
        let others = [Generation::Power8, Generation::Power9, Generation::Power10]
            .into_iter()
            .filter(|other| *other != generation)
            .map(good)
            .chain([
                0,
                own & !(1 << 32),
                own ^ (1 << 36),
                own ^ if generation == Generation::Power10 {
                    power_registers::ibm(35)
                } else {
                    1 << 38
                },
            ]);
        for (target, moves) in others.map(|target| (target, false)).chain([(own, true)]) {
            let machine = machine(generation, 1, 2);
            let thread = machine.thread(2);
            let base = machine.configuration().base();
            thread.write_spr(Spr::Tfmr, base | Tfmr::LOAD_TOD_MOD.bits());
            machine.tick(SYNC_TICKS);
            thread.write_spr(Spr::Tfmr, base | Tfmr::MOVE_CHIP_TOD_TO_TB.bits());
            put(thread, 0, R::TxTtypeControl, target);
            if machine.tfmr(2).state() == TbState::SyncWait {
                // Too early: the core is not in GET_TOD yet.
                put(thread, 0, R::MoveTodToTb, TRIGGER);
            }
            machine.tick(SYNC_TICKS);
            assert_eq!(
                machine.tfmr(2).state(),
                TbState::GetTod,
                "{generation:?} {target:#x}"
            );
            put(thread, 0, R::MoveTodToTb, TRIGGER);
            machine.tick(SYNC_TICKS);
            assert_eq!(
                machine.tfmr(2).state() == TbState::Running,
                moves,
                "{generation:?} {target:#x}"
            );
            assert_eq!(machine.tfmr(2).contains(Tfmr::MOVE_CHIP_TOD_TO_TB), !moves);
            assert_rules_kept(&machine);
        }
    }
}

/// The TOD must run for a MOVE.
#[test]
fn a_stopped_tod_moves_nothing() {
    let machine = machine(Generation::Power9, 1, 1);
    let thread = machine.thread(0);
    put(thread, 0, R::LoadTodMod, TRIGGER);
    let base = machine.configuration().base();
    thread.write_spr(Spr::Tfmr, base | Tfmr::LOAD_TOD_MOD.bits());
    machine.tick(SYNC_TICKS);
    put(thread, 0, R::TxTtypeControl, 0x20 << 32);
    thread.write_spr(Spr::Tfmr, base | Tfmr::MOVE_CHIP_TOD_TO_TB.bits());
    machine.tick(SYNC_TICKS);
    put(thread, 0, R::MoveTodToTb, TRIGGER);
    machine.tick(SYNC_TICKS);
    assert!(machine.tfmr(0).contains(Tfmr::MOVE_CHIP_TOD_TO_TB));
    assert_eq!(machine.tfmr(0).state(), TbState::GetTod);
}
