//! What `cargo xtask hostile` starts: `hostile run SEED JOBS DIRECTORY TARGET=INPUTS...`, or
//! `hostile replay FILE`.
#![forbid(unsafe_code)]

use indicatif::{ProgressBar, ProgressStyle};
use opaline_tests::hostile::drive::{Report, attempt, drive, target_of};
use opaline_tests::hostile::{Target, explain};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "hostile run SEED JOBS DIRECTORY TARGET=INPUTS... | hostile replay FILE";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let good = match arguments.as_slice() {
        ["run", seed, jobs, directory, targets @ ..] => run(seed, jobs, directory, targets),
        ["replay", file] => replay(file),
        _ => Err(USAGE.to_owned()),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn run(seed: &str, jobs: &str, directory: &str, targets: &[&str]) -> Result<bool, String> {
    let (seed, jobs) = (number(seed)?, number(jobs)?);
    // A failure is told once, in the end; schedules would print theirs, too.
    std::panic::set_hook(Box::new(|_| ()));
    let mut good = true;
    let mut total = 0;
    for target in targets {
        let (name, inputs) = target.split_once('=').ok_or(USAGE)?;
        let target = Target::named(name).ok_or_else(|| format!("there is no target {name}"))?;
        let inputs = number(inputs)?;
        let bar = ProgressBar::new(inputs);
        if let Ok(style) = ProgressStyle::with_template(
            "{prefix:<6} {wide_bar} {human_pos}/{human_len}  {per_sec}  {eta}",
        ) {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        let report = drive(target, seed, inputs, jobs as usize, |done| {
            bar.set_position(done)
        });
        bar.finish_and_clear();
        good &= tell(&report, Path::new(directory));
        total += report.inputs;
    }
    println!("total  {total:>10} inputs, seed {seed}");
    Ok(good)
}

/// One line, and the failure; true if there is none.
fn tell(report: &Report, directory: &Path) -> bool {
    let seconds = report.took.as_secs_f64();
    println!(
        "{:<6} {:>10} inputs  {:>8.1} s  {:>9.0} /s  slowest {:>8.1} ms  failures {}",
        report.target.name(),
        report.inputs,
        seconds,
        report.inputs as f64 / seconds.max(1e-9),
        report.slowest.as_secs_f64() * 1e3,
        u8::from(report.failure.is_some()),
    );
    let Some(failure) = &report.failure else {
        return true;
    };
    println!("  {}", failure.message);
    match failure.save(report.target, directory) {
        Ok(path) => println!("  cargo xtask hostile --replay {}", path.display()),
        Err(error) => println!("  the input {:?} was not saved: {error}", failure.input),
    }
    false
}

fn replay(file: &str) -> Result<bool, String> {
    let path = Path::new(file);
    let target = target_of(path)
        .ok_or_else(|| format!("{file}: the name must begin with a target and a hyphen"))?;
    explain();
    let input = std::fs::read(path).map_err(|error| format!("{file}: {error}"))?;
    match attempt(target, &input) {
        Ok(()) => println!(
            "{}: {} bytes, no promise broken",
            target.name(),
            input.len()
        ),
        Err(message) => {
            println!("{}: {message}", target.name());
            return Ok(false);
        }
    }
    Ok(true)
}
