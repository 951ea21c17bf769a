//! The hardware as one thread sees it: the only door through which the logic of this crate acts.
//!
//! On the machine, `boot` implements it with instructions; on the host, the hardware model does.
//! Units and semantics are the architecture's; nothing here waits.

use core::fmt;
use power_registers::{Hmer, Tfmr};

/// Processor Identification Register: the number of a hardware thread in the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pir(pub u32);

/// Number of a processor chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChipId(pub u32);

impl fmt::Display for Pir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PIR {:#x}", self.0)
    }
}

impl fmt::Display for ChipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chip {}", self.0)
    }
}

/// What one thread can do to the hardware.
pub trait Hardware {
    /// PIR of this thread.
    fn pir(&self) -> Pir;
    /// `mfspr TFMR`.
    fn tfmr(&mut self) -> Tfmr;
    /// `mtspr TFMR`, with the context synchronisation that it needs.
    fn set_tfmr(&mut self, value: Tfmr);
    /// `mfspr HMER`.
    fn hmer(&mut self) -> Hmer;
    /// `mtspr HMER`: keeps the bits in `keep`, clears all others (the register ANDs).
    fn and_hmer(&mut self, keep: u64);
    /// `mfspr HMEER`.
    fn hmeer(&mut self) -> Hmer;
    /// `mtspr HMEER`.
    fn set_hmeer(&mut self, value: Hmer);
    /// `mfspr HID0`.
    fn hid0(&mut self) -> u64;
    /// `mtspr HID0`, with what the register needs around it. Threads of a core share it.
    fn set_hid0(&mut self, value: u64);
    /// `mftb`, in ticks of 512 MHz.
    fn timebase(&mut self) -> u64;
    /// `mttbl`: the lower 32 bits. An error while TB is RUNNING.
    fn set_timebase_lower(&mut self, value: u32);
    /// `mttbu`: the upper 32 bits.
    fn set_timebase_upper(&mut self, value: u32);
    /// `mtspr DEC`.
    fn set_decrementer(&mut self, value: u64);
    /// `mtspr HDEC`.
    fn set_hypervisor_decrementer(&mut self, value: u64);
    /// `mfspr PURR`.
    fn purr(&mut self) -> u64;
    /// `mfspr SPURR`.
    fn spurr(&mut self) -> u64;
    /// `mtspr PURR`.
    fn set_purr(&mut self, value: u64);
    /// `mtspr SPURR`.
    fn set_spurr(&mut self, value: u64);
    /// Cache-inhibited load of a doubleword from a real address.
    fn load(&mut self, address: u64) -> u64;
    /// Cache-inhibited store of a doubleword to a real address.
    fn store(&mut self, address: u64, value: u64);
    /// Cache-inhibited load of two bytes from a real address.
    fn load_half_word(&mut self, address: u64) -> u16;
    /// Cache-inhibited load of four bytes from a real address.
    fn load_word(&mut self, address: u64) -> u32;
    /// Cache-inhibited store of four bytes to a real address.
    fn store_word(&mut self, address: u64, value: u32);
    /// Cache-inhibited load of a byte from a real address.
    fn load_byte(&mut self, address: u64) -> u8;
    /// Cache-inhibited store of a byte to a real address.
    fn store_byte(&mut self, address: u64, value: u8);
    /// Makes a thread that waits in the firmware look for what it has to do.
    fn wake(&mut self, thread: Pir);
    /// One spin of a wait: lowers the thread's priority for a moment.
    fn relax(&mut self);
    /// Spins of a wait: at least one, at most `most`; gives how many. One, unless the machine knows
    /// that those in between would find nothing new, as a model can.
    fn relax_up_to(&mut self, most: u64) -> u64 {
        let _ = most;
        self.relax();
        1
    }
}
