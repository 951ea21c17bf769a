//! A model of the POWER timer facility (TFAC), the ChipTOD, XSCOM and the registers of the
//! malfunction alert, with faults to inject.
//!
//! It stands behind the firmware's hardware trait in host tests, and it is stricter than QEMU: TB is
//! frozen outside RUNNING, errors latch again when a dirty register was not rewritten, commands
//! that are illegal in a state fail and are recorded as [`Violation`]s, XSCOM accesses fail on
//! demand. A model of a machine's manuals, it proves nothing about silicon.
//!
//! Time is counted in ticks of 512 MHz and moves only when some thread accesses a register, so a
//! wait on a dead TB never ends and trips the watchdog. Threads run beside one another: what several
//! do in turns takes about the time of one.
//!
//! [`Model`] is the machine as one value without locks, for any driver; it needs no `std`.
//! With the feature `std` (on by default) [`Machine`] shares it among threads. The timebase of CAPP
//! units is not modelled.
//!
//! # What no public source decides
//!
//! Here the model has a choice of its own, the stricter one where there is one:
//!
//! * TFMR 54 and 56 go with CLEAR_TB_ERRORS only; both errors lead to ERROR.
//! * A split POWER8 core has one TFMR and one state for all its sub-cores (section 12.1; section 2.1
//!   says one for each).
//! * A damaged PSS_MSS_CTRL keeps its old effect until it is written.
//! * A TOD needs steps to start. One that runs as a slave goes on when they end, and a step check
//!   reports it; a master stops when those of its selected path end, also with the checks off.
//! * Steps on a slave path come from the master of the topology that selects the path.
//! * A step check on a path that stays dead reports again when it is cleared
//!   ([`Configuration::persistent_step_checks`]).
//! * A register with a parity or residue error holds a wrong value ([`Configuration::damage`]).
//! * A recovered FIR bit stays on in the FIR; WOF keeps the first bits.
//! * The engine of a chip that is blocked wants receive status, log and error written, in any order.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use hardware_model::{Configuration, Fault, Generation, Machine};
//! use power_registers::{Spr, TbState, Tfmr};
//!
//! let machine = Machine::new(Configuration::new(Generation::Power9, 1, 1, 4));
//! machine.inject(&Fault::Core { core: 0, error: hardware_model::CoreError::TbResidue });
//! let thread = machine.thread(2);
//! let tfmr = Tfmr::from_bits_retain(thread.read_spr(Spr::Tfmr));
//! assert_eq!(tfmr.state(), TbState::Error);
//! # }
//! ```
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
mod chip_tod;
mod chip_units;
mod configuration;
mod core_scom;
mod core_timer;
mod fault;
mod fir;
mod injection;
mod injection_core;
#[cfg(feature = "std")]
mod machine;
mod model;
mod query;
mod random;
mod scom;
mod scom_map;
mod shape;
mod sprs;
mod tfmr_access;
#[cfg(feature = "std")]
mod thread;
mod tod_errors;
mod tod_registers;
mod topology;
mod trace;
mod xscom_fault;

pub use configuration::{
    Configuration, Costs, Generation, Start, StepNetwork, TimebaseCopies, Topology,
};
pub use fault::{CommandFailure, CoreCause, CoreError, Fault, Impossible, Moment, ThreadError};
#[cfg(feature = "std")]
pub use machine::Machine;
pub use model::Model;
pub use random::Random;
#[cfg(feature = "std")]
pub use thread::Thread;
pub use trace::{Access, Counters, Register, Violation};
pub use xscom_fault::{Direction, XscomAnswer, XscomFault};

/// Ticks of TB between two sync pulses (16 us).
pub const SYNC_TICKS: u64 = 8192;
/// Ticks of TB in a microsecond.
pub const TICKS_PER_MICROSECOND: u64 = 512;
