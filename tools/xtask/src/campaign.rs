//! `cargo xtask campaign`: many recoveries, on the hardware model or on QEMU.

use crate::{run, workspace};
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::Command;

/// Where the faults strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum On {
    /// The hardware model: all kinds of faults, fast
    Model,
    /// The image on several QEMU machines
    Qemu,
}

/// Which campaign.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Where the faults strike
    #[arg(long, value_enum, default_value = "model")]
    on: On,
    /// Recoveries on the model (100000 when absent), or faults on each QEMU machine (100)
    #[arg(long, value_name = "N")]
    faults: Option<u64>,
    /// First case, from which all others follow; on QEMU it replays an earlier campaign
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// OS threads; as many as there are processors when absent
    #[arg(long, value_name = "J")]
    jobs: Option<usize>,
    /// Only part I of N, with I from 1
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Goes on where this file says; it is written when the campaign ends or is stopped
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// On QEMU: guests are entered and left as fast as can be, on two chips
    #[arg(long)]
    hasty: bool,
    /// Instead of random faults: every SCOM access of every recovery path fails, with every status
    #[arg(long, conflicts_with_all = ["faults", "seed", "shard", "resume"])]
    scom: bool,
}

/// The program that runs campaigns on the model.
pub(crate) fn program() -> Command {
    let mut command = Command::new(workspace::cargo());
    command.args(["run", "--quiet", "--profile", "campaign"]);
    command.arg("--manifest-path");
    command.arg(workspace::root().join("Cargo.toml"));
    command.args(["--package", "opaline-tests", "--bin", "campaign", "--"]);
    // Failing cases, as scenario files.
    command.arg("--failures").arg(workspace::results());
    command
}

/// True when nothing that was said was wrong.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    if arguments.on == On::Qemu {
        if arguments.scom || arguments.shard.is_some() || arguments.resume.is_some() {
            bail!("--scom, --shard and --resume are of the model");
        }
        let faults = u32::try_from(arguments.faults.unwrap_or(100)).context("too many faults")?;
        return run::campaign(faults, arguments.seed, arguments.hasty);
    }
    if arguments.hasty {
        bail!("--hasty is of QEMU");
    }
    let mut command = program();
    for (flag, value) in [
        (
            "--faults",
            arguments.faults.map(|faults| faults.to_string()),
        ),
        ("--seed", arguments.seed.map(|seed| seed.to_string())),
        ("--jobs", arguments.jobs.map(|jobs| jobs.to_string())),
        ("--shard", arguments.shard.clone()),
    ] {
        if let Some(value) = value {
            command.args([flag, &value]);
        }
    }
    if let Some(file) = &arguments.resume {
        command.arg("--resume").arg(file);
    }
    if arguments.scom {
        command.arg("--scom");
    }
    Ok(command.status()?.success())
}
