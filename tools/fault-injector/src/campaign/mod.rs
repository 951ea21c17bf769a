//! Many random faults, each checked, and the report about them.
//!
//! QEMU was started with `-S` and the image; [`run`] takes it from there until it powers off.

mod fault;
mod judge;
mod report;
mod session;
mod settle;
mod skew;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use hypervisor_shim::control::{HeaderWord, ThreadWord};

pub use report::{EventReport, FaultReport, Report, ThreadReport, ThreadVerdict};
pub use skew::{SKEW_TICKS, SkewReport};

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
    /// Guests are entered and left as fast as can be, and faults come as fast as can be.
    pub hasty: bool,
    /// Skew of all threads is measured after so many faults, and after the last one.
    pub faults_per_skew: u32,
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
            hasty: false,
            faults_per_skew: 5,
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
    measure(session, 0, progress)?;
    for number in 1..=session.options.faults {
        let mut plan = draw(session.options.seed, number, &choices);
        if session.options.hasty {
            plan.delay /= HASTY_DIVISOR;
        }
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
        // Of a machine that failed already it would tell nothing more, and it may last until nobody waits
        // any longer.
        let failed = !session.report.failures.is_empty();
        let last = number == session.options.faults;
        if !failed && (last || number.is_multiple_of(session.options.faults_per_skew.max(1))) {
            measure(session, number, progress)?;
        }
    }
    Ok(())
}

/// Has the skew of all threads measured; where TB cannot be repaired it would tell nothing.
fn measure(session: &mut Session, after: u32, progress: &mut dyn FnMut(&str)) -> Result<()> {
    if session.options.expect_repair {
        let skew = session.measure_skew(after)?;
        progress(&skew.in_words());
        session.report.failures.extend(skew.failures());
        session.report.skews.push(skew);
    }
    Ok(())
}

/// In haste the pauses between faults are so much shorter.
const HASTY_DIVISOR: u32 = 16;
/// In haste a stay in a guest is as short as it can be.
const HASTY_SLICE_MICROSECONDS: u64 = hypervisor_shim::guest::SHORTEST_SLICE_MICROSECONDS;
/// In haste every so manyth fault strikes while the threads measure their skew.
const FAULTS_PER_STRUCK_SKEW: u32 = 8;
/// Without haste the records of all faults are kept; in haste of so many, and of those that fail.
const HASTY_RECORDED_FAULTS: u32 = 20;

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
