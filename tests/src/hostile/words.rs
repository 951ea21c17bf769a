//! Register words at the entry of the handler: any TFMR, HMER and TOD ERROR.
//!
//! On the strict model, as far as it can be brought there; and on hardware that answers what it
//! likes, where nothing can be repaired and all that counts is that the handler comes to an end and
//! does not call a TB good that TFMR calls bad.

use super::chaos::{Answer, Chaos};
use super::{Input, faults, tell};
use crate::{Bench, Role, Schedule};
use hardware_model::{Configuration, Fault, Generation};
use opal_abi::hmi_flags;
use opaline_firmware::hmi;
use opaline_firmware::system::Participation;
use opaline_firmware::timebase;
use power_registers::{Hmer, TbState, Tfmr};

/// Puts words into registers and lets the firmware handle what comes.
///
/// # Panics
/// If a promise is broken.
pub(super) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    if input.one_in(2) {
        on_the_model(&mut input);
    } else {
        on_chaos(&mut input);
    }
}

fn on_the_model(input: &mut Input<'_>) {
    let bench = Bench::new(faults::configuration(input));
    let configuration = bench.machine.configuration().clone();
    let mut known = faults::Known::Exactly;
    let system = bench.booted_system();
    faults::note_timebases(&bench, &system);
    for _ in 0..1 + input.below(3) {
        let core = input.below(configuration.cores());
        let fault = match input.below(3) {
            0 => Fault::Core {
                core,
                error: faults::raw(input),
            },
            1 => Fault::Tod {
                chip: input.below(configuration.chips),
                bits: input.number(),
            },
            _ => {
                let first = core * configuration.threads_per_core;
                Fault::Hmer {
                    threads: (first..first + configuration.threads_per_core).collect(),
                    bits: input.number(),
                }
            }
        };
        known = known.min(faults::known_after(&fault));
        tell(|| format!("{fault:?}"));
        bench.machine.inject(&fault);
    }
    let seed = input.word();
    let mut unrecovered = 0;
    let mut told = vec![false; configuration.threads()];
    let ran = bench.run(&system, Schedule::Seeded(seed)).go();
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
    bench.assert_hmer_clean(&ran);
    faults::judge(&bench, &told, unrecovered, known);
}

fn answer(input: &mut Input<'_>, word: u64) -> Answer {
    match input.below(4) {
        0 | 1 => Answer::Fixed(word),
        2 => Answer::Memory(word),
        _ => Answer::Anything,
    }
}

/// TFMR as the firmware leaves it, with some bits changed, or any word.
fn tfmr_word(input: &mut Input<'_>, base: u64) -> u64 {
    let good = Tfmr::from_bits_retain(base).with_states(TbState::Running, TbState::GetTod)
        | Tfmr::TB_VALID
        | Tfmr::TB_ENABLED;
    match input.below(3) {
        0 => good.bits() ^ input.number(),
        1 => good.bits() | input.number(),
        _ => input.number(),
    }
}

fn on_chaos(input: &mut Input<'_>) {
    let generation = input.pick(&[Generation::Power8, Generation::Power9, Generation::Power10]);
    let threads = input.pick(&[1, 1, 2, 4]);
    let bench = Bench::new(Configuration::new(generation, 1, 1, threads));
    let system = bench.system();
    // The others do not come.
    for thread in 1..threads {
        system.set_participation(bench.pir(thread), Participation::Absent);
    }
    let pir = bench.pir(input.below(threads));
    system.set_participation(pir, Participation::Running);
    let mut chaos = Chaos::new(&bench.platform, pir, input.word());
    let word = tfmr_word(input, bench.machine.configuration().base());
    chaos.tfmr = answer(input, word);
    let time = input.number();
    chaos.timebase = answer(input, time);
    let scom = input.number();
    chaos.scom = answer(input, scom);
    chaos.hmer = input.number();
    let later = input.one_in(4);
    if later {
        chaos.later = Some((input.below(200) as u64, input.number()));
    }
    if input.one_in(8) {
        chaos.lost = input.byte() / 16;
    }
    if input.one_in(4) {
        chaos.failed = input.byte();
    }
    tell(|| format!("{chaos:x?}"));
    let outcome = hmi::handle(&mut chaos, &system);
    if let Answer::Fixed(word) = chaos.tfmr {
        let tfmr = Tfmr::from_bits_retain(word);
        let good = tfmr.tb_usable() && tfmr.state() == TbState::Running;
        assert!(
            good || outcome.flags & hmi_flags::TOD_TB_FAIL != 0,
            "{tfmr:?} and flags {:#x}",
            outcome.flags
        );
    }
    // What HMER can raise is gone, unless it came later.
    let left = Hmer::from_bits_retain(chaos.hmer & Hmer::IMPLEMENTED) - Hmer::XSCOM_MAILBOX;
    assert!(later || left.is_empty(), "{left:?}");
    if input.one_in(4) {
        let resynced = timebase::resync(&mut chaos, &system);
        if let (Answer::Fixed(word), Ok(())) = (chaos.tfmr, resynced) {
            assert!(Tfmr::from_bits_retain(word).tb_usable());
        }
    }
    let mut events = 0;
    while let Some(message) = system.events.take() {
        assert_eq!(message[8], 2, "version");
        events += 1;
    }
    assert!(events < 64, "{events} events of one call");
}

/// Role of a thread in a run, by a byte.
pub(super) fn role(input: &mut Input<'_>, thread: usize, per_core: usize) -> Role {
    match input.below(8) {
        // Somebody must take the interrupt.
        _ if thread.is_multiple_of(per_core) => Role::Os,
        0 => Role::Idle,
        1 => Role::Late(input.below(600) as u64),
        _ => Role::Os,
    }
}
