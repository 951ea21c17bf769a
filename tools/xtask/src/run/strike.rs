//! The fault injector, as this front door uses it, and what it found as tables.

use super::scenario::Scenario;
use crate::report::{Table, narrative};
use anyhow::Result;
use fault_injector::campaign::{
    self, EventReport, FaultReport, Options, Report, SKEW_TICKS, SkewReport, ThreadReport,
};
use opal_abi::hmi_event::{Disposition, EventType, Severity};
use std::{collections::BTreeMap, path::Path};

/// Lets the injector strike; it connects to the debugger's socket and takes the run to its end.
pub(super) fn strike(
    scenario: &Scenario<'_>,
    socket: &Path,
    faults: u32,
    on_text: &mut dyn FnMut(&str),
) -> Result<Report> {
    let mut options = Options::new(
        scenario.machine.name(),
        socket.to_owned(),
        scenario.image.elf.clone(),
    );
    options.faults = faults;
    options.seed = scenario.seed;
    options.expect_repair = scenario.machine.has_chip_tod();
    options.hasty = scenario.hasty;
    if scenario.hasty {
        options.faults_per_skew = (faults / SKEWS).max(FAULTS_PER_SKEW);
    }
    campaign::run(options, on_text)
}

/// In haste skew is measured so often in all, and before the first fault.
const SKEWS: u32 = 10;
/// It is not measured more often than after so many.
const FAULTS_PER_SKEW: u32 = 25;
/// Ticks of TB in a microsecond.
const TICKS_PER_MICROSECOND: u64 = 512;
/// TB behind a repair that is further off counts as wrong; the injector's usual tolerance.
const TOLERANCE_TICKS: u64 = 2_000 * TICKS_PER_MICROSECOND;

/// Figures of the whole run.
pub(super) fn facts(report: &Report) -> Vec<(String, String)> {
    let hangs = report.faults.iter().filter(|fault| fault.hang).count();
    let wrong = report
        .faults
        .iter()
        .flat_map(|fault| &fault.threads)
        .filter(|thread| {
            thread
                .error_ticks
                .is_none_or(|ticks| ticks.unsigned_abs() > TOLERANCE_TICKS)
        });
    let mut facts = vec![
        (
            "Faults struck".to_owned(),
            format!("{}, of which hung {hangs}", report.faults.len()),
        ),
        (
            "TB after a repair".to_owned(),
            format!(
                "off by at most {} ticks; {} of {} readings wrong or not made",
                report.largest_error_ticks,
                wrong.count(),
                report
                    .faults
                    .iter()
                    .map(|fault| fault.threads.len())
                    .sum::<usize>()
            ),
        ),
        (
            "TB before the first fault".to_owned(),
            format!("all threads within {} ticks", report.boot_spread_ticks),
        ),
    ];
    facts.extend(skews(report));
    facts.push(("Threads met".to_owned(), met(report)));
    for name in ["epochs", "resyncs", "events", "events_unrecovered"] {
        if let Some(value) = report.header.get(name) {
            facts.push((
                format!("Shim: {}", name.replace('_', " ")),
                value.to_string(),
            ));
        }
    }
    facts
}

/// Skew before the first fault, and the worst after one.
fn skews(report: &Report) -> Option<(String, String)> {
    let (first, rest) = report.skews.split_first()?;
    let worst = |value: fn(&SkewReport) -> u64| rest.iter().map(value).max().unwrap_or(0);
    Some((
        "Skew of all threads".to_owned(),
        format!(
            "before: step back {}, disagreement {} ticks to within {}; after, {} times: step back \
             at most {}, disagreement at most {} for sure (to within {} at best); limit \
             {SKEW_TICKS} ticks",
            first.step_back_ticks,
            first.disagreement_ticks,
            first.doubt_ticks,
            rest.len(),
            worst(|skew| skew.step_back_ticks),
            worst(SkewReport::certain_ticks),
            rest.iter().map(|skew| skew.doubt_ticks).min().unwrap_or(0),
        ),
    ))
}

