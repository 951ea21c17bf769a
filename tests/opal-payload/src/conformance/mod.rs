//! Every token that Opaline implements, with good and bad arguments: one line a case.
//!
//! A line is `TOKEN NAME.case -> code values`; lines of a case that is repeated on other threads
//! begin with `each` or `all`. Nothing in a line varies from run to run. The command line may name
//! cases: `without=A,B` leaves some out, because a firmware does not survive them, and `only=A`
//! makes one of them alone.

mod calls;
mod case;
mod pointer;

use crate::client::Client;
use crate::tree::Machine;
use case::Case;
use core::fmt::{self, Display, Write};
use pointer::Surroundings;

/// Runs all cases.
///
/// # Errors
/// When the console fails.
pub fn run<C: Client>(client: &C, machine: &Machine<'_>, out: &mut impl Write) -> fmt::Result {
    let wanted = Wanted::read(machine.command_line);
    let around = Surroundings {
        firmware: machine.base,
        memory_end: machine.memory_end,
    };
    for case in Case::all().filter(|case| wanted.wants(case)) {
        write!(out, "{} {case} -> ", case.call.token as i64)?;
        case.tell(client, around, out)?;
        writeln!(out)?;
    }
    writeln!(out, "registers not preserved: {}", client.clobbered())
}

/// What a started thread does with a job.
pub fn work<C: Client>(_: &C, _: u64) {}

/// Which cases the command line wants.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted<'t> {
    without: &'t str,
    only: Option<&'t str>,
}

impl<'t> Wanted<'t> {
    fn read(command_line: &'t str) -> Self {
        let word = |key| {
            let mut words = command_line.split_whitespace();
            words.find_map(|word| word.strip_prefix(key))
        };
        Self {
            without: word("without=").unwrap_or_default(),
            only: word("only="),
        }
    }

    fn wants(&self, case: &impl Display) -> bool {
        let is = |name: &str| {
            let mut rest = Rest(name);
            write!(rest, "{case}").is_ok() && rest.0.is_empty()
        };
        match self.only {
            Some(names) => names.split(',').any(is),
            None => !self.without.split(',').any(is),
        }
    }
}

/// Takes away from a text what is written to it; anything else is an error.
struct Rest<'t>(&'t str);

impl Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{collections::BTreeSet, string::ToString as _};

    #[test]
    fn every_implemented_token_is_called_and_no_case_has_two_lines() {
        let names: std::vec::Vec<_> = Case::all().map(|case| case.to_string()).collect();
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn the_command_line_chooses() {
        let wanted = Wanted::read("conformance without=TEST.good,A.b x");
        assert!(!wanted.wants(&"TEST.good") && !wanted.wants(&"A.b"));
        assert!(wanted.wants(&"TEST.goo") && wanted.wants(&"TEST.good2"));
        let wanted = Wanted::read("conformance only=TEST.good");
        assert!(wanted.wants(&"TEST.good") && !wanted.wants(&"A.b"));
    }
}
