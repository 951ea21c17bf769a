//! A client of the GDB remote serial protocol, for QEMU's stub and a machine of many threads.
//!
//! It speaks over a unix socket (over TCP the small packets wait for each other), in all-stop mode.
//! Every wait has a deadline, and trouble on the line is a typed [`Error`], never a panic.
//!
//! What is particular to QEMU and POWER:
//! - register numbers differ between processor models, so they come from the target description;
//! - register values come in the byte order of the thread's *current* `MSR[LE]`;
//! - a stop selects the stopped thread for register access;
//! - while the machine runs, any byte sent stops it, so nothing is sent but the interrupt byte;
//! - memory can be read by physical address ([`Client::set_physical_memory`]).
#![forbid(unsafe_code)]

mod client;
mod control;
mod error;
mod memory;
pub mod packet;
mod registers;
pub mod stop;
pub mod target;

pub use client::{Client, Timeouts};
pub use control::{Resume, Watch};
pub use error::Error;
pub use stop::{StopReply, ThreadId};
pub use target::TargetDescription;
