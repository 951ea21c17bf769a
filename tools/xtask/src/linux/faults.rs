//! The timebase broken under a running kernel: what it logs, and whether its time stays right.

use super::{
    checks::Shape,
    kvm::{self, Guest},
    session::Session,
    suite::{Bench, power_off},
};
use crate::qemu::{ending::Ending, topology::Machine};
use anyhow::{Context as _, Result, ensure};
use fault_injector::{
    os::{Doing, Guests, Outcome, Struck, TOLERANCE_TICKS},
    plan::{Choices, Extra, draw, draw_extra, draw_held, draw_second},
    stuffing::Change,
};
use power_registers::{Hmer, Tfmr};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// For a command on a loaded machine.
const WORK: Duration = Duration::from_secs(240);
/// For all threads of a core to be well again, on a host with other things to do.
const PATIENCE: Duration = Duration::from_secs(120);

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

/// Words of a kernel whose time or threads went wrong.
const ALARMS: &str = "LOCKUP|lockup|rcu.*stall|clocksource.*unstable|Unrecoverable|Oops|Call Trace";

/// Room for the events of some hundred faults.
const LOG: &str = "log_buf_len=2M";

/// How many faults, drawn from which seed, and the guests that run meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Campaign<'a> {
    pub(crate) faults: u32,
    pub(crate) seed: u64,
    pub(crate) guests: &'a [Guest],
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    outcomes: Vec<Outcome>,
    /// What the monitors of the guests said in the end.
    verdicts: Vec<String>,
    pub(crate) failures: Vec<String>,
}

/// The verb: true when every fault did no harm.
pub(crate) fn verb(bench: &Bench<'_>, shape: &Shape, campaign: Campaign<'_>) -> Result<bool> {
    let report = strike(bench, shape, campaign, &mut |text| println!("> {text}"))?;
    if campaign.faults > 0 {
        print(&report, !campaign.guests.is_empty());
    }
    for verdict in &report.verdicts {
        println!("{verdict}");
    }
    for failure in &report.failures {
        println!("FAILED: {failure}");
    }
    Ok(report.failures.is_empty())
}

fn print(report: &Report, guests: bool) {
    let mut doing: BTreeMap<Doing, usize> = BTreeMap::new();
    for state in report.outcomes.iter().flat_map(|outcome| &outcome.doing) {
        *doing.entry(*state).or_default() += 1;
    }
    println!("Threads when they were struck: {doing:?}");
    if guests {
        let taken = report
            .outcomes
            .iter()
            .map(|outcome| outcome.taken_in_guests);
        let found = doing.get(&Doing::Guest).copied().unwrap_or(0);
        println!(
            "HMIs that were taken in a guest: {}; {found} of these threads stood there, the others \
             entered it with the HMI pending",
            taken.sum::<u32>()
        );
    }
    print_extras(&report.outcomes);
    let largest = report.outcomes.iter().flat_map(|outcome| &outcome.off);
    let largest = largest.map(|off| off.unsigned_abs()).max().unwrap_or(0);
    println!("TB after a repair: off by at most {largest} ticks");
    let slowest = report.outcomes.iter().map(|outcome| outcome.milliseconds);
    println!(
        "From the strike to the last thread well: at most {:.0} ms of the host",
        slowest.fold(0.0, f64::max)
    );
}

/// When second errors struck and how many events came of it, and who was not waited for.
fn print_extras(outcomes: &[Outcome]) {
    let mut behind: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for outcome in outcomes {
        if let Some(second) = &outcome.second {
            let step = second.behind.as_deref().unwrap_or("the strike");
            behind.entry(step).or_default().push(outcome.events.len());
        }
    }
    for (step, events) in behind {
        let count = |wanted| events.iter().filter(|found| **found == wanted).count();
        println!(
            "Second errors behind {step}: {}, of which {} made one event with the first and {} one of \
             their own",
            events.len(),
            count(1),
            count(2)
        );
    }
    let events = || outcomes.iter().flat_map(|outcome| &outcome.events);
    println!(
        "Events: {}, of which {} say that the error is gone",
        events().count(),
        events().filter(|recovered| **recovered).count()
    );
    let held = |outcome: &&Outcome| outcome.held.is_some();
    let others = outcomes.iter().filter(|outcome| {
        let held = outcome.held.map_or(0, |thread| 1 << thread);
        outcome.absent & !held != 0
    });
    println!(
        "Repairs without a thread that was kept from coming: {}; without another that did not come: {}",
        outcomes.iter().filter(held).count(),
        others.count()
    );
}

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

/// What nothing can repair here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hopeless {
    /// QEMU's POWER8 has no ChipTOD: TB is dead.
    NoTod,
    /// QEMU does not let software clear TFMR's mark of corruption: TB means nothing.
    Corrupt,
    /// Nor other errors of the core. TB runs again, and rightly, but is not called recovered.
    Sticky,
}

impl Hopeless {
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::NoTod => "no TOD",
            Self::Corrupt => "a TFMR that stays corrupt",
            Self::Sticky => "an error that stays",
        }
    }
}

