//! Answers of SCOM registers, and moments of faults, that lead to the rarer ends of a repair.

use super::switch::starve;
use super::*;
use hardware_model::{Direction, Moment, XscomAnswer, XscomFault};
use opal_abi::hmi_flags::TOD_TB_FAIL;
use opaline_firmware::system::System;
use opaline_tests::{ModelHardware, Ran, Role, play};
use power_registers::chip_tod::{FSM_RUNNING, TodError, TodStatus};
use power_registers::{TbState, ibm};

const SYNC_CHECK: u64 = TodError::I_PATH_SYNC_CHECK.bits();
const VALUE_PARITY: u64 = ibm(27);
const TIMEOUT: XscomAnswer = XscomAnswer::Status(7);
/// What a suspect's value may be off: 10 ms.
const TOLERANCE_TICKS: u64 = 5_120_000;

fn tod_fault(bench: &Bench, chip: usize, bits: u64) {
    bench.machine.inject(&Fault::Tod { chip, bits });
}

/// Accesses of one kind to a TOD register.
fn accesses(register: TodRegister, direction: Direction, answer: XscomAnswer) -> XscomFault {
    XscomFault {
        address: Some(register.address()),
        direction: Some(direction),
        ..XscomFault::new(answer)
    }
}

fn run(bench: &Bench, system: &System<'_>) -> Ran {
    bench.run(system, Schedule::Seeded(1)).go()
}

fn all_recovered(ran: &Ran) -> bool {
    ran.events.iter().all(|event| event.recovered)
}

/// Who was not told that TB is dead has it near the truth.
#[track_caller]
fn assert_honest(bench: &Bench, ran: &Ran, context: &str) {
    for (thread, outcomes) in ran.outcomes.iter().enumerate() {
        let Some(last) = outcomes.last() else {
            continue;
        };
        let tfmr = bench.machine.tfmr(thread);
        if last.flags & TOD_TB_FAIL != 0 {
            assert!(!all_recovered(ran), "{context}: {:#x?}", ran.events);
            continue;
        }
        assert!(tfmr.tb_usable(), "{context}: thread {thread}: {tfmr:?}");
        let (timebase, truth) = (bench.machine.timebase(thread), bench.machine.true_time());
        let off = timebase.abs_diff(truth);
        assert!(
            off <= TOLERANCE_TICKS || !all_recovered(ran),
            "{context}: thread {thread} is {off} ticks off"
        );
    }
    bench.assert_hmer_clean(ran);
    let mut violations = bench.machine.violations();
    // A TB that begins to run by itself just before it is written: only a fault can do that.
    violations.retain(|one| {
        one.rule != "mttbl while TB is RUNNING" || !context.contains("Raw { state: Running")
    });
    assert!(violations.is_empty(), "{context}: {violations:#x?}");
}

/// POWER10: the write of all ones that has to come first fails.
#[test]
fn a_field_that_must_not_be_zero_is_restored_with_the_next_try() {
    for (count, recovered) in [(1, true), (u64::MAX, false)] {
        let register = TodRegister::SlavePathControl;
        let bench = bench(Generation::Power10, 1, 1, 2);
        let system = bench.booted_system();
        let before = bench.machine.peek_scom(0, register.address());
        tod_fault(&bench, 0, TodError::PARITY_05.bits());
        // What it holds cannot be read, so that it may have been 0.
        bench.machine.inject_xscom(XscomFault {
            count: 2,
            ..accesses(register, Direction::Read, TIMEOUT)
        });
        bench.machine.inject_xscom(XscomFault {
            count,
            ..accesses(register, Direction::Write, TIMEOUT)
        });
        let ran = run(&bench, &system);
        assert_eq!(ran.events.len(), 1);
        assert_eq!(ran.events[0].recovered, recovered, "{count}");
        let after = bench.machine.peek_scom(0, register.address());
        assert_eq!(after == before, recovered, "{count}");
        bench.assert_rules_kept();
    }
}

