//! Every state of TB, with every command left on and every set of error bits.

use super::*;
use opal_abi::hmi_flags::{NEW_EVENT, TOD_TB_FAIL};
use opaline_tests::writes_of;
use power_registers::{Spr, TbState};

/// More TFMR writes than the longest repair needs: two for 25 and 26, two for CLEAR, both once more
/// if the plan was made before the registers were clean, LOAD_TOD_MOD, MOVE.
const MOST_WRITES: usize = 12;

const STATES: [TbState; 7] = [
    TbState::Reset,
    TbState::SendTodMod,
    TbState::NotSet,
    TbState::SyncWait,
    TbState::GetTod,
    TbState::Running,
    TbState::Error,
];

/// All subsets of these bits.
fn subsets(bits: &[Tfmr]) -> impl Iterator<Item = Tfmr> + '_ {
    (0..1_usize << bits.len()).map(move |number| {
        let chosen = bits
            .iter()
            .enumerate()
            .filter(|(bit, _)| number >> bit & 1 != 0);
        chosen.fold(Tfmr::empty(), |all, (_, bit)| all | *bit)
    })
}

#[test]
fn from_any_state() {
    const ERRORS: [Tfmr; 7] = [
        Tfmr::HDEC_PARITY,
        Tfmr::TBST_CORRUPT,
        Tfmr::TB_MISSING_SYNC,
        Tfmr::TB_MISSING_STEP,
        Tfmr::TB_RESIDUE_ERROR,
        Tfmr::FW_CONTROL_ERROR,
        Tfmr::TFAC_XFER_ERROR,
    ];
    const COMMANDS: [Tfmr; 2] = [Tfmr::LOAD_TOD_MOD, Tfmr::MOVE_CHIP_TOD_TO_TB];
    for (generation, errors, threads) in [
        // 25 exists on POWER10 only.
        (Generation::Power10, &ERRORS[..], 1),
        (Generation::Power9, &ERRORS[..6], 2),
    ] {
        for state in STATES {
            for commands in subsets(&COMMANDS) {
                if state == TbState::Running && !commands.is_empty() {
                    // Both clear themselves before TB runs.
                    continue;
                }
                for errors in subsets(errors) {
                    from_one_state(generation, threads, state, commands, errors);
                }
            }
        }
    }
}

fn from_one_state(
    generation: Generation,
    threads: usize,
    state: TbState,
    commands: Tfmr,
    errors: Tfmr,
) {
    let bench = bench(generation, 1, 1, threads);
    let system = bench.booted_system();
    let error = CoreError::Raw {
        state,
        commands,
        errors,
    };
    bench.machine.inject(&core_fault(0, error));
    let ran = bench.run(&system, Schedule::Seeded(errors.bits())).go();
    let context = format!("{generation:?} {error:?}: {:?}", ran.events);
    let broken = state != TbState::Running || !errors.is_empty();
    assert_eq!(ran.events.len(), usize::from(broken), "{context}");
    assert!(ran.events.iter().all(|event| event.recovered), "{context}");
    for thread in 0..threads {
        assert_eq!(ran.flags(thread) & TOD_TB_FAIL, 0, "{context}");
        if !broken {
            assert_eq!(ran.flags(thread) & !NEW_EVENT, 0, "{context}");
        }
        let writes = writes_of(&bench.machine, thread, Spr::Tfmr);
        assert!(writes.len() <= MOST_WRITES, "{context}: {writes:x?}");
    }
    let violations = bench.machine.violations();
    assert!(violations.is_empty(), "{context}: {violations:#x?}");
    bench.assert_core_good(0);
}
