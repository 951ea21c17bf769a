//! Many random faults, each checked, and the report about them.
//!
//! QEMU was started with `-S` and the image; [`run`] takes it from there until it powers off.

mod fault;
mod judge;
mod report;
mod session;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use hypervisor_shim::control::{HeaderWord, ThreadWord};

pub use report::{EventReport, FaultReport, Report, ThreadReport, ThreadVerdict};

use crate::plan::{Choices, draw};
use session::Session;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the machine, for the report.
    pub machine: String,
    /// Socket of the stub.
    pub socket: PathBuf,
    /// The image as ELF, for its symbols.
    pub elf: PathBuf,
    /// How many faults.
    pub faults: u32,
    /// Everything random comes from it.
    pub seed: u64,
    /// The faults can be repaired: check that they are. Otherwise: check that the firmware says
    /// honestly that it could not.
    pub expect_repair: bool,
    /// Spare threads in host context the HMI now and then.
    pub spare_hosts: bool,
    /// Largest error of TB after a repair.
    pub tolerance: Duration,
    /// Patience for one repair before it counts as a hang.
    pub patience: Duration,
    /// Patience for the boot.
    pub boot_patience: Duration,
}

impl Options {
    /// Options with the usual values.
    #[must_use]
    pub fn new(machine: impl Into<String>, socket: PathBuf, elf: PathBuf) -> Self {
        Self {
            machine: machine.into(),
            socket,
            elf,
            faults: 10,
            seed: 1,
            expect_repair: true,
            spare_hosts: true,
            tolerance: Duration::from_millis(2),
            patience: Duration::from_secs(20),
            boot_patience: Duration::from_secs(60),
        }
    }
}

/// Ticks of TB in a microsecond.
pub(crate) const TICKS_PER_MICROSECOND: u64 = 512;

/// Strikes the faults and lets the image finish. `progress` gets a line now and then.
///
/// What the firmware does wrong is in [`Report::failures`]; a hang ends the campaign early.
///
/// # Errors
/// The tool itself cannot go on: no machine, another image, the line failed.
pub fn run(options: Options, progress: &mut dyn FnMut(&str)) -> Result<Report> {
    let mut session = Session::start(options).context("starting the machine")?;
    session.boot(progress).context("booting the image")?;
    if session.report.failures.is_empty() {
        strike_all(&mut session, progress)?;
    }
    session
        .finish(progress)
        .context("letting the image finish")?;
    Ok(session.into_report())
}

fn strike_all(session: &mut Session, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let cores: Vec<(u32, usize)> = session.machine.cores().into_iter().collect();
    let choices = Choices {
        cores: cores.iter().map(|(_, threads)| *threads).collect(),
        repairable: session.options.expect_repair,
        spare_hosts: session.options.spare_hosts,
    };
    for number in 1..=session.options.faults {
        let plan = draw(session.options.seed, number, &choices);
        let core = cores[plan.core].0;
        let fault = fault::play(session, core, &plan)
            .with_context(|| format!("playing fault {number}: {}", plan.in_words()))?;
        progress(&fault.summary(session.options.faults));
        let hang = fault.hang;
        for failure in &fault.failures {
            let text = format!("fault {number} ({}): {failure}", fault.plan);
            session.report.failures.push(text);
        }
        session.report.faults.push(fault);
        if hang {
            break;
        }
    }
    Ok(())
}

/// Words of a thread that must stay 0 in a run that is all well.
const THREAD_ALARMS: [(ThreadWord, &str); 4] = [
    (ThreadWord::GuestFailures, "guest_failures"),
    (ThreadWord::HostFailures, "host_failures"),
    (ThreadWord::ExpiredWaits, "expired_waits"),
    (ThreadWord::OtherExits, "other_exits"),
];

/// Words that only the image writes, and that a run adds up.
pub(crate) fn counted(header: &crate::readout::HeaderView) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("epochs", header.get(HeaderWord::Epochs)),
        ("events", header.get(HeaderWord::Events)),
        (
            "events_unrecovered",
            header.get(HeaderWord::EventsUnrecovered),
        ),
        ("resyncs", header.get(HeaderWord::Resyncs)),
    ])
}
