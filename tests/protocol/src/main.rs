//! Runs the checks of the protocol: `cargo xtask protocol`.

use anyhow::{Result, bail};
use clap::Parser;
use protocol::progress::{CIRCLE, TRAP};
use protocol::sets::{Run, bounded, full, progressing, progressing_bounded, progressing_full};
use protocol::state::Shape;
use protocol::{check, diagrams, hazards, progress, words};
use stateright::Model as _;
use std::process::ExitCode;
use std::time::Instant;

/// Explores what the threads of a core do around an HMI, on the shipped state machines
#[derive(Debug, Parser)]
#[command(name = "cargo xtask protocol")]
struct Arguments {
    /// The full set: up to eight threads, long, and gigabytes of memory
    #[arg(long)]
    full: bool,
    /// Only these shapes (sub-cores x threads)
    #[arg(long)]
    shape: Vec<Shape>,
    /// Serve Stateright's explorer for the first shape, at this address
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "localhost:3000")]
    explore: Option<String>,
    /// Print the shortest traces of the negative controls
    #[arg(long)]
    controls: bool,
    /// Print the diagrams of the state machines
    #[arg(long)]
    diagrams: bool,
    /// Bring the generated parts of this file up to date
    #[arg(long, value_name = "FILE")]
    document: Option<std::path::PathBuf>,
    /// Threads of the checker
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

fn main() -> ExitCode {
    match work(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(arguments: &Arguments) -> Result<()> {
    if arguments.diagrams {
        print!("{}", diagrams::all());
        return Ok(());
    }
    if arguments.controls {
        for control in hazards::all() {
            println!("{}", control.text());
        }
        return Ok(());
    }
    if let Some(file) = &arguments.document {
        let text = std::fs::read_to_string(file)?;
        std::fs::write(file, protocol::document::updated(&text))?;
        return Ok(());
    }
    let mut runs = bounded();
    let mut ends = progressing();
    ends.extend(progressing_bounded());
    if arguments.full {
        runs.extend(full());
        ends.extend(progressing_full());
    }
    if !arguments.shape.is_empty() {
        let wanted = |run: &Run| arguments.shape.contains(&run.model.shape);
        runs.retain(wanted);
        ends.retain(wanted);
    }
    if let Some(address) = &arguments.explore {
        let Some(run) = runs.first() else {
            bail!("no run has this shape");
        };
        println!("{} {}: http://{address}", run.model.shape, run.name);
        run.model.clone().checker().serve(address.as_str());
        return Ok(());
    }
    all(&runs, &ends, arguments.jobs)
}

fn all(runs: &[Run], ends: &[Run], jobs: usize) -> Result<()> {
    let start = Instant::now();
    let (mut states, mut steps, mut wrong) = (0, 0, 0);
    println!("shape  states       steps        depth  seconds  what");
    for run in runs {
        let done = check::run(run, jobs);
        states += done.states;
        steps += done.steps;
        println!(
            "{:<5}  {:<11}  {:<11}  {:<5}  {:<7.1}  {} ({} start elsewhere)",
            run.model.shape.to_string(),
            done.states,
            done.steps,
            done.depth,
            done.seconds,
            run.name,
            run.model.elsewhere,
        );
        for (rule, trace) in &done.broken {
            wrong += 1;
            println!("BROKEN: {rule}\n  {}", trace.join("\n  "));
        }
        for name in &done.unreached {
            wrong += 1;
            println!("NEVER REACHED: {name}");
        }
    }
    wrong += ends.iter().map(come_to_rest).sum::<usize>();
    let seconds = start.elapsed().as_secs_f64();
    println!("{states} states, {steps} steps, {seconds:.0} s, {wrong} wrong");
    if wrong != 0 {
        bail!("the protocol does not hold");
    }
    Ok(())
}

/// Whether all ways end, and after how many steps. Gives how many rules are broken.
fn come_to_rest(run: &Run) -> usize {
    let start = Instant::now();
    let found = progress::of(&run.model);
    println!(
        "{:<5}  {:<11}  {:<11}  at rest after {} steps at most, {:.1} s: {} ({} start elsewhere)",
        run.model.shape.to_string(),
        found.states,
        found.steps,
        found.longest,
        start.elapsed().as_secs_f64(),
        run.name,
        run.model.elsewhere,
    );
    let broken = [(TRAP, found.way_to_trap), (CIRCLE, found.way_round)];
    let broken = broken.into_iter().filter_map(|(rule, way)| {
        let (first, moves) = way?;
        Some((rule, words::trace(&run.model, first, &moves)))
    });
    broken
        .inspect(|(rule, trace)| println!("BROKEN: {rule}\n  {}", trace.join("\n  ")))
        .count()
}
