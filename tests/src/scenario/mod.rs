//! Cases: a machine, what its threads do, what breaks when, and what must come of it.
//!
//! A [`Case`] is read from a TOML file, or made up by a campaign, and run on the hardware model
//! with the real firmware, and with the real hypervisor shim where there are guests.

mod case;
mod expect;
mod word;

pub use case::{
    Backup, Case, Doing, FaultCase, Kind, Moment, PhaseName, Processor, Shape, ThreadCase, Who,
};
pub use expect::{
    CoreCase, CountCase, EventCase, Expect, Flag, FlagsCase, RegisterCase, Time, TodCase, TraceCase,
};
pub use word::Word;
