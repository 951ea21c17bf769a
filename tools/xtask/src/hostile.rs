//! `cargo xtask hostile`: the host program that attacks with hostile input, built and started.

use crate::workspace;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::path::PathBuf;
use std::process::Command;

/// Targets, and how many of a thousand inputs each gets: the cheap ones most.
const SHARES: [(&str, u64); 6] = [
    ("fdt", 280),
    ("opal", 60),
    ("scom", 60),
    ("words", 100),
    ("queue", 150),
    ("dumps", 350),
];

/// How much, and of what.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Inputs in all
    #[arg(long, default_value_t = 100_000)]
    inputs: u64,
    /// Decides the inputs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this target: fdt, opal, scom, words, queue, dumps
    #[arg(long)]
    target: Option<String>,
    /// Threads that share the work
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Runs one saved input instead
    #[arg(long)]
    replay: Option<PathBuf>,
}

/// True when no promise was broken.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    let mut command = Command::new(workspace::cargo());
    command.args(["run", "--quiet", "--profile", "campaign", "--manifest-path"]);
    command.arg(workspace::root().join("Cargo.toml"));
    command.args(["--package", "opaline-tests", "--bin", "hostile", "--"]);
    if let Some(file) = &arguments.replay {
        command.arg("replay").arg(file);
    } else {
        command.arg("run");
        command.arg(arguments.seed.to_string());
        command.arg(arguments.jobs.to_string());
        command.arg(workspace::results().join("hostile"));
        command.args(shares(arguments)?);
    }
    Ok(command
        .status()
        .context("starting the host program")?
        .success())
}

/// How many inputs each target gets, as `target=inputs`.
fn shares(arguments: &Arguments) -> Result<Vec<String>> {
    if let Some(only) = &arguments.target {
        if !SHARES.iter().any(|(name, _)| name == only) {
            bail!("there is no target {only}");
        }
        return Ok(vec![format!("{only}={}", arguments.inputs)]);
    }
    let (inputs, last) = (arguments.inputs, SHARES.len() - 1);
    let mut left = inputs;
    let shares = SHARES.iter().enumerate().map(|(index, (name, share))| {
        let own = if index == last {
            left
        } else {
            inputs / 1000 * share + inputs % 1000 * share / 1000
        };
        left -= own;
        format!("{name}={own}")
    });
    Ok(shares.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_what_was_asked_for() {
        for inputs in [0, 7, 999, 100_000, 10_000_001] {
            let arguments = Arguments {
                inputs,
                seed: 1,
                target: None,
                jobs: 1,
                replay: None,
            };
            let sum: u64 = shares(&arguments)
                .unwrap()
                .iter()
                .map(|share| share.split_once('=').unwrap().1.parse::<u64>().unwrap())
                .sum();
            assert_eq!(sum, inputs);
        }
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u64>(), 1000);
    }
}
