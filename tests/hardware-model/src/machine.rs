//! A machine that its threads share: the model behind a lock.

use crate::configuration::Configuration;
use crate::fault::{Fault, Moment};
use crate::model::Model;
use crate::thread::Thread;
use crate::trace::{Access, Counters, Violation};
use crate::xscom_fault::XscomFault;
use alloc::vec::Vec;
use power_registers::{Hmer, Tfmr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A modelled machine, shared by its threads.
#[derive(Debug)]
pub struct Machine {
    configuration: Configuration,
    model: Mutex<Model>,
    /// Whether a core may have checkstopped: asked at each access, and rarely so.
    may_be_stopped: AtomicBool,
}

impl Machine {
    /// A machine of this configuration.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        Self {
            configuration: configuration.clone(),
            model: Mutex::new(Model::new(configuration)),
            may_be_stopped: AtomicBool::new(false),
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The thread with this index, to drive its registers.
    ///
    /// # Panics
    /// If there is no such thread.
    #[must_use]
    pub fn thread(&self, index: usize) -> Thread<'_> {
        assert!(
            index < self.configuration.threads(),
            "thread {index} does not exist"
        );
        Thread::new(self, index)
    }

    /// The model itself, for as long as the guard lives; no thread makes an access meanwhile.
    pub fn lock(&self) -> MutexGuard<'_, Model> {
        // Anything may be done with it.
        self.may_be_stopped.store(true, Ordering::Relaxed);
        self.model()
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        // A thread that panics in here has found an error; the others still may look.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the model that may stop a core.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut Model) -> T) -> T {
        let mut model = self.model();
        let result = act(&mut model);
        if model.stopped {
            self.may_be_stopped.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Inflicts a fault now.
    ///
    /// # Panics
    /// If this machine cannot have it.
    #[track_caller]
    pub fn inject(&self, fault: &Fault) {
        let injected = self.act(|model| model.inject(fault));
        injected.unwrap_or_else(|why| panic!("{fault:?}: {why:?}"));
    }

    /// Inflicts a fault at the `number`-th access from now on.
    ///
    /// # Panics
    /// If this machine cannot have it.
    #[track_caller]
    pub fn inject_after(&self, number: u64, fault: Fault) {
        self.inject_at(Moment::Access(number), fault);
    }

    /// Inflicts a fault when its moment comes.
    ///
    /// # Panics
    /// If this machine cannot have it.
    #[track_caller]
    pub fn inject_at(&self, moment: Moment, fault: Fault) {
        let scheduled = self.act(|model| model.inject_at(moment, fault));
        scheduled.unwrap_or_else(|why| panic!("a fault that cannot be: {why:?}"));
    }

    /// Makes XSCOM accesses fail, from now on.
    pub fn inject_xscom(&self, fault: XscomFault) {
        self.model().xscom_faults.push(fault);
    }

    /// Takes all XSCOM failures back.
    pub fn heal_xscom(&self) {
        self.model().xscom_faults.clear();
    }

    /// As [`Model::provide_scom`].
    pub fn provide_scom(&self, chip: usize, address: u32, value: u64) {
        self.model().provide_scom(chip, address, value);
    }

    /// As [`Model::peek_scom`].
    #[must_use]
    pub fn peek_scom(&self, chip: usize, address: u32) -> Option<u64> {
        self.model().peek_scom(chip, address)
    }

    /// Lets time pass.
    pub fn tick(&self, ticks: u64) {
        self.act(|model| model.tick(ticks));
    }

    /// As [`Model::true_time`].
    #[must_use]
    pub fn true_time(&self) -> u64 {
        self.model().true_time()
    }

    /// As [`Model::tod_time`].
    #[must_use]
    pub fn tod_time(&self, chip: usize) -> u64 {
        self.model().tod_time(chip)
    }

    /// TFMR and TB of a thread and the machine's time, all of one moment, without an access.
    #[must_use]
    pub fn look(&self, thread: usize) -> (Tfmr, u64, u64) {
        let model = self.model();
        let (tfmr, timebase) = (model.tfmr(thread), model.timebase(thread));
        (tfmr, timebase, model.true_time())
    }

    /// TB of a thread, without an access.
    #[must_use]
    pub fn timebase(&self, thread: usize) -> u64 {
        self.model().timebase(thread)
    }

    /// As [`Model::tfmr`].
    #[must_use]
    pub fn tfmr(&self, thread: usize) -> Tfmr {
        self.model().tfmr(thread)
    }

    /// HMER of a thread, without an access.
    #[must_use]
    pub fn hmer(&self, thread: usize) -> Hmer {
        self.model().hmer(thread)
    }

    /// As [`Model::hmi_pending`].
    #[must_use]
    pub fn hmi_pending(&self, thread: usize) -> bool {
        self.model().hmi_pending(thread)
    }

    /// As [`Model::checkstopped`].
    #[must_use]
    pub fn checkstopped(&self, core: usize) -> bool {
        self.may_be_stopped.load(Ordering::Relaxed) && self.model().checkstopped(core)
    }

    /// As [`Model::trace`].
    #[must_use]
    pub fn trace(&self) -> Vec<Access> {
        self.model().trace().to_vec()
    }

    /// Forgets the trace.
    pub fn clear_trace(&self) {
        self.model().clear_trace();
    }

    /// Switches the trace on or off.
    pub fn set_tracing(&self, on: bool) {
        self.model().set_tracing(on);
    }

    /// What software did wrong so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.model().violations().clone()
    }

    /// What the accesses of a thread came to so far.
    #[must_use]
    pub fn counters(&self, thread: usize) -> Counters {
        self.model().counters(thread)
    }

    /// Accesses so far.
    #[must_use]
    pub fn accesses(&self) -> u64 {
        self.model().accesses()
    }

    /// Model time in ticks: it runs while TB stands.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.model().now()
    }
}
