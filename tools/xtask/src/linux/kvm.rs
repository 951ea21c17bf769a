//! Guests of KVM under Debian's kernel, each with a TB of its own, while the timebase breaks.

use super::session::Session;
use anyhow::{Context as _, Result, ensure};
use fault_injector::os::Guests;
use std::time::Duration;

/// For a command on a loaded machine.
const WORK: Duration = Duration::from_secs(240);
/// The file that ends the monitors.
const END: &str = "/tmp/end";
/// What a monitor's last line begins with.
const VERDICT: &str = "KVM guest, ";
/// The unit of offsets, in ticks: what TBU40 can set.
const UNIT: i64 = 1 << 24;
/// Ahead of the host and behind it in turns, by little and by much.
const OFFSETS: [i64; 4] = [12_345 * UNIT, -UNIT, -(1 << 60), UNIT];

/// One guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// The kernel's number of the thread that it runs on.
    pub(crate) thread: u32,
    /// Its TB minus the host's, as after a migration.
    pub(crate) offset: i64,
}

/// Guests on every second thread. The others are the host's; the first of them tells the time.
pub(crate) fn guests(threads: u32) -> Vec<Guest> {
    (1..threads)
        .step_by(2)
        .zip(OFFSETS.into_iter().cycle())
        .map(|(thread, offset)| Guest { thread, offset })
        .collect()
}

/// Loads KVM, starts the guests, and tells by PIR where they are.
pub(crate) fn start(session: &mut Session, guests: &[Guest]) -> Result<Guests> {
    if guests.is_empty() {
        return Ok(Guests::new());
    }
    session.run("load-kvm", WORK).context("loading KVM")?;
    let mut places = Guests::new();
    for Guest { thread, offset } in guests {
        session.run(
            &format!(
                "taskset -c {thread} kvm-guest {offset} {END} > /tmp/guest{thread} 2>&1 & sleep 0"
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
    session.run("sleep 2", WORK)?;
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
        &format!("touch {END}; while pidof kvm-guest > /dev/null; do sleep 1; done"),
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
