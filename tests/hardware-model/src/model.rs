//! The whole machine as one value: its parts, its time, and what happens by itself.

use crate::chip_tod::ChipTod;
use crate::chip_units::ChipUnits;
use crate::configuration::{Configuration, Start};
use crate::core_scom::CoreScom;
use crate::core_timer::CoreTimer;
use crate::fault::{Fault, Impossible, Moment};
use crate::random::Random;
use crate::scom::Mailbox;
use crate::tfmr_access::TodView;
use crate::trace::{Access, Counters, Register, Violation};
use crate::xscom_fault::XscomFault;
use crate::{SYNC_TICKS, topology::Switches};
use alloc::vec::Vec;
use power_registers::{Hmer, Tfmr};

/// What one thread has for itself, TFMR aside.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThreadState {
    pub(crate) hmer: u64,
    /// HMER bits that came on since the thread last read HMER.
    pub(crate) unread: u64,
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) dec: u64,
    pub(crate) purr: u64,
    pub(crate) spurr: u64,
    pub(crate) vtb: u64,
    /// Model time at which DEC, PURR, SPURR and VTB had these values.
    pub(crate) counted_from: [u64; 4],
    pub(crate) counters: Counters,
    /// Spins since the last write.
    pub(crate) spins: u64,
    /// Model time up to which the thread has done something.
    pub(crate) until: u64,
}

/// How far a thread may be behind the others, in times of what it does.
const TIMES_BEHIND: u64 = 16;

impl ThreadState {
    /// Bits of HMER come on.
    pub(crate) const fn raise(&mut self, bits: u64) {
        let bits = bits & Hmer::IMPLEMENTED;
        self.unread |= bits & !self.hmer;
        self.hmer |= bits;
    }
}

/// A modelled machine, driven register by register.
///
/// It knows nothing of the software that drives it, never blocks and never panics: what software
/// must not do is recorded as a [`Violation`], and a wait without an end trips the watchdog, after
/// which every access is ignored and reads give 0 ([`Model::watchdog_tripped`]). A thread that does
/// not exist is a violation too.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) configuration: Configuration,
    /// Model time in ticks; never stops.
    pub(crate) now: u64,
    /// When something will next happen by itself, or earlier.
    next_due: u64,
    pub(crate) accesses: u64,
    pub(crate) scoms: u64,
    pub(crate) threads: Vec<ThreadState>,
    pub(crate) cores: Vec<CoreTimer>,
    pub(crate) core_scoms: Vec<CoreScom>,
    pub(crate) tods: Vec<ChipTod>,
    pub(crate) units: Vec<ChipUnits>,
    pub(crate) switches: Switches,
    /// XSCOM accesses that software still waits for.
    pub(crate) in_flight: usize,
    pub(crate) xscom_faults: Vec<XscomFault>,
    scheduled: Vec<(Trigger, Fault)>,
    pub(crate) random: Random,
    pub(crate) trace: Vec<Access>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) tripped: bool,
    /// Whether any core has checkstopped.
    pub(crate) stopped: bool,
}

/// A [`Moment`] in absolute numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Access(u64),
    Scom(u64),
    Time(u64),
    State { core: usize, code: u8 },
}

