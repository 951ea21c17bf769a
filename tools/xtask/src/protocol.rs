//! The verb `protocol`: the checker of the shipped state machines.

use crate::workspace;
use anyhow::{Context, Result};
use std::process::Command;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The full set: up to eight threads, long, and gigabytes of memory
    #[arg(long)]
    full: bool,
    /// Only these shapes: sub-cores x threads, as 2x4
    #[arg(long)]
    shape: Vec<String>,
    /// Serve the checker's web explorer for the first shape
    #[arg(long)]
    explore: bool,
    /// Print the shortest traces of the negative controls
    #[arg(long)]
    controls: bool,
    /// Bring the generated parts of docs/protocol.md up to date
    #[arg(long)]
    document: bool,
    /// Threads of the checker
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// The verb.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    let mut command = Command::new(workspace::cargo());
    command
        .current_dir(workspace::root())
        .args(["run", "--quiet", "-p", "protocol", "--"])
        .arg(format!("--jobs={}", arguments.jobs));
    for (flag, name) in [
        (arguments.full, "--full"),
        (arguments.explore, "--explore"),
        (arguments.controls, "--controls"),
    ] {
        if flag {
            command.arg(name);
        }
    }
    for shape in &arguments.shape {
        command.arg(format!("--shape={shape}"));
    }
    if arguments.document {
        command.arg("--document").arg("docs/protocol.md");
    }
    let status = command.status().context("cargo does not start")?;
    Ok(status.success())
}
