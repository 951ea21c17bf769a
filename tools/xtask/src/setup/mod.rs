//! Finds what the machine lacks and installs it with apt, or says exactly what to type.

pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod qemu;
pub(crate) mod release;
pub(crate) mod sources;
pub(crate) mod version;

use anyhow::{Context as _, Result, bail};
use plan::{Machine, Step};
use policy::Policy;
use release::Release;
use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};
use version::Version;

/// Something that a verb cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The system emulator.
    Qemu,
    /// The user-mode emulator, for the big-endian test run.
    QemuUser,
    /// Debian's compiler with library source, when rustup has none.
    DebianRust,
}

impl Need {
    /// Debian's and Ubuntu's packages; the first decides about versions.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Qemu => &["qemu-system-ppc"],
            Self::QemuUser => &["qemu-user"],
            Self::DebianRust => &["rustc-web", "rust-web-src", "lld"],
        }
    }

    /// The oldest version that will do.
    pub(crate) fn oldest(self) -> Version {
        match self {
            Self::Qemu => qemu::OLDEST,
            Self::QemuUser => Version { major: 5, minor: 0 },
            Self::DebianRust => crate::toolchain::OLDEST,
        }
    }

    /// For messages.
    pub(crate) fn what(self) -> String {
        match self {
            Self::Qemu => format!("{} {} or newer", qemu::PROGRAM, qemu::OLDEST),
            Self::QemuUser => qemu::USER_PROGRAM.to_owned(),
            Self::DebianRust => {
                format!(
                    "rustc {} or newer with library source",
                    crate::toolchain::OLDEST
                )
            }
        }
    }

    /// What is wrong, or `None` when the need is met.
    fn missing(self) -> Option<String> {
        match self {
            Self::Qemu => match qemu::find() {
                qemu::Found::Usable(_) => None,
                found => Some(found.to_string()),
            },
            Self::QemuUser => crate::workspace::find_program(qemu::USER_PROGRAM)
                .is_none()
                .then(|| format!("{} is not installed", qemu::USER_PROGRAM)),
            Self::DebianRust => crate::toolchain::debian()
                .err()
                .map(|error| error.to_string()),
        }
    }
}

/// How commands become root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Privilege {
    Root,
    Sudo,
    None,
}

impl Privilege {
    fn detect() -> Self {
        let prints_zero = |command: &mut Command| {
            command
                .stderr(Stdio::null())
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success() && output.stdout.trim_ascii() == b"0")
        };
        if prints_zero(Command::new("id").arg("-u")) {
            Self::Root
        } else if prints_zero(Command::new("sudo").args(["-n", "id", "-u"])) {
            Self::Sudo
        } else {
            Self::None
        }
    }

    fn command(self, program: &str) -> Command {
        match self {
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["-n", program]);
                command
            }
            Self::Root | Self::None => Command::new(program),
        }
    }
}

/// Installs what is missing, or fails with the command that a user has to type.
pub(crate) fn require(needs: &[Need]) -> Result<()> {
    require_with(needs, Privilege::detect())
}

fn require_with(needs: &[Need], privilege: Privilege) -> Result<()> {
    // Two rounds: the first may have to fetch the package lists before it knows what they offer.
    for updated in [false, true] {
        let lacking: Vec<_> = needs
            .iter()
            .filter_map(|need| Some((*need, need.missing()?)))
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let reasons: Vec<_> = lacking.iter().map(|(_, reason)| reason.as_str()).collect();
        let reasons = reasons.join("; ");
        let needs: Vec<_> = lacking.iter().map(|(need, _)| *need).collect();
        if crate::workspace::find_program("apt-get").is_none() {
            bail!("{}", without_apt(&needs, &reasons));
        }
        let release = Release::read();
        let sources = sources::read(Path::new("/etc/apt")).context("reading /etc/apt")?;
        let machine = Machine {
            release: &release,
            sources: &sources,
            policy: &policy,
            updated,
        };
        let steps = plan::plan(&needs, &machine)
            .map_err(|refusal| anyhow::anyhow!("{reasons}\n{refusal}"))?;
        if privilege == Privilege::None {
            bail!("{}", without_root(&steps, &reasons));
        }
        println!("Missing: {reasons}. Installing:");
        for step in &steps {
            println!("  {}", step.shell(""));
        }
        if steps.contains(&Step::Update) {
            if let Err(error) = run(&steps, privilege, |step| {
                !matches!(step, Step::Install { .. })
            }) {
                remove_added(&steps, privilege);
                return Err(error);
            }
            // What the fetched lists offer decides about the rest, in the next round; only what
            // the plan already knows is installed now.
            if machine_knows(&needs) {
                run(&steps, privilege, |step| {
                    matches!(step, Step::Install { .. })
                })?;
            }
        } else {
            run(&steps, privilege, |_| true)?;
        }
    }
    let still: Vec<_> = needs.iter().filter_map(|need| need.missing()).collect();
    if still.is_empty() {
        Ok(())
    } else {
        bail!("after installation: {}", still.join("; "))
    }
}

