//! Malfunction alerts: who finds out, how often it is told, and what happens when registers fail.
//!
//! HMI and ChipTOD specification, section 5.4; golden trace T12 of section 12.3.

use super::*;
use hardware_model::{XscomAnswer, XscomFault};
use opal_abi::hmi_event::Checkstop;
use opaline_tests::{Event, Ran, Role};
use power_registers::ibm;

fn alert_register(generation: Generation) -> u32 {
    match generation {
        Generation::Power8 => 0x0202_0011,
        Generation::Power9 | Generation::Power10 => 0x0009_0022,
    }
}

/// Runs until it is quiet; the threads of cores that stopped come no more.
fn run(bench: &Bench, system: &opaline_firmware::system::System<'_>, seed: u64) -> Ran {
    let configuration = bench.machine.configuration();
    let mut run = bench.run(system, Schedule::Seeded(seed));
    for thread in 0..configuration.threads() {
        if bench.machine.checkstopped(configuration.core_of(thread)) {
            run = run.role(thread, Role::Lost);
        }
    }
    run.go()
}

fn stops(ran: &Ran) -> Vec<Option<Checkstop>> {
    ran.events.iter().map(|event| event.checkstop).collect()
}

fn is_fatal(event: &Event) -> bool {
    !event.recovered && event.severity == 3 && event.event_type == 0
}

