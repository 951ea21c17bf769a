//! Hostile input: each target is a plain function of bytes that must neither panic nor hang.
//!
//! The bytes are decisions: which tree, call, fault or register word comes next. The same functions
//! run with proptest, under `cargo xtask hostile`, and under libFuzzer. A target panics when a
//! promise is broken: then the input is the report.

mod bytes;
mod chaos;
pub mod drive;
mod dumps;
mod faults;
mod fdt;
mod mutator;
mod opal;
mod queue;
mod scom;
mod words;

pub use bytes::Input;
pub use fdt::blob_of as device_tree_blob;
pub use mutator::Mutator;

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether targets say what an input stands for.
static EXPLAIN: AtomicBool = AtomicBool::new(false);

/// Makes the targets print what an input stands for, from now on.
pub fn explain() {
    EXPLAIN.store(true, Ordering::Relaxed);
}

fn tell(text: impl FnOnce() -> String) {
    if EXPLAIN.load(Ordering::Relaxed) {
        println!("  {}", text());
    }
}

/// What is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The device tree that the loader hands over.
    Fdt,
    /// OPAL calls, from all threads at once, while the hardware fails.
    Opal,
    /// What SCOMs read, in boot and recovery.
    Scom,
    /// TFMR, HMER and TOD ERROR at the entry of the handler.
    Words,
    /// The event queue, of an OS that does not drain it.
    Queue,
    /// Memory dumps and debugger lines that tools read.
    Dumps,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Fdt,
        Self::Opal,
        Self::Scom,
        Self::Words,
        Self::Queue,
        Self::Dumps,
    ];

    /// Its name on command lines and in file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fdt => "fdt",
            Self::Opal => "opal",
            Self::Scom => "scom",
            Self::Words => "words",
            Self::Queue => "queue",
            Self::Dumps => "dumps",
        }
    }

    /// The target of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// Longest input that makes sense.
    #[must_use]
    pub const fn most_bytes(self) -> usize {
        match self {
            Self::Fdt | Self::Opal | Self::Queue | Self::Dumps => 400,
            Self::Scom | Self::Words => 120,
        }
    }

    /// Attacks it with one input.
    ///
    /// # Panics
    /// If a promise is broken.
    pub fn run(self, input: &[u8]) {
        match self {
            Self::Fdt => fdt::run(input),
            Self::Opal => opal::run(input),
            Self::Scom => scom::run(input),
            Self::Words => words::run(input),
            Self::Queue => queue::run(input),
            Self::Dumps => dumps::run(input),
        }
    }
}