/// What the threads were doing when a fault met them.
fn met(report: &Report) -> String {
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for thread in report.faults.iter().flat_map(|fault| &fault.threads) {
        *met.entry(&thread.activity).or_default() += 1;
    }
    let words = met.iter().map(|(what, count)| format!("{count} {what}"));
    words.collect::<Vec<_>>().join(", ")
}

/// What was struck, what it did to each thread, and what each guest says.
pub(super) fn tables(report: &Report) -> Vec<Table> {
    vec![faults(report), timebases(report), guests(report)]
}

fn faults(report: &Report) -> Table {
    Table {
        title: "Faults".to_owned(),
        head: vec![
            "#",
            "what was struck",
            "events",
            "the last event",
            "TOD moves",
            "ms",
            "verdict",
        ],
        rows: report.faults.iter().map(fault_row).collect(),
    }
}

fn fault_row(fault: &FaultReport) -> Vec<String> {
    vec![
        fault.number.to_string(),
        fault.plan.clone(),
        fault.events.to_string(),
        event(&fault.event),
        fault.tod_moves.len().to_string(),
        format!("{:.0}", fault.wall_milliseconds),
        if fault.failures.is_empty() {
            "good".to_owned()
        } else {
            fault.failures.join("; ")
        },
    ]
}

/// An event in words.
fn event(event: &EventReport) -> String {
    let [version, severity, kind, disposition, ..] = event.head.to_be_bytes();
    if version == 0 {
        return "none".to_owned();
    }
    let severity = [
        Severity::NoError,
        Severity::Warning,
        Severity::ErrorSync,
        Severity::Fatal,
    ]
    .into_iter()
    .find(|known| *known as u8 == severity)
    .map_or_else(
        || format!("severity {severity}"),
        |known| format!("{known:?}"),
    );
    let kind = [
        EventType::TimerFacility,
        EventType::TfmrParity,
        EventType::MalfunctionAlert,
    ]
    .into_iter()
    .find(|known| *known as u8 == kind)
    .map_or_else(|| format!("type {kind}"), |known| format!("{known:?}"));
    let disposition = [Disposition::Recovered, Disposition::NotRecovered]
        .into_iter()
        .find(|known| *known as u8 == disposition)
        .map_or_else(
            || format!("disposition {disposition}"),
            |known| format!("{known:?}"),
        );
    format!(
        "{severity} {kind} {disposition}, {}, {}",
        narrative::hmer(event.hmer),
        narrative::tfmr(event.tfmr)
    )
}

fn timebases(report: &Report) -> Table {
    Table {
        title: "TB of each thread".to_owned(),
        head: vec![
            "fault",
            "thread",
            "HMI",
            "was at",
            "TB before",
            "damaged",
            "after",
            "expected",
            "off",
            "TB state",
        ],
        rows: report
            .faults
            .iter()
            .flat_map(|fault| {
                fault
                    .threads
                    .iter()
                    .map(|thread| timebase_row(fault, thread))
            })
            .collect(),
    }
}

fn timebase_row(fault: &FaultReport, thread: &ThreadReport) -> Vec<String> {
    let optional = |value: Option<u64>| {
        value.map_or_else(|| "not reached".to_owned(), |value| format!("{value:#x}"))
    };
    vec![
        fault.number.to_string(),
        format!("{:#x}", thread.pir),
        format!("{:?}", thread.delivery),
        place(&thread.place),
        format!("{:#x}", thread.timebase_before),
        format!("{:#x}", thread.timebase_damaged),
        optional(thread.timebase_after),
        optional(thread.timebase_expected),
        thread
            .error_ticks
            .map_or_else(|| "?".to_owned(), |ticks| format!("{ticks:+}")),
        narrative::timebase_state(thread.tfmr_after),
    ]
}

/// `symbol+offset` with the symbol's last part, as a reader knows it.
fn place(place: &str) -> String {
    let (symbol, offset) = place.split_once('+').unwrap_or((place, ""));
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    // Of a path, the last part; generic arguments hold paths of their own.
    let short = match name.rsplit_once("::") {
        Some((_, last)) if !name.contains(['<', '>']) => last,
        _ => &name,
    };
    if offset.is_empty() {
        short.to_owned()
    } else {
        format!("{short}+{offset}")
    }
}

