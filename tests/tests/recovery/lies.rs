//! TODs whose value is wrong although nothing reported it: refused where the machine can tell, and no
//! true value is ever refused.

use super::*;
use opal_abi::hmi_flags::{NEW_EVENT, TB_RESYNC, TOD_TB_FAIL};
use opaline_firmware::system::System;
use opaline_firmware::timebase;
use opaline_tests::Ran;
use power_registers::chip_tod::TodError;

const MILLISECOND: u64 = 512_000;
const SECOND: u64 = 1000 * MILLISECOND;

fn shift(bench: &Bench, chip: usize, by: i64) {
    let value = bench.machine.tod_time(chip).wrapping_add_signed(by);
    bench.machine.inject(&Fault::TodTime { chip, value });
}

fn note_all(bench: &Bench, system: &System<'_>) {
    for thread in 0..bench.machine.configuration().threads() {
        system.note_timebase(&mut bench.hardware(thread));
    }
}

/// A machine whose threads know the time. It is two hours old: there is room for lies below.
fn machine(generation: Generation, chips: usize, cores: usize) -> Bench {
    let mut configuration = Configuration::new(generation, chips, cores, 2);
    configuration.epoch += 7200 * SECOND;
    Bench::new(configuration)
}

/// Every size of lie that one wrong bit makes, from 33 ms to the largest.
fn lies() -> impl Iterator<Item = i64> {
    (24..60)
        .step_by(5)
        .chain([24, 29, 40, 59])
        .map(|bit| 1 << bit)
}

#[track_caller]
fn assert_all_true(bench: &Bench, ran: &Ran, cores: std::ops::Range<usize>) {
    assert!(
        ran.events.iter().all(|event| event.recovered),
        "{:#x?}",
        ran.events
    );
    for core in cores {
        bench.assert_core_good(core);
        let first = core * bench.machine.configuration().threads_per_core;
        assert_eq!(ran.flags(first) & !NEW_EVENT, TB_RESYNC);
    }
    bench.assert_hmer_clean(ran);
    bench.assert_rules_kept();
}

/// The TOD of the chip whose core lost TB lies, up or down: another chip's time is taken, and the TOD
/// gets it, too. The liar is the slave, or the master itself.
#[test]
fn a_lie_about_time_is_refused_beside_a_chip_that_knows() {
    for generation in GENERATIONS {
        for (chip, up) in [(0, true), (1, true), (0, false), (1, false)] {
            for lie in lies().filter(|lie| up || *lie < 4096 * SECOND as i64) {
                let bench = machine(generation, 2, 1);
                let system = bench.booted_system();
                note_all(&bench, &system);
                shift(&bench, chip, if up { lie } else { -lie });
                bench
                    .machine
                    .inject(&core_fault(chip, CoreError::MissingStep));
                let ran = bench.run(&system, Schedule::Seeded(lie as u64)).go();
                assert_all_true(&bench, &ran, chip..chip + 1);
                assert_eq!(bench.machine.tod_time(chip), bench.machine.true_time());
                assert_eq!(system.chip_tod.counters.refused(), 1, "{lie:#x} {up}");
            }
        }
    }
}

/// The same where TB was damaged, so that only the youngest good TB says what to expect.
#[test]
fn a_lie_is_refused_when_the_lost_timebase_says_nothing() {
    for generation in GENERATIONS {
        for lie in lies() {
            let bench = machine(generation, 2, 1);
            let system = bench.booted_system();
            note_all(&bench, &system);
            shift(&bench, 1, lie);
            bench.machine.inject(&core_fault(1, CoreError::TbResidue));
            let ran = bench.run(&system, Schedule::Seeded(7)).go();
            assert_all_true(&bench, &ran, 1..2);
            assert_eq!(system.chip_tod.counters.refused(), 1);
        }
    }
}

