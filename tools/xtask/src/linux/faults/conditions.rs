//! Faults while some of a core's threads are not the kernel's, or have just become so.

use super::{
    super::{
        checks::Shape,
        session::Session,
        suite::{Bench, power_off},
    },
    PATIENCE, WORK, connect,
    kernel_log::ask,
};
use crate::qemu::topology::Machine;
use anyhow::{Result, ensure};
use fault_injector::{
    os::{Doing, Guests, Outcome},
    plan::{Choices, Extra, draw},
};

/// The timebase broken while only one thread of the core belongs to the kernel: the others sleep in
/// the firmware, come to the meeting all the same, and can be started afterwards.
pub(crate) fn with_waiting_threads(bench: &Bench<'_>, shape: &Shape, seed: u64) -> Result<()> {
    const FAULTS: u32 = 3;
    const LOOKS: u32 = 20;
    let mut session = bench.start_debugged(shape, "maxcpus=1")?;
    session.run("while :; do :; done & sleep 0", WORK)?;
    let mut struck = connect(bench, &session, Guests::new())?;
    let waiting = struck.find_waiting()?;
    ensure!(
        waiting as u32 == shape.topology.total() - 1,
        "{waiting} threads wait in the firmware"
    );
    if shape.machine != Machine::Powernv8 {
        let asleep = struck.sleepers(LOOKS)?;
        ensure!(
            asleep.iter().all(|count| *count > LOOKS / 2),
            "of {LOOKS} looks, the waiting threads were found asleep {asleep:?} times"
        );
    }
    let choices = Choices {
        cores: struck.cores(),
        repairable: true,
        spare_hosts: false,
    };
    let mut outcomes = Vec::new();
    for number in 1..=FAULTS {
        let outcome = struck.strike(&draw(seed, number, &choices), &Extra::None, PATIENCE)?;
        ensure!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        ensure!(
            outcome.doing.contains(&Doing::Waiting),
            "nobody waited: {:?}",
            outcome.doing
        );
        outcomes.push(outcome);
    }
    struck.leave()?;
    ask(&mut session, shape, &outcomes)?;
    session.run(
        "for c in /sys/devices/system/cpu/cpu[0-9]*/online; do \
         [ $(cat $c) = 1 ] || echo 1 > $c || exit 1; done",
        WORK,
    )?;
    let online = session.run("grep -c ^processor /proc/cpuinfo", WORK)?;
    ensure!(
        online == [shape.topology.total().to_string()],
        "{online:?} are online"
    );
    while_offline(bench, &mut session, shape, seed, &mut outcomes)?;
    power_off(session)
}

/// The timebase broken while the kernel has taken its last thread offline: it sleeps, the HMI wakes it
/// up, and it comes.
fn while_offline(
    bench: &Bench<'_>,
    session: &mut Session,
    shape: &Shape,
    seed: u64,
    outcomes: &mut Vec<Outcome>,
) -> Result<()> {
    const FAULTS: u32 = 2;
    let last = shape.topology.total() - 1;
    let online = format!("/sys/devices/system/cpu/cpu{last}/online");
    session.run(&format!("echo 0 > {online}"), WORK)?;
    let mut struck = connect(bench, session, Guests::new())?;
    let choices = Choices {
        cores: struck.cores(),
        repairable: true,
        spare_hosts: false,
    };
    for number in 1..=FAULTS {
        let mut plan = draw(seed, number, &choices);
        plan.core = choices.cores.len() - 1;
        let outcome = struck.strike(&plan, &Extra::None, PATIENCE)?;
        ensure!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        ensure!(
            outcome.doing.last() == Some(&Doing::Asleep),
            "the thread that is offline does not sleep: {:?}",
            outcome.doing
        );
        outcomes.push(outcome);
    }
    struck.leave()?;
    session.run(&format!("echo 1 > {online}"), WORK)?;
    ask(session, shape, outcomes)
}

/// The timebase broken under a kernel that another one started: the threads that it was given are in
/// its meetings again.
pub(crate) fn after_kexec(
    bench: &Bench<'_>,
    session: &mut Session,
    shape: &Shape,
    seed: u64,
) -> Result<()> {
    // Somebody must be awake.
    session.run("while :; do :; done & sleep 0", WORK)?;
    let mut struck = connect(bench, session, Guests::new())?;
    let choices = Choices {
        cores: struck.cores(),
        repairable: true,
        spare_hosts: false,
    };
    let outcome = struck.strike(&draw(seed, 1, &choices), &Extra::None, PATIENCE)?;
    ensure!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    struck.leave()?;
    ask(session, shape, &[outcome])
}
