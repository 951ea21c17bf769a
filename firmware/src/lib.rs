//! Opaline's firmware: everything that is logic, none that is machine.
//!
//! Safe, without heap, generic over [`hardware::Hardware`]; `boot` runs it on the machine, the
//! tests run the same code against the hardware model.
#![no_std]
#![forbid(unsafe_code)]

mod atomic;
pub mod bring_up;
pub mod budget;
pub mod calendar;
pub mod chip_tod;
pub mod console;
pub mod debug_descriptor;
pub mod decisions;
pub mod handover;
pub mod hardware;
pub mod hmi;
pub mod interrupts;
pub mod ipmi;
mod lock;
pub mod logging;
pub mod lpc;
mod malfunction;
pub mod memory_console;
pub mod opal;
pub mod platform;
pub mod processors;
pub mod quirks;
pub mod system;
pub mod timebase;
pub mod xscom;

#[cfg(test)]
extern crate std;
#[cfg(test)]
mod concurrent_tests;
#[cfg(test)]
mod test_hardware;
