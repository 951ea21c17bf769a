//! Plays a case on the model.

use super::case::{Backup, Case, Doing, Processor, Shape};
use super::cpu;
use super::cpu::{Cpu, Halt};
use super::hypervisor;
use super::stage::{Seen, Stage};
use crate::bench::Bench;
use crate::campaign;
use crate::schedule::{Schedule, play};
use hardware_model::{Configuration, StepNetwork, TimebaseCopies};
use hypervisor_shim::Shim;
use hypervisor_shim::control::Control;
use hypervisor_shim::core_word::SharedCoreWord;
use hypervisor_shim::shim::MAX_CORES;
use hypervisor_shim::skew::SkewMeter;
use opal_abi::message;
use opaline_firmware::decisions::Table;
use opaline_firmware::platform::Generation;
use opaline_firmware::system::{Participation, System};
use power_registers::chip_tod::TodRegister;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Most accesses of one run: beyond that some wait has no end.
const WATCHDOG: u64 = 40_000_000;

/// What came of a run.
#[derive(Debug)]
pub struct Found {
    /// The machine and the recorder as they are at the end.
    pub bench: Bench,
    /// Each thread's calls of `OPAL_HANDLE_HMI2`: return code and flags.
    pub calls: Vec<Vec<(i64, u64)>>,
    /// Threads that were in a place to be judged: they run, and did not die.
    pub alive: Vec<bool>,
    /// Messages for the OS, oldest first.
    pub messages: Vec<[u8; message::SIZE]>,
    /// Events that were lost.
    pub lost: u64,
    /// What went wrong on the way.
    pub wrong: Vec<String>,
    /// Threads that could not be brought where the case wants them.
    pub unplaced: Vec<usize>,
    /// Faults, by their position in the case, whose moment never came.
    pub never_struck: Vec<usize>,
    /// Ticks from the first fault until all was quiet.
    pub ticks: u64,
    /// The machine's time when the first fault struck.
    pub time_struck: u64,
    /// What no TB may be behind of: that time, or what the firmware knew of it where it had to guess.
    pub least_time: u64,
    /// `OPAL_RESYNC_TIMEBASE` calls of the shim.
    pub resyncs: u64,
    /// What the OPAL calls of all threads cost together; the longest wait of any.
    pub cost: Cost,
    /// Rows of the firmware's decision tables that were acted upon, in the order of
    /// [`Table::ALL`].
    pub rows: [u64; Table::ALL.len()],
    /// ChipTOD registers of each chip before the faults, as `(chip, address, value)`.
    pub registers_before: Vec<(usize, u32, u64)>,
}

/// What a run cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cost {
    /// Accesses of SCOM registers, read.
    pub scom_reads: u64,
    /// Accesses of SCOM registers, written.
    pub scom_writes: u64,
    /// SPRs read.
    pub spr_reads: u64,
    /// SPRs written.
    pub spr_writes: u64,
    /// Phases that meetings went through.
    pub phases: u64,
    /// Spins of the longest wait.
    pub longest_wait: u64,
}

/// The machine of a case.
#[must_use]
pub fn configuration(shape: &Shape, processor: Processor, seed: u64) -> Configuration {
    let mut configuration =
        Configuration::new(processor.model(), shape.chips, shape.cores, shape.threads);
    configuration.watchdog = WATCHDOG;
    configuration.seed = seed;
    configuration.write_twice = shape.write_twice;
    configuration.latched_errors &= shape.latched_errors;
    configuration.fused = shape.fused;
    if processor == Processor::Power8 {
        configuration.copies = TimebaseCopies::SubCores(shape.subcores);
    }
    match shape.backup {
        Backup::Present => {}
        Backup::Absent => configuration.topology.secondary = None,
        Backup::Disabled => {
            configuration.networks = (0..shape.chips).map(|_| StepNetwork::default()).collect();
            if let Some(backup) = configuration.topology.secondary {
                let network = &mut configuration.networks[backup];
                network.master_valid[usize::from(network.secondary_master)] = false;
            }
        }
    }
    configuration
}

