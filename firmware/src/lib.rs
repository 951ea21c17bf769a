//! Opaline's firmware: everything that is logic, none that is machine.
//!
//! Safe, without heap, generic over [`hardware::Hardware`]; `boot` runs it on the machine, the
//! tests run the same code against the hardware model.
#![no_std]
#![forbid(unsafe_code)]

pub mod hardware;
pub mod platform;
