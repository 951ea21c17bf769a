//! From the first Rust instruction to the shim.

use crate::guest::{ShimThread, prepare_guest_memory};
use crate::instructions as cpu;
use crate::jobs::{self, Job};
use crate::layout::{DEVICE_TREE_LIMIT, OWN};
use crate::machine::ThisThread;
use crate::{CONTROL, RECORDER, SHIM, SYSTEM, console, verdict};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use hypervisor_shim::core_word::SharedCoreWord;
use hypervisor_shim::machine::Machine as _;
use hypervisor_shim::oracle::HOST_DEC;
use hypervisor_shim::run::{attend_after_finish, run_thread};
use hypervisor_shim::shim::MAX_CORES;
use hypervisor_shim::{Configuration, Shim, Thread};
use log::{error, info, warn};
use opaline_firmware::hardware::{Hardware as _, Pir};
use opaline_firmware::platform::{Generation, MAX_THREADS, Platform, device_tree};
use opaline_firmware::system::{Participation, System};
use opaline_firmware::{hmi, timebase};
use power_registers::{Hmeer, Hmer, ibm};
use spin::Once;

/// Longest wait of the boot thread for another thread, in microseconds.
const PATIENCE_MICROSECONDS: u64 = 10_000_000;
/// Length of the calibration of spins, in ticks of TB: 2 ms.
const CALIBRATION_TICKS: u64 = 2 * 512_000;

static PLATFORM: Once<Platform> = Once::new();
static CORE_WORDS: [SharedCoreWord; MAX_CORES] = [const { SharedCoreWord::new() }; MAX_CORES];
/// Cores that failed to start, one flag each: their threads stay in the firmware.
static DISABLED: [AtomicBool; MAX_CORES] = [const { AtomicBool::new(false) }; MAX_CORES];
/// Checks of the OPAL entry that failed.
pub(crate) static OPAL_FAILURES: AtomicU32 = AtomicU32::new(0);
/// Index in the platform's order, plus one, of the thread with each block index.
static PLATFORM_INDEX: [AtomicU32; MAX_THREADS] = [const { AtomicU32::new(0) }; MAX_THREADS];

/// Reads the device tree, or stops the machine with the reason.
fn read_platform(address: u64) -> &'static Platform {
    PLATFORM.call_once(|| {
        // SAFETY: the loader put the tree there and passes its address in r3 to every thread; it
        // lies below the image and nobody writes it. The length is taken from its header and
        // bounded.
        let bytes = unsafe {
            let header = (address as *const u32).wrapping_add(1);
            let size = (header.read() as usize).min(DEVICE_TREE_LIMIT);
            core::slice::from_raw_parts(address as *const u8, size)
        };
        match device_tree::parse(bytes) {
            Ok(platform) => platform,
            Err(why) => refuse(format_args!("device tree refused: {why}")),
        }
    })
}

/// Says why the machine cannot be brought up, and stops it.
fn refuse(why: core::fmt::Arguments<'_>) -> ! {
    use core::fmt::Write as _;
    let _ = writeln!(
        console::Emergency::open(),
        "Opaline: {why}\nOPALINE: FAIL {why}"
    );
    cpu::attention();
}

