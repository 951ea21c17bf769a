//! The kernel's own view of the faults.

use super::{
    super::{checks::Shape, session::Session},
    WORK,
};
use anyhow::{Context as _, Result, ensure};
use fault_injector::os::Outcome;
use power_registers::Hmer;

/// Words of a kernel whose time or threads went wrong.
const ALARMS: &str = "LOCKUP|lockup|rcu.*stall|clocksource.*unstable|Unrecoverable|Oops|Call Trace";

/// The kernel's own view: the events that the firmware queued and no others, all recovered, HMER and
/// TFMR as they were set; no alarm, time never back.
pub(super) fn ask(session: &mut Session, shape: &Shape, outcomes: &[Outcome]) -> Result<()> {
    // The events are fetched by a thread of the kernel. Where time is counted in instructions, no busy
    // host keeps it from that, and a second may take the host a minute.
    let pause = if shape.counted {
        "usleep 500000"
    } else {
        "sleep 3"
    };
    session.run(pause, WORK)?;
    let wanted: usize = outcomes.iter().map(|outcome| outcome.events.len()).sum();
    let events = session.run(&said("Hypervisor Maintenance interrupt"), WORK)?;
    let recovered = "Severe Hypervisor Maintenance interrupt [Recovered]";
    let all = events.iter().all(|line| line.ends_with(recovered));
    let alarms = session.run(&said(ALARMS), WORK)?;
    let back = session.run("cat /tmp/time 2> /dev/null || true", WORK)?;
    let hmi = session.run("grep HMI: /proc/interrupts", WORK)?;
    ensure!(
        events.len() == wanted && all,
        "{} faults, {wanted} events, but the kernel says {events:?}; {hmi:?}",
        outcomes.len()
    );
    let hmer = numbers(session, "HMER")?;
    let tfmr = numbers(session, "TFMR")?;
    ensure!(
        hmer.len() == wanted && tfmr.len() == wanted,
        "{wanted} events, {} HMERs, {} TFMRs",
        hmer.len(),
        tfmr.len()
    );
    let told = |hmer: &u64| Hmer::from_bits_retain(*hmer).contains(Hmer::TFAC_ERROR);
    ensure!(
        hmer.iter().all(told),
        "an event without its HMER: {hmer:x?}"
    );
    let faults: Vec<Told> = outcomes.iter().map(Told::of).collect();
    as_set(tfmr, &faults)?;
    ensure!(alarms.is_empty(), "the kernel says {alarms:?}");
    ensure!(back.is_empty(), "time went {back:?}");
    Ok(())
}

/// A fault: how many events it made, and which values of TFMR were set for it.
#[derive(Clone, Debug)]
struct Told {
    events: usize,
    set: Vec<u64>,
}

impl Told {
    fn of(outcome: &Outcome) -> Self {
        Self {
            events: outcome.events.len(),
            set: outcome.set.iter().map(|(_, tfmr)| *tfmr).collect(),
        }
    }
}

/// Whether each fault has its events, with a TFMR that was set for it. Their order is not that of the
/// faults: one that a thread kept to itself while others had the queue comes later.
fn as_set(mut tfmr: Vec<u64>, faults: &[Told]) -> Result<()> {
    // Those with one possible TFMR take theirs first.
    let mut faults: Vec<_> = faults.iter().enumerate().collect();
    faults.sort_by_key(|(_, fault)| fault.set.len());
    for (index, fault) in faults {
        for _ in 0..fault.events {
            let place = tfmr.iter().position(|found| fault.set.contains(found));
            let place = place.with_context(|| {
                format!(
                    "fault {} has no event of its own; set were {:x?}, left are {tfmr:x?}",
                    index + 1,
                    fault.set
                )
            })?;
            tfmr.remove(place);
        }
    }
    Ok(())
}

/// A command that shows lines of the kernel's log, without their times.
fn said(what: &str) -> String {
    format!("dmesg | sed 's/^[^]]*] //' | grep -E '{what}' || true")
}

/// The values of a register in the kernel's log, in order.
fn numbers(session: &mut Session, register: &str) -> Result<Vec<u64>> {
    let lines = session.run(&said(&format!("{register}: [0-9a-f]{{16}}$")), WORK)?;
    let digits = lines.iter().filter_map(|line| line.rsplit(' ').next());
    Ok(digits
        .filter_map(|digits| u64::from_str_radix(digits, 16).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_belong_to_faults_in_any_order() {
        let told = |events, set: &[u64]| Told {
            events,
            set: set.to_vec(),
        };
        let faults = [told(1, &[7, 9]), told(1, &[7]), told(2, &[7])];
        for order in [[7, 7, 7, 9], [9, 7, 7, 7], [7, 9, 7, 7]] {
            assert!(as_set(order.to_vec(), &faults).is_ok(), "{order:?}");
        }
        // One too few, and one that was never set.
        for order in [vec![7, 7, 9], vec![7, 7, 8, 9], vec![9, 9, 7, 7]] {
            assert!(as_set(order.clone(), &faults).is_err(), "{order:?}");
        }
    }
}
