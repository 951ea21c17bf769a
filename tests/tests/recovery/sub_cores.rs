//! POWER8 with split cores: one thread of each sub-core is enough, and the others come when they
//! like, as guests' secondaries do.

use super::*;
use hardware_model::TimebaseCopies;
use opal_abi::hmi_flags::{HDEC_LOST, NEW_EVENT, TB_RESYNC, TOD_TB_FAIL};
use opaline_tests::Role;
use power_registers::Spr;

const THREADS: usize = 8;
/// In ticks, for each thread that spins (all advance the model's one clock): a recovery with threads
/// missing takes less than this, less than half of the wait for threads that must come.
const SHORT: u64 = 220_000 * 512;

fn split(sub_cores: usize) -> Bench {
    let mut configuration = Configuration::new(Generation::Power8, 1, 1, THREADS);
    configuration.copies = TimebaseCopies::SubCores(sub_cores);
    Bench::new(configuration)
}

/// Every thread but these gets the same role.
fn all_but<'a>(
    run: opaline_tests::Run<'a>,
    present: &[usize],
    role: Role,
) -> opaline_tests::Run<'a> {
    (0..THREADS)
        .filter(|thread| !present.contains(thread))
        .fold(run, |run, thread| run.role(thread, role))
}

/// The threads of one per sub-core, each of them the `nth` of its own.
fn one_of_each(sub_cores: usize, nth: usize) -> Vec<usize> {
    let width = THREADS / sub_cores;
    (0..sub_cores)
        .map(|sub_core| sub_core * width + nth % width)
        .collect()
}

const ERRORS: [CoreError; 5] = [
    CoreError::TbResidue,
    CoreError::HdecParity,
    CoreError::MissingStep,
    CoreError::FirmwareControl,
    CoreError::TfmrCorrupt { tb_survives: false },
];

/// One thread of each sub-core, whichever: recovered, and nobody is waited for long.
#[test]
fn one_thread_of_each_sub_core_is_enough() {
    for sub_cores in [1, 2, 4] {
        for nth in 0..THREADS / sub_cores {
            for error in ERRORS {
                let bench = split(sub_cores);
                let system = bench.booted_system();
                bench.machine.inject(&core_fault(0, error));
                let present = one_of_each(sub_cores, nth);
                let run = bench.run(&system, Schedule::Seeded(nth as u64));
                let ran = all_but(run, &present, Role::Lost).go();
                let context = format!("{sub_cores}x, thread {nth}, {error:?}");
                assert_eq!(ran.events.len(), 1, "{context}: {:#x?}", ran.events);
                assert!(ran.events[0].recovered, "{context}");
                let limit = SHORT * present.len() as u64;
                assert!(ran.ticks < limit, "{context}: {} ticks", ran.ticks);
                for thread in present {
                    assert_eq!(ran.flags(thread) & TOD_TB_FAIL, 0, "{context}");
                    bench.assert_time(thread);
                }
                bench.assert_rules_kept();
            }
        }
    }
}

/// The others come later, by themselves: they find a good core, report nothing again, and leave the
/// HDEC that their sub-core has set since.
#[test]
fn late_secondaries_disturb_nothing() {
    for sub_cores in [1, 2, 4] {
        for error in [CoreError::TbResidue, CoreError::HdecParity] {
            let bench = split(sub_cores);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, error));
            let present = one_of_each(sub_cores, 0);
            let run = bench.run(&system, Schedule::Seeded(3));
            let ran = all_but(run, &present, Role::Late(1_500_000)).go();
            let context = format!("{sub_cores}x, {error:?}");
            assert_eq!(ran.events.len(), 1, "{context}: {:#x?}", ran.events);
            assert!(ran.events[0].recovered, "{context}");
            let flag = if error == CoreError::HdecParity {
                HDEC_LOST
            } else {
                TB_RESYNC
            };
            let trace = opaline_tests::firmware_writes(&bench.machine);
            for thread in 0..THREADS {
                assert_eq!(ran.flags(thread) & !NEW_EVENT, flag, "{context}, {thread}");
                bench.assert_time(thread);
                let writes_hdec = trace.iter().any(|access| {
                    access.thread == thread && access.register == Register::Spr(Spr::Hdec)
                });
                let may = error == CoreError::HdecParity && present.contains(&thread);
                assert_eq!(writes_hdec, may, "{context}, {thread}");
            }
            bench.assert_core_good(0);
            bench.assert_hmer_clean(&ran);
            bench.assert_rules_kept();
        }
    }
}

/// A sub-core with nobody: its dirty registers stay, and that is said. An error that leaves nothing
/// dirty is repaired without it. Either way nobody hangs.
#[test]
fn a_sub_core_with_nobody() {
    for sub_cores in [2, 4] {
        for (error, recovers) in [
            (CoreError::TbResidue, false),
            (CoreError::HdecParity, false),
            (CoreError::MissingStep, true),
            (CoreError::FirmwareControl, true),
        ] {
            let bench = split(sub_cores);
            let system = bench.booted_system();
            bench.machine.inject(&core_fault(0, error));
            // All of them but those of the last sub-core.
            let present: Vec<usize> = (0..THREADS - THREADS / sub_cores).collect();
            let run = bench.run(&system, Schedule::Seeded(1));
            let ran = all_but(run, &present, Role::Lost).go();
            let context = format!("{sub_cores}x, {error:?}");
            let said = ran.events.iter().all(|event| event.recovered);
            assert_eq!(said, recovers, "{context}: {:#x?}", ran.events);
            let tfmr = bench.machine.tfmr(0);
            let errors = tfmr.intersects(Tfmr::CORE_ERRORS);
            assert_eq!(!errors, recovers, "{context}: {tfmr:?}");
            for thread in present {
                let failed = ran.flags(thread) & TOD_TB_FAIL != 0;
                assert_eq!(
                    failed,
                    !tfmr.contains(Tfmr::TB_VALID),
                    "{context}, {thread}"
                );
            }
            bench.assert_rules_kept();
        }
    }
}

/// Threads that never were started, of a sub-core that has another: nobody waits for them at all.
#[test]
fn absent_threads_of_a_sub_core_are_not_waited_for() {
    for sub_cores in [1, 2, 4] {
        let bench = split(sub_cores);
        let system = bench.booted_system();
        bench.machine.inject(&core_fault(0, CoreError::TbResidue));
        let present = one_of_each(sub_cores, 1);
        let run = bench.run(&system, Schedule::Seeded(2));
        let ran = all_but(run, &present, Role::Absent).go();
        assert_eq!(ran.events.len(), 1);
        assert!(ran.events[0].recovered);
        assert!(ran.ticks < 512_000, "{sub_cores}x: {} ticks", ran.ticks);
        bench.assert_core_good(0);
        bench.assert_rules_kept();
    }
}
