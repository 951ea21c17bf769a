//! `cargo xtask scenario`: the host program that runs scenario files, built and started.

use crate::workspace;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::Command;

/// Which scenarios, and what is to be said of them.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Files, or directories of files; the catalogue when none is named
    paths: Vec<PathBuf>,
    /// Prints the steps of each run
    #[arg(long)]
    explain: bool,
    /// Writes what each case costs to bounds.txt of the directory, and prints what changed
    #[arg(long)]
    bounds: bool,
}

/// True when every case matched.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    let mut command = Command::new(workspace::cargo());
    command.args(["run", "--quiet", "--profile", "campaign"]);
    command.args(["--manifest-path"]);
    command.arg(workspace::root().join("Cargo.toml"));
    command.args(["--package", "opaline-tests", "--bin", "scenario", "--"]);
    for (on, flag) in [
        (arguments.explain, "--explain"),
        (arguments.bounds, "--bounds"),
    ] {
        if on {
            command.arg(flag);
        }
    }
    if arguments.paths.is_empty() {
        command.arg(workspace::root().join("tests/scenarios"));
    } else {
        command.args(&arguments.paths);
    }
    Ok(command.status()?.success())
}
