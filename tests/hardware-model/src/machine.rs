//! The whole machine behind its lock: time, faults, trace, watchdog.

use crate::chip_tod::ChipTod;
use crate::configuration::Configuration;
use crate::core_timer::CoreTimer;
use crate::fault::Fault;
use crate::fault::Moment;
use crate::random::Random;
use crate::scom::Mailbox;
use crate::tfmr_access::TodView;
use crate::thread::Thread;
use crate::trace::Counters;
use crate::trace::{Access, Register, Violation};
use crate::xscom_fault::XscomFault;
use crate::{SYNC_TICKS, Start};
use power_registers::{Hmer, TbState, Tfmr, ibm};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What one thread has for itself, TFMR aside.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThreadState {
    pub(crate) hmer: u64,
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) dec: u64,
    pub(crate) purr: u64,
    pub(crate) spurr: u64,
    /// Model time at which DEC, PURR and SPURR had these values.
    pub(crate) counted_from: [u64; 3],
    pub(crate) hid0: u64,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) configuration: Configuration,
    /// Model time in ticks; never stops.
    pub(crate) now: u64,
    pub(crate) accesses: u64,
    pub(crate) threads: Vec<ThreadState>,
    pub(crate) cores: Vec<CoreTimer>,
    pub(crate) tods: Vec<ChipTod>,
    pub(crate) secondary_active: bool,
    /// SCOM registers that a test provided.
    pub(crate) scoms: HashMap<(usize, u32), u64>,
    pub(crate) xscom_faults: Vec<XscomFault>,
    scheduled: Vec<(u64, Fault)>,
    pub(crate) random: Random,
    trace: Vec<Access>,
    violations: Vec<Violation>,
    tripped: bool,
}

/// A modelled machine, shared by its threads.
#[derive(Debug)]
pub struct Machine {
    configuration: Configuration,
    state: Mutex<State>,
}

impl Machine {
    /// A machine of this configuration.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        let early = configuration.start == Start::Reset;
        let state = State {
            now: if early { 0 } else { SYNC_TICKS / 2 },
            accesses: 0,
            threads: vec![ThreadState::default(); configuration.threads()],
            cores: (0..configuration.cores())
                .map(|_| CoreTimer::new(&configuration))
                .collect(),
            tods: (0..configuration.chips)
                .map(|chip| ChipTod::new(&configuration, chip))
                .collect(),
            secondary_active: false,
            scoms: HashMap::new(),
            xscom_faults: Vec::new(),
            scheduled: Vec::new(),
            random: Random::new(configuration.seed),
            trace: Vec::new(),
            violations: Vec::new(),
            tripped: false,
            configuration: configuration.clone(),
        };
        Self {
            configuration,
            state: Mutex::new(state),
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

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panics in here has found an error; the others still may look.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Inflicts a fault now.
    pub fn inject(&self, fault: &Fault) {
        self.lock().inject(fault);
    }

    /// Inflicts a fault at the `number`-th access from now on.
    pub fn inject_after(&self, number: u64, fault: Fault) {
        let mut state = self.lock();
        let at = state.accesses + number;
        state.scheduled.push((at, fault));
    }

    /// Inflicts a fault when its moment comes.
    pub fn inject_at(&self, moment: Moment, fault: Fault) {
        match moment {
            Moment::Access(number) => self.inject_after(number, fault),
            _ => self.inject(&fault),
        }
    }

    /// What the accesses of a thread came to so far.
    #[must_use]
    pub fn counters(&self, _thread: usize) -> Counters {
        Counters::default()
    }

    /// Switches the trace on or off.
    pub fn set_tracing(&self, on: bool) {
        self.lock().configuration.trace = on;
    }

    /// Whether a core has checkstopped: its threads execute nothing any more.
    #[must_use]
    pub fn checkstopped(&self, _core: usize) -> bool {
        false
    }

    /// Makes XSCOM accesses fail, from now on.
    pub fn inject_xscom(&self, fault: XscomFault) {
        self.lock().xscom_faults.push(fault);
    }

    /// Takes all XSCOM failures back.
    pub fn heal_xscom(&self) {
        self.lock().xscom_faults.clear();
    }

    /// Adds a SCOM register with plain storage, such as a FIR.
    pub fn provide_scom(&self, chip: usize, address: u32, value: u64) {
        self.lock().scoms.insert((chip, address), value);
    }

    /// A SCOM register as it stands, without an access; only ChipTOD and provided ones.
    #[must_use]
    pub fn peek_scom(&self, chip: usize, address: u32) -> Option<u64> {
        self.lock().peek_scom(chip, address)
    }

    /// Lets time pass.
    pub fn tick(&self, ticks: u64) {
        self.lock().advance(ticks);
    }

    /// The time that every TB should show now: that of the chip's TOD when it started.
    #[must_use]
    pub fn true_time(&self) -> u64 {
        let state = self.lock();
        state.now.wrapping_add(state.configuration.epoch)
    }

    /// The time of a chip's TOD.
    #[must_use]
    pub fn tod_time(&self, chip: usize) -> u64 {
        let state = self.lock();
        state.tods[chip].value(state.now)
    }

    /// TB of a thread, without an access.
    #[must_use]
    pub fn timebase(&self, thread: usize) -> u64 {
        let state = self.lock();
        let (core, number) = state.place(thread);
        state.cores[core].timebase(number, state.now)
    }

    /// TFMR of a thread without erratum and garbage, without an access.
    #[must_use]
    pub fn tfmr(&self, thread: usize) -> Tfmr {
        let state = self.lock();
        let (core, number) = state.place(thread);
        let view = state.tod_view(state.configuration.chip_of(core));
        let value = state.cores[core].true_tfmr(number, state.now, view);
        let corrupt = if state.cores[core].corrupt {
            ibm(60)
        } else {
            0
        };
        Tfmr::from_bits_retain(value | corrupt)
    }

    /// HMER of a thread, without an access.
    #[must_use]
    pub fn hmer(&self, thread: usize) -> Hmer {
        Hmer::from_bits_retain(self.lock().threads[thread].hmer)
    }

    /// Whether an HMI is pending for a thread: a cause that its core's HMEER enables.
    #[must_use]
    pub fn hmi_pending(&self, thread: usize) -> bool {
        let state = self.lock();
        let (core, _) = state.place(thread);
        state.threads[thread].hmer & state.cores[core].hmeer != 0
    }

    /// All writes and SCOM reads so far.
    #[must_use]
    pub fn trace(&self) -> Vec<Access> {
        self.lock().trace.clone()
    }

    /// Forgets the trace.
    pub fn clear_trace(&self) {
        self.lock().trace.clear();
    }

    /// What software did wrong so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().violations.clone()
    }

