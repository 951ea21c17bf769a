//! The client of OPAL that tests and measurements run in the place of an OS.

use crate::{image, toolchain, workspace};
use anyhow::{Context as _, Result, ensure};
use std::{fs, path::PathBuf, process::Command};

const PACKAGE: &str = "opal-payload";

/// The same build with warnings denied by clippy.
pub(crate) fn clippy() -> Result<bool> {
    let mut command = cargo("clippy")?;
    command.args(["--", "-D", "warnings"]);
    Ok(command.status().context("cargo clippy")?.success())
}

fn cargo(verb: &str) -> Result<Command> {
    let mut command = image::cargo(&toolchain::resolve()?, verb, PACKAGE);
    command.args(["--release", "--features", "machine", "--bin", PACKAGE]);
    Ok(command)
}

/// Builds it; gives the ELF file for `-kernel`.
pub(crate) fn build() -> Result<PathBuf> {
    let built = cargo("build")?.status().context("cargo")?.success();
    ensure!(built, "the payload does not build");
    let path = workspace::results().join("opal-payload.elf");
    fs::create_dir_all(workspace::results())?;
    fs::write(&path, image::built(PACKAGE)?)?;
    Ok(path)
}
