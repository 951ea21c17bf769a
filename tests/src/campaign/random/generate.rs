use crate::scenario::{
    Backup, Case, CommandFailure, Doing, FaultCase, Kind, Moment, Processor, Shape, ThreadCase,
    Who, Word,
};
use hardware_model::Random;
use power_registers::chip_tod::TodError;
use power_registers::{Hmer, ibm};

/// Most accesses after the start at which a fault strikes.
const LATEST: u64 = 1500;

/// Of a hundred.
fn chance(random: &mut Random, percent: u64) -> bool {
    random.below(100) < percent
}

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

/// The case of this number; always the same one.
#[must_use]
pub fn generate(number: u64) -> Case {
    // Neighbours must not resemble each other.
    let mut random = Random::new(number.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x6f70_616c);
    let random = &mut random;
    let processor = pick(
        random,
        &[Processor::Power8, Processor::Power9, Processor::Power10],
    );
    let shape = shape(random, processor);
    let title = format!("Campaign, number {number}");
    let mut case = Case::judged(title, processor, random.word() >> 1, shape);
    threads(random, &mut case);
    keep_one_who_takes_interrupts(&mut case);
    let count = pick(random, &[1, 1, 1, 2, 2, 3, 4]);
    for _ in 0..count {
        let fault = fault(random, &case);
        case.faults.push(fault);
    }
    if chance(random, 6) {
        case.faults.push(scom(random));
    }
    case
}

fn shape(random: &mut Random, processor: Processor) -> Shape {
    let power8 = processor == Processor::Power8;
    let chips = pick(random, &[1, 1, 1, 1, 1, 2, 2, 2, 3, 4]);
    let threads = pick(random, if power8 { &[1, 2, 4, 8] } else { &[1, 2, 4, 4] });
    let cores = match chips * threads {
        0..=4 => pick(random, &[1, 1, 2, 3, 4]),
        5..=8 => pick(random, &[1, 2]),
        _ => 1,
    };
    let subcores = if power8 && threads >= 4 {
        pick(random, &[1, 1, 2, 4])
    } else {
        1
    };
    let secondary = [
        Backup::Present,
        Backup::Present,
        Backup::Disabled,
        Backup::Absent,
    ];
    Shape {
        chips,
        cores,
        threads,
        subcores,
        fused: !power8 && cores % 2 == 0 && chance(random, 25),
        backup: if chips > 1 {
            pick(random, &secondary)
        } else {
            Backup::Present
        },
        write_twice: chance(random, 85),
        latched_errors: chance(random, 85),
    }
}

fn threads(random: &mut Random, case: &mut Case) {
    let power8 = case.generations[0] == Processor::Power8;
    for core in 0..case.shape.all_cores() {
        // Of the threads of a POWER8 core, which share TB, one is in a guest.
        // Rarely: bringing guests where they should be costs more than many recoveries.
        let guests = chance(random, 4);
        let mut guest = false;
        for number in 0..case.shape.threads {
            let thread = core * case.shape.threads + number;
            let mut entry = ThreadCase {
                who: Who::thread(thread),
                doing: Doing::Host,
                spins: 0,
                accesses: 0,
            };
            let may_guest = guests && !(power8 && guest);
            entry.doing = match random.below(1000) {
                0..=449 if may_guest => pick(
                    random,
                    &[Doing::Guest, Doing::Guest, Doing::Entering, Doing::Leaving],
                ),
                // The one who leads.
                764..=767 if number == 0 && case.shape.threads > 1 => Doing::Dies,
                // Somebody must take the interrupt.
                _ if number == 0 => Doing::Host,
                450..=549 => Doing::Late,
                550..=609 => Doing::HostClosed,
                610..=649 => Doing::Opal,
                650..=709 if !guests => Doing::Idle,
                710..=739 => Doing::Offline,
                740..=759 => Doing::NeverStarted,
                760..=763 => Doing::Lost,
                764..=767 => Doing::Dies,
                _ => Doing::Host,
            };
            match entry.doing {
                Doing::Late | Doing::HostClosed | Doing::Opal | Doing::Offline => {
                    entry.spins = random.below(300);
                }
                Doing::Dies => entry.accesses = random.below(120),
                Doing::Guest | Doing::Entering | Doing::Leaving => guest = true,
                _ => {}
            }
            if entry.doing != Doing::Host {
                case.threads.push(entry);
            }
        }
    }
}