/// Brings the machine up; runs on the thread that came first.
pub(crate) fn boot_thread(device_tree: u64) -> ! {
    console::prepare_memory_console();
    RECORDER.begin();
    let platform = read_platform(device_tree);
    console::open(platform);
    info!(
        "Opaline {} on {:?}: {} chips, {} cores, {} threads, core clock {} MHz",
        env!("CARGO_PKG_VERSION"),
        platform.generation,
        platform.chips.len(),
        platform.cores.len(),
        platform.thread_count(),
        platform.core_hz / 1_000_000,
    );
    if Generation::from_pvr(cpu::pvr() as u32) != Some(platform.generation) {
        refuse(format_args!(
            "the device tree is of a {:?}, the processor's version is {:#x}",
            platform.generation,
            cpu::pvr()
        ));
    }
    let needed = crate::layout::GUEST_MEMORY + crate::layout::GUEST_MEMORY_SIZE;
    if !platform
        .memory
        .iter()
        .any(|range| range.start == 0 && range.size >= needed)
    {
        refuse(format_args!("expected memory from 0 to {needed:#x}"));
    }
    let system = match System::new(platform, &RECORDER) {
        Ok(system) => SYSTEM.call_once(|| system),
        Err(why) => refuse(format_args!("cannot set up: {why:?}")),
    };
    console::use_xscom_of(system);
    let spins = calibrate();
    system.set_spins_per_microsecond(spins);
    info!("Wait loop: {spins} spins a microsecond");

    jobs::arrive(0, cpu::pir());
    let missing = wait_for_threads(platform, spins);
    if missing != 0 {
        error!("{missing} threads did not start");
    }
    for (core, threads) in platform.cores.iter().enumerate() {
        for pir in &threads.threads {
            match (jobs::index_of(pir.0), platform.thread_index(*pir)) {
                (Some(index), Some(place)) => {
                    PLATFORM_INDEX[index].store(place as u32 + 1, Ordering::Release);
                    system.set_participation(*pir, Participation::FirmwareIdle);
                }
                _ => disable(core, format_args!("thread {:#x} did not start", pir.0)),
            }
        }
    }
    prepare_cores(platform, spins);
    let tod = start_timebase(system, spins);
    let shared_timebase = platform
        .cores
        .iter()
        .any(|core| shares_timebase(core, spins));
    info!(
        "The threads of a core {} one timebase",
        if shared_timebase {
            "share"
        } else {
            "do not share"
        }
    );
    if tod {
        measure_spread(platform, spins);
    }
    let (checks, failed) = crate::opal_check::run();
    OPAL_FAILURES.store(failed, Ordering::Release);
    info!("OPAL entry: {checks} calls, right and wrong, {failed} with an unexpected answer");
    prepare_guest_memory();
    console::boot_complete();
    start_shim(system, tod, shared_timebase);
    shim_main(0);
    verdict::finish(system)
}

/// Waits for work; runs on every other thread.
pub(crate) fn waiting_thread(index: usize) -> ! {
    let pir = cpu::pir();
    jobs::arrive(index, pir);
    loop {
        if let Some(job) = jobs::take(index) {
            let result = work(index, job);
            jobs::answer(index, result);
        }
        if let Some(system) = SYSTEM.get()
            && system.summoned(Pir(pir))
        {
            hmi::handle(&mut ThisThread, system);
        }
        cpu::relax();
    }
}

/// Does a job on the thread that runs it.
fn work(index: usize, job: Job) -> u64 {
    let Some(system) = SYSTEM.get() else { return 0 };
    match job {
        Job::None => 0,
        Job::ReadTimebase => cpu::tb(),
        Job::PrepareCore => prepare_core(system.platform.generation),
        Job::TodMaster => match timebase::boot::initialise_master(&mut ThisThread, system) {
            Ok(report) => {
                info!("ChipTOD master on PIR {:#x}: {report:?}", cpu::pir());
                1
            }
            Err(why) => {
                error!("ChipTOD master on PIR {:#x} failed: {why:?}", cpu::pir());
                0
            }
        },
        Job::TodCore => match timebase::boot::initialise_core(&mut ThisThread, system) {
            Ok(report) => {
                info!("Timebase of PIR {:#x}: {report:?}", cpu::pir());
                1
            }
            Err(why) => {
                error!("Timebase of PIR {:#x} failed: {why:?}", cpu::pir());
                0
            }
        },
        Job::CleanThread => {
            timebase::boot::clean_thread(&mut ThisThread, system);
            1
        }
        Job::RunShim => {
            shim_main(index);
            1
        }
    }
}

/// Does a job on any thread, the own one included, and waits for it.
fn ask(pir: Pir, job: Job, spins: u64) -> Option<u64> {
    if pir.0 == cpu::pir() {
        return Some(work(0, job));
    }
    jobs::ask(jobs::index_of(pir.0)?, job, PATIENCE_MICROSECONDS * spins)
}