#[test]
fn t12_the_nx_of_the_other_chip() {
    for generation in [Generation::Power8, Generation::Power9] {
        for seed in 0..6 {
            let bench = bench(generation, 2, 2, 4);
            let system = bench.booted_system();
            let (dma, pbi) = (0x0000_8000_0000_0000, 0);
            bench.machine.inject(&Fault::Nx { chip: 1, dma, pbi });
            let ran = run(&bench, &system, seed);
            assert_eq!(ran.events.len(), 1, "{:#x?}", ran.events);
            let event = ran.events[0];
            assert!(is_fatal(&event));
            assert_eq!(event.hmer & !Hmer::XSCOM_MAILBOX.bits(), ibm(0));
            assert_eq!(event.bytes[8..12], [2, 3, 0, 1]);
            let tail = [2, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0];
            assert_eq!(event.bytes[32..48], tail);
            let written = |wanted: u32| -> Vec<(usize, u64)> {
                let writes = bench.machine.trace().into_iter();
                writes
                    .filter_map(|access| match access.register {
                        Register::ScomWrite { chip, address } if address == wanted => {
                            Some((chip, access.value))
                        }
                        _ => None,
                    })
                    .collect()
            };
            let cleared = 0xbfff_ffff_ffff_ffff;
            let alerts = written(alert_register(generation));
            assert_eq!(alerts, [(0, cleared), (1, cleared)]);
            let nx = match generation {
                Generation::Power8 => 0x0201_3100,
                _ => 0x0201_1100,
            };
            assert_eq!(
                written(nx + 2),
                [(1, 0x0200_0000)],
                "bits are set, not lost"
            );
            let kept = bench.machine.peek_scom(1, nx);
            assert_eq!(kept, Some(dma | 0x0200_0000));
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

#[test]
fn an_alert_that_nobody_raised_is_no_event() {
    for generation in GENERATIONS {
        let bench = bench(generation, 2, 1, 4);
        let system = bench.booted_system();
        let (threads, bits) = ((0..8).collect(), ibm(0));
        bench.machine.inject(&Fault::Hmer { threads, bits });
        let ran = run(&bench, &system, 1);
        assert!(ran.events.is_empty());
        assert!(ran.outcomes.iter().flatten().all(|one| one.flags == 0));
        bench.assert_hmer_clean(&ran);
        bench.assert_rules_kept();
    }
}

#[test]
fn an_alert_that_nothing_explains_is_one_fatal_event() {
    for generation in GENERATIONS {
        let bench = bench(generation, 2, 2, 2);
        let system = bench.booted_system();
        for chip in [0, 1, 0] {
            bench.machine.inject(&Fault::Alert { chip });
            let ran = run(&bench, &system, 7);
            assert_eq!(stops(&ran), [None]);
            assert!(is_fatal(&ran.events[0]));
            for chip in 0..2 {
                let left = bench.machine.peek_scom(chip, alert_register(generation));
                assert_eq!(left, Some(0));
            }
        }
        bench.assert_rules_kept();
    }
}

/// The search is done by one thread; the others look at one register each.
#[test]
fn one_thread_searches_for_all() {
    let bench = bench(Generation::Power9, 2, 2, 4);
    let system = bench.booted_system();
    bench.machine.inject(&Fault::Alert { chip: 1 });
    let _ = run(&bench, &system, 5);
    let fir = bench.machine.configuration().core_fir(1);
    let trace = bench.machine.trace();
    let reads_of = |wanted: u32| {
        let reads = trace.iter();
        reads
            .filter(|access| matches!(access.register, Register::ScomRead { address, .. } if address == wanted))
            .count()
    };
    assert_eq!(reads_of(fir), 2, "core 1 of both chips, once");
    assert!(reads_of(alert_register(Generation::Power9)) <= 2 + 15);
}

/// A core that stopped is told once, whatever else alarms later; a new bit is told.
#[test]
fn a_stopped_core_is_told_once() {
    for generation in GENERATIONS {
        let bench = bench(generation, 2, 2, 2);
        let system = bench.booted_system();
        let (core, bits) = (1, ibm(12));
        bench.machine.inject(&Fault::CoreFir { core, bits });
        let pir = bench.pir(2).0;
        let stop = |reason| Some(Checkstop::Core { reason, pir });
        assert_eq!(stops(&run(&bench, &system, 1)), [stop(0x10)]);
        bench.machine.inject(&Fault::Alert { chip: 0 });
        assert_eq!(stops(&run(&bench, &system, 2)), []);
        let bits = ibm(36);
        bench.machine.inject(&Fault::CoreFir { core, bits });
        assert_eq!(stops(&run(&bench, &system, 3)), [stop(0x210)]);
        bench.assert_rules_kept();
    }
}

/// Cores that sleep are woken, looked at, and left to sleep; ones that do not wake are not taken
/// for dead.
#[test]
fn sleeping_cores_are_no_checkstops() {
    for generation in GENERATIONS {
        for status in [2, 3] {
            for wakeup in [5120, u64::MAX / 2] {
                let mut configuration = Configuration::new(generation, 1, 3, 1);
                configuration.costs.wakeup = wakeup;
                let bench = Bench::new(configuration);
                let system = bench.booted_system();
                for core in [1, 2] {
                    bench.machine.inject(&Fault::Asleep { core, status });
                }
                bench.machine.inject(&Fault::Alert { chip: 0 });
                let ran = run(&bench, &system, 1);
                assert_eq!(stops(&ran), [None], "{generation:?} {status} {wakeup}");
                let milliseconds = ran.ticks / 512_000;
                assert!(milliseconds < 1_000, "{milliseconds} ms");
                let requested = bench.machine.trace().into_iter().filter(|access| {
                    matches!(access.register, Register::ScomWrite { .. }) && access.value == ibm(0)
                });
                let undone = bench.machine.trace().into_iter().filter(|access| {
                    matches!(access.register, Register::ScomWrite { address, .. }
                        if address & 0xfff == 0x83c || address & 0xf_ffff == 0xf_010d)
                        && access.value == 0
                });
                assert_eq!(requested.count(), 2);
                assert_eq!(undone.count(), 2);
            }
        }
    }
}

#[test]
fn a_sleeping_core_that_stopped_is_found() {
    for generation in GENERATIONS {
        let bench = bench(generation, 1, 2, 1);
        let system = bench.booted_system();
        let (core, bits) = (1, ibm(25));
        bench.machine.inject(&Fault::Asleep { core, status: 2 });
        bench.machine.inject(&Fault::CoreFir { core, bits });
        let (reason, pir) = (0x40, bench.pir(1).0);
        let ran = run(&bench, &system, 1);
        assert_eq!(stops(&ran), [Some(Checkstop::Core { reason, pir })]);
        bench.assert_rules_kept();
    }
}

/// Section 8.2, item 9: whatever answer comes to whatever access, the search ends, and a unit that
/// is fatal is not kept from the OS.
#[test]
fn no_scom_error_hides_a_fatal_finding() {
    let answers = (1..8).map(XscomAnswer::Status);
    for answer in answers.chain([XscomAnswer::NeverDone]) {
        for after in 0..48 {
            let bench = bench(Generation::Power9, 2, 1, 2);
            let system = bench.booted_system();
            let (dma, pbi) = (ibm(20), ibm(12));
            bench.machine.inject(&Fault::Nx { chip: 1, dma, pbi });
            bench.machine.inject_xscom(XscomFault {
                after,
                count: 1,
                ..XscomFault::new(answer)
            });
            let ran = run(&bench, &system, after);
            let told = ran.events.iter().any(is_fatal);
            assert!(told, "{answer:?} after {after}: {:#x?}", ran.events);
            bench.assert_hmer_clean(&ran);
        }
    }
}

/// What is known is harmless, but something that may be fatal does not let itself be looked at.
#[test]
fn a_harmless_finding_does_not_cover_what_could_not_be_read() {
    for (status, fatal) in [(7, true), (2, false), (3, false), (4, false)] {
        let bench = bench(Generation::Power9, 1, 1, 2);
        let system = bench.booted_system();
        let (chip, unit, fir, bits) = (0, 0, 1, ibm(1));
        bench.machine.inject(&Fault::Npu {
            chip,
            unit,
            fir,
            bits,
        });
        bench.machine.inject_xscom(XscomFault {
            address: Some(0x0201_1040),
            ..XscomFault::new(XscomAnswer::Status(status))
        });
        let ran = run(&bench, &system, 1);
        let told = ran.events.iter().filter(|one| is_fatal(one)).count();
        assert_eq!(told, usize::from(fatal), "status {status}");
        let harmless = ran.events.len() - told;
        assert_eq!(harmless, 1, "status {status}: {:#x?}", ran.events);
    }
}

/// A core that was told to have stopped, and then does not answer at all, is told no more.
#[test]
fn a_stopped_core_may_fall_silent() {
    let bench = bench(Generation::Power9, 1, 2, 1);
    let system = bench.booted_system();
    let (core, bits) = (1, ibm(12));
    bench.machine.inject(&Fault::CoreFir { core, bits });
    assert_eq!(run(&bench, &system, 1).events.len(), 1);
    let fir = bench.machine.configuration().core_fir(1);
    bench.machine.inject_xscom(XscomFault {
        address: Some(fir),
        ..XscomFault::new(XscomAnswer::Status(5))
    });
    bench.machine.inject(&Fault::Alert { chip: 0 });
    assert_eq!(run(&bench, &system, 2).events.len(), 0);
}

/// With no register readable there is one event, and it is fatal.
#[test]
fn a_dead_engine_is_an_honest_answer() {
    let answers = (1..8).map(XscomAnswer::Status);
    for generation in GENERATIONS {
        for answer in answers.clone().chain([XscomAnswer::NeverDone]) {
            let bench = bench(generation, 2, 1, 2);
            let system = bench.booted_system();
            bench.machine.inject(&Fault::Alert { chip: 1 });
            bench.machine.inject_xscom(XscomFault::new(answer));
            let ran = run(&bench, &system, 1);
            assert!(!ran.events.is_empty() && ran.events.iter().all(is_fatal));
            let unknown = stops(&ran).into_iter().filter(Option::is_none).count();
            assert!(unknown <= 1, "{answer:?}: {:#x?}", ran.events);
        }
    }
}

/// A harmless finding, and the timer: each its own event and disposition.
#[test]
fn an_alert_beside_a_timer_error() {
    for generation in GENERATIONS {
        for seed in 0..6 {
            let bench = bench(generation, 2, 1, 4);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, CoreError::TbResidue));
            let (chip, unit, fir, bits) = (1, 0, 0, ibm(9));
            bench.machine.inject(&Fault::Npu {
                chip,
                unit,
                fir,
                bits,
            });
            let ran = run(&bench, &system, seed);
            let mut told: Vec<_> = ran
                .events
                .iter()
                .map(|event| (event.event_type, event.severity, event.recovered))
                .collect();
            told.sort_unstable();
            assert_eq!(told, [(0, 1, true), (4, 2, true)], "{generation:?}");
            bench.assert_core_good(0);
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// An alert that comes while another one is looked into is not lost, at whatever access.
#[test]
fn an_alert_that_comes_meanwhile_is_heard() {
    let mut heard = 0;
    for at in 1..220 {
        let bench = bench(Generation::Power9, 2, 1, 2);
        let system = bench.booted_system();
        bench.machine.inject(&Fault::Alert { chip: 0 });
        let (dma, pbi) = (ibm(31), 0);
        let start = bench.machine.accesses();
        bench
            .machine
            .inject_after(at, Fault::Nx { chip: 1, dma, pbi });
        let first = run(&bench, &system, at);
        let rest = run(&bench, &system, at);
        if bench.machine.accesses() < start + at {
            continue;
        }
        let nx = Some(Checkstop::Nx {
            reason: 0x800,
            chip: 1,
        });
        let all = stops(&first).into_iter().chain(stops(&rest));
        assert_eq!(all.filter(|stop| *stop == nx).count(), 1, "at {at}");
        heard += 1;
    }
    assert!(
        heard > 100,
        "the second alert must come during the first: {heard}"
    );
}

#[test]
fn threads_that_never_come_neither_hide_nor_double_an_alert() {
    for lost in 0..4 {
        let bench = bench(Generation::Power10, 2, 1, 2);
        let system = bench.booted_system();
        for round in 0..4 {
            bench.machine.inject(&Fault::Alert { chip: 1 });
            let run = bench.run(&system, Schedule::Seeded(round));
            let ran = run.role(lost, Role::Lost).go();
            assert_eq!(stops(&ran), [None], "{lost} {round}");
        }
    }
}
