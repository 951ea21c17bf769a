//! SCOMs that fail, and SCOMs that lie: reads that give ones, zeros, random words or a wrong bit.
//!
//! Whatever they say, boot and recovery come to an end, and a TB that is called good is the time.

use super::{Input, faults, tell, words};
use crate::{Bench, Schedule};
use hardware_model::Start;
use opal_abi::hmi_flags;
use opaline_firmware::timebase::boot;
use power_registers::{TbState, Tfmr};

/// Boots or recovers while SCOMs lie.
///
/// # Panics
/// If a promise is broken.
pub(super) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    if input.one_in(4) {
        boot_with_lies(&mut input);
    } else {
        recover_with_lies(&mut input);
    }
}

fn boot_with_lies(input: &mut Input<'_>) {
    let mut configuration = faults::configuration(input);
    configuration.start = input.pick(&[Start::Reset, Start::EarlyFirmware]);
    let bench = Bench::new(configuration);
    let system = bench.system();
    for _ in 0..1 + input.below(2) {
        let fault = faults::scom_fault(input, &bench);
        tell(|| format!("{fault:?}"));
        bench.machine.inject_xscom(fault);
    }
    let per_core = bench.machine.configuration().threads_per_core;
    for core in 0..bench.machine.configuration().cores() {
        let mut hardware = bench.hardware(core * per_core);
        let started = if core == 0 {
            boot::initialise_master(&mut hardware, &system).is_ok()
        } else {
            boot::initialise_core(&mut hardware, &system).is_ok()
        };
        let tfmr = bench.machine.tfmr(core * per_core);
        let runs = tfmr.contains(Tfmr::TB_VALID) && tfmr.state() == TbState::Running;
        assert!(!started || runs, "core {core} was started: {tfmr:?}");
    }
    let _ = system.cache_tod_registers(&mut bench.hardware(0));
    faults::judge_rules(&bench, false);
}

fn recover_with_lies(input: &mut Input<'_>) {
    let bench = Bench::new(faults::configuration(input));
    let configuration = bench.machine.configuration().clone();
    let system = if input.one_in(8) {
        // The cache itself may be full of lies.
        let system = bench.system();
        let fault = faults::scom_fault(input, &bench);
        tell(|| format!("{fault:?}"));
        bench.machine.inject_xscom(fault);
        let _ = system.cache_tod_registers(&mut bench.hardware(0));
        system
    } else {
        bench.booted_system()
    };
    for _ in 0..1 + input.below(2) {
        let fault = faults::scom_fault(input, &bench);
        tell(|| format!("{fault:?}"));
        bench.machine.inject_xscom(fault);
    }
    faults::note_timebases(&bench, &system);
    // A lie may be that a TOD has stopped: then it is started from an estimate.
    let mut known = faults::Known::Nearly;
    for _ in 0..1 + input.below(2) {
        let fault = faults::fault(input, &configuration);
        known = known.min(faults::known_after(&fault));
        let moment = faults::moment(input);
        tell(|| format!("{moment:?}: {fault:?}"));
        bench.machine.inject_at(moment, fault);
    }
    let seed = input.word();
    let mut unrecovered = 0;
    let mut told = vec![false; configuration.threads()];
    for round in 0..2 {
        if round == 1 && input.one_in(2) {
            bench.machine.heal_xscom();
        }
        let mut run = bench.run(&system, Schedule::Seeded(seed.wrapping_add(round)));
        for thread in 0..configuration.threads() {
            if round == 0 {
                let role = words::role(input, thread, configuration.threads_per_core);
                tell(|| format!("thread {thread}: {role:?}"));
                run = run.role(thread, role);
            }
        }
        let ran = run.go();
        tell(|| format!("{ran:x?}"));
        unrecovered += ran
            .events
            .iter()
            .filter(|event| faults::is_unrecovered(event))
            .count();
        for (told, outcomes) in told.iter_mut().zip(&ran.outcomes) {
            if let Some(last) = outcomes.last() {
                *told = last.flags & hmi_flags::TOD_TB_FAIL != 0;
            }
        }
    }
    faults::judge(&bench, &told, unrecovered, known);
}
