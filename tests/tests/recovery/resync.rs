//! OPAL_RESYNC_TIMEBASE.

use super::*;
use opaline_firmware::timebase;
use opaline_tests::ModelHardware;
use power_registers::TbState;
use power_registers::chip_tod::TodError;

/// From RUNNING, with TB moved by a deep stop state.
#[test]
fn a_wrong_timebase_is_right_again() {
    for generation in GENERATIONS {
        let bench = bench(generation, 1, 2, 2);
        let system = bench.booted_system();
        for thread in 2..4 {
            bench.machine.inject(&Fault::Timebase {
                thread,
                value: 0x1234,
            });
        }
        timebase::resync(&mut bench.hardware(3), &system).expect("a running TOD");
        bench.assert_core_good(0);
        bench.assert_core_good(1);
        bench.assert_rules_kept();
    }
}

/// A TB that ran ahead, as it may after a deep stop, comes back to the machine's time.
#[test]
fn a_timebase_that_is_ahead_comes_back() {
    for generation in GENERATIONS {
        let bench = bench(generation, 1, 1, 2);
        let system = bench.booted_system();
        let value = bench.machine.true_time() + (1 << 30);
        for thread in 0..2 {
            bench.machine.inject(&Fault::Timebase { thread, value });
        }
        timebase::resync(&mut bench.hardware(0), &system).expect("a running TOD");
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
}

/// From errors and stuck commands; thread 1 scrubs nothing, so only errors without dirty TB.
#[test]
fn resync_from_any_state() {
    for generation in GENERATIONS {
        for error in [
            CoreError::MissingStep,
            CoreError::FirmwareControl,
            CoreError::NoReason,
            CoreError::StuckMove,
        ] {
            let bench = bench(generation, 1, 1, 2);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, error));
            timebase::resync(&mut bench.hardware(0), &system).expect("a running TOD");
            assert_eq!(bench.machine.tfmr(0).state(), TbState::Running, "{error:?}");
            (0..2).for_each(|thread| bench.assert_time(thread));
            bench.assert_rules_kept();
        }
    }
}

/// With a dead TOD it fails at once and leaves no command behind.
#[test]
fn a_dead_tod_fails_fast() {
    for generation in GENERATIONS {
        let bench = bench(generation, 1, 1, 2);
        let system = bench.booted_system();
        let bits = TodError::I_PATH_SYNC_CHECK.bits();
        bench.machine.inject(&Fault::Tod { chip: 0, bits });
        let before = bench.machine.now();
        let result = timebase::resync(&mut bench.hardware(0), &system);
        assert!(result.is_err());
        let left = bench.machine.tfmr(0) & Tfmr::COMMANDS;
        assert!(left.is_empty(), "{left:?}");
        let ticks = bench.machine.now() - before;
        assert!(ticks < 10 * 512_000, "{ticks} ticks are more than 10 ms");
        bench.assert_rules_kept();
    }
}

/// Resync of one core while another recovers: they take turns.
#[test]
fn resync_beside_a_recovery() {
    for _ in 0..20 {
        let bench = bench(Generation::Power9, 1, 2, 2);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(1, CoreError::TbResidue));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Not alone: the others need the processor while it waits.
                let mut hardware = ModelHardware::new(bench.machine.thread(0), None);
                for _ in 0..5 {
                    timebase::resync(&mut hardware, &system).expect("a running TOD");
                }
            });
            let ran = bench.run(&system, Schedule::Free).go();
            assert!(
                ran.events.iter().all(|event| event.recovered),
                "{:#x?}",
                ran.events
            );
        });
        (0..2).for_each(|core| bench.assert_core_good(core));
        bench.assert_rules_kept();
    }
}
