//! The timebase broken under a running kernel: what it logs, and whether its time stays right.

mod conditions;
mod hopeless;
mod kernel_log;
mod loads;
mod report;

pub(crate) use conditions::{after_kexec, with_waiting_threads};
pub(crate) use hopeless::{Hopeless, beyond_repair};
pub(crate) use report::Report;

use super::{
    checks::Shape,
    kvm::{self, Guest},
    session::Session,
    suite::{Bench, power_off},
};
use anyhow::{Context as _, Result};
use fault_injector::{
    os::{Guests, Struck},
    plan::{Choices, Extra, draw, draw_extra, draw_held, draw_second},
};
use kernel_log::ask;
use std::time::Duration;

/// For a command on a loaded machine.
const WORK: Duration = Duration::from_secs(240);
/// For all threads of a core to be well again, on a host with other things to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Room for the events of some hundred faults.
const LOG: &str = "log_buf_len=2M";

/// How many faults, drawn from which seed, and the guests that run meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Campaign<'a> {
    pub(crate) faults: u32,
    pub(crate) seed: u64,
    pub(crate) guests: &'a [Guest],
}

/// The verb: true when every fault did no harm.
pub(crate) fn verb(bench: &Bench<'_>, shape: &Shape, campaign: Campaign<'_>) -> Result<bool> {
    let report = strike(bench, shape, campaign, &mut |text| println!("> {text}"))?;
    if campaign.faults > 0 {
        report::print(&report, !campaign.guests.is_empty());
    }
    for verdict in &report.verdicts {
        println!("{verdict}");
    }
    for failure in &report.failures {
        println!("FAILED: {failure}");
    }
    Ok(report.failures.is_empty())
}

fn connect(bench: &Bench<'_>, session: &Session, guests: Guests) -> Result<Struck> {
    Struck::connect(&session.socket(), &bench.image.elf, guests, PATIENCE)
}

/// Each campaign has one of each early on, however short it is. In turns nobody is held while another
/// core works: each spin of the firmware ends a turn, so its half second has a turn of the others for
/// each of half a million spins.
fn extra(seed: u64, number: u32, threads: usize, may_hold: bool) -> Extra {
    let extra = match number {
        2 => draw_second(seed, number, threads),
        4 if threads > 1 => draw_held(seed, number, threads),
        _ => draw_extra(seed, number, threads),
    };
    match extra {
        Extra::Held { .. } if !may_hold => Extra::None,
        extra => extra,
    }
}

/// Boots, strikes, and asks the kernel what it saw.
pub(crate) fn strike(
    bench: &Bench<'_>,
    shape: &Shape,
    campaign: Campaign<'_>,
    on_text: &mut dyn FnMut(&str),
) -> Result<Report> {
    let Campaign {
        faults,
        seed,
        guests,
    } = campaign;
    let mut session = bench.start_debugged(shape, LOG)?;
    on_text(&format!(
        "a shell after {:.1} s",
        session.boot.as_secs_f64()
    ));
    // What the kernel says of the faults would get into the output of commands. It is asked for.
    session.run("dmesg -n 1", WORK)?;
    let places = kvm::start(&mut session, guests)?;
    let watchers = loads::start(&mut session, bench, shape, guests)?;
    let mut report = Report {
        outcomes: Vec::new(),
        verdicts: Vec::new(),
        failures: Vec::new(),
    };
    let mut struck = connect(bench, &session, places)?;
    let choices = Choices {
        cores: struck.cores(),
        repairable: true,
        spare_hosts: false,
    };
    for number in 1..=faults {
        let plan = draw(seed, number, &choices);
        let extra = if guests.is_empty() {
            let may_hold = !shape.counted || choices.cores.len() == 1;
            extra(seed, number, plan.damage.len(), may_hold)
        } else {
            Extra::None
        };
        let outcome = struck
            .strike(&plan, &extra, PATIENCE)
            .with_context(|| format!("fault {number}: {}", plan.in_words()))?;
        on_text(&format!(
            "fault {number}: {:?}, {} moves, {:.0} ms, TB off by {:?}, absent {:#b} after {} spins{}",
            outcome.doing,
            outcome.moves.len(),
            outcome.milliseconds,
            outcome.off,
            outcome.absent,
            outcome.spins,
            report::besides(&outcome)
        ));
        let failures = outcome.failures.iter();
        report
            .failures
            .extend(failures.map(|why| format!("fault {number}: {why}")));
        for record in &outcome.records {
            on_text(record);
        }
        let hopeless = !outcome.failures.is_empty();
        report.outcomes.push(outcome);
        if hopeless {
            break;
        }
    }
    struck.leave()?;
    let in_guests: u32 = report
        .outcomes
        .iter()
        .map(|outcome| outcome.taken_in_guests)
        .sum();
    if !guests.is_empty() && faults > 0 && in_guests == 0 {
        let why = "no HMI was taken in a guest, so nothing was shown of them";
        report.failures.push(why.to_owned());
    }
    if report.failures.is_empty() {
        let verdicts = kvm::end(&mut session, guests);
        for verdicts in [verdicts, loads::end_clocks(&mut session, watchers)] {
            match verdicts {
                Ok(verdicts) => report.verdicts.extend(verdicts),
                Err(error) => report.failures.push(format!("{error:#}")),
            }
        }
        if let Err(error) = ask(&mut session, shape, &report.outcomes) {
            report.failures.push(format!("{error:#}"));
        }
    }
    // A machine whose time went wrong may take for ever.
    if report.failures.is_empty()
        && let Err(error) = power_off(session)
    {
        report
            .failures
            .push(format!("it does not switch off: {error:#}"));
    }
    Ok(report)
}
