//! A copy of a few crates as a workspace of its own, to be changed and built again and again.

use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The copy.
pub(super) struct Copy {
    source: PathBuf,
    build: PathBuf,
}

impl Copy {
    /// Copies `crates` into a folder of this name. Builds go to `build`.
    pub(super) fn new(name: &str, crates: &[&str], build: PathBuf, fast: bool) -> Result<Self> {
        let source = workspace::results().join(name).join("source");
        if source.exists() {
            fs::remove_dir_all(&source)?;
        }
        let root = workspace::root();
        for name in crates {
            copy_folder(&root.join(name), &source.join(name))?;
        }
        let manifest: toml::Table = toml::from_str(&fs::read_to_string(root.join("Cargo.toml"))?)?;
        fs::write(source.join("Cargo.toml"), reduced(manifest, crates, fast)?)?;
        for file in ["Cargo.lock", "rust-toolchain.toml"] {
            fs::copy(root.join(file), source.join(file))?;
        }
        Ok(Self { source, build })
    }

    pub(super) fn build(&self) -> &Path {
        &self.build
    }

    /// Does `judge` with some texts of a file replaced, and takes that back.
    pub(super) fn with<R>(
        &self,
        file: &str,
        changes: &[(&str, &str)],
        judge: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let path = self.source.join(file);
        let shipped = fs::read_to_string(&path).with_context(|| file.to_owned())?;
        let mut changed = shipped.clone();
        for (from, to) in changes {
            changed = replaced(&changed, from, to).with_context(|| file.to_owned())?;
        }
        fs::write(&path, changed)?;
        let judged = judge();
        fs::write(&path, shipped)?;
        judged
    }

    /// Cargo in the copy.
    pub(super) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(workspace::cargo());
        command
            .current_dir(&self.source)
            .env("CARGO_TARGET_DIR", &self.build)
            .env("CARGO_INCREMENTAL", "1")
            .args(arguments)
            .stdin(Stdio::null());
        command
    }
}

/// The text with the one place where it says `from` replaced.
pub(super) fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    let found = text.matches(from).count();
    ensure!(found == 1, "the text occurs {found} times: {from}");
    Ok(text.replace(from, to))
}

/// The manifest of the workspace, with these members only. `fast`: built to be changed and run once.
fn reduced(mut manifest: toml::Table, crates: &[&str], fast: bool) -> Result<String> {
    let workspace = manifest
        .get_mut("workspace")
        .and_then(toml::Value::as_table_mut)
        .context("no workspace")?;
    let members = crates.iter().map(|name| toml::Value::from(*name)).collect();
    workspace.insert("members".to_owned(), toml::Value::Array(members));
    workspace.remove("default-members");
    if !fast {
        return Ok(toml::to_string(&manifest)?);
    }
    manifest.remove("profile");
    let profile = "[profile.dev]\nopt-level = 1\ndebug = false\n";
    Ok(format!("{}\n{profile}", toml::to_string(&manifest)?))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
