//! Every SCOM access of every recovery path fails: each step, each status, once and for ever.

mod paths;

use super::Rows;
use super::judge::{Record, Verdict, Witness};
use crate::quiet::caught;
use crate::{Bench, Schedule};
use hardware_model::{Configuration, Fault, Generation, Register, XscomAnswer, XscomFault};
use opaline_firmware::timebase::{self, boot};
pub use paths::{PATHS, Path, Trigger};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Every way in which an access fails: the seven status codes, and "done" that never comes.
pub const ANSWERS: [XscomAnswer; 8] = [
    XscomAnswer::Status(1),
    XscomAnswer::Status(2),
    XscomAnswer::Status(3),
    XscomAnswer::Status(4),
    XscomAnswer::Status(5),
    XscomAnswer::Status(6),
    XscomAnswer::Status(7),
    XscomAnswer::NeverDone,
];

/// One failure in one path.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The path.
    pub path: &'static Path,
    /// The processor.
    pub generation: Generation,
    /// Accesses that still succeed.
    pub after: u64,
    /// Accesses that fail.
    pub count: u64,
    /// How they fail; index in [`ANSWERS`].
    pub answer: usize,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            generation,
            after,
            count,
            answer,
        } = self;
        let times = if *count == 1 { "once" } else { "for ever" };
        write!(
            f,
            "{} on {generation:?}: SCOM access {after} fails {times} with {:?}",
            path.name, ANSWERS[*answer]
        )
    }
}

/// How often a path ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// All was repaired.
    pub recovered: u64,
    /// It was not, and that was said.
    pub failed: u64,
    /// What was said is not true, or it hung.
    pub lies: u64,
}

/// What came of a campaign.
#[derive(Debug, Default)]
pub struct Table {
    /// By path and answer.
    pub cells: BTreeMap<(usize, usize), Cell>,
    /// SCOM accesses of the good run of each path, by path and generation.
    pub accesses: BTreeMap<(usize, usize), u64>,
    /// Each lie: where, and what was wrong.
    pub lies: Vec<(Step, String)>,
    /// Paths that do not even work when nothing fails, with the reason.
    pub broken: Vec<String>,
    /// Rows of the decision tables that were acted upon.
    pub rows: Rows,
}

impl Table {
    /// Recoveries that were tried.
    #[must_use]
    pub fn tried(&self) -> u64 {
        let cells = self.cells.values();
        cells
            .map(|cell| cell.recovered + cell.failed + cell.lies)
            .sum()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<28}{:>14}", "recovered/failed", "accesses")?;
        for answer in ANSWERS {
            let name = match answer {
                XscomAnswer::Status(status) => format!("status {status}"),
                _ => "never".to_owned(),
            };
            write!(f, "{name:>11}")?;
        }
        for (index, path) in PATHS.iter().enumerate() {
            let accesses: Vec<_> = (0..3)
                .map(|generation| match self.accesses.get(&(index, generation)) {
                    Some(accesses) => accesses.to_string(),
                    None => "-".to_owned(),
                })
                .collect();
            write!(f, "\n{:<28}{:>14}", path.name, accesses.join(" "))?;
            for answer in 0..ANSWERS.len() {
                let cell = self
                    .cells
                    .get(&(index, answer))
                    .copied()
                    .unwrap_or_default();
                let lies = if cell.lies == 0 {
                    String::new()
                } else {
                    format!("!{}", cell.lies)
                };
                let text = format!("{}/{}{lies}", cell.recovered, cell.failed);
                write!(f, "{text:>11}")?;
            }
        }
        Ok(())
    }
}

/// What a run of a path gave.
struct End {
    verdict: Result<Verdict, String>,
    events: Vec<(u8, bool)>,
    accesses: u64,
    rows: Rows,
}

/// Most model time of a path: 4 s.
const MOST_TICKS: u64 = 2_048_000_000;

fn run(path: &Path, generation: Generation, failure: Option<XscomFault>) -> End {
    let (chips, cores, threads) = path.shape;
    let mut configuration = Configuration::new(generation, chips, cores, threads);
    if let Trigger::Boot(start, _) = path.trigger {
        configuration.start = start;
    }
    let bench = Bench::new(configuration);
    let booting = matches!(path.trigger, Trigger::Boot(..));
    let system = if booting {
        bench.system()
    } else {
        bench.booted_system()
    };
    if let Trigger::Boot(_, true) = path.trigger {
        boot::initialise_master(&mut bench.hardware(0), &system).expect("a good master");
    }
    let earlier = (path.earlier)(generation);
    for fault in &earlier {
        bench.machine.inject(fault);
    }
    if !earlier.is_empty() {
        let _ = bench.run(&system, Schedule::Seeded(1)).go();
    }
    let witness = Witness::new(&bench);
    for fault in (path.faults)(generation) {
        bench.machine.inject(&fault);
    }
    bench.machine.clear_trace();
    if let Some(failure) = failure {
        bench.machine.inject(&Fault::Xscom(failure));
    }
    let started = bench.machine.now();
    let mut record = Record::new(&bench);
    let said = match path.trigger {
        Trigger::Hmi => {
            record.add(&bench.run(&system, Schedule::Seeded(1)).go());
            None
        }
        Trigger::Resync => Some(timebase::resync(&mut bench.hardware(0), &system).is_ok()),
        Trigger::Boot(_, slave) => {
            let mut hardware = bench.hardware(if slave { threads } else { 0 });
            Some(if slave {
                boot::initialise_core(&mut hardware, &system).is_ok()
            } else {
                boot::initialise_master(&mut hardware, &system).is_ok()
            })
        }
    };
    record.ticks = bench.machine.now() - started;
    let scom = |register| {
        matches!(
            register,
            Register::ScomWrite { .. } | Register::ScomRead { .. }
        )
    };
    let trace = bench.machine.trace();
    let accesses = trace.iter().filter(|access| scom(access.register)).count() as u64;
    let verdict = if record.ticks > MOST_TICKS {
        Err(format!("it took {} ticks", record.ticks))
    } else if let Some(said) = said {
        judge_answer(&bench, said, if booting { threads } else { 0 }, path)
    } else {
        witness.judge(&bench, &record, |_| true)
    };
    let mut rows = Rows::default();
    rows.add(generation, &system.decisions);
    End {
        verdict,
        events: record
            .events
            .iter()
            .map(|event| (event.event_type, event.recovered))
            .collect(),
        accesses,
        rows,
    }
}

