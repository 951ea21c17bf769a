use hardware_model::Generation;
use opaline_firmware::decisions::{Decisions, Table};
use opaline_firmware::platform;
use serde::{Deserialize, Serialize};

/// Which rows of the firmware's decision tables were acted upon, on each generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows([[u64; Table::ALL.len()]; 3]);

/// The generations, in the order of the rows.
pub(super) const GENERATIONS: [Generation; 3] =
    [Generation::Power8, Generation::Power9, Generation::Power10];

const fn firmware(generation: Generation) -> platform::Generation {
    match generation {
        Generation::Power8 => platform::Generation::Power8,
        Generation::Power9 => platform::Generation::Power9,
        Generation::Power10 => platform::Generation::Power10,
    }
}

impl Rows {
    /// Adds the rows that a system acted upon.
    pub fn add(&mut self, generation: Generation, decisions: &Decisions) {
        for (hits, table) in self.0[generation as usize].iter_mut().zip(Table::ALL) {
            *hits |= decisions.hits(table);
        }
    }

    /// Adds rows in the order of [`Table::ALL`].
    pub fn add_all(&mut self, generation: Generation, rows: &[u64; Table::ALL.len()]) {
        for (hits, more) in self.0[generation as usize].iter_mut().zip(rows) {
            *hits |= more;
        }
    }

    /// Adds the rows of another campaign.
    pub fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *mine |= theirs;
        }
    }

    /// Rows of a table that were hit, and those that exist.
    #[must_use]
    pub const fn of(&self, generation: Generation, table: Table) -> (u64, u64) {
        let rows = Decisions::rows(table, firmware(generation));
        (self.0[generation as usize][table as usize] & rows, rows)
    }

    /// Rows that exist and were not hit: generation, table and IBM bit.
    #[must_use]
    pub fn missing(&self) -> Vec<(Generation, Table, u32)> {
        let mut missing = Vec::new();
        for generation in GENERATIONS {
            for table in Table::ALL {
                let (hit, rows) = self.of(generation, table);
                let bits = (0..64).filter(|bit| (rows & !hit) << bit >> 63 != 0);
                missing.extend(bits.map(|bit| (generation, table, bit)));
            }
        }
        missing
    }
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<10}", "rows hit")?;
        for generation in GENERATIONS {
            write!(f, "{:>12}", format!("{generation:?}"))?;
        }
        for table in Table::ALL {
            write!(f, "\n{:<10}", format!("{table:?}"))?;
            for generation in GENERATIONS {
                let (hit, rows) = self.of(generation, table);
                let cell = format!("{}/{}", hit.count_ones(), rows.count_ones());
                write!(f, "{cell:>12}")?;
            }
        }
        Ok(())
    }
}
