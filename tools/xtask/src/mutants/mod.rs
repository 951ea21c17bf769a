//! The verb `mutants`: small changes to the shipped protocol, each of which a named check must notice.
//!
//! The changes are applied to a copy of the few crates that hold the protocol and its checker.

use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Where the table is.
const TABLE: &str = "tests/protocol/mutants.toml";
/// What is copied.
const CRATES: &[&str] = &[
    "firmware/abi",
    "firmware/flight-recorder",
    "firmware/meeting",
    "firmware/registers",
    "hypervisor-shim",
    "tests/protocol",
];
/// A changed protocol may make the checker run on: then it has noticed, too.
const LIMIT: Duration = Duration::from_secs(3_600);

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only every Nth mutant
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
    /// Only mutants whose name contains this
    #[arg(long)]
    name: Option<String>,
}

/// The table.
#[derive(Debug, Deserialize)]
struct Table {
    mutant: Vec<Mutant>,
}

/// One change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// What it does, in words.
    name: String,
    /// The file.
    file: String,
    /// The text that occurs once.
    from: String,
    /// What replaces it.
    to: String,
    /// A second change of the same file, if one is not enough.
    #[serde(default)]
    also_from: String,
    #[serde(default)]
    also_to: String,
    /// The check that must notice.
    #[serde(default)]
    killed_by: String,
}

/// What the tests run: every sixth.
pub(crate) fn sample() -> Result<bool> {
    verb(&Arguments {
        every: 6,
        name: None,
    })
}

/// The verb.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    let table = fs::read_to_string(workspace::root().join(TABLE)).context(TABLE)?;
    let table: Table = toml::from_str(&table).context(TABLE)?;
    let wanted = |name: &str| {
        arguments
            .name
            .as_ref()
            .is_none_or(|part| name.contains(part))
    };
    let mutants: Vec<_> = table
        .mutant
        .into_iter()
        .step_by(usize::from(arguments.every))
        .filter(|mutant| wanted(&mutant.name))
        .collect();
    ensure!(!mutants.is_empty(), "no mutant has this name");
    let copy = copy()?;
    let start = Instant::now();
    let shipped = judge(&copy)?;
    if let Some(noticed) = shipped {
        bail!("the shipped protocol itself does not pass: {noticed}");
    }
    let mut killed = 0;
    for mutant in &mutants {
        let noticed = run(&copy, mutant)?;
        let noticed = noticed.as_deref().unwrap_or("nobody");
        let as_said = noticed == mutant.killed_by;
        killed += usize::from(as_said);
        let mark = if as_said { "killed" } else { "ALIVE " };
        println!("{mark}  {}: {noticed}", mutant.name);
        if !as_said {
            println!("        should be noticed by: {}", mutant.killed_by);
        }
    }
    let (all, seconds) = (mutants.len(), start.elapsed().as_secs());
    println!(
        "{killed} of {all} mutants killed: {} %, {seconds} s",
        killed * 100 / all
    );
    Ok(killed == all)
}

/// A workspace of its own with the crates of the protocol.
fn copy() -> Result<PathBuf> {
    let copy = workspace::results().join("protocol-mutants");
    let source = copy.join("source");
    if source.exists() {
        fs::remove_dir_all(&source)?;
    }
    for name in CRATES {
        copy_folder(&workspace::root().join(name), &source.join(name))?;
    }
    let root = workspace::root();
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(root.join("Cargo.toml"))?)?;
    fs::write(source.join("Cargo.toml"), reduced(manifest)?)?;
    fs::copy(root.join("Cargo.lock"), source.join("Cargo.lock"))?;
    fs::copy(
        root.join("rust-toolchain.toml"),
        source.join("rust-toolchain.toml"),
    )?;
    Ok(copy)
}

/// The manifest of the workspace, with these members only, built to be changed and run once.
fn reduced(mut manifest: toml::Table) -> Result<String> {
    let workspace = manifest
        .get_mut("workspace")
        .and_then(toml::Value::as_table_mut)
        .context("no workspace")?;
    let members = CRATES.iter().map(|name| toml::Value::from(*name)).collect();
    workspace.insert("members".to_owned(), toml::Value::Array(members));
    workspace.remove("default-members");
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

/// Applies a mutant, judges it, and takes it back. Gives the check that noticed.
fn run(copy: &Path, mutant: &Mutant) -> Result<Option<String>> {
    let file = copy.join("source").join(&mutant.file);
    let shipped = fs::read_to_string(&file).with_context(|| mutant.file.clone())?;
    let mut changed = replaced(&shipped, &mutant.from, &mutant.to)
        .with_context(|| format!("{}: {}", mutant.file, mutant.name))?;
    if !mutant.also_from.is_empty() {
        changed = replaced(&changed, &mutant.also_from, &mutant.also_to)
            .with_context(|| format!("{}: {}", mutant.file, mutant.name))?;
    }
    fs::write(&file, changed)?;
    let noticed = judge(copy);
    fs::write(&file, shipped)?;
    noticed
}

fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    let found = text.matches(from).count();
    ensure!(found == 1, "the text occurs {found} times");
    Ok(text.replace(from, to))
}

/// The first check that breaks: the model's rules, then the unit tests of the crates.
fn judge(copy: &Path) -> Result<Option<String>> {
    let built = cargo(copy, &["build", "--no-default-features", "-p", "protocol"]).output()?;
    if !built.status.success() {
        bail!(
            "it does not build:\n{}",
            String::from_utf8_lossy(&built.stderr)
        );
    }
    let program = copy.join("build/debug/tell");
    let Some(told) = within(&mut Command::new(program), LIMIT)? else {
        return Ok(Some("the checker comes to no end".to_owned()));
    };
    if !told.status.success() {
        let rule = String::from_utf8_lossy(&told.stdout);
        let rule = rule.lines().next().unwrap_or("the model cannot go on");
        return Ok(Some(rule.to_owned()));
    }
    let tests = [
        "test",
        "--lib",
        "-p",
        "hmi-meeting",
        "-p",
        "hypervisor-shim",
        "--no-fail-fast",
    ];
    let tested = cargo(copy, &tests).output()?;
    if tested.status.success() {
        return Ok(None);
    }
    let output = String::from_utf8_lossy(&tested.stdout);
    // Tests run in any order: of several, the first by name.
    let failed = output.lines().filter_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(format!("test {name}"))
    });
    let failed = failed.min();
    Ok(Some(
        failed.unwrap_or_else(|| "a test does not run".to_owned()),
    ))
}

fn cargo(copy: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(workspace::cargo());
    command
        .current_dir(copy.join("source"))
        .env("CARGO_TARGET_DIR", copy.join("build"))
        .env("CARGO_INCREMENTAL", "1")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// Runs a program; `None` if it is still at it after `limit`.
fn within(command: &mut Command, limit: Duration) -> Result<Option<Output>> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(Some(child.wait_with_output()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_can_be_applied_and_names_its_check() {
        let table = fs::read_to_string(workspace::root().join(TABLE)).unwrap();
        let table: Table = toml::from_str(&table).unwrap();
        assert!(table.mutant.len() >= 30);
        for mutant in table.mutant {
            let file = fs::read_to_string(workspace::root().join(&mutant.file)).unwrap();
            assert!(
                replaced(&file, &mutant.from, &mutant.to).is_ok(),
                "{}",
                mutant.name
            );
            assert!(!mutant.killed_by.is_empty(), "{}", mutant.name);
        }
    }
}
