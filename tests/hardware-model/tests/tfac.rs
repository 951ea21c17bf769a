//! The rules of the timer facility, one test each.

use hardware_model::{
    Configuration, CoreError, Fault, Generation, Machine, SYNC_TICKS, Start, Thread, ThreadError,
    TimebaseCopies,
};
use power_registers::{Hmer, Spr, TbState, Tfmr};

fn power9() -> Machine {
    Machine::new(Configuration::new(Generation::Power9, 1, 1, 4))
}

fn base(machine: &Machine) -> u64 {
    machine.configuration().base()
}

fn tfmr(thread: Thread<'_>) -> Tfmr {
    Tfmr::from_bits_retain(thread.read_spr(Spr::Tfmr))
}

/// Long enough to have seen an error that came by itself.
fn look_long(thread: Thread<'_>) {
    for _ in 0..20 {
        let _ = tfmr(thread);
    }
}

fn write(thread: Thread<'_>, bits: Tfmr) {
    thread.write_spr(Spr::Tfmr, base(thread.machine()) | bits.bits());
}

fn fail(machine: &Machine, error: CoreError) {
    machine.inject(&Fault::Core { core: 0, error });
}

fn scrub(thread: Thread<'_>) {
    thread.write_spr(Spr::Tbwl, 0);
    thread.write_spr(Spr::Tbwu, 0);
    thread.write_spr(Spr::Tbwl, 0);
}

/// Clears twice and waits until the command is done.
fn clear(thread: Thread<'_>) {
    write(
        thread,
        Tfmr::CLEAR_TB_ERRORS | Tfmr::BOOT_CLEAR | Tfmr::FW_CONTROL_ERROR,
    );
    write(thread, Tfmr::CLEAR_TB_ERRORS);
    wait_off(thread, Tfmr::CLEAR_TB_ERRORS);
}

fn wait_off(thread: Thread<'_>, bit: Tfmr) {
    while tfmr(thread).intersects(bit) {
        thread.relax();
    }
}

fn wait_state(thread: Thread<'_>, state: TbState) {
    for _ in 0..1000 {
        if tfmr(thread).state() == state {
            return;
        }
        thread.relax();
    }
    panic!("{state:?} never came: {:?}", tfmr(thread));
}

fn to_not_set(thread: Thread<'_>) {
    write(thread, Tfmr::LOAD_TOD_MOD);
    wait_off(thread, Tfmr::LOAD_TOD_MOD);
    assert_eq!(tfmr(thread).state(), TbState::NotSet);
}

/// One XSCOM write with its whole protocol, POWER9.
fn scom_write(thread: Thread<'_>, address: u64, value: u64) {
    thread.write_spr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits());
    let base = thread.machine().configuration().xscom_base(0);
    thread.store(base + (address << 3), value);
    while thread.read_spr(Spr::Hmer) & Hmer::XSCOM_DONE.bits() == 0 {}
    assert_eq!(thread.read_spr(Spr::Hmer) & Hmer::XSCOM_FAIL.bits(), 0);
}

