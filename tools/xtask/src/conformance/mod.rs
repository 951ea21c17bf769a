//! The verb `conformance`: a client of OPAL on our image and on the reference, line by line.

mod compare;
mod document;
mod reference;
mod table;

use crate::{
    image::{self, Image},
    payload,
    qemu::{
        Configuration, Payload, Remains, Vm,
        ending::Ending,
        topology::{Machine, Topology},
    },
    testing::tally::Tally,
};
use anyhow::Result;
use clap::Args;
use compare::{Answers, Compared, compare};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use table::{Table, When};

/// QEMU's devices that the reference waits long for on POWER8, left out, and the BMC, which stays.
const WITHOUT_BRIDGES: &[&str] = &[
    "-nodefaults",
    "-device",
    "ipmi-bmc-sim,id=bmc0",
    "-device",
    "isa-ipmi-bt,bmc=bmc0,irq=10",
];
/// For a whole run on a host with other things to do.
const PATIENCE: Duration = Duration::from_secs(400);
/// Between answers of the reference where it is chance which comes.
const OR: &str = " or ";
/// What the payload says when it wants input, and what it wants.
const REQUEST: &str = "payload| type opal";
const TYPED: &str = "opal";
/// Between two looks at a console.
const LOOK: Duration = Duration::from_millis(50);
/// For one case; the reference boots in one or two seconds.
const PATIENCE_APART: Duration = Duration::from_secs(120);

/// Arguments of `conformance`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// The machine; by default all of them, one after the other
    #[arg(long, value_enum)]
    machine: Option<Machine>,
    /// Threads of the whole machine
    #[arg(long, value_name = "N", default_value_t = THREADS)]
    smp: u32,
    /// Print all lines, of both
    #[arg(long)]
    lines: bool,
    /// Reboot in every way, too
    #[arg(long)]
    reboots: bool,
    /// Run the reference once for each case that it does not survive (many minutes)
    #[arg(long)]
    apart: bool,
    /// Only write docs/conformance.md from the table
    #[arg(long)]
    document: bool,
}

/// Threads of a machine when nobody says otherwise.
const THREADS: u32 = 4;

/// What runs share.
struct Bench<'a> {
    qemu: &'a OsStr,
    image: &'a Path,
    reference: PathBuf,
    payload: PathBuf,
    table: Table,
}

/// The verb.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    if arguments.document {
        return document::write().map(|()| true);
    }
    let qemu = image::require_qemu()?;
    let image = image::build(&[])?;
    image.audit.verdict()?;
    let bench = Bench {
        qemu: &qemu,
        image: &image.flat,
        reference: reference::find(&qemu)?,
        payload: payload::build()?,
        table: Table::read()?,
    };
    let one = arguments.machine.as_slice();
    let machines = if one.is_empty() { &Machine::ALL } else { one };
    let mut good = true;
    for machine in machines {
        let topology = Topology::new(*machine, arguments.smp, 1, None, false)?;
        let (ours, theirs, compared) = bench.both(*machine, topology, arguments.reboots)?;
        if arguments.lines {
            print(&ours, &theirs);
        }
        println!("{machine}, {topology}: {}", in_words(&compared));
        let mut failures = compared.failures;
        if arguments.apart {
            failures.extend(bench.apart(*machine, topology)?);
        }
        for failure in &failures {
            println!("FAILED: {failure}");
        }
        good &= failures.is_empty();
    }
    Ok(good)
}

/// The test: all machines, without what takes long.
pub(crate) fn bounded(tally: &mut Tally, qemu: &OsStr, image: &Image) {
    let reference = match reference::find(qemu) {
        Ok(reference) => reference,
        Err(error) => return tally.skip("OPAL payload", &format!("{error:#}")),
    };
    let bench = payload::build().and_then(|payload| {
        Ok(Bench {
            qemu,
            image: &image.flat,
            reference,
            payload,
            table: Table::read()?,
        })
    });
    let bench = match bench {
        Ok(bench) => bench,
        Err(error) => return tally.fail("OPAL payload", &format!("{error:#}")),
    };
    for machine in Machine::ALL {
        let name = format!("{machine}: OPAL calls as on skiboot, or as the table has it");
        let compared = Topology::new(machine, THREADS, 1, None, false)
            .and_then(|topology| bench.both(machine, topology, false));
        match compared {
            Ok((_, _, compared)) => {
                let name = format!("{name} ({})", in_words(&compared));
                tally.check(&name, &compared.failures);
            }
            Err(error) => tally.fail(&name, &format!("{error:#}")),
        }
    }
}

