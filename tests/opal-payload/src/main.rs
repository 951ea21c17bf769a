//! The program for the machine: entry, threads, and the choice of a mode.
#![no_std]
#![no_main]

mod machine;

use machine::ThisThread;
use opal_payload::line::print;
use opal_payload::{bench, conformance, tree};

/// Entered by assembly on the boot thread.
extern "C" fn main(tree: *const u8, base: u64, entry: u64) -> ! {
    let found = machine::tree(tree).and_then(|tree| tree::Machine::read(&tree));
    let Some(found) = found else {
        // What the registers say is enough to tell.
        machine::set_firmware(base, entry);
        machine::stop(format_args!("the device tree describes no OPAL"));
    };
    machine::set_firmware(found.base, found.entry);
    let mode = found.command_line.split_whitespace().next();
    let done = match mode {
        Some("bench") => bench::run(&ThisThread, &found),
        Some("conformance") => conformance::run(&ThisThread, &found),
        _ => print(&ThisThread, format_args!("modes: bench, conformance")),
    };
    match done {
        Ok(()) => machine::stop(format_args!("end")),
        Err(_) => machine::stop(format_args!("the console failed")),
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    machine::stop(format_args!("{info}"))
}
