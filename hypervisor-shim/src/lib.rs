//! The hypervisor shim.
#![no_std]
#![forbid(unsafe_code)]

pub mod control;