fn reload(thread: Thread<'_>) {
    to_not_set(thread);
    scom_write(thread, 0x40027, 0x20 << 32);
    write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
    wait_state(thread, TbState::GetTod);
    scom_write(thread, 0x40017, 1 << 63);
    wait_off(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
}

#[track_caller]
fn assert_rules_kept(machine: &Machine) {
    assert_eq!(machine.violations(), []);
}

#[track_caller]
fn assert_broken(machine: &Machine, rule: &str) {
    let violations = machine.violations();
    assert!(
        violations
            .iter()
            .any(|violation| violation.rule.contains(rule)),
        "{violations:?}"
    );
}

/// The healthy value decodes as the field samples do.
#[test]
fn healthy_tfmr_reads_as_in_the_field() {
    let machine = power9();
    machine.thread(0).relax();
    machine.tick(SYNC_TICKS);
    assert_eq!(machine.thread(0).read_spr(Spr::Tfmr), 0x2e12_0008_70e0_4000);
}

/// One dirty TB copy at the time of clearing latches the residue again.
#[test]
fn residue_latches_again_until_every_thread_scrubbed() {
    let machine = power9();
    fail(&machine, CoreError::TbResidue);
    for number in 0..4 {
        assert!(machine.hmer(number).contains(Hmer::TFAC_ERROR));
    }
    for number in 0..3 {
        scrub(machine.thread(number));
    }
    clear(machine.thread(0));
    assert_eq!(tfmr(machine.thread(0)).state(), TbState::Error);
    assert!(tfmr(machine.thread(0)).contains(Tfmr::TB_RESIDUE_ERROR));
    scrub(machine.thread(3));
    clear(machine.thread(0));
    assert_eq!(tfmr(machine.thread(0)).state(), TbState::Reset);
    assert!(!tfmr(machine.thread(0)).contains(Tfmr::TB_RESIDUE_ERROR));
    assert_rules_kept(&machine);
}

/// A scrub that never writes the lower half leaves the copy dirty.
#[test]
fn both_halves_must_be_written() {
    let machine = Machine::new(Configuration::new(Generation::Power9, 1, 1, 1));
    fail(&machine, CoreError::TbResidue);
    machine.thread(0).write_spr(Spr::Tbwu, 0);
    machine.thread(0).write_spr(Spr::Tbwu, 0);
    clear(machine.thread(0));
    assert_eq!(tfmr(machine.thread(0)).state(), TbState::Error);
}

/// On POWER8 one thread of each sub-core is enough, and a missed sub-core is seen.
#[test]
fn sub_cores_share_a_copy() {
    for sub_cores in [1, 2, 4] {
        let mut configuration = Configuration::new(Generation::Power8, 1, 1, 8);
        configuration.copies = TimebaseCopies::SubCores(sub_cores);
        let machine = Machine::new(configuration);
        fail(&machine, CoreError::TbResidue);
        for sub_core in 1..sub_cores {
            scrub(machine.thread(sub_core * 8 / sub_cores));
        }
        clear(machine.thread(0));
        assert_eq!(
            tfmr(machine.thread(0)).state(),
            TbState::Error,
            "{sub_cores}"
        );
        scrub(machine.thread(7 / sub_cores));
        clear(machine.thread(0));
        assert_eq!(
            tfmr(machine.thread(0)).state(),
            TbState::Reset,
            "{sub_cores}"
        );
    }
}

/// The whole way back to RUNNING, and TB is the TOD's time.
#[test]
fn the_reload_brings_the_tod_into_every_copy() {
    let machine = power9();
    fail(&machine, CoreError::TbResidue);
    for number in 0..4 {
        scrub(machine.thread(number));
    }
    clear(machine.thread(0));
    reload(machine.thread(0));
    assert_eq!(tfmr(machine.thread(0)).state(), TbState::Running);
    for number in 0..4 {
        assert_eq!(machine.timebase(number), machine.true_time());
    }
    assert_rules_kept(&machine);
}

/// TB stands outside RUNNING; a wait on it trips the watchdog.
#[test]
#[should_panic(expected = "watchdog")]
fn a_wait_on_a_dead_timebase_trips_the_watchdog() {
    let mut configuration = Configuration::new(Generation::Power9, 1, 1, 1);
    configuration.watchdog = 10_000;
    let machine = Machine::new(configuration);
    fail(&machine, CoreError::MissingStep);
    let thread = machine.thread(0);
    let start = thread.read_spr(Spr::Tb);
    while thread.read_spr(Spr::Tb) == start {}
}

/// mttbl breaks a running TB; mttbu and mttbu40 do not.
#[test]
fn only_the_lower_half_breaks_a_running_timebase() {
    let machine = power9();
    let thread = machine.thread(1);
    thread.write_spr(Spr::Tbwu, 7);
    thread.write_spr(Spr::Tbu40, 0x0000_0009_ff00_0000);
    assert_eq!(tfmr(thread).state(), TbState::Running);
    assert_eq!(machine.timebase(1) >> 24, 0x9ff);
    assert_rules_kept(&machine);
    thread.write_spr(Spr::Tbwl, 0);
    assert_eq!(tfmr(thread).state(), TbState::Error);
    assert!(machine.hmer(0).contains(Hmer::TFAC_ERROR));
    assert_broken(&machine, "mttbl");
}

/// MOVE is legal in NOT_SET only.
#[test]
fn move_outside_not_set_is_a_control_error() {
    let machine = power9();
    let thread = machine.thread(0);
    let _ = tfmr(thread);
    write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
    let value = tfmr(thread);
    assert_eq!(value.state(), TbState::Error);
    assert!(value.contains(Tfmr::FW_CONTROL_ERROR | Tfmr::MOVE_CHIP_TOD_TO_TB));
    assert_broken(&machine, "MOVE_CHIP_TOD_TO_TB outside NOT_SET");
}

/// LOAD_TOD_MOD in ERROR stays on and helps nothing (seen in the field).
#[test]
fn load_tod_mod_sticks_in_error() {
    let machine = power9();
    let thread = machine.thread(0);
    fail(&machine, CoreError::MissingStep);
    look_long(thread);
    write(thread, Tfmr::LOAD_TOD_MOD);
    for _ in 0..100 {
        thread.relax();
    }
    assert_eq!(tfmr(thread).state(), TbState::Error);
    assert!(tfmr(thread).contains(Tfmr::LOAD_TOD_MOD));
    assert_broken(&machine, "LOAD_TOD_MOD in state ERROR");
}

/// Bits 16 and 18 together are the error that software can cause, for all threads.
#[test]
fn both_commands_at_once_are_a_control_error() {
    let machine = power9();
    write(
        machine.thread(2),
        Tfmr::LOAD_TOD_MOD | Tfmr::MOVE_CHIP_TOD_TO_TB,
    );
    let value = tfmr(machine.thread(0));
    assert_eq!(
        (value.state(), value.last_state()),
        (TbState::Error, TbState::Running)
    );
    assert!(value.contains(Tfmr::FW_CONTROL_ERROR));
    assert!((0..4).all(|number| machine.hmi_pending(number)));
    assert_rules_kept(&machine);
}

/// A write without the base field is found.
#[test]
fn a_write_without_base_is_a_violation() {
    let machine = power9();
    machine
        .thread(0)
        .write_spr(Spr::Tfmr, Tfmr::DEC_PARITY.bits());
    assert_broken(&machine, "bit 14");
    let machine = power9();
    machine
        .thread(0)
        .write_spr(Spr::Tfmr, Tfmr::TB_ECLIPZ.bits());
    assert_broken(&machine, "base control field");
}

/// Another thread's write must not drop a command in flight; one that names it may.
#[test]
fn a_command_in_flight_must_not_be_dropped() {
    for (extra, kept) in [(Tfmr::MOVE_CHIP_TOD_TO_TB, true), (Tfmr::empty(), false)] {
        let machine = power9();
        let leader = machine.thread(0);
        to_not_set(leader);
        write(leader, Tfmr::MOVE_CHIP_TOD_TO_TB);
        write(machine.thread(1), Tfmr::DEC_PARITY | extra);
        if kept {
            assert!(tfmr(leader).contains(Tfmr::MOVE_CHIP_TOD_TO_TB));
            assert_rules_kept(&machine);
        } else {
            assert_eq!(tfmr(leader).state(), TbState::Error);
            assert_broken(&machine, "dropped a command in flight");
        }
    }
}

/// A stuck MOVE is flushed by CLEAR, written twice.
#[test]
fn clear_flushes_a_stuck_move() {
    let machine = power9();
    fail(&machine, CoreError::StuckMove);
    let thread = machine.thread(0);
    let value = tfmr(thread);
    assert_eq!(
        (value.state(), value.last_state()),
        (TbState::GetTod, TbState::SyncWait)
    );
    assert!(value.contains(Tfmr::MOVE_CHIP_TOD_TO_TB));
    clear(thread);
    assert_eq!(tfmr(thread).state(), TbState::Reset);
    reload(thread);
    assert_eq!(machine.timebase(0), machine.true_time());
    assert_rules_kept(&machine);
}

/// CLEAR needs its second write, with no other write between.
#[test]
fn clear_needs_two_writes_in_a_row() {
    let machine = power9();
    fail(&machine, CoreError::MissingStep);
    let thread = machine.thread(0);
    write(thread, Tfmr::CLEAR_TB_ERRORS | Tfmr::TB_MISSING_STEP);
    assert!(tfmr(thread).contains(Tfmr::CLEAR_TB_ERRORS));
    write(thread, Tfmr::empty());
    write(thread, Tfmr::CLEAR_TB_ERRORS);
    assert_eq!(tfmr(thread).state(), TbState::Error);
    write(thread, Tfmr::CLEAR_TB_ERRORS);
    assert_eq!(tfmr(thread).state(), TbState::Reset);
}

/// Without that option one write is enough, the second does no harm.
#[test]
fn one_write_is_enough_with_the_option_off() {
    let mut configuration = Configuration::new(Generation::Power9, 1, 1, 1);
    configuration.write_twice = false;
    let machine = Machine::new(configuration);
    fail(&machine, CoreError::MissingStep);
    write(
        machine.thread(0),
        Tfmr::CLEAR_TB_ERRORS | Tfmr::TB_MISSING_STEP,
    );
    assert_eq!(tfmr(machine.thread(0)).state(), TbState::Reset);
    clear(machine.thread(0));
    assert_eq!(tfmr(machine.thread(0)).state(), TbState::Reset);
    assert_rules_kept(&machine);
}

/// A command must wait until CLEAR reads 0.
#[test]
fn a_command_before_clear_is_done_fails() {
    let machine = power9();
    fail(&machine, CoreError::MissingStep);
    let thread = machine.thread(0);
    write(thread, Tfmr::CLEAR_TB_ERRORS | Tfmr::TB_MISSING_STEP);
    write(thread, Tfmr::CLEAR_TB_ERRORS);
    write(thread, Tfmr::LOAD_TOD_MOD);
    assert_broken(&machine, "CLEAR_TB_ERRORS is not done");
    assert_eq!(tfmr(thread).state(), TbState::Error);
}

/// HDEC parity stays until every HDEC copy was rewritten; TB runs on.
#[test]
fn hdec_parity_latches_again_until_every_thread_wrote_hdec() {
    let mut configuration = Configuration::new(Generation::Power9, 1, 1, 2);
    configuration.latched_errors = false;
    let machine = Machine::new(configuration);
    fail(&machine, CoreError::HdecParity);
    let thread = machine.thread(0);
    assert!(tfmr(thread).contains(Tfmr::HDEC_PARITY | Tfmr::TB_VALID));
    thread.write_spr(Spr::Hdec, 0);
    for _ in 0..2 {
        write(thread, Tfmr::HDEC_PARITY);
    }
    assert!(tfmr(thread).contains(Tfmr::HDEC_PARITY));
    machine.thread(1).write_spr(Spr::Hdec, 0);
    write(thread, Tfmr::HDEC_PARITY);
    assert!(
        tfmr(thread).contains(Tfmr::HDEC_PARITY),
        "one write is not enough"
    );
    write(thread, Tfmr::HDEC_PARITY);
    assert!(!tfmr(thread).contains(Tfmr::HDEC_PARITY));
    assert_rules_kept(&machine);
}

/// On POWER9 26 and 45 stay latched on threads other than 0; SPRC/SPRD tell the truth.
#[test]
fn latched_errors_of_power9() {
    let machine = power9();
    fail(&machine, CoreError::HdecParity);
    for number in 0..4 {
        machine.thread(number).write_spr(Spr::Hdec, 0);
    }
    for _ in 0..2 {
        write(machine.thread(0), Tfmr::HDEC_PARITY);
    }
    assert!(!tfmr(machine.thread(0)).contains(Tfmr::HDEC_PARITY));
    let secondary = machine.thread(2);
    assert!(tfmr(secondary).contains(Tfmr::HDEC_PARITY));
    for number in 0..4 {
        scom_write(secondary, 0x2001_0a80, (8 + number) << 3);
        secondary.write_spr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits());
        let window = machine.configuration().xscom_base(0);
        let truth = Tfmr::from_bits_retain(secondary.load(window + (0x2001_0a81 << 3)));
        while secondary.read_spr(Spr::Hmer) & Hmer::XSCOM_DONE.bits() == 0 {}
        assert!(!truth.contains(Tfmr::HDEC_PARITY));
        assert_eq!(truth.state(), TbState::Running);
    }
    assert_rules_kept(&machine);
}

