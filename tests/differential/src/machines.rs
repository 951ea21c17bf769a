//! The machines that are compared, and how.

use crate::access::Access;
use crate::player::{self, Outcome};
use crate::{directed, qemu, random};
use anyhow::{Context as _, Result};
use hardware_model::{Configuration, Generation, TimebaseCopies};
use std::path::Path;

/// Accesses of one random sequence.
pub const RANDOM_ACCESSES: usize = 6000;

/// One machine, with a name.
#[derive(Clone, Debug)]
pub struct Machine {
    /// As QEMU would call it, and its shape.
    pub name: String,
    /// The model of it.
    pub configuration: Configuration,
}

/// All machines: one core of one chip, and two chips of POWER9 and POWER10.
#[must_use]
pub fn all() -> Vec<Machine> {
    let mut machines = Vec::new();
    for (generation, name, shapes) in [
        (
            Generation::Power8,
            "powernv8",
            [(1, 1), (1, 2), (1, 4), (1, 8)],
        ),
        (
            Generation::Power9,
            "powernv9",
            [(1, 1), (1, 2), (1, 4), (2, 2)],
        ),
        (
            Generation::Power10,
            "powernv10",
            [(1, 1), (1, 2), (1, 4), (2, 2)],
        ),
    ] {
        for (chips, threads) in shapes {
            let configuration =
                player::like_qemu(Configuration::new(generation, chips, 1, threads));
            let shape = format!("{name}, {chips} x 1 x {threads}");
            if generation != Generation::Power8 && threads > 1 {
                let mut shared = configuration.clone();
                shared.copies = TimebaseCopies::SubCores(1);
                machines.push(Machine {
                    name: format!("{shape}, shared TB"),
                    configuration: shared,
                });
            }
            machines.push(Machine {
                name: shape,
                configuration,
            });
        }
    }
    machines
}

impl Machine {
    fn compare(&self, qemu: &Path, sequence: &[Access]) -> Result<Outcome> {
        let values = qemu::perform(qemu, &self.configuration, sequence)
            .with_context(|| self.name.clone())?;
        Ok(player::compare(
            self.configuration.clone(),
            sequence,
            &values,
        ))
    }

    /// The sequences written by hand.
    ///
    /// # Errors
    /// QEMU fails.
    pub fn directed(&self, qemu: &Path) -> Result<Outcome> {
        self.compare(qemu, &directed::sequence(&self.configuration))
    }

    /// A sequence drawn from this seed.
    ///
    /// # Errors
    /// QEMU fails.
    pub fn random(&self, qemu: &Path, seed: u64) -> Result<Outcome> {
        let sequence = random::sequence(&self.configuration, seed, RANDOM_ACCESSES);
        self.compare(qemu, &sequence)
    }
}
