//! `cargo xtask`: the front door of the project.

mod audit;
mod bench;
mod campaign;
mod check;
mod conformance;
mod coverage;
mod hostile;
mod image;
mod linux;
mod mutants;
mod orderings;
mod payload;
mod progress;
mod protocol;
mod qemu;
mod replay;
mod report;
mod run;
mod scenario;
mod setup;
mod testing;
mod toolchain;
mod workspace;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about,
    disable_help_subcommand = false
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the image: target/opaline.lid (flat) and target/opaline.elf (symbols)
    Image(ImageArguments),
    /// Boot the image in QEMU, break the timebase under running guests, check and show the repair
    Run(run::RunArguments),
    /// Run the image with time counted in instructions, twice: the same seed must give the same run
    Replay(replay::Arguments),
    /// Boot Debian's kernel for ppc64el on the image, with a shell on the console
    Linux(linux::Arguments),
    /// Measure the image and the reference firmware side by side: instructions, times, sizes
    Bench(bench::Arguments),
    /// Call every OPAL token, rightly and wrongly, on the image and on skiboot; compare each answer
    Conformance(conformance::Arguments),
    /// Run all tests: host, big-endian, Miri, image audits, QEMU, mutations
    Test(Strictness),
    /// Everything before a commit: format, clippy, docs, audits, then all tests
    Check(Strictness),
    /// Strike many random faults, on the hardware model or on QEMU, and judge every recovery
    Campaign(campaign::Arguments),
    /// Print which decisions and branches of the recovery the campaigns and suites reach (long)
    Coverage(coverage::Arguments),
    /// Run scenario files on the hardware model and compare what comes of them with what they say
    Scenario(scenario::Arguments),
    /// Check the protocol around an HMI exhaustively, on the shipped state machines
    Protocol(protocol::Arguments),
    /// Change the shipped protocol in small ways; a named check must notice each
    Mutants(mutants::Arguments),
    /// Attack everything that reads what others wrote with hostile input, by the million
    Hostile(hostile::Arguments),
    /// Check the memory orderings of the concurrent code: loom in every order, Miri with many seeds
    Orderings(orderings::OrderingArguments),
    /// Run recoveries of 8 and 16 threads in very many orders on the hardware model, each judged
    Schedules(orderings::ScheduleArguments),
    /// Build the image and print its size, stack bounds and unsafe code in full
    Audit,
    /// Say what is installed and what is missing, and change nothing
    Doctor,
    /// Install what is missing for all verbs
    Setup,
}

#[derive(Clone, Debug, Args)]
struct ImageArguments {
    /// Build with features (the mutations); the result goes to target/mutants, never to
    /// target/opaline.lid
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
}

#[derive(Clone, Copy, Debug, Args)]
struct Strictness {
    /// A part that cannot run here is a failure, not a skip
    #[arg(long)]
    strict: bool,
}

/// Where `run` leaves its page when nobody says otherwise.
fn default_report() -> PathBuf {
    workspace::results().join("report.html")
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Image(arguments) => image::verb(&arguments.features).map(|()| true),
        Verb::Run(arguments) => run::verb(&arguments),
        Verb::Replay(arguments) => replay::verb(&arguments),
        Verb::Linux(arguments) => linux::verb(&arguments),
        Verb::Bench(arguments) => bench::verb(&arguments),
        Verb::Conformance(arguments) => conformance::verb(&arguments),
        Verb::Test(arguments) => testing::verb(arguments.strict),
        Verb::Check(arguments) => check::verb(arguments.strict),
        Verb::Campaign(arguments) => campaign::verb(&arguments),
        Verb::Coverage(arguments) => coverage::verb(&arguments),
        Verb::Scenario(arguments) => scenario::verb(&arguments),
        Verb::Protocol(arguments) => protocol::verb(&arguments),
        Verb::Mutants(arguments) => mutants::verb(&arguments),
        Verb::Hostile(arguments) => hostile::verb(&arguments),
        Verb::Orderings(arguments) => Ok(orderings::verb(&arguments)),
        Verb::Schedules(arguments) => orderings::schedules(&arguments),
        Verb::Audit => audit::verb().map(|()| true),
        Verb::Doctor => doctor(),
        Verb::Setup => install().map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what is here; true when `run` could start at once.
fn doctor() -> Result<bool> {
    let compiler = toolchain::look();
    match &compiler {
        Ok(chain) => println!("image      {chain}"),
        Err(why) => println!("image      missing: {why:#}"),
    }
    let qemu = setup::qemu::find();
    let usable = matches!(qemu, setup::qemu::Found::Usable(_));
    println!("machines   {}{qemu}", if usable { "" } else { "missing: " });
    for (what, why_not) in [
        ("big-endian", testing::big_endian::obstacle()),
        ("Miri", testing::miri::obstacle()),
    ] {
        println!(
            "{what:<10} {}",
            why_not.unwrap_or_else(|| "ready".to_owned())
        );
    }
    Ok(usable && compiler.is_ok())
}

fn install() -> Result<()> {
    setup::require(&[setup::Need::Qemu, setup::Need::QemuUser])?;
    println!("Compiler: {}", toolchain::resolve()?);
    doctor().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_verb_has_one_line() {
        Arguments::command().debug_assert();
        for verb in Arguments::command().get_subcommands() {
            let about = verb
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                about.len() > 20 && !about.contains('\n'),
                "{}: {about}",
                verb.get_name()
            );
        }
    }
}
