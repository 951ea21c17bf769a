//! Boots for tests: a few by default, all of them on demand.

use super::{
    checks::{CHECKS, Shape},
    debian::{self, System},
    faults::{self, Hopeless},
    kexec, program,
    session::Session,
};
use crate::{
    image::Image,
    progress::Progress,
    qemu::{
        Configuration, Payload, Vm,
        ending::Ending,
        topology::{Machine, Topology},
    },
    testing::tally::Tally,
};
use anyhow::{Result, ensure};
use std::{ffi::OsStr, time::Duration};

/// To the shell; eight virtual threads on two real ones take their time.
const BOOT: Duration = Duration::from_secs(300);
/// To switch off, or to be back at the firmware's first line.
const END: Duration = Duration::from_secs(120);

/// One boot.
#[derive(Clone, Copy, Debug)]
struct Case {
    machine: Machine,
    threads: u32,
    chips: u32,
    hash: bool,
    big_core: bool,
    /// In turns, by instructions. Otherwise they run at the same time; with many of them on a few
    /// real ones, the kernel's watchdog sees how the host shares itself out.
    counted: bool,
}

const fn case(machine: Machine, threads: u32, chips: u32) -> Case {
    Case {
        machine,
        threads,
        chips,
        hash: false,
        big_core: false,
        counted: threads > 4,
    }
}

const fn in_turns(case: Case) -> Case {
    Case {
        counted: true,
        ..case
    }
}

const fn with_hash(case: Case) -> Case {
    Case { hash: true, ..case }
}

const fn with_big_core(case: Case) -> Case {
    Case {
        big_core: true,
        ..case
    }
}

use Machine::{Powernv8, Powernv9, Powernv10};

/// Part of every test run.
const BOUNDED: &[Case] = &[
    case(Powernv9, 4, 1),
    case(Powernv10, 8, 1),
    in_turns(case(Powernv8, 4, 1)),
];

/// All of them.
const MATRIX: &[Case] = &[
    case(Powernv8, 1, 1),
    case(Powernv8, 4, 1),
    in_turns(case(Powernv8, 4, 1)),
    case(Powernv8, 8, 1),
    case(Powernv8, 8, 2),
    case(Powernv9, 1, 1),
    case(Powernv9, 4, 1),
    in_turns(case(Powernv9, 4, 1)),
    case(Powernv9, 8, 1),
    case(Powernv9, 8, 2),
    with_hash(case(Powernv9, 4, 1)),
    with_big_core(case(Powernv9, 8, 1)),
    case(Powernv10, 1, 1),
    case(Powernv10, 4, 1),
    in_turns(case(Powernv10, 4, 1)),
    case(Powernv10, 8, 1),
    case(Powernv10, 8, 2),
    with_hash(case(Powernv10, 4, 1)),
    with_big_core(case(Powernv10, 8, 1)),
];

/// What all boots share.
#[derive(Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) qemu: &'a OsStr,
    pub(crate) image: &'a Image,
    pub(crate) system: &'a System,
    /// More for the kernel's command line.
    pub(crate) append: &'a str,
    /// Part of the names of the tests that are run.
    pub(crate) only: &'a str,
}

/// The boots of every test run.
pub(crate) fn bounded(tally: &mut Tally, qemu: &OsStr, image: &Image) {
    let system = program::build().and_then(|program| debian::system(None, None, Some(&program)));
    match system {
        Ok(system) => {
            let bench = Bench {
                qemu,
                image,
                system: &system,
                append: "",
                only: "",
            };
            boots(tally, &bench, BOUNDED);
            restarts(tally, &bench, &[in_turns(case(Powernv9, 4, 1))]);
            struck(tally, &bench, &[in_turns(case(Powernv9, 4, 1))], 5);
            refused(tally, &bench);
            given_up(tally, &bench, case(Powernv8, 1, 1), Hopeless::NoTod);
            given_up(tally, &bench, case(Powernv9, 4, 1), Hopeless::Corrupt);
            restarted_by_kexec(tally, &bench, &[case(Powernv10, 4, 1)]);
        }
        Err(error) => tally.skip("Linux", &format!("{error:#}")),
    }
}