/// For what answers with an error instead of an event.
fn judge_answer(bench: &Bench, said: bool, threads: usize, path: &Path) -> Result<Verdict, String> {
    let violations = bench.machine.violations();
    if let Some(first) = violations.first() {
        return Err(format!(
            "{} rules broken, first {first:x?}",
            violations.len()
        ));
    }
    if !said {
        return Ok(Verdict::Failed);
    }
    let first = match path.trigger {
        Trigger::Boot(_, true) => threads,
        _ => 0,
    };
    let tfmr = bench.machine.tfmr(first);
    let (timebase, tod) = (bench.machine.timebase(first), bench.machine.tod_time(0));
    if tfmr.tb_usable() && timebase == tod {
        Ok(Verdict::Recovered)
    } else {
        Err(format!(
            "it said OK: {tfmr:?}, TB {timebase:#x}, TOD {tod:#x}"
        ))
    }
}

fn guarded(path: &Path, generation: Generation, failure: Option<XscomFault>) -> End {
    caught(|| run(path, generation, failure)).unwrap_or_else(|panic| End {
        verdict: Err(panic),
        events: Vec::new(),
        accesses: 0,
        rows: Rows::default(),
    })
}

/// Runs the paths that `wanted` names, on `jobs` threads, with those of [`ANSWERS`] that `answers`
/// chooses. `progress` is told of each step and says whether to go on.
///
/// # Panics
/// If a worker does.
pub fn campaign(
    jobs: usize,
    wanted: impl Fn(&Path) -> bool,
    answers: impl Fn(usize) -> bool,
    progress: impl Fn(usize, usize) -> bool + Sync,
) -> Table {
    let mut table = Table::default();
    let mut steps = Vec::new();
    for (index, path) in PATHS.iter().enumerate().filter(|(_, path)| wanted(path)) {
        for &generation in path.generations {
            let end = guarded(path, generation, None);
            table.rows.join(&end.rows);
            if let Err(why) = good(path, &end) {
                let text = format!("{} on {generation:?}: {why}", path.name);
                table.broken.push(text);
                continue;
            }
            table
                .accesses
                .insert((index, generation as usize), end.accesses);
            for after in 0..end.accesses {
                for answer in (0..ANSWERS.len()).filter(|answer| answers(*answer)) {
                    for count in [1, u64::MAX] {
                        let step = Step {
                            path,
                            generation,
                            after,
                            count,
                            answer,
                        };
                        steps.push((index, step, end.events.clone()));
                    }
                }
            }
        }
    }
    let next = AtomicUsize::new(0);
    let shared = Mutex::new(&mut table);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some((index, step, good)) = steps.get(number) else {
                        return;
                    };
                    if !progress(number, steps.len()) {
                        return;
                    }
                    let (verdict, rows) = one(step, good);
                    let mut table = shared.lock().expect("no worker panics");
                    table.rows.join(&rows);
                    let cell = table.cells.entry((*index, step.answer)).or_default();
                    match verdict {
                        Ok(Verdict::Recovered) => cell.recovered += 1,
                        Ok(Verdict::Failed) => cell.failed += 1,
                        Err(why) => {
                            cell.lies += 1;
                            table.lies.push((*step, why));
                        }
                    }
                }
            });
        }
    });
    table
}

/// Whether a run in which no SCOM access fails did what the path is for.
fn good(path: &Path, end: &End) -> Result<(), String> {
    let verdict = end.verdict.clone()?;
    if path.trigger == Trigger::Hmi && end.events.is_empty() {
        return Err("no event: nothing was found".to_owned());
    }
    if verdict == Verdict::Failed && !path.only_reports {
        return Err(format!("not recovered, events {:?}", end.events));
    }
    if end.accesses == 0 {
        return Err("no SCOM access".to_owned());
    }
    Ok(())
}

fn one(step: &Step, good: &[(u8, bool)]) -> (Result<Verdict, String>, Rows) {
    let failure = XscomFault {
        after: step.after,
        count: step.count,
        ..XscomFault::new(ANSWERS[step.answer])
    };
    let end = guarded(step.path, step.generation, Some(failure));
    let verdict = end.verdict.and_then(|verdict| {
        if step.path.trigger == Trigger::Hmi && end.events.is_empty() {
            return Err("no event: the error was lost".to_owned());
        }
        let (chips, cores, threads) = step.path.shape;
        if end.events.len() > good.len() + chips * cores * threads {
            return Err(format!(
                "{} events instead of {}",
                end.events.len(),
                good.len()
            ));
        }
        // What can only be reported is as good as its report.
        Ok(if step.path.only_reports {
            if end.events == good {
                Verdict::Recovered
            } else {
                Verdict::Failed
            }
        } else {
            verdict
        })
    });
    (verdict, end.rows)
}
