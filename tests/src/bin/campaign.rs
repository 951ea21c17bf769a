//! Runs campaigns on the hardware model; `cargo xtask campaign` starts it.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use opaline_tests::campaign::random::{Tally, campaign, generate, shrink};
use opaline_tests::campaign::{Rows, kept, scom};
use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Cases that are shrunk and written out; the others are only named.
const MOST_FILES: usize = 10;
/// Runs that the shrinking of a case may take.
const MOST_RUNS: u32 = 2_000;

#[derive(Debug, Parser)]
#[command(about = "Many recoveries on the hardware model, each judged")]
struct Arguments {
    /// Recoveries, each from one to five faults
    #[arg(long, default_value_t = 100_000)]
    faults: u64,
    /// Number of the first case
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// OS threads
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
    /// Only this part, I/N with I from 1
    #[arg(long, value_parser = shard, default_value = "1/1")]
    shard: (u64, u64),
    /// Goes on where this file says, and keeps it up to date
    #[arg(long)]
    resume: Option<PathBuf>,
    /// Where failing cases go
    #[arg(long, default_value = "target")]
    failures: PathBuf,
    /// Instead: every SCOM access of every path fails, with every status
    #[arg(long)]
    scom: bool,
    /// Prints the rows of the decision tables that were not hit
    #[arg(long)]
    rows: bool,
    /// Instead: prints the rows that programs kept in this directory, and those nobody hit
    #[arg(long, conflicts_with = "scom")]
    kept: Option<PathBuf>,
}

/// How far a campaign has come.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    seed: u64,
    faults: u64,
    shard: (u64, u64),
    /// The first case that was not run.
    next: u64,
    seconds: f64,
    tally: Tally,
}

fn shard(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once('/');
    let numbers = parts.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    numbers
        .filter(|(i, n)| (1..=*n).contains(i))
        .ok_or_else(|| format!("{text:?} is not I/N with I from 1 to N"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let good = if let Some(directory) = &arguments.kept {
        every_row(directory)
    } else if arguments.scom {
        Ok(every_scom(&arguments))
    } else {
        random(&arguments)
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when no row is missing.
fn every_row(directory: &Path) -> Result<bool> {
    let rows = kept(directory).with_context(|| directory.display().to_string())?;
    println!("{rows}");
    print_missing(&rows);
    Ok(rows.missing().is_empty())
}

fn bar(length: u64, template: &str) -> ProgressBar {
    if !std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// True once Ctrl-C was pressed.
fn interrupted() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            // The second time it is meant.
            std::process::exit(130);
        }
    })?;
    Ok(stop)
}

fn every_scom(arguments: &Arguments) -> bool {
    let start = Instant::now();
    let bar = bar(0, "{bar:40} {pos}/{len} {per_sec}, {eta} left");
    let table = scom::campaign(
        arguments.jobs,
        |_| true,
        |_| true,
        |at, of| {
            bar.set_length(of as u64);
            bar.set_position(at as u64);
            true
        },
    );
    bar.finish_and_clear();
    println!("{table}");
    println!("\n{}", table.rows);
    let seconds = start.elapsed().as_secs_f64();
    let tried = table.tried();
    println!(
        "\n{tried} runs in {seconds:.1} s, {:.0} a second",
        tried as f64 / seconds
    );
    for (step, why) in table.lies.iter().take(20) {
        println!("LIE: {step}: {why}");
    }
    for why in &table.broken {
        println!("BROKEN: {why}");
    }
    println!(
        "{} lies, {} broken paths",
        table.lies.len(),
        table.broken.len()
    );
    table.lies.is_empty() && table.broken.is_empty()
}

fn begin(arguments: &Arguments) -> Result<State> {
    let (index, count) = arguments.shard;
    let at = |part: u64| {
        let offset = u128::from(arguments.faults) * u128::from(part) / u128::from(count);
        u64::try_from(offset).map(|offset| arguments.seed.saturating_add(offset))
    };
    let fresh = State {
        seed: arguments.seed,
        faults: arguments.faults,
        shard: arguments.shard,
        next: at(index - 1)?,
        seconds: 0.0,
        tally: Tally::default(),
    };
    let Some(file) = arguments.resume.as_deref().filter(|file| file.exists()) else {
        return Ok(fresh);
    };
    let text = std::fs::read_to_string(file)?;
    let state: State =
        toml::from_str(&text).with_context(|| format!("{}: no campaign", file.display()))?;
    ensure!(
        (state.seed, state.faults, state.shard) == (fresh.seed, fresh.faults, fresh.shard),
        "{}: of --seed {} --faults {} --shard {}/{}",
        file.display(),
        state.seed,
        state.faults,
        state.shard.0,
        state.shard.1
    );
    Ok(state)
}

fn random(arguments: &Arguments) -> Result<bool> {
    let mut state = begin(arguments)?;
    let (index, count) = arguments.shard;
    let last = u128::from(arguments.faults) * u128::from(index) / u128::from(count);
    let end = arguments.seed.saturating_add(u64::try_from(last)?);
    let stop = interrupted()?;
    let first = state.next.min(end);
    let bar = bar(
        end - first,
        "{bar:40} {pos}/{len} {per_sec}, {eta} left, {msg}",
    );
    let start = Instant::now();
    let (next, tally) = campaign(first, end, arguments.jobs, &stop, |reached, tally| {
        bar.set_position(reached - first);
        bar.set_message(format!("{} wrong", tally.wrong.len()));
    });
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    let rate = (next - first) as f64 / seconds.max(1e-9);
    state.next = next;
    state.seconds += seconds;
    state.tally.join(tally);
    if let Some(file) = &arguments.resume {
        std::fs::write(file, toml::to_string(&state)?)?;
        println!(
            "Kept in {}: goes on at case {next} of {end}",
            file.display()
        );
    }
    let State { tally, seconds, .. } = &state;
    println!(
        "Cases up to {next} of {end}: {} recoveries of {} faults in {seconds:.1} s; {rate:.0} a second",
        tally.cases(),
        tally.faults,
    );
    println!(
        "{} recovered, {} honestly failed, {} wrong",
        tally.recovered,
        tally.failed,
        tally.wrong.len()
    );
    print!("{}", tally.unrepaired);
    println!("{}", tally.rows);
    if arguments.rows {
        print_missing(&tally.rows);
    }
    if next < end {
        println!("Stopped before the end.");
    }
    write_failures(tally, &arguments.failures)?;
    Ok(tally.wrong.is_empty())
}

fn print_missing(rows: &Rows) {
    for (generation, table, bit) in rows.missing() {
        println!("not hit: {generation:?}, {table:?} {bit}");
    }
}

fn write_failures(tally: &Tally, directory: &Path) -> Result<()> {
    for (number, why) in tally.wrong.iter().skip(MOST_FILES) {
        println!("case {number}: {why}");
    }
    for (number, why) in tally.wrong.iter().take(MOST_FILES) {
        let (case, why) = shrink(&generate(*number), why, MOST_RUNS);
        std::fs::create_dir_all(directory)?;
        let file = directory.join(format!("campaign-{number}.toml"));
        std::fs::write(&file, case.to_toml())?;
        println!(
            "case {number}: {why}\n  cargo xtask scenario {}",
            file.display()
        );
    }
    Ok(())
}
