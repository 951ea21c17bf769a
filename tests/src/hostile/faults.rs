//! Machines and what happens to them, out of bytes; and the judgement in the end.

use super::Input;
use crate::{Bench, Event};
use hardware_model::{
    Configuration, CoreError, Fault, Generation, Moment, ThreadError, XscomAnswer, XscomFault,
};
use opaline_firmware::system::System;
use power_registers::chip_tod::{TodError, TodRegister};
use power_registers::{Hmer, TbState, Tfmr};

/// How far TB may be behind the true time after a TOD was started anew from an estimate, in ticks:
/// four seconds.
const BEHIND: u64 = 4 * 512_000_000;
/// How far it may be ahead then: a damaged TB within this window is believed, there is nothing to
/// tell it from a machine that ran for long without an HMI.
const AHEAD: u64 = 1 << 46;

/// A machine of at most 16 threads.
pub(super) fn configuration(input: &mut Input<'_>) -> Configuration {
    let generation = input.pick(&[Generation::Power8, Generation::Power9, Generation::Power10]);
    let (chips, cores, threads) = input.pick(&[
        (1, 1, 1),
        (1, 1, 2),
        (1, 1, 4),
        (1, 1, 4),
        (1, 2, 4),
        (1, 1, 8),
        (2, 1, 4),
        (2, 2, 2),
        (2, 2, 4),
    ]);
    let (cores, threads) = match generation {
        Generation::Power8 => (cores, threads),
        _ if threads > 4 => (2, 4),
        _ => (cores, threads),
    };
    let mut configuration = Configuration::new(generation, chips, cores, threads);
    configuration.trace = false;
    configuration.watchdog = 400_000_000;
    configuration.write_twice = !input.one_in(4);
    configuration.seed = input.byte().into();
    super::tell(|| format!("{generation:?}, {chips} chips of {cores} cores of {threads} threads"));
    configuration
}

/// A fault of the timer facility, the TOD or HMER.
pub(super) fn fault(input: &mut Input<'_>, configuration: &Configuration) -> Fault {
    let core = input.below(configuration.cores());
    let thread = input.below(configuration.threads());
    let chip = input.below(configuration.chips);
    let transfers = configuration.generation == Generation::Power10;
    let error = match input.below(18) {
        0 | 1 => CoreError::TbResidue,
        2 => CoreError::HdecParity,
        3 => CoreError::TbstCorrupt,
        4 => CoreError::MissingSync,
        5 => CoreError::MissingStep,
        6 => CoreError::FirmwareControl,
        7 if transfers => CoreError::Transfer,
        8 if transfers => CoreError::NoReason,
        7..=9 => CoreError::TfmrCorrupt {
            tb_survives: input.one_in(2),
        },
        10 => CoreError::StuckMove,
        11 => CoreError::StuckLoadTodMod,
        12 => match raw(input) {
            // No TB runs on a sudden, in the middle of its repair.
            CoreError::Raw {
                state: TbState::Running,
                ..
            } => CoreError::FirmwareControl,
            error => error,
        },
        13 => {
            return Fault::Thread {
                thread,
                error: input.pick(&[
                    ThreadError::DecParity,
                    ThreadError::PurrParity,
                    ThreadError::SpurrParity,
                    ThreadError::PurrOverflow,
                    ThreadError::SpurrOverflow,
                ]),
            };
        }
        14 => {
            let threads = (0..configuration.threads())
                .filter(|_| input.one_in(2))
                .collect();
            // No hardware says that an access is done which another thread has in flight.
            let bits = input.number() & !Hmer::XSCOM_MAILBOX.bits();
            return Fault::Hmer { threads, bits };
        }
        15 => {
            let bits = input.pick(&TodError::CACHED_PARITY).bits();
            return Fault::Tod { chip, bits };
        }
        16 => {
            let bits = 1 << input.below(64);
            return Fault::Tod { chip, bits };
        }
        _ => {
            let bits = input.number();
            return Fault::Tod { chip, bits };
        }
    };
    Fault::Core { core, error }
}

/// Any state with any commands and errors.
pub(super) fn raw(input: &mut Input<'_>) -> CoreError {
    let state = TbState::from_code(input.byte() % 16);
    let commands = input.pick(&[
        Tfmr::empty(),
        Tfmr::empty(),
        Tfmr::LOAD_TOD_MOD,
        Tfmr::MOVE_CHIP_TOD_TO_TB,
    ]);
    let errors = Tfmr::from_bits_retain(input.number()) & Tfmr::CORE_ERRORS & !Tfmr::TFMR_CORRUPT;
    CoreError::Raw {
        state,
        commands,
        errors,
    }
}

