//! Threads between the firmware and the OS: held, started, set up, taken back.
//!
//! A thread that waits in the firmware has one order at most. It is given by a call of the OS on
//! another thread, and carried out by the waiting thread itself, in [`attend`].

use crate::budget::Budget;
use crate::hardware::{Hardware, Pir};
use crate::hmi;
use crate::opal::OsEntry;
use crate::platform::{Generation, MAX_THREADS};
use crate::system::{Participation, System};
use core::sync::atomic::{AtomicU64, Ordering};
use opal_abi::{OpalError, reinit_flags};
use power_registers::hid0;

/// Longest wait for a thread that sets itself up; a virtual one may be kept from running for long.
const SET_UP_MICROSECONDS: u64 = 10_000_000;

/// How the threads are to be set up for an OS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes(u64);

impl Modes {
    /// The modes that flags of `OPAL_REINIT_CPUS` ask for.
    ///
    /// # Errors
    /// `Unsupported` for flags that this generation does not have, `Parameter` for both
    /// endiannesses at once.
    pub fn from_flags(generation: Generation, flags: u64) -> Result<Self, OpalError> {
        const ENDIANNESS: u64 = reinit_flags::BIG_ENDIAN | reinit_flags::LITTLE_ENDIAN;
        const MMU: u64 = reinit_flags::HASH | reinit_flags::RADIX;
        let known = match generation {
            Generation::Power8 => ENDIANNESS,
            Generation::Power9 | Generation::Power10 => ENDIANNESS | MMU,
        };
        if flags & !known != 0 {
            return Err(OpalError::Unsupported);
        }
        if flags & ENDIANNESS == ENDIANNESS {
            return Err(OpalError::Parameter);
        }
        Ok(Self(flags))
    }

    /// HID0 in these modes; what they do not speak of stays. An OS that can do both kinds of MMU
    /// gets radix.
    #[must_use]
    pub const fn hid0(self, generation: Generation, value: u64) -> u64 {
        let bits = bits(generation);
        let mut value = value;
        if self.0 & reinit_flags::LITTLE_ENDIAN != 0 {
            value |= bits.little_endian_interrupts;
        }
        if self.0 & reinit_flags::BIG_ENDIAN != 0 {
            value &= !bits.little_endian_interrupts;
        }
        if self.0 & reinit_flags::RADIX != 0 {
            value |= bits.radix;
        } else if self.0 & reinit_flags::HASH != 0 {
            value &= !bits.radix;
        }
        value
    }

    fn apply<H: Hardware>(self, hw: &mut H, generation: Generation) {
        let value = hw.hid0();
        hw.set_hid0(self.hid0(generation, value));
    }
}

/// The bits of HID0 on a generation.
#[must_use]
pub const fn bits(generation: Generation) -> hid0::Hid0Bits {
    match generation {
        Generation::Power8 => hid0::POWER8,
        Generation::Power9 => hid0::POWER9,
        Generation::Power10 => hid0::POWER10,
    }
}

/// What a waiting thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Go to the OS, at this address.
    Start(u64),
    /// Set yourself up.
    SetUp(Modes),
}

impl Order {
    /// As a word: instructions are aligned, so the lowest two bits tell the orders apart.
    const fn to_word(self) -> u64 {
        match self {
            Self::Start(address) => address | 1,
            Self::SetUp(Modes(flags)) => flags << 2 | 2,
        }
    }

    const fn from_word(word: u64) -> Option<Self> {
        match word & 3 {
            1 => Some(Self::Start(word & !3)),
            2 => Some(Self::SetUp(Modes(word >> 2))),
            _ => None,
        }
    }
}

/// The orders of all threads.
#[derive(Debug)]
pub struct Processors {
    orders: [AtomicU64; MAX_THREADS],
}

impl Processors {
    /// Nobody has an order.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            orders: [const { AtomicU64::new(0) }; MAX_THREADS],
        }
    }
}

impl Default for Processors {
    fn default() -> Self {
        Self::new()
    }
}

fn order_of<'s>(system: &'s System<'_>, pir: Pir) -> Option<&'s AtomicU64> {
    let index = system.platform.thread_index(pir)?;
    system.processors.orders.get(index)
}