/// Thread errors show on their thread only and need the rewrite and two writes.
#[test]
fn thread_errors_are_private() {
    let machine = power9();
    machine.inject(&Fault::Thread {
        thread: 2,
        error: ThreadError::DecParity,
    });
    for number in [0, 1, 3] {
        assert!(!tfmr(machine.thread(number)).contains(Tfmr::DEC_PARITY));
        assert!(!machine.hmi_pending(number));
    }
    let thread = machine.thread(2);
    assert!(machine.hmi_pending(2));
    for _ in 0..2 {
        write(thread, Tfmr::DEC_PARITY);
    }
    assert!(
        tfmr(thread).contains(Tfmr::DEC_PARITY),
        "DEC was not rewritten"
    );
    thread.write_spr(Spr::Dec, u64::MAX);
    write(thread, Tfmr::DEC_PARITY);
    assert!(
        tfmr(thread).contains(Tfmr::DEC_PARITY),
        "one write is not enough"
    );
    write(thread, Tfmr::DEC_PARITY);
    assert!(!tfmr(thread).contains(Tfmr::DEC_PARITY));
    assert_rules_kept(&machine);
}

/// A corrupt TFMR reads as seeded garbage, takes no command, and brings a second HMI.
#[test]
fn a_corrupt_tfmr_is_garbage_until_repaired() {
    let machine = power9();
    fail(&machine, CoreError::TfmrCorrupt { tb_survives: true });
    let thread = machine.thread(1);
    let (first, second) = (tfmr(thread), tfmr(machine.thread(3)));
    assert!(first.contains(Tfmr::TFMR_CORRUPT) && second.contains(Tfmr::TFMR_CORRUPT));
    assert_ne!(first, second);
    for number in 0..4 {
        machine
            .thread(number)
            .write_spr(Spr::Hmer, !Hmer::TIMER.bits());
    }
    for _ in 0..2 {
        assert!(tfmr(thread).contains(Tfmr::TFMR_CORRUPT));
        write(thread, Tfmr::TFMR_CORRUPT);
    }
    assert_eq!(tfmr(thread).state(), TbState::Running);
    assert!(!tfmr(thread).contains(Tfmr::TFMR_CORRUPT));
    assert!((0..4).all(|number| machine.hmer(number).contains(Hmer::TIMER)));
    assert_rules_kept(&machine);

    fail(&machine, CoreError::TfmrCorrupt { tb_survives: false });
    look_long(thread);
    write(thread, Tfmr::CLEAR_TB_ERRORS);
    assert_broken(&machine, "while TFMR is corrupt");
}

