//! Many cases at once.

use super::case::{Case, Processor};
use super::compare::compare;
use super::file::Complaint;
use super::play::{Cost, run};
use crate::campaign::Rows;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// One run of a case that did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The generation.
    pub processor: Processor,
    /// The seed.
    pub seed: u64,
    /// What was expected and what was found, a line each.
    pub differences: Vec<String>,
}

impl Case {
    /// Runs it on each of its generations with each of its seeds; what did not match.
    #[must_use]
    pub fn mismatches(&self) -> Vec<Mismatch> {
        self.counted(&Mutex::default())
    }

    /// The same; adds the rows of the decision tables that were acted upon.
    fn counted(&self, rows: &Mutex<Rows>) -> Vec<Mismatch> {
        let mut mismatches = Vec::new();
        for &processor in &self.generations {
            for &seed in &self.seeds {
                let found = run(self, processor, seed);
                rows.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add_all(processor.model(), &found.rows);
                let differences = compare(self, &found);
                if !differences.is_empty() {
                    mismatches.push(Mismatch {
                        processor,
                        seed,
                        differences,
                    });
                }
            }
        }
        mismatches
    }

    /// What it costs on a generation, with its first seed.
    #[must_use]
    pub fn cost(&self, processor: Processor) -> Cost {
        let seed = self.seeds.first().copied().unwrap_or(1);
        run(self, processor, seed).cost
    }
}

/// The files of cases among these: directories are searched, in the order of names.
///
/// # Errors
/// When a directory cannot be read.
pub fn files(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside = Vec::new();
            for entry in std::fs::read_dir(path)? {
                inside.push(entry?.path());
            }
            inside.sort();
            inside
                .retain(|path| path.is_dir() || path.extension().is_some_and(|end| end == "toml"));
            files.extend(self::files(&inside)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// What came of a file.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is not a case.
    Refused(Vec<Complaint>),
    /// It was run; empty = as expected.
    Ran(Vec<Mismatch>),
}

impl Verdict {
    /// Whether all is as expected.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Ran(mismatches) if mismatches.is_empty())
    }
}

/// Applies `work` to all files, on as many OS threads; the answers are in the order of the files.
pub fn each<R: Send>(files: &[PathBuf], jobs: usize, work: impl Fn(&Path) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, files.len().max(1)) {
            scope.spawn(|| {
                while let Some((at, file)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    files.get(at).map(|file| (at, file))
                } {
                    let answer = work(file);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((at, answer));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, answer)| answer).collect()
}

/// Reads and runs a file; adds the rows of the decision tables that were acted upon.
pub fn verify(file: &Path, rows: &Mutex<Rows>) -> Verdict {
    match Case::read(file) {
        Ok(case) => Verdict::Ran(case.counted(rows)),
        Err(complaints) => Verdict::Refused(complaints),
    }
}
