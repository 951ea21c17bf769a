//! The state machine of a ChipTOD and its time: sections 3.3, 3.5 and 12.2.

mod common;
use common::*;
use hardware_model::{Configuration, Fault, Generation, Machine, SYNC_TICKS, Start};
use power_registers::chip_tod::{TRIGGER, TodError, TodRegister as R};
use power_registers::{TbState, Tfmr, ibm};

const SYNC_CHECK: u64 = TodError::I_PATH_SYNC_CHECK.bits();

fn state(machine: &Machine, chip: usize) -> u64 {
    machine.peek_scom(chip, R::Fsm.address()).unwrap() >> 60
}

/// 3.5: LOAD_TOD_MOD and TTYPE_5 go to NOT_SET, LOAD_TOD runs after WAIT_SYNC, TTYPE_4 too.
#[test]
fn load_and_broadcast() {
    for generation in GENERATIONS {
        let mut configuration = Configuration::new(generation, 3, 1, 1);
        configuration.start = Start::Reset;
        let machine = Machine::new(configuration);
        let thread = machine.thread(0);
        assert_eq!(state(&machine, 0), 0, "3.5: ERROR");
        put(thread, 0, R::LoadTodMod, TRIGGER);
        put(thread, 0, R::TxTtype5, TRIGGER);
        assert!(
            (0..3).all(|chip| state(&machine, chip) == 7),
            "3.5: NOT_SET"
        );
        put(thread, 0, R::LoadTod, 0x1234_1ff0);
        assert_eq!(state(&machine, 0), 0xd, "3.5: WAIT_SYNC");
        assert!(!running(&machine, 0), "starting costs time");
        machine.tick(machine.configuration().costs.tod_start);
        assert!(running(&machine, 0), "3.5: bit 4");
        put(thread, 0, R::TxTtype4, TRIGGER);
        settle(&machine);
        assert!((0..3).all(|chip| running(&machine, chip)), "3.5: TTYPE_4");
        assert!((0..3).all(|chip| state(&machine, chip) == 2));
        let now = machine.tod_time(0);
        assert!(now > 0x1234_2000 && now < 0x1234_2000 + 4 * SYNC_TICKS);
        assert!((1..3).all(|chip| machine.tod_time(chip) == now));
        assert_eq!(get(thread, 2, R::TodValue) & 0xf, 0, "3.3: 60:63");
        assert_rules_kept(&machine);
    }
}

/// 3.3: the loaded value is that of the step before the next sync.
#[test]
fn the_loaded_value_counts_from_the_next_sync() {
    let machine = machine(Generation::Power9, 1, 1, 1);
    let thread = machine.thread(0);
    put(thread, 0, R::LoadTodMod, TRIGGER);
    machine.tick(SYNC_TICKS - machine.now() % SYNC_TICKS);
    put(thread, 0, R::LoadTod, 0x7_1ff0);
    let before = machine.now() / SYNC_TICKS;
    assert_eq!(state(&machine, 0), 0xd, "3.5: WAIT_SYNC");
    machine.tick(machine.configuration().costs.tod_start);
    assert_eq!(state(&machine, 0), 0xe, "3.5: RUNNING, waiting sync");
    assert_eq!(machine.tod_time(0), 0x7_1ff0);
    while machine.now() / SYNC_TICKS == before {
        machine.tick(1);
    }
    assert_eq!(machine.tod_time(0), 0x7_2000, "3.3");
}

/// 3.5: LOAD_TOD with bit 63 stops; START_TOD starts; POWER10 wants bit 2 with it (3.3).
#[test]
fn load_stopped_and_start() {
    for generation in GENERATIONS {
        let machine = machine(generation, 1, 1, 1);
        let thread = machine.thread(0);
        put(thread, 0, R::LoadTodMod, TRIGGER);
        put(thread, 0, R::LoadTod, 0x5555_1ff1);
        assert_eq!(state(&machine, 0), 1, "3.5: STOPPED");
        put(thread, 0, R::StartTod, TRIGGER);
        settle(&machine);
        let plain = generation != Generation::Power10;
        assert_eq!(running(&machine, 0), plain, "3.3: {generation:?}");
        put(thread, 0, R::StartTod, TRIGGER | ibm(2));
        settle(&machine);
        assert!(running(&machine, 0));
        assert_eq!(machine.tod_time(0) >> 20, 0x555, "it goes on from there");
        assert_rules_kept(&machine);
    }
}

/// 12.2: a stopped TOD stands, and takes the steps of its own chip's cores along.
#[test]
fn an_error_stops_the_chip() {
    for bits in [
        SYNC_CHECK,
        TodError::FSM_STATE_PARITY.bits(),
        TodError::TIME_REGISTER_PARITY.bits(),
    ] {
        let machine = machine(Generation::Power9, 2, 2, 2);
        put(machine.thread(0), 1, R::ErrorInject, bits);
        machine.tick(machine.configuration().costs.tod_stop);
        assert_eq!(state(&machine, 1), 0, "12.2: state 0");
        assert!(running(&machine, 0));
        for thread in 0..8 {
            let (tfmr, hit) = (machine.tfmr(thread), thread >= 4);
            let seen = tfmr.contains(Tfmr::TB_MISSING_STEP | Tfmr::CHIP_TOD_INTERRUPT);
            assert_eq!(seen, hit, "12.2: thread {thread}");
            assert_eq!(tfmr.state() == TbState::Error, hit);
            assert_eq!(machine.hmi_pending(thread), hit);
        }
        let stands = machine.tod_time(1);
        machine.tick(SYNC_TICKS);
        assert_eq!(machine.tod_time(1), stands, "it stands");
        put(machine.thread(4), 1, R::Error, bits);
        assert_eq!(get(machine.thread(4), 1, R::Error), 0, "3.6: W1C");
        assert!(
            !machine.tfmr(4).contains(Tfmr::CHIP_TOD_INTERRUPT),
            "2.1: 51 drops"
        );
        assert_eq!(get(machine.thread(4), 1, R::Fsm), 0);
    }
}

