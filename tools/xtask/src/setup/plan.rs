//! What has to be installed and how: decided from facts alone, so that every machine can be tested.

use super::{
    Need,
    policy::{Choice, Policy},
    release::Release,
    sources::{self, Source},
};
use std::{fmt, path::PathBuf};

/// Where added suites go: beside the machine's own sources, never into them.
const SOURCES: &str = "/etc/apt/sources.list.d";

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Add a suite.
    AddSource { path: PathBuf, text: String },
    /// `apt-get update`.
    Update,
    /// `apt-get install`, from a suite when the usual one is too old.
    Install {
        suite: Option<String>,
        packages: Vec<&'static str>,
    },
}

impl Step {
    /// Arguments of `apt-get`; `None` for a file.
    pub(crate) fn apt_arguments(&self) -> Option<Vec<String>> {
        match self {
            Self::AddSource { .. } => None,
            Self::Update => Some(vec!["update".to_owned()]),
            Self::Install { suite, packages } => {
                let mut arguments: Vec<String> = ["install", "--yes", "--no-install-recommends"]
                    .map(str::to_owned)
                    .into();
                if let Some(suite) = suite {
                    arguments.extend(["--target-release".to_owned(), suite.clone()]);
                }
                arguments.extend(packages.iter().map(|package| (*package).to_owned()));
                Some(arguments)
            }
        }
    }

    /// The command as a user would type it.
    pub(crate) fn shell(&self, sudo: &str) -> String {
        match self {
            Self::AddSource { path, text } => {
                let quoted = text.replace('\'', r"'\''");
                format!(
                    "printf '%s' '{quoted}' | {sudo}tee {} >/dev/null",
                    path.display()
                )
            }
            step => {
                let arguments = step.apt_arguments().unwrap_or_default();
                format!("{sudo}apt-get {}", arguments.join(" "))
            }
        }
    }
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing that is configured has a new enough version.
    TooOld {
        need: Need,
        release: String,
        newest: String,
    },
    /// No source offers the package at all.
    NoPackage { need: Need, release: String },
    /// Backports are needed, and the machine has no source whose mirror could be used.
    NoMirror { suite: &'static str },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld {
                need: Need::Qemu,
                release,
                newest,
            } => write!(
                f,
                "{release} offers QEMU {newest} at most: QEMU {newest} has no ChipTOD (it came \
                 with QEMU {}). Debian 13, Debian 12 with backports and Ubuntu 25.04 or newer \
                 have it; or put a newer {} on PATH.",
                super::qemu::OLDEST,
                super::qemu::PROGRAM
            ),
            Self::TooOld {
                need,
                release,
                newest,
            } => write!(
                f,
                "{release} offers {} {newest} at most; {} or newer is needed",
                need.packages().join(" "),
                need.oldest()
            ),
            Self::NoPackage { need, release } => write!(
                f,
                "no apt source of {release} offers {}; install {} by hand",
                need.packages().join(" "),
                need.what()
            ),
            Self::NoMirror { suite } => write!(
                f,
                "{suite} is needed and no apt source below /etc/apt names a mirror to take it from"
            ),
        }
    }
}

/// The facts about a machine.
pub(crate) struct Machine<'a> {
    pub(crate) release: &'a Release,
    pub(crate) sources: &'a [Source],
    /// `apt-cache policy` of a package.
    pub(crate) policy: &'a dyn Fn(&str) -> Policy,
    /// Whether `apt-get update` ran already, so that running it again is no help.
    pub(crate) updated: bool,
}

