//! From the first Rust instruction to the shim.

use crate::guest::prepare_guest_memory;
use crate::instructions as cpu;
use crate::jobs::{self, Job};
use crate::layout::{DEVICE_TREE_LIMIT, OWN};
use crate::machine::ThisThread;
use crate::timebase::{measure_spread, shares_timebase, start_timebase};
use crate::{RECORDER, SYSTEM, console, shim, verdict};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use log::{error, info};
use opaline_firmware::hardware::{Hardware as _, Pir};
use opaline_firmware::platform::{Generation, MAX_CORES, Platform, device_tree};
use opaline_firmware::quirks::core_recovery;
use opaline_firmware::system::{Participation, System};
use opaline_firmware::{hmi, timebase};
use power_registers::{Hmeer, Hmer, Tfmr, ibm};
use spin::Once;

/// Longest wait of the boot thread for another thread, in microseconds.
const PATIENCE_MICROSECONDS: u64 = 10_000_000;
/// Length of the calibration of spins, in ticks of TB: 2 ms.
const CALIBRATION_TICKS: u64 = 2 * 512_000;

/// The machine, once the device tree is read.
pub(crate) static PLATFORM: Once<Platform> = Once::new();
/// Cores that failed to start, one flag each: their threads stay in the firmware.
static DISABLED: [AtomicBool; MAX_CORES] = [const { AtomicBool::new(false) }; MAX_CORES];
/// Checks of the OPAL entry that failed.
pub(crate) static OPAL_FAILURES: AtomicU32 = AtomicU32::new(0);

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
            Ok(mut platform) => {
                join_halves(&mut platform);
                platform
            }
            Err(why) => refuse(format_args!("device tree refused: {why}")),
        }
    })
}

/// Makes one core of each fused core whose halves share one TFMR. Two small cores of silicon have
/// their own; QEMU keeps one for all eight threads, and two meetings would disturb each other.
fn join_halves(platform: &mut Platform) {
    if platform.cores.iter().all(|core| core.pair.is_none()) {
        return;
    }
    let spins = calibrate();
    wait_for_threads(platform, spins);
    let mut index = 0;
    while let Some(core) = platform.cores.get(index) {
        let pair = core.pair.and_then(|pair| platform.cores.get(pair));
        let ends = (
            core.threads.first(),
            pair.and_then(|pair| pair.threads.first()),
        );
        if let (Some(even), Some(odd)) = ends
            && share_tfmr(*even, *odd, spins)
        {
            platform.join_halves(index);
        }
        index += 1;
    }
}

/// Whether two threads see one TFMR: a control bit that one sets shows at the other.
///
/// The mark keeps the facility's interrupts off; ECLIPZ is set always. Nothing runs yet that needs
/// what TFMR holds, and every core is given its own value later.
fn share_tfmr(one: Pir, other: Pir, spins: u64) -> bool {
    let seen = |job| ask(one, job, spins).and_then(|_| ask(other, Job::ReadTfmr, spins));
    let marked = seen(Job::MarkTfmr).map(Tfmr::from_bits_retain);
    let plain = seen(Job::UnmarkTfmr).map(Tfmr::from_bits_retain);
    matches!((marked, plain), (Some(marked), Some(plain))
        if marked.contains(Tfmr::MASK_HMI) && !plain.contains(Tfmr::MASK_HMI))
}

fn set_tfmr_mark(on: bool) {
    let mut thread = ThisThread;
    // Written as it stands, or the timer would lose its mode; without the commands and the status.
    let mut value = thread.tfmr() & Tfmr::CONTROL & !Tfmr::COMMANDS | Tfmr::TB_ECLIPZ;
    value.set(Tfmr::MASK_HMI, on);
    thread.set_tfmr(value);
}

/// Says why the machine cannot be brought up, and stops it.
pub(crate) fn refuse(why: core::fmt::Arguments<'_>) -> ! {
    use core::fmt::Write as _;
    let _ = writeln!(
        console::Emergency::open(),
        "Opaline: {why}\nOPALINE: FAIL {why}"
    );
    cpu::attention();
}

/// Brings the machine up; runs on the thread that came first.
pub(crate) fn boot_thread(device_tree: u64) -> ! {
    console::prepare();
    RECORDER.begin();
    jobs::arrive(0, cpu::pir());
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

    let missing = wait_for_threads(platform, spins);
    if missing != 0 {
        error!("{missing} threads did not start");
    }
    for (core, threads) in platform.cores.iter().enumerate() {
        for pir in &threads.threads {
            if jobs::index_of(pir.0).is_some() {
                system.set_participation(*pir, Participation::FirmwareIdle);
            } else {
                disable(core, format_args!("thread {:#x} did not start", pir.0));
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
    shim::start(system, tod, shared_timebase);
    shim::run();
    verdict::finish(system)
}

/// Waits for work; runs on every other thread.
pub(crate) fn waiting_thread(index: usize) -> ! {
    let pir = cpu::pir();
    jobs::arrive(index, pir);
    loop {
        if let Some(job) = jobs::take(index) {
            let result = work(job);
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
fn work(job: Job) -> u64 {
    match job {
        Job::None => return 0,
        Job::ReadTimebase => return cpu::tb(),
        Job::ReadTfmr => return cpu::tfmr(),
        Job::MarkTfmr | Job::UnmarkTfmr => {
            set_tfmr_mark(job == Job::MarkTfmr);
            return 1;
        }
        _ => {}
    }
    let Some(system) = SYSTEM.get() else { return 0 };
    match job {
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
            shim::run();
            1
        }
        // Done above, without the system.
        Job::None | Job::ReadTimebase | Job::ReadTfmr | Job::MarkTfmr | Job::UnmarkTfmr => 0,
    }
}

/// Does a job on any thread, the own one included, and waits for it.
pub(crate) fn ask(pir: Pir, job: Job, spins: u64) -> Option<u64> {
    if pir.0 == cpu::pir() {
        return Some(work(job));
    }
    jobs::ask(jobs::index_of(pir.0)?, job, PATIENCE_MICROSECONDS * spins)
}

/// Takes a core out of service, with the reason.
pub(crate) fn disable(core: usize, why: core::fmt::Arguments<'_>) {
    if !DISABLED[core].swap(true, Ordering::AcqRel) {
        error!("Core {core} is disabled: {why}");
    }
    if let (Some(system), Some(platform)) = (SYSTEM.get(), PLATFORM.get()) {
        for pir in &platform.cores[core].threads {
            system.set_participation(*pir, Participation::Absent);
        }
    }
}

/// Whether a core was taken out of service.
pub(crate) fn is_disabled(core: usize) -> bool {
    DISABLED[core].load(Ordering::Acquire)
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
    let hid0 = (cpu::hid0() | attn) & !little_endian_interrupts;
    cpu::set_hid0(core_recovery::hid0(generation, hid0));
    let mut thread = ThisThread;
    let value = thread.hmeer() | enable.0;
    thread.set_hmeer(value);
    thread.hmeer().bits()
}

const _: () = assert!(
    OWN.start.is_multiple_of(0x1_0000),
    "the firmware's memory is page-aligned"
);