fn bench(case: &Case, processor: Processor, seed: u64) -> Bench {
    Bench::new(configuration(&case.shape, processor, seed))
}

/// Plays the case once. It must have been checked: see [`Case::check`].
#[must_use]
pub fn run(case: &Case, processor: Processor, seed: u64) -> Found {
    run_on(case, processor, seed, Schedule::Seeded(seed))
}

/// The same, where `schedule` and not the seed decides who runs when.
pub(crate) fn run_on(case: &Case, processor: Processor, seed: u64, schedule: Schedule) -> Found {
    let bench = bench(case, processor, seed);
    let mut found = Found {
        calls: Vec::new(),
        alive: Vec::new(),
        messages: Vec::new(),
        lost: 0,
        wrong: Vec::new(),
        unplaced: Vec::new(),
        never_struck: Vec::new(),
        ticks: 0,
        time_struck: 0,
        least_time: 0,
        resyncs: 0,
        cost: Cost::default(),
        rows: [0; Table::ALL.len()],
        registers_before: registers(&bench),
        bench,
    };
    play_on(case, seed, schedule, &mut found);
    found
}

/// What the boot does, and what the OS did before the case begins.
fn boot(bench: &Bench, system: &System<'_>) {
    let machine = &bench.machine;
    let local_fir = match bench.platform.generation {
        Generation::Power8 | Generation::Power9 => 0x0104_000c,
        Generation::Power10 => 0x0104_0102,
    };
    for chip in 0..machine.configuration().chips {
        machine.provide_scom(chip, local_fir, 0);
    }
    for thread in 0..machine.configuration().threads() {
        system.note_timers(&mut bench.hardware(thread));
    }
    machine.clear_trace();
}

fn registers(bench: &Bench) -> Vec<(usize, u32, u64)> {
    let chips = 0..bench.machine.configuration().chips;
    let all = chips.flat_map(|chip| TodRegister::CACHED.map(|register| (chip, register.address())));
    all.filter_map(|(chip, address)| Some((chip, address, bench.machine.peek_scom(chip, address)?)))
        .collect()
}

