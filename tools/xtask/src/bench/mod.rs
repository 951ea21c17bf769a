//! `cargo xtask bench`: the image and the reference firmware, side by side.
//!
//! Both are measured in one run, in turns, so that whatever else the host does touches both. What can
//! be counted in instructions is: `-icount` makes one of them one nanosecond of the machine's own
//! clock, and VTB, which neither firmware writes, reads that clock.

mod chart;
mod client;
mod definitions;
mod entry;
mod figure;
mod guest;
mod kept;
mod shell;
mod size;
mod table;

use crate::{
    image::{self, Image, shown},
    linux::debian::{self, System},
    payload,
    progress::Progress,
    qemu::topology::{Machine, Topology},
    testing::tally::Tally,
    workspace,
};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use definitions::DEFINITIONS;
use figure::{Collection, Figure, Side, Unit, Values, Verdict};
use guest::Start;
use serde::Serialize;
use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Arguments of `bench`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The machine
    #[arg(long, value_enum, default_value = "powernv10")]
    machine: Machine,
    /// How often each figure is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only the figures whose name contains this, as in target/bench.json: image, entry, call...
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
    /// Only what is exact: no times of the host
    #[arg(long)]
    exact: bool,
    /// Only what every test run measures, once, against the bounds of the tests
    #[arg(long)]
    check: bool,
    /// The reference firmware; by default the one that QEMU's package brings
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
}

/// Something that is measured in one go, and the figures that come of it.
struct Measurement<'a> {
    name: String,
    keys: Vec<&'static str>,
    /// Repeated runs give the same: two show that they do.
    exact: bool,
    run: Run<'a>,
}

/// Measures a firmware, once.
type Run<'a> = Box<dyn Fn(&Path) -> Result<Values> + 'a>;

/// What is measured on.
struct Bench<'a> {
    qemu: &'a OsStr,
    machine: Machine,
    ours: &'a Path,
    reference: &'a Path,
}

/// The file for other tools.
#[derive(Debug, Serialize)]
struct Results<'a> {
    machine: &'static str,
    qemu: &'a str,
    reference: String,
    figures: &'a [Figure],
}

/// The verb: true when no figure misses its target.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    let qemu = image::require_qemu()?;
    if arguments.check {
        let mut tally = Tally::default();
        bounded(&mut tally, &qemu, &image::build(&[])?);
        tally.print(true);
        return Ok(tally.good(true));
    }
    let reference = match &arguments.reference {
        Some(path) => path.clone(),
        None => reference(&qemu)?,
    };
    let image = image::build(&[])?;
    image.audit.verdict()?;
    let system = debian::system(None, None, None)?;
    let bench = Bench {
        qemu: &qemu,
        machine: arguments.machine,
        ours: &image.flat,
        reference: &reference,
    };
    let payload = payload::build()?;
    let mut measurements = bench.boots(&system.kernel)?;
    measurements.extend(bench.calls(&payload)?);
    measurements.extend(bench.shells(&system)?);
    measurements.retain(|measurement| {
        let wanted = |key: &&str| key.contains(&arguments.only);
        measurement.keys.iter().any(wanted) && (measurement.exact || !arguments.exact)
    });
    let collection = bench.run(&measurements, arguments.runs)?;
    let mut figures = collection.figures(DEFINITIONS);
    figures.retain(|figure| figure.key.contains(&arguments.only));
    if figures.is_empty() {
        bail!("no figure has a name with {:?}", arguments.only);
    }
    println!("\n{}", table::table(&figures));
    write(arguments, &qemu, &reference, &figures)?;
    Ok(figures
        .iter()
        .all(|figure| figure.verdict != Verdict::Missed))
}

