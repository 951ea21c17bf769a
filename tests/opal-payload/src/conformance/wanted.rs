//! Which cases the command line wants.

use core::fmt::{self, Display, Write};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'t> {
    without: &'t str,
    only: Option<&'t str>,
    ends: bool,
}

impl<'t> Wanted<'t> {
    pub(super) fn read(command_line: &'t str) -> Self {
        let word = |key| {
            let mut words = command_line.split_whitespace();
            words.find_map(|word| word.strip_prefix(key))
        };
        Self {
            without: word("without=").unwrap_or_default(),
            only: word("only="),
            ends: word("ends").is_some(),
        }
    }

    pub(super) fn wants(&self, case: &impl Display) -> bool {
        let is = |name: &str| {
            let mut rest = Rest(name);
            write!(rest, "{case}").is_ok() && rest.0.is_empty()
        };
        match self.only {
            Some(names) => names.split(',').any(is),
            None => !self.without.split(',').any(is),
        }
    }

    /// Whether the calls that end a run are wanted.
    pub(super) const fn ends(&self) -> bool {
        self.ends
    }

    /// Whether all cases are wanted but some that were named.
    pub(super) const fn is_whole(&self) -> bool {
        self.only.is_none()
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
    use super::*;

    #[test]
    fn the_command_line_chooses() {
        let wanted = Wanted::read("conformance without=TEST.good,A.b x");
        assert!(!wanted.wants(&"TEST.good") && !wanted.wants(&"A.b"));
        assert!(wanted.wants(&"TEST.goo") && wanted.wants(&"TEST.good2"));
        assert!(wanted.is_whole());
        let wanted = Wanted::read("conformance only=TEST.good");
        assert!(wanted.wants(&"TEST.good") && !wanted.wants(&"A.b"));
        assert!(!wanted.is_whole());
    }
}
