//! Runs scenario files: `scenario [--explain] [--bounds] FILE...`; see `tests/scenarios/README.md`.
#![forbid(unsafe_code)]

use clap::Parser;
use opaline_tests::campaign::Rows;
use opaline_tests::scenario::{Case, Verdict, bounds, compare, each, explain, files, run, verify};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Parser)]
#[command(about = "Runs scenario files on the hardware model")]
struct Arguments {
    /// Files, or directories of files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Prints the steps of each run
    #[arg(long)]
    explain: bool,
    /// Compares what each case costs with bounds.txt in the directory, or writes it there
    #[arg(long)]
    bounds: bool,
    /// With --bounds: leave the file alone, say what differs
    #[arg(long, requires = "bounds")]
    dry: bool,
    /// OS threads
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let files = match files(&arguments.paths) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let good = if arguments.bounds {
        arguments
            .paths
            .iter()
            .all(|root| bounds_of(root, &arguments))
    } else if arguments.explain {
        files
            .iter()
            .map(|file| explained(file))
            .filter(|good| !good)
            .count()
            == 0
    } else {
        verified(&files, arguments.jobs)
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn verified(files: &[PathBuf], jobs: usize) -> bool {
    // What a run has to say about a panic is in its differences.
    std::panic::set_hook(Box::new(|_| {}));
    let rows = Mutex::default();
    let verdicts = each(files, jobs, |file| {
        let verdict = verify(file, &rows);
        report(file, &verdict);
        verdict.is_good()
    });
    let good = verdicts.iter().filter(|good| **good).count();
    let rows: Rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{rows}\n{good} of {} cases match", verdicts.len());
    good == verdicts.len()
}

fn report(file: &Path, verdict: &Verdict) {
    let file = file.display();
    let mut text = String::new();
    match verdict {
        Verdict::Refused(complaints) => {
            for complaint in complaints {
                text += &format!("{complaint}\n");
            }
        }
        Verdict::Ran(mismatches) if mismatches.is_empty() => text = format!("ok    {file}\n"),
        Verdict::Ran(mismatches) => {
            text = format!("WRONG {file}\n");
            for mismatch in mismatches {
                for difference in &mismatch.differences {
                    text += &format!(
                        "      {} seed {}: {difference}\n",
                        mismatch.processor, mismatch.seed
                    );
                }
            }
        }
    }
    print!("{text}");
}

fn explained(file: &Path) -> bool {
    let case = match Case::read(file) {
        Ok(case) => case,
        Err(complaints) => {
            complaints
                .iter()
                .for_each(|complaint| println!("{complaint}"));
            return false;
        }
    };
    let mut good = true;
    for &processor in &case.generations {
        for &seed in &case.seeds {
            println!("{}: {processor}, seed {seed}", case.title);
            let found = run(&case, processor, seed);
            print!("{}", explain(&found));
            for difference in compare(&case, &found) {
                good = false;
                println!("WRONG {difference}");
            }
        }
    }
    good
}

fn bounds_of(root: &Path, arguments: &Arguments) -> bool {
    let Ok(files) = files(&[root.to_path_buf()]) else {
        return false;
    };
    let measured = bounds::measure(root, &files, arguments.jobs);
    let path = root.join("bounds.txt");
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differences = bounds::differences(&golden, &measured);
    differences.iter().for_each(|line| println!("{line}"));
    if arguments.dry {
        return differences.is_empty();
    }
    match std::fs::write(&path, bounds::table(&measured)) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("error: {}: {error}", path.display());
            false
        }
    }
}
