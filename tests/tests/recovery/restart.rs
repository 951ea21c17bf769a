//! A TOD that stopped: restarted from the master, from a third chip, or rebuilt; golden traces and
//! counts of accesses.

use super::*;
use hardware_model::{XscomAnswer, XscomFault};
use opal_abi::hmi_flags::{NEW_EVENT, TB_RESYNC, TOD_TB_FAIL};
use opaline_tests::{Ran, firmware_writes};
use power_registers::chip_tod::{ANSWERS_REQUESTS, TRIGGER, TodError};
use power_registers::{Spr, TbState};

const SYNC_CHECK: u64 = TodError::I_PATH_SYNC_CHECK.bits();
const FIRMWARE_CLEAR: u64 = 0x0004_2200_f000_0000;

fn stop(bench: &Bench, chip: usize) {
    let bits = SYNC_CHECK;
    bench.machine.inject(&Fault::Tod { chip, bits });
}

/// What was written to the ChipTODs, in order: chip, register, value.
fn tod_writes(bench: &Bench) -> Vec<(usize, u32, u64)> {
    let writes = bench.machine.trace().into_iter();
    writes
        .filter_map(|access| match access.register {
            Register::ScomWrite { chip, address } => Some((chip, address, access.value)),
            _ => None,
        })
        .collect()
}

/// Those that do not move time to a core.
fn restart_writes(bench: &Bench) -> Vec<(usize, u32, u64)> {
    let moving = [TodRegister::TxTtypeControl, TodRegister::MoveTodToTb].map(TodRegister::address);
    let mut writes = tod_writes(bench);
    writes.retain(|(_, address, _)| !moving.contains(address));
    writes
}

/// Accesses through XSCOM of each core.
fn scoms_by_core(bench: &Bench) -> Vec<usize> {
    let per_core = bench.machine.configuration().threads_per_core;
    let mut counts = vec![0; bench.machine.configuration().cores()];
    for access in bench.machine.trace() {
        if let Register::ScomWrite { .. } | Register::ScomRead { .. } = access.register {
            counts[access.thread / per_core] += 1;
        }
    }
    counts
}

/// Each core reports one recovered event, every thread was told to look at TB anew.
#[track_caller]
fn assert_recovered(bench: &Bench, ran: &Ran, cores: std::ops::Range<usize>) {
    let configuration = bench.machine.configuration();
    assert_eq!(ran.events.len(), cores.len(), "{:#x?}", ran.events);
    assert!(
        ran.events.iter().all(|event| event.recovered),
        "{:#x?}",
        ran.events
    );
    for thread in
        cores.start * configuration.threads_per_core..cores.end * configuration.threads_per_core
    {
        let flags = ran.flags(thread) & !NEW_EVENT;
        assert_eq!(flags, TB_RESYNC, "thread {thread}");
    }
    bench.assert_hmer_clean(ran);
    bench.assert_rules_kept();
}

/// Whatever time the machine has now, all of these threads have it, and none less than `before`.
#[track_caller]
fn assert_one_time(bench: &Bench, before: &[u64]) {
    let configuration = bench.machine.configuration();
    for (thread, before) in before.iter().enumerate() {
        let tfmr = bench.machine.tfmr(thread);
        assert_eq!(tfmr.state(), TbState::Running, "thread {thread}: {tfmr:?}");
        assert!(!tfmr.contains(Tfmr::CHIP_TOD_INTERRUPT), "{tfmr:?}");
        let chip = configuration.chip_of(configuration.core_of(thread));
        let timebase = bench.machine.timebase(thread);
        assert_eq!(timebase, bench.machine.tod_time(chip), "thread {thread}");
        assert_eq!(timebase, bench.machine.tod_time(0), "thread {thread}");
        assert!(timebase >= *before, "thread {thread}: back in time");
    }
}

fn timebases(bench: &Bench) -> Vec<u64> {
    let threads = bench.machine.configuration().threads();
    (0..threads)
        .map(|thread| bench.machine.timebase(thread))
        .collect()
}

