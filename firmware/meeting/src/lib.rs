//! The meeting of a core's threads: one 64-bit word, and pure functions on it.
//!
//! An error of the core's timer facility is repaired by all its threads together: each rewrites its
//! own registers, one of them (the leader) gives the commands. A meeting has a generation, so that
//! a thread that comes late cannot get into a meeting that is not its own; it knows who takes part,
//! so that nobody waits for a thread that never comes; and it has one place, `Depart`, to which
//! success and abort both lead, so that no one is left waiting in another phase.
//!
//! An error that stays, or a new one in the middle, sends the meeting back to `RepairTfmr`, at most
//! [`MAX_RETRIES`] times.
//!
//! [`step`] is the whole protocol: what an event does to the word. [`way`] is the program of one
//! thread: which events it makes, in which order. The firmware applies the events to an atomic and
//! carries the actions out; the checker in `tests/protocol` explores the same code with all
//! interleavings.
//!
//! | phase | who works | what |
//! |---|---|---|
//! | `Arrive` | everyone | comes; ends when all are there, or someone's budget is used up |
//! | `RepairTfmr` | leader | a corrupt TFMR, so that the rest of it can be trusted |
//! | `Clean` | everyone | rewrites the own HDEC and TB |
//! | `Clear` | leader | clears the core's errors |
//! | `Local` | everyone | repairs the own PURR, SPURR, DEC |
//! | `Reload` | leader | TOD errors, then TB from the TOD |
//! | `Check` | everyone | looks at the own TFMR and TB |
//! | `Depart` | everyone | leaves; the last one makes the word idle |

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod phase;
mod protocol;
pub mod way;
mod word;

pub use phase::{AbortReason, Findings, MAX_RETRIES, Phase};
pub use protocol::{Event, Verdict, step};
pub use word::{Task, ThreadMask, Word, mask_of};

#[cfg(test)]
mod tests;
