//! `cargo xtask replay`: a run that a seed decides to the last bit.
//!
//! QEMU counts time in instructions (`-icount`) and runs all threads in one, so nothing of the host
//! is left in what the machine does. A debugger would bring it back: its stops come when the host
//! has time for them. So none takes part; the image strikes its own faults after numbers of guest
//! entries that are drawn from the seed, which is written into a copy of the image.
//!
//! Afterwards the control block and the flight recorder are read from memory. The same seed must
//! leave the same bytes, and print the same console; another seed must not.

mod difference;
mod traces;

use crate::{
    image::{self, Image},
    qemu::{
        Configuration, Vm, ending, log_filter,
        topology::{Machine, Topology},
    },
    run::{MachineArguments, random_seed},
};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use fault_injector::image::{Image as Symbols, LINK_BASE};
use flight_recorder::FlightRecorder;
use gdb_remote::{Client, Timeouts};
use hypervisor_shim::control::{Control, HeaderWord};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};
use traces::Traces;

/// Which run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    machine: MachineArguments,
    /// Faults that the image strikes, on each core
    #[arg(long, value_name = "N", default_value_t = FAULTS_PER_CORE)]
    faults: u32,
    /// Decides everything
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Instead: so many seeds, one after the other, each once; a failing one replays exactly
    #[arg(long, value_name = "N")]
    sweep: Option<u64>,
    /// Guests stay as long as usual, and not as short as can be
    #[arg(long)]
    calm: bool,
}

/// Faults on each core when nobody says otherwise.
pub(crate) const FAULTS_PER_CORE: u32 = 12;
/// A run takes a few seconds; on a busy host many.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(50);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) qemu: &'a OsStr,
    pub(crate) image: &'a Image,
    pub(crate) machine: Machine,
    pub(crate) topology: Topology,
    pub(crate) lpar_per_core: bool,
    pub(crate) faults_per_core: u32,
    pub(crate) hasty: bool,
}

/// The verb: true when the seed decided everything, and every check of the image held.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    let machine = &arguments.machine;
    let topology = machine.topology()?;
    let qemu = image::require_qemu()?;
    let image = image::build(&[])?;
    image.audit.verdict()?;
    let plan = Plan {
        qemu: &qemu,
        image: &image,
        machine: machine.machine,
        topology,
        lpar_per_core: machine.lpar_per_core,
        faults_per_core: arguments.faults,
        hasty: !arguments.calm,
    };
    let seed = arguments.seed.unwrap_or_else(random_seed).max(1);
    println!("{}, {topology}, seed {seed}", machine.machine);
    if let Some(count) = arguments.sweep {
        return plan.sweep(seed, count);
    }
    let (failures, traces) = plan.compare(seed)?;
    print(&traces);
    failures.iter().for_each(|failure| println!("  {failure}"));
    println!(
        "{}",
        if failures.is_empty() {
            "Two runs left the same bytes, and another seed left others."
        } else {
            "FAILED"
        }
    );
    Ok(failures.is_empty())
}

fn print(traces: &Traces) {
    println!("Faults that the recorder still holds:");
    for record in traces.faults() {
        println!(
            "  PIR {:#05x} after {:5} entries, at TB {:#x}",
            record.pir, record.arguments[1], record.timebase
        );
    }
    for line in traces
        .console
        .lines()
        .rev()
        .take(4)
        .collect::<Vec<_>>()
        .iter()
        .rev()
    {
        println!("| {line}");
    }
    println!(
        "{} bytes of control block, {} of flight recorder, {} of console",
        traces.control.len(),
        traces.recorder.len(),
        traces.console.len()
    );
}

