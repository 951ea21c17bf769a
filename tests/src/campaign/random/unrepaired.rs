use crate::scenario::{Case, Doing, Kind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Numbers of cases that are kept for each reason.
const SAMPLES: usize = 5;

/// Why nobody could expect a repair: the cases that ended with an honest failure, by the first reason
/// that is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrepaired(BTreeMap<String, Few>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Few {
    count: u64,
    samples: Vec<u64>,
}

impl Unrepaired {
    pub(super) fn add(&mut self, number: u64, case: &Case) {
        let few = self.0.entry(reason(case).to_owned()).or_default();
        few.count += 1;
        few.keep([number]);
    }

    pub(super) fn join(&mut self, other: Self) {
        for (reason, few) in other.0 {
            let own = self.0.entry(reason).or_default();
            own.count += few.count;
            own.keep(few.samples);
        }
    }
}

impl Few {
    /// The lowest numbers stay, whatever the order in which workers come.
    fn keep(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.samples.extend(numbers);
        self.samples.sort_unstable();
        self.samples.truncate(SAMPLES);
    }
}

impl fmt::Display for Unrepaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (reason, few) in &self.0 {
            writeln!(f, "{:>9} {reason}, such as {:?}", few.count, few.samples)?;
        }
        Ok(())
    }
}

fn reason(case: &Case) -> &'static str {
    let any = |wanted: &[Kind]| case.faults.iter().any(|fault| wanted.contains(&fault.kind));
    let somebody = |wanted: &[Doing]| {
        let mut threads = case.threads.iter();
        threads.any(|entry| wanted.contains(&entry.doing))
    };
    if any(&[Kind::Xscom]) {
        "with SCOM accesses that fail"
    } else if any(&[
        Kind::CoreFir,
        Kind::Nx,
        Kind::Capp,
        Kind::Npu,
        Kind::Alert,
        Kind::ScomFir,
    ]) {
        "with an error of a unit, which is only reported"
    } else if any(&[
        Kind::Hmer,
        Kind::Recovered,
        Kind::RecoveredMasked,
        Kind::RecoveredAgain,
        Kind::DebugTrigger,
        Kind::HypervisorResource,
        Kind::SpurrScaleLimit,
    ]) {
        "with a cause in HMER that is only reported"
    } else if any(&[Kind::OscillatorDead, Kind::SlavePathDead]) {
        "with an oscillator or a path that is dead"
    } else if somebody(&[Doing::Lost, Doing::Dies]) {
        "with a thread that is lost or dies"
    } else if any(&[Kind::Tod]) {
        "with errors of a TOD"
    } else if any(&[Kind::CommandsFail, Kind::StepsLost]) {
        "with commands of TFMR that fail, or steps that stay away"
    } else if somebody(&[Doing::NeverStarted, Doing::Idle, Doing::Offline]) {
        "with errors of cores, and threads outside the OS"
    } else {
        "with errors of cores alone"
    }
}