/// All boots.
pub(crate) fn matrix(tally: &mut Tally, bench: &Bench<'_>) {
    boots(tally, bench, MATRIX);
    restarts(
        tally,
        bench,
        &[
            in_turns(case(Powernv8, 4, 1)),
            case(Powernv9, 4, 1),
            in_turns(case(Powernv10, 8, 1)),
        ],
    );
    refused(tally, bench);
    given_up(tally, bench, case(Powernv8, 1, 1), Hopeless::NoTod);
    given_up(tally, bench, case(Powernv8, 4, 1), Hopeless::NoTod);
    for machine in [Powernv9, Powernv10] {
        for hopeless in [Hopeless::Corrupt, Hopeless::Sticky] {
            given_up(tally, bench, case(machine, 4, 1), hopeless);
        }
    }
    restarted_by_kexec(
        tally,
        bench,
        &[
            case(Powernv8, 4, 1),
            case(Powernv9, 4, 1),
            with_hash(case(Powernv9, 4, 1)),
            case(Powernv9, 8, 2),
            case(Powernv10, 4, 1),
            case(Powernv10, 8, 1),
        ],
    );
    struck(
        tally,
        bench,
        &[
            case(Powernv9, 1, 1),
            case(Powernv9, 2, 1),
            case(Powernv9, 4, 1),
            case(Powernv9, 8, 1),
            case(Powernv10, 1, 1),
            case(Powernv10, 2, 1),
            case(Powernv10, 4, 1),
            case(Powernv10, 8, 1),
        ]
        .map(Case::at_the_same_time),
        20,
    );
    struck(
        tally,
        bench,
        &[case(Powernv9, 4, 1), case(Powernv10, 4, 1)].map(in_turns),
        200,
    );
}

impl Case {
    const fn at_the_same_time(self) -> Self {
        Self {
            counted: false,
            ..self
        }
    }

    fn shape(self) -> Result<Shape> {
        Ok(Shape {
            machine: self.machine,
            topology: Topology::new(self.machine, self.threads, self.chips, None, self.big_core)?,
            hash: self.hash,
            counted: self.counted,
        })
    }
}

impl Bench<'_> {
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(self.only)
    }

    /// Boots to the shell, open to a debugger.
    pub(crate) fn start_debugged(&self, shape: &Shape, more: &str) -> Result<Session> {
        self.boot(shape, false, more, true)
    }

    fn start(&self, shape: &Shape, restarts: bool, more: &str) -> Result<Session> {
        self.boot(shape, restarts, more, false)
    }

    fn boot(&self, shape: &Shape, restarts: bool, more: &str, debugged: bool) -> Result<Session> {
        let hash = if shape.hash { "disable_radix" } else { "" };
        let command_line = format!("console=hvc0 opaline.driven {hash} {more} {}", self.append);
        let configuration = Configuration {
            program: self.qemu,
            machine: shape.machine,
            topology: shape.topology,
            lpar_per_core: false,
            image: &self.image.flat,
            debugged,
            counted: false,
            payload: Some(Payload {
                kernel: &self.system.kernel,
                initrd: Some(&self.system.initrd),
                command_line: command_line.trim_end(),
                restarts,
                counted: shape.counted,
            }),
        };
        Session::start(&configuration, BOOT)
    }
}

pub(crate) fn name(shape: &Shape) -> String {
    let hash = if shape.hash { ", hash" } else { "" };
    let turns = if shape.counted { ", in turns" } else { "" };
    format!(
        "Linux on {}, {}{hash}{turns}",
        shape.machine, shape.topology
    )
}

fn boots(tally: &mut Tally, bench: &Bench<'_>, cases: &[Case]) {
    for case in cases {
        let shape = match case.shape() {
            Ok(shape) => shape,
            Err(error) => {
                tally.fail("a machine", &format!("{error:#}"));
                continue;
            }
        };
        let name = name(&shape);
        if !bench.wants(&name) {
            continue;
        }
        let progress = Progress::start(&name);
        let mut session = match bench.start(&shape, false, "") {
            Ok(session) => session,
            Err(error) => {
                drop(progress);
                tally.fail(&name, &format!("{error:#}"));
                continue;
            }
        };
        let mut wrong = Vec::new();
        for (what, check) in CHECKS {
            progress.say(&format!("{name}: {what}"));
            if let Err(error) = check(&mut session, &shape) {
                wrong.push(format!("{what}: {error:#}"));
            }
        }
        let seconds = session.boot.as_secs_f64();
        progress.say(&format!("{name}: power off"));
        if let Err(error) = power_off(session) {
            wrong.push(format!("it switches off: {error:#}"));
        }
        drop(progress);
        let name = format!(
            "{name}: a shell after {seconds:.1} s, {} checks",
            CHECKS.len() + 1
        );
        tally.check(&name, &wrong);
    }
}

pub(crate) fn power_off(mut session: Session) -> Result<()> {
    session.type_line("poweroff -f")?;
    let remains = session.end(END)?;
    ensure!(remains.ending == Ending::Exit(0), "{:?}", remains.ending);
    ensure!(
        remains
            .console
            .iter()
            .any(|line| line.contains("reboot: Power down")),
        "QEMU ended before the kernel said so"
    );
    Ok(())
}

