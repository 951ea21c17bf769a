//! Guests of KVM under Debian's kernel, each with an offset to its TB, while the timebase breaks.

use super::{
    checks::Shape,
    session::Session,
    suite::{Bench, power_off},
};
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

/// For a command on a loaded machine.
const WORK: Duration = Duration::from_secs(240);
/// The file that ends the monitors.
const END: &str = "/tmp/end";

/// One guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Guest {
    /// The kernel's number of the thread that it runs on.
    thread: u32,
    /// Its TB minus the host's.
    offset: i64,
}

/// The unit of offsets.
const UNIT: i64 = 1 << 24;

/// Guests on every second thread: ahead of the host and behind it in turns, by little and by much.
fn guests(threads: u32) -> Vec<Guest> {
    const OFFSETS: [i64; 4] = [12_345 * UNIT, -UNIT, -(1 << 60), UNIT];
    (1..threads)
        .step_by(2)
        .zip(OFFSETS.into_iter().cycle())
        .map(|(thread, offset)| Guest { thread, offset })
        .collect()
}

/// The verb.
pub(crate) fn verb(bench: &Bench<'_>, shape: &Shape) -> Result<bool> {
    let mut session = bench.start_debugged(shape, "")?;
    println!("a shell after {:.1} s", session.boot.as_secs_f64());
    session.run("load-kvm", WORK)?;
    println!(
        "{:?}",
        session.run("dmesg | tail -5; ls -l /dev/kvm", WORK)?
    );
    for guest in guests(shape.topology.total()) {
        let Guest { thread, offset } = guest;
        session.run(
            &format!(
                "taskset -c {thread} kvm-guest {offset} {END} > /tmp/guest{thread} 2>&1 & sleep 0"
            ),
            WORK,
        )?;
    }
    session.run("sleep 5", WORK)?;
    session.run(&format!("touch {END}; sleep 2"), WORK)?;
    for line in session.run(
        "cat /tmp/guest*; grep -E 'DBL|HMI' /proc/interrupts; dmesg | tail -20",
        WORK,
    )? {
        println!("{line}");
    }
    power_off(session)?;
    Ok(true)
}
