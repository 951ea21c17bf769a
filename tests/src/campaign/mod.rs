//! Campaigns: many recoveries, each judged by what must hold for any of them.
//!
//! Nothing here knows what a repair looks like. A recovery may succeed or fail; it may not hang,
//! and it may not say anything that is not so.

mod judge;
pub mod random;
mod rows;
#[cfg(feature = "shuttle")]
pub mod schedules;
pub mod scom;

pub use judge::{Record, Verdict, Witness, honest};
pub(crate) use rows::keep;
pub use rows::{KEEP_IN, Rows, kept};
