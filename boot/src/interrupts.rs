//! The interrupt controller: memory for its tables, and its start before an OS gets the machine.

use crate::layout::INTERRUPT_TABLES;
use crate::machine::ThisThread;
use crate::opal_door;
use core::sync::atomic::AtomicU64;
use log::info;
use opaline_firmware::interrupts::{
    ChipMemory, Interrupts, MAX_CHIPS, TABLE_BYTES, TABLE_WORDS, open_thread,
};
use opaline_firmware::system::System;
use spin::Once;

/// At [`INTERRUPT_TABLES`], by the linker script; outside the image and `.bss`.
#[unsafe(link_section = ".interrupt_tables")]
static TABLES: [[AtomicU64; TABLE_WORDS]; MAX_CHIPS] =
    [const { [const { AtomicU64::new(0) }; TABLE_WORDS] }; MAX_CHIPS];

/// The controller, once it works.
static INTERRUPTS: Once<Interrupts<'static>> = Once::new();

/// Brings the controller up for an OS, if it is one that is served; says why if not. An OS gets on
/// without: its threads ring each other, and it asks for events.
pub(crate) fn bring_up(system: &System<'_>) -> Option<&'static Interrupts<'static>> {
    let platform = system.platform;
    let mut memory = [const { None }; MAX_CHIPS];
    let chips = platform.chips.iter().zip(&TABLES);
    for (index, (place, (chip, words))) in memory.iter_mut().zip(chips).enumerate() {
        *place = Some(ChipMemory {
            chip: chip.id.0,
            words,
            real: INTERRUPT_TABLES + index as u64 * TABLE_BYTES,
        });
    }
    let memory = memory.map(|part| {
        part.unwrap_or(ChipMemory {
            chip: 0,
            words: &[],
            real: 0,
        })
    });
    let count = platform.chips.len().min(MAX_CHIPS);
    let brought_up =
        Interrupts::bring_up(&mut ThisThread, platform, &system.xscom, &memory[..count]);
    match brought_up {
        Ok(interrupts) => {
            let interrupts = INTERRUPTS.call_once(|| interrupts);
            system.serve_interrupts(interrupts);
            opal_door::add_interrupt_calls();
            info!(
                "Interrupts: XIVE on {count} chips, the console has {:#x}",
                interrupts.uart()
            );
            Some(interrupts)
        }
        Err(why) => {
            info!("Interrupts: none are delivered ({why}); doorbells and polling instead");
            None
        }
    }
}

/// Has the calling thread take interrupts, where there are any.
pub(crate) fn open(system: &System<'_>) {
    if system.interrupts().is_some() {
        open_thread(&mut ThisThread, system);
    }
}