fn play_on(case: &Case, seed: u64, schedule: Schedule, found: &mut Found) {
    let bench = &found.bench;
    let machine = &bench.machine;
    let system = bench.booted_system();
    boot(bench, &system);
    let count = case.shape.all_threads();
    let control = Box::new(Control::new());
    control
        .header
        .slice_microseconds
        .store(100, Ordering::Relaxed);
    let words = [const { SharedCoreWord::new() }; MAX_CORES];
    let turns = [const { AtomicU32::new(0) }; MAX_CORES];
    let skew = Box::new(SkewMeter::new());
    let doing = doing(case);
    let in_shim = in_shim(case, &doing);
    let recorder = bench.recorder();
    let shim = Shim {
        control: &control,
        recorder,
        cores: &words,
        turns: &turns,
        skew: &skew,
        configuration: hypervisor_shim::Configuration {
            threads_per_timebase: if bench.platform.generation == Generation::Power8 {
                8
            } else {
                1
            },
            tfmr_meaningful: true,
            spins_per_microsecond: 1,
            external: true,
            tfmr_base: system.base_tfmr(),
        },
        threads: in_shim.iter().filter(|inside| **inside).count() as u64,
        ready: AtomicU64::new(0),
        finished: AtomicU64::new(0),
        faults_left: AtomicU64::new(0),
    };
    for (thread, doing) in doing.iter().enumerate() {
        let participation = match doing {
            Doing::NeverStarted => Participation::Absent,
            Doing::Idle => Participation::FirmwareIdle,
            _ => Participation::Running,
        };
        system.set_participation(bench.pir(thread), participation);
    }
    let shim = (shim.threads != 0).then_some(&shim);
    let stage = Stage::new(case, machine, &system, shim, in_shim, seed);
    let coming: Vec<usize> = (0..count).filter(|thread| stage.comes(*thread)).collect();
    let played = catch_unwind(AssertUnwindSafe(|| {
        play(schedule, &coming, |thread, turn| {
            let turn = turn.expect("a seed decides");
            let live = || {
                let cpu = Cpu::new(&stage, thread, turn);
                match stage.shim.filter(|_| stage.in_shim[thread]) {
                    Some(shim) => hypervisor::live(cpu, shim),
                    None => cpu::live(cpu),
                }
            };
            // A stopped thread ends here; a panic goes on to the one who asked for the run.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(live))
                && !panic.is::<Halt>()
            {
                std::panic::resume_unwind(panic);
            }
        })
    }));
    let phases = Stage::phases(&stage.scene());
    let least_time = stage.least_time(&stage.scene());
    let cost = cost(&stage.scene().threads, phases);
    let alive = (0..count)
        .map(|thread| stage.comes(thread))
        .collect::<Vec<_>>();
    let scene = stage.into_scene();
    let mut messages = scene.events.clone();
    messages.extend(std::iter::from_fn(|| system.events.take()));
    let lost = system.events.lost();
    let never_struck = Stage::never_struck(&scene);
    let mut wrong = scene.wrong;
    if let Err(panic) = played {
        wrong.push(said(panic.as_ref()));
    }
    if let Some(shim) = shim {
        let expired: u64 = (0..count)
            .map(|thread| {
                shim.control.threads[thread]
                    .expired_waits
                    .load(Ordering::Relaxed)
            })
            .sum();
        if expired != 0 && !doing.contains(&Doing::Dies) {
            wrong.push(format!("{expired} waits of the shim ran out"));
        }
    }
    let calls = scene
        .threads
        .iter()
        .map(|seen| seen.calls.clone())
        .collect();
    let dead: Vec<bool> = scene.threads.iter().map(|seen| seen.dead).collect();
    found.calls = calls;
    found.alive = alive
        .into_iter()
        .zip(dead)
        .map(|(comes, dead)| comes && !dead)
        .collect();
    found.messages = messages;
    found.lost = lost;
    found.wrong = wrong;
    found.unplaced = scene.unplaced;
    found.never_struck = never_struck;
    found.ticks = scene.quiet_at.saturating_sub(scene.struck_at);
    found.time_struck = scene.time_struck;
    found.least_time = least_time;
    found.resyncs = scene.resyncs;
    found.cost = cost;
    found.rows = Table::ALL.map(|table| system.decisions.hits(table));
    campaign::keep(machine.configuration().generation, &found.rows);
}

fn cost(threads: &[Seen], phases: u64) -> Cost {
    let mut cost = Cost {
        phases,
        ..Cost::default()
    };
    for seen in threads {
        cost.scom_reads += seen.cost.scom_reads;
        cost.scom_writes += seen.cost.scom_writes;
        cost.spr_reads += seen.cost.spr_reads;
        cost.spr_writes += seen.cost.spr_writes;
        cost.longest_wait = cost.longest_wait.max(seen.cost.longest_wait);
    }
    cost
}

/// What each thread does.
fn doing(case: &Case) -> Vec<Doing> {
    let mut doing = vec![Doing::Host; case.shape.all_threads()];
    for entry in &case.threads {
        for (thread, doing) in doing.iter_mut().enumerate() {
            if entry.who.means(&case.shape, thread) {
                *doing = entry.doing;
            }
        }
    }
    doing
}

/// Threads that run the shim's loop: all of a core with a guest that run an OS at all.
fn in_shim(case: &Case, doing: &[Doing]) -> Vec<bool> {
    let per_core = case.shape.threads;
    let guests = |core: usize| {
        doing[core * per_core..(core + 1) * per_core]
            .iter()
            .any(|doing| matches!(doing, Doing::Guest | Doing::Entering | Doing::Leaving))
    };
    doing
        .iter()
        .enumerate()
        .map(|(thread, doing)| {
            guests(thread / per_core)
                && !matches!(doing, Doing::Idle | Doing::NeverStarted | Doing::Lost)
        })
        .collect()
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without a word"))
}
