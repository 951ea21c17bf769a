//! What a booted system is asked, and what it must answer.

use super::session::Session;
use crate::qemu::topology::{Machine, Topology};
use anyhow::{Context as _, Result, ensure};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For a command that only looks.
const LOOK: Duration = Duration::from_secs(60);
/// For a command that moves threads or much text, on a machine with other things to do.
const WORK: Duration = Duration::from_secs(240);

/// Warnings of a kernel that come from what is not handed over, or that it has on skiboot, too, each with
/// its reason.
const EXPECTED_WARNINGS: &[(&str, &str)] = &[
    (
        "XICS: Using OPAL ICP fallbacks",
        "the controller that only has a name",
    ),
    ("nvram: Failed to find or create", "no NVRAM"),
    ("nvram: Failed to initialize", "no NVRAM"),
    ("powernv-cpufreq:", "no frequency control"),
    // Since 6.12.
    (
        "SED: plpks not available",
        "only PowerVM keeps keys of drives",
    ),
    (
        "potential offnode page_structs",
        "with pages of 64 KiB the table of all pages begins on another chip's memory",
    ),
    (
        "hrtimer: interrupt took",
        "the host kept a virtual thread waiting",
    ),
];

/// A check: its name, and what it does.
pub(crate) type Check = (&'static str, fn(&mut Session, &Shape) -> Result<()>);

/// The machine that was booted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) machine: Machine,
    pub(crate) topology: Topology,
    pub(crate) hash: bool,
    /// The threads take turns.
    pub(crate) counted: bool,
}

/// All checks, in order.
pub(crate) const CHECKS: &[Check] = &[
    ("every thread is online", online),
    ("the MMU is as asked", mmu),
    ("the firmware's log has no warning", firmware_log),
    ("the firmware's function names are there", symbol_map),
    ("the kernel's log has no unexplained warning", kernel_log),
    ("the time of day is right", clock),
    ("long output and input arrive whole", console),
    ("idle states are entered", idle),
    ("threads go offline and come back", hotplug),
    ("inter-processor interrupts arrive", interrupts),
    (
        "what is typed interrupts the thread that it is sent to",
        typed,
    ),
    ("time runs alike on all threads", timebases),
];

/// Those of a kernel that was started by another one.
pub(crate) const OF_A_SECOND_KERNEL: &[&str] = &[
    "every thread is online",
    "the MMU is as asked",
    "the kernel's log has no unexplained warning",
    "threads go offline and come back",
    "what is typed interrupts the thread that it is sent to",
    "time runs alike on all threads",
];

fn online(session: &mut Session, shape: &Shape) -> Result<()> {
    let online = session.run("grep -c ^processor /proc/cpuinfo", LOOK)?;
    let total = shape.topology.total().to_string();
    ensure!(online == [total.clone()], "{online:?} of {total}");
    let nodes = session.run("ls -d /sys/devices/system/node/node* | wc -l", LOOK)?;
    ensure!(
        nodes == [shape.topology.chips.to_string()],
        "{nodes:?} NUMA nodes on {} chips",
        shape.topology.chips
    );
    Ok(())
}

fn mmu(session: &mut Session, shape: &Shape) -> Result<()> {
    let hash = shape.hash || shape.machine == Machine::Powernv8;
    let found = session.run("grep ^MMU /proc/cpuinfo", LOOK)?;
    let wanted = if hash { "Hash" } else { "Radix" };
    ensure!(
        found.iter().any(|line| line.ends_with(wanted)),
        "{found:?}, not {wanted}"
    );
    Ok(())
}

fn firmware_log(session: &mut Session, _: &Shape) -> Result<()> {
    let log = session.run("cat /sys/firmware/opal/msglog", LOOK)?;
    ensure!(
        log.iter().any(|line| line.contains("Payload: ELF")),
        "the log is not the firmware's: {log:?}"
    );
    let warnings = session.run("grep ',[0-4]\\]' /sys/firmware/opal/msglog || true", LOOK)?;
    ensure!(warnings.is_empty(), "{warnings:?}");
    Ok(())
}

fn symbol_map(session: &mut Session, _: &Shape) -> Result<()> {
    let map = session.run("cat /sys/firmware/opal/exports/symbol_map", LOOK)?;
    ensure!(
        map.first()
            .is_some_and(|line| line == "30000000 T opaline_head"),
        "it begins with {:?}",
        map.first()
    );
    let entry = |line: &String| line.ends_with(" T opaline_opal_entry");
    ensure!(map.iter().any(entry), "the OPAL entry is not in it");
    Ok(())
}

fn kernel_log(session: &mut Session, _: &Shape) -> Result<()> {
    let warnings = session.run("dmesg -r | grep '^<[0-4]>' || true", LOOK)?;
    let unexplained: Vec<_> = warnings
        .iter()
        .filter(|line| {
            !EXPECTED_WARNINGS
                .iter()
                .any(|(text, _)| line.contains(text))
        })
        .collect();
    ensure!(unexplained.is_empty(), "{unexplained:?}");
    Ok(())
}

fn clock(session: &mut Session, _: &Shape) -> Result<()> {
    let host = || SystemTime::now().duration_since(UNIX_EPOCH);
    // Read from the firmware now, not from the kernel's clock.
    let before = host()?.as_secs();
    let found = session.run("cat /sys/class/rtc/rtc0/since_epoch", LOOK)?;
    let after = host()?.as_secs();
    let found: u64 = found.first().context("nothing")?.parse()?;
    ensure!(
        (before..=after + 1).contains(&found),
        "{found} is not in {before}..={after}"
    );
    Ok(())
}

