//! Two runs, line by line.

use super::table::Table;
use crate::qemu::topology::Machine;
use std::collections::BTreeMap;

/// Begins each line of the payload; what a firmware wrote may stand before it.
const MARK: &str = "payload| ";
const ARROW: &str = " -> ";

/// Answers by case, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    answers: BTreeMap<String, String>,
    order: Vec<String>,
    /// The payload said that it was through.
    pub(crate) ended: bool,
    /// Lines that came twice with another answer.
    pub(crate) contradictions: Vec<String>,
}

impl Answers {
    /// Reads a console.
    pub(crate) fn read(console: &[String]) -> Self {
        let mut found = Self::default();
        for line in console {
            // The last mark: memory that a firmware prints may hold another.
            let Some(at) = line.rfind(MARK) else { continue };
            // A log line of the firmware's that came before the end of the payload's.
            let text = line[at + MARK.len()..]
                .split('[')
                .next()
                .unwrap_or_default();
            let text = text.trim_end();
            let text: String = text.chars().filter(|c| !c.is_control()).collect();
            found.ended |= text == "end";
            let Some((case, answer)) = text.split_once(ARROW) else {
                continue;
            };
            let case = name(case).to_owned();
            match found.answers.insert(case.clone(), answer.to_owned()) {
                Some(before) if before != answer => found
                    .contradictions
                    .push(format!("{case}: {before}, then {answer}")),
                Some(_) => {}
                None => found.order.push(case),
            }
        }
        found
    }

    pub(crate) fn get(&self, case: &str) -> Option<&str> {
        self.answers.get(case).map(String::as_str)
    }

    /// The cases, in order.
    pub(crate) fn cases(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }
}

/// The name of a case, without the number of its token.
fn name(text: &str) -> &str {
    match text.split_once(' ') {
        Some((number, rest)) if number.parse::<i64>().is_ok() => rest,
        _ => text,
    }
}

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) same: usize,
    pub(crate) explained: usize,
    /// Made by us in this run, and by the reference in one of its own.
    pub(crate) apart: usize,
    /// What is wrong: differences that nothing explains, explanations of nothing.
    pub(crate) failures: Vec<String>,
}

/// Compares.
pub(crate) fn compare(
    ours: &Answers,
    theirs: &Answers,
    table: &Table,
    machine: Machine,
) -> Compared {
    let mut compared = Compared::default();
    for (who, answers) in [("Opaline", ours), ("skiboot", theirs)] {
        if !answers.ended {
            let last = answers.order.last().map_or("nothing", String::as_str);
            let failure = format!("{who}: the payload did not come to its end, but to {last}");
            compared.failures.push(failure);
        }
        let contradictions = answers.contradictions.iter();
        let contradictions = contradictions.map(|text| format!("{who}: {text}"));
        compared.failures.extend(contradictions);
    }
    let apart: BTreeMap<_, _> = table.apart(machine).collect();
    for case in &ours.order {
        let our = &ours.answers[case];
        match theirs.get(case) {
            None if apart.contains_key(case.as_str()) => compared.apart += 1,
            None => compared
                .failures
                .push(format!("{case}: only Opaline made it")),
            Some(their) => match (our == their, table.explained(case, machine)) {
                (true, None) => compared.same += 1,
                (true, Some(_)) => compared.failures.push(format!(
                    "{case}: the table explains a difference, and there is none: both say {our}"
                )),
                (false, Some((a, b))) if a == our && b == their => compared.explained += 1,
                (false, Some((a, b))) => compared.failures.push(format!(
                    "{case}: Opaline says {our}, skiboot {their}; the table has {a} and {b}"
                )),
                (false, None) => compared.failures.push(format!(
                    "{case}: Opaline says {our}, skiboot {their}, and nothing explains it"
                )),
            },
        }
    }
    let missing = theirs.order.iter().filter(|case| ours.get(case).is_none());
    let missing = missing.map(|case| format!("{case}: only skiboot made it"));
    compared.failures.extend(missing);
    let listed = table.explained_cases(machine).chain(apart.into_keys());
    let unmade = listed.filter(|case| ours.get(case).is_none());
    let unmade = unmade.map(|case| format!("{case}: in the table, and nobody made it"));
    compared.failures.extend(unmade.collect::<Vec<_>>());
    compared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(lines: &[&str]) -> Answers {
        let mut console: Vec<String> = lines.iter().map(|line| format!("{MARK}{line}")).collect();
        console.push(format!("{MARK}end"));
        Answers::read(&console)
    }

    fn table() -> Table {
        toml::from_str(
            "[[difference]]\ntitle = 'a'\nverdict = 'b'\nwhy = 'c'\n\
             [difference.answers]\n'A.x' = ['-1', '0']\n\
             [[apart]]\ntitle = 'a'\nverdict = 'b'\nwhy = 'c'\n\
             [apart.answers]\n'A.z' = 'hangs'\n",
        )
        .unwrap()
    }

    fn failures(ours: &[&str], theirs: &[&str]) -> Vec<String> {
        compare(
            &answers(ours),
            &answers(theirs),
            &table(),
            Machine::Powernv9,
        )
        .failures
    }

    #[test]
    fn lines_are_found_in_what_firmware_prints() {
        let console = [
            "[ 1.0,5] hello",
            "\0\0payload| 1 A.x -> 0 length=0x4",
            "memory: payload| 1 A.x -> payload| -1 A.y -> -1",
            "payload| thread 1, others -> 0[    1.5,4] Spent 1388 msecs in OPAL call 1!",
        ];
        let found = Answers::read(&console.map(str::to_owned));
        assert_eq!(found.order, ["A.x", "A.y", "thread 1, others"]);
        assert_eq!(found.get("A.x"), Some("0 length=0x4"));
        assert_eq!(found.get("thread 1, others"), Some("0"));
        assert!(!found.ended && found.contradictions.is_empty());
    }

    #[test]
    fn only_what_is_explained_may_differ() {
        let ours = ["1 A.x -> -1", "1 A.y -> 0", "1 A.z -> -1"];
        let compared = compare(
            &answers(&ours),
            &answers(&["1 A.x -> 0", "1 A.y -> 0"]),
            &table(),
            Machine::Powernv9,
        );
        let expected = Compared {
            same: 1,
            explained: 1,
            apart: 1,
            failures: vec![],
        };
        assert_eq!(compared, expected);
        for (theirs, word) in [
            (vec!["1 A.x -> 0", "1 A.y -> -7"], "nothing explains"),
            (vec!["1 A.x -> -1", "1 A.y -> 0"], "there is none"),
            (vec!["1 A.x -> -7", "1 A.y -> 0"], "the table has"),
            (vec!["1 A.x -> 0"], "only Opaline"),
            (
                vec!["1 A.x -> 0", "1 A.y -> 0", "1 B.b -> 0"],
                "only skiboot",
            ),
        ] {
            let failures = failures(&ours, &theirs);
            assert!(
                failures.len() == 1 && failures[0].contains(word),
                "{failures:?}"
            );
        }
    }

    #[test]
    fn cases_that_vanish_and_runs_that_break_off_are_noticed() {
        let both = ["1 A.y -> 0"];
        let vanished = failures(&both, &both);
        assert_eq!(vanished.len(), 2, "{vanished:?}");
        let broken = Answers::read(&["payload| 1 A.y -> 0".to_owned()]);
        let compared = compare(&broken, &answers(&both), &table(), Machine::Powernv9);
        assert!(compared.failures[0].contains("Opaline: the payload did not come"));
    }
}