/// The POWER10 HMI that gives no reason.
#[test]
fn no_reason_has_no_error_bit() {
    let machine = Machine::new(Configuration::new(Generation::Power10, 1, 1, 4));
    fail(&machine, CoreError::NoReason);
    let value = tfmr(machine.thread(3));
    assert_eq!(value.state(), TbState::Error);
    assert!(!value.intersects(Tfmr::CORE_ERRORS | Tfmr::TB_VALID));
    assert!(machine.hmer(3).contains(Hmer::TFAC_ERROR));
}

/// `mtspr HMER` ANDs; HMEER gates the interrupt; bits 24:63 do not exist.
#[test]
fn hmer_is_write_and() {
    let machine = power9();
    let bits = Hmer::TFAC_ERROR | Hmer::PROC_RECV_DONE | Hmer::DEBUG_TRIGGER;
    machine.inject(&Fault::Hmer {
        threads: vec![1],
        bits: bits.bits() | 0xff,
    });
    let thread = machine.thread(1);
    assert_eq!(thread.read_spr(Spr::Hmer), bits.bits());
    thread.write_spr(Spr::Hmer, u64::MAX);
    assert_eq!(thread.read_spr(Spr::Hmer), bits.bits());
    thread.write_spr(Spr::Hmer, !(Hmer::TFAC_ERROR | Hmer::PROC_RECV_DONE).bits());
    assert_eq!(thread.read_spr(Spr::Hmer), Hmer::DEBUG_TRIGGER.bits());
    assert!(!machine.hmi_pending(1), "bit 17 is not enabled");
}

