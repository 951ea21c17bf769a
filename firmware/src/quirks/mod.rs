//! Where a generation or a revision of the chip departs from the rest: one file for each quirk.
//!
//! A quirk is data and a decision on it, without access to hardware. The code asks the quirk; it
//! does not compare generations itself. What is merely laid out differently, such as addresses, is
//! no quirk and stays with its module.

pub mod core_recovery;
pub mod fused_aim;
pub mod latched_errors;
pub mod lost_wakeup;
pub mod never_zero_field;
pub mod sub_cores;
