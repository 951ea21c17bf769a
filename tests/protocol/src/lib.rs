//! Exhaustive checks of what the threads of a core do around an HMI.
//!
//! What is explored is the shipped code: `hypervisor_shim::core_word` and `hypervisor_shim::passage`,
//! `hmi_meeting` and `hmi_meeting::way`. The model adds an abstract timer facility and what threads do
//! outside of these programs. `docs/protocol.md` says what that leaves out.
//!
//! | module | concern |
//! |---|---|
//! | [`thread`] | one thread in 64 bits |
//! | [`state`] | a state of a core, and its shape |
//! | [`moves`] | what can happen next: the shim's program |
//! | [`firmware`] | the firmware's program |
//! | [`hardware`] | what a fault breaks, what the work of a phase mends |
//! | [`reduction`] | steps that nobody can tell from no step |
//! | [`symmetry`] | states that differ only in the numbers of threads |
//! | [`sets`], `check` | what is explored every day and at length, and one run of it |
//! | `hazards` | negative controls: protocols that the field had, in which the checker finds the bug |
//! | `diagrams`, `document` | the shipped state machines as diagrams |
//! | `words` | a trace in words |
//! | [`model`], [`rules`] | the whole: what can begin and happen, what must hold |
//! | `checker` | the whole for Stateright |
//! | [`progress`] | whether everybody gets on, or can go round for ever |
//! | [`explore`] | a small search for the mutants, without Stateright |
#![forbid(unsafe_code)]

#[cfg(feature = "checker")]
pub mod check;
#[cfg(feature = "checker")]
mod checker;
#[cfg(feature = "checker")]
pub mod diagrams;
#[cfg(feature = "checker")]
pub mod document;
pub mod explore;
pub mod firmware;
pub mod hardware;
#[cfg(feature = "checker")]
pub mod hazards;
pub mod model;
pub mod moves;
pub mod progress;
pub mod reduction;
pub mod rules;
pub mod sets;
pub mod state;
pub mod symmetry;
pub mod thread;
#[cfg(feature = "checker")]
pub mod words;
