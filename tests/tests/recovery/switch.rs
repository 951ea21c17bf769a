//! The switch of the topology to the backup master.

use super::*;
use hardware_model::{StepNetwork, XscomAnswer, XscomFault};
use opal_abi::hmi_flags::{NEW_EVENT, TB_RESYNC, TOD_TB_FAIL};
use opaline_tests::Ran;
use power_registers::chip_tod::{TRIGGER, TodError};
use power_registers::ibm;

const INJECTED: u64 = TodError::I_PATH_SYNC_CHECK.bits();

/// A machine in which the local FIRs of the chips can be written.
fn machine(generation: Generation, chips: usize, cores: usize, network: StepNetwork) -> Bench {
    let mut configuration = Configuration::new(generation, chips, cores, 2);
    configuration.networks = vec![network; chips];
    let bench = Bench::new(configuration);
    for chip in 0..chips {
        let (or, _) = local_fir(generation);
        bench.machine.provide_scom(chip, or, 0);
    }
    bench
}

/// Where, and with which bit, a TOD error is reported: section 3.10.
fn local_fir(generation: Generation) -> (u32, u64) {
    match generation {
        Generation::Power8 => (0x0104_000c, ibm(18)),
        Generation::Power9 => (0x0104_000c, ibm(20)),
        Generation::Power10 => (0x0104_0102, ibm(27)),
    }
}

fn writes(bench: &Bench) -> Vec<(usize, u32, u64)> {
    let trace = bench.machine.trace().into_iter();
    trace
        .filter_map(|access| match access.register {
            Register::ScomWrite { chip, address } => Some((chip, address, access.value)),
            _ => None,
        })
        .collect()
}

fn switches(bench: &Bench) -> usize {
    let switch = TodRegister::TxTtype1.address();
    let all = writes(bench);
    all.iter()
        .filter(|(_, address, _)| *address == switch)
        .count()
}

pub(super) fn starve(bench: &Bench, chip: usize, path: u8) {
    let valid = false;
    bench
        .machine
        .inject(&Fault::Oscillator { chip, path, valid });
}

/// All that came was repaired: every core has the time of the machine.
#[track_caller]
fn assert_all_good(bench: &Bench, ran: &Ran) {
    assert!(!ran.events.is_empty());
    assert!(
        ran.events.iter().all(|event| event.recovered),
        "{:#x?}",
        ran.events
    );
    let configuration = bench.machine.configuration();
    for core in 0..configuration.cores() {
        bench.assert_core_good(core);
        let threads = core * 2..core * 2 + 2;
        for thread in threads.filter(|thread| !ran.outcomes[*thread].is_empty()) {
            let flags = ran.flags(thread) & !NEW_EVENT;
            assert!(
                flags == TB_RESYNC || flags == 0,
                "thread {thread}: {flags:#x}"
            );
        }
    }
    bench.assert_hmer_clean(ran);
    bench.assert_rules_kept();
}

/// T7: the master's oscillator path is dead, the backup is good. What is written to the network, in
/// order; then the old master follows the new one.
#[test]
fn t7_the_backup_takes_over() {
    for generation in GENERATIONS {
        for (chips, cores) in [(2, 2), (3, 1), (3, 4)] {
            for seed in 0..4 {
                let bench = machine(generation, chips, cores, StepNetwork::default());
                let system = bench.booted_system();
                starve(&bench, 0, 0);
                let ran = bench.run(&system, Schedule::Seeded(seed)).go();
                assert_all_good(&bench, &ran);
                assert_eq!(system.chip_tod.counters.switches(), 1);

                let (fir, bit) = local_fir(generation);
                let network = [
                    TodRegister::ErrorInject.address(),
                    TodRegister::TxTtype1.address(),
                    TodRegister::TxTtype2.address(),
                    TodRegister::LoadTodMod.address(),
                    TodRegister::TxTtype3.address(),
                    fir,
                ];
                let of_chip_0_and_network: Vec<_> = writes(&bench)
                    .into_iter()
                    .filter(|(chip, address, _)| {
                        network.contains(address)
                            && (*chip == 0 || *address == TodRegister::ErrorInject.address())
                    })
                    .collect();
                let mut golden = vec![
                    (0, TodRegister::TxTtype1.address(), TRIGGER),
                    (0, TodRegister::TxTtype2.address(), TRIGGER),
                    (0, fir, bit),
                    (0, TodRegister::LoadTodMod.address(), TRIGGER),
                    (0, TodRegister::TxTtype3.address(), TRIGGER),
                ];
                if chips == 3 {
                    golden.insert(0, (2, TodRegister::ErrorInject.address(), INJECTED));
                }
                assert!(
                    of_chip_0_and_network.starts_with(&golden),
                    "{of_chip_0_and_network:x?}"
                );
                // The registers of all chips were read again.
                let pss = TodRegister::PssMssControl.address();
                for chip in 0..chips {
                    let register = Register::ScomRead { chip, address: pss };
                    let reads = bench.machine.trace().into_iter();
                    assert!(reads.filter(|access| access.register == register).count() > 0);
                }
            }
        }
    }
}

