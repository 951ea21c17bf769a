//! What the monitor and its guest have to say to each other, and what comes of it.
//!
//! The guest reads TB and DEC in a loop and tells what it saw by hypercall. The monitor reads the
//! host's TB around each stay in the guest, so it knows where the guest's TB must have been. Portable
//! and safe; the program around it runs on Linux on POWER only.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod arguments;
pub mod verdict;

/// TB ticks at this rate.
pub const TICKS_PER_SECOND: u64 = 512_000_000;
/// The offset of a guest is a multiple of this: only the upper 40 bits of TB can be written.
pub const OFFSET_UNIT_TICKS: u64 = 1 << 24;