/// 12.1.6: a dead TOD blocks neither CLEAR nor NOT_SET, but bit 18 stays.
#[test]
fn a_dead_tod_blocks_the_move_only() {
    both(Generation::Power9, 1, 1, |machine| {
        machine.inject(&Fault::Tod {
            chip: 0,
            bits: SYNC_CHECK,
        });
        let thread = machine.thread(0);
        assert_eq!(tfmr(thread).chip_tod_status(), 0, "2.1: 47:50");
        clear(thread);
        to_not_set(thread);
        write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
        machine.tick(20 * SYNC_TICKS);
        let value = tfmr(thread);
        assert_eq!(value.state(), TbState::SyncWait, "12.1.6: no sync comes");
        assert!(value.contains(Tfmr::MOVE_CHIP_TOD_TO_TB), "12.1.6");
        put(thread, 0, R::LoadTodMod, TRIGGER);
        put(
            thread,
            0,
            R::LoadTod,
            machine.true_time() & !0x1fff | 0x1ff0,
        );
        settle(machine);
        assert_eq!(tfmr(thread).state(), TbState::GetTod, "sync comes again");
        assert_rules_kept(machine);
    });
}

/// 12.2: TTYPE_3 is answered by the running master, or by a running chip that was told to.
#[test]
fn a_stopped_tod_asks_the_network() {
    let machine = machine(Generation::Power9, 3, 1, 1);
    let thread = machine.thread(0);
    for chip in [0, 1] {
        machine.inject(&Fault::Tod {
            chip,
            bits: SYNC_CHECK,
        });
    }
    let ask = |chip| {
        put(thread, chip, R::TxTtype3, TRIGGER);
        settle(&machine);
    };
    ask(1);
    assert!(!running(&machine, 1), "3.5: ERROR takes no answer");
    put(thread, 1, R::LoadTodMod, TRIGGER);
    ask(1);
    assert!(
        !running(&machine, 1),
        "12.2: the master is dead and nobody else was told"
    );
    put(thread, 2, R::TxTtypeControl, 0x8000_0000);
    ask(1);
    assert!(!running(&machine, 1), "12.2: bits 32 and 33");
    put(thread, 2, R::TxTtypeControl, 0xc000_0000);
    ask(1);
    assert!(running(&machine, 1), "12.2: the helper");
    assert_eq!(machine.tod_time(1), machine.true_time());
    put(thread, 2, R::TxTtypeControl, 0);
    put(thread, 0, R::LoadTodMod, TRIGGER);
    ask(0);
    assert!(!running(&machine, 0), "the helper was told to stop");
    put(thread, 2, R::TxTtypeControl, 0xc000_0000);
    ask(0);
    put(thread, 1, R::LoadTodMod, TRIGGER);
    put(thread, 2, R::TxTtypeControl, 0);
    ask(1);
    assert!(
        running(&machine, 1),
        "12.2: the running master answers by itself"
    );
    assert_eq!(machine.tod_time(0), machine.true_time());
    assert_rules_kept(&machine);
}

/// 12.2: a zero in POWER10's S_PATH_CTRL 26:31 needs all-ones, then a value.
#[test]
fn a_zeroed_s_path_poisons_power10() {
    let machine = machine(Generation::Power10, 1, 1, 1);
    let thread = machine.thread(0);
    put(thread, 0, R::SlavePathControl, 0);
    let restart = || {
        put(thread, 0, R::LoadTodMod, TRIGGER);
        put(thread, 0, R::LoadTod, 0x1ff0);
        settle(&machine);
        running(&machine, 0)
    };
    assert!(!restart(), "12.2: poisoned");
    put(thread, 0, R::SlavePathControl, 0xc << 32);
    assert!(!restart(), "3.9: all-ones must come first");
    put(thread, 0, R::SlavePathControl, 0x3f << 32);
    assert!(!restart(), "3.9: then the value");
    put(thread, 0, R::SlavePathControl, 0xc << 32);
    assert!(restart());
}

/// A TOD that cannot be started, and one whose time is wrong without a sign of it.
#[test]
fn hopeless_and_lying_tods() {
    let machine = machine(Generation::Power8, 1, 1, 1);
    let thread = machine.thread(0);
    machine.inject(&Fault::TodTime {
        chip: 0,
        value: 0x1000,
    });
    assert!(running(&machine, 0));
    assert_eq!(machine.tod_time(0), 0x1000);
    machine.inject(&Fault::TodStarts {
        chip: 0,
        able: false,
    });
    assert!(running(&machine, 0), "one that runs goes on");
    put(thread, 0, R::LoadTodMod, TRIGGER);
    put(thread, 0, R::LoadTod, 0x1ff0);
    settle(&machine);
    assert_eq!(state(&machine, 0), 7);
}