fn in_words(compared: &Compared) -> String {
    format!(
        "{} lines alike, {} explained differences, {} that skiboot does not survive",
        compared.same, compared.explained, compared.apart
    )
}

fn print(ours: &Answers, theirs: &Answers) {
    for case in ours.cases() {
        let their = theirs.get(case).unwrap_or("(apart)");
        let our = ours.get(case).unwrap_or_default();
        let sign = if our == their { ' ' } else { '*' };
        println!("{sign} {case}: {our} | {their}");
    }
}

impl Bench<'_> {
    fn both(
        &self,
        machine: Machine,
        topology: Topology,
        reboots: bool,
    ) -> Result<(Answers, Answers, Compared)> {
        let others = (topology.total() > 1).then_some(When::OtherThreads);
        let reboot = reboots.then_some(When::Reboots);
        let these: Vec<_> = others.into_iter().chain(reboot).collect();
        let table = self.table.clone().in_a_run_with(&these);
        let ends = if reboots { "ends" } else { "" };
        let without: Vec<_> = table.apart(machine).map(|(case, _)| case).collect();
        let without = format!("{ends} without={}", without.join(","));
        let run = |firmware, words| attend(self.start(machine, topology, firmware, words)?);
        let ours = run(self.image, ends)?;
        let theirs = run(&self.reference, &without)?;
        let (ours, theirs) = (Answers::read(&ours.console), Answers::read(&theirs.console));
        let compared = compare(&ours, &theirs, &table, machine);
        Ok((ours, theirs, compared))
    }

    /// Runs the reference once for each case that it does not survive; gives what is not as the
    /// table has it.
    fn apart(&self, machine: Machine, topology: Topology) -> Result<Vec<String>> {
        let mut failures = Vec::new();
        for (case, expected) in self.table.apart(machine) {
            let ends = if self.table.restarts(case) {
                "ends "
            } else {
                ""
            };
            let only = format!("{ends}only={case}");
            let mut vm = self.start(machine, topology, &self.reference, &only)?;
            let start = Instant::now();
            let answered = |vm: &Vm| Answers::read(&vm.lines(0)).get(case).is_some();
            while vm.is_alive() && !answered(&vm) && start.elapsed() < PATIENCE_APART {
                thread::sleep(LOOK);
            }
            // What comes after an answer is of no interest, and may be a hang.
            let found = alone(case, &vm.wait(Duration::ZERO)?);
            println!("{machine}, {case}: {found}");
            if !expected.split(OR).any(|answer| answer == found) {
                failures.push(format!(
                    "{case}: skiboot: {found}; the table has {expected}"
                ));
            }
        }
        Ok(failures)
    }

    fn start(
        &self,
        machine: Machine,
        topology: Topology,
        firmware: &Path,
        words: &str,
    ) -> Result<Vm> {
        let command_line = format!("conformance {words}");
        let configuration = Configuration {
            program: self.qemu,
            machine,
            topology,
            lpar_per_core: false,
            image: firmware,
            debugged: false,
            counted: false,
            payload: Some(Payload {
                kernel: &self.payload,
                initrd: None,
                command_line: command_line.trim(),
                restarts: words.contains("ends"),
                counted: false,
            }),
        };
        let bare = machine == Machine::Powernv8 && firmware == self.reference;
        let more = if bare { WITHOUT_BRIDGES } else { &[] };
        Vm::start_with(&configuration, more, Box::new(|_| {}))
    }
}

/// Types when the payload asks for it, and waits until the run ends.
fn attend(mut vm: Vm) -> Result<Remains> {
    let start = Instant::now();
    let (mut asked, mut seen) = (false, 0);
    while !asked && vm.is_alive() && start.elapsed() < PATIENCE {
        thread::sleep(LOOK);
        let lines = vm.lines(seen);
        seen += lines.len();
        asked = lines.iter().any(|line| line.contains(REQUEST));
    }
    if asked {
        vm.type_text(TYPED)?;
    }
    vm.wait(PATIENCE.saturating_sub(start.elapsed()))
}

/// What came of a case in a run of its own.
fn alone(case: &str, remains: &Remains) -> String {
    match (Answers::read(&remains.console).get(case), remains.ending) {
        (Some(answer), _) => answer.to_owned(),
        (None, Ending::TimedOut) => "no answer: hangs".to_owned(),
        (None, Ending::Exit(0)) => "no answer: the machine goes down".to_owned(),
        (None, Ending::Exit(1)) => "no answer: checkstop".to_owned(),
        (None, ending) => format!("no answer: {ending:?}"),
    }
}