impl Model {
    /// A machine of this configuration.
    ///
    /// # Panics
    /// If the core clock gives no TFMR base value.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        let reset = configuration.start == Start::Reset;
        let cores = configuration.cores();
        Self {
            now: if reset { 0 } else { SYNC_TICKS / 2 },
            next_due: u64::MAX,
            accesses: 0,
            scoms: 0,
            threads: alloc::vec![ThreadState::default(); configuration.threads()],
            cores: alloc::vec![CoreTimer::new(&configuration); cores],
            core_scoms: alloc::vec![CoreScom::new(&configuration); cores],
            tods: (0..configuration.chips)
                .map(|chip| ChipTod::new(&configuration, chip))
                .collect(),
            units: alloc::vec![ChipUnits::new(&configuration); configuration.chips],
            switches: Switches::new(),
            in_flight: 0,
            xscom_faults: Vec::new(),
            scheduled: Vec::new(),
            random: Random::new(configuration.seed),
            trace: Vec::new(),
            violations: Vec::new(),
            tripped: false,
            stopped: false,
            configuration,
        }
    }

    /// Inflicts a fault when its moment comes.
    ///
    /// # Errors
    /// [`Impossible`] when this machine cannot have it.
    pub fn inject_at(&mut self, moment: Moment, fault: Fault) -> Result<(), Impossible> {
        let trigger = match moment {
            Moment::Now => return self.inject(&fault),
            Moment::Access(number) => Trigger::Access(self.accesses.saturating_add(number)),
            Moment::Scom(number) => Trigger::Scom(self.scoms.saturating_add(number)),
            Moment::Ticks(ticks) => Trigger::Time(self.now.saturating_add(ticks)),
            Moment::State { core, state } => {
                let timer = self.cores.get_mut(core).ok_or(Impossible::NoSuchPlace)?;
                timer.take_entered();
                Trigger::State {
                    core,
                    code: state.code(),
                }
            }
        };
        self.check(&fault)?;
        if let Trigger::Time(at) = trigger {
            self.next_due = self.next_due.min(at);
        }
        self.scheduled.push((trigger, fault));
        Ok(())
    }

    /// Lets time pass.
    pub fn tick(&mut self, ticks: u64) {
        for thread in &mut self.threads {
            thread.until = thread.until.saturating_add(ticks);
        }
        self.advance(ticks);
    }

    fn advance(&mut self, ticks: u64) {
        self.now = self.now.wrapping_add(ticks);
        while self.now >= self.next_due {
            self.happen();
        }
    }

    /// The thread does something that lasts so many ticks. Threads run beside one another: of the time
    /// that the others took it has left what it did not use, up to some times what it does now.
    pub fn pass(&mut self, thread: usize, ticks: u64) {
        let left = ticks.saturating_mul(TIMES_BEHIND);
        let until = &mut self.threads[thread].until;
        *until = (*until).max(self.now.saturating_sub(left)) + ticks;
        let until = *until;
        self.advance(until.saturating_sub(self.now));
    }

    /// Inflicts what waits for a trigger.
    pub(crate) fn pull(&mut self, pulls: impl Fn(Trigger) -> bool) {
        while let Some(due) = self
            .scheduled
            .iter()
            .position(|(trigger, _)| pulls(*trigger))
        {
            let (_, fault) = self.scheduled.swap_remove(due);
            // It was checked when it was scheduled.
            let _ = self.inject(&fault);
        }
    }

    pub(crate) const fn has_scheduled(&self) -> bool {
        !self.scheduled.is_empty()
    }

    /// Everything that is due happens.
    fn happen(&mut self) {
        let now = self.now;
        self.next_due = u64::MAX;
        for chip in 0..self.tods.len() {
            if let Some(bits) = self.tods[chip].take_due_errors(now) {
                self.fail_tod(chip, bits);
            }
            self.next_due = self.next_due.min(self.tods[chip].errors_due());
        }
        for core in 0..self.cores.len() {
            if self.cores[core].due() <= now {
                let tod = &self.tods[self.configuration.chip_of(core)];
                let value = tod.is_running(now).then(|| tod.value(now));
                if self.cores[core].advance(now, value) {
                    self.raise_core(core, Hmer::TFAC_ERROR);
                }
                self.entered(core);
            }
            self.next_due = self.next_due.min(self.cores[core].due());
        }
        if self.has_scheduled() {
            self.pull(|trigger| matches!(trigger, Trigger::Time(at) if at <= now));
            for (trigger, _) in &self.scheduled {
                if let Trigger::Time(at) = trigger {
                    self.next_due = self.next_due.min(*at);
                }
            }
        }
    }

    /// A core's timer facility changed: what waits for its state, and what comes next.
    pub(crate) fn changed(&mut self, core: usize) {
        self.next_due = self.next_due.min(self.cores[core].due());
        self.entered(core);
    }

    /// A TOD changed.
    pub(crate) fn tod_changed(&mut self, chip: usize) {
        self.next_due = self.next_due.min(self.tods[chip].errors_due());
    }

    fn entered(&mut self, core: usize) {
        if !self.has_scheduled() {
            return;
        }
        let states = self.cores[core].take_entered();
        if states != 0 {
            self.pull(|trigger| {
                matches!(trigger, Trigger::State { core: wanted, code }
                    if wanted == core && states >> (code & 0xf) & 1 != 0)
            });
            self.next_due = self.next_due.min(self.cores[core].due());
        }
    }

    /// Core of a thread, and the thread's number in it.
    pub(crate) const fn place(&self, thread: usize) -> (usize, usize) {
        (
            self.configuration.core_of(thread),
            self.configuration.number_in_core(thread),
        )
    }

    pub(crate) fn record(&mut self, thread: usize, register: Register, value: u64) {
        if self.configuration.trace {
            self.trace.push(Access {
                number: self.accesses,
                thread,
                register,
                value,
            });
        }
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
            fsm_code: tod.code(self.now),
            interrupt: tod.interrupt(),
        }
    }

    /// The timer facility of a core raises an HMI in all its threads, unless that is masked.
    pub(crate) fn raise_core(&mut self, core: usize, bits: Hmer) {
        if self.cores[core].control & Tfmr::MASK_HMI.bits() == 0 {
            self.broadcast(core, bits.bits());
        }
    }

    /// HMER bits come on in all threads of a core.
    pub(crate) fn broadcast(&mut self, core: usize, bits: u64) {
        let threads = self.configuration.threads_per_core;
        for thread in &mut self.threads[core * threads..(core + 1) * threads] {
            thread.raise(bits);
        }
    }

    /// Indices of the cores of a chip.
    pub(crate) const fn cores_of(&self, chip: usize) -> core::ops::Range<usize> {
        let cores = self.configuration.cores_per_chip;
        chip * cores..(chip + 1) * cores
    }
}
