//! Guests of KVM under Debian's kernel, each with a TB of its own, while the timebase breaks.

use super::{
    checks::Shape,
    debian, faults, program,
    session::Session,
    suite::{Bench, name},
};
use crate::{
    image::{self, Image},
    progress::Progress,
    qemu::topology::{Machine, Topology},
    testing::tally::Tally,
};
use anyhow::{Context as _, Result, ensure};
use fault_injector::os::Guests;
use std::{ffi::OsStr, time::Duration};

/// For a command on a loaded machine.
const WORK: Duration = Duration::from_secs(240);
/// The file that ends the monitors, and those who watch the clocks.
pub(super) const END: &str = "/tmp/end";
/// What a monitor's last line begins with.
const VERDICT: &str = "KVM guest, ";
/// The unit of offsets, in ticks: what TBU40 can set.
const UNIT: i64 = 1 << 24;
/// Ahead of the host and behind it in turns, by little and by much.
const OFFSETS: [i64; 4] = [12_345 * UNIT, -UNIT, -(1 << 60), UNIT];
/// Readings from one hypercall to the next: a guest that stays for long, and one that is in and out.
const ROUNDS: [u32; 4] = [20_000, 50, 50, 20_000];

/// One guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// The kernel's number of the thread that it runs on.
    pub(crate) thread: u32,
    /// Its TB minus the host's, as after a migration.
    pub(crate) offset: i64,
    /// How often it reads TB between two hypercalls.
    pub(crate) rounds: u32,
}

/// Guests on every second thread. The others are the host's; the first of them tells the time.
pub(crate) fn guests(threads: u32) -> Vec<Guest> {
    (1..threads)
        .step_by(2)
        .zip(OFFSETS.into_iter().zip(ROUNDS).cycle())
        .map(|(thread, (offset, rounds))| Guest {
            thread,
            offset,
            rounds,
        })
        .collect()
}

/// Loads KVM, starts the guests, and tells by PIR where they are.
pub(crate) fn start(session: &mut Session, guests: &[Guest]) -> Result<Guests> {
    if guests.is_empty() {
        return Ok(Guests::new());
    }
    session.run("load-kvm", WORK).context("loading KVM")?;
    let mut places = Guests::new();
    // Where the host has one, every second guest gets an interrupt controller in the kernel.
    let host_has = session.run("grep -c XIVE /proc/interrupts || true", WORK)?;
    let host_has = host_has != ["0"];
    for (
        index,
        Guest {
            thread,
            offset,
            rounds,
        },
    ) in guests.iter().enumerate()
    {
        let controller = if host_has && index % 2 == 0 {
            " controller"
        } else {
            ""
        };
        session.run(
            &format!(
                "taskset -c {thread} kvm-guest {offset} {rounds} {END}{controller} > /tmp/guest{thread} 2>&1 & sleep 0"
            ),
            WORK,
        )?;
        let pir = session.run(
            &format!("cat /sys/devices/system/cpu/cpu{thread}/physical_id"),
            WORK,
        )?;
        let pir = pir.first().context("no PIR")?.trim().parse()?;
        places.insert(pir, *offset);
    }
    // A monitor that cannot work says so and ends.
    session.run("usleep 300000", WORK)?;
    let alive = session.run("pidof kvm-guest | wc -w", WORK)?;
    if alive != [guests.len().to_string()] {
        let said = session.run("cat /tmp/guest*", WORK)?;
        anyhow::bail!("{alive:?} of {} guests run: {said:?}", guests.len());
    }
    Ok(places)
}

/// Ends the guests; gives what each monitor says, and fails if one of them saw wrong time.
pub(crate) fn end(session: &mut Session, guests: &[Guest]) -> Result<Vec<String>> {
    if guests.is_empty() {
        return Ok(Vec::new());
    }
    // In one command: a shell that reads when a program in the background ends takes that for the
    // end of its input.
    session.run(
        &format!("touch {END}; while pidof kvm-guest > /dev/null; do usleep 20000; done"),
        WORK,
    )?;
    let said = session.run("cat /tmp/guest*", WORK)?;
    let right = |line: &&String| line.starts_with(VERDICT) && line.contains(": right; ");
    let count = said.iter().filter(right).count();
    ensure!(
        count == guests.len() && said.len() == count,
        "{count} of {} guests had the right time: {said:#?}",
        guests.len()
    );
    Ok(said)
}