/// SCOMs that fail or lie.
pub(super) fn scom_fault(input: &mut Input<'_>, bench: &Bench) -> XscomFault {
    const REGISTERS: [TodRegister; 8] = [
        TodRegister::Fsm,
        TodRegister::Error,
        TodRegister::ErrorMask,
        TodRegister::TxTtypeControl,
        TodRegister::TodValue,
        TodRegister::PssMssStatus,
        TodRegister::PssMssControl,
        TodRegister::SlavePathControl,
    ];
    // POWER9: SPRD of core 0, where TFMR of thread 0 is read.
    const SPRD: u32 = 0x2001_0a81;
    let address = match input.below(12) {
        number @ 0..=7 => Some(REGISTERS[number].address()),
        8 => Some(SPRD),
        9 => Some(input.pick(&TodRegister::CACHED).address()),
        _ => None,
    };
    let truth = address.and_then(|address| bench.machine.peek_scom(0, address));
    let answer = match input.below(8) {
        0 => XscomAnswer::Lie(u64::MAX),
        1 => XscomAnswer::Lie(0),
        2 => XscomAnswer::Lie(input.word()),
        3 => XscomAnswer::Lie(input.number()),
        4 | 5 => XscomAnswer::Lie(truth.unwrap_or(0) ^ 1 << input.below(64)),
        // A wait for each: few of them.
        6 if input.one_in(16) => XscomAnswer::NeverDone,
        _ => XscomAnswer::Status(2 + input.byte() % 6),
    };
    let most = match answer {
        XscomAnswer::NeverDone => 3,
        _ => u64::MAX,
    };
    XscomFault {
        address,
        after: input.pick(&[0, 0, 0, 1, 2, 3, 5, 8, 13, 30]),
        count: input.pick(&[1, 1, 2, 5, most]).min(most),
        ..XscomFault::new(answer)
    }
}

/// When something happens.
pub(super) fn moment(input: &mut Input<'_>) -> Moment {
    match input.below(4) {
        0 | 1 => Moment::Now,
        2 => Moment::Access(input.below(256) as u64),
        _ => Moment::Access(input.below(4000) as u64),
    }
}

/// How well the time can be known in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// Not at all upwards: a TOD's value itself was damaged, and a core may have loaded it before
    /// anybody looked. It never goes back.
    Damaged,
    /// Nearly: a TOD may have been started from an estimate.
    Nearly,
    /// To the tick.
    Exactly,
}

/// What this fault leaves to be known.
pub(super) fn known_after(fault: &Fault) -> Known {
    match fault {
        Fault::Tod { bits, .. } if bits & TodError::TIME_REGISTER_PARITY.bits() != 0 => {
            Known::Damaged
        }
        Fault::Tod { bits, .. } => {
            let registers = TodError::CACHED_PARITY.map(|parity| parity.bits());
            if registers.contains(bits) {
                Known::Exactly
            } else {
                Known::Nearly
            }
        }
        Fault::Xscom(_) => Known::Nearly,
        _ => Known::Exactly,
    }
}

/// Every thread has seen its TB while it was good, as the boot sees to.
pub(super) fn note_timebases(bench: &Bench, system: &System<'_>) {
    for thread in 0..bench.machine.configuration().threads() {
        system.note_timebase(&mut bench.hardware(thread));
    }
}

/// Whether an event says "not recovered".
pub(super) fn is_unrecovered(event: &Event) -> bool {
    !event.recovered
}

/// Every TB that calls itself valid is right; of every other one somebody was told.
///
/// `told`: per thread whether the last answer said that TB failed. `known`: how well the time can
/// be known.
pub(super) fn judge(bench: &Bench, told: &[bool], unrecovered: usize, known: Known) {
    let machine = &bench.machine;
    for (thread, told) in told.iter().enumerate() {
        let tfmr = machine.tfmr(thread);
        if tfmr.contains(Tfmr::TB_VALID) && tfmr.state() == TbState::Running {
            let (timebase, truth) = (machine.timebase(thread), machine.true_time());
            let right = match known {
                Known::Exactly => timebase == truth,
                Known::Nearly => {
                    timebase.saturating_add(BEHIND) >= truth
                        && timebase <= truth.saturating_add(AHEAD)
                }
                Known::Damaged => timebase.saturating_add(BEHIND) >= truth,
            };
            assert!(
                right || *told,
                "TB of thread {thread} is {timebase:#x}, the time is {truth:#x}, {tfmr:?}"
            );
        } else {
            assert!(
                *told || unrecovered > 0,
                "thread {thread}: {tfmr:?}, and nobody said so"
            );
        }
    }
    judge_rules(bench, known == Known::Exactly);
}

/// No rule of the model was broken; where SCOMs lied the firmware cannot know the state of a TOD.
pub(super) fn judge_rules(bench: &Bench, honest: bool) {
    let mut violations = bench.machine.violations();
    // Who repairs a corrupt TFMR reads garbage, and cannot know what is in flight there.
    violations.retain(|violation| {
        let repairs = violation.value & Tfmr::TFMR_CORRUPT.bits() != 0;
        !(repairs && violation.rule == "a TFMR write dropped a command in flight")
    });
    violations.retain(|violation| honest || !violation.rule.starts_with("LOAD_TOD"));
    assert!(violations.is_empty(), "{violations:#x?}");
}
