//! Builds the monitor that runs under Debian's kernel: with the compiler of the image, and without
//! any library for its target.

use crate::{toolchain, workspace};
use anyhow::{Context as _, Result, bail};
use std::{path::PathBuf, process::Command};

/// Little-endian Linux. Only `core` is taken from it, and that is built here.
const TARGET: &str = "powerpc64le-unknown-linux-gnu";
const PACKAGE: &str = "kvm-guest";

/// Builds; gives the program.
pub(crate) fn build() -> Result<PathBuf> {
    if !cargo("build")?.status().context("cargo")?.success() {
        bail!("the monitor for KVM does not build");
    }
    Ok(directory().join(TARGET).join("release").join(PACKAGE))
}

/// The same build with warnings denied by clippy.
pub(crate) fn clippy() -> Result<bool> {
    let mut command = cargo("clippy")?;
    command.args(["--", "-D", "warnings"]);
    Ok(command.status().context("cargo clippy")?.success())
}

fn directory() -> PathBuf {
    workspace::target().join("kvm")
}

fn cargo(verb: &str) -> Result<Command> {
    let chain = toolchain::resolve()?;
    let key = TARGET.to_uppercase().replace('-', "_");
    let mut command = Command::new(workspace::cargo());
    command
        .current_dir(workspace::root())
        .args([verb, "--quiet", "--release", "--package", PACKAGE])
        .args(["--bin", PACKAGE, "--target", TARGET])
        .arg("-Zbuild-std=core")
        .arg("-Zbuild-std-features=compiler-builtins-mem")
        .arg("--target-dir")
        .arg(directory())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", &chain.rustc)
        .env(format!("CARGO_TARGET_{key}_LINKER"), &chain.linker)
        .env(
            format!("CARGO_TARGET_{key}_RUSTFLAGS"),
            "-Clinker-flavor=ld.lld -Crelocation-model=static -Ctarget-feature=+crt-static",
        )
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(command)
}
