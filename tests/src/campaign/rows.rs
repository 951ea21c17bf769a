use crate::scenario::Word;
use hardware_model::Generation;
use opaline_firmware::decisions::{Decisions, Table};
use opaline_firmware::platform;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{fs, io};

/// Names the directory in which every program keeps the rows that its machines acted upon.
pub const KEEP_IN: &str = "OPALINE_ROWS";

/// Which rows of the firmware's decision tables were acted upon, on each generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Words", into = "Words")]
pub struct Rows([[u64; Table::ALL.len()]; 3]);

/// In a file: TOML has no numbers of 64 bits without a sign.
type Words = [[Word; Table::ALL.len()]; 3];

impl From<Words> for Rows {
    fn from(words: Words) -> Self {
        Self(words.map(|tables| tables.map(|word| word.0)))
    }
}

impl From<Rows> for Words {
    fn from(rows: Rows) -> Self {
        rows.0.map(|tables| tables.map(Word))
    }
}

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

/// A file of [`KEEP_IN`].
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    rows: Rows,
}

/// Adds the rows of a run to those of this program, and writes them out when [`KEEP_IN`] says where.
///
/// # Panics
/// When they cannot be written: they would be missed in silence.
pub(crate) fn keep(generation: Generation, more: &[u64; Table::ALL.len()]) {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    static ROWS: Mutex<Rows> = Mutex::new(Rows([[0; Table::ALL.len()]; 3]));
    let directory = DIRECTORY.get_or_init(|| std::env::var_os(KEEP_IN).map(PathBuf::from));
    let Some(directory) = directory else {
        return;
    };
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    let before = *rows;
    rows.add_all(generation, more);
    if *rows != before {
        let text = toml::to_string(&Kept { rows: *rows }).expect("words can be written");
        let file = directory.join(format!("{}.toml", std::process::id()));
        fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// All rows that programs kept in a directory.
///
/// # Errors
/// When the directory or a file of it cannot be read.
pub fn kept(directory: &Path) -> io::Result<Rows> {
    let mut rows = Rows::default();
    for entry in fs::read_dir(directory)? {
        let text = fs::read_to_string(entry?.path())?;
        let kept: Kept = toml::from_str(&text).map_err(io::Error::other)?;
        rows.join(&kept.rows);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_files() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut all = Rows::default();
        for (number, generation) in GENERATIONS.into_iter().enumerate() {
            let mut rows = Rows::default();
            rows.add_all(generation, &[u64::MAX, 1, 2, 3, 4, 5, 1 << number]);
            all.join(&rows);
            let text = toml::to_string(&Kept { rows }).expect("words");
            let file = directory.path().join(format!("{number}.toml"));
            fs::write(file, text).expect("written");
        }
        assert_eq!(kept(directory.path()).expect("read"), all);
        assert_eq!(all.of(Generation::Power9, Table::Tod).0, 2);
    }
}
