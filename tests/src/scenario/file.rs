//! Cases in files.

use super::case::Case;
use super::check::Step;
use std::fmt;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The key, if there is one.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

impl Case {
    /// Reads a case from the text of `file`.
    ///
    /// # Errors
    /// Everything that is wrong with it: first the grammar, and if that is right, places that do
    /// not exist and the like.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Complaint>> {
        let complaint = |at: usize, key: Option<String>, what: String| {
            let at = at.min(text.len());
            let line = text[..at].matches('\n').count() + 1;
            Complaint {
                file: file.to_owned(),
                line,
                key: key.unwrap_or_else(|| key_of(text, line)),
                what,
            }
        };
        let case: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            vec![complaint(at, None, error.message().to_owned())]
        })?;
        let problems = case.check();
        if problems.is_empty() {
            return Ok(case);
        }
        Err(problems
            .into_iter()
            .map(|problem| {
                let at = locate(text, &problem.path);
                complaint(at, Some(key(&problem.path)), problem.what)
            })
            .collect())
    }

    /// Reads a case from a file.
    ///
    /// # Errors
    /// As [`Self::parse`], and when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, Vec<Complaint>> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![Complaint {
                file: file.clone(),
                line: 0,
                key: String::new(),
                what: error.to_string(),
            }]
        })?;
        Self::parse(&file, &text)
    }

    /// The case as a file.
    ///
    /// # Panics
    /// Never: every case can be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a case has nothing that TOML has not")
    }
}

fn key(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => (*key).to_owned(),
        Step::Index(index) => (index + 1).to_string(),
    });
    steps.collect::<Vec<_>>().join(".")
}

/// The key on a line of text: what is before `=`, or the name of the table.
fn key_of(text: &str, line: usize) -> String {
    let line = text.lines().nth(line - 1).unwrap_or_default().trim();
    let key = line.split_once('=').map_or(line, |(key, _)| key);
    key.trim_matches(|c: char| c == '[' || c == ']' || c.is_whitespace())
        .to_owned()
}

/// Where the key is, or the last table on the way to it.
fn locate(text: &str, path: &[Step]) -> usize {
    let Ok(root) = DeTable::parse(text) else {
        return 0;
    };
    let Some((Step::Key(first), rest)) = path.split_first() else {
        return 0;
    };
    let Some((at, mut value)) = entry(root.get_ref(), first) else {
        return 0;
    };
    let mut at = at;
    for step in rest {
        let next = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => entry(table, key),
            (Step::Index(index), DeValue::Array(array)) => {
                array.get(*index).map(|value| (value.span().start, value))
            }
            _ => None,
        };
        let Some(next) = next else { break };
        (at, value) = next;
    }
    at
}

fn entry<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<(usize, &'t Spanned<DeValue<'i>>)> {
    let found = table.iter().find(|(name, _)| name.get_ref() == key)?;
    Some((found.0.span().start, found.1))
}
