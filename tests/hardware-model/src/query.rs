//! What a test may know about the machine without an access.

use crate::configuration::Configuration;
use crate::model::Model;
use crate::trace::{Access, Counters, Violation};
use alloc::vec::Vec;
use power_registers::{Hmer, Tfmr, ibm};

impl Model {
    /// What was asked for.
    #[must_use]
    pub const fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The time that every TB should show now: that of the TODs when the model started.
    #[must_use]
    pub const fn true_time(&self) -> u64 {
        self.now.wrapping_add(self.configuration.epoch)
    }

    /// The time of a chip's TOD; it stands while the TOD does not run.
    #[must_use]
    pub fn tod_time(&self, chip: usize) -> u64 {
        self.tods[chip].value(self.now)
    }

    /// TB of a thread.
    #[must_use]
    pub fn timebase(&self, thread: usize) -> u64 {
        let (core, number) = self.place(thread);
        self.cores[core].timebase(number, self.now)
    }

    /// TFMR of a thread without erratum and garbage; bit 60 tells whether it is corrupt.
    #[must_use]
    pub fn tfmr(&self, thread: usize) -> Tfmr {
        let (core, number) = self.place(thread);
        let view = self.tod_view(self.configuration.chip_of(core));
        let value = self.cores[core].true_tfmr(number, self.now, view);
        let corrupt = if self.cores[core].corrupt { ibm(60) } else { 0 };
        Tfmr::from_bits_retain(value | corrupt)
    }

    /// HMER of a thread.
    #[must_use]
    pub fn hmer(&self, thread: usize) -> Hmer {
        Hmer::from_bits_retain(self.threads[thread].hmer)
    }

    /// HMEER of a core.
    #[must_use]
    pub fn hmeer(&self, core: usize) -> Hmer {
        Hmer::from_bits_retain(self.cores[core].hmeer)
    }

    /// Whether an HMI is pending for a thread: a cause that the HMEER of its core enables.
    #[must_use]
    pub fn hmi_pending(&self, thread: usize) -> bool {
        let (core, _) = self.place(thread);
        self.threads[thread].hmer & self.cores[core].hmeer != 0
    }

    /// Whether a core has checkstopped: its threads execute nothing any more.
    #[must_use]
    pub fn checkstopped(&self, core: usize) -> bool {
        self.core_scoms[core].checkstopped
    }

    /// All writes and SCOM reads so far, unless the trace is off.
    #[must_use]
    pub fn trace(&self) -> &[Access] {
        &self.trace
    }

    /// Forgets the trace.
    pub fn clear_trace(&mut self) {
        self.trace.clear();
    }

    /// Switches the trace on or off.
    pub const fn set_tracing(&mut self, on: bool) {
        self.configuration.trace = on;
    }

    /// What software did wrong so far.
    #[must_use]
    pub const fn violations(&self) -> &Vec<Violation> {
        &self.violations
    }

    /// What the accesses of a thread came to so far.
    #[must_use]
    pub fn counters(&self, thread: usize) -> Counters {
        self.threads[thread].counters
    }

    /// Accesses so far.
    #[must_use]
    pub const fn accesses(&self) -> u64 {
        self.accesses
    }

    /// Model time in ticks: it runs while TB stands.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// Whether the watchdog tripped: some wait had no end.
    #[must_use]
    pub const fn watchdog_tripped(&self) -> bool {
        self.tripped
    }
}