/// A register is read back after it was restored: another value once is an error that struck again,
/// twice it is no chance; and it may not be readable.
#[test]
fn a_register_is_restored_when_it_reads_back() {
    let (lie, timeout) = (XscomAnswer::Lie(0x77), TIMEOUT);
    for generation in GENERATIONS {
        for (answer, count, recovered) in [
            (lie, 1, true),
            (lie, 2, true),
            (lie, u64::MAX, false),
            (timeout, 1, true),
            (timeout, 2, true),
            (timeout, u64::MAX, false),
        ] {
            let bench = bench(generation, 1, 1, 2);
            let system = bench.booted_system();
            tod_fault(&bench, 0, TodError::PARITY_00.bits());
            bench.machine.inject_xscom(XscomFault {
                count,
                ..accesses(TodRegister::MasterPathControl, Direction::Read, answer)
            });
            let ran = run(&bench, &system);
            assert_eq!(ran.events.len(), 1, "{answer:?} {count}");
            assert_eq!(ran.events[0].recovered, recovered, "{answer:?} {count}");
            bench.assert_rules_kept();
        }
    }
}

/// The TOD's value is wrong beside a TB that runs, and SCOM is so slow that each load comes too late
/// for its sync: that is tried twenty times by each of two threads, and
/// then it is said; nobody takes the time that it got.
#[test]
fn a_rebuild_through_a_slow_scom_ends() {
    for generation in GENERATIONS {
        for cost in [0, 4_000, 9_000] {
            let mut configuration = Configuration::new(generation, 1, 1, 2);
            configuration.costs.xscom += cost;
            let bench = Bench::new(configuration);
            let system = bench.booted_system();
            tod_fault(&bench, 0, VALUE_PARITY);
            let ran = run(&bench, &system);
            assert_eq!(ran.events.len(), 1, "{generation:?} {cost}");
            assert_eq!(all_recovered(&ran), cost != 9_000);
            let writes = bench.machine.trace().into_iter();
            let loads = writes.filter(|access| access.register == tod(TodRegister::LoadTod));
            let loads = loads.count();
            assert_eq!(loads, if cost == 9_000 { 40 } else { 1 }, "{cost}");
            if cost == 9_000 {
                break;
            }
            let off = bench
                .machine
                .tod_time(0)
                .abs_diff(bench.machine.true_time());
            assert_eq!(off, 0, "{generation:?} {cost}: {off} ticks");
            bench.assert_core_good(0);
            bench.assert_rules_kept();
        }
    }
}

/// Nobody could say at boot which topology is in use: that is found out when it is needed.
#[test]
fn a_topology_that_was_not_known_at_boot_is_found_out() {
    for generation in GENERATIONS {
        let bench = bench(generation, 2, 1, 2);
        let system = bench.system();
        tod_fault(&bench, 1, SYNC_CHECK);
        let ran = run(&bench, &system);
        assert!(all_recovered(&ran), "{:#x?}", ran.events);
        assert_eq!(system.chip_tod.counters.followed(), 1);
        (0..2).for_each(|core| bench.assert_core_good(core));
        bench.assert_rules_kept();
    }
}

/// The chip that could send its time had a parity error in it, which nobody looked at yet. Its time is
/// taken if it is near the estimate, and not otherwise; also when no other way is left.
#[test]
fn time_from_a_chip_under_suspicion_is_compared() {
    for generation in GENERATIONS {
        for chips in [2, 3] {
            for (is_near, can_rebuild) in [(true, true), (false, true), (false, false)] {
                for seed in 0..6 {
                    let bench = bench(generation, chips, 1, 1);
                    let system = bench.booted_system();
                    for thread in 0..chips {
                        system.note_timebase(&mut bench.hardware(thread));
                    }
                    let lost = chips - 1;
                    for chip in 0..lost {
                        tod_fault(&bench, chip, VALUE_PARITY);
                        if is_near {
                            let value = bench.machine.true_time();
                            bench.machine.inject(&Fault::TodTime { chip, value });
                        }
                    }
                    tod_fault(&bench, lost, SYNC_CHECK);
                    if !can_rebuild {
                        let load = TodRegister::LoadTod;
                        bench
                            .machine
                            .inject_xscom(accesses(load, Direction::Write, TIMEOUT));
                    }
                    // The others look at their TOD later.
                    let mut run = bench.run(&system, Schedule::Seeded(seed));
                    for thread in 0..lost {
                        run = run.role(thread, Role::Late(20 * seed));
                    }
                    let ran = run.go();
                    let context =
                        format!("{generation:?} {chips} near {is_near} {can_rebuild} {seed}");
                    assert_honest(&bench, &ran, &context);
                    if can_rebuild {
                        assert!(all_recovered(&ran), "{context}: {:#x?}", ran.events);
                    }
                }
            }
        }
    }
}