impl Plan<'_> {
    /// Runs twice with a seed and once with the next: what is wrong, and what the first run left.
    pub(crate) fn compare(&self, seed: u64) -> Result<(Vec<String>, Traces)> {
        let first = self.run(seed)?;
        let second = self.run(seed)?;
        let other = self.run(seed + 1)?;
        let mut failures: Vec<String> = Vec::new();
        for (traces, seed) in [(&first, seed), (&second, seed), (&other, seed + 1)] {
            let wrong = traces.failures(self.planned());
            failures.extend(wrong.into_iter().map(|text| format!("seed {seed}: {text}")));
        }
        failures.extend(difference::between(&first, &second));
        if first.recorder == other.recorder || first.placed() == other.placed() {
            failures.push("another seed left the same flight recorder".to_owned());
        }
        Ok((failures, first))
    }

    /// Runs with many seeds, each once; true when every check of the image held.
    fn sweep(&self, first: u64, count: u64) -> Result<bool> {
        let (mut good, mut faults) = (0, 0);
        for seed in first..first.saturating_add(count) {
            let traces = self.run(seed)?;
            let failures = traces.failures(self.planned());
            faults += traces.breaks;
            good += u64::from(failures.is_empty());
            for failure in failures {
                println!("  seed {seed}: {failure}");
            }
        }
        println!("{good} of {count} seeds good, {faults} faults");
        Ok(good == count)
    }

    /// Faults that the image is to strike.
    fn planned(&self) -> usize {
        let cores = self.topology.total() / self.topology.threads;
        (cores * self.faults_per_core) as usize
    }

    /// One run.
    fn run(&self, seed: u64) -> Result<Traces> {
        let symbols = Symbols::read(&self.image.elf)?;
        let directory = tempfile::Builder::new().prefix("opaline-").tempdir()?;
        let flat = directory.path().join("seeded.lid");
        self.write_image(&symbols, seed, &flat)?;
        let configuration = Configuration {
            program: self.qemu,
            machine: self.machine,
            topology: self.topology,
            lpar_per_core: self.lpar_per_core,
            image: &flat,
            debugged: false,
            counted: true,
            payload: None,
        };
        let mut vm = Vm::start(&configuration, Box::new(|_| {}))?;
        let start = Instant::now();
        loop {
            let console = vm.counted_console();
            let lines: Vec<String> = console.lines().map(str::to_owned).collect();
            // The line must be whole.
            if ending::verdict_given(&lines) && console.ends_with('\n') {
                break;
            }
            ensure!(vm.is_alive(), "QEMU ended without a verdict:\n{console}");
            if start.elapsed() > PATIENCE {
                bail!("no verdict within {} s:\n{console}", PATIENCE.as_secs());
            }
            thread::sleep(POLL);
        }
        // All is written: the verdict is the last thing that the image does.
        let mut client = Client::connect(&vm.socket(), Timeouts::default())?;
        client.set_physical_memory(true)?;
        let control = client.read_memory(symbols.control, size_of::<Control>())?;
        let recorder = client.read_memory(symbols.recorder, size_of::<FlightRecorder>())?;
        let console = vm.counted_console();
        drop(client);
        let remains = vm.wait(Duration::ZERO)?;
        Ok(Traces {
            control,
            recorder,
            console,
            breaks: log_filter::sift(&remains.log, true).own_breaks,
        })
    }

    /// A copy of the image whose control block says what to do.
    fn write_image(&self, symbols: &Symbols, seed: u64, to: &Path) -> Result<()> {
        let mut bytes = fs::read(&self.image.flat)?;
        let slice = hypervisor_shim::guest::SHORTEST_SLICE_MICROSECONDS;
        let mut words = BTreeMap::from([
            (HeaderWord::Seed as usize, seed),
            (
                HeaderWord::SelfFaults as usize,
                u64::from(self.faults_per_core),
            ),
        ]);
        if self.hasty {
            words.insert(HeaderWord::Hasty as usize, 1);
            words.insert(HeaderWord::SliceMicroseconds as usize, slice);
        }
        for (word, value) in words {
            let at = (symbols.control - LINK_BASE) as usize + 8 * word;
            bytes
                .get_mut(at..at + 8)
                .context("the control block is not in the flat image")?
                .copy_from_slice(&value.to_be_bytes());
        }
        fs::write(to, bytes).with_context(|| to.display().to_string())
    }
}
