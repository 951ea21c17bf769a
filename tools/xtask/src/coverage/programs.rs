//! The test programs: built, with or without instruments, and run.

use crate::workspace;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Test programs by the name of their target, and what of them is left out: what runs the same again.
const WANTED: [(&str, &[&str]); 5] = [
    ("opaline_firmware", &[]),
    ("recovery", &[]),
    (
        "scenarios",
        &[
            "--skip=the_bounds",
            "--skip=no_case_costs",
            "--skip=files_round_trip",
        ],
    ),
    ("scom", &[]),
    ("campaign", &[]),
];
const FLAGS: &str = "-C instrument-coverage -Z coverage-options=branch";

/// Where profiles go that nobody wants.
const NOWHERE: &str = "/dev/null";

/// Test programs, as they were built.
#[derive(Debug)]
pub(super) struct Programs {
    tests: Vec<Program>,
    /// The program that knows the rows; cargo builds it for the suites.
    rows: PathBuf,
}

#[derive(Debug)]
struct Program {
    path: PathBuf,
    /// Where it is run: as cargo does it, in its package.
    package: PathBuf,
    arguments: &'static [&'static str],
}

impl Programs {
    /// Builds them. With instruments they have a directory of their own.
    pub(super) fn build(directory: &Path, instrumented: bool) -> Result<Self> {
        println!("Building the test programs.");
        let mut command = if instrumented {
            let mut command = nightly("cargo");
            command.env("RUSTFLAGS", FLAGS);
            // Build scripts are instrumented too.
            command.env("LLVM_PROFILE_FILE", NOWHERE);
            command
        } else {
            let mut command = Command::new(workspace::cargo());
            command.current_dir(workspace::root());
            command
        };
        command.args([
            "test",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ]);
        command.args(["--package", "opaline-firmware", "--lib"]);
        command.args(["--package", "opaline-tests"]);
        for (name, _) in &WANTED[1..] {
            command.args(["--test", name]);
        }
        if instrumented {
            command.arg("--target-dir").arg(directory);
        }
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output()?;
        ensure!(output.status.success(), "the tests could not be built");
        let text = String::from_utf8(output.stdout)?;
        let mut rows = None;
        let mut tests = Vec::new();
        for message in text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
        {
            if is_rows(&message) {
                rows = message["executable"].as_str().map(PathBuf::from);
            }
            tests.extend(program(&message));
        }
        ensure!(
            tests.len() == WANTED.len(),
            "{} test programs instead of {}",
            tests.len(),
            WANTED.len()
        );
        let rows = rows.context("cargo did not build the program of campaigns")?;
        Ok(Self { tests, rows })
    }

    /// Prints the rows that were kept in a directory, and those that nobody hit; true when there are
    /// none of these.
    pub(super) fn print_rows(&self, kept: &Path) -> Result<bool> {
        let mut command = Command::new(&self.rows);
        command.arg("--kept").arg(kept);
        command.env("LLVM_PROFILE_FILE", NOWHERE);
        Ok(command.status()?.success())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.tests.iter().map(|program| program.path.as_path())
    }

    /// Runs all of them; true when all tests passed.
    pub(super) fn run(&self, environment: &[(&str, OsString)]) -> Result<bool> {
        let mut all_passed = true;
        for program in &self.tests {
            let status = Command::new(&program.path)
                .args(program.arguments)
                .arg("--quiet")
                .current_dir(&program.package)
                .envs(environment.iter().cloned())
                .stdin(Stdio::null())
                .status()
                .with_context(|| program.path.display().to_string())?;
            all_passed &= status.success();
        }
        Ok(all_passed)
    }
}

/// Whether a message of cargo is about the program that knows the rows.
fn is_rows(message: &Value) -> bool {
    let target = &message["target"];
    target["name"] == "campaign"
        && target["kind"][0] == "bin"
        && message["profile"]["test"] == false
}

/// The program of a message of cargo, if it is one of those wanted.
fn program(message: &Value) -> Option<Program> {
    let path = message["executable"].as_str()?.into();
    let name = message["target"]["name"].as_str()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let (_, arguments) = WANTED.iter().find(|(wanted, _)| *wanted == name)?;
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some(Program {
        path,
        package: manifest.parent()?.to_path_buf(),
        arguments,
    })
}

/// Where the nightly toolchain has llvm-cov and llvm-profdata.
pub(super) fn tools() -> Option<PathBuf> {
    let output = nightly("rustc")
        .args(["--print", "target-libdir"])
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
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
