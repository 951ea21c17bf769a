//! The state that all threads share: one value, reachable from every entry into the firmware.

use crate::atomic::each;
use crate::budget::{Budget, DEFAULT_SPINS_PER_MICROSECOND};
use crate::chip_tod::ChipTod;
use crate::decisions::Decisions;
use crate::hardware::{Hardware, Pir};
use crate::hmi::core_state::CoreState;
use crate::hmi::counters::Counters;
use crate::hmi::events::EventQueue;
use crate::interrupts::Interrupts;
use crate::malfunction::Malfunction;
use crate::platform::{MAX_CORES, Platform, ThreadPlace};
use crate::processors::Processors;
use crate::xscom::Xscom;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use flight_recorder::{FlightRecorder, Step};
use opal_abi::Token;
use opal_abi::xive::XiveToken;
use power_registers::Tfmr;
use spin::Once;

/// Whether a thread comes to a meeting of its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u64)]
pub enum Participation {
    /// Never started, disabled, or given up: not waited for.
    #[default]
    Absent = 0,
    /// In the firmware's idle loop: summoned, then waited for.
    FirmwareIdle = 1,
    /// Runs the OS or an OPAL call: gets its own HMI, and is waited for.
    Running = 2,
}

/// Why the system cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemError {
    /// No base value of TFMR can be computed for this core frequency.
    CoreFrequency {
        /// The frequency.
        hz: u64,
    },
    /// More threads than the flight recorder has rings.
    TooManyThreads {
        /// The threads.
        threads: usize,
    },
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoreFrequency { hz } => {
                write!(f, "no TFMR can be computed for a core clock of {hz} Hz")
            }
            Self::TooManyThreads { threads } => {
                write!(
                    f,
                    "{threads} threads are more than the flight recorder has room for"
                )
            }
        }
    }
}

/// What all threads share.
#[derive(Debug)]
pub struct System<'a> {
    /// The machine.
    pub platform: &'a Platform,
    /// What each thread did.
    pub recorder: &'a FlightRecorder,
    /// Access to chip registers.
    pub xscom: Xscom,
    /// Events for the OS.
    pub events: EventQueue,
    /// The ChipTODs.
    pub chip_tod: ChipTod,
    /// Oddities that were seen.
    pub counters: Counters,
    /// Rows of the decision tables that were acted upon.
    pub decisions: Decisions,
    interrupts: Once<&'static Interrupts<'static>>,
    /// What the threads that wait in the firmware are told.
    pub(crate) processors: Processors,
    /// What is known about malfunctions.
    pub(crate) malfunction: Malfunction,
    cores: [CoreState; MAX_CORES],
    base: Tfmr,
    spins_per_microsecond: AtomicU64,
}

impl<'a> System<'a> {
    /// The system of a platform, all threads [`Participation::Absent`].
    ///
    /// # Errors
    /// [`SystemError`] when the platform cannot be served.
    pub fn new(platform: &'a Platform, recorder: &'a FlightRecorder) -> Result<Self, SystemError> {
        let threads = platform.thread_count();
        if threads > flight_recorder::THREADS {
            return Err(SystemError::TooManyThreads { threads });
        }
        let hz = platform.core_hz;
        let base = Tfmr::base(hz).ok_or(SystemError::CoreFrequency { hz })?;
        Ok(Self {
            platform,
            recorder,
            xscom: Xscom::new(),
            events: EventQueue::new(),
            chip_tod: ChipTod::new(),
            counters: Counters::new(),
            decisions: Decisions::new(),
            interrupts: Once::new(),
            processors: Processors::new(),
            malfunction: Malfunction::new(),
            cores: each!(CoreState::new(); MAX_CORES),
            base,
            spins_per_microsecond: AtomicU64::new(DEFAULT_SPINS_PER_MICROSECOND),
        })
    }

    /// From now on the calls of this interrupt controller are there.
    pub fn serve_interrupts(&self, interrupts: &'static Interrupts<'static>) {
        self.interrupts.call_once(|| interrupts);
    }

    /// The interrupt controller, if it is served.
    #[must_use]
    pub fn interrupts(&self) -> Option<&'static Interrupts<'static>> {
        self.interrupts.get().copied()
    }

