//! A client of OPAL: what a small operating system would do with the firmware, and tell of it.
//!
//! This is the portable part, which is safe and is tested on the host. The program for the machine
//! (`main.rs`, `machine.rs`) adds the entry, the call and the memory. It is loaded with `-kernel`
//! and finds its mode in the first word of the command line.
//!
//! | module | concern |
//! |---|---|
//! | [`mod@bench`] | how long calls take |
//! | [`client`] | what a client needs of its machine |
//! | [`console`] | text, by OPAL calls |
//! | [`mod@line`] | one line of it |
//! | [`tree`] | what the device tree says |
//! | [`conformance`] | every token with good and bad arguments, one line each |
#![no_std]
#![forbid(unsafe_code)]

pub mod bench;
pub mod client;
pub mod conformance;
pub mod console;
pub mod line;
pub mod tree;