/// Whether the OS can use a thread, in the numbers of the ABI; `None` if there is no such thread.
#[must_use]
pub fn status(system: &System<'_>, pir: Pir) -> Option<u8> {
    use opal_abi::cpu_status::{INACTIVE, STARTED, UNAVAILABLE};
    let order = order_of(system, pir)?.load(Ordering::Acquire);
    Some(match system.participation(pir)? {
        Participation::Absent => UNAVAILABLE,
        Participation::Running => STARTED,
        Participation::FirmwareIdle => match Order::from_word(order) {
            Some(Order::Start(_)) => STARTED,
            _ => INACTIVE,
        },
    })
}

/// Has a waiting thread go to the OS.
///
/// # Errors
/// `Parameter` if there is no such thread, `WrongState` if it does not wait.
pub fn start<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    pir: Pir,
    entry: OsEntry,
) -> Result<(), OpalError> {
    let order = order_of(system, pir).ok_or(OpalError::Parameter)?;
    give(hw, system, pir, order, Order::Start(entry.number()))
}

fn give<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    pir: Pir,
    place: &AtomicU64,
    order: Order,
) -> Result<(), OpalError> {
    if system.participation(pir) != Some(Participation::FirmwareIdle) {
        return Err(OpalError::WrongState);
    }
    place
        .compare_exchange(0, order.to_word(), Ordering::AcqRel, Ordering::Acquire)
        .map_err(|_| OpalError::WrongState)?;
    hw.wake(pir);
    Ok(())
}

/// Sets up the calling thread and all that wait.
///
/// # Errors
/// `WrongState`, with nothing changed, while another thread belongs to the OS: it could take an
/// interrupt in between. `Hardware` if a thread does not answer.
pub fn set_up_all<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    modes: Modes,
) -> Result<(), OpalError> {
    let own = hw.pir();
    let others = || {
        let cores = system.platform.cores.iter();
        cores
            .flat_map(|core| core.threads.iter().copied())
            .filter(move |pir| *pir != own)
    };
    if others().any(|pir| status(system, pir) == Some(opal_abi::cpu_status::STARTED)) {
        return Err(OpalError::WrongState);
    }
    let waiting =
        || others().filter(|pir| system.participation(*pir) == Some(Participation::FirmwareIdle));
    for pir in waiting() {
        if let Some(place) = order_of(system, pir) {
            give(hw, system, pir, place, Order::SetUp(modes))?;
        }
    }
    modes.apply(hw, system.platform.generation);
    let mut patience: Budget = system.budget(SET_UP_MICROSECONDS, 1_000);
    for pir in waiting() {
        let Some(place) = order_of(system, pir) else {
            continue;
        };
        while place.load(Ordering::Acquire) != 0 {
            patience.spin(hw).map_err(|_| OpalError::Hardware)?;
        }
    }
    Ok(())
}

/// Handles a maintenance interrupt that waits on a thread in the firmware. Interrupts are closed
/// there, so nothing else takes it; and where a whole core waits, nobody summons its threads.
pub fn take_interrupt<H: Hardware>(hw: &mut H, system: &System<'_>) {
    let enabled = hw.hmeer();
    if hw.hmer().intersects(enabled) {
        hmi::handle(hw, system);
    }
}

/// What a waiting thread does in each turn of its loop: comes to a meeting of its core, or carries
/// out its order. Gives the address in the OS where it has to go; then it belongs to the OS.
pub fn attend<H: Hardware>(hw: &mut H, system: &System<'_>) -> Option<u64> {
    let pir = hw.pir();
    if system.summoned(pir) {
        hmi::handle(hw, system);
    }
    let place = order_of(system, pir)?;
    match Order::from_word(place.load(Ordering::Acquire))? {
        Order::SetUp(modes) => {
            modes.apply(hw, system.platform.generation);
            place.store(0, Ordering::Release);
            None
        }
        Order::Start(address) => {
            // From here on its core's meetings expect it with an HMI of its own. One that began
            // before has summoned it, and must not wait in vain.
            system.set_participation(pir, Participation::Running);
            if system.summoned(pir) {
                hmi::handle(hw, system);
            }
            place.store(0, Ordering::Release);
            Some(address)
        }
    }
}

// Not under loom: its words cannot be shared by threads of the host.
#[cfg(all(test, not(loom)))]
mod tests;