/// MASK_HMI suppresses the HMIs of the facility.
#[test]
fn mask_hmi_suppresses() {
    let machine = power9();
    write(machine.thread(0), Tfmr::MASK_HMI);
    fail(&machine, CoreError::MissingStep);
    assert_eq!(machine.hmer(0), Hmer::empty());
    assert_rules_kept(&machine);
}

/// A fault that strikes between a look and a command is not held against the software.
#[test]
fn a_race_with_the_hardware_is_no_violation() {
    let machine = power9();
    let thread = machine.thread(0);
    to_not_set(thread);
    machine.inject_after(
        1,
        Fault::Core {
            core: 0,
            error: CoreError::MissingSync,
        },
    );
    write(thread, Tfmr::MOVE_CHIP_TOD_TO_TB);
    assert_eq!(tfmr(thread).state(), TbState::Error);
    assert_rules_kept(&machine);
}

/// Start::Reset: nothing runs, and the first base write finds RESET.
#[test]
fn reset_is_inert() {
    let mut configuration = Configuration::new(Generation::Power10, 1, 1, 1);
    configuration.start = Start::Reset;
    let machine = Machine::new(configuration);
    let thread = machine.thread(0);
    assert_eq!(thread.read_spr(Spr::Tfmr), Tfmr::TB_ECLIPZ.bits());
    let time = thread.read_spr(Spr::Tb);
    machine.tick(SYNC_TICKS * 4);
    assert_eq!(thread.read_spr(Spr::Tb), time);
}