    /// Accesses so far.
    #[must_use]
    pub fn accesses(&self) -> u64 {
        self.lock().accesses
    }

    /// Model time in ticks: it runs while TB stands.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.lock().now
    }
}

impl State {
    pub(crate) fn place(&self, thread: usize) -> (usize, usize) {
        (
            self.configuration.core_of(thread),
            self.configuration.number_in_core(thread),
        )
    }

    /// One access begins: it counts, takes time, and may be the last.
    pub(crate) fn begin(&mut self, thread: usize, ticks: u64) {
        self.accesses += 1;
        if self.tripped || self.accesses > self.configuration.watchdog {
            self.tripped = true;
            panic!(
                "watchdog: thread {thread} made access {} of at most {}: some wait has no end",
                self.accesses, self.configuration.watchdog
            );
        }
        self.advance(ticks);
        while let Some(due) = self
            .scheduled
            .iter()
            .position(|(at, _)| *at <= self.accesses)
        {
            let (_, fault) = self.scheduled.swap_remove(due);
            self.inject(&fault);
        }
    }

    pub(crate) fn advance(&mut self, ticks: u64) {
        let before = self.now / SYNC_TICKS;
        self.now += ticks;
        let crossed = self.now / SYNC_TICKS != before;
        for (index, core) in self.cores.iter_mut().enumerate() {
            let tod = &self.tods[self.configuration.chip_of(index)];
            let value = tod.running().then(|| tod.value(self.now));
            core.advance(self.now, crossed && tod.steps(), value);
        }
    }

    pub(crate) fn record(&mut self, thread: usize, register: Register, value: u64) {
        if !self.configuration.trace {
            return;
        }
        self.trace.push(Access {
            number: self.accesses,
            thread,
            register,
            value,
        });
    }

    pub(crate) fn violation(&mut self, thread: usize, rule: &'static str, value: u64) {
        self.violations.push(Violation {
            number: self.accesses,
            thread,
            rule,
            value,
        });
    }

    pub(crate) fn tod_view(&self, chip: usize) -> TodView {
        let tod = &self.tods[chip];
        TodView {
            fsm_code: tod.state as u64,
            interrupt: tod.interrupt(),
        }
    }

    /// The facility of a core raises an HMI in all its threads, unless it is masked.
    pub(crate) fn raise_core(&mut self, core: usize, bits: Hmer) {
        if self.cores[core].control & Tfmr::MASK_HMI.bits() != 0 {
            return;
        }
        let threads = self.configuration.threads_per_core;
        for thread in &mut self.threads[core * threads..(core + 1) * threads] {
            thread.hmer |= bits.bits();
        }
    }

    /// Bits of a TOD's ERROR come on: all cores of the chip see it.
    pub(crate) fn fail_tod(&mut self, chip: usize, bits: u64) {
        let stopped = self.tods[chip].fail(bits, &mut self.random);
        let interrupt = bits & !self.tods[chip].mask != 0;
        let cores = self.configuration.cores_per_chip;
        for core in chip * cores..(chip + 1) * cores {
            if stopped && self.cores[core].state == TbState::Running {
                self.cores[core].fail(Tfmr::TB_MISSING_STEP.bits(), self.now);
                self.cores[core].new_entry(true);
                self.raise_core(core, Hmer::TFAC_ERROR);
            }
            if interrupt {
                self.raise_core(core, Hmer::TFAC_ERROR);
            }
        }
    }
}
