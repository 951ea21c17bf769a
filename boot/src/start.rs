//! From the first Rust instruction to the shim.

use crate::guest::prepare_guest_memory;
use crate::instructions as cpu;
use crate::jobs::{self, Job};
use crate::layout::{DEVICE_TREE_LIMIT, OWN};
use crate::machine::ThisThread;
use crate::timebase::{measure_spread, shares_timebase, start_timebase};
use crate::{RECORDER, SYSTEM, console, cores, handover, shim, verdict, waiting};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use log::{error, info};
use opaline_firmware::hardware::Pir;
use opaline_firmware::platform::{Generation, MAX_CORES, Platform, device_tree};
use opaline_firmware::system::{Participation, System};
use opaline_firmware::timebase;
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

/// The loader's device tree.
pub(crate) fn loaders_tree(address: u64) -> &'static [u8] {
    // SAFETY: the loader put the tree there and passes its address in r3 to every thread; it lies
    // below the image and nobody writes it before an OS runs. The length is taken from its header
    // and bounded.
    unsafe {
        let header = (address as *const u32).wrapping_add(1);
        let size = (header.read() as usize).min(DEVICE_TREE_LIMIT);
        core::slice::from_raw_parts(address as *const u8, size)
    }
}

/// Reads the device tree, or stops the machine with the reason.
fn read_platform(address: u64) -> &'static Platform {
    PLATFORM.call_once(|| match device_tree::parse(loaders_tree(address)) {
        Ok(mut platform) => {
            cores::join_halves(&mut platform);
            platform
        }
        Err(why) => refuse(format_args!("device tree refused: {why}")),
    })
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
        "Opaline {} on {}{}: {} chips, {} cores, {} threads, core clock {} MHz",
        env!("CARGO_PKG_VERSION"),
        platform.generation,
        if platform.is_qemu { " (QEMU)" } else { "" },
        platform.chips.len(),
        platform.cores.len(),
        platform.thread_count(),
        platform.core_hz / 1_000_000,
    );
    if Generation::from_pvr(cpu::pvr() as u32) != Some(platform.generation) {
        refuse(format_args!(
            "the device tree is of a {}, the processor's version is {:#x}",
            platform.generation,
            cpu::pvr()
        ));
    }
    let needed = crate::layout::CALL_BUFFERS + crate::layout::CALL_BUFFERS_SIZE;
    if !platform
        .memory
        .iter()
        .any(|range| range.start == 0 && range.size >= needed)
    {
        refuse(format_args!("expected memory from 0 to {needed:#x}"));
    }
    let system = match System::new(platform, &RECORDER) {
        Ok(system) => SYSTEM.call_once(|| system),
        Err(why) => refuse(format_args!("cannot set up: {why}")),
    };
    console::use_xscom_of(system);
    let spins = calibrate();
    waiting::let_sleep();
    system.set_spins_per_microsecond(spins);
    info!("Wait loop: {spins} spins a microsecond");

    let missing = wait_for_threads(platform, spins);
    if missing != 0 {
        error!("{missing} threads did not start");
    }
    for (core, threads) in platform.cores.iter().enumerate() {
        let missing = |pir: &&Pir| jobs::index_of(pir.0).is_none();
        if let Some(pir) = threads.threads.iter().find(missing) {
            disable(core, format_args!("{pir} did not start"));
            continue;
        }
        for pir in &threads.threads {
            system.set_participation(*pir, Participation::FirmwareIdle);
        }
    }
    cores::prepare(platform, spins);
    let tod = start_timebase(system, spins);
    cores::clear_alerts(system);
    cores::settle(platform, spins);
    cores::say_capability(system);
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
    console::boot_complete();
    if let Some(payload) = handover::payload(platform) {
        handover::boot(system, payload, device_tree, spins);
    }
    prepare_guest_memory();
    shim::start(system, tod, shared_timebase);
    shim::run();
    verdict::finish(system)
}

/// Does a job on the thread that runs it.
pub(crate) fn work(job: Job) -> u64 {
    match job {
        Job::None => return 0,
        Job::ReadTimebase => return cpu::tb(),
        Job::ReadTfmr => return cpu::tfmr(),
        Job::MarkTfmr | Job::UnmarkTfmr => {
            cores::set_tfmr_mark(job == Job::MarkTfmr);
            return 1;
        }
        _ => {}
    }
    let Some(system) = SYSTEM.get() else { return 0 };
    match job {
        Job::PrepareCore => cores::prepare_this(system),
        Job::SettleThread => cores::settle_this(system),
        Job::TodMaster => match timebase::boot::initialise_master(&mut ThisThread, system) {
            Ok(report) => {
                info!("ChipTOD master on {}: {report}", Pir(cpu::pir()));
                1
            }
            Err(why) => {
                error!("ChipTOD master on {} failed: {why}", Pir(cpu::pir()));
                0
            }
        },
        Job::TodCore => match timebase::boot::initialise_core(&mut ThisThread, system) {
            Ok(report) => {
                info!("Timebase of {}: {report}", Pir(cpu::pir()));
                1
            }
            Err(why) => {
                error!("Timebase of {} failed: {why}", Pir(cpu::pir()));
                0
            }
        },
        Job::CleanThread => {
            timebase::boot::clean_thread(&mut ThisThread, system);
            1
        }
        Job::PrepareForOs => {
            cores::prepare_for_os(system);
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
pub(crate) fn calibrate() -> u64 {
    let begin = cpu::tb();
    let mut spins: u64 = 0;
    while cpu::tb().wrapping_sub(begin) < CALIBRATION_TICKS && spins < 1 << 24 {
        cpu::relax();
        spins += 1;
    }
    (spins * 512 / CALIBRATION_TICKS).max(1)
}

/// Gives how many threads are missing.
pub(crate) fn wait_for_threads(platform: &Platform, spins: u64) -> usize {
    let all = platform.thread_count();
    for _ in 0..PATIENCE_MICROSECONDS * spins {
        if jobs::arrived() >= all {
            return 0;
        }
        cpu::relax();
    }
    all - jobs::arrived()
}

const _: () = assert!(
    OWN.start.is_multiple_of(0x1_0000),
    "the firmware's memory is page-aligned"
);
