//! Recoveries of 8 and 16 threads, in orders that shuttle's schedulers choose.
//!
//! Everything follows from the number of a set: the machine, what its threads do, the faults, the
//! scheduler and its seed. The orders of a set belong together, since one of the schedulers learns
//! from each run how long the next will be.

use super::judge::{Verdict, honest};
use super::random::{fault, must_recover};
use crate::scenario::{Backup, Case, Doing, Processor, Shape, ThreadCase, Who, explain, run_on};
use crate::schedule::Schedule;
use hardware_model::Random;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Orders in which the threads of one set run.
pub const ORDERS: usize = 20;
/// Most switches of one run. The model's own watchdogs speak first.
const MOST_STEPS: usize = 50_000_000;
const STACK_BYTES: usize = 1 << 20;

/// How a set is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// At each access anyone may be next.
    Random,
    /// Threads have priorities that change at so many points: few switches, at the worst places.
    Priorities {
        /// The points.
        changes: usize,
    },
}

/// One set.
#[derive(Clone, Debug)]
pub struct Set {
    /// The machine, its threads and its faults.
    pub case: Case,
    /// Who decides.
    pub scheduler: Scheduler,
    seed: u64,
}

/// What came of sets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Runs in which all was repaired.
    pub recovered: u64,
    /// Runs in which something was not, and that was said.
    pub failed: u64,
    /// Runs of 16 threads; the others have 8.
    pub sixteen: u64,
    /// Runs in which guests run, so that the shim takes part.
    pub guests: u64,
}

impl Count {
    /// Adds another.
    pub const fn join(&mut self, other: Self) {
        self.recovered += other.recovered;
        self.failed += other.failed;
        self.sixteen += other.sixteen;
        self.guests += other.guests;
    }
}

/// A core with all its threads, two of them, or two chips; and fused cores, whose halves have a
/// timebase each.
fn shape(random: &mut Random) -> (Processor, Shape) {
    let processor = [Processor::Power8, Processor::Power9, Processor::Power10];
    let processor = processor[random.below(3) as usize];
    let power8 = processor == Processor::Power8;
    let threads = if power8 { 8 } else { 4 };
    let sixteen = random.below(2) == 1;
    let cores_in_all = if sixteen { 16 } else { 8 } / threads;
    let chips = if cores_in_all > 1 {
        1 + random.below(2) as usize
    } else {
        1
    };
    let cores = cores_in_all / chips;
    let subcores = if power8 {
        [1, 2, 4][random.below(3) as usize]
    } else {
        1
    };
    let shape = Shape {
        chips,
        cores,
        threads,
        subcores,
        fused: !power8 && cores % 2 == 0 && random.below(2) == 1,
        backup: Backup::Present,
        write_twice: true,
        latched_errors: true,
    };
    (processor, shape)
}

fn threads(random: &mut Random, case: &mut Case) {
    let power8 = case.generations[0] == Processor::Power8;
    // To bring guests where they should be costs more than a hundred recoveries.
    let some_guests = random.below(12) == 0;
    for core in 0..case.shape.all_cores() {
        let guests = some_guests && random.below(2) == 0;
        let mut guest = false;
        for number in 1..case.shape.threads {
            // Where threads share TB, one guest has it.
            let may_guest = guests && !(power8 && guest);
            let doing = match random.below(10) {
                0..=3 if may_guest => {
                    [Doing::Guest, Doing::Entering, Doing::Leaving][random.below(3) as usize]
                }
                4 => Doing::Late,
                5 => Doing::HostClosed,
                6 if !guests => Doing::Idle,
                _ => continue,
            };
            guest |= matches!(doing, Doing::Guest | Doing::Entering | Doing::Leaving);
            let spins = if matches!(doing, Doing::Late | Doing::HostClosed) {
                random.below(200)
            } else {
                0
            };
            case.threads.push(ThreadCase {
                who: Who::thread(core * case.shape.threads + number),
                doing,
                spins,
                accesses: 0,
            });
        }
    }
}

/// The set of this number; always the same one.
#[must_use]
pub fn set(number: u64) -> Set {
    // Neighbours must not resemble each other.
    let mut random = Random::new(number.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x7368_7574);
    let random = &mut random;
    let (processor, shape) = shape(random);
    let title = format!("Schedules, set {number}");
    let mut case = Case::judged(title, processor, random.word() >> 1, shape);
    threads(random, &mut case);
    for _ in 0..1 + random.below(2) {
        let fault = fault(random, &case);
        case.faults.push(fault);
    }
    let scheduler = if random.below(2) == 0 {
        Scheduler::Random
    } else {
        Scheduler::Priorities {
            changes: 1 + random.below(4) as usize,
        }
    };
    let seed = random.word();
    Set {
        case,
        scheduler,
        seed,
    }
}

/// Runs a set in so many orders; with `steps` those of a wrong one are printed.
///
/// # Panics
/// At the first run in which something was said that is not so, with the order: shuttle prints it.
pub fn run(set: &Set, orders: usize, steps: bool) -> Count {
    let case = Arc::new(set.case.clone());
    let sixteen = case.shape.all_threads() == 16;
    let guest = |doing| matches!(doing, Doing::Guest | Doing::Entering | Doing::Leaving);
    let guests = case.threads.iter().any(|entry| guest(entry.doing));
    let (recovered, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (processor, seed) = (case.generations[0], case.seeds[0]);
    let body = {
        let (recovered, failed) = (recovered.clone(), failed.clone());
        move || {
            let found = run_on(&case, processor, seed, Schedule::Shuttle);
            match honest(&case, &found) {
                Ok(Verdict::Recovered) => recovered.fetch_add(1, Ordering::Relaxed),
                Ok(Verdict::Failed) if must_recover(&case) => {
                    panic!("not recovered, though all of it can be")
                }
                Ok(Verdict::Failed) => failed.fetch_add(1, Ordering::Relaxed),
                Err(why) => {
                    if steps {
                        println!("{}", explain(&found));
                    }
                    panic!("{why}")
                }
            };
        }
    };
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    config.failure_persistence = FailurePersistence::Print;
    config.silence_warnings = true;
    match set.scheduler {
        Scheduler::Random => {
            let scheduler = RandomScheduler::new_from_seed(set.seed, orders);
            Runner::new(scheduler, config).run(body);
        }
        Scheduler::Priorities { changes } => {
            let scheduler = PctScheduler::new_from_seed(set.seed, changes, orders);
            Runner::new(scheduler, config).run(body);
        }
    }
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (recovered, failed) = (read(&recovered), read(&failed));
    let all = recovered + failed;
    let sixteen = if sixteen { all } else { 0 };
    let guests = if guests { all } else { 0 };
    Count {
        recovered,
        failed,
        sixteen,
        guests,
    }
}
