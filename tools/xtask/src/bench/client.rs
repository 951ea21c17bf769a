//! Calls of the firmware, measured by a client of our own that runs in the place of an OS.

use super::{
    entry::INSTRUCTIONS_PER_TICK,
    figure::Values,
    guest::{Guest, Start},
};
use anyhow::{Context as _, Result, bail, ensure};
use fault_injector::{forge::broken, machine::Machine};
use gdb_remote::{Resume, StopReply, Watch};
use object::{Object as _, ObjectSymbol as _};
use opal_abi::hmi_flags;
use power_registers::{Hmer, Tfmr};
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Rounds of a broken timebase in one run.
pub(super) const ROUNDS: usize = 5;
/// For a run, or for one round, on a busy host.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
/// The client stands here when it wants something broken.
const STRIKE: &str = "payload_strike";
/// And here when that is mended.
const MENDED: &str = "payload_mended";

/// How its lines begin that are meant here.
const MARK: &str = "payload| bench ";

/// What the client writes for a call, and the figure that comes of it.
const CALLS: &[(&str, &str)] = &[
    ("test", "call.test"),
    ("check_token", "call.check_token"),
    ("poll_events", "call.poll_events"),
    ("resync_timebase", "call.resync_timebase"),
    ("console_write", "call.console_write"),
];

/// The command line of the client, with or without errors that can be mended.
pub(super) fn command_line(errors: bool) -> String {
    format!("bench hmi={}", if errors { ROUNDS } else { 0 })
}

/// Runs the client. `path`: the figure of the maintenance interrupt, if there is one.
pub(super) fn run(start: &Start<'_>, path: Option<&'static str>, calls: bool) -> Result<Values> {
    let console = converse(start, path.is_some())?;
    let lines: Vec<&str> = console
        .lines()
        .filter_map(|line| line.trim().strip_prefix(MARK))
        .collect();
    let mut values = Values::new();
    if let Some(path) = path {
        values.push((path, interrupt(&lines)?));
    }
    if calls {
        values.extend(call_values(&lines)?);
    }
    Ok(values)
}

/// Runs the client under a trace; the most that one thread did for an error is the value of `busiest`.
pub(super) fn trace(start: &Start<'_>, busiest: &'static str) -> Result<Values> {
    let (stop, mended) = (symbol(start.kernel, STRIKE)?, symbol(start.kernel, MENDED)?);
    let guest = Guest::start(start)?;
    let mut machine = guest.debugger()?;
    machine.client.plant(Watch::Breakpoint, stop, 4)?;
    run_to_stop(&mut machine, &guest)?;
    strike(&mut machine, stop)?;
    machine.client.plant(Watch::Breakpoint, mended, 4)?;
    machine.client.monitor("log exec,nochain")?;
    run_to_stop(&mut machine, &guest)?;
    machine.client.monitor("log none")?;
    let threads = guest.traced()?;
    let present = machine.vcpus().len();
    ensure!(
        threads.len() == present,
        "{} of {present} threads came to the firmware",
        threads.len()
    );
    let most = threads.values().max().copied().unwrap_or(0);
    Ok(vec![(busiest, most as f64)])
}

fn run_to_stop(machine: &mut Machine, guest: &Guest) -> Result<()> {
    machine.client.resume(Resume::All)?;
    let reply = machine.client.wait_for_stop(PATIENCE)?;
    ensure!(
        matches!(reply, Some(StopReply::Stopped { .. })),
        "the client does not stop ({reply:?}):\n      {}",
        guest.last_words()
    );
    Ok(())
}

/// Lets the client run, breaks the timebase whenever it wants, and gives what it printed.
fn converse(start: &Start<'_>, errors: bool) -> Result<String> {
    let stop = symbol(start.kernel, STRIKE)?;
    let mut guest = Guest::start(start)?;
    let mut machine = guest.debugger()?;
    machine.client.plant(Watch::Breakpoint, stop, 4)?;
    for _ in 0..if errors { ROUNDS } else { 0 } {
        run_to_stop(&mut machine, &guest)?;
        strike(&mut machine, stop)?;
    }
    machine.client.resume(Resume::All)?;
    let begin = Instant::now();
    loop {
        let console = guest.console();
        if console.contains(&format!("{MARK}done")) {
            return Ok(console);
        }
        if !guest.runs()? || begin.elapsed() > PATIENCE {
            bail!("the client did not end:\n      {}", guest.last_words());
        }
        thread::sleep(POLL);
    }
}

