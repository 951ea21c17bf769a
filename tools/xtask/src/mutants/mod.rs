//! The verb `mutants`: small changes to the shipped protocol and to its memory orderings, each of which
//! a named check must notice.
//!
//! The changes are applied to a copy of the crates that hold what is changed and its checks.

mod copy;
mod orderings;
mod protocol;

use crate::workspace;
use anyhow::{Context, Result, ensure};
use copy::Copy;
use serde::Deserialize;
use std::fs;
use std::time::Instant;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only every Nth mutant
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
    /// Only mutants whose name contains this
    #[arg(long)]
    name: Option<String>,
}

/// A table.
#[derive(Debug, Deserialize)]
struct Table {
    mutant: Vec<Mutant>,
}

/// One change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// What it does, in words.
    name: String,
    /// The file.
    file: String,
    /// The text that occurs once.
    from: String,
    /// What replaces it.
    to: String,
    /// A second change of the same file, if one is not enough.
    #[serde(default)]
    also_from: String,
    #[serde(default)]
    also_to: String,
    /// The check that must notice.
    killed_by: String,
}

impl Mutant {
    fn changes(&self) -> Vec<(&str, &str)> {
        let mut changes = vec![(self.from.as_str(), self.to.as_str())];
        if !self.also_from.is_empty() {
            changes.push((&self.also_from, &self.also_to));
        }
        changes
    }
}

/// A table of mutants, and who judges them.
trait Judge {
    /// Where its table is.
    const TABLE: &'static str;

    /// Makes the copy, and sees that what is shipped passes.
    fn new(mutants: &[Mutant]) -> Result<Self>
    where
        Self: Sized;

    fn copy(&self) -> &Copy;

    /// The check that notices the change that was made for this mutant.
    fn noticed(&self, mutant: &Mutant) -> Result<Option<String>>;
}

fn table<J: Judge>() -> Result<Vec<Mutant>> {
    let table = fs::read_to_string(workspace::root().join(J::TABLE)).context(J::TABLE)?;
    let table: Table = toml::from_str(&table).context(J::TABLE)?;
    Ok(table.mutant)
}

/// What the tests run: a few of each table.
pub(crate) fn sample() -> Result<bool> {
    verb(&Arguments {
        every: 10,
        name: None,
    })
}

/// The verb.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    let start = Instant::now();
    let (killed, all) = judged::<protocol::Protocol>(arguments)?;
    let (more, of) = judged::<orderings::Orderings>(arguments)?;
    let (killed, all) = (killed + more, all + of);
    ensure!(all != 0, "no mutant has this name");
    println!(
        "{killed} of {all} mutants killed: {} %, {} s",
        killed * 100 / all,
        start.elapsed().as_secs()
    );
    Ok(killed == all)
}

/// How many of how many mutants of a table were noticed by the check that they name.
fn judged<J: Judge>(arguments: &Arguments) -> Result<(usize, usize)> {
    let wanted = |name: &str| {
        let part = arguments.name.as_ref();
        part.is_none_or(|part| name.contains(part))
    };
    let mutants: Vec<_> = table::<J>()?
        .into_iter()
        .step_by(usize::from(arguments.every))
        .filter(|mutant| wanted(&mutant.name))
        .collect();
    if mutants.is_empty() {
        return Ok((0, 0));
    }
    let judge = J::new(&mutants)?;
    let mut killed = 0;
    for mutant in &mutants {
        let noticed = judge
            .copy()
            .with(&mutant.file, &mutant.changes(), || judge.noticed(mutant))
            .with_context(|| mutant.name.clone())?;
        let noticed = noticed.as_deref().unwrap_or("nobody");
        let as_said = noticed == mutant.killed_by;
        killed += usize::from(as_said);
        let mark = if as_said { "killed" } else { "ALIVE " };
        println!("{mark}  {}: {noticed}", mutant.name);
        if !as_said {
            println!("        should be noticed by: {}", mutant.killed_by);
        }
    }
    Ok((killed, mutants.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<J: Judge>(least: usize) {
        let mutants = table::<J>().unwrap();
        assert!(mutants.len() >= least, "{}", mutants.len());
        for mutant in mutants {
            let file = fs::read_to_string(workspace::root().join(&mutant.file)).unwrap();
            let mut changed = file.clone();
            for (from, to) in mutant.changes() {
                changed = copy::replaced(&changed, from, to).expect(&mutant.name);
            }
            assert_ne!(changed, file, "{}", mutant.name);
            assert!(!mutant.killed_by.is_empty(), "{}", mutant.name);
        }
    }

    #[test]
    fn every_mutant_can_be_applied_and_names_its_check() {
        check::<protocol::Protocol>(50);
        check::<orderings::Orderings>(20);
    }
}
