//! From the firmware to an OS: the payload is found, the tree written, and the boot thread leaves.

use crate::assembly::{enter_os, opal_entry};
use crate::instructions as cpu;
use crate::jobs::Job;
use crate::layout::{KEPT, LINK_BASE, OS_TREE, OS_TREE_SIZE, OWN};
use crate::machine::ThisThread;
use crate::start::{ask, is_disabled, loaders_tree, refuse};
use crate::{console, interrupts, symbols};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use log::info;
use opaline_firmware::handover::payload::{self, Payload};
use opaline_firmware::handover::tree::{self, Firmware, Kept};
use opaline_firmware::handover::{PAYLOAD_ADDRESS, PAYLOAD_BYTES};
use opaline_firmware::hardware::Pir;
use opaline_firmware::interrupts::Interrupts;
use opaline_firmware::ipmi;
use opaline_firmware::memory_console::{ADDRESS, BYTES};
use opaline_firmware::platform::Platform;
use opaline_firmware::system::{Participation, System};

/// How the firmware names itself to an OS.
const VERSION: &str = concat!("opaline-", env!("CARGO_PKG_VERSION"));
/// DEC and HDEC of the boot thread: far away, until the OS sets them.
const FAR: u64 = 0x7fff_ffff;

static DONE: AtomicBool = AtomicBool::new(false);

/// Whether an OS owns the machine.
pub(crate) fn is_done() -> bool {
    DONE.load(Ordering::Acquire)
}

/// The memory to which no pointer of a call may lead.
pub(crate) fn own() -> Range<u64> {
    if is_done() { KEPT } else { OWN }
}

/// The payload, if there is one; one that cannot be started ends here, with the reason.
pub(crate) fn payload(platform: &Platform) -> Option<Payload> {
    let end = PAYLOAD_ADDRESS + PAYLOAD_BYTES as u64;
    let is_memory = platform
        .memory
        .iter()
        .any(|range| range.start <= PAYLOAD_ADDRESS && end - range.start <= range.size);
    if !is_memory {
        return None;
    }
    // SAFETY: memory (checked above), where the loader puts a payload and nobody writes before it
    // runs.
    let bytes = unsafe { core::slice::from_raw_parts(PAYLOAD_ADDRESS as *const u8, PAYLOAD_BYTES) };
    match payload::find(bytes) {
        Ok(found) => found,
        Err(why) => refuse(format_args!("payload refused: {why}")),
    }
}

/// Hands over to the payload.
pub(crate) fn boot(system: &System<'_>, payload: Payload, loaders: u64, spins: u64) -> ! {
    let platform = system.platform;
    for (core, found) in platform.cores.iter().enumerate() {
        if let (Some(first), false) = (found.threads.first(), is_disabled(core)) {
            ask(*first, Job::PrepareForOs, spins);
        }
    }
    let boot_thread = Pir(cpu::pir());
    let interrupts = interrupts::bring_up(system);
    interrupts::open(system);
    let tree = write_tree(system, boot_thread, loaders, interrupts);
    let entry = PAYLOAD_ADDRESS + payload.entry;
    info!(
        "Payload: {}, entered at {entry:#x}, device tree of {tree} bytes",
        payload.kind
    );
    system.set_participation(boot_thread, Participation::Running);
    console::give_away();
    if interrupts.is_some() {
        let console = console::console();
        if console
            .announce_input(&mut ThisThread, platform, &system.xscom)
            .is_err()
        {
            info!("Console: no UART that could tell of input");
        }
    }
    DONE.store(true, Ordering::Release);
    cpu::set_dec(FAR);
    cpu::set_hdec(FAR);
    enter_os(entry, OS_TREE)
}

/// Writes the device tree for the OS; gives its size.
fn write_tree(
    system: &System<'_>,
    boot_thread: Pir,
    loaders: u64,
    interrupts: Option<&'static Interrupts<'static>>,
) -> usize {
    let platform = system.platform;
    let console = console::console();
    let time = ipmi::time(&mut ThisThread, platform, &system.xscom, console.lpc());
    let usable = |pir: Pir| {
        platform
            .place(pir)
            .is_some_and(|place| !is_disabled(place.core))
    };
    let kept = [
        Kept {
            name: "ibm,firmware-code@30000000",
            start: LINK_BASE,
            size: ADDRESS - LINK_BASE,
        },
        Kept {
            name: "ibm,firmware-data@31000000",
            start: ADDRESS,
            size: BYTES as u64,
        },
    ];
    let firmware = Firmware {
        platform,
        boot_thread,
        usable: &usable,
        base: LINK_BASE,
        size: KEPT.end - KEPT.start,
        entry: opal_entry(),
        kept: &kept,
        memory_console: ADDRESS,
        symbol_map: symbols::place(),
        version: VERSION,
        has_clock: time.is_ok(),
        interrupts,
    };
    // SAFETY: memory (checked at start) that is used for nothing else; the OS sees it only after
    // this reference is gone.
    let buffer = unsafe { core::slice::from_raw_parts_mut(OS_TREE as *mut u8, OS_TREE_SIZE) };
    match tree::write(loaders_tree(loaders), buffer, &firmware) {
        Ok(tree) => tree.len(),
        Err(why) => refuse(format_args!("no device tree for the OS: {why}")),
    }
}