fn guests(report: &Report) -> Table {
    let rows = report.threads.iter().map(|thread| {
        let word = |name: &str| thread.words.get(name).copied().unwrap_or(0);
        let failures = word("guest_failures") + word("host_failures");
        let checked = word("guest_checks") > 0 && word("host_checks") > 0;
        vec![
            format!("{:#x}", thread.pir),
            format!("{:+}", word("offset") as i64),
            word("entries").to_string(),
            word("guest_checks").to_string(),
            word("guest_failures").to_string(),
            word("host_checks").to_string(),
            word("host_failures").to_string(),
            (word("guest_largest_step") / TICKS_PER_MICROSECOND).to_string(),
            format!(
                "{} hcall, {} HDEC, {} doorbell, {} HMI",
                word("hcall_exits"),
                word("hdec_exits"),
                word("doorbell_exits"),
                word("hmi_exits")
            ),
            match (failures, checked) {
                (0, true) => "time never wrong",
                (0, false) => "NOTHING CHECKED",
                _ => "TIME WAS WRONG",
            }
            .to_owned(),
        ]
    });
    Table {
        title: "Guests".to_owned(),
        head: vec![
            "thread",
            "offset in ticks",
            "entries",
            "guest checks",
            "failed",
            "host checks",
            "failed",
            "largest step in us",
            "exits",
            "verdict",
        ],
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_decoded() {
        let good = EventReport {
            head: 0x0202_0400_0000_0000,
            hmer: 0x0840_0000_0000_0000,
            tfmr: 0x2a12_0009_80a4_4000,
        };
        let text = event(&good);
        assert!(
            text.starts_with("ErrorSync TimerFacility Recovered"),
            "{text}"
        );
        assert!(
            text.contains("TFAC_ERROR") && text.contains("Error from Running"),
            "{text}"
        );
        let bad = event(&EventReport {
            head: 0x0203_0401_0000_0000,
            ..good
        });
        assert!(bad.starts_with("Fatal TimerFacility NotRecovered"), "{bad}");
        assert_eq!(event(&EventReport::default()), "none");
    }

    #[test]
    fn places_are_short() {
        assert_eq!(place("guest 0x1040"), "guest 0x1040");
        assert_eq!(
            place("_RNvNtCs1w1Asic8thY_7opaline5start9shim_main+0x11ec"),
            "shim_main+0x11ec"
        );
        assert_eq!(place("opaline_head+0x980"), "opaline_head+0x980");
    }

    #[test]
    fn a_hang_counts_as_wrong() {
        let thread = |error_ticks| ThreadReport {
            pir: 0,
            delivery: fault_injector::forge::Delivery::FromGuest,
            in_guest: true,
            activity: "guest".into(),
            pc: 0,
            place: "guest 0x0".into(),
            msr: 0,
            tfmr_before: 0,
            timebase_before: 1,
            timebase_damaged: 2,
            timebase_after: None,
            timebase_expected: None,
            error_ticks,
            applied: 0,
            tfmr_after: 0,
            hmer_after: 0,
            flags: 0,
            return_code: 0,
        };
        let fault = FaultReport {
            number: 1,
            plan: "plan".into(),
            core: 0,
            tfmr: 0,
            hmer: 0,
            threads: vec![thread(Some(3)), thread(None), thread(Some(-2_000_000))],
            event: EventReport::default(),
            events: 0,
            events_unrecovered: 0,
            epochs: 0,
            resyncs: 0,
            tod_moves: vec![],
            wall_milliseconds: 1.0,
            machine_microseconds: 1.0,
            hang: true,
            failures: vec!["not repaired".into()],
        };
        let report = Report {
            faults: vec![fault],
            ..Report::default()
        };
        let facts = facts(&report);
        assert_eq!(facts[0].1, "1, of which hung 1");
        assert!(
            facts[1].1.ends_with("2 of 3 readings wrong or not made"),
            "{}",
            facts[1].1
        );
        assert!(tables(&report)[0].rows[0].contains(&"not repaired".to_owned()));
        assert!(tables(&report)[1].rows[1].contains(&"not reached".to_owned()));
    }
}