/// A machine of three chips whose master has no steps.
fn without_steps(generation: Generation) -> Bench {
    let bench = Bench::new(Configuration::new(generation, 3, 1, 1));
    starve(&bench, 0, 0);
    bench
}

/// Whatever of the master or the backup cannot be read or does not do what it is told, in the middle
/// of a switch.
#[test]
fn a_switch_that_is_not_answered_is_not_claimed() {
    use Direction::{Read, Write};
    let status = TodRegister::PssMssStatus;
    let secondary = XscomAnswer::Lie(TodStatus::SECONDARY_IN_USE.bits());
    let ignored = XscomAnswer::Lie(0);
    for generation in GENERATIONS {
        let cases = [
            (0, accesses(status, Read, TIMEOUT)),
            (0, accesses(TodRegister::Error, Read, TIMEOUT)),
            (1, accesses(status, Read, TIMEOUT)),
            (1, accesses(status, Read, secondary)),
            (0, accesses(TodRegister::TxTtype1, Write, ignored)),
            (0, accesses(TodRegister::TxTtype1, Write, TIMEOUT)),
            (1, accesses(TodRegister::Fsm, Read, TIMEOUT)),
            (0, accesses(TodRegister::PssMssControl, Read, TIMEOUT)),
        ];
        for (case, (chip, fault)) in cases.into_iter().enumerate() {
            for after in 0..3 {
                for booted in [true, false] {
                    for seed in 0..4 {
                        let bench = without_steps(generation);
                        let system = if booted {
                            bench.booted_system()
                        } else {
                            bench.system()
                        };
                        bench.machine.inject_xscom(XscomFault {
                            chip: Some(chip),
                            after,
                            ..fault
                        });
                        let context = format!("{generation:?} {case} {after} {booted} {seed}");
                        let ran = bench.run(&system, Schedule::Seeded(seed)).go();
                        assert_honest(&bench, &ran, &context);
                        bench.machine.heal_xscom();
                        bench.machine.inject(&Fault::Hmer {
                            threads: (0..3).collect(),
                            bits: Hmer::TFAC_ERROR.bits(),
                        });
                        let healed = bench.run(&system, Schedule::Seeded(seed)).go();
                        assert_honest(&bench, &healed, &context);
                        for thread in 0..3 {
                            let tfmr = bench.machine.tfmr(thread);
                            assert!(tfmr.tb_usable(), "{context}: {thread}: {tfmr:?}");
                        }
                    }
                }
            }
        }
    }
}

/// Before a switch the followers are stopped: one takes its time, another does not stop at all.
#[test]
fn followers_that_do_not_stop_are_counted() {
    for generation in GENERATIONS {
        for (tod_stop, stubborn) in [(10_000, 0), (u64::MAX / 4, 1)] {
            let mut configuration = Configuration::new(generation, 3, 1, 1);
            configuration.costs.tod_stop = tod_stop;
            let bench = Bench::new(configuration);
            starve(&bench, 0, 0);
            let system = bench.booted_system();
            let ran = run(&bench, &system);
            assert_eq!(system.chip_tod.counters.switches(), 1);
            let counted = system.chip_tod.counters.stubborn_chips();
            assert_eq!(counted, stubborn, "{generation:?} {tod_stop}");
            assert_honest(&bench, &ran, &format!("{generation:?} {tod_stop}"));
        }
    }
}

