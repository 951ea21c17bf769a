//! The verb `run`, and `campaign` on QEMU.

mod scenario;
mod strike;

pub(crate) use scenario::{Played, Scenario};

use crate::{
    image,
    qemu::topology::{Machine, Topology},
    report::{self, Page, narrative},
    workspace,
};
use anyhow::{Context as _, Result};
use clap::Args;
use std::{
    fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    path::{Path, PathBuf},
    time::Instant,
};

/// Which machine.
#[derive(Clone, Debug, Args)]
pub(crate) struct MachineArguments {
    /// The machine
    #[arg(long, value_enum, default_value = "powernv10")]
    pub(crate) machine: Machine,
    /// Threads of the whole machine
    #[arg(long, value_name = "N", default_value_t = 4)]
    smp: u32,
    /// Chips: 1, 2, 4, 8 or 16
    #[arg(long, value_name = "N", default_value_t = 1)]
    chips: u32,
    /// Threads of a core; by default as many as a core can have
    #[arg(long, value_name = "T")]
    threads: Option<u32>,
    /// Two small cores act as one of 8 threads (POWER9 and POWER10)
    #[arg(long)]
    big_core: bool,
    /// The threads of a core share one timebase (POWER8 always does this)
    #[arg(long)]
    pub(crate) lpar_per_core: bool,
}

impl MachineArguments {
    /// Its shape; refused if there is no such machine.
    pub(crate) fn topology(&self) -> Result<Topology> {
        Topology::new(
            self.machine,
            self.smp,
            self.chips,
            self.threads,
            self.big_core,
        )
    }
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    machine: MachineArguments,
    /// Faults to strike from outside; 0 leaves the image alone, and it breaks its own timebase
    #[arg(long, value_name = "N", default_value_t = 5)]
    faults: u32,
    /// Replays the faults of an earlier run
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Where the page goes
    #[arg(long, value_name = "FILE", default_value_os_t = crate::default_report())]
    report: PathBuf,
    /// Guests are entered and left as fast as can be, and faults come as fast
    #[arg(long)]
    hasty: bool,
    /// Print the steps of every fault, not only of the first
    #[arg(long)]
    verbose: bool,
    /// Features of the image, for the mutations
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
}

/// A seed that nobody chose.
pub(crate) fn random_seed() -> u64 {
    // The standard library's hash keys are the one source of randomness that it offers. Short, so
    // that it can be typed.
    RandomState::new().build_hasher().finish() & 0xffff_ffff
}

/// The verb `run`: true when every check held.
pub(crate) fn verb(arguments: &RunArguments) -> Result<bool> {
    let machine = &arguments.machine;
    let topology = machine.topology()?;
    let qemu = image::require_qemu()?;
    let image = image::build(&arguments.features)?;
    image.audit.verdict()?;
    let seed = arguments.seed.unwrap_or_else(random_seed);
    let scenario = Scenario {
        qemu: &qemu,
        image: &image,
        machine: machine.machine,
        topology,
        lpar_per_core: machine.lpar_per_core,
        faults: (arguments.faults > 0).then_some(arguments.faults),
        seed,
        hasty: arguments.hasty,
    };
    println!(
        "Machine: {}; {} faults, seed {seed}",
        scenario.name(),
        arguments.faults
    );
    let start = Instant::now();
    let played = scenario.play(|| Box::new(|line| println!("| {line}")), &mut |text| {
        println!("> {text}")
    })?;
    let page = page(&scenario, &played, start.elapsed().as_secs_f64());
    print(&page, &played, arguments.verbose);
    page.write(&arguments.report)?;
    write_json(&played, &arguments.report.with_extension("json"))?;
    println!("\nPage: {}", image::shown(&arguments.report));
    if played.failures.is_empty() {
        println!("Every check held.");
        if arguments.faults > 0 && !scenario.machine.has_chip_tod() {
            println!(
                "QEMU models no ChipTOD here, so nothing can repair TB: each fault had to end as \
                 not recovered, with the event and the flag that say so. What the guests saw of \
                 time afterwards is not held against the image."
            );
        }
    } else {
        println!("FAILED (replay with --seed {seed}):");
        played
            .failures
            .iter()
            .for_each(|failure| println!("  {failure}"));
    }
    Ok(played.failures.is_empty())
}