/// T6: sync check on a slave chip, the master runs. The first core restarts the TOD, the other only
/// loads TB; the order of all writes, and the counts of section 9.
#[test]
fn t6_a_slave_follows_the_master_again() {
    for generation in GENERATIONS {
        for schedule in schedules() {
            let bench = bench(generation, 2, 2, 2);
            let system = bench.booted_system();
            stop(&bench, 1);
            let ran = bench.run(&system, schedule).go();
            assert_recovered(&bench, &ran, 2..4);
            (0..4).for_each(|core| bench.assert_core_good(core));
            assert_eq!(
                bench.machine.peek_scom(1, TodRegister::Error.address()),
                Some(0)
            );

            let restart = restart_writes(&bench);
            assert_eq!(
                restart,
                [
                    (1, TodRegister::Error.address(), FIRMWARE_CLEAR),
                    (1, TodRegister::LoadTodMod.address(), TRIGGER),
                    (1, TodRegister::TxTtype3.address(), TRIGGER),
                ],
                "{schedule:?}"
            );
            assert_eq!(system.chip_tod.counters.followed(), 1);

            // 11 + 4, as section 9 has it; more are polls of FSM while the TOD starts, and looks of
            // the core that waited for it.
            let total: usize = scoms_by_core(&bench).iter().sum();
            assert!((15..=30).contains(&total), "{schedule:?}: {total}");
        }
    }
}

/// T6, one core: the writes of TFMR and of the TOD in one order.
#[test]
fn t6_golden_order() {
    for generation in GENERATIONS {
        let bench = bench(generation, 2, 1, 1);
        let system = bench.booted_system();
        stop(&bench, 1);
        let ran = bench.run(&system, Schedule::Seeded(1)).go();
        assert_recovered(&bench, &ran, 1..2);
        let base = |bits| (Register::Spr(Spr::Tfmr), Some(base_and(&bench, bits)));
        let scom = |register: TodRegister, value| {
            let address = register.address();
            (Register::ScomWrite { chip: 1, address }, value)
        };
        let golden = [
            base(Tfmr::CLEAR_TB_ERRORS | Tfmr::TB_MISSING_STEP),
            base(Tfmr::CLEAR_TB_ERRORS),
            scom(TodRegister::Error, Some(FIRMWARE_CLEAR)),
            base(Tfmr::LOAD_TOD_MOD),
            scom(TodRegister::LoadTodMod, Some(TRIGGER)),
            scom(TodRegister::TxTtype3, Some(TRIGGER)),
            base(Tfmr::MOVE_CHIP_TOD_TO_TB),
            // Its value is the matter of another test.
            scom(TodRegister::TxTtypeControl, None),
            scom(TodRegister::MoveTodToTb, Some(TRIGGER)),
        ];
        let written: Vec<_> = firmware_writes(&bench.machine)
            .into_iter()
            .filter(|access| {
                matches!(access.register, Register::ScomWrite { .. })
                    || access.register == Register::Spr(Spr::Tfmr)
            })
            .collect();
        assert_eq!(written.len(), golden.len(), "{written:#x?}");
        for (access, (register, value)) in written.iter().zip(golden) {
            assert_eq!(access.register, register, "{written:#x?}");
            assert_eq!(access.value, value.unwrap_or(access.value), "{written:#x?}");
        }
        // Section 9: 11, and the polls of FSM while the TOD starts.
        let fsm = Register::ScomRead {
            chip: 1,
            address: TodRegister::Fsm.address(),
        };
        let looks = bench.machine.trace();
        let looks = looks.iter().filter(|access| access.register == fsm).count();
        assert_eq!(scoms_by_core(&bench)[1] - looks, 9);
    }
}

/// The master stopped, a third chip runs: it answers in the master's place, and only meanwhile.
#[test]
fn a_third_chip_helps_when_the_master_stands() {
    for generation in GENERATIONS {
        let bench = bench(generation, 3, 1, 2);
        let system = bench.booted_system();
        stop(&bench, 0);
        let ran = bench.run(&system, Schedule::Seeded(5)).go();
        assert_recovered(&bench, &ran, 0..1);
        (0..3).for_each(|core| bench.assert_core_good(core));
        let control = TodRegister::TxTtypeControl.address();
        let helping: Vec<_> = tod_writes(&bench)
            .into_iter()
            .filter(|(chip, address, _)| *chip == 1 && *address == control)
            .map(|(_, _, value)| value & ANSWERS_REQUESTS)
            .collect();
        assert_eq!(helping, [ANSWERS_REQUESTS, 0]);
        assert!(
            !tod_writes(&bench)
                .iter()
                .any(|(_, address, _)| *address == TodRegister::TxTtype1.address()),
            "the network is good: no switch"
        );
    }
}

