//! `cargo xtask coverage`: which decisions and branches of the recovery are reached.

use crate::{campaign, workspace};
use anyhow::{Context as _, Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Recovery code: what counts as covered or not.
const SOURCES: [&str; 5] = [
    "firmware/src/hmi",
    "firmware/src/timebase",
    "firmware/src/chip_tod",
    "firmware/src/malfunction",
    "firmware/src/xscom",
];

/// How much is run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Recoveries for the rows of the decision tables
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    faults: u64,
    /// Only the rows of the decision tables, without the branches
    #[arg(long)]
    rows: bool,
}

/// True when everything could be measured and no recovery was judged wrong.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    println!("Decision tables, by random recoveries:");
    let faults = arguments.faults.to_string();
    let rows = campaign::program()
        .args(["--rows", "--seed", "1", "--faults", &faults])
        .status()?;
    if arguments.rows {
        return Ok(rows.success());
    }
    match tools() {
        Some(tools) => branches(&tools)?,
        None => println!(
            "\nBranches: skipped. Missing: rustup component add llvm-tools --toolchain nightly"
        ),
    }
    Ok(rows.success())
}

/// Where the nightly toolchain has llvm-cov and llvm-profdata.
fn tools() -> Option<PathBuf> {
    let output = nightly("rustc")
        .args(["--print", "target-libdir"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let library = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    let tools = library.parent()?.join("bin");
    (tools.join("llvm-cov").exists() && tools.join("llvm-profdata").exists()).then_some(tools)
}

fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly", program])
        .current_dir(workspace::root())
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC")
        .env_remove("CARGO");
    command
}

fn branches(tools: &Path) -> Result<()> {
    println!("\nBranches, by the suites of the firmware and of the model (some minutes):");
    let directory = workspace::target().join("coverage");
    let profiles = directory.join("profiles");
    if profiles.exists() {
        std::fs::remove_dir_all(&profiles)?;
    }
    std::fs::create_dir_all(&profiles)?;
    let output = nightly("cargo")
        .args(["test", "--tests", "--no-fail-fast", "--message-format=json"])
        .args([
            "--package",
            "opaline-firmware",
            "--package",
            "opaline-tests",
        ])
        .arg("--target-dir")
        .arg(&directory)
        .env(
            "RUSTFLAGS",
            "-C instrument-coverage -Z coverage-options=branch",
        )
        .env("LLVM_PROFILE_FILE", profiles.join("%p-%m.profraw"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let programs: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split("\"executable\":\"").nth(1)?.split('"').next())
        .collect();
    ensure!(!programs.is_empty(), "no test program was built");
    if !output.status.success() {
        println!("Some tests failed; what they reached counts.");
    }
    let merged = directory.join("merged.profdata");
    let mut merge = Command::new(tools.join("llvm-profdata"));
    merge.args(["merge", "--sparse", "--output"]).arg(&merged);
    for entry in std::fs::read_dir(&profiles)? {
        merge.arg(entry?.path());
    }
    ensure!(merge.status()?.success(), "llvm-profdata failed");
    let cov = |verb: &str| {
        let mut command = Command::new(tools.join("llvm-cov"));
        command.arg(verb).arg("--instr-profile").arg(&merged);
        command.arg(programs[0]);
        for program in &programs[1..] {
            command.arg("--object").arg(program);
        }
        command.args(SOURCES.map(|source| workspace::root().join(source)));
        command
    };
    let report = cov("report").arg("--show-branch-summary").output()?;
    println!("{}", String::from_utf8_lossy(&report.stdout));
    let text = cov("show").args(["--show-branches=count"]).output()?;
    let listing = directory.join("branches.txt");
    std::fs::write(&listing, &text.stdout).context("the listing")?;
    print_gaps(&String::from_utf8_lossy(&text.stdout));
    println!("All of it: {}", listing.display());
    Ok(())
}

/// Branches of which one side was never taken.
fn print_gaps(listing: &str) {
    let root = workspace::root().display().to_string();
    let mut file = "";
    for line in listing.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| name.starts_with('/')) {
            file = name.strip_prefix(&root).unwrap_or(name);
        } else if line.contains("Branch (")
            && (line.contains("True: 0,") || line.trim_end().ends_with("False: 0]"))
        {
            println!("  {file}: {}", line.trim_start_matches([' ', '|']));
        }
    }
}
