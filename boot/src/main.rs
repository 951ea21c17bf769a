//! Opaline: the image.
//!
//! This crate is the edge: assembly, registers, memory and everything `unsafe`. The logic is in
//! `opaline-firmware` and `hypervisor-shim`, which are safe and run on the host as well.
//!
//! | module | concern |
//! |---|---|
//! | [`assembly`] | head, vectors, exceptions, guest switch, OPAL entry |
//! | [`thread`], [`frame`] | blocks and stacks; what assembly saves |
//! | [`instructions`] | one wrapper for each instruction that Rust has no name for |
//! | [`machine`] | the firmware's hardware trait |
//! | [`guest`] | the shim's machine trait: partitions, guests, doorbells |
//! | [`opal_door`] | the one door from the OS into the firmware |
//! | [`opal_check`] | misuse of that door, tried on the machine |
//! | [`exception`] | what host context expects, and the report of all else |
//! | [`console`] | log lines, memory console, emergency output |
//! | [`handover`] | from the firmware to an OS |
//! | [`interrupts`] | memory for the interrupt controller, and its start |
//! | [`waiting`] | threads that wait in the firmware |
//! | [`jobs`] | work for threads that wait |
//! | [`cores`] | cores and threads before their first HMI |
//! | [`start`] | from the first Rust instruction to the shim |
//! | [`timebase`] | the timebases of all cores, started and compared |
//! | [`shim`] | the shim's state and threads on this machine |
//! | [`verdict`] | what the run comes to |
//! | [`symbols`] | names for back-traces |
//! | [`layout`] | where things are in memory |
#![no_std]
#![no_main]

mod assembly;
mod console;
mod cores;
mod exception;
mod frame;
mod guest;
mod handover;
mod instructions;
mod interrupts;
mod jobs;
mod layout;
mod machine;
mod opal_check;
mod opal_door;
mod shim;
mod start;
mod symbols;
mod thread;
mod timebase;
mod verdict;
mod waiting;

use flight_recorder::FlightRecorder;
use hypervisor_shim::Shim;
use hypervisor_shim::control::Control;
use opaline_firmware::system::System;
use spin::Once;

/// The control block: in `.data`, so that a tool may set it in the loaded image.
#[unsafe(export_name = "OPALINE_CONTROL")]
static CONTROL: Control = Control::new();

/// The flight recorder.
#[unsafe(export_name = "OPALINE_FLIGHT_RECORDER")]
static RECORDER: FlightRecorder = FlightRecorder::new();

/// The firmware's state, once the device tree is read.
static SYSTEM: Once<System<'static>> = Once::new();

/// The shim's state, once the firmware is up.
static SHIM: Once<Shim<'static>> = Once::new();

/// The first Rust code of the thread that came first; it starts the machine up.
extern "C" fn opaline_boot(index: u64, device_tree: u64) -> ! {
    begin(index);
    start::boot_thread(device_tree)
}

/// The first Rust code of every other thread; `index` counts them in the order they came.
extern "C" fn opaline_wait(index: u64) -> ! {
    begin(index);
    waiting::thread(index as usize)
}

fn begin(index: u64) {
    thread::claim_block(index);
    instructions::set_dec(hypervisor_shim::oracle::HOST_DEC as u64);
    guest::enter_host_context();
}
