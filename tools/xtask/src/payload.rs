//! The client of OPAL that tests and measurements run in the place of an OS.

use crate::{image, toolchain, workspace};
use anyhow::{Context as _, Result, ensure};
use std::{fs, path::PathBuf};

const PACKAGE: &str = "opal-payload";

/// Builds it; gives the ELF file for `-kernel`.
pub(crate) fn build() -> Result<PathBuf> {
    let chain = toolchain::resolve()?;
    let status = image::cargo(&chain, "build", PACKAGE)
        .args(["--release", "--features", "machine", "--bin", PACKAGE])
        .status()
        .context("cargo")?;
    ensure!(status.success(), "the payload does not build");
    let path = workspace::results().join("opal-payload.elf");
    fs::create_dir_all(workspace::results())?;
    fs::write(&path, image::built(PACKAGE)?)?;
    Ok(path)
}