/// A second fault at each access of a repair: TFMR becomes corrupt, or TB is thrown into another
/// state.
#[test]
fn a_second_fault_of_the_core_at_any_access() {
    let raw = |state, commands, errors| CoreError::Raw {
        state,
        commands,
        errors,
    };
    let none = Tfmr::empty();
    let seconds = [
        CoreError::TfmrCorrupt { tb_survives: true },
        CoreError::TfmrCorrupt { tb_survives: false },
        raw(TbState::Reset, none, none),
        raw(TbState::NotSet, none, none),
        raw(TbState::Running, none, Tfmr::CHIP_TOD_PARITY_ERROR),
        raw(TbState::GetTod, Tfmr::MOVE_CHIP_TOD_TO_TB, none),
        raw(TbState::Error, none, Tfmr::CHIP_TOD_PARITY_ERROR),
    ];
    for generation in GENERATIONS {
        for first in [CoreError::MissingStep, CoreError::TodParity] {
            for second in seconds {
                for at in 1..130 {
                    let bench = bench(generation, 1, 1, 1);
                    let system = bench.booted_system();
                    bench.machine.inject(&core_fault(0, first));
                    bench.machine.inject_after(at, core_fault(0, second));
                    let ran = run(&bench, &system);
                    let context = format!("{generation:?} {first:?} {second:?} at {at}");
                    assert_honest(&bench, &ran, &context);
                }
            }
        }
    }
}

/// The transfer was damaged, and CLEAR does not work the first time: it is loaded again all the same.
#[test]
fn a_damaged_transfer_is_not_forgotten_in_the_second_round() {
    for generation in GENERATIONS {
        for count in 1..4 {
            let bench = bench(generation, 1, 1, 2);
            let system = bench.booted_system();
            let failure = hardware_model::CommandFailure::ClearIneffective;
            let fails = CoreError::CommandsFail { failure, count };
            bench.machine.inject(&core_fault(0, fails));
            bench.machine.inject(&core_fault(0, CoreError::TodParity));
            let ran = run(&bench, &system);
            assert_honest(&bench, &ran, &format!("{generation:?} {count}"));
            assert!(all_recovered(&ran));
            bench.assert_core_good(0);
        }
    }
}

/// The TOD's value is damaged again and again while TB is loaded from it.
#[test]
fn a_value_that_breaks_while_it_is_loaded() {
    for generation in GENERATIONS {
        for first in 1..16 {
            for step in [2, 3, 5, 8, 13, 1_000] {
                let bench = bench(generation, 1, 1, 1);
                let system = bench.booted_system();
                system.note_timebase(&mut bench.hardware(0));
                bench.machine.inject(&core_fault(0, CoreError::MissingStep));
                for n in 0..12 {
                    let bits = VALUE_PARITY;
                    let moment = Moment::Scom(first + n * step);
                    bench
                        .machine
                        .inject_at(moment, Fault::Tod { chip: 0, bits });
                }
                let ran = run(&bench, &system);
                assert_honest(&bench, &ran, &format!("{generation:?} {first} {step}"));
            }
        }
    }
}

/// Resync of one core while another core judges the value of their TOD: it waits for that.
#[test]
fn resync_waits_for_a_judgement() {
    for generation in GENERATIONS {
        for seed in 0..24 {
            let bench = bench(generation, 1, 2, 1);
            let system = bench.booted_system();
            for thread in 0..2 {
                system.note_timebase(&mut bench.hardware(thread));
            }
            tod_fault(&bench, 0, VALUE_PARITY);
            let results = play(Schedule::Seeded(seed), &[0, 1], |thread, turn| {
                let mut hardware = ModelHardware::new(bench.machine.thread(thread), turn);
                if thread == 0 {
                    opaline_firmware::hmi::handle(&mut hardware, &system);
                    return true;
                }
                // Until the other core has seen the error.
                use opaline_firmware::hardware::Hardware as _;
                (0..seed / 2).for_each(|_| hardware.relax());
                opaline_firmware::timebase::resync(&mut hardware, &system).is_ok()
            });
            assert_eq!(results, [Some(true); 2], "{generation:?} {seed}");
            for thread in 0..2 {
                bench.assert_time(thread);
            }
            bench.assert_rules_kept();
        }
    }
}