/// Has the hardware say that the timebase broke: TFMR in ERROR, and the cause in HMER of all threads.
/// The value of TB is left alone: that the TOD does not load it here is the emulator's gap.
fn strike(machine: &mut Machine, stop: u64) -> Result<()> {
    let mut stood = false;
    for vcpu in machine.vcpus() {
        let healthy = Tfmr::from_bits_retain(machine.read(vcpu, "tfmr")?);
        let tfmr = broken(healthy, Tfmr::FW_CONTROL_ERROR.bits());
        machine.write(vcpu, "tfmr", tfmr.bits())?;
        let hmer = machine.read(vcpu, "hmer")? | Hmer::TFAC_ERROR.bits();
        machine.write(vcpu, "hmer", hmer)?;
        if machine.read(vcpu, "pc")? == stop {
            // All that is there is a return.
            let back = machine.read(vcpu, "lr")?;
            machine.write(vcpu, "pc", back)?;
            stood = true;
        }
    }
    ensure!(stood, "no thread stands at {STRIKE}");
    Ok(())
}

fn symbol(elf: &Path, name: &str) -> Result<u64> {
    let bytes = fs::read(elf).with_context(|| elf.display().to_string())?;
    let file = object::File::parse(&*bytes)?;
    let found = file.symbols().find(|symbol| symbol.name() == Ok(name));
    Ok(found
        .with_context(|| format!("no symbol {name}"))?
        .address())
}

/// Instructions of each call, without what the client needs for it.
fn call_values(lines: &[&str]) -> Result<Values> {
    let nothing = each(lines, "nothing")?;
    let mut values = Vec::new();
    for (name, key) in CALLS {
        // QEMU's POWER8 has nothing to load TB from: there is nothing to measure.
        if !lines.contains(&format!("{name} failed").as_str()) {
            values.push((*key, each(lines, name)? - nothing));
        }
    }
    let written = each(lines, "console_write")? + each(lines, "console_flush")?;
    values.push(("call.console_sent", written - 2.0 * nothing));
    Ok(values)
}

/// Instructions of one repetition.
fn each(lines: &[&str], name: &str) -> Result<f64> {
    let line = lines
        .iter()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .with_context(|| format!("the client says nothing of {name}"))?;
    let numbers: Vec<f64> = line
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("the client says of {name}: {line}"))?;
    let [times, ticks] = numbers[..] else {
        bail!("the client says of {name}: {line}");
    };
    Ok(ticks * INSTRUCTIONS_PER_TICK / times)
}

/// Instructions from the first thread's call to the last one's return, of all threads together: the
/// median of the rounds.
fn interrupt(lines: &[&str]) -> Result<f64> {
    let mut spans = Vec::new();
    for line in lines.iter().filter_map(|line| line.strip_prefix("hmi ")) {
        spans.push(span(line).with_context(|| format!("the client says: {line}"))?);
    }
    ensure!(
        spans.len() == ROUNDS,
        "{} of {ROUNDS} rounds: {lines:?}",
        spans.len()
    );
    spans.sort_unstable();
    Ok(spans[ROUNDS / 2] as f64 * INSTRUCTIONS_PER_TICK)
}

/// Ticks of a round, in which every thread must have been told that all is well.
fn span(line: &str) -> Result<u64> {
    let (mut begin, mut end) = (u64::MAX, 0);
    let mut all_flags = 0;
    for thread in line.split(' ') {
        let parts: Vec<&str> = thread.split(':').collect();
        let [called, back, code, flags] = parts[..] else {
            bail!("four parts are missing");
        };
        ensure!(code == "0", "a call returned {code}");
        all_flags |= u64::from_str_radix(flags, 16)?;
        begin = begin.min(called.parse()?);
        end = end.max(back.parse()?);
    }
    ensure!(
        all_flags & hmi_flags::TOD_TB_FAIL == 0,
        "the timebase is dead"
    );
    ensure!(
        all_flags & hmi_flags::TB_RESYNC != 0,
        "nobody loaded the timebase"
    );
    Ok(end - begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_lasts_from_the_first_call_to_the_last_return() {
        let good = format!("10:50:0:{:x} 12:90:0:0", hmi_flags::TB_RESYNC);
        assert_eq!(span(&good).unwrap(), 80);
        for bad in [
            "10:50:0:0".to_owned(),
            format!(
                "10:50:0:{:x}",
                hmi_flags::TB_RESYNC | hmi_flags::TOD_TB_FAIL
            ),
            format!("10:50:-2:{:x}", hmi_flags::TB_RESYNC),
            "10:50:0".to_owned(),
            String::new(),
        ] {
            assert!(span(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_client_needs_is_taken_off() {
        let lines = ["nothing 1000 512", "test 1000 1024", "poll failed"];
        assert_eq!(each(&lines, "test").unwrap(), 2.0);
        assert_eq!(each(&lines, "nothing").unwrap(), 1.0);
        assert!(each(&lines, "poll").is_err());
        assert!(each(&lines, "tes").is_err());
    }
}