/// What every test run measures, without a kernel from elsewhere: once each, as it is exact. A figure
/// beyond its bound fails.
pub(crate) fn bounded(tally: &mut Tally, qemu: &OsStr, image: &Image) {
    const NAME: &str = "figures beside the reference";
    let reference = match reference(qemu) {
        Ok(reference) => reference,
        Err(why) => return tally.skip(NAME, &format!("{why:#}")),
    };
    let bench = Bench {
        qemu,
        machine: Machine::Powernv10,
        ours: &image.flat,
        reference: &reference,
    };
    let collection = payload::build().and_then(|payload| {
        let mut measurements = bench.boots(&payload)?;
        measurements.extend(bench.calls(&payload)?);
        let slow = ["entry.bare", "hmi.busiest.4", "hmi.busiest.8"];
        measurements
            .retain(|measurement| measurement.exact && !slow.contains(&measurement.name.as_str()));
        bench.run(&measurements, 1)
    });
    let collection = match collection {
        Ok(collection) => collection,
        Err(why) => return tally.fail(NAME, &format!("{why:#}")),
    };
    for definition in DEFINITIONS {
        for figure in collection.figures(&[*definition]) {
            let Some(bound) = definition.bound() else {
                continue;
            };
            let name = format!(
                "{}: {:.3} of the reference's",
                figure.title, figure.ratio.median
            );
            if figure.ratio.median <= bound {
                tally.pass(&name);
            } else {
                tally.fail(&name, &format!("more than {bound}"));
            }
        }
    }
}

/// The reference among QEMU's own files.
fn reference(qemu: &OsStr) -> Result<PathBuf> {
    let output = Command::new(qemu)
        .args(["-L", "help"])
        .output()
        .context("QEMU cannot be started")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|directory| Path::new(directory.trim()).join("skiboot.lid"))
        .find(|path| path.is_file())
        .context("this QEMU comes without skiboot.lid: name one with --reference FILE")
}

fn qemu_version(qemu: &OsStr) -> Result<String> {
    let output = Command::new(qemu).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().next().and_then(|line| line.split(' ').nth(3));
    Ok(version.context("QEMU says no version")?.to_owned())
}

fn write(
    arguments: &Arguments,
    qemu: &OsString,
    reference: &Path,
    figures: &[Figure],
) -> Result<()> {
    let version = qemu_version(qemu)?;
    let machine = arguments.machine.name();
    let results = Results {
        machine,
        qemu: &version,
        reference: reference
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        figures,
    };
    let json = workspace::results().join("bench.json");
    fs::write(&json, serde_json::to_vec_pretty(&results)?)?;
    println!("All values: {}", shown(&json));
    // A part of the figures, or another machine, would replace the picture of the whole.
    if arguments.only.is_empty() && arguments.machine == Machine::Powernv10 {
        let about = format!("QEMU {version}, {machine}; a mark is a target");
        let picture = workspace::root().join("docs/bench.svg");
        // Times are of this host, at this moment.
        let mut lasting = figures.to_vec();
        lasting.retain(|figure| figure.unit != Unit::Seconds);
        fs::write(&picture, chart::svg(&lasting, &about))?;
        println!("Picture: {}", shown(&picture));
    }
    Ok(())
}

impl<'a> Bench<'a> {
    fn topology(&self, threads: u32) -> Result<Topology> {
        Topology::new(self.machine, threads, 1, None, false)
    }