/// One of the registers that name the chips which alarm is clear already: it is left alone.
#[test]
fn a_register_that_names_nobody_is_not_written() {
    let bench = bench(Generation::Power9, 2, 1, 1);
    let system = bench.booted_system();
    bench.machine.inject(&Fault::Alert { chip: 1 });
    let address = 0x0009_0022;
    bench.machine.inject_xscom(XscomFault {
        address: Some(address),
        chip: Some(0),
        ..XscomFault::new(XscomAnswer::Lie(0))
    });
    let ran = run(&bench, &system);
    assert_eq!(ran.events.len(), 1);
    let written: Vec<_> = bench
        .machine
        .trace()
        .into_iter()
        .filter_map(|access| match access.register {
            Register::ScomWrite { chip, address: at } if at == address => Some(chip),
            _ => None,
        })
        .collect();
    assert_eq!(written, [1]);
}

/// A CAPP explains an alert only if its bits are not masked and it recovers.
#[test]
fn a_capp_that_does_not_recover_explains_nothing() {
    for generation in [Generation::Power8, Generation::Power9] {
        let fir = match generation {
            Generation::Power8 => 0x0201_3000,
            _ => 0x0201_0800,
        };
        let bits = ibm(3);
        // Mask, status, whether the status can be read; what is told.
        for (mask, status, readable, told) in [
            (0, ibm(0), true, (14, true)),
            (bits, ibm(0), true, (0, false)),
            (0, 0, true, (0, false)),
            (0, ibm(0), false, (0, false)),
        ] {
            let bench = bench(generation, 1, 1, 1);
            let system = bench.booted_system();
            let (chip, unit) = (0, 0);
            bench.machine.inject(&Fault::Capp { chip, unit, bits });
            bench.machine.provide_scom(0, fir + 3, mask);
            bench.machine.provide_scom(0, fir + 0xe, status);
            if !readable {
                bench.machine.inject_xscom(XscomFault {
                    address: Some(fir + 0xe),
                    ..XscomFault::new(TIMEOUT)
                });
            }
            let ran = run(&bench, &system);
            let context = format!("{generation:?} {mask:#x} {status:#x} {readable}");
            assert_eq!(ran.events.len(), 1, "{context}: {:#x?}", ran.events);
            assert_eq!(ran.events[0].recovered, told.1, "{context}");
            if told.1 {
                assert_eq!(ran.events[0].severity, 0, "{context}");
            } else {
                assert_eq!(ran.events[0].severity, 3, "{context}");
            }
        }
    }
}

/// NX asks again for what it was reported for: no second event; for another reason: one.
#[test]
fn an_attention_that_was_told_is_not_told_again() {
    for generation in [Generation::Power8, Generation::Power9] {
        let bench = bench(generation, 1, 1, 1);
        let system = bench.booted_system();
        let (chip, pbi) = (0, 0);
        for (dma, told) in [(ibm(16), 1), (ibm(16), 0), (ibm(31), 1), (ibm(31), 0)] {
            bench.machine.inject(&Fault::Nx { chip, dma, pbi });
            let ran = run(&bench, &system);
            assert_eq!(ran.events.len(), told, "{dma:#x}: {:#x?}", ran.events);
        }
        bench.assert_rules_kept();
    }
}