/// A fault that nothing can repair: the kernel is told, gives up, and reboots. It must not hang,
/// though its timebase may be dead.
pub(crate) fn beyond_repair(
    bench: &Bench<'_>,
    shape: &Shape,
    seed: u64,
    hopeless: Hopeless,
) -> Result<()> {
    const SOON: Duration = Duration::from_secs(30);
    let mut session = bench.start_debugged(shape, "panic=1")?;
    session.run("while :; do :; done & sleep 0", WORK)?;
    let mut struck = connect(bench, &session, Guests::new())?;
    let choices = Choices {
        cores: struck.cores(),
        repairable: hopeless != Hopeless::Sticky,
        spare_hosts: false,
    };
    let mut plan = draw(seed, 1, &choices);
    if hopeless == Hopeless::Corrupt {
        plan.errors = Tfmr::TFMR_CORRUPT.bits();
    }
    if hopeless != Hopeless::Sticky {
        // A dead TB stands; this emulator's would go on from wherever it was put.
        plan.damage = vec![Change::Add(0)];
    }
    let outcome = struck.strike(&plan, &Extra::None, SOON)?;
    let told = !outcome.events.is_empty() && !outcome.events.contains(&true);
    ensure!(told, "events {:?}", outcome.events);
    let dead: BTreeSet<u32> = outcome.dead.iter().copied().collect();
    let wanted = match hopeless {
        Hopeless::Sticky => 0,
        _ => plan_threads(&choices, plan.core),
    };
    ensure!(
        dead.len() == wanted,
        "{dead:x?} returned with a dead TB, not {wanted} threads"
    );
    if hopeless == Hopeless::Sticky {
        let off = outcome.off.iter().map(|off| off.unsigned_abs());
        let right = off.max().is_some_and(|off| off <= TOLERANCE_TICKS);
        ensure!(right, "TB is off by {:?}", outcome.off);
    }
    struck.leave()?;
    let said = |what: &'static str| move |line: &str| line.contains(what);
    session.wait_for(
        said("Hypervisor Maintenance interrupt [Not recovered"),
        WORK,
    )?;
    session.wait_for(said("Kernel panic"), WORK)?;
    let remains = session.end(WORK)?;
    ensure!(remains.ending == Ending::Exit(0), "{:?}", remains.ending);
    Ok(())
}

/// Threads of a core.
fn plan_threads(choices: &Choices, core: usize) -> usize {
    choices.cores.get(core).copied().unwrap_or(0)
}

fn connect(bench: &Bench<'_>, session: &Session, guests: Guests) -> Result<Struck> {
    Struck::connect(&session.socket(), &bench.image.elf, guests, PATIENCE)
}

/// Each campaign has one of each early on, however short it is.
fn extra(seed: u64, number: u32, threads: usize) -> Extra {
    match number {
        2 => draw_second(seed, number, threads),
        4 if threads > 1 => draw_held(seed, number, threads),
        _ => draw_extra(seed, number, threads),
    }
}

/// What else befell the core, in words.
fn besides(outcome: &Outcome) -> String {
    match (outcome.held, &outcome.second) {
        (Some(thread), _) => format!(", thread {thread} held"),
        (_, Some(second)) => {
            let behind = second.behind.as_deref().unwrap_or("the strike");
            let events = outcome.events.len();
            format!(", a second error behind {behind}, {events} events")
        }
        _ => String::new(),
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
    let watchers = start_loads(&mut session, bench, shape, guests)?;
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
            extra(seed, number, plan.damage.len())
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
            besides(&outcome)
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
        for verdicts in [verdicts, end_clocks(&mut session, watchers)] {
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

/// Gives the threads without a guest something to do; gives how many watch the clocks.
fn start_loads(
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
fn end_clocks(session: &mut Session, watchers: usize) -> Result<Vec<String>> {
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

/// The kernel's own view: the events that the firmware queued and no others, all recovered, HMER and
/// TFMR as they were set; no alarm, time never back.
fn ask(session: &mut Session, shape: &Shape, outcomes: &[Outcome]) -> Result<()> {
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
    as_set(tfmr, outcomes)?;
    ensure!(alarms.is_empty(), "the kernel says {alarms:?}");
    ensure!(back.is_empty(), "time went {back:?}");
    Ok(())
}

/// Whether each fault has its events, with a TFMR that was set for it. Their order is not that of the
/// faults: one that a thread kept to itself while others had the queue comes later.
fn as_set(mut tfmr: Vec<u64>, outcomes: &[Outcome]) -> Result<()> {
    // Those with one possible TFMR take theirs first.
    let mut faults: Vec<_> = outcomes.iter().enumerate().collect();
    faults.sort_by_key(|(_, outcome)| outcome.set.len());
    for (index, outcome) in faults {
        for _ in &outcome.events {
            let is_set = |found: &u64| outcome.set.iter().any(|(_, set)| set == found);
            let place = tfmr.iter().position(is_set).with_context(|| {
                format!(
                    "fault {} has no event; set were {:x?}, left are {tfmr:x?}",
                    index + 1,
                    outcome.set
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
