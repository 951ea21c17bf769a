//! What the kernel's threads do while TB is broken.

use super::{
    super::{
        checks::Shape,
        kvm::{self, Guest},
        session::Session,
        suite::Bench,
    },
    WORK,
};
use anyhow::{Result, ensure};

/// What the threads do meanwhile, in turns: a program, one that looks at the time (where our own
/// program is not there, which looks at it closer), the kernel, nothing, and calls of the firmware
/// that take long.
const LOADS: &[&str] = &[
    "while :; do :; done",
    "last=0; while :; do read up idle < /proc/uptime; up=${up%.*}${up#*.}; \
     [ $up -ge $last ] || echo back from $last to $up >> /tmp/time; last=$up; done",
    "while :; do dd if=/dev/zero of=/dev/null bs=64k count=1000 2> /dev/null; done",
    "",
    "while :; do cat /sys/class/rtc/rtc0/since_epoch; done > /dev/null",
];

/// Which of them looks at the time.
const CLOCKS: usize = 1;

/// Gives the threads without a guest something to do; gives how many watch the clocks.
pub(super) fn start(
    session: &mut Session,
    bench: &Bench<'_>,
    shape: &Shape,
    guests: &[Guest],
) -> Result<usize> {
    let mut watchers = 0;
    let alone = shape.topology.total() == 1;
    for thread in 0..shape.topology.total() {
        if guests.iter().any(|guest| guest.thread == thread) {
            continue;
        }
        let load = thread as usize % LOADS.len();
        let clocks = bench.system.has_program && (load == CLOCKS || alone);
        if clocks {
            watchers += 1;
            session.run(
                &format!(
                    "taskset -c {thread} kvm-guest clocks {} > /tmp/clocks{thread} 2>&1 & sleep 0",
                    kvm::END
                ),
                WORK,
            )?;
        }
        if !LOADS[load].is_empty() && (!clocks || alone) {
            session.run(
                &format!("taskset -c {thread} sh -c '{}' & sleep 0", LOADS[load]),
                WORK,
            )?;
        }
    }
    Ok(watchers)
}

/// Ends the programs that watch the clocks; gives what each says, and fails if one of them saw TB or
/// `CLOCK_MONOTONIC` go back, or the two come apart.
pub(super) fn end_clocks(session: &mut Session, watchers: usize) -> Result<Vec<String>> {
    if watchers == 0 {
        return Ok(Vec::new());
    }
    // In one command, as the ends of guests are awaited.
    session.run(
        &format!(
            "touch {}; while pidof kvm-guest > /dev/null; do usleep 20000; done",
            kvm::END
        ),
        WORK,
    )?;
    let said = session.run("cat /tmp/clocks*", WORK)?;
    let right = |line: &&String| line.starts_with("Clocks right: ");
    let count = said.iter().filter(right).count();
    ensure!(count == watchers && said.len() == watchers, "{said:?}");
    Ok(said)
}
