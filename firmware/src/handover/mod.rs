//! From the firmware to an OS: what is to be started, and the device tree that it gets.
//!
//! Nothing here knows which OS it is: it is a payload that OPAL's contract describes.

pub mod payload;
pub mod tree;

/// Where the loader puts a payload, as the reference firmware has it.
pub const PAYLOAD_ADDRESS: u64 = 0x2000_0000;
/// Most bytes of a payload.
pub const PAYLOAD_BYTES: usize = 128 << 20;