fn disable(core: usize, why: core::fmt::Arguments<'_>) {
    if !DISABLED[core].swap(true, Ordering::AcqRel) {
        error!("Core {core} is disabled: {why}");
    }
    if let (Some(system), Some(platform)) = (SYSTEM.get(), PLATFORM.get()) {
        for pir in &platform.cores[core].threads {
            system.set_participation(*pir, Participation::Absent);
        }
    }
}

/// Spins of a wait in a microsecond, by the TB that reset left running.
fn calibrate() -> u64 {
    let begin = cpu::tb();
    let mut spins: u64 = 0;
    while cpu::tb().wrapping_sub(begin) < CALIBRATION_TICKS && spins < 1 << 24 {
        cpu::relax();
        spins += 1;
    }
    (spins * 512 / CALIBRATION_TICKS).max(1)
}

/// Gives how many threads are missing.
fn wait_for_threads(platform: &Platform, spins: u64) -> usize {
    let all = platform.thread_count();
    for _ in 0..PATIENCE_MICROSECONDS * spins {
        if jobs::arrived() >= all {
            return 0;
        }
        cpu::relax();
    }
    all - jobs::arrived()
}

fn prepare_cores(platform: &Platform, spins: u64) {
    for (core, found) in platform.cores.iter().enumerate() {
        let Some(first) = found.threads.first() else {
            continue;
        };
        match ask(*first, Job::PrepareCore, spins) {
            Some(hmeer) => info!("Core {core}: {:?}", Hmer::from_bits_retain(hmeer)),
            None => disable(core, format_args!("thread 0 does not answer")),
        }
    }
}

/// Sets what HMEER and HID0 of a core need for HMIs and `attn`; gives HMEER.
fn prepare_core(generation: Generation) -> u64 {
    let (attn, little_endian_interrupts, enable) = match generation {
        Generation::Power8 => (ibm(31), ibm(19), Hmeer::POWER8_POWER9),
        Generation::Power9 => (ibm(3), ibm(4), Hmeer::POWER8_POWER9),
        Generation::Power10 => (ibm(3), ibm(4), Hmeer::POWER10),
    };
    cpu::set_hid0((cpu::hid0() | attn) & !little_endian_interrupts);
    let mut thread = ThisThread;
    let value = thread.hmeer() | enable.0;
    thread.set_hmeer(value);
    thread.hmeer().bits()
}

/// Starts TB on all cores from the ChipTOD. `false` where there is none.
fn start_timebase(system: &System<'_>, spins: u64) -> bool {
    use opaline_firmware::platform::TodRole;
    let platform = system.platform;
    let primary = platform
        .chips
        .iter()
        .find(|chip| chip.chip_tod == Some(TodRole::Primary));
    let Some(primary) = primary else {
        warn!(
            "ChipTOD: none in the device tree: TB keeps what reset left, and a broken TB cannot \
             be repaired. Base TFMR {:#018x}",
            system.base_tfmr().bits()
        );
        return false;
    };
    let candidates = platform.cores.iter().enumerate().filter(|(core, found)| {
        found.chip == primary.id && !DISABLED[*core].load(Ordering::Acquire)
    });
    let mut master = None;
    for (core, found) in candidates {
        let Some(first) = found.threads.first() else {
            continue;
        };
        if ask(*first, Job::TodMaster, spins) == Some(1) {
            master = Some(core);
            break;
        }
        disable(core, format_args!("the ChipTOD cannot be started from it"));
    }
    let Some(master) = master else {
        refuse(format_args!("no core could start the ChipTOD network"));
    };
    for (core, found) in platform.cores.iter().enumerate() {
        for (number, pir) in found.threads.iter().enumerate() {
            if DISABLED[core].load(Ordering::Acquire) {
                break;
            }
            let done = match (core == master, number) {
                (true, 0) => continue,
                (false, 0) => ask(*pir, Job::TodCore, spins),
                _ => ask(*pir, Job::CleanThread, spins),
            };
            if done != Some(1) {
                disable(
                    core,
                    format_args!("thread {:#x} could not start its timebase", pir.0),
                );
            }
        }
    }
    true
}

