//! Long comparisons: `cargo run --release -p differential -- --sequences 100 --seed 7`.

use anyhow::{Context as _, Result};
use clap::Parser;
use differential::player::Outcome;
use differential::{machines, qemu};
use std::process::ExitCode;
use std::time::Instant;

/// Compares the hardware model with QEMU, access by access.
#[derive(Debug, Parser)]
struct Arguments {
    /// Random sequences on each machine, after the directed ones.
    #[arg(long, default_value_t = 4)]
    sequences: u64,
    /// Seed of the first one; the next ones count up.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only machines whose name has this in it.
    #[arg(long, default_value = "")]
    machine: String,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let qemu = qemu::find().context("qemu-system-ppc64 is not in the path")?;
    let mut all = Outcome::default();
    for machine in machines::all() {
        if !machine.name.contains(&arguments.machine) {
            continue;
        }
        let start = Instant::now();
        let mut outcome = machine.directed(&qemu)?;
        report("directed", &outcome);
        for seed in arguments.seed..arguments.seed.saturating_add(arguments.sequences) {
            let random = machine.random(&qemu, seed)?;
            report(&format!("seed {seed}"), &random);
            outcome.add(random);
        }
        println!(
            "{}: {} accesses, {} values compared, {} disagreements, {:.1} s",
            machine.name,
            outcome.accesses,
            outcome.reads,
            outcome.disagreements.len(),
            start.elapsed().as_secs_f64()
        );
        all.add(outcome);
    }
    println!("\nRules, and how often each was needed:\n{}", all.counts);
    println!(
        "{} accesses, {} values compared, {} disagreements",
        all.accesses,
        all.reads,
        all.disagreements.len()
    );
    Ok(if all.disagreements.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(name: &str, outcome: &Outcome) {
    for disagreement in &outcome.disagreements {
        println!("{name}: {disagreement}");
    }
}
