//! What the shim asks of the machine, for the calling thread.

use opal_abi::Token;
use power_registers::{Hmer, Tfmr};

/// Why a guest was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestExit {
    /// Exception vector.
    pub vector: u64,
    /// Where the guest was.
    pub pc: u64,
    /// MSR of the guest.
    pub msr: u64,
}

/// Vectors by which a guest is left.
pub mod vector {
    /// System call with LEV = 1: an hcall.
    pub const HCALL: u64 = 0xc00;
    /// Hypervisor decrementer.
    pub const HDEC: u64 = 0x980;
    /// Hypervisor Maintenance Interrupt.
    pub const HMI: u64 = 0xe60;
    /// Hypervisor doorbell.
    pub const DOORBELL: u64 = 0xe80;
}

/// What the guest says of its own time; it keeps this in its registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuestReport {
    /// Checks made.
    pub checks: u64,
    /// Checks failed.
    pub failures: u64,
    /// First failure: the reading before, or the sum that was expected.
    pub before: u64,
    /// First failure: the reading after, or the sum that was found.
    pub after: u64,
    /// Largest step between two readings, in ticks.
    pub largest_step: u64,
    /// Largest disagreement of TB and DEC, in ticks.
    pub largest_skew: u64,
}

/// Limits that the guest checks itself against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestLimits {
    /// Largest step between two readings, in ticks.
    pub step_ticks: u64,
    /// Largest disagreement of TB and DEC, in ticks.
    pub skew_ticks: u64,
    /// The guest makes a hypercall after so many checks: a power of two.
    pub checks_per_hcall: u64,
}

/// The machine as the shim's threads use it. Nothing here waits.
pub trait Machine {
    /// `isync; mftb`: not read before what comes earlier in the program, such as taking a lock.
    fn timebase(&mut self) -> u64;
    /// `mtspr TBU40`: the upper 40 bits; legal while TB runs.
    fn set_timebase_upper40(&mut self, value: u64);
    /// `mfspr TFMR`.
    fn tfmr(&mut self) -> Tfmr;
    /// `mtspr TFMR`; the shim uses it to break TB on purpose, never to repair it.
    fn set_tfmr(&mut self, value: Tfmr);
    /// `mfspr HMER`.
    fn hmer(&mut self) -> Hmer;
    /// `mfspr DEC`, sign-extended from 32 bits.
    fn decrementer(&mut self) -> i64;
    /// `mtspr DEC`.
    fn set_decrementer(&mut self, value: i64);
    /// `mfspr HDEC`, sign-extended.
    fn hypervisor_decrementer(&mut self) -> i64;
    /// `mtspr HDEC`.
    fn set_hypervisor_decrementer(&mut self, value: i64);
    /// Puts the guest at its start, with these limits.
    fn reset_guest(&mut self, limits: GuestLimits);
    /// Switches the partition in, runs the guest, switches it out.
    fn run_guest(&mut self) -> GuestExit;
    /// What the guest reports now.
    fn guest_report(&mut self) -> GuestReport;
    /// Gives the guest the result of its hcall.
    fn answer_hcall(&mut self, result: u64);
    /// Calls OPAL through its entry.
    fn call_opal(&mut self, token: Token, arguments: [u64; 8]) -> i64;
    /// Calls `OPAL_HANDLE_HMI2`: (return code, flags).
    fn handle_hmi2(&mut self) -> (i64, u64);
    /// Fetches one message; `None` if there is none.
    fn next_message(&mut self) -> Option<[u8; opal_abi::message::SIZE]>;
    /// Rings a thread of this core.
    fn ring(&mut self, thread: u32);
    /// Takes back a doorbell that rang here.
    fn silence(&mut self);
    /// One spin at low priority.
    fn relax(&mut self);
    /// Spins of a wait: at least one, at most `most`; gives how many. One, unless the machine knows
    /// that those in between would find nothing new, as a model can.
    fn relax_up_to(&mut self, most: u64) -> u64 {
        let _ = most;
        self.relax();
        1
    }
    /// Opens or closes interrupts; gives what they were.
    fn set_interrupts(&mut self, open: bool) -> bool;
}
