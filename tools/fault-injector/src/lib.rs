//! Plays, through QEMU's debugger stub, the hardware that QEMU lacks.
//!
//! QEMU never raises a Hypervisor Maintenance Interrupt, its TB goes on whatever TFMR says, and a
//! move of the TOD leaves TB as it is. A repair that repairs nothing would pass there. So this
//! crate
//! - really damages TB on a core and puts the error into TFMR and HMER ([`forge`]);
//! - takes the threads to 0xE60 as hardware does, at once or when they open interrupts;
//! - loads the true time into TB when the firmware stores to MOVE_TOD_TO_TB ([`chip_tod`]), so that
//!   only a firmware that asks for the TOD gets it;
//! - judges by a clock of its own: VTB, which neither the firmware nor the shim writes
//!   ([`machine::Machine::clock`]).
//!
//! | module | concern |
//! |---|---|
//! | [`machine`] | threads of the machine by PIR and core, their registers |
//! | [`stuffing`] | instructions executed on a thread behind its back; TB and the true clock |
//! | [`image`] | symbols of the image, and where it opens interrupts |
//! | [`readout`] | the shim's control block and the flight recorder, read from memory |
//! | [`plan`] | what to break, drawn from a seed |
//! | [`forge`] | the fault itself, and the delivery of the HMI |
//! | [`chip_tod`] | the TOD's answer to MOVE_TOD_TO_TB |
//! | [`os`] | faults under an operating system, and under its guests |
//! | `sleepers` | which threads are awake, and which of them tell the time |
//! | [`campaign`] | many faults, each checked; the report |
#![forbid(unsafe_code)]

pub mod campaign;
pub mod chip_tod;
pub mod forge;
pub mod image;
pub mod instructions;
pub mod machine;
pub mod os;
pub mod plan;
pub mod readout;
mod sleepers;
pub mod stuffing;

pub use machine::{Machine, Vcpu};
