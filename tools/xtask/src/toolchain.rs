//! Which compiler builds the image: the pinned stable with library source, or Debian's.
//!
//! Building `core` for an own target needs the library's source, in exactly the compiler's version.

use crate::{
    setup::{self, Need, version::Version},
    workspace::find_program,
};
use anyhow::{Context as _, Result, bail};
use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// PowerPC `asm!` is stable from here on.
pub(crate) const OLDEST: Version = Version {
    major: 1,
    minor: 95,
};
/// Where Debian puts its compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A compiler that can build the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// The compiler.
    pub(crate) rustc: PathBuf,
    /// Its release, as it names itself.
    pub(crate) release: String,
    /// Where it lives.
    pub(crate) sysroot: PathBuf,
    /// The linker for the image.
    pub(crate) linker: PathBuf,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rustc {} with library source in {}, linker {}",
            self.release,
            self.sysroot.display(),
            self.linker.display()
        )
    }
}

/// Why a compiler cannot build the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    NotThere(String),
    TooOld(String),
    NoSource(PathBuf),
    NoLinker,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere(why) => f.write_str(why),
            Self::TooOld(release) => write!(f, "is {release}, older than {OLDEST}"),
            Self::NoSource(sysroot) => {
                write!(
                    f,
                    "has no library source (rust-src) in {}",
                    sysroot.display()
                )
            }
            Self::NoLinker => f.write_str("has no rust-lld, and there is no ld.lld on PATH"),
        }
    }
}

impl std::error::Error for Unfit {}

/// The facts of `rustc -vV`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verbose {
    release: String,
    version: Version,
    host: String,
}

impl Verbose {
    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let release = field("release: ")?.trim().to_owned();
        let version = Version::parse(&release)?;
        Some(Self {
            release,
            version,
            host: field("host: ")?.trim().to_owned(),
        })
    }
}

/// Finds a compiler; installs the missing part when it can.
pub(crate) fn resolve() -> Result<Toolchain> {
    let own = match probe(Path::new("rustc")) {
        Ok(found) => return Ok(found),
        Err(Unfit::NoSource(sysroot)) if add_rust_src(&sysroot) => probe(Path::new("rustc")),
        Err(unfit) => Err(unfit),
    };
    let own = match own {
        Ok(found) => return Ok(found),
        Err(unfit) => unfit,
    };
    if let Ok(found) = debian() {
        return Ok(found);
    }
    setup::require(&[Need::DebianRust]).with_context(|| {
        format!(
            "no compiler can build the image:\n  rustc on PATH {own}\n  \
             fix: `rustup component add rust-src`, or Debian's packages {}",
            Need::DebianRust.packages().join(" ")
        )
    })?;
    Ok(debian()?)
}

/// The compiler that would be used as things are; installs nothing.
pub(crate) fn look() -> Result<Toolchain> {
    probe(Path::new("rustc"))
        .or_else(|own| debian().map_err(|debian| anyhow::anyhow!("rustc on PATH {own}; {debian}")))
}

/// Debian's compiler, if it will do.
pub(crate) fn debian() -> Result<Toolchain, Unfit> {
    probe(Path::new(DEBIAN_RUSTC))
}

fn probe(rustc: &Path) -> Result<Toolchain, Unfit> {
    let not_there = |why: &str| Unfit::NotThere(format!("{}: {why}", rustc.display()));
    let verbose = capture(rustc, &["-vV"]).ok_or_else(|| not_there("does not run"))?;
    let verbose = Verbose::parse(&verbose).ok_or_else(|| not_there("gives an odd answer"))?;
    if verbose.version < OLDEST {
        return Err(Unfit::TooOld(verbose.release));
    }
    let sysroot = capture(rustc, &["--print", "sysroot"]).ok_or_else(|| not_there("no sysroot"))?;
    let sysroot = PathBuf::from(sysroot);
    fit(rustc, verbose, sysroot, &find_program)
}

