//! The hypervisor shim: it runs guests, each with its own timebase offset, and brings all of them
//! out before the firmware may touch the timebase of their core.
//!
//! The firmware is reached only through [`Machine::call_opal`], which is the OPAL entry.
//! Everything here is safe and portable: `boot` supplies the instructions, tests a model.
//!
//! | module | concern |
//! |---|---|
//! | [`core_word`] | the one word per core on which entry, exit and the repair agree |
//! | [`passage`] | the way of a thread into its guest, out of it, and through an HMI, as a pure machine |
//! | [`attend`] | what a thread does for an HMI, from the exit to going on |
//! | [`guest`] | entry into the guest, its exits, its offset and its decrementer |
//! | [`timebase_offset`] | moving TB by an offset without losing a tick |
//! | [`oracle`] | checks of host time that do not believe TB |
//! | [`skew`] | how far the TBs of all threads are apart, by a lock that they take in turn |
//! | [`run`] | the loop of a thread |
//! | [`own_faults`] | the faults that it inflicts on itself without a tool |
//! | [`control`] | the block through which tools steer and read |
#![no_std]
#![forbid(unsafe_code)]

mod atomic;
pub mod attend;
pub mod control;
pub mod core_word;
pub mod guest;
pub mod machine;
pub mod oracle;
pub mod own_faults;
pub mod passage;
pub mod run;
pub mod shim;
pub mod skew;
pub mod timebase_offset;

pub use machine::{GuestExit, GuestReport, Machine};
pub use shim::{Configuration, Shim, Thread};
