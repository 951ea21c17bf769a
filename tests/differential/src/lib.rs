//! The hardware model against QEMU, access by access.
//!
//! A sequence of register accesses is performed by a bare program in QEMU, with real instructions,
//! and played on the model; every value that was read is compared. Where the two differ on purpose,
//! a [`rules::Rule`] says so; anything else is a disagreement.
#![forbid(unsafe_code)]

pub mod access;
pub mod directed;
mod instructions;
pub mod machines;
pub mod player;
pub mod program;
pub mod qemu;
pub mod random;
pub mod rules;
mod writer;
