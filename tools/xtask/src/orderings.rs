//! `cargo xtask orderings` and `cargo xtask schedules`: the concurrent code, in every order or in very
//! many.

use crate::{
    testing::{miri, orderings, tally::Tally},
    workspace,
};
use anyhow::Result;
use clap::Args;
use std::process::Command;

/// How much is checked of the memory orderings.
#[derive(Clone, Debug, Args)]
pub(crate) struct OrderingArguments {
    /// Seeds with which Miri runs each test besides
    #[arg(long, default_value_t = miri::SEEDS, value_name = "N")]
    miri_seeds: u32,
}

/// True when every check held.
pub(crate) fn verb(arguments: &OrderingArguments) -> bool {
    let mut tally = Tally::default();
    orderings::loom(&mut tally);
    if arguments.miri_seeds > 0 {
        miri::seeds(&mut tally, arguments.miri_seeds);
    }
    tally.print(false);
    tally.good(false)
}

/// How many schedules.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScheduleArguments {
    /// Orders in which threads run, in all
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    count: u64,
    /// Number of the first set, from which all others follow
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// OS threads; as many as there are processors when absent
    #[arg(long, value_name = "J")]
    jobs: Option<usize>,
    /// Runs one set again, and says what is in it; of an order that is wrong, every step
    #[arg(long, value_name = "SET")]
    replay: Option<u64>,
}

/// The program that runs schedules.
pub(crate) fn program() -> Command {
    let mut command = Command::new(workspace::cargo());
    command.args(["run", "--quiet", "--profile", "campaign"]);
    command.arg("--manifest-path");
    command.arg(workspace::root().join("Cargo.toml"));
    command.args(["--package", "opaline-tests", "--features", "shuttle"]);
    command.args(["--bin", "schedules", "--"]);
    command
}

/// True when nothing that was said was wrong.
pub(crate) fn schedules(arguments: &ScheduleArguments) -> Result<bool> {
    let mut command = program();
    command.args(["--count", &arguments.count.to_string()]);
    command.args(["--seed", &arguments.seed.to_string()]);
    if let Some(jobs) = arguments.jobs {
        command.args(["--jobs", &jobs.to_string()]);
    }
    if let Some(set) = arguments.replay {
        command.args(["--replay", &set.to_string()]);
    }
    Ok(command.status()?.success())
}
