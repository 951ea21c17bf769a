//! Plays a fault campaign against a QEMU that waits at its first instruction, by hand.
//!
//! `inject MACHINE SOCKET ELF [FAULTS [SEED [hopeless]]]`

use std::process::ExitCode;

use anyhow::{Context, Result};
use fault_injector::campaign::{Options, run};

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().with_context(|| format!("missing: {what}"));
    let mut options = Options::new(
        next("the machine's name")?,
        next("the debugger's socket")?.into(),
        next("the image as ELF")?.into(),
    );
    if let Ok(faults) = next("faults") {
        options.faults = faults.parse()?;
    }
    if let Ok(seed) = next("seed") {
        options.seed = seed.parse()?;
    }
    options.expect_repair = next("hopeless").is_err();
    let report = run(options, &mut |line| eprintln!("{line}"))?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    for failure in &report.failures {
        eprintln!("FAILURE: {failure}");
    }
    Ok(if report.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
