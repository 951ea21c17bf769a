//! Which QEMU is here, and whether it has what the tests need.

use super::version::Version;
use std::{fmt, path::PathBuf, process::Command};

/// The emulator's program.
pub(crate) const PROGRAM: &str = "qemu-system-ppc64";
/// The user-mode emulator's program, for the big-endian tests.
pub(crate) const USER_PROGRAM: &str = "qemu-ppc64";
/// The first QEMU that models the ChipTOD and the TFMR state machine.
pub(crate) const OLDEST: Version = Version { major: 9, minor: 0 };

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Not on `PATH`.
    Missing,
    /// Here, but it has no ChipTOD.
    TooOld(Version),
    /// Here and usable.
    Usable(Version),
}

impl Found {
    fn from_version(version: Version) -> Self {
        if version < OLDEST {
            Self::TooOld(version)
        } else {
            Self::Usable(version)
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "{PROGRAM} is not installed"),
            Self::TooOld(version) => {
                write!(
                    f,
                    "QEMU {version} has no ChipTOD (it came with QEMU {OLDEST})"
                )
            }
            Self::Usable(version) => write!(f, "QEMU {version}"),
        }
    }
}

/// Asks the program on `PATH`.
pub(crate) fn find() -> Found {
    let Some(path) = path() else {
        return Found::Missing;
    };
    let Ok(output) = Command::new(path).arg("--version").output() else {
        return Found::Missing;
    };
    parse_version(&String::from_utf8_lossy(&output.stdout))
        .map_or(Found::Missing, Found::from_version)
}

/// The program on `PATH`.
pub(crate) fn path() -> Option<PathBuf> {
    crate::workspace::find_program(PROGRAM)
}

fn parse_version(output: &str) -> Option<Version> {
    Version::parse(output.split("version ").nth(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_ones_are_refused_by_name() {
        let old =
            parse_version("QEMU emulator version 7.2.19 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright");
        let old = Found::from_version(old.unwrap());
        assert_eq!(old, Found::TooOld(Version { major: 7, minor: 2 }));
        assert!(old.to_string().contains("QEMU 7.2 has no ChipTOD"), "{old}");
        assert_eq!(
            Found::from_version(Version { major: 8, minor: 2 }),
            Found::TooOld(Version { major: 8, minor: 2 })
        );
        let new = parse_version("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)").unwrap();
        assert_eq!(
            Found::from_version(new),
            Found::Usable(Version {
                major: 10,
                minor: 0
            })
        );
        assert_eq!(
            Found::from_version(Version { major: 9, minor: 0 }),
            Found::Usable(Version { major: 9, minor: 0 })
        );
        assert_eq!(parse_version("something else"), None);
    }
}