/// Whether the thread takes its interrupts.
fn takes(case: &Case, thread: usize) -> bool {
    !matches!(
        case.doing(thread),
        Doing::NeverStarted | Doing::Lost | Doing::Dies | Doing::Idle
    )
}

/// A leader dies only where a sibling can tell.
fn keep_one_who_takes_interrupts(case: &mut Case) {
    let per_core = case.shape.threads;
    let alone = |thread: usize| {
        let first = thread - thread % per_core;
        !(first..first + per_core).any(|sibling| takes(case, sibling))
    };
    let cores = case.shape.all_cores();
    let deaf: Vec<usize> = (0..cores).map(|core| core * per_core).collect();
    let deaf: Vec<Who> = deaf
        .into_iter()
        .filter(|thread| alone(*thread))
        .map(Who::thread)
        .collect();
    case.threads.retain(|entry| !deaf.contains(&entry.who));
}

const CORE_KINDS: [Kind; 12] = [
    Kind::TbResidue,
    Kind::HdecParity,
    Kind::TbstCorrupt,
    Kind::MissingSync,
    Kind::MissingStep,
    Kind::FirmwareControl,
    Kind::NoReason,
    Kind::TfmrCorrupt,
    Kind::TfmrCorruptTbLost,
    Kind::StuckMove,
    Kind::StuckLoadTodMod,
    Kind::TodParity,
];

const FAILURES: [CommandFailure; 5] = [
    CommandFailure::ClearIneffective,
    CommandFailure::LoadStuck,
    CommandFailure::MoveLost,
    CommandFailure::MoveParity,
    CommandFailure::MoveResidue,
];

