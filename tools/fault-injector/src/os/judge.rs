//! What a repair must look like, by what the firmware recorded of it.

use std::ops::RangeInclusive;

use super::Outcome;
use super::records::Records;

/// A second error that struck.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SecondStrike {
    /// The step of the repair behind which it struck; `None` is before the first.
    pub behind: Option<String>,
    /// Events that both errors together may make. Until the last thread of the core has looked at
    /// what the repair came to, the same repair goes round once more: one event. Afterwards it is the
    /// affair of the next HMI, and that is another event.
    pub events: RangeInclusive<usize>,
    /// HMER and TFMR as they were set.
    pub set: (u64, u64),
}

impl Outcome {
    /// Takes over what the firmware recorded. A thread that waits in the firmware may look at a dead TB
    /// and leave it to those of the OS: no OS hears of that.
    pub(super) fn note(&mut self, records: &Records, waiting: &[u32]) {
        self.events = records.events();
        self.absent = records.absent();
        self.spins = records.spins();
        self.dead = records.dead();
        self.dead.retain(|pir| !waiting.contains(pir));
        if records.aborts() > 0 {
            let why = format!("{} meetings were given up", records.aborts());
            self.failures.push(why);
        }
    }

    /// Exactly one event for an error, all recovered; and who did not come is named. Others may be, too:
    /// a thread that waits for a lock of the kernel with interrupts closed, whose owner waits for it in
    /// the firmware.
    pub(super) fn judge(&mut self) {
        let wanted = self
            .second
            .as_ref()
            .map_or(1..=1, |second| second.events.clone());
        if !wanted.contains(&self.events.len()) || self.events.contains(&false) {
            self.failures.push(format!(
                "events {:?}, but {wanted:?} that are recovered were wanted",
                self.events
            ));
        }
        if let Some(thread) = self.held
            && self.doing.len() > 1
            && self.absent >> thread & 1 == 0
        {
            self.failures.push(format!(
                "thread {thread} did not come, and {:#b} were found absent",
                self.absent
            ));
        }
        if !self.dead.is_empty() {
            let why = format!("{:x?} returned with a dead TB", self.dead);
            self.failures.push(why);
        }
    }
}
