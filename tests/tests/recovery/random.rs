//! Random faults, threads and schedules: whatever happens, no lie and no hang.

use super::*;
use hardware_model::ThreadError;
use opal_abi::hmi_flags::TOD_TB_FAIL;
use opaline_tests::Role;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[derive(Clone)]
struct Case {
    generation: Generation,
    chips: usize,
    cores: usize,
    threads: usize,
    faults: Vec<(u64, usize, u8, u64)>,
    roles: Vec<u8>,
    seed: u64,
}

/// In few lines, with what the numbers stand for.
impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            generation,
            chips,
            cores,
            threads,
            faults,
            seed,
            ..
        } = self;
        let roles: Vec<_> = (0..chips * cores * threads)
            .map(|thread| self.role(thread))
            .collect();
        write!(
            f,
            "{generation:?}, {chips} chips of {cores} cores of {threads} threads, "
        )?;
        write!(f, "seed {seed}, roles {roles:?}")?;
        for (at, place, kind, value) in faults {
            write!(f, ", at {at}: {:?}", self.fault(*place, *kind, *value))?;
        }
        Ok(())
    }
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop::sample::select(&GENERATIONS[..]),
        1..=2_usize,
        1..=2_usize,
        1..=8_usize,
        prop::collection::vec((0..500_u64, 0..64_usize, 0..14_u8, any::<u64>()), 1..4),
        prop::collection::vec(0..12_u8, 32),
        any::<u64>(),
    )
        .prop_map(
            |(generation, chips, cores, threads, faults, roles, seed)| Case {
                generation,
                chips,
                cores,
                threads: threads.min(most_threads(generation)),
                faults,
                roles,
                seed,
            },
        )
}

impl Case {
    fn fault(&self, place: usize, kind: u8, value: u64) -> Fault {
        let core = place % (self.chips * self.cores);
        let mut thread = place % (self.chips * self.cores * self.threads);
        if self.role(thread) == Role::Absent {
            thread -= thread % self.threads;
        }
        let error = match kind {
            0 => CoreError::TbResidue,
            1 => CoreError::HdecParity,
            2 => CoreError::TbstCorrupt,
            3 => CoreError::MissingSync,
            4 => CoreError::MissingStep,
            5 => CoreError::FirmwareControl,
            6 if self.generation == Generation::Power10 => CoreError::Transfer,
            7 if self.generation == Generation::Power10 => CoreError::NoReason,
            6 | 8 => CoreError::TfmrCorrupt {
                tb_survives: value & 1 == 0,
            },
            7 | 9 => CoreError::StuckMove,
            10 => {
                return Fault::Thread {
                    thread,
                    error: ThreadError::DecParity,
                };
            }
            11 => {
                return Fault::Thread {
                    thread,
                    error: ThreadError::PurrParity,
                };
            }
            12 => {
                return Fault::Thread {
                    thread,
                    error: ThreadError::SpurrParity,
                };
            }
            _ => {
                let bits = power_registers::chip_tod::TodError::CACHED_PARITY[(value % 9) as usize];
                return Fault::Tod {
                    chip: place % self.chips,
                    bits: bits.bits(),
                };
            }
        };
        core_fault(core, error)
    }

    fn role(&self, thread: usize) -> Role {
        match self.roles[thread % self.roles.len()] {
            // Somebody must take the interrupt.
            _ if thread.is_multiple_of(self.threads) => Role::Os,
            0 => Role::Idle,
            1 => Role::Late(self.seed % 500),
            // POWER8 threads share what must be cleaned, so one of them may be away.
            2 if self.generation == Generation::Power8 => Role::Absent,
            _ => Role::Os,
        }
    }
}

/// The same cases in each run, unless PROPTEST_RNG_SEED asks for others; PROPTEST_CASES for more.
fn configuration() -> ProptestConfig {
    let given = ProptestConfig::default();
    let rng_seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0x6f70_616c),
        fixed => fixed,
    };
    ProptestConfig {
        rng_seed,
        failure_persistence: None,
        ..given
    }
}

proptest! {
    #![proptest_config(configuration())]

    #[test]
    fn no_lie_and_no_hang(case in case()) {
        let bench = bench(case.generation, case.chips, case.cores, case.threads);
        let system = bench.booted_system();
        for (at, place, kind, value) in &case.faults {
            let fault = case.fault(*place, *kind, *value);
            if *at < 250 {
                bench.machine.inject(&fault);
            } else {
                bench.machine.inject_after(*at - 249, fault);
            }
        }
        let mut unrecovered = 0;
        let mut failed = vec![false; bench.machine.configuration().threads()];
        // Faults that were scheduled beyond the first run strike in the second; in the third those
        // who were idle run the OS, and take what is pending.
        for round in 0..3 {
            let mut run = bench.run(&system, Schedule::Seeded(case.seed.wrapping_add(round)));
            for thread in 0..bench.machine.configuration().threads() {
                let role = match case.role(thread) {
                    Role::Idle if round == 2 => Role::Os,
                    role => role,
                };
                run = run.role(thread, role);
            }
            let ran = run.go();
            unrecovered += ran.events.iter().filter(|event| !event.recovered).count();
            prop_assert!(ran.events.len() <= 64);
            for (thread, outcomes) in ran.outcomes.iter().enumerate() {
                // An idle thread takes no interrupt: what comes after its summons waits.
                let takes = round == 2 || case.role(thread) != Role::Idle;
                let hmer = bench.machine.hmer(thread) - Hmer::XSCOM_MAILBOX;
                prop_assert!(
                    outcomes.is_empty() || !takes || hmer.is_empty(),
                    "thread {}: {:?}", thread, hmer
                );
                if let Some(last) = outcomes.last() {
                    failed[thread] = last.flags & TOD_TB_FAIL != 0;
                }
            }
        }
        for (thread, failed) in failed.into_iter().enumerate() {
            let tfmr = bench.machine.tfmr(thread);
            if tfmr.contains(Tfmr::TB_VALID) {
                bench.assert_time(thread);
            } else {
                prop_assert!(unrecovered > 0, "thread {}: {:?}, and nobody said so", thread, tfmr);
                prop_assert!(
                    failed || !matches!(case.role(thread), Role::Os | Role::Late(_)),
                    "thread {}: {:?} without TOD_TB_FAIL", thread, tfmr
                );
            }
        }
        // The TOD runs all the time and everyone comes, so everything can be repaired.
        for core in 0..bench.machine.configuration().cores() {
            bench.assert_core_good(core);
        }
        prop_assert_eq!(unrecovered, 0);
        let violations = bench.machine.violations();
        prop_assert!(violations.is_empty(), "{:#x?}", violations);
    }
}
