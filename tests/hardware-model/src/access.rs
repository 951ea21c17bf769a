//! What a thread's instructions can do.

use crate::model::{Model, Trigger};
use power_registers::Spr;

impl Model {
    /// `mfspr`, and `mftb` for [`Spr::Tb`]. A register that the model does not have reads 0 and is
    /// a violation.
    #[must_use]
    pub fn read_spr(&mut self, thread: usize, spr: Spr) -> u64 {
        if !self.begin(thread, self.configuration.costs.spr) {
            return 0;
        }
        self.threads[thread].counters.spr_reads += 1;
        self.spr_read(thread, spr)
    }

    /// `mtspr`.
    pub fn write_spr(&mut self, thread: usize, spr: Spr, value: u64) {
        if !self.begin(thread, self.configuration.costs.spr) {
            return;
        }
        self.threads[thread].counters.spr_writes += 1;
        self.threads[thread].spins = 0;
        self.spr_written(thread, spr, value);
    }

    /// Cache-inhibited load of a doubleword; only XSCOM windows answer.
    #[must_use]
    pub fn load(&mut self, thread: usize, address: u64) -> u64 {
        if !self.begin(thread, self.configuration.costs.xscom) {
            return 0;
        }
        self.threads[thread].counters.scom_reads += 1;
        self.count_scom();
        self.xscom(thread, address, None)
    }

    /// Cache-inhibited store of a doubleword; only XSCOM windows take it.
    pub fn store(&mut self, thread: usize, address: u64, value: u64) {
        if !self.begin(thread, self.configuration.costs.xscom) {
            return;
        }
        self.threads[thread].counters.scom_writes += 1;
        self.threads[thread].spins = 0;
        self.count_scom();
        self.xscom(thread, address, Some(value));
    }

    /// One spin of a wait.
    pub fn relax(&mut self, thread: usize) {
        if !self.begin(thread, self.configuration.costs.relax) {
            return;
        }
        let own = &mut self.threads[thread];
        own.counters.relaxes += 1;
        own.spins += 1;
        own.counters.longest_wait = own.counters.longest_wait.max(own.spins);
    }

    /// One access begins: it counts, takes time, and may be the last. Gives whether it happens.
    fn begin(&mut self, thread: usize, ticks: u64) -> bool {
        self.accesses += 1;
        if self.tripped || self.accesses > self.configuration.watchdog {
            self.tripped = true;
            return false;
        }
        if thread >= self.threads.len() {
            self.violation(thread, "an access by a thread that does not exist", 0);
            return false;
        }
        self.pass(thread, ticks);
        if self.has_scheduled() {
            let accesses = self.accesses;
            self.pull(|trigger| matches!(trigger, Trigger::Access(at) if at <= accesses));
        }
        true
    }

    fn count_scom(&mut self) {
        self.scoms += 1;
        if self.has_scheduled() {
            let scoms = self.scoms;
            self.pull(|trigger| matches!(trigger, Trigger::Scom(at) if at <= scoms));
        }
    }
}
