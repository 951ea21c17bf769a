//! Registers of the POWER timer and maintenance facilities, each as a type.
//!
//! Bit numbers are IBM's (bit 0 is the most significant of 64) and are written in this crate only.
//! `Debug` of a register decodes it, and shows unknown bits as they are.
#![no_std]
#![forbid(unsafe_code)]

pub mod chip_tod;
pub mod eccb;
pub mod fir;
pub mod hid0;
pub mod hmer;
pub mod lpc;
pub mod spr;
pub mod tfmr;
pub mod xive;

pub use hmer::{Hmeer, Hmer};
pub use spr::Spr;
pub use tfmr::{TbState, Tfmr};

/// The mask of one bit of a 64-bit register, by its IBM number (0 = most significant).
///
/// ```
/// assert_eq!(power_registers::ibm(0), 0x8000_0000_0000_0000);
/// assert_eq!(power_registers::ibm(63), 1);
/// ```
#[must_use]
pub const fn ibm(bit: u32) -> u64 {
    assert!(bit < 64, "IBM bit numbers run from 0 to 63");
    1 << (63 - bit)
}

/// The mask of the IBM bits `first..=last`.
///
/// ```
/// assert_eq!(power_registers::ibm_range(28, 31), 0xf_0000_0000);
/// ```
#[must_use]
pub const fn ibm_range(first: u32, last: u32) -> u64 {
    assert!(
        first <= last && last < 64,
        "a range runs upwards within 0..=63"
    );
    (u64::MAX >> first) & (u64::MAX << (63 - last))
}