/// The machine in that shape. Its threads run in turns, by instructions: KVM takes for granted that
/// 2^24 ticks, 33 ms, never pass between two steps of an entry, and a host that runs many threads on
/// few real ones would keep a thread for longer.
pub(crate) const fn shape(machine: Machine, topology: Topology) -> Shape {
    Shape {
        machine,
        topology,
        hash: false,
        counted: true,
    }
}

/// Machine, threads and chips, and whether two small cores act as one.
type Case = (Machine, u32, u32, bool);

use Machine::{Powernv9, Powernv10};

const BOUNDED: &[Case] = &[(Powernv9, 4, 1, false), (Powernv10, 4, 1, false)];
const MATRIX: &[Case] = &[
    (Powernv9, 2, 1, false),
    (Powernv9, 4, 1, false),
    (Powernv9, 8, 1, false),
    (Powernv9, 8, 2, false),
    (Powernv9, 8, 1, true),
    (Powernv10, 2, 1, false),
    (Powernv10, 4, 1, false),
    (Powernv10, 8, 1, false),
    (Powernv10, 8, 2, false),
    (Powernv10, 8, 1, true),
];
/// Takes the reload of TB out of the image.
const MUTATION: &str = "mutate-skip-tb-repair";

/// The guests of every test run.
pub(crate) fn bounded(tally: &mut Tally, qemu: &OsStr, image: &Image) {
    match program::build().and_then(|program| debian::kvm_system(&program)) {
        Ok(system) => {
            let bench = Bench {
                qemu,
                image,
                system: &system,
                append: "",
                only: "",
            };
            struck(tally, &bench, BOUNDED, 6);
        }
        Err(error) => tally.skip("KVM", &format!("{error:#}")),
    }
}

/// All of them, and one with an image that repairs nothing.
pub(crate) fn matrix(tally: &mut Tally, bench: &Bench<'_>) {
    struck(tally, bench, MATRIX, 20);
    unrepaired(tally, bench);
}

fn struck(tally: &mut Tally, bench: &Bench<'_>, cases: &[Case], faults: u32) {
    for (machine, threads, chips, big_core) in cases {
        let shape = match Topology::new(*machine, *threads, *chips, None, *big_core) {
            Ok(topology) => shape(*machine, topology),
            Err(error) => {
                tally.fail("a machine", &format!("{error:#}"));
                continue;
            }
        };
        let seed = crate::run::random_seed();
        let text = format!(
            "{}, guests of KVM, {faults} faults, seed {seed}",
            name(&shape)
        );
        if !bench.wants(&text) {
            continue;
        }
        let progress = Progress::start(&text);
        let report = strike(bench, &shape, faults, seed, &mut |line| {
            progress.say(&format!("{text}: {line}"));
        });
        drop(progress);
        match report {
            Ok(report) => tally.check(&text, &report.failures),
            Err(error) => tally.fail(&text, &format!("{error:#}")),
        }
    }
}

fn strike(
    bench: &Bench<'_>,
    shape: &Shape,
    faults: u32,
    seed: u64,
    on_text: &mut dyn FnMut(&str),
) -> Result<faults::Report> {
    let guests = guests(shape.topology.total());
    let campaign = faults::Campaign {
        faults,
        seed,
        guests: &guests,
    };
    faults::strike(bench, shape, campaign, on_text)
}

/// A run that would pass with an image that does not repair TB would show that nothing is checked.
fn unrepaired(tally: &mut Tally, bench: &Bench<'_>) {
    let text = format!("KVM: {MUTATION} is noticed");
    if !bench.wants(&text) {
        return;
    }
    let done = image::build(&[MUTATION.to_owned()]).and_then(|image| {
        let topology = Topology::new(Powernv9, 4, 1, None, false)?;
        let bench = Bench {
            image: &image,
            ..*bench
        };
        let seed = crate::run::random_seed();
        strike(&bench, &shape(Powernv9, topology), 1, seed, &mut |_| {})
    });
    match done {
        Ok(report) if report.failures.is_empty() => tally.fail(&text, "every check held"),
        Ok(_) => tally.pass(&text),
        Err(error) => tally.fail(&text, &format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_of_both_signs_leave_the_host_a_thread() {
        assert_eq!(guests(1), []);
        for threads in [2, 4, 8] {
            let guests = guests(threads);
            assert_eq!(guests.len() as u32, threads / 2);
            assert!(guests.iter().all(|guest| guest.thread != 0));
            assert!(guests.iter().all(|guest| guest.offset % UNIT == 0));
            let ahead = guests.iter().filter(|guest| guest.offset > 0).count();
            assert_eq!(ahead, guests.len().div_ceil(2));
        }
    }
}