    /// Whether a token has a call here.
    #[must_use]
    pub fn has_call(&self, token: u64) -> bool {
        Token::from_number(token).is_some()
            || XiveToken::from_number(token).is_some() && self.interrupts().is_some()
    }

    /// The value that every write of TFMR contains; there is one also without a ChipTOD.
    #[must_use]
    pub const fn base_tfmr(&self) -> Tfmr {
        self.base
    }

    /// Sets whether a thread takes part in meetings of its core. An unknown PIR is ignored.
    pub fn set_participation(&self, pir: Pir, participation: Participation) {
        if let Some((core, place)) = self.find(pir) {
            core.set_participation(place.thread, participation);
        }
    }

    /// Whether a thread takes part in meetings of its core; `None` if there is no such thread.
    #[must_use]
    pub fn participation(&self, pir: Pir) -> Option<Participation> {
        let (core, place) = self.find(pir)?;
        Some(core.participation(place.thread))
    }

    /// Whether a meeting waits for this idle thread: then it calls [`crate::hmi::handle`].
    #[must_use]
    pub fn summoned(&self, pir: Pir) -> bool {
        self.find(pir)
            .is_some_and(|(core, place)| core.summoned(place.thread))
    }

    /// The meeting of a core, for whoever watches; `None` if there is no such core.
    #[must_use]
    pub fn meeting(&self, core: usize) -> Option<crate::hmi::coordinator::Word> {
        Some(self.cores.get(core)?.coordinator.load())
    }

    /// Sets how many [`Hardware::relax`] last a microsecond, measured while TB is good. 0 counts
    /// as 1.
    pub fn set_spins_per_microsecond(&self, spins: u64) {
        let spins = spins.max(1);
        self.spins_per_microsecond.store(spins, Ordering::Relaxed);
        self.xscom.set_spins_per_microsecond(spins);
    }

    /// How many spins last a microsecond.
    #[must_use]
    pub fn spins_per_microsecond(&self) -> u64 {
        self.spins_per_microsecond.load(Ordering::Relaxed)
    }

    /// A budget of microseconds, of at least `least` spins.
    pub(crate) fn budget(&self, microseconds: u64, least: u64) -> Budget {
        Budget::microseconds(microseconds, self.spins_per_microsecond(), least)
    }

    /// The shared state of a core.
    pub(crate) fn core(&self, index: usize) -> &CoreState {
        &self.cores[index]
    }

    /// Where this thread stands, and its core.
    pub(crate) fn find(&self, pir: Pir) -> Option<(&CoreState, ThreadPlace)> {
        let place = self.platform.place(pir)?;
        Some((self.cores.get(place.core)?, place))
    }

    /// The youngest TB that any thread saw while it was good; 0 if none did.
    #[must_use]
    pub fn newest_good_timebase(&self) -> u64 {
        let cores = self.cores.iter().take(self.platform.cores.len());
        cores
            .map(CoreState::newest_good_timebase)
            .max()
            .unwrap_or(0)
    }

    /// Writes a step of this thread to the flight recorder, with TB, TFMR and HMER as they read
    /// now.
    pub fn record<H: Hardware>(&self, hw: &mut H, step: Step, arguments: [u64; 2]) {
        let pir = hw.pir();
        let Some(thread) = self.platform.thread_index(pir) else {
            return;
        };
        let timebase = hw.timebase();
        let tfmr = hw.tfmr().bits();
        let hmer = hw.hmer().bits();
        self.recorder
            .record(thread, pir.0, step, timebase, tfmr, hmer, arguments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Generation;
    use crate::test_hardware::platform;

    #[test]
    fn a_platform_without_frequency_is_refused() {
        let mut platform = platform(Generation::Power9, 4);
        platform.core_hz = 0;
        let recorder = std::boxed::Box::new(FlightRecorder::new());
        assert_eq!(
            System::new(&platform, &recorder).err(),
            Some(SystemError::CoreFrequency { hz: 0 })
        );
    }

    #[test]
    fn base_is_there_without_a_chip_tod() {
        let mut platform = platform(Generation::Power8, 8);
        platform.chips[0].chip_tod = None;
        let recorder = std::boxed::Box::new(FlightRecorder::new());
        let system = System::new(&platform, &recorder).unwrap();
        assert_eq!(system.base_tfmr().bits(), 0x1212_0000_0000_0000);
        assert!(!system.has_chip_tod(platform.chips[0].id));
    }
}