/// The commands that fulfil `needs`, in order.
pub(crate) fn plan(needs: &[Need], machine: &Machine<'_>) -> Result<Vec<Step>, Refusal> {
    let mut add = None;
    let mut update = false;
    let mut installs: Vec<(Option<String>, Vec<&'static str>)> = Vec::new();
    for need in needs {
        let suite = match (machine.policy)(need.packages()[0]).choose(need.oldest()) {
            Choice::Plain => None,
            Choice::FromSuite(suite) => Some(suite),
            Choice::Nothing(newest) => {
                let backports = machine
                    .release
                    .qemu_backports()
                    .filter(|_| *need == Need::Qemu);
                if let Some(suite) = backports
                    && !machine.updated
                {
                    if !sources::has_suite(machine.sources, suite) {
                        let text =
                            sources::beside(machine.sources, &machine.release.codename, suite)
                                .ok_or(Refusal::NoMirror { suite })?;
                        let path = format!("{SOURCES}/opaline-{suite}.sources").into();
                        add = Some(Step::AddSource { path, text });
                    }
                    update = true;
                    Some(suite.to_owned())
                } else if newest.is_none() && !machine.updated {
                    // The package lists were never fetched: fetch, and hope for a new enough one.
                    update = true;
                    None
                } else {
                    let release = machine.release.name.clone();
                    return Err(match newest {
                        Some(newest) => Refusal::TooOld {
                            need: *need,
                            release,
                            newest: newest.to_string(),
                        },
                        None => Refusal::NoPackage {
                            need: *need,
                            release,
                        },
                    });
                }
            }
        };
        match installs.iter_mut().find(|(known, _)| *known == suite) {
            Some((_, packages)) => packages.extend(need.packages()),
            None => installs.push((suite, need.packages().to_vec())),
        }
    }
    let installs = installs
        .into_iter()
        .map(|(suite, packages)| Step::Install { suite, packages });
    Ok(add
        .into_iter()
        .chain(update.then_some(Step::Update))
        .chain(installs)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(id: &str, codename: &str) -> Release {
        Release {
            id: id.into(),
            codename: codename.into(),
            name: format!("{id} {codename}"),
        }
    }

    fn policy(versions: &[(&str, &str)]) -> Policy {
        let mut text = "p:\n  Candidate: ".to_owned();
        text += versions.last().map_or("(none)", |(version, _)| version);
        text += "\n  Version table:\n";
        for (version, suite) in versions {
            text +=
                &format!("     {version} 500\n        500 http://m {suite}/main amd64 Packages\n");
        }
        Policy::parse(&text)
    }

    fn shells(steps: &[Step]) -> Vec<String> {
        steps.iter().map(|step| step.shell("sudo ")).collect()
    }

    const MIRROR: &str = "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main\n";
    const OLD: &[(&str, &str)] = &[("1:7.2+dfsg-7", "bookworm")];

    #[test]
    fn bookworm_without_backports_adds_the_suite() {
        let sources = sources::parse_one_line(MIRROR);
        let release = release("debian", "bookworm");
        let steps = plan(
            &[Need::Qemu, Need::QemuUser],
            &Machine {
                release: &release,
                sources: &sources,
                policy: &|_| policy(OLD),
                updated: false,
            },
        )
        .unwrap();
        let Step::AddSource { path, text } = &steps[0] else {
            panic!("{steps:?}")
        };
        assert_eq!(
            path.to_str().unwrap(),
            "/etc/apt/sources.list.d/opaline-bookworm-backports.sources"
        );
        assert!(
            text.contains("http://mirror.example/debian") && text.contains("Signed-By: /k.gpg")
        );
        assert_eq!(
            shells(&steps[1..]),
            [
                "sudo apt-get update",
                "sudo apt-get install --yes --no-install-recommends --target-release \
                 bookworm-backports qemu-system-ppc",
                "sudo apt-get install --yes --no-install-recommends qemu-user",
            ]
        );
    }

    #[test]
    fn bookworm_with_backports_fetched_or_not() {
        let both = format!("{MIRROR}deb http://mirror.example/debian bookworm-backports main\n");
        let sources = sources::parse_one_line(&both);
        let release = release("debian", "bookworm");
        let fetched: &[(&str, &str)] = &[
            ("1:10.0.2+ds-2~bpo12+1", "bookworm-backports"),
            ("1:7.2", "bookworm"),
        ];
        let make = |offers: &'static [(&'static str, &'static str)]| {
            let machine = Machine {
                release: &release,
                sources: &sources,
                policy: &|_| policy(offers),
                updated: false,
            };
            shells(&plan(&[Need::Qemu], &machine).unwrap())
        };
        let install = "sudo apt-get install --yes --no-install-recommends --target-release \
                       bookworm-backports qemu-system-ppc";
        assert_eq!(make(OLD), ["sudo apt-get update", install]);
        let machine = Machine {
            release: &release,
            sources: &sources,
            policy: &|_| policy(fetched),
            updated: false,
        };
        assert_eq!(shells(&plan(&[Need::Qemu], &machine).unwrap()), [install]);
    }

    #[test]
    fn new_releases_install_plainly_and_fetch_first_when_they_must() {
        let release = release("debian", "trixie");
        let new: &[(&str, &str)] = &[("1:10.0.2+ds-2", "trixie")];
        for (offers, expected) in [(new, 1), (&[] as &[_], 2)] {
            let machine = Machine {
                release: &release,
                sources: &[],
                policy: &|_| policy(offers),
                updated: false,
            };
            let steps = shells(&plan(&[Need::Qemu], &machine).unwrap());
            assert_eq!(steps.len(), expected);
            assert_eq!(
                steps[expected - 1],
                "sudo apt-get install --yes --no-install-recommends qemu-system-ppc"
            );
        }
    }

    #[test]
    fn too_old_is_refused_by_name() {
        let release = release("ubuntu", "noble");
        let old: &[(&str, &str)] = &[("1:8.2.2+ds-0ubuntu1", "noble/universe")];
        let machine = Machine {
            release: &release,
            sources: &[],
            policy: &|_| policy(old),
            updated: true,
        };
        let refusal = plan(&[Need::Qemu], &machine).unwrap_err().to_string();
        assert!(refusal.contains("QEMU 8.2 has no ChipTOD"), "{refusal}");
        let machine = Machine {
            policy: &|_| policy(&[]),
            ..machine
        };
        assert!(matches!(
            plan(&[Need::QemuUser], &machine),
            Err(Refusal::NoPackage {
                need: Need::QemuUser,
                ..
            })
        ));
    }

    #[test]
    fn bookworm_without_any_mirror_is_refused() {
        let release = release("debian", "bookworm");
        let machine = Machine {
            release: &release,
            sources: &[],
            policy: &|_| policy(OLD),
            updated: false,
        };
        assert_eq!(
            plan(&[Need::Qemu], &machine),
            Err(Refusal::NoMirror {
                suite: "bookworm-backports"
            })
        );
    }

    #[test]
    fn quotes_survive_the_shell() {
        let step = Step::AddSource {
            path: "/x".into(),
            text: "it's\n".into(),
        };
        assert_eq!(
            step.shell("sudo "),
            "printf '%s' 'it'\\''s\n' | sudo tee /x >/dev/null"
        );
    }
}
