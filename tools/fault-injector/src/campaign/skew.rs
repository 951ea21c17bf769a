//! How far the timebases of all threads are apart, as the payload measures it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hypervisor_shim::control::HeaderWord;
use serde::Serialize;

use super::TICKS_PER_MICROSECOND;
use super::session::{Session, longer};
use crate::readout::{self, HeaderView};

/// Limit of a step back, and of a disagreement that is certain: 5 us. The ChipTODs of a machine
/// are closer, and an OS takes more for a fault.
pub const SKEW_TICKS: u64 = 5 * TICKS_PER_MICROSECOND;
/// All threads must come, and take the lock in turn; on a busy host few of them run at a time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Measurements that are begun for one result.
const ATTEMPTS: u32 = 3;
const SLICE: Duration = Duration::from_millis(20);

/// One measurement.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SkewReport {
    /// Faults that were struck before it.
    pub after_faults: u32,
    /// It came to its end.
    pub whole: bool,
    /// Threads of the machine that run their guests.
    pub threads_expected: u64,
    /// Threads that took part.
    pub threads: u64,
    /// Times that the lock went from one thread to another.
    pub handovers: u64,
    /// Largest step back, in ticks.
    pub step_back_ticks: u64,
    /// Largest disagreement of two threads, in ticks.
    pub disagreement_ticks: u64,
    /// How far that may be from the truth, in ticks.
    pub doubt_ticks: u64,
    /// Time that it took.
    pub wall_milliseconds: f64,
}

impl SkewReport {
    /// What is left of the disagreement for sure.
    #[must_use]
    pub const fn certain_ticks(&self) -> u64 {
        self.disagreement_ticks.saturating_sub(self.doubt_ticks)
    }

    /// What is not as it must be.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let when = match self.after_faults {
            0 => "before the first fault".to_owned(),
            faults => format!("after fault {faults}"),
        };
        let mut failures = Vec::new();
        if !self.whole {
            failures.push(format!("skew {when} could not be measured"));
        } else if self.threads != self.threads_expected && self.threads_expected > 1 {
            failures.push(format!(
                "skew {when}: {} of {} threads took part",
                self.threads, self.threads_expected
            ));
        }
        for (ticks, what) in [
            (self.step_back_ticks, "TB went back by"),
            (self.certain_ticks(), "two threads disagree by at least"),
        ] {
            if ticks > SKEW_TICKS {
                failures.push(format!("skew {when}: {what} {ticks} ticks"));
            }
        }
        failures
    }

    /// One line about it.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!(
            "skew after {} faults: step back {} ticks, disagreement {} to within {}; {} threads, \
             {} handovers, {:.0} ms{}",
            self.after_faults,
            self.step_back_ticks,
            self.disagreement_ticks,
            self.doubt_ticks,
            self.threads,
            self.handovers,
            self.wall_milliseconds,
            if self.whole { "" } else { ", NOT WHOLE" }
        )
    }
}

impl Session {
    /// Asks for one more measurement. Does not wait.
    pub(super) fn ask_for_skew(&mut self) -> Result<HeaderView> {
        let header = readout::header(&mut self.machine, &self.image)?;
        let next = header.get(HeaderWord::SkewDone) + 1;
        if header.get(HeaderWord::SkewWanted) < next {
            readout::set(&mut self.machine, &self.image, HeaderWord::SkewWanted, next)?;
        }
        Ok(header)
    }

    /// Has the threads measure their skew, and waits for the result.
    pub(super) fn measure_skew(&mut self, after_faults: u32) -> Result<SkewReport> {
        let start = Instant::now();
        let mut report = SkewReport {
            after_faults,
            ..SkewReport::default()
        };
        for _ in 0..ATTEMPTS {
            let before = self.ask_for_skew()?;
            let mut slice = SLICE;
            let after = loop {
                self.run(slice)?;
                slice = longer(slice);
                let header = readout::header(&mut self.machine, &self.image)?;
                if header.get(HeaderWord::SkewDone) != before.get(HeaderWord::SkewDone) {
                    break Some(header);
                }
                if start.elapsed() > PATIENCE {
                    break None;
                }
            };
            let Some(after) = after else { break };
            let given_up = HeaderWord::SkewGivenUp;
            if after.get(given_up) == before.get(given_up) {
                report.whole = true;
                report.threads_expected = after.get(HeaderWord::Threads);
                report.threads = after.get(HeaderWord::SkewThreads);
                report.handovers = after.get(HeaderWord::SkewHandovers);
                report.step_back_ticks = after.get(HeaderWord::SkewStepBack);
                report.disagreement_ticks = after.get(HeaderWord::SkewDisagreement);
                report.doubt_ticks = after.get(HeaderWord::SkewDoubt);
                break;
            }
        }
        report.wall_milliseconds = start.elapsed().as_secs_f64() * 1e3;
        Ok(report)
    }

    /// Has a measurement begun that a fault is to strike into.
    pub(super) fn begin_skew(&mut self) -> Result<()> {
        self.ask_for_skew()
            .map(drop)
            .context("asking for a measurement")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_judged() {
        let good = SkewReport {
            after_faults: 3,
            whole: true,
            threads_expected: 8,
            threads: 8,
            step_back_ticks: SKEW_TICKS,
            disagreement_ticks: SKEW_TICKS + 400,
            doubt_ticks: 400,
            ..SkewReport::default()
        };
        assert!(good.failures().is_empty());
        let wrong = |change: fn(&mut SkewReport)| {
            let mut report = good.clone();
            change(&mut report);
            report.failures()
        };
        assert!(wrong(|report| report.step_back_ticks += 1)[0].contains("went back by 2561"));
        assert!(wrong(|report| report.doubt_ticks -= 1)[0].contains("at least 2561"));
        assert!(wrong(|report| report.threads = 7)[0].contains("7 of 8"));
        assert!(wrong(|report| report.whole = false)[0].contains("after fault 3 could not"));
    }
}
