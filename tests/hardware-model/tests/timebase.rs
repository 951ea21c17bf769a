//! TB itself: sections 2.3 and 12.1.8, 12.1.11.

mod common;
use common::*;
use hardware_model::{Configuration, CoreError, Fault, Generation, Machine, SYNC_TICKS, Start};
use power_registers::{Hmer, Spr, TbState, Tfmr};

/// 12.1.8: TB counts in RUNNING only; 12.1.11: time advances with each access.
#[test]
fn the_timebase_stands_outside_running() {
    for generation in GENERATIONS {
        let machine = machine(generation, 1, 1, 2);
        let thread = machine.thread(1);
        // Until it has used the time that thread 0 took.
        (0..64).for_each(|_| _ = thread.read_spr(Spr::Tb));
        let first = thread.read_spr(Spr::Tb);
        let second = thread.read_spr(Spr::Tb);
        assert_eq!(second - first, machine.configuration().costs.spr, "12.1.11");
        fail(&machine, CoreError::MissingStep);
        let stands = thread.read_spr(Spr::Tb);
        machine.tick(SYNC_TICKS * 9);
        assert_eq!(thread.read_spr(Spr::Tb), stands, "12.1.8: frozen");
        clear(thread);
        to_get_tod(thread);
        assert_eq!(
            thread.read_spr(Spr::Tb),
            stands,
            "12.1.8: 0, 2, 6 and 7 too"
        );
    }
}

/// Threads run beside one another: what several do at once takes the time of one.
#[test]
fn threads_that_wait_together_wait_for_the_time_of_one() {
    let machine = machine(Generation::Power9, 1, 1, 4);
    let together = || (0..4).for_each(|thread| machine.thread(thread).relax());
    (0..20).for_each(|_| together());
    let before = machine.now();
    (0..100).for_each(|_| together());
    let spins = (machine.now() - before) / machine.configuration().costs.relax;
    assert_eq!(spins, 100);
    // Who did nothing meanwhile has not saved it.
    let before = machine.now();
    (0..100).for_each(|_| machine.thread(0).relax());
    (0..100).for_each(|_| machine.thread(1).relax());
    let spins = (machine.now() - before) / machine.configuration().costs.relax;
    assert!((180..=200).contains(&spins), "{spins}");
}

/// 12.1.11: a wait on a dead TB trips the watchdog.
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

/// 12.1.8 and 2.3: mttbl breaks a running TB; mttbu and mttbu40 do not.
#[test]
fn only_the_lower_half_breaks_a_running_timebase() {
    both(Generation::Power9, 1, 4, |machine| {
        let thread = machine.thread(1);
        thread.write_spr(Spr::Tbwu, 7);
        thread.write_spr(Spr::Tbu40, 0x0000_0009_ff00_0000);
        assert_eq!(
            tfmr(thread).state(),
            TbState::Running,
            "2.3: 8, mttbu and mttbu40"
        );
        assert_eq!(machine.timebase(1) >> 24, 0x9ff);
        assert_rules_kept(machine);
        thread.write_spr(Spr::Tbwl, 0);
        assert_eq!(tfmr(thread).state(), TbState::Error, "12.1.8");
        assert!(machine.hmer(0).contains(Hmer::TFAC_ERROR));
        assert_broken(machine, "mttbl");
    });
}

/// 12.1.1: each thread has its TB on POWER9 and POWER10; a reload rewrites all of them.
#[test]
fn the_reload_brings_the_tod_into_every_copy() {
    for generation in GENERATIONS {
        both(generation, 1, 4, |machine| {
            for (thread, value) in [(0, 5), (3, u64::MAX)] {
                machine.inject(&Fault::Timebase { thread, value });
            }
            fail(machine, CoreError::TbResidue);
            (0..4).for_each(|number| scrub(machine.thread(number)));
            clear(machine.thread(2));
            reload(machine.thread(1));
            for number in 0..4 {
                assert_eq!(machine.timebase(number), machine.true_time());
            }
            assert_rules_kept(machine);
        });
    }
}

/// 2.5: what has a wrong residue cannot be trusted; every copy differs from the truth.
#[test]
fn residue_damages_the_value() {
    let machine = machine(Generation::Power9, 1, 1, 4);
    let before = machine.true_time();
    fail(&machine, CoreError::TbResidue);
    for thread in 0..4 {
        assert_ne!(machine.timebase(thread), before, "thread {thread}");
    }
}

/// Start::Reset: nothing runs, and nothing is enabled.
#[test]
fn reset_is_inert() {
    let mut configuration = Configuration::new(Generation::Power10, 1, 1, 1);
    configuration.start = Start::Reset;
    let machine = Machine::new(configuration);
    let thread = machine.thread(0);
    assert_eq!(tfmr(thread), Tfmr::TB_ECLIPZ, "2.1: 14 reads as 1");
    let time = thread.read_spr(Spr::Tb);
    machine.tick(SYNC_TICKS * 4);
    assert_eq!(thread.read_spr(Spr::Tb), time);
    assert_eq!(machine.lock().hmeer(0), Hmer::empty());
}

/// 2.2: the control field that the earlier firmware leaves is not the base value.
#[test]
fn the_earlier_firmware_leaves_another_control_field() {
    let mut configuration = Configuration::new(Generation::Power9, 1, 1, 1);
    configuration.start = Start::EarlyFirmware;
    let machine = Machine::new(configuration);
    let control = tfmr(machine.thread(0)) & Tfmr::CONTROL;
    assert_eq!(control.bits(), 0xffd2_0000_0000_0000, "6.3");
    write(machine.thread(0), Tfmr::empty());
    assert_rules_kept(&machine);
}
