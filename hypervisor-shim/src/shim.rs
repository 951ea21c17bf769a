//! What all threads share, and what each thread keeps for itself.

use crate::control::{Control, ThreadStatus};
use crate::core_word::SharedCoreWord;
use crate::machine::{GuestLimits, Machine};
use crate::passage::Who;
use crate::skew::SkewMeter;
use crate::timebase_offset;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use flight_recorder::{FlightRecorder, Step};
use power_registers::Tfmr;

/// Most cores.
pub const MAX_CORES: usize = 64;
/// Ticks of TB in a microsecond.
pub const TICKS_PER_MICROSECOND: u64 = 512;

/// What the machine is like, found out at start.
#[derive(Clone, Copy, Debug)]
pub struct Configuration {
    /// How many threads of a core have one TB in common, those with neighbouring numbers: one guest's
    /// offset fits into it at a time. 1: a TB for each thread.
    pub threads_per_timebase: u8,
    /// TFMR tells whether TB is valid; not so where there is no ChipTOD.
    pub tfmr_meaningful: bool,
    /// Spins of [`Machine::relax`] in a microsecond.
    pub spins_per_microsecond: u64,
    /// A tool plays the faults.
    pub external: bool,
    /// Base value of TFMR, for the fault that the shim inflicts itself.
    pub tfmr_base: Tfmr,
}

impl Configuration {
    /// Whether guests of several threads would want the same TB.
    #[must_use]
    pub const fn shares_timebase(&self) -> bool {
        self.threads_per_timebase > 1
    }

    /// How far TB and DEC may disagree.
    #[must_use]
    pub const fn skew_ticks(&self) -> i64 {
        // A tool that plays the TOD supplies exact time. Alone, TB goes on from the best estimate,
        // and an emulated thread may be held up for a while between estimate and write.
        let milliseconds = if self.external { 10 } else { 150 };
        milliseconds * 1_000 * TICKS_PER_MICROSECOND as i64
    }

    /// How far the timebases of two threads may be apart. What is less than an OS takes for a fault,
    /// and more than the ChipTODs of a machine are apart: 5 us.
    #[must_use]
    pub const fn apart_ticks(&self) -> u64 {
        if self.external {
            5 * TICKS_PER_MICROSECOND
        } else {
            // On QEMU each repair goes on from the best estimate.
            self.skew_ticks() as u64
        }
    }

    /// The limits that guests check themselves against.
    #[must_use]
    pub const fn guest_limits(&self, hasty: bool) -> GuestLimits {
        GuestLimits {
            // How long a guest may be out depends on how busy the machine is, so this catches only
            // TB that is far off; what is less is seen against DEC.
            step_ticks: 30_000_000 * TICKS_PER_MICROSECOND,
            skew_ticks: self.skew_ticks() as u64,
            checks_per_hcall: if hasty { 4 } else { 4_096 },
        }
    }

    /// Whether TFMR says that TB can be used. True where TFMR cannot tell.
    pub fn timebase_trusted(&self, machine: &mut impl Machine) -> bool {
        !self.tfmr_meaningful || machine.tfmr().tb_usable()
    }
}

/// What all threads share.
#[derive(Debug)]
pub struct Shim<'a> {
    /// The control block.
    pub control: &'a Control,
    /// The flight recorder.
    pub recorder: &'a FlightRecorder,
    /// The word of each core.
    pub cores: &'a [SharedCoreWord; MAX_CORES],
    /// With one TB for a core: the thread whose guest goes in next.
    pub turns: &'a [AtomicU32; MAX_CORES],
    /// Where the threads measure how far their TBs are apart.
    pub skew: &'a SkewMeter,
    /// How the machine is.
    pub configuration: Configuration,
    /// Threads that run the loop.
    pub threads: u64,
    /// Threads that are ready to begin; all begin together.
    pub ready: AtomicU64,
    /// Threads that left the loop.
    pub finished: AtomicU64,
    /// Faults of our own that are still to come, over all cores, in the lower half; threads that
    /// strike just now in the upper one.
    pub faults_left: AtomicU64,
}

/// Who a thread is. Copied freely: it has no state.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// Index of the thread in the control block and the flight recorder.
    pub index: usize,
    /// Its PIR.
    pub pir: u32,
    /// Index of its core.
    pub core: usize,
    /// Its number in the core.
    pub number: u32,
    /// Threads of its core that run the loop, one bit each.
    pub siblings: u8,
}

impl Thread {
    /// The offset of this thread's guest: positive, negative, small, and beyond 2^40 ticks.
    #[must_use]
    pub const fn guest_offset(&self) -> i64 {
        let magnitude = match self.index % 4 {
            0 => 3 << 41,
            1 => -(5 << 40),
            2 => 37 << 26,
            _ => -(11 << 25),
        };
        // Distinct for every thread.
        timebase_offset::rounded(magnitude + ((self.index as i64) << 28))
    }
}

impl Thread {
    /// The threads that have the same TB as this one.
    #[must_use]
    pub const fn sharing(&self, threads_per_timebase: u8) -> u8 {
        let width = match threads_per_timebase {
            0 => 1,
            1..8 => threads_per_timebase as u32,
            _ => 8,
        };
        let all = (1_u32 << width) - 1;
        (all << (self.number / width * width)) as u8
    }
}

impl Shim<'_> {
    /// The thread among those of its core.
    #[must_use]
    pub const fn who(&self, thread: &Thread) -> Who {
        Who {
            number: thread.number as u8,
            siblings: thread.siblings,
            sharing: thread.sharing(self.configuration.threads_per_timebase),
        }
    }

    /// The word of a thread's core.
    #[must_use]
    pub fn word(&self, thread: &Thread) -> &SharedCoreWord {
        &self.cores[thread.core]
    }

    /// What a thread reports.
    #[must_use]
    pub fn status(&self, thread: &Thread) -> &ThreadStatus {
        &self.control.threads[thread.index]
    }

    /// Whether guests are entered and left as fast as can be.
    #[must_use]
    pub fn is_hasty(&self) -> bool {
        self.control.header.hasty.load(Ordering::Relaxed) != 0
    }

    /// Writes a step of this thread into the flight recorder.
    pub fn record(
        &self,
        machine: &mut impl Machine,
        thread: &Thread,
        step: Step,
        arguments: [u64; 2],
    ) {
        let (timebase, tfmr, hmer) = (
            machine.timebase(),
            machine.tfmr().bits(),
            machine.hmer().bits(),
        );
        self.recorder.record(
            thread.index,
            thread.pir,
            step,
            timebase,
            tfmr,
            hmer,
            arguments,
        );
    }
}
