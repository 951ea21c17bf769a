//! The shim on this machine: its state, its threads, and the loop that each of them runs.

use crate::guest::ShimThread;
use crate::instructions as cpu;
use crate::jobs::{self, Job};
use crate::start::{PLATFORM, is_disabled};
use crate::{CONTROL, RECORDER, SHIM, SYSTEM};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use hypervisor_shim::core_word::SharedCoreWord;
use hypervisor_shim::oracle::HOST_DEC;
use hypervisor_shim::run::{attend_after_finish, run_thread};
use hypervisor_shim::shim::MAX_CORES;
use hypervisor_shim::skew::SkewMeter;
use hypervisor_shim::{Configuration, Shim, Thread};
use log::{error, info};
use opaline_firmware::hardware::Pir;
use opaline_firmware::platform::Generation;
use opaline_firmware::system::{Participation, System};

static CORE_WORDS: [SharedCoreWord; MAX_CORES] = [const { SharedCoreWord::new() }; MAX_CORES];

static TURNS: [AtomicU32; MAX_CORES] = [const { AtomicU32::new(0) }; MAX_CORES];

static SKEW: SkewMeter = SkewMeter::new();

/// Starts the shim on every thread of the cores that work; the calling thread joins by itself.
pub(crate) fn start(system: &'static System<'static>, tod: bool, shared_timebase: bool) {
    let platform = system.platform;
    let header = &CONTROL.header;
    let enabled = |core: usize| !is_disabled(core);
    let threads: usize = platform
        .cores
        .iter()
        .enumerate()
        .filter(|(core, _)| enabled(*core))
        .map(|(_, core)| core.threads.len())
        .sum();
    let cores = (0..platform.cores.len())
        .filter(|core| enabled(*core))
        .count() as u64;
    let external = header.external.load(Ordering::Acquire) != 0;
    let faults = header.self_faults.load(Ordering::Acquire) * cores;
    header
        .shared_timebase
        .store(u64::from(shared_timebase), Ordering::Release);
    header.generation.store(
        match platform.generation {
            Generation::Power8 => 8,
            Generation::Power9 => 9,
            Generation::Power10 => 10,
        },
        Ordering::Release,
    );
    header.threads.store(threads as u64, Ordering::Release);
    // How far apart the timebases are before anything happens to them.
    header.skew_wanted.fetch_max(1, Ordering::AcqRel);
    SHIM.call_once(|| Shim {
        control: &CONTROL,
        recorder: &RECORDER,
        cores: &CORE_WORDS,
        turns: &TURNS,
        skew: &SKEW,
        configuration: Configuration {
            threads_per_timebase: if shared_timebase { 8 } else { 1 },
            tfmr_meaningful: tod,
            spins_per_microsecond: system.spins_per_microsecond(),
            external,
            tfmr_base: system.base_tfmr(),
        },
        threads: threads as u64,
        ready: AtomicU64::new(0),
        finished: AtomicU64::new(0),
        faults_left: AtomicU64::new(if external { 0 } else { faults }),
    });
    info!(
        "Shim: {threads} guests, {}",
        if external {
            "faults from outside"
        } else {
            "faults of its own"
        }
    );
    for (core, found) in platform.cores.iter().enumerate() {
        if !enabled(core) {
            continue;
        }
        for pir in &found.threads {
            system.set_participation(*pir, Participation::Running);
            if let Some(index) = jobs::index_of(pir.0)
                && index != 0
            {
                jobs::post(index, Job::RunShim);
            }
        }
    }
}

/// The shim's view of the calling thread.
pub(crate) fn this_thread() -> Option<(Thread, ShimThread)> {
    let platform = PLATFORM.get()?;
    let pir = cpu::pir();
    let place = platform.place(Pir(pir))?;
    let core = &platform.cores[place.core];
    let siblings = (1_u16 << core.threads.len()).wrapping_sub(1) as u8;
    let thread = Thread {
        index: platform.thread_index(Pir(pir))?,
        pir,
        core: place.core,
        number: place.thread as u32,
        siblings,
    };
    Some((
        thread,
        ShimThread {
            generation: platform.generation,
            core: place.core,
        },
    ))
}

/// Runs the shim on the calling thread until the run is over on all threads.
pub(crate) fn run() {
    let (Some(shim), Some((thread, mut machine))) = (SHIM.get(), this_thread()) else {
        return;
    };
    if is_disabled(thread.core) {
        return;
    }
    cpu::set_hdec(hypervisor_shim::guest::HOST_HDEC as u64);
    cpu::set_dec(HOST_DEC as u64);
    // All begin together, or a fault would meet threads that are not there yet.
    if shim.ready.fetch_add(1, Ordering::AcqRel) + 1 == shim.threads {
        CONTROL.header.phase.store(1, Ordering::Release);
    }
    while CONTROL.header.phase.load(Ordering::Acquire) == 0 {
        cpu::relax();
    }
    if let Some((vector, pc)) = run_thread(shim, &mut machine, &thread) {
        error!(
            "Guest of PIR {:#x}: unknown exit {vector:#x} at {pc:#x}",
            thread.pir
        );
        CONTROL.header.stop.store(1, Ordering::Release);
    }
    while shim.finished.load(Ordering::Acquire) < shim.threads {
        attend_after_finish(shim, &mut machine, &thread);
        cpu::relax();
    }
    cpu::set_interrupts(false);
    if let Some(system) = SYSTEM.get() {
        system.set_participation(Pir(thread.pir), Participation::FirmwareIdle);
    }
}
