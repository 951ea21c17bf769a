//! The table of differences from the reference: which there are, and why.

use crate::qemu::topology::Machine;
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;

const TABLE: &str = include_str!("../../../../tests/opal-payload/differences.toml");

/// The whole table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Cases that both make, with other answers.
    pub(crate) difference: Vec<Group<Pair>>,
    /// Cases that the reference does not survive, or not in time: each is made in a run of its own.
    pub(crate) apart: Vec<Group<String>>,
}

/// Cases with the same reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group<A> {
    pub(crate) title: String,
    /// Who is laxer, or whose answer is the better one.
    pub(crate) verdict: String,
    pub(crate) why: String,
    /// In which runs its cases are made; in all, if nothing is said.
    #[serde(default)]
    when: Option<When>,
    pub(crate) answers: BTreeMap<String, ByMachine<A>>,
}

/// What a run has that not all have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum When {
    /// Threads beside the boot thread.
    OtherThreads,
    /// Calls that restart the machine.
    Reboots,
}

/// Ours, then the reference's.
pub(crate) type Pair = (String, String);

/// What came, on all machines alike or on each.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ByMachine<A> {
    Everywhere(A),
    On(BTreeMap<String, A>),
}

impl<A> ByMachine<A> {
    pub(crate) fn on(&self, machine: Machine) -> Option<&A> {
        match self {
            Self::Everywhere(answer) => Some(answer),
            Self::On(answers) => answers.get(machine.name()),
        }
    }
}

impl Table {
    /// The table that the project keeps.
    pub(crate) fn read() -> Result<Self> {
        Self::parse(TABLE)
    }

    fn parse(text: &str) -> Result<Self> {
        let table: Self = toml::from_str(text).context("the table of differences")?;
        let machines = |answers: &BTreeMap<String, ()>| {
            answers
                .keys()
                .all(|name| Machine::ALL.iter().any(|machine| machine.name() == name))
        };
        let mut seen = BTreeMap::new();
        for (title, case, names) in table.entries() {
            ensure!(machines(&names), "{case}: no such machine");
            let before = seen.insert(case.to_owned(), title.to_owned());
            ensure!(before.is_none(), "{case} is in the table twice");
        }
        Ok(table)
    }

    /// Title, case, and the machines that are named.
    fn entries(&self) -> impl Iterator<Item = (&str, &str, BTreeMap<String, ()>)> {
        fn names<A>(answers: &ByMachine<A>) -> BTreeMap<String, ()> {
            match answers {
                ByMachine::Everywhere(_) => BTreeMap::new(),
                ByMachine::On(answers) => answers.keys().map(|name| (name.clone(), ())).collect(),
            }
        }
        fn of<A>(groups: &[Group<A>]) -> impl Iterator<Item = (&str, &str, BTreeMap<String, ()>)> {
            groups.iter().flat_map(|group| {
                let answers = group.answers.iter();
                answers.map(|(case, by)| (group.title.as_str(), case.as_str(), names(by)))
            })
        }
        of(&self.difference).chain(of(&self.apart))
    }

    /// What of it counts in a run that has `these`.
    pub(crate) fn in_a_run_with(mut self, these: &[When]) -> Self {
        let counts = |when: &Option<When>| when.is_none_or(|when| these.contains(&when));
        self.difference.retain(|group| counts(&group.when));
        self.apart.retain(|group| counts(&group.when));
        self
    }

    /// The two answers of a case that are explained on a machine.
    pub(crate) fn explained(&self, case: &str, machine: Machine) -> Option<&Pair> {
        self.difference
            .iter()
            .find_map(|group| group.answers.get(case)?.on(machine))
    }

    /// The cases that the reference makes apart, and what it did.
    pub(crate) fn apart(&self, machine: Machine) -> impl Iterator<Item = (&str, &str)> {
        self.apart.iter().flat_map(move |group| {
            let answers = group.answers.iter();
            answers.filter_map(move |(case, by)| Some((case.as_str(), by.on(machine)?.as_str())))
        })
    }

    /// Whether a case that is made apart is a call that restarts the machine.
    pub(crate) fn restarts(&self, case: &str) -> bool {
        self.apart
            .iter()
            .any(|group| group.when == Some(When::Reboots) && group.answers.contains_key(case))
    }

    /// All cases with explained differences on a machine.
    pub(crate) fn explained_cases(&self, machine: Machine) -> impl Iterator<Item = &str> {
        self.difference
            .iter()
            .flat_map(|group| group.answers.iter())
            .filter(move |(_, by)| by.on(machine).is_some())
            .map(|(case, _)| case.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read() {
        let table = Table::read().unwrap();
        assert!(!table.difference.is_empty() && !table.apart.is_empty());
    }

    const GROUP: &str =
        "[[difference]]\ntitle = 'a'\nverdict = 'b'\nwhy = 'c'\n[difference.answers]\n";

    fn parse(answers: &str) -> Result<Table> {
        Table::parse(&format!("apart = []\n{GROUP}{answers}"))
    }

    #[test]
    fn groups_count_where_their_cases_are_made() {
        let text = "apart = []\n[[difference]]\ntitle = 'a'\nverdict = 'b'\nwhy = 'c'\n\
                    when = 'other-threads'\n[difference.answers]\n'A.x' = ['1', '2']\n";
        let with = |these: &[When]| {
            let table = Table::parse(text).unwrap().in_a_run_with(these);
            table.difference.len()
        };
        assert_eq!(with(&[When::OtherThreads, When::Reboots]), 1);
        assert_eq!(with(&[When::Reboots]), 0);
    }

    #[test]
    fn answers_are_by_machine_or_for_all() {
        let table = parse("'A.x' = ['1', '2']\n'A.y' = { powernv8 = ['3', '4'] }\n").unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let explained = |case, machine| table.explained(case, machine).cloned();
        assert_eq!(explained("A.x", Machine::Powernv9), Some(pair("1", "2")));
        assert_eq!(explained("A.y", Machine::Powernv8), Some(pair("3", "4")));
        assert_eq!(explained("A.y", Machine::Powernv9), None);
        assert_eq!(table.explained_cases(Machine::Powernv9).count(), 1);
        assert!(parse("'A.y' = { powernv7 = ['3', '4'] }\n").is_err());
    }
}