/// Whether the sysroot has source and a linker can be found.
fn fit(
    rustc: &Path,
    verbose: Verbose,
    sysroot: PathBuf,
    on_path: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Toolchain, Unfit> {
    if !sysroot
        .join("lib/rustlib/src/rust/library/Cargo.lock")
        .is_file()
    {
        return Err(Unfit::NoSource(sysroot));
    }
    let bundled = sysroot.join(format!("lib/rustlib/{}/bin/rust-lld", verbose.host));
    let linker = if bundled.is_file() {
        bundled
    } else {
        on_path("ld.lld").ok_or(Unfit::NoLinker)?
    };
    Ok(Toolchain {
        rustc: rustc.into(),
        release: verbose.release,
        sysroot,
        linker,
    })
}

/// `rustup component add rust-src`, when this compiler is rustup's.
fn add_rust_src(sysroot: &Path) -> bool {
    let Some(rustup) = find_program("rustup") else {
        return false;
    };
    let Some(name) = sysroot.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    if sysroot
        .parent()
        .and_then(Path::file_name)
        .is_none_or(|parent| parent != "toolchains")
    {
        return false;
    }
    println!(
        "Missing: library source of {name}. Running: rustup component add rust-src --toolchain {name}"
    );
    Command::new(rustup)
        .args(["component", "add", "rust-src", "--toolchain", name])
        .status()
        .is_ok_and(|status| status.success())
}

/// Adds a target's standard library to the pinned toolchain; `Err` says why there is none.
pub(crate) fn add_target(target: &str) -> Result<()> {
    let sysroot = capture(Path::new("rustc"), &["--print", "sysroot"]).context("rustc")?;
    let installed = Path::new(&sysroot).join("lib/rustlib").join(target);
    if installed.is_dir() {
        return Ok(());
    }
    let rustup = find_program("rustup").context("no rustup, so no standard library for it")?;
    println!("Missing: standard library for {target}. Running: rustup target add {target}");
    let mut command = Command::new(rustup);
    command.args(["target", "add", target]);
    if let Some(name) = Path::new(&sysroot).file_name() {
        command.arg("--toolchain").arg(name);
    }
    if !command.status()?.success() || !installed.is_dir() {
        bail!("rustup has no standard library for {target} here");
    }
    Ok(())
}

/// Trimmed output of a successful command.
pub(crate) fn capture(program: &Path, arguments: &[&str]) -> Option<String> {
    // The workspace's own pin decides which toolchain rustup's proxy runs.
    let output = Command::new(program)
        .args(arguments)
        .current_dir(crate::workspace::root())
        .env_remove("RUSTC_BOOTSTRAP")
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `rust-lld` of the compiler on `PATH`, to link big-endian test programs.
pub(crate) fn host_rust_lld() -> Option<PathBuf> {
    let verbose = Verbose::parse(&capture(Path::new("rustc"), &["-vV"])?)?;
    let sysroot = PathBuf::from(capture(Path::new("rustc"), &["--print", "sysroot"])?);
    let path = sysroot.join(format!("lib/rustlib/{}/bin/rust-lld", verbose.host));
    path.is_file().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn verbose() -> Verbose {
        Verbose::parse(
            "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n",
        )
        .unwrap()
    }

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn verbose_output_is_read() {
        assert_eq!(verbose().version, OLDEST);
        assert_eq!(verbose().host, "x86_64-unknown-linux-gnu");
        let nightly = Verbose::parse("release: 1.97.0-nightly\nhost: x\n").unwrap();
        assert_eq!(
            nightly.version,
            Version {
                major: 1,
                minor: 97
            }
        );
        assert_eq!(Verbose::parse("nonsense"), None);
    }

    #[test]
    fn own_linker_first_then_path_then_none() {
        let sysroot = tempfile::tempdir().unwrap();
        let root = sysroot.path().to_owned();
        let nowhere = |_: &str| None;
        let try_with = |on_path: &dyn Fn(&str) -> Option<PathBuf>| {
            fit(Path::new("rustc"), verbose(), root.clone(), on_path)
        };
        assert_eq!(try_with(&nowhere), Err(Unfit::NoSource(root.clone())));
        write(&root.join("lib/rustlib/src/rust/library/Cargo.lock"));
        assert_eq!(try_with(&nowhere), Err(Unfit::NoLinker));
        let debian = try_with(&|name| Some(Path::new("/usr/bin").join(name))).unwrap();
        assert_eq!(debian.linker, Path::new("/usr/bin/ld.lld"));
        let bundled = root.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
        write(&bundled);
        assert_eq!(try_with(&nowhere).unwrap().linker, bundled);
    }
}
