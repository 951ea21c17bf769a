//! The interrupt controller of the machine, if it is one that is served: XIVE of POWER9, XIVE2 of POWER10.
//!
//! It is brought up before an OS gets the machine, and configured by the OS's calls from then on. The
//! path of an HMI never comes here: its lock may be held by a thread that stands still.

mod door;
mod serial;

use crate::budget::Budget;
use crate::console::Console;
use crate::hardware::Hardware;
use crate::lock::Lock;
use crate::platform::{Generation, LpcBus, Platform};
use crate::system::System;
use crate::xscom::Xscom;
use core::fmt;
use door::Door;
use power_registers::xive::psi;
use spin::MutexGuard;
use xive_controller::{BringUpError, Controller, Interrupt, Machine};

pub use xive_controller::{ChipMemory, MAX_CHIPS, TABLE_BYTES, TABLE_WORDS};

/// Longest wait for a call of another thread. One that resets takes a while, and a virtual thread may be
/// kept from running in the middle.
const PATIENCE_MICROSECONDS: u64 = 5_000_000;
/// Fewest spins of it.
const LEAST_SPINS: u64 = 100_000;

/// Why the machine's interrupt controller is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// POWER8 has another one, which needs no firmware.
    Generation(Generation),
    /// More chips than there is memory for.
    Chips(usize),
    /// The UART's bus is on none of the chips.
    SerialBus,
    /// It could not be brought up.
    BringUp(BringUpError),
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generation(generation) => write!(f, "not known on {generation}"),
            Self::Chips(count) => write!(f, "{count} chips, at most {MAX_CHIPS} are served"),
            Self::SerialBus => write!(f, "the LPC bus is on none of the chips"),
            Self::BringUp(why) => why.fmt(f),
        }
    }
}

/// The controllers that machines of a generation have, if they are served.
pub(crate) const fn served(platform: &Platform) -> Option<xive_controller::Generation> {
    match platform.generation {
        Generation::Power8 => None,
        Generation::Power9 => Some(xive_controller::Generation::First),
        Generation::Power10 => Some(xive_controller::Generation::Second),
    }
}

/// The controller and what it serves.
pub struct Interrupts<'m> {
    controller: Lock<Controller<'m>>,
    /// The interrupt of the console's UART.
    uart: Interrupt,
    lpc_base: u64,
}

impl fmt::Debug for Interrupts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupts")
            .field("uart", &self.uart)
            .finish_non_exhaustive()
    }
}

impl<'m> Interrupts<'m> {
    /// Brings up the controllers of a machine, with memory for the tables of each chip.
    ///
    /// # Errors
    /// [`Unserved`]; then no interrupt is delivered.
    pub fn bring_up<H: Hardware>(
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        memory: &[ChipMemory<'m>],
    ) -> Result<Self, Unserved> {
        let generation = served(platform).ok_or(Unserved::Generation(platform.generation))?;
        if platform.chips.len() > memory.len() {
            return Err(Unserved::Chips(platform.chips.len()));
        }
        let stride = generation.chip_stride();
        let (uart, lpc_base) = uart_interrupt(platform, stride).ok_or(Unserved::SerialBus)?;
        let mut door = Door {
            hw,
            platform,
            xscom,
        };
        let threads = platform.cores.iter().flat_map(|core| &core.threads);
        let machine = Machine {
            generation,
            fused: platform.cores.iter().any(|core| core.fused),
        };
        let threads = threads.map(|pir| pir.0);
        let controller =
            Controller::bring_up(&mut door, machine, memory, threads).map_err(Unserved::BringUp)?;
        serial::collect(hw, lpc_base);
        Ok(Self {
            controller: Lock::new(controller),
            uart,
            lpc_base,
        })
    }
}

/// The interrupt of the UART, and the window of its bus.
fn uart_interrupt(platform: &Platform, stride: u64) -> Option<(Interrupt, u64)> {
    /// The LPC bus of chip 0.
    const FIRST_BUS: u64 = 0x6_0300_0000_0000;
    let LpcBus::Mapped { base } = platform.lpc else {
        return None;
    };
    let bus_of = |block: u32| FIRST_BUS + stride * u64::from(block);
    let mut chips = platform.chips.iter().map(|chip| chip.id.0);
    let block = chips.find(|block| bus_of(*block) == base)?;
    let line = psi::UART;
    Some((Interrupt::Psi { block, line }, base))
}

impl<'m> Interrupts<'m> {
    /// The number of the interrupt that tells of input on the console.
    #[must_use]
    pub const fn uart(&self) -> u32 {
        self.uart.number()
    }

    /// The chip that it comes from.
    #[must_use]
    pub const fn uart_chip(&self) -> u32 {
        match self.uart {
            Interrupt::Software { block, .. }
            | Interrupt::Psi { block, .. }
            | Interrupt::Escalation { block, .. } => block,
        }
    }

    /// The controller, for one call.
    pub(crate) fn lock<H: Hardware>(
        &self,
        hw: &mut H,
        system: &System<'_>,
    ) -> Option<MutexGuard<'_, Controller<'m>>> {
        let budget: Budget = system.budget(PATIENCE_MICROSECONDS, LEAST_SPINS);
        let taken = self.controller.lock_within(hw, budget);
        taken.ok().map(|(controller, _)| controller)
    }

    /// Quiets the UART until the OS has read what came. Then the level goes away, and with it the
    /// interrupt; whoever reads makes the UART tell of the next byte.
    pub(crate) fn serve_uart<H: Hardware>(
        &self,
        hw: &mut H,
        system: &System<'_>,
        console: &Console<'_>,
    ) {
        console.hush(hw, system.platform, &system.xscom);
        serial::clear(hw, self.lpc_base);
    }
}

/// Has the calling thread take interrupts, all of them waiting until the OS lets them through.
pub fn open_thread<H: Hardware>(hw: &mut H, system: &System<'_>) {
    let mut door = Door {
        hw,
        platform: system.platform,
        xscom: &system.xscom,
    };
    xive_controller::open_thread(&mut door);
}

/// A door for a call, around the hardware of its thread.
pub(crate) const fn door<'d, H>(hw: &'d mut H, system: &'d System<'_>) -> Door<'d, H> {
    Door {
        hw,
        platform: system.platform,
        xscom: &system.xscom,
    }
}