/// The step check of the selected path counts, on path 0 and on path 1; that of the other does not.
#[test]
fn either_master_path_can_fail() {
    for generation in GENERATIONS {
        for selected in [0, 1] {
            for failing in [0, 1] {
                let network = StepNetwork {
                    primary_master: selected,
                    ..StepNetwork::default()
                };
                let bench = machine(generation, 2, 1, network);
                let system = bench.booted_system();
                starve(&bench, 0, failing);
                let ran = bench.run(&system, Schedule::Seeded(4)).go();
                let expected = usize::from(selected == failing);
                assert_eq!(switches(&bench), expected, "{selected} {failing}");
                if expected == 1 {
                    assert_all_good(&bench, &ran);
                }
                bench.assert_rules_kept();
            }
        }
    }
}

/// The master stopped although its steps are good: no switch.
#[test]
fn a_good_network_is_not_switched() {
    for generation in GENERATIONS {
        for chips in [2, 3] {
            let bench = machine(generation, chips, 1, StepNetwork::default());
            let system = bench.booted_system();
            let bits = INJECTED;
            bench.machine.inject(&Fault::Tod { chip: 0, bits });
            let ran = bench.run(&system, Schedule::Seeded(2)).go();
            assert_all_good(&bench, &ran);
            assert_eq!(switches(&bench), 0);
        }
    }
}

/// The master's steps are dead and those of the backup too: nothing is switched, nothing rebuilt,
/// and all cores learn it within a few accesses each.
#[test]
fn without_a_backup_it_fails_fast() {
    for generation in GENERATIONS {
        let bench = machine(generation, 2, 8, StepNetwork::default());
        let system = bench.booted_system();
        starve(&bench, 1, 1);
        bench.machine.clear_trace();
        starve(&bench, 0, 0);
        let ran = bench.run(&system, Schedule::Seeded(2)).go();
        assert_eq!(switches(&bench), 0);
        for core in 0..8 {
            for thread in 2 * core..2 * core + 2 {
                assert_ne!(ran.flags(thread) & TOD_TB_FAIL, 0, "thread {thread}");
            }
        }
        assert_eq!(
            ran.events.iter().filter(|event| !event.recovered).count(),
            8
        );
        let loads = writes(&bench);
        assert!(
            !loads
                .iter()
                .any(|(_, address, _)| *address == TodRegister::LoadTod.address())
        );
        assert_eq!(system.chip_tod.counters.failed_restarts(), 1);
        // 10 ms on a clock that the spins of all threads advance together.
        assert!(ran.ticks < 16 * 5_120_000, "{} ticks", ran.ticks);
        bench.assert_rules_kept();
    }
}

/// The topology cannot be switched since the old master does not hear: an honest failure, and the
/// next time, when it does, a success.
#[test]
fn a_switch_that_fails_can_be_made_later() {
    for generation in GENERATIONS {
        let bench = machine(generation, 2, 2, StepNetwork::default());
        let system = bench.booted_system();
        bench.machine.inject_xscom(XscomFault {
            address: Some(TodRegister::TxTtype1.address()),
            ..XscomFault::new(XscomAnswer::Status(7))
        });
        starve(&bench, 0, 0);
        let ran = bench.run(&system, Schedule::Seeded(1)).go();
        assert!(ran.events.iter().all(|event| !event.recovered));
        bench.machine.heal_xscom();
        bench.machine.inject(&Fault::Hmer {
            threads: (0..4).collect(),
            bits: Hmer::TFAC_ERROR.bits(),
        });
        let ran = bench.run(&system, Schedule::Seeded(1)).go();
        assert_all_good(&bench, &ran);
        assert_eq!(system.chip_tod.counters.switches(), 1);
    }
}

/// Each access of a switch fails once, or from then on: no hang, and what is called recovered is.
#[test]
fn every_access_of_a_switch_may_fail() {
    for generation in GENERATIONS {
        for after in 0..45 {
            for count in [1, u64::MAX] {
                let bench = machine(generation, 3, 1, StepNetwork::default());
                let system = bench.booted_system();
                starve(&bench, 0, 0);
                bench.machine.inject_xscom(XscomFault {
                    after,
                    count,
                    ..XscomFault::new(XscomAnswer::Status(6))
                });
                let ran = bench.run(&system, Schedule::Seeded(after)).go();
                for thread in 0..6 {
                    if ran.flags(thread) & TB_RESYNC != 0 && ran.flags(thread) & TOD_TB_FAIL == 0 {
                        bench.assert_time(thread);
                    }
                }
                bench.assert_hmer_clean(&ran);
                bench.assert_rules_kept();
            }
        }
    }
}
