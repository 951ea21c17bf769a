//! What apt could install: the output of `apt-cache policy`, read into types.

use super::version::Version;

/// What apt knows about one package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The version that a plain install takes.
    pub(crate) candidate: Option<Version>,
    /// Every version, with the suites that offer it.
    pub(crate) offers: Vec<Offer>,
}

/// One version of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) version: Version,
    pub(crate) suites: Vec<String>,
}

/// How to get a version that is new enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A plain install does it.
    Plain,
    /// Only this suite has it.
    FromSuite(String),
    /// Nothing configured offers it; the newest that is offered, if any.
    Nothing(Option<Version>),
}

impl Policy {
    /// Parses the output for one package (`LC_ALL=C`).
    pub(crate) fn parse(output: &str) -> Self {
        let mut policy = Self::default();
        let mut in_table = false;
        for line in output.lines() {
            if let Some(candidate) = line.trim().strip_prefix("Candidate:") {
                policy.candidate = Version::parse(candidate);
            } else if line.trim() == "Version table:" {
                in_table = true;
            } else if in_table {
                policy.table_line(line);
            }
        }
        policy
    }

    fn table_line(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        if line.starts_with("        ") {
            // "500 http://mirror bookworm/main amd64 Packages", or the local status file.
            if let (Some(suite), Some(offer)) = (words.nth(2), self.offers.last_mut())
                && let Some((suite, _)) = suite.rsplit_once('/')
            {
                offer.suites.push(suite.to_owned());
            }
        } else if let Some(version) = words.find(|word| *word != "***").and_then(Version::parse) {
            self.offers.push(Offer {
                version,
                suites: Vec::new(),
            });
        }
    }

    /// How to get at least `oldest`.
    pub(crate) fn choose(&self, oldest: Version) -> Choice {
        if self.candidate.is_some_and(|candidate| candidate >= oldest) {
            return Choice::Plain;
        }
        let from_suite = self
            .offers
            .iter()
            .filter(|offer| offer.version >= oldest)
            .find_map(|offer| offer.suites.first());
        match from_suite {
            Some(suite) => Choice::FromSuite(suite.clone()),
            None => Choice::Nothing(self.offers.iter().map(|offer| offer.version).max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLDEST: Version = Version { major: 9, minor: 0 };

    #[test]
    fn bookworm_with_backports() {
        let policy = Policy::parse(
            "qemu-system-ppc:
  Installed: (none)
  Candidate: 1:7.2+dfsg-7+deb12u18+b3
  Version table:
     1:10.0.2+ds-2+deb13u1~bpo12+1 100
        100 http://deb.example/debian bookworm-backports/main amd64 Packages
     1:7.2+dfsg-7+deb12u18+b3 500
        500 http://deb.example/debian bookworm/main amd64 Packages
",
        );
        assert_eq!(policy.offers.len(), 2);
        assert_eq!(
            policy.choose(OLDEST),
            Choice::FromSuite("bookworm-backports".to_owned())
        );
        assert_eq!(policy.choose(Version { major: 7, minor: 0 }), Choice::Plain);
    }

    #[test]
    fn installed_marker_and_status_file() {
        let policy = Policy::parse(
            "qemu-system-ppc:
  Installed: 1:7.2+dfsg-7
  Candidate: 1:7.2+dfsg-7
  Version table:
 *** 1:7.2+dfsg-7 100
        100 /var/lib/dpkg/status
",
        );
        assert_eq!(policy.offers[0].suites, Vec::<String>::new());
        assert_eq!(
            policy.choose(OLDEST),
            Choice::Nothing(Some(Version { major: 7, minor: 2 }))
        );
    }

    #[test]
    fn trixie_and_unknown() {
        let policy = Policy::parse(
            "qemu-system-ppc:\n  Installed: (none)\n  Candidate: 1:10.0.2+ds-2\n  Version table:\n     1:10.0.2+ds-2 500\n        500 http://deb.example/debian trixie/main amd64 Packages\n",
        );
        assert_eq!(policy.choose(OLDEST), Choice::Plain);
        assert_eq!(Policy::parse("").choose(OLDEST), Choice::Nothing(None));
    }
}
