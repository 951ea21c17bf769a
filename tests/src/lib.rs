//! The firmware on the hardware model: adapter, platform, and a runner of threads.
//!
//! [`Bench`] owns what a `System` borrows. A [`Run`] plays the interrupt: each thread that has an
//! HMI pending enters the firmware, as real OS threads, or one access at a time in an order that a
//! seed decides.
#![forbid(unsafe_code)]

// First, for its macro.
#[macro_use]
mod adapter;

pub mod campaign;
pub mod hostile;
pub mod scenario;

mod bench;
mod checks;
mod quiet;
mod schedule;

/// What [`hardware_by_registers`] names.
#[doc(hidden)]
pub mod registers {
    pub use opaline_firmware::hardware::{Hardware, Pir};
    pub use power_registers::{Hmer, Spr, Tfmr};
}

pub use adapter::ModelHardware;
pub use bench::{Bench, Ran, Role, Run};
pub use checks::{Event, firmware_writes, writes_of};
pub use schedule::{Schedule, Turn, play};