/// A source that apt cannot fetch must not stay behind and break the machine's own updates.
fn remove_added(steps: &[Step], privilege: Privilege) {
    for step in steps {
        if let Step::AddSource { path, .. } = step {
            println!("Removing {} again", path.display());
            let removed = privilege.command("rm").arg("-f").arg(path).status();
            if !removed.is_ok_and(|status| status.success()) {
                eprintln!("could not remove {}", path.display());
            }
        }
    }
}

/// Whether apt now offers a new enough version of everything.
fn machine_knows(needs: &[Need]) -> bool {
    needs.iter().all(|need| {
        !matches!(
            policy(need.packages()[0]).choose(need.oldest()),
            policy::Choice::Nothing(_)
        )
    })
}

fn run(steps: &[Step], privilege: Privilege, wanted: impl Fn(&Step) -> bool) -> Result<()> {
    for step in steps.iter().filter(|step| wanted(step)) {
        let status = match step {
            Step::AddSource { path, text } => {
                println!("Adding {}:\n{}", path.display(), text.trim_end());
                let mut tee = privilege
                    .command("tee")
                    .arg(path)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::null())
                    .spawn()
                    .context("tee")?;
                tee.stdin
                    .take()
                    .context("no pipe")?
                    .write_all(text.as_bytes())?;
                tee.wait()?
            }
            step => {
                let arguments = step.apt_arguments().unwrap_or_default();
                let mut command = match privilege {
                    // sudo may drop the environment, so the variable goes behind it.
                    Privilege::Sudo => {
                        let mut command = privilege.command("env");
                        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
                        command
                    }
                    _ => privilege.command("apt-get"),
                };
                command
                    .args(arguments)
                    .env("DEBIAN_FRONTEND", "noninteractive")
                    .stdin(Stdio::null())
                    .status()
                    .context("apt-get")?
            }
        };
        if !status.success() {
            bail!("`{}` failed: {status}", step.shell(""));
        }
    }
    Ok(())
}

fn policy(package: &str) -> Policy {
    let output = Command::new("apt-cache")
        .args(["policy", package])
        .env("LC_ALL", "C")
        .output();
    Policy::parse(
        &output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default(),
    )
}

fn without_root(steps: &[Step], reasons: &str) -> String {
    let commands: Vec<_> = steps.iter().map(|step| step.shell("sudo ")).collect();
    format!(
        "{reasons}. Installing needs root, and there is no sudo without a password here. Type:\n  {}",
        commands.join(" && \\\n  ")
    )
}

fn without_apt(needs: &[Need], reasons: &str) -> String {
    let wanted: Vec<_> = needs.iter().map(|need| need.what()).collect();
    let packages: Vec<_> = needs
        .iter()
        .flat_map(|need| need.packages())
        .copied()
        .collect();
    format!(
        "{reasons}. There is no apt here: install {} with this system's package manager. On \
         Debian 13 the command is:\n  sudo apt-get install --no-install-recommends {}",
        wanted.join(", "),
        packages.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_the_exact_command() {
        let steps = [
            Step::Update,
            Step::Install {
                suite: None,
                packages: Need::Qemu.packages().to_vec(),
            },
        ];
        let message = without_root(&steps, "x is missing");
        assert!(
            message.ends_with(
                "sudo apt-get update && \\\n  sudo apt-get install --yes \
                 --no-install-recommends qemu-system-ppc"
            ),
            "{message}"
        );
        let message = without_apt(&[Need::Qemu, Need::QemuUser], "x is missing");
        assert!(
            message.contains("qemu-system-ppc64 9.0 or newer, qemu-ppc64"),
            "{message}"
        );
        assert!(
            message.ends_with("--no-install-recommends qemu-system-ppc qemu-user"),
            "{message}"
        );
    }
}
