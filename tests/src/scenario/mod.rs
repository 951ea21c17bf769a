//! Cases: a machine, what its threads do, what breaks when, and what must come of it.
//!
//! A [`Case`] is read from a TOML file, or made up by a campaign, and run on the hardware model
//! with the real firmware, and with the real hypervisor shim where there are guests.

pub mod bounds;

mod case;
mod check;
mod compare;
mod cpu;
mod expect;
mod explain;
mod faults;
mod file;
mod hypervisor;
mod play;
mod register;
mod stage;
mod suite;
mod trace;
mod word;

pub use case::{
    Backup, Case, CommandFailure, Doing, FaultCase, Kind, Moment, PhaseName, Processor, Shape,
    ThreadCase, Who,
};
pub use check::{Problem, Step};
pub use compare::compare;
pub use expect::{
    CoreCase, CountCase, EventCase, Expect, Flag, FlagsCase, RegisterCase, Time, TodCase, TraceCase,
};
pub use explain::explain;
pub use file::Complaint;
#[cfg(feature = "shuttle")]
pub(crate) use play::run_on;
pub use play::{Cost, Found, configuration, run};
pub use suite::{Mismatch, Verdict, each, files, verify};
pub use word::Word;
