//! Which distribution this is.

use std::fs;

/// The fields of `os-release` that decide anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Release {
    /// `debian`, `ubuntu`, ...
    pub(crate) id: String,
    /// `bookworm`, `noble`, ...; empty when the file has none.
    pub(crate) codename: String,
    /// For messages.
    pub(crate) name: String,
}

impl Release {
    /// Reads `/etc/os-release`; an absent file gives empty fields.
    pub(crate) fn read() -> Self {
        Self::parse(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    pub(crate) fn parse(text: &str) -> Self {
        let field = |name: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned())
                .unwrap_or_default()
        };
        Self {
            id: field("ID"),
            codename: field("VERSION_CODENAME"),
            name: field("PRETTY_NAME"),
        }
    }

    /// The suite in which this release has a new enough QEMU, when its own is too old.
    pub(crate) fn qemu_backports(&self) -> Option<&'static str> {
        (self.id == "debian" && self.codename == "bookworm").then_some("bookworm-backports")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bookworm_needs_backports() {
        let bookworm = Release::parse(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
        );
        assert_eq!(bookworm.name, "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(bookworm.qemu_backports(), Some("bookworm-backports"));
        let trixie = Release::parse("ID=debian\nVERSION_CODENAME=trixie\n");
        assert_eq!(trixie.qemu_backports(), None);
        let noble = Release::parse("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n");
        assert_eq!(noble.qemu_backports(), None);
        assert_eq!(Release::parse("").qemu_backports(), None);
    }
}
