//! What a campaign found.

use std::collections::BTreeMap;

use flight_recorder::Record;
use serde::{Serialize, Serializer};

use super::SkewReport;
use crate::chip_tod::Move;
use crate::forge::Delivery;

/// The whole campaign.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Name of the machine.
    pub machine: String,
    /// The seed that replays it.
    pub seed: u64,
    /// Guests were entered and left as fast as could be.
    pub hasty: bool,
    /// Faults, in order.
    pub faults: Vec<FaultReport>,
    /// What each thread said in the end, by PIR.
    pub threads: Vec<ThreadVerdict>,
    /// Common words of the control block in the end.
    pub header: BTreeMap<String, u64>,
    /// What the flight recorder held, by sequence number.
    #[serde(serialize_with = "serialize_records")]
    pub records: Vec<Record>,
    /// Everything that is not as it must be; empty is success.
    pub failures: Vec<String>,
    /// Largest error of TB behind a repair, in ticks.
    pub largest_error_ticks: u64,
    /// Spread of TB over all threads before the first fault, in ticks.
    pub boot_spread_ticks: u64,
    /// Skew of all threads, before the first fault and after some.
    pub skews: Vec<SkewReport>,
    /// Exit code that the stub told, if the machine ended before it closed the line.
    pub exit_code: Option<u8>,
}

/// One fault.
#[derive(Clone, Debug, Serialize)]
pub struct FaultReport {
    /// Number, from 1.
    pub number: u32,
    /// What was meant, in words.
    pub plan: String,
    /// The core that was struck.
    pub core: u32,
    /// TFMR as set on all of its threads.
    pub tfmr: u64,
    /// HMER bits as set.
    pub hmer: u64,
    /// Its threads.
    pub threads: Vec<ThreadReport>,
    /// The event that was fetched last.
    pub event: EventReport,
    /// Events that it made.
    pub events: u64,
    /// Of these, not recovered.
    pub events_unrecovered: u64,
    /// Epochs that it took.
    pub epochs: u64,
    /// Resyncs that a claimant asked for.
    pub resyncs: u64,
    /// Moves of the TOD that the firmware asked for.
    pub tod_moves: Vec<Move>,
    /// Time until all threads of the core were back from the repair, as the wall clock has it,
    /// with the time that the machine stood for the tool.
    pub wall_milliseconds: f64,
    /// Time of the machine from the strike until its result was judged.
    pub machine_microseconds: f64,
    /// It never ended.
    pub hang: bool,
    /// What is not as it must be.
    pub failures: Vec<String>,
}

/// One thread of a core that was struck.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadReport {
    /// PIR.
    pub pir: u32,
    /// How the HMI came.
    pub delivery: Delivery,
    /// Whether it was in its guest.
    pub in_guest: bool,
    /// What it was doing by its own account.
    pub activity: String,
    /// Where it was.
    pub pc: u64,
    /// The same as a symbol (a guest's address is a guest's).
    pub place: String,
    /// MSR there.
    pub msr: u64,
    /// TFMR before the fault.
    pub tfmr_before: u64,
    /// TB before the fault.
    pub timebase_before: u64,
    /// TB behind the damage.
    pub timebase_damaged: u64,
    /// TB in the end; `None` if that was not reached.
    pub timebase_after: Option<u64>,
    /// TB as it had to be then.
    pub timebase_expected: Option<u64>,
    /// The difference.
    pub error_ticks: Option<i64>,
    /// The guest's offset that was in TB then.
    pub applied: i64,
    /// TFMR in the end.
    pub tfmr_after: u64,
    /// HMER in the end.
    pub hmer_after: u64,
    /// Flags of the last `OPAL_HANDLE_HMI2`.
    pub flags: u64,
    /// Its return code.
    pub return_code: i64,
}

/// An event as the shim fetched it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventReport {
    /// First doubleword: version, severity, type, disposition.
    pub head: u64,
    /// HMER in it.
    pub hmer: u64,
    /// TFMR in it.
    pub tfmr: u64,
}

/// What one thread said in the end.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadVerdict {
    /// PIR.
    pub pir: u32,
    /// Its core.
    pub core: u32,
    /// What it was doing.
    pub activity: String,
    /// All words of its status by name.
    pub words: BTreeMap<String, u64>,
}

impl FaultReport {
    /// One line about it.
    #[must_use]
    pub fn summary(&self, of: u32) -> String {
        let count = |delivery| {
            self.threads
                .iter()
                .filter(|t| t.delivery == delivery)
                .count()
        };
        let worst = self
            .threads
            .iter()
            .filter_map(|t| t.error_ticks)
            .map(i64::unsigned_abs)
            .max();
        let mut ways = Vec::new();
        for (delivery, name) in [
            (Delivery::FromGuest, "in guest"),
            (Delivery::FromHost, "in host"),
            (Delivery::Late, "late"),
            (Delivery::Absorbed, "absorbed"),
            (Delivery::Pending, "pending"),
            (Delivery::Spared, "spared"),
        ] {
            if count(delivery) != 0 {
                ways.push(format!("{} {name}", count(delivery)));
            }
        }
        format!(
            "fault {}/{of} on core {:#x}: {}; {}; {}, {} event(s), {:.0} ms",
            self.number,
            self.core,
            ways.join(", "),
            match worst {
                Some(ticks) => format!("TB off by {ticks} ticks"),
                None => "TB not judged".to_owned(),
            },
            if self.failures.is_empty() {
                "good"
            } else {
                "BAD"
            },
            self.events,
            self.wall_milliseconds,
        )
    }
}

fn serialize_records<S: Serializer>(records: &[Record], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct View {
        sequence: u64,
        pir: u32,
        step: String,
        timebase: u64,
        tfmr: u64,
        hmer: u64,
        arguments: [u64; 2],
    }
    serializer.collect_seq(records.iter().map(|record| View {
        sequence: record.sequence,
        pir: record.pir,
        step: format!("{:?}", record.step),
        timebase: record.timebase,
        tfmr: record.tfmr,
        hmer: record.hmer,
        arguments: record.arguments,
    }))
}