fn console(session: &mut Session, _: &Shape) -> Result<()> {
    let lines = session.run("seq 1 3000", WORK)?;
    let wanted: Vec<String> = (1..=3000).map(|number| number.to_string()).collect();
    ensure!(lines == wanted, "{} of 3000 lines are as sent", {
        lines.iter().zip(&wanted).filter(|(a, b)| a == b).count()
    });
    // As long as a terminal's line may be, with room for the command.
    let text: String = ('a'..='z').cycle().take(3000).collect();
    let back = session.run(&format!("echo {text}"), WORK)?;
    ensure!(back == [text], "the long line came back changed: {back:?}");
    Ok(())
}

fn idle(session: &mut Session, _: &Shape) -> Result<()> {
    // The kernel's own loop is state 0; the others came from the device tree.
    let used = session.run(
        "sleep 2; cat /sys/devices/system/cpu/cpu*/cpuidle/state[1-9]/usage",
        WORK,
    )?;
    let used: Vec<u64> = used.iter().filter_map(|line| line.parse().ok()).collect();
    ensure!(!used.is_empty(), "there are no idle states");
    ensure!(used.iter().sum::<u64>() > 0, "none was ever entered");
    Ok(())
}

fn hotplug(session: &mut Session, shape: &Shape) -> Result<()> {
    if shape.topology.total() == 1 {
        return Ok(());
    }
    let secondaries = "/sys/devices/system/cpu/cpu[0-9]*/online";
    for _ in 0..3 {
        session.run(&format!("for c in {secondaries}; do [ $c = /sys/devices/system/cpu/cpu0/online ] || echo 0 > $c || exit 1; done"), WORK)?;
        let online = session.run("cat /sys/devices/system/cpu/online", LOOK)?;
        ensure!(online == ["0"], "{online:?} stayed online");
        session.run(
            &format!("for c in {secondaries}; do [ $(cat $c) = 1 ] || echo 1 > $c || exit 1; done"),
            WORK,
        )?;
        online_again(session, shape)?;
    }
    Ok(())
}

fn online_again(session: &mut Session, shape: &Shape) -> Result<()> {
    let count = session.run("grep -c ^processor /proc/cpuinfo", LOOK)?;
    ensure!(
        count == [shape.topology.total().to_string()],
        "{count:?} came back"
    );
    Ok(())
}

fn interrupts(session: &mut Session, shape: &Shape) -> Result<()> {
    if shape.topology.total() == 1 {
        return Ok(());
    }
    let table = session.run("cat /proc/interrupts", LOOK)?;
    let sum = |name: &str| -> u64 {
        let rows = table
            .iter()
            .filter(|row| row.trim_start().starts_with(name) || row.ends_with(name));
        rows.flat_map(|row| row.split_whitespace())
            .filter_map(|word| word.parse::<u64>().ok())
            .sum()
    };
    let arrived = sum("DBL:") + sum(" IPI");
    ensure!(arrived > 0, "neither doorbells nor others: {table:?}");
    Ok(())
}

/// The console's interrupt, sent to one thread after the other, of whatever chip. POWER8 has none.
fn typed(session: &mut Session, shape: &Shape) -> Result<()> {
    const ROW: &str = "grep opal-lpc-uart /proc/interrupts";
    const LINES: u32 = 5;
    if shape.machine == Machine::Powernv8 {
        return Ok(());
    }
    let threads = shape.topology.total() as usize;
    let count = |rows: &[String], thread: usize| -> Result<(String, u64)> {
        let row = rows.first().context("the console has no interrupt")?;
        let mut words = row.split_whitespace();
        let number = words.next().context("an empty row")?;
        let number = number.trim_end_matches(':').to_owned();
        Ok((number, words.nth(thread).context(row.clone())?.parse()?))
    };
    let (number, _) = count(&session.run(ROW, LOOK)?, 0)?;
    for thread in 0..threads {
        let send = format!("echo {thread} > /proc/irq/{number}/smp_affinity_list; {ROW}");
        let (_, before) = count(&session.run(&send, LOOK)?, thread)?;
        // A line needs no interrupt of its own if the kernel still reads the one before.
        let mut after = before;
        for _ in 0..LINES {
            if after > before {
                break;
            }
            after = count(&session.run(ROW, LOOK)?, thread)?.1;
        }
        ensure!(
            after > before,
            "not on thread {thread}: {before} for {LINES} lines"
        );
    }
    Ok(())
}

fn timebases(session: &mut Session, shape: &Shape) -> Result<()> {
    // The kernel's clock read on one thread after another never goes back.
    let command = format!(
        "last=0; for round in 1 2 3; do for c in $(seq 0 {}); do \
         now=$(taskset -c $c awk '{{print $1}}' /proc/uptime | tr -d .); \
         [ $now -ge $last ] || echo back on $c: $last $now; last=$now; done; done",
        shape.topology.total() - 1
    );
    let back = session.run(&command, WORK)?;
    ensure!(back.is_empty(), "{back:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_of_a_second_kernel_exist() {
        for name in OF_A_SECOND_KERNEL {
            assert!(CHECKS.iter().any(|(what, _)| what == name), "{name}");
        }
    }
}