fn page(scenario: &Scenario<'_>, played: &Played, seconds: f64) -> Page {
    let mut facts = vec![
        ("Machine".to_owned(), scenario.name()),
        ("Seed".to_owned(), scenario.seed.to_string()),
        (
            "Ending".to_owned(),
            format!("{:?}: {}", played.remains.ending, played.outcome),
        ),
        ("Time".to_owned(), format!("{seconds:.1} s")),
        (
            "QEMU's log".to_owned(),
            format!(
                "{} wrong lines about TFMR, ChipTOD or XSCOM; {} breaks by the image itself; {} \
                 of QEMU's own gaps; {} others",
                played.sifted.faults.len(),
                played.sifted.own_breaks,
                played.sifted.gaps,
                played.sifted.others.len()
            ),
        ),
        ("Command".to_owned(), played.command.clone()),
    ];
    let mut tables = Vec::new();
    let mut episodes = Vec::new();
    if let Some(struck) = &played.struck {
        facts.extend(strike::facts(struck));
        tables = strike::tables(struck);
        episodes = narrative::episodes(&struck.records);
    }
    Page {
        title: scenario.name(),
        failures: played.failures.clone(),
        facts,
        tables,
        episodes,
        console: played.remains.console.clone(),
    }
}

fn print(page: &Page, played: &Played, verbose: bool) {
    // The machine has no flash here, and needs none.
    let said = played
        .remains
        .errors
        .lines()
        .filter(|line| !line.contains("Could not find PNOR"));
    said.for_each(|line| println!("QEMU: {line}"));
    for (number, episode) in page.episodes.iter().enumerate() {
        let threads = episode.threads().len();
        println!(
            "\nFault {}: {} steps on {threads} threads",
            number + 1,
            episode.records.len()
        );
        if verbose || number == 0 || episode.troubled() {
            report::print_episode(episode);
        }
    }
    for table in &page.tables {
        table.print();
    }
    println!();
    for (name, value) in &page.facts {
        println!("{name}: {value}");
    }
}

/// Everything that the injector found, for other tools.
fn write_json(played: &Played, file: &Path) -> Result<()> {
    if let Some(struck) = &played.struck {
        fs::write(file, serde_json::to_vec_pretty(struck)?)
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Threads and chips of the machines that a campaign strikes.
const SHAPES: &[(u32, u32)] = &[(4, 1), (8, 1)];
/// The same in haste: faults on one core while the threads of others, on both chips, go on.
const HASTY_SHAPES: &[(u32, u32)] = &[(8, 2), (16, 2)];

/// The verb `campaign` on QEMU, with so many faults on each machine: true when no fault did harm.
pub(crate) fn campaign(faults: u32, seed: Option<u64>, hasty: bool) -> Result<bool> {
    let qemu = image::require_qemu()?;
    let image = image::build(&[])?;
    image.audit.verdict()?;
    let seed = seed.unwrap_or_else(random_seed);
    let mut good = true;
    for machine in [Machine::Powernv9, Machine::Powernv10] {
        for (total, chips) in if hasty { HASTY_SHAPES } else { SHAPES } {
            let scenario = Scenario {
                qemu: &qemu,
                image: &image,
                machine,
                topology: Topology::new(machine, *total, *chips, None, false)?,
                lpar_per_core: false,
                faults: Some(faults),
                seed,
                hasty,
            };
            good &= campaign_on(&scenario, faults)?;
        }
    }
    Ok(good)
}

fn campaign_on(scenario: &Scenario<'_>, faults: u32) -> Result<bool> {
    let start = Instant::now();
    let progress = crate::progress::Progress::start(&scenario.name());
    let played = scenario.play(|| Box::new(|_| {}), &mut |text| progress.say(text))?;
    drop(progress);
    println!(
        "{}: {} faults, seed {}, {:.1} s: {}",
        scenario.name(),
        faults,
        scenario.seed,
        start.elapsed().as_secs_f64(),
        if played.failures.is_empty() {
            "every check held"
        } else {
            "FAILED"
        }
    );
    if let Some(struck) = &played.struck {
        strike::facts(struck)
            .iter()
            .for_each(|(name, value)| println!("  {name}: {value}"));
    }
    played
        .failures
        .iter()
        .for_each(|failure| println!("  {failure}"));
    let file = workspace::results().join(format!(
        "campaign-{}-{}-{}.json",
        scenario.machine,
        scenario.topology.total(),
        scenario.seed
    ));
    write_json(&played, &file)?;
    println!("  {}", image::shown(&file));
    Ok(played.failures.is_empty())
}