    /// What is measured on the way to a kernel.
    fn boots(&'a self, kernel: &'a Path) -> Result<Vec<Measurement<'a>>> {
        let mut all = vec![Measurement {
            name: "image".to_owned(),
            keys: vec!["image.raw", "image.xz"],
            exact: true,
            run: Box::new(size::run),
        }];
        let address = entry::address(kernel)?;
        for (key, threads, counted, bare) in [
            ("entry.1", 1, true, false),
            ("entry.4", 4, true, false),
            ("entry.bare", 1, true, true),
            ("entry.wall.1", 1, false, false),
            ("entry.wall.4", 4, false, false),
        ] {
            let topology = self.topology(threads)?;
            // The tree of one of them is enough.
            let keeps = key == "entry.4";
            let keys = if keeps {
                vec![key, "memory.kept"]
            } else {
                vec![key]
            };
            let run = move |firmware: &Path| {
                let start = Start {
                    qemu: self.qemu,
                    machine: self.machine,
                    topology,
                    firmware,
                    kernel,
                    command_line: "console=hvc0",
                    counted,
                    bare,
                    stopped: true,
                    traced: false,
                };
                let arrival = entry::run(&start, address)?;
                let mut values = vec![if counted {
                    (key, arrival.instructions())
                } else {
                    (key, arrival.wall.as_secs_f64())
                }];
                if keeps {
                    values.push(("memory.kept", kept::bytes(&arrival.tree)? as f64));
                }
                Ok(values)
            };
            all.push(Measurement {
                name: key.to_owned(),
                keys,
                exact: counted,
                run: Box::new(run),
            });
        }
        Ok(all)
    }

    /// Times to the shell.
    fn shells(&'a self, system: &'a System) -> Result<Vec<Measurement<'a>>> {
        let mut all = Vec::new();
        for (key, threads) in [("shell.1", 1), ("shell.4", 4), ("shell.8", 8)] {
            let topology = self.topology(threads)?;
            all.push(Measurement {
                name: key.to_owned(),
                keys: vec![key],
                exact: false,
                run: Box::new(move |firmware| {
                    shell::run(self.qemu, self.machine, topology, firmware, system, key)
                }),
            });
        }
        Ok(all)
    }

    /// What a client of the firmware measures.
    fn calls(&'a self, payload: &'a Path) -> Result<Vec<Measurement<'a>>> {
        let mut all = Vec::new();
        // Without a ChipTOD no error can be mended.
        let errors = self.machine.has_chip_tod();
        for (key, threads, traced) in [
            ("hmi.1", 1, false),
            ("hmi.4", 4, false),
            ("hmi.8", 8, false),
            ("hmi.busiest.4", 4, true),
            ("hmi.busiest.8", 8, true),
        ] {
            let calls = threads == 1;
            if !calls && !errors {
                continue;
            }
            // Only two small cores that act as one have as many.
            let topology = Topology::new(self.machine, threads, 1, None, threads == 8)?;
            let keys = DEFINITIONS.iter().map(|definition| definition.key);
            let keys = keys.filter(|known| *known == key || calls && known.starts_with("call."));
            all.push(Measurement {
                name: key.to_owned(),
                keys: keys.collect(),
                exact: true,
                run: Box::new(move |firmware| {
                    let start = Start {
                        qemu: self.qemu,
                        machine: self.machine,
                        topology,
                        firmware,
                        kernel: payload,
                        command_line: &client::command_line(errors),
                        counted: true,
                        bare: false,
                        stopped: true,
                        traced,
                    };
                    if traced {
                        client::trace(&start, key)
                    } else {
                        client::run(&start, errors.then_some(key), calls)
                    }
                }),
            });
        }
        Ok(all)
    }

    /// Measures both sides in turns.
    fn run(&self, measurements: &[Measurement<'_>], runs: u32) -> Result<Collection> {
        let mut collection = Collection::default();
        for measurement in measurements {
            let runs = if measurement.exact { runs.min(2) } else { runs };
            for run in 0..runs {
                // Neither is always the first.
                let mut sides = [Side::Ours, Side::Reference];
                if run % 2 == 1 {
                    sides.reverse();
                }
                for side in sides {
                    let (name, firmware) = match side {
                        Side::Ours => ("Opaline", self.ours),
                        Side::Reference => ("skiboot", self.reference),
                    };
                    let text = format!("{}, {name}, run {} of {runs}", measurement.name, run + 1);
                    let progress = Progress::start(&text);
                    let values = (measurement.run)(firmware).with_context(|| text.clone())?;
                    drop(progress);
                    let told: Vec<String> = values
                        .iter()
                        .map(|(key, value)| format!("{key} {value:.3}"))
                        .collect();
                    println!("{text}: {}", told.join(", "));
                    collection.add(side, &values);
                }
            }
        }
        Ok(collection)
    }
}