/// Faults of the timebase under a running kernel, and under one whose siblings still wait.
fn struck(tally: &mut Tally, bench: &Bench<'_>, cases: &[Case], faults: u32) {
    for case in cases {
        let Ok(shape) = case.shape() else { continue };
        let seed = crate::run::random_seed();
        let text = format!("{}, {faults} faults, seed {seed}", name(&shape));
        if bench.wants(&text) {
            let progress = Progress::start(&text);
            let campaign = faults::Campaign {
                faults,
                seed,
                guests: &[],
            };
            let report = faults::strike(bench, &shape, campaign, &mut |line| {
                progress.say(&format!("{text}: {line}"));
            });
            drop(progress);
            match report {
                Ok(report) => tally.check(&text, &report.failures),
                Err(error) => tally.fail(&text, &format!("{error:#}")),
            }
        }
        let text = format!(
            "{}, faults while siblings wait or are offline, seed {seed}",
            name(&shape)
        );
        if shape.topology.total() == 1 || !bench.wants(&text) {
            continue;
        }
        let progress = Progress::start(&text);
        let done = faults::with_waiting_threads(bench, &shape, seed);
        drop(progress);
        match done {
            Ok(()) => tally.pass(&text),
            Err(error) => tally.fail(&text, &format!("{error:#}")),
        }
    }
}

/// What cannot be repaired ends in a reboot of the kernel, not in a hang.
fn given_up(tally: &mut Tally, bench: &Bench<'_>, case: Case, hopeless: Hopeless) {
    let Ok(shape) = case.shape() else { return };
    let seed = crate::run::random_seed();
    let text = format!(
        "{}, a fault beyond repair ({}), seed {seed}",
        name(&shape),
        hopeless.in_words()
    );
    if !bench.wants(&text) {
        return;
    }
    let progress = Progress::start(&text);
    let done = faults::beyond_repair(bench, &shape, seed, hopeless);
    drop(progress);
    match done {
        Ok(()) => tally.pass(&text),
        Err(error) => tally.fail(&text, &format!("{error:#}")),
    }
}

/// A kernel that gives its threads back to the firmware and starts another one in its place.
fn restarted_by_kexec(tally: &mut Tally, bench: &Bench<'_>, cases: &[Case]) {
    let system = match kexec::system(bench.system) {
        Ok(system) => system,
        Err(error) => return tally.skip("Linux: kexec", &format!("{error:#}")),
    };
    let first = Bench {
        system: &system,
        ..*bench
    };
    for case in cases {
        let Ok(shape) = case.shape() else { continue };
        let seed = crate::run::random_seed();
        let text = format!("{}, a second kernel by kexec, seed {seed}", name(&shape));
        if !bench.wants(&text) {
            continue;
        }
        let progress = Progress::start(&text);
        let done = kexec::run(&first, &shape, seed);
        drop(progress);
        match done {
            Ok(()) => tally.pass(&text),
            Err(error) => tally.fail(&text, &format!("{error:#}")),
        }
    }
}

/// A payload that cannot be started ends with its reason, not in a hang.
fn refused(tally: &mut Tally, bench: &Bench<'_>) {
    for machine in Machine::ALL {
        let text = format!("a packed kernel on {machine} is refused with its reason");
        if !bench.wants(&text) {
            continue;
        }
        match refusal(bench, machine) {
            Ok(()) => tally.pass(&text),
            Err(error) => tally.fail(&text, &format!("{error:#}")),
        }
    }
}

fn refusal(bench: &Bench<'_>, machine: Machine) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let kernel = directory.path().join("vmlinuz");
    std::fs::write(&kernel, [&[0x1f, 0x8b, 8, 0][..], &[0x55; 5000]].concat())?;
    let configuration = Configuration {
        program: bench.qemu,
        machine,
        topology: Topology::new(machine, 2, 1, None, false)?,
        lpar_per_core: false,
        image: &bench.image.flat,
        debugged: false,
        counted: false,
        payload: Some(Payload {
            kernel: &kernel,
            initrd: None,
            command_line: "",
            restarts: false,
            counted: false,
        }),
    };
    let remains = Vm::start(&configuration, Box::new(|_| {}))?.wait(END)?;
    let said = |line: &String| line.contains("payload refused") && line.contains("gzip");
    ensure!(
        remains.ending == Ending::Exit(1) && remains.console.iter().any(said),
        "{:?}, and the console said {:?}",
        remains.ending,
        remains.console.last()
    );
    Ok(())
}

/// A reboot, and a reboot of a kernel that crashed: the machine starts over, and the shell is back.
fn restarts(tally: &mut Tally, bench: &Bench<'_>, cases: &[Case]) {
    for case in cases {
        for (what, command) in [
            ("reboot", "reboot -f"),
            ("reboot of a crashed kernel", "echo c > /proc/sysrq-trigger"),
        ] {
            let Ok(shape) = case.shape() else { continue };
            let name = format!("{}: {what}", name(&shape));
            if !bench.wants(&name) {
                continue;
            }
            let progress = Progress::start(&name);
            let done = restart(bench, &shape, command);
            drop(progress);
            match done {
                Ok(()) => tally.pass(&name),
                Err(error) => tally.fail(&name, &format!("{error:#}")),
            }
        }
    }
}

fn restart(bench: &Bench<'_>, shape: &Shape, command: &str) -> Result<()> {
    let mut session = bench.start(shape, true, "panic=1")?;
    session.type_line(command)?;
    session.wait_for(|line| line.contains("Opaline"), END)?;
    session.wait_for(|line| line == super::session::SHELL, BOOT)?;
    power_off(session)
}
