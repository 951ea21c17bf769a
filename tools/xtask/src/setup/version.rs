//! Version numbers as far as decisions need them.

use std::fmt;

/// Major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    /// First number.
    pub(crate) major: u32,
    /// Second number.
    pub(crate) minor: u32,
}

impl Version {
    /// The version at the start of a text: `10.0.2 (Debian ...)`, `1.96.0+dfsg1-1`, or, with an
    /// epoch as Debian packages have it, `1:7.2+dfsg-7`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let text = match text.split_once(':') {
            Some((epoch, rest))
                if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) =>
            {
                rest
            }
            _ => text,
        };
        let mut numbers = text
            .split(|c: char| !c.is_ascii_digit())
            .map_while(|number| number.parse::<u32>().ok());
        Some(Self {
            major: numbers.next()?,
            minor: numbers.next().unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_and_suffixes() {
        let version = |major, minor| Some(Version { major, minor });
        assert_eq!(
            Version::parse("1:10.0.2+ds-2+deb13u1~bpo12+1"),
            version(10, 0)
        );
        assert_eq!(Version::parse("1:7.2+dfsg-7+deb12u18+b3"), version(7, 2));
        assert_eq!(Version::parse("1.96.0+dfsg1-1~deb12u2"), version(1, 96));
        assert_eq!(Version::parse("11"), version(11, 0));
        assert_eq!(Version::parse("(none)"), None);
        assert!(Version::parse("9.2") < Version::parse("10.0"));
    }
}