pub(in crate::campaign) fn fault(random: &mut Random, case: &Case) -> FaultCase {
    let processor = case.generations[0];
    let power10 = processor == Processor::Power10;
    let core = random.below(case.shape.all_cores() as u64) as usize;
    let thread = random.below(case.shape.all_threads() as u64) as usize;
    let chip = random.below(case.shape.chips as u64) as usize;
    let of_core = |kind| FaultCase {
        core: Some(core),
        ..FaultCase::new(kind)
    };
    let of_thread = |kind| FaultCase {
        // It must be seen by the thread itself.
        thread: Some(if takes(case, thread) {
            thread
        } else {
            thread - thread % case.shape.threads
        }),
        ..FaultCase::new(kind)
    };
    let of_chip = |kind, bits| FaultCase {
        chip: Some(chip),
        bits: Some(Word(bits)),
        ..FaultCase::new(kind)
    };
    let mut fault = match random.below(1000) {
        0..=499 => of_core(pick(random, &CORE_KINDS)),
        500..=519 if power10 => of_core(Kind::Transfer),
        500..=519 => of_core(Kind::TodTimeout),
        520..=559 => FaultCase {
            failure: Some(pick(random, &FAILURES)),
            count: Some(1 + random.below(2)),
            ..of_core(Kind::CommandsFail)
        },
        560..=579 => FaultCase {
            value: Some(Word(random.below(200_000))),
            ..of_core(Kind::StepsLost)
        },
        580..=699 => of_thread(pick(
            random,
            &[
                Kind::DecParity,
                Kind::PurrParity,
                Kind::SpurrParity,
                Kind::PurrOverflow,
                Kind::SpurrOverflow,
            ],
        )),
        700..=779 => {
            let bits = pick(random, &TodError::CACHED_PARITY).bits();
            of_chip(Kind::Tod, bits)
        }
        780..=829 => {
            let bit = random.below(64) as u32;
            of_chip(Kind::Tod, ibm(bit))
        }
        830..=849 => of_chip(
            Kind::Tod,
            pick(
                random,
                &[
                    TodError::I_PATH_SYNC_CHECK,
                    TodError::FSM_STATE_PARITY,
                    TodError::TIME_REGISTER_PARITY,
                ],
            )
            .bits(),
        ),
        850..=859 => FaultCase {
            bits: None,
            path: random.below(2) as u8,
            ..of_chip(Kind::OscillatorDead, 0)
        },
        860..=869 => FaultCase {
            bits: None,
            path: random.below(2) as u8,
            ..of_chip(Kind::SlavePathDead, 0)
        },
        870..=884 => FaultCase {
            bits: Some(Word(ibm(random.below(64) as u32))),
            ..of_core(Kind::CoreFir)
        },
        885..=899 => FaultCase {
            bits: Some(Word(ibm(random.below(64) as u32))),
            ..of_core(Kind::Recovered)
        },
        900..=909 if !power10 => {
            let value = if chance(random, 20) { ibm(12) } else { 0 };
            let bit = random.below(64) as u32;
            FaultCase {
                value: Some(Word(value)),
                ..of_chip(Kind::Nx, ibm(bit))
            }
        }
        910..=919 if !power10 => {
            let bit = random.below(64) as u32;
            of_chip(Kind::Capp, ibm(bit))
        }
        900..=929 => {
            let bit = random.below(64) as u32;
            FaultCase {
                unit: if processor == Processor::Power9 {
                    random.below(3) as usize
                } else {
                    0
                },
                ..of_chip(Kind::Npu, ibm(bit))
            }
        }
        930..=939 => FaultCase {
            bits: None,
            ..of_chip(Kind::Alert, 0)
        },
        940..=959 => of_core(if power10 {
            pick(
                random,
                &[
                    Kind::RecoveredAgain,
                    Kind::SpurrScaleLimit,
                    Kind::ScomFir,
                    Kind::DebugTrigger,
                ],
            )
        } else {
            pick(
                random,
                &[
                    Kind::RecoveredMasked,
                    Kind::RecoveredAgain,
                    Kind::ScomFir,
                    Kind::DebugTrigger,
                    Kind::HypervisorResource,
                ],
            )
        }),
        // An HMI that nothing explains, and bits that mean something else.
        _ => FaultCase {
            threads: Some(Who {
                core: Some(core),
                ..Who::default()
            }),
            bits: Some(Word(ibm(random.below(32) as u32))),
            ..FaultCase::new(Kind::Hmer)
        },
    };
    if chance(random, 50) {
        let after = Some(1 + random.below(LATEST));
        // Between the clearing of the mailbox and the access, nothing but an access fills it.
        let mailbox = fault.kind == Kind::Hmer
            && fault
                .bits
                .is_some_and(|bits| bits.0 & Hmer::XSCOM_MAILBOX.bits() != 0);
        if !mailbox {
            fault.when = Moment {
                after,
                ..Moment::default()
            };
        }
    }
    fault
}

fn scom(random: &mut Random) -> FaultCase {
    FaultCase {
        skip: random.below(30),
        count: if chance(random, 70) {
            Some(1 + random.below(3))
        } else {
            None
        },
        status: Some(1 + random.below(8))
            .filter(|code| *code < 8)
            .map(|code| code as u8),
        ..FaultCase::new(Kind::Xscom)
    }
}

/// Whether everything in the case can be repaired: errors of cores and threads and of registers that
/// firmware restores, on a machine where everyone comes.
pub(in crate::campaign) fn must_recover(case: &Case) -> bool {
    let everyone = case.threads.iter().all(|entry| {
        !matches!(
            entry.doing,
            Doing::NeverStarted | Doing::Lost | Doing::Dies | Doing::Idle | Doing::Offline
        )
    });
    everyone
        && case.faults.iter().all(|fault| {
            let parity = |bits: Word| {
                let mut all = TodError::CACHED_PARITY.iter();
                all.any(|parity| parity.bits() == bits.0)
            };
            match fault.kind {
                Kind::Transfer
                | Kind::DecParity
                | Kind::PurrParity
                | Kind::SpurrParity
                | Kind::PurrOverflow
                | Kind::SpurrOverflow => true,
                Kind::Tod => fault.bits.is_some_and(parity),
                kind => CORE_KINDS.contains(&kind),
            }
        })
}