/// What a chip says of its FSM counts, not what it should be.
#[test]
fn a_tod_that_claims_to_run_is_asked_for_its_time() {
    let bench = bench(Generation::Power9, 1, 1, 1);
    let system = bench.booted_system();
    tod_fault(&bench, 0, SYNC_CHECK);
    bench.machine.inject_xscom(accesses(
        TodRegister::Fsm,
        Direction::Read,
        XscomAnswer::Lie(FSM_RUNNING),
    ));
    let ran = run(&bench, &system);
    assert!(!all_recovered(&ran));
    assert_ne!(ran.flags(0) & TOD_TB_FAIL, 0);
}

/// The switch is asked for and never happens: two chips without time do not call one another for
/// ever, and each says that it failed.
#[test]
fn a_switch_that_never_happens_is_no_storm() {
    for generation in GENERATIONS {
        for seed in 0..8 {
            let bench = without_steps(generation);
            let system = bench.booted_system();
            let write = TodRegister::TxTtype1;
            let ignored = XscomAnswer::Lie(0);
            bench
                .machine
                .inject_xscom(accesses(write, Direction::Write, ignored));
            let ran = bench.run(&system, Schedule::Seeded(seed)).go();
            for thread in [0, 2] {
                let calls = ran.outcomes[thread].len();
                assert!((1..=4).contains(&calls), "{thread}: {calls} calls");
                assert_ne!(ran.flags(thread) & TOD_TB_FAIL, 0, "{thread}");
            }
            assert!(ran.events.iter().any(|event| !event.recovered));
            assert_honest(&bench, &ran, &format!("{generation:?} {seed}"));
        }
    }
}

/// Nobody looked yet at a parity error of the TOD's value, or it strikes while TB is loaded: resync
/// does not take that time for good.
#[test]
fn resync_takes_no_value_that_nobody_looked_at() {
    for generation in GENERATIONS {
        for at in 0..12 {
            let bench = bench(generation, 1, 1, 2);
            let system = bench.booted_system();
            (0..2).for_each(|thread| system.note_timebase(&mut bench.hardware(thread)));
            let (chip, bits) = (0, VALUE_PARITY);
            if at == 0 {
                tod_fault(&bench, chip, bits);
            } else {
                bench
                    .machine
                    .inject_at(Moment::Scom(at), Fault::Tod { chip, bits });
            }
            let result = opaline_firmware::timebase::resync(&mut bench.hardware(0), &system);
            let context = format!("{generation:?} {at}: {result:?}");
            assert!(at != 0 || result.is_err(), "{context}");
            let timebase = bench.machine.timebase(0);
            let off = timebase.abs_diff(bench.machine.true_time());
            assert!(off == 0 || result.is_err(), "{context}: {off} ticks");
            // The HMI repairs it, and then there is something to load.
            let ran = run(&bench, &system);
            assert_honest(&bench, &ran, &context);
            let again =
                || opaline_firmware::timebase::resync(&mut bench.hardware(0), &system).is_ok();
            if !again() {
                // Only now did it strike.
                let ran = run(&bench, &system);
                assert!(!ran.events.is_empty(), "{context}");
                assert!(again(), "{context}");
            }
            let violations = bench.machine.violations();
            assert!(violations.is_empty(), "{context}: {violations:#x?}");
        }
    }
}

/// Four cores of a chip lost TB to a step check, and load it together: whoever comes first clears
/// the check for all.
#[test]
fn step_checks_are_cleared_once_for_all_cores() {
    for generation in GENERATIONS {
        for seed in 0..40 {
            let bench = bench(generation, 1, 4, 1);
            let system = bench.booted_system();
            tod_fault(&bench, 0, TodError::M_PATH_1_STEP_CHECK.bits());
            for core in 0..4 {
                bench
                    .machine
                    .inject(&core_fault(core, CoreError::MissingStep));
            }
            let ran = bench.run(&system, Schedule::Seeded(seed)).go();
            assert!(all_recovered(&ran), "{generation:?} {seed}");
            assert_eq!(system.chip_tod.counters.step_checks(), 1);
            (0..4).for_each(|core| bench.assert_core_good(core));
            bench.assert_rules_kept();
        }
    }
}