/// However the restart fails, the helper does not stay in the answering mode for longer than until
/// its next transfer.
#[test]
fn the_helper_is_released_on_every_error() {
    for generation in GENERATIONS {
        for after in 0..40 {
            for count in [1, 2, u64::MAX] {
                let bench = bench(generation, 3, 1, 1);
                let system = bench.booted_system();
                stop(&bench, 0);
                bench.machine.inject_xscom(XscomFault {
                    after,
                    count,
                    ..XscomFault::new(XscomAnswer::Status(7))
                });
                let _ = bench.run(&system, Schedule::Seeded(after)).go();
                bench.machine.heal_xscom();
                // A core of the helper loads TB: then at the latest it is over.
                for thread in 1..3 {
                    opaline_firmware::timebase::resync(&mut bench.hardware(thread), &system)
                        .expect("a running TOD");
                    let address = TodRegister::TxTtypeControl.address();
                    let control = bench
                        .machine
                        .peek_scom(thread, address)
                        .expect("a register");
                    assert_eq!(control & ANSWERS_REQUESTS, 0, "{after} {count}");
                }
                bench.assert_rules_kept();
            }
        }
    }
}

/// T8: a single chip. The TOD is rebuilt, TB goes on from where it was, on every thread.
#[test]
fn t8_a_single_chip_is_rebuilt() {
    for generation in GENERATIONS {
        for schedule in schedules() {
            let bench = bench(generation, 1, 2, most_threads(generation));
            let system = bench.booted_system();
            for thread in 0..bench.machine.configuration().threads() {
                system.note_timers(&mut bench.hardware(thread));
            }
            bench.machine.clear_trace();
            stop(&bench, 0);
            let before = timebases(&bench);
            let frozen_at = bench.machine.true_time();
            let ran = bench.run(&system, schedule).go();
            assert_recovered(&bench, &ran, 0..2);
            assert_one_time(&bench, &before);
            assert_eq!(system.chip_tod.counters.rebuilds(), 1);

            let rebuild = restart_writes(&bench);
            let loaded = rebuild
                .iter()
                .find(|(_, address, _)| *address == TodRegister::LoadTod.address())
                .expect("a load")
                .2;
            assert_eq!(
                rebuild,
                [
                    (0, TodRegister::Error.address(), FIRMWARE_CLEAR),
                    (0, TodRegister::LoadTodMod.address(), TRIGGER),
                    (0, TodRegister::TxTtype5.address(), TRIGGER),
                    (0, TodRegister::LoadTod.address(), loaded),
                    (0, TodRegister::TxTtype4.address(), TRIGGER),
                ]
            );
            assert_eq!(loaded & 0x1fff, 0x1ff0);
            assert!(loaded >= frozen_at);
        }
    }
}

/// Every chip of the machine stopped: the master is rebuilt, the others follow it.
#[test]
fn a_machine_without_any_running_tod_is_rebuilt() {
    for generation in GENERATIONS {
        for seed in 0..8 {
            for cores in [2, 4] {
                let bench = bench(generation, 2, cores, 2);
                let system = bench.booted_system();
                let before = timebases(&bench);
                stop(&bench, 0);
                stop(&bench, 1);
                let ran = bench.run(&system, Schedule::Seeded(seed)).go();
                assert_recovered(&bench, &ran, 0..2 * cores);
                assert_one_time(&bench, &before);
                assert_eq!(system.chip_tod.counters.rebuilds(), 1);
                let loads = tod_writes(&bench);
                let loads = loads
                    .iter()
                    .filter(|(_, address, _)| *address == TodRegister::LoadTod.address());
                assert_eq!(loads.map(|(chip, ..)| *chip).collect::<Vec<_>>(), [0]);
            }
        }
    }
}

/// When it cannot be restarted, one core of the chip tries; the others fail at once. The next time
/// that a core comes, or when the TOD runs again, it is tried anew.
#[test]
fn one_core_tries_for_all() {
    for generation in GENERATIONS {
        let bench = bench(generation, 1, 4, 2);
        let system = bench.booted_system();
        let load = TodRegister::LoadTod.address();
        bench.machine.inject_xscom(XscomFault {
            address: Some(load),
            ..XscomFault::new(XscomAnswer::Status(5))
        });
        stop(&bench, 0);
        let ran = bench.run(&system, Schedule::Seeded(9)).go();
        assert!(ran.events.iter().all(|event| !event.recovered));
        (0..8).for_each(|thread| assert_ne!(ran.flags(thread) & TOD_TB_FAIL, 0));
        assert_eq!(system.chip_tod.counters.failed_restarts(), 1);
        let mut counts = scoms_by_core(&bench);
        counts.sort_unstable();
        assert!(counts[2] <= 2, "the others look once: {counts:?}");

        bench.machine.heal_xscom();
        bench.machine.inject(&Fault::Hmer {
            threads: (0..8).collect(),
            bits: Hmer::TFAC_ERROR.bits(),
        });
        let ran = bench.run(&system, Schedule::Seeded(10)).go();
        assert_recovered(&bench, &ran, 0..4);
    }
}