/// A slave is to restart with the time of a master that lies. A third chip contradicts; but the
/// master answers before it, whoever is asked. So it fails and that is said; nobody's TOD is moved.
#[test]
fn a_lie_does_not_spread_past_a_third_chip() {
    for generation in GENERATIONS {
        // A smaller one could be a late interrupt: the witness must be nearer than that.
        for lie in lies().filter(|lie| *lie > SECOND as i64) {
            let bench = machine(generation, 3, 1);
            let system = bench.booted_system();
            note_all(&bench, &system);
            shift(&bench, 0, lie);
            let bits = TodError::I_PATH_SYNC_CHECK.bits();
            bench.machine.inject(&Fault::Tod { chip: 1, bits });
            let ran = bench.run(&system, Schedule::Seeded(3)).go();
            assert!(ran.events.iter().any(|event| !event.recovered));
            for thread in 2..4 {
                assert_ne!(ran.flags(thread) & TOD_TB_FAIL, 0);
                assert!(!bench.machine.tfmr(thread).tb_usable());
            }
            assert_eq!(bench.machine.tod_time(2), bench.machine.true_time());
            assert_eq!(system.chip_tod.counters.rebuilds(), 0);
            // The cores of the master find out that it lies: then the next try works.
            let poll = || (0..3).for_each(|core| system.watch_tod(&mut bench.hardware(2 * core)));
            poll();
            bench.machine.tick(2 * SECOND);
            poll();
            bench.machine.inject(&Fault::Hmer {
                threads: vec![2, 3],
                bits: Hmer::TFAC_ERROR.bits(),
            });
            let ran = bench.run(&system, Schedule::Seeded(4)).go();
            assert_all_true(&bench, &ran, 1..2);
        }
    }
}

/// The other chip knows, but cannot be reached when its time is to be taken: TB is not left with the
/// lie, and that is said.
#[test]
fn a_refused_value_without_another_source_is_a_failure() {
    use hardware_model::{XscomAnswer, XscomFault};
    for generation in GENERATIONS {
        let bench = machine(generation, 2, 1);
        let system = bench.booted_system();
        note_all(&bench, &system);
        shift(&bench, 1, 1 << 40);
        for register in [TodRegister::TxTtype3, TodRegister::LoadTod] {
            bench.machine.inject_xscom(XscomFault {
                address: Some(register.address()),
                ..XscomFault::new(XscomAnswer::Status(5))
            });
        }
        bench.machine.inject(&core_fault(1, CoreError::MissingStep));
        let ran = bench.run(&system, Schedule::Seeded(5)).go();
        assert!(ran.events.iter().any(|event| !event.recovered));
        for thread in 2..4 {
            assert_ne!(ran.flags(thread) & TOD_TB_FAIL, 0);
            assert!(!bench.machine.tfmr(thread).tb_usable());
        }
        bench.assert_rules_kept();
    }
}

/// TB stood for long, because the core slept or the interrupt came late: the true value is far ahead
/// of the last good one, and it is taken; on one chip, on several, and where another chip lies.
#[test]
fn a_true_value_is_never_refused() {
    let lies = [
        0,
        1 << 26,
        1 << 31,
        -(1 << 26),
        -(1 << 31),
        -(1 << 33),
        1 << 45,
    ];
    let slept = [
        MILLISECOND,
        11 * MILLISECOND,
        90 * MILLISECOND,
        700 * MILLISECOND,
    ]
    .into_iter()
    .chain([3 * SECOND, 60 * SECOND, 20_000 * SECOND]);
    for (time, chips) in slept.flat_map(|time| [1, 2, 3].map(|chips| (time, chips))) {
        for (lie, resync) in lies.iter().flat_map(|lie| [(*lie, false), (*lie, true)]) {
            let bench = machine(Generation::Power9, chips, 1);
            let system = bench.booted_system();
            note_all(&bench, &system);
            let fault = core_fault(0, CoreError::NoReason);
            let fault = match bench.machine.lock().inject(&fault) {
                Ok(()) => None,
                Err(_) => Some(core_fault(0, CoreError::MissingStep)),
            };
            if let Some(fault) = fault {
                bench.machine.inject(&fault);
            }
            bench.machine.tick(time);
            if chips > 1 {
                shift(&bench, 1, lie);
            }
            if resync {
                timebase::resync(&mut bench.hardware(0), &system).expect("a running TOD");
                bench.assert_time(0);
            } else {
                let ran = bench.run(&system, Schedule::Seeded(2)).go();
                assert_all_true(&bench, &ran, 0..1);
            }
            let refused = system.chip_tod.counters.refused();
            assert_eq!(refused, 0, "{time} ticks, {chips} chips, {lie:#x}");
            bench.assert_rules_kept();
        }
    }
}

