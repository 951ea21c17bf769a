//! Work that the boot thread gives to the others while they wait.

use crate::instructions as cpu;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use opaline_firmware::hardware::Pir;
use opaline_firmware::platform::MAX_THREADS;

/// What a waiting thread can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Job {
    /// Nothing: the answer of a thread that is done.
    None = 0,
    /// Read TB; the result is TB.
    ReadTimebase = 1,
    /// Set up this core's HMEER and HID0; the result is what HMEER refused.
    PrepareCore = 2,
    /// Start the ChipTOD network and this core's TB, as the master.
    TodMaster = 3,
    /// Start this core's TB from the running ChipTOD.
    TodCore = 4,
    /// Clean this thread's share of TFMR.
    CleanThread = 5,
    /// Run the shim; no result until it ends.
    RunShim = 6,
    /// Read TFMR; the result is TFMR.
    ReadTfmr = 7,
    /// Mark TFMR with a control bit that does no harm.
    MarkTfmr = 8,
    /// Take the mark away.
    UnmarkTfmr = 9,
    /// Clear what is pending from before; 1 if the thread is ready for an HMI.
    SettleThread = 10,
    /// Take back what only the firmware may do on this core, before an OS runs.
    PrepareForOs = 11,
}

impl Job {
    fn from_number(number: u32) -> Self {
        match number {
            1 => Self::ReadTimebase,
            2 => Self::PrepareCore,
            3 => Self::TodMaster,
            4 => Self::TodCore,
            5 => Self::CleanThread,
            6 => Self::RunShim,
            7 => Self::ReadTfmr,
            8 => Self::MarkTfmr,
            9 => Self::UnmarkTfmr,
            10 => Self::SettleThread,
            11 => Self::PrepareForOs,
            _ => Self::None,
        }
    }
}

struct Slot {
    job: AtomicU32,
    /// PIR plus one of the thread that waits here; 0 = nobody.
    present: AtomicU32,
    result: AtomicU64,
}

static SLOTS: [Slot; MAX_THREADS] = [const {
    Slot {
        job: AtomicU32::new(0),
        present: AtomicU32::new(0),
        result: AtomicU64::new(0),
    }
}; MAX_THREADS];

/// Says that the thread with this index and PIR is here.
pub(crate) fn arrive(index: usize, pir: u32) {
    if let Some(slot) = SLOTS.get(index) {
        slot.present.store(pir + 1, Ordering::Release);
    }
}

/// The index of the block of a PIR, if its thread has arrived.
pub(crate) fn index_of(pir: u32) -> Option<usize> {
    SLOTS
        .iter()
        .position(|slot| slot.present.load(Ordering::Acquire) == pir + 1)
}

/// Threads that have arrived.
pub(crate) fn arrived() -> usize {
    SLOTS
        .iter()
        .filter(|slot| slot.present.load(Ordering::Acquire) != 0)
        .count()
}

/// Gives a job to a thread without waiting for it.
pub(crate) fn post(index: usize, job: Job) {
    let slot = &SLOTS[index];
    slot.job.store(job as u32, Ordering::Release);
    if let Some(pir) = slot.present.load(Ordering::Acquire).checked_sub(1) {
        crate::waiting::wake(Pir(pir));
    }
}

/// Gives a job to a thread and waits for its result, at most `spins`.
pub(crate) fn ask(index: usize, job: Job, spins: u64) -> Option<u64> {
    post(index, job);
    for _ in 0..spins {
        if SLOTS[index].job.load(Ordering::Acquire) == Job::None as u32 {
            return Some(SLOTS[index].result.load(Ordering::Acquire));
        }
        cpu::relax();
    }
    None
}

/// The job that waits for this thread, if any.
pub(crate) fn take(index: usize) -> Option<Job> {
    match Job::from_number(SLOTS[index].job.load(Ordering::Acquire)) {
        Job::None => None,
        job => Some(job),
    }
}

/// Answers the job of this thread.
pub(crate) fn answer(index: usize, result: u64) {
    let slot = &SLOTS[index];
    slot.result.store(result, Ordering::Release);
    slot.job.store(Job::None as u32, Ordering::Release);
}