/// Whether the threads of a core see each other's writes of TB: moves TB far ahead on thread 0,
/// looks from thread 1, and moves it back.
fn shares_timebase(core: &opaline_firmware::platform::Core, spins: u64) -> bool {
    const FAR: i64 = 1 << 44;
    let own = Pir(cpu::pir());
    if !core.threads.contains(&own) {
        return false;
    }
    let Some(other) = core.threads.iter().find(|pir| **pir != own) else {
        return false;
    };
    let mut machine = ShimThread {
        generation: Generation::Power9,
        first_pir: 0,
    };
    let before = machine.timebase();
    hypervisor_shim::timebase_offset::shift(&mut machine, FAR);
    let seen = ask(*other, Job::ReadTimebase, spins);
    hypervisor_shim::timebase_offset::shift(&mut machine, -FAR);
    seen.is_some_and(|seen| seen.wrapping_sub(before) >= FAR as u64 / 2)
}

/// Measures how far each thread's TB is from the boot thread's, and prints it.
fn measure_spread(platform: &Platform, spins: u64) {
    const TRIES: u32 = 16;
    let (mut lowest, mut highest, mut doubt) = (0_i64, 0_i64, 0_u64);
    let mut measured = 0;
    for pir in platform
        .cores
        .iter()
        .filter_map(|core| core.threads.first())
    {
        if pir.0 == cpu::pir() {
            continue;
        }
        let mut best: Option<(i64, u64)> = None;
        for _ in 0..TRIES {
            let before = cpu::tb();
            let Some(seen) = ask(*pir, Job::ReadTimebase, spins) else {
                break;
            };
            let width = cpu::tb().wrapping_sub(before);
            let off = seen.wrapping_sub(before.wrapping_add(width / 2)) as i64;
            if best.is_none_or(|(_, narrowest)| width < narrowest) {
                best = Some((off, width));
            }
        }
        if let Some((off, width)) = best {
            lowest = lowest.min(off);
            measured += 1;
            highest = highest.max(off);
            doubt = doubt.max(width / 2);
        }
    }
    if measured == 0 {
        return;
    }
    info!(
        "Spread of TB over {measured} cores: {lowest}..{highest} ticks, known to within {doubt} ticks"
    );
}

fn start_shim(system: &'static System<'static>, tod: bool, shared_timebase: bool) {
    let platform = system.platform;
    let header = &CONTROL.header;
    let enabled = |core: usize| !DISABLED[core].load(Ordering::Acquire);
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
    SHIM.call_once(|| Shim {
        control: &CONTROL,
        recorder: &RECORDER,
        cores: &CORE_WORDS,
        configuration: Configuration {
            shared_timebase,
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

/// The shim's view of the thread with this block index.
pub(crate) fn shim_thread(index: usize) -> Option<(Thread, ShimThread)> {
    let platform = PLATFORM.get()?;
    let place_index = PLATFORM_INDEX
        .get(index)?
        .load(Ordering::Acquire)
        .checked_sub(1)? as usize;
    let pir = cpu::pir();
    let place = platform.place(Pir(pir))?;
    let core = &platform.cores[place.core];
    let siblings = (1_u16 << core.threads.len()).wrapping_sub(1) as u8;
    let thread = Thread {
        index: place_index,
        pir,
        core: place.core,
        number: place.thread as u32,
        siblings,
    };
    let first_pir = core.threads.first().map_or(0, |first| first.0);
    Some((
        thread,
        ShimThread {
            generation: platform.generation,
            first_pir,
        },
    ))
}

/// Runs the shim on the calling thread until the run is over on all threads.
fn shim_main(index: usize) {
    let (Some(shim), Some((thread, mut machine))) = (SHIM.get(), shim_thread(index)) else {
        return;
    };
    if DISABLED[thread.core].load(Ordering::Acquire) {
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

const _: () = assert!(
    OWN.start % 0x1_0000 == 0,
    "the firmware's memory is page-aligned"
);
