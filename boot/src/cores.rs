//! Cores and threads before their first HMI: fused halves, HMEER and HID0, nothing left pending.

use crate::instructions as cpu;
use crate::jobs::Job;
use crate::machine::ThisThread;
use crate::start::{ask, calibrate, disable, is_disabled, wait_for_threads};
use log::{Level, error, info, warn};
use opaline_firmware::bring_up::{self, FoundAlerts};
use opaline_firmware::hardware::{Hardware as _, Pir};
use opaline_firmware::platform::Platform;
use opaline_firmware::processors;
use opaline_firmware::quirks::core_recovery;
use opaline_firmware::system::System;
use power_registers::{Hmer, Tfmr};

/// Makes one core of each fused core whose halves share one TFMR. Two small cores of silicon have
/// their own; QEMU keeps one for all eight threads, and two meetings would disturb each other.
pub(crate) fn join_halves(platform: &mut Platform) {
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

pub(crate) fn set_tfmr_mark(on: bool) {
    let mut thread = ThisThread;
    // Written as it stands, or the timer would lose its mode; without the commands and the status.
    let mut value = thread.tfmr() & Tfmr::CONTROL & !Tfmr::COMMANDS | Tfmr::TB_ECLIPZ;
    value.set(Tfmr::MASK_HMI, on);
    thread.set_tfmr(value);
}

/// Prepares every core, on its thread 0.
pub(crate) fn prepare(platform: &Platform, spins: u64) {
    for (core, found) in platform.cores.iter().enumerate() {
        let Some(first) = found.threads.first() else {
            continue;
        };
        if is_disabled(core) {
            continue;
        }
        match ask(*first, Job::PrepareCore, spins).map(Hmer::from_bits_retain) {
            Some(refused) if refused.is_empty() => {}
            // Its other causes are enabled all the same.
            Some(refused) => error!("Core {core}: HMEER does not take {:#018x}", refused.bits()),
            None => disable(core, format_args!("{first} does not answer")),
        }
    }
    info!(
        "HMEER: {:#018x}",
        bring_up::enabled_causes(platform.generation).bits()
    );
}

/// Sets up HMEER and HID0 of the calling thread's core; gives the causes that HMEER refused.
pub(crate) fn prepare_this(system: &System<'_>) -> u64 {
    let generation = system.platform.generation;
    let bits = processors::bits(generation);
    let hid0 = (cpu::hid0() | bits.attention) & !bits.little_endian_interrupts;
    cpu::set_hid0(core_recovery::hid0(generation, hid0));
    bring_up::prepare_core(&mut ThisThread, system)
        .refused
        .bits()
}

/// Makes `attn` an illegal instruction again on the calling thread's core: in an OS any program
/// could stop the machine with it.
pub(crate) fn prepare_for_os(system: &System<'_>) {
    let bits = processors::bits(system.platform.generation);
    cpu::set_hid0(cpu::hid0() & !bits.attention);
}

/// Clears the malfunction alerts that every chip was told of before.
pub(crate) fn clear_alerts(system: &System<'_>) {
    for chip in &system.platform.chips {
        match bring_up::clear_alerts(&mut ThisThread, system, chip.id) {
            FoundAlerts::Chips(0) => {}
            FoundAlerts::Chips(found) => {
                warn!(
                    "Malfunction alerts from before, at {}: {found:#018x}",
                    chip.id
                );
            }
            FoundAlerts::Unreachable => {
                // QEMU does not model the register.
                let level = if system.platform.is_qemu {
                    Level::Info
                } else {
                    Level::Warn
                };
                log::log!(level, "Malfunction alerts of {} cannot be reached", chip.id);
            }
        }
    }
}

/// Says what recovery can do here.
pub(crate) fn say_capability(system: &System<'_>) {
    let capability = bring_up::capability(&mut ThisThread, system);
    let grain = if system.platform.is_qemu {
        " (so say the registers; QEMU's network of TODs is constant)"
    } else {
        ""
    };
    info!("Recovery: {capability}{grain}");
}

/// Clears what is pending on every thread, and takes cores with an unsound one out of service.
pub(crate) fn settle(platform: &Platform, spins: u64) {
    for (core, found) in platform.cores.iter().enumerate() {
        for pir in &found.threads {
            if !is_disabled(core) && ask(*pir, Job::SettleThread, spins) != Some(1) {
                disable(core, format_args!("{pir} is not ready for an HMI"));
            }
        }
    }
}

/// Clears what is pending on the calling thread; 1 if it is ready for an HMI.
pub(crate) fn settle_this(system: &System<'_>) -> u64 {
    let settled = bring_up::settle_thread(&mut ThisThread, system);
    let here = Pir(cpu::pir());
    if !settled.stale.is_empty() {
        warn!("{here}: HMER had {:#018x} pending", settled.stale.bits());
    }
    if !settled.unarmed.is_empty() {
        error!("{here}: HMEER lacks {:#018x}", settled.unarmed.bits());
    }
    if !settled.sound {
        error!("{here}: TB is not well, TFMR {:#018x}", settled.tfmr.bits());
    }
    u64::from(settled.sound)
}