/// RESYNC takes another chip's time, too; no HMI would repair a TOD that lies.
#[test]
fn resync_refuses_a_lie() {
    for generation in GENERATIONS {
        for lie in lies() {
            let bench = machine(generation, 2, 1);
            let system = bench.booted_system();
            note_all(&bench, &system);
            shift(&bench, 1, lie);
            timebase::resync(&mut bench.hardware(2), &system).expect("chip 0 knows");
            bench.assert_core_good(1);
            assert_eq!(bench.machine.tod_time(1), bench.machine.true_time());
            bench.assert_rules_kept();
        }
    }
}

/// The watch: cores whose TB runs find out, on a single chip, too, before any core needs the TOD.
#[test]
fn cores_that_poll_find_a_lie_before_it_is_loaded() {
    for generation in GENERATIONS {
        for (chips, cores) in [(1, 2), (2, 1), (2, 2)] {
            for lie in lies().flat_map(|lie| [lie, -lie / 4096]) {
                let bench = machine(generation, chips, cores);
                let system = bench.booted_system();
                let poll = || {
                    for core in 0..chips * cores {
                        system.watch_tod(&mut bench.hardware(2 * core));
                    }
                };
                poll();
                shift(&bench, 0, lie);
                bench.machine.tick(2 * SECOND);
                poll();
                // A TOD that was loaded starts with the next sync.
                bench.machine.tick(MILLISECOND);
                for chip in 0..chips {
                    let (tod, truth) = (bench.machine.tod_time(chip), bench.machine.true_time());
                    let small = lie.unsigned_abs() <= MILLISECOND;
                    assert!(
                        small || tod == truth,
                        "{chip}: {tod:#x} {truth:#x} {lie:#x}"
                    );
                }
                (0..2 * chips * cores).for_each(|thread| bench.assert_time(thread));
                bench.assert_rules_kept();
            }
        }
    }
}

/// One core whose own TB is wrong does not move the TOD, and a core alone moves nothing.
#[test]
fn a_core_alone_does_not_overrule_the_tod() {
    for generation in GENERATIONS {
        for cores in [1, 2] {
            let bench = machine(generation, 1, cores);
            let system = bench.booted_system();
            let poll = |core: usize| system.watch_tod(&mut bench.hardware(2 * core));
            (0..cores).for_each(poll);
            for thread in 0..2 {
                let value = bench.machine.true_time() + (1 << 34);
                bench.machine.inject(&Fault::Timebase { thread, value });
            }
            for _ in 0..4 {
                bench.machine.tick(2 * SECOND);
                (0..cores).for_each(poll);
                assert_eq!(bench.machine.tod_time(0), bench.machine.true_time());
            }
            assert_eq!(system.chip_tod.counters.refused(), 0);
            bench.assert_rules_kept();
        }
    }
}

/// TB is damaged and stops while the TOD is set by it: at each access of the repair. What it shows
/// then is nobody's time.
#[test]
fn a_timebase_that_stops_meanwhile_does_not_set_the_tod() {
    for generation in GENERATIONS {
        for chips in [1, 2] {
            for after in 0..300 {
                let bench = machine(generation, chips, 1);
                let system = bench.booted_system();
                note_all(&bench, &system);
                let bits = 1 << (63 - 27);
                bench.machine.inject(&Fault::Tod { chip: 0, bits });
                let residue = core_fault(0, CoreError::TbResidue);
                bench.machine.inject_after(after, residue);
                let ran = bench.run(&system, Schedule::Seeded(after)).go();
                for thread in 0..bench.machine.configuration().threads() {
                    let (timebase, truth) =
                        (bench.machine.timebase(thread), bench.machine.true_time());
                    let tfmr = bench.machine.tfmr(thread);
                    let told = ran.outcomes[thread]
                        .last()
                        .is_some_and(|outcome| outcome.flags & TOD_TB_FAIL != 0);
                    let near = timebase.abs_diff(truth) < SECOND;
                    let context = format!("{generation:?} {after}: {timebase:#x} {truth:#x}");
                    assert!(told || tfmr.tb_usable() && near, "{context} {tfmr:?}");
                }
                let tod = bench.machine.tod_time(0);
                assert!(tod.abs_diff(bench.machine.true_time()) < SECOND, "{after}");
                bench.assert_rules_kept();
            }
        }
    }
}
