//! What the tests of the model do again and again.
#![allow(dead_code, reason = "no test file uses all of it")]

use hardware_model::{
    Configuration, CoreError, Fault, Generation, Machine, SYNC_TICKS, Thread, XscomFault,
};
use power_registers::chip_tod::{FSM_RUNNING, TodRegister};
use power_registers::{Hmer, Spr, TbState, Tfmr};

pub(crate) const GENERATIONS: [Generation; 3] =
    [Generation::Power8, Generation::Power9, Generation::Power10];

/// A machine without "write twice" and one with it.
pub(crate) fn both(generation: Generation, cores: usize, threads: usize, test: impl Fn(&Machine)) {
    for write_twice in [true, false] {
        let mut configuration = Configuration::new(generation, 1, cores, threads);
        configuration.write_twice = write_twice;
        test(&Machine::new(configuration));
    }
}

pub(crate) fn machine(
    generation: Generation,
    chips: usize,
    cores: usize,
    threads: usize,
) -> Machine {
    Machine::new(Configuration::new(generation, chips, cores, threads))
}

pub(crate) fn base(machine: &Machine) -> u64 {
    machine.configuration().base()
}

pub(crate) fn tfmr(thread: Thread<'_>) -> Tfmr {
    Tfmr::from_bits_retain(thread.read_spr(Spr::Tfmr))
}

pub(crate) fn hmer(thread: Thread<'_>) -> Hmer {
    Hmer::from_bits_retain(thread.read_spr(Spr::Hmer))
}

/// Writes TFMR with the base field.
pub(crate) fn write(thread: Thread<'_>, bits: Tfmr) {
    thread.write_spr(Spr::Tfmr, base(thread.machine()) | bits.bits());
}

/// The same twice, as parity bits and CLEAR want it.
pub(crate) fn write_twice(thread: Thread<'_>, bits: Tfmr) {
    write(thread, bits);
    write(thread, bits);
}

pub(crate) fn fail(machine: &Machine, error: CoreError) {
    machine.inject(&Fault::Core { core: 0, error });
}

/// Long enough to have seen an error that came by itself.
pub(crate) fn look_long(thread: Thread<'_>) {
    for _ in 0..20 {
        let _ = tfmr(thread);
    }
}

/// Rewrites the thread's TB.
pub(crate) fn scrub(thread: Thread<'_>) {
    thread.write_spr(Spr::Tbwl, 0);
    thread.write_spr(Spr::Tbwu, 0);
    thread.write_spr(Spr::Tbwl, 0);
}

pub(crate) fn wait_off(thread: Thread<'_>, bit: Tfmr) {
    for _ in 0..1000 {
        if !tfmr(thread).intersects(bit) {
            return;
        }
        thread.relax();
    }
    panic!("{bit:?} stays on: {:?}", tfmr(thread));
}

pub(crate) fn wait_state(thread: Thread<'_>, state: TbState) {
    for _ in 0..1000 {
        if tfmr(thread).state() == state {
            return;
        }
        thread.relax();
    }
    panic!("{state:?} never came: {:?}", tfmr(thread));
}

/// CLEAR_TB_ERRORS with every error bit that it goes with, until it is done.
pub(crate) fn clear(thread: Thread<'_>) {
    let errors = Tfmr::TB_FATAL | Tfmr::TFAC_XFER_ERROR;
    write(thread, Tfmr::CLEAR_TB_ERRORS | errors);
    write(thread, Tfmr::CLEAR_TB_ERRORS);
    wait_off(thread, Tfmr::CLEAR_TB_ERRORS);
}

pub(crate) fn to_not_set(thread: Thread<'_>) {
    write(thread, Tfmr::LOAD_TOD_MOD);
    wait_off(thread, Tfmr::LOAD_TOD_MOD);
    assert_eq!(tfmr(thread).state(), TbState::NotSet);
}

/// From any state without errors to GET_TOD.
pub(crate) fn to_get_tod(thread: Thread<'_>) {
    to_not_set(thread);
    write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
    wait_state(thread, TbState::GetTod);
}

/// The value of TX_TTYPE_CTRL that aims at a core of its chip.
pub(crate) fn target(generation: Generation, core: u64) -> u64 {
    match generation {
        Generation::Power8 => (0x10 + core) << 32,
        Generation::Power9 => (0x20 + core) << 32,
        Generation::Power10 => {
            let address = (0x20 + core / 4) << 24 | 0x2_0000 | (8 >> (core % 4)) << 12 | 0x4a3;
            address << 32 | 0x1000_0000
        }
    }
}

/// The whole reload of the first core of chip 0.
pub(crate) fn reload(thread: Thread<'_>) {
    let generation = thread.machine().configuration().generation;
    to_not_set(thread);
    put(
        thread,
        0,
        TodRegister::TxTtypeControl,
        target(generation, 0),
    );
    write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
    wait_state(thread, TbState::GetTod);
    put(thread, 0, TodRegister::MoveTodToTb, 1 << 63);
    wait_off(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
}

/// Real address of a SCOM register, section 3.1.
pub(crate) fn address(machine: &Machine, chip: usize, scom: u32) -> u64 {
    let configuration = machine.configuration();
    let scom = u64::from(scom);
    let offset = match configuration.generation {
        Generation::Power8 => (scom << 4 & !0xff) | (scom << 3 & 0x78),
        _ => scom << 3,
    };
    configuration.xscom_base(chip) | offset
}

/// Polls for DONE and gives the status.
pub(crate) fn finish(thread: Thread<'_>) -> Result<(), u8> {
    while !hmer(thread).contains(Hmer::XSCOM_DONE) {}
    let hmer = hmer(thread);
    if hmer.contains(Hmer::XSCOM_FAIL) {
        Err(hmer.xscom_status())
    } else {
        Ok(())
    }
}

pub(crate) fn put_raw(thread: Thread<'_>, chip: usize, scom: u32, value: u64) -> Result<(), u8> {
    thread.write_spr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits());
    thread.store(address(thread.machine(), chip, scom), value);
    finish(thread)
}

pub(crate) fn get_raw(thread: Thread<'_>, chip: usize, scom: u32) -> Result<u64, u8> {
    thread.write_spr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits());
    let value = thread.load(address(thread.machine(), chip, scom));
    finish(thread).map(|()| value)
}

pub(crate) fn put(thread: Thread<'_>, chip: usize, register: TodRegister, value: u64) {
    put_raw(thread, chip, register.address(), value).expect("a good access");
}

pub(crate) fn get(thread: Thread<'_>, chip: usize, register: TodRegister) -> u64 {
    get_raw(thread, chip, register.address()).expect("a good access")
}

/// Whether FSM bit 4 of a chip's TOD is on.
pub(crate) fn running(machine: &Machine, chip: usize) -> bool {
    machine.peek_scom(chip, TodRegister::Fsm.address()).unwrap() & FSM_RUNNING != 0
}

/// Long enough for a TOD to start or stop.
pub(crate) fn settle(machine: &Machine) {
    machine.tick(2 * SYNC_TICKS);
}

/// Fails every access from now on.
pub(crate) fn all(answer: hardware_model::XscomAnswer) -> XscomFault {
    XscomFault::new(answer)
}

#[track_caller]
pub(crate) fn assert_rules_kept(machine: &Machine) {
    assert_eq!(machine.violations(), []);
}

#[track_caller]
pub(crate) fn assert_broken(machine: &Machine, rule: &str) {
    let violations = machine.violations();
    assert!(
        violations
            .iter()
            .any(|violation| violation.rule.contains(rule)),
        "{violations:?}"
    );
}
