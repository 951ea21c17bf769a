//! Starts the timebases of all cores from the ChipTOD, and looks at what came of it.

use crate::guest::ShimThread;
use crate::instructions as cpu;
use crate::jobs::Job;
use crate::start::{ask, disable, is_disabled, refuse};
use hypervisor_shim::machine::Machine as _;
use log::{Level, info, warn};
use opaline_firmware::hardware::Pir;
use opaline_firmware::platform::{Core, Generation, Platform, TodRole};
use opaline_firmware::system::System;

/// Starts TB on all cores from the ChipTOD. `false` where there is none.
pub(crate) fn start_timebase(system: &System<'_>, spins: u64) -> bool {
    let platform = system.platform;
    let primary = platform
        .chips
        .iter()
        .find(|chip| chip.chip_tod == Some(TodRole::Primary));
    let Some(primary) = primary else {
        // On QEMU's POWER8 that is how it always is.
        let level = if platform.is_qemu {
            Level::Info
        } else {
            Level::Warn
        };
        log::log!(
            level,
            "ChipTOD: none in the device tree: TB keeps what reset left, and a broken TB cannot \
             be repaired"
        );
        return false;
    };
    let candidates = platform
        .cores
        .iter()
        .enumerate()
        .filter(|(core, found)| found.chip == primary.id && !is_disabled(*core));
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
            if is_disabled(core) {
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
pub(crate) fn shares_timebase(core: &Core, spins: u64) -> bool {
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
        core: 0,
    };
    let before = machine.timebase();
    hypervisor_shim::timebase_offset::shift(&mut machine, FAR);
    let seen = ask(*other, Job::ReadTimebase, spins);
    hypervisor_shim::timebase_offset::shift(&mut machine, -FAR);
    seen.is_some_and(|seen| seen.wrapping_sub(before) >= FAR as u64 / 2)
}

/// Measures how far each core's TB is from the boot thread's, prints it, and warns if it is far.
pub(crate) fn measure_spread(platform: &Platform, spins: u64) {
    const TRIES: u32 = 16;
    /// 5 microseconds: the ChipTODs of a machine are closer, and an OS takes more for a fault.
    const TOLERANCE_TICKS: u64 = 5 * 512;
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
        "TB of other cores: {lowest}..{highest} ticks from this one's, to within {doubt}{}",
        if platform.is_qemu {
            " (QEMU: one clock for all)"
        } else {
            ""
        }
    );
    if lowest.unsigned_abs().max(highest.unsigned_abs()) > TOLERANCE_TICKS + doubt {
        warn!("TB of the cores is more than {TOLERANCE_TICKS} ticks apart");
    }
}
