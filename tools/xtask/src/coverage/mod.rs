//! `cargo xtask coverage`: which rows of the decision tables, and which branches of the recovery, the
//! tests reach.
//!
//! The same programs are run for both: the unit tests of the firmware, and the suites that run it on
//! the hardware model. Each program keeps the rows that its machines acted upon; instrumented, it
//! also leaves a profile.

mod gaps;
mod measure;
mod programs;

use crate::workspace;
use anyhow::{Context as _, Result, ensure};
use clap::Args;
use measure::Measured;
use programs::Programs;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Recovery code: what counts as covered or not.
const SOURCES: [&str; 5] = [
    "firmware/src/hmi",
    "firmware/src/timebase",
    "firmware/src/chip_tod",
    "firmware/src/malfunction",
    "firmware/src/xscom",
];
/// Branches of these that tests have to reach, in percent.
const LEAST_BRANCHES: f64 = 95.0;
/// Names, for the test programs, the directory in which they keep the rows.
const KEEP_IN: &str = "OPALINE_ROWS";

/// How much is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Recoveries of the random campaign
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    faults: u64,
    /// Only the rows of the decision tables, without the branches: any toolchain will do
    #[arg(long)]
    rows: bool,
}

/// True when every row and enough of the branches are reached.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    let directory = workspace::target().join("coverage");
    let tools = if arguments.rows {
        None
    } else {
        let tools = programs::tools();
        if tools.is_none() {
            println!(
                "Branches: SKIPPED, they need the nightly toolchain and its tools:\n  \
                 rustup toolchain install nightly --profile minimal --component llvm-tools\n"
            );
        }
        tools
    };
    let programs = Programs::build(&directory, tools.is_some())?;
    let rows = empty(directory.join("rows"))?;
    let profiles = empty(directory.join("profiles"))?;
    let cases = OsString::from(arguments.faults.to_string());
    let all_passed = programs.run(&[
        (KEEP_IN, rows.clone().into()),
        ("OPALINE_CASES", cases),
        ("LLVM_PROFILE_FILE", profiles.join("%p.profraw").into()),
    ])?;
    if !all_passed {
        println!("Some tests failed; what they reached counts.");
    }
    println!("\nDecision tables:");
    let every_row = programs.print_rows(&rows)?;
    let Some(tools) = tools else {
        return Ok(every_row && all_passed);
    };
    let measured = branches(&tools, &programs, &profiles, &directory)?;
    print!("\nBranches:\n{measured}");
    let reached = measured.branches();
    let enough = reached >= LEAST_BRANCHES;
    if !enough {
        println!("{reached:.2} % of the branches; {LEAST_BRANCHES} % are wanted");
    }
    Ok(every_row && all_passed && enough)
}

fn empty(directory: PathBuf) -> Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

fn branches(
    tools: &Path,
    programs: &Programs,
    profiles: &Path,
    directory: &Path,
) -> Result<Measured> {
    let merged = directory.join("merged.profdata");
    let mut merge = Command::new(tools.join("llvm-profdata"));
    merge.args(["merge", "--sparse", "--output"]).arg(&merged);
    for entry in fs::read_dir(profiles)? {
        merge.arg(entry?.path());
    }
    ensure!(merge.status()?.success(), "llvm-profdata failed");
    let mut export = Command::new(tools.join("llvm-cov"));
    export.args(["export", "--format=text", "--instr-profile"]);
    export.arg(&merged);
    for (number, program) in programs.paths().enumerate() {
        if number != 0 {
            export.arg("--object");
        }
        export.arg(program);
    }
    export.args(SOURCES.map(|source| workspace::root().join(source)));
    let output = export.output()?;
    ensure!(
        output.status.success(),
        "llvm-cov failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    measure::read(&output.stdout, &workspace::root()).context("what llvm-cov said")
}
