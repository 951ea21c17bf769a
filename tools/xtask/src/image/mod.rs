//! The image: built for the bare machine, flattened, and audited.

mod flatten;
mod symbol_map;

use crate::{audit, setup, toolchain, workspace};
use anyhow::{Context as _, Result, bail};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Name of the target specification in `linker/`, without its extension.
const TARGET: &str = "powerpc64-opaline";

/// What can be taken out of the image, to see that the checks notice: short name, full name.
const MUTATIONS: &[(&str, &str)] = &[
    (
        "mutate-skip-tb-repair",
        "opaline-firmware/mutate-skip-tb-repair",
    ),
    ("mutate-skip-scrub", "opaline-firmware/mutate-skip-scrub"),
    ("mutate-skip-offset", "hypervisor-shim/mutate-skip-offset"),
    (
        "mutate-skip-guest-wait",
        "hypervisor-shim/mutate-skip-guest-wait",
    ),
];

/// The name under which cargo knows a feature.
fn full_name(feature: &str) -> &str {
    MUTATIONS
        .iter()
        .find(|(short, _)| *short == feature)
        .map_or(feature, |(_, full)| *full)
}

/// A built image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Flat bytes for `-bios`.
    pub(crate) flat: PathBuf,
    /// The same with symbols.
    pub(crate) elf: PathBuf,
    /// What the build found out about it.
    pub(crate) audit: audit::Findings,
}

/// Builds the image; with `features` it goes below `target/mutants`, never where the real one is.
pub(crate) fn build(features: &[String]) -> Result<Image> {
    let chain = toolchain::resolve()?;
    println!("Compiler: {chain}");
    let mut cargo = cargo(&chain, "build", "boot");
    cargo.arg("--release");
    if !features.is_empty() {
        let names: Vec<_> = features.iter().map(|feature| full_name(feature)).collect();
        cargo.arg("--features").arg(names.join(","));
    }
    if !cargo.status().context("cargo")?.success() {
        bail!("the image does not build");
    }
    let mut bytes = built("opaline")?;
    symbol_map::fill(&mut bytes)?;
    let raw = flatten::flatten(&bytes)?;
    let directory = if features.is_empty() {
        workspace::results()
    } else {
        workspace::results()
            .join("mutants")
            .join(features.join("+").replace('/', "-"))
    };
    fs::create_dir_all(&directory)?;
    let (flat, elf) = (directory.join("opaline.lid"), directory.join("opaline.elf"));
    fs::write(&flat, &raw)?;
    fs::write(&elf, &bytes)?;
    println!(
        "Image: {} ({} bytes), symbols in {}",
        shown(&flat),
        raw.len(),
        shown(&elf)
    );
    let audit = audit::examine(&bytes, raw.len())?;
    Ok(Image { flat, elf, audit })
}

/// The same build with warnings denied by clippy.
pub(crate) fn clippy() -> Result<bool> {
    let chain = toolchain::resolve()?;
    let mut command = cargo(&chain, "clippy", "boot");
    command.args(["--release", "--", "-D", "warnings"]);
    Ok(command.status().context("cargo clippy")?.success())
}

/// Whether clippy can see the image: it must belong to the compiler that builds it.
pub(crate) fn clippy_possible() -> Result<bool> {
    Ok(toolchain::resolve()?.rustc == Path::new("rustc"))
}

fn target_directory() -> PathBuf {
    workspace::target().join("image")
}

/// The bytes of a program for the bare machine that cargo has built.
pub(crate) fn built(program: &str) -> Result<Vec<u8>> {
    let path = target_directory()
        .join(TARGET)
        .join("release")
        .join(program);
    fs::read(&path).with_context(|| path.display().to_string())
}

/// Cargo for a package of the bare machine.
pub(crate) fn cargo(chain: &toolchain::Toolchain, verb: &str, package: &str) -> Command {
    let root = workspace::root();
    let mut command = Command::new(workspace::cargo());
    let key = TARGET.to_uppercase().replace('-', "_");
    command
        .current_dir(&root)
        .args([
            verb,
            "--package",
            package,
            "-Zjson-target-spec",
            "-Zbuild-std=core",
        ])
        .arg("-Zbuild-std-features=compiler-builtins-mem")
        .arg("--target")
        .arg(root.join("linker").join(format!("{TARGET}.json")))
        .arg("--target-dir")
        .arg(target_directory())
        // Only here does the stable compiler take unstable options; host builds stay honest.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", &chain.rustc)
        .env(format!("CARGO_TARGET_{key}_LINKER"), &chain.linker)
        .env(
            format!("CARGO_TARGET_{key}_RUSTFLAGS"),
            "-Zemit-stack-sizes",
        )
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// A path as a user in the workspace would write it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(workspace::root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The verb: build, audit, print.
pub(crate) fn verb(features: &[String]) -> Result<()> {
    let image = build(features)?;
    image.audit.print(false);
    image.audit.verdict()
}

/// Everything that `run` and the QEMU tests need.
pub(crate) fn require_qemu() -> Result<OsString> {
    setup::require(&[setup::Need::Qemu])?;
    Ok(setup::qemu::path()
        .context("QEMU vanished")?
        .into_os_string())
}
