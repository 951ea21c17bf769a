//! The console: the UART on the LPC bus and the memory console behind it.
//!
//! Log lines and the OS's console calls share the UART, so a lock is held around each. The wait
//! for it is bounded; a thread that interrupted its own earlier call, or that is about to stop the
//! machine, says so with its [`Patience`]. The memory console gets log lines at any rate, and the
//! OS's output only where no UART is.

mod port;

use crate::budget::{Budget, lock_within};
use crate::hardware::Hardware;
use crate::logging::{Level, Line, MEMORY_LEVEL, UART_LEVEL};
use crate::lpc::{Lpc, LpcError};
use crate::memory_console::Writer;
use crate::platform::Platform;
use crate::xscom::Xscom;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use lpc_uart::{Uart, UartError};
use port::Port;
use spin::{Mutex, MutexGuard};

/// Longest wait for another thread's output: a log line takes 28 ms at 115200 baud.
const LOCK_SPINS: u64 = 5_000_000;
/// Reads of the line status until the transmitter is given up; one takes about a microsecond.
const UART_POLLS: u32 = 100_000;
/// Bytes that the console takes at once where no UART is.
const MEMORY_ROOM: usize = 1024;

/// How to deal with a UART that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Wait, with a bound.
    Wait,
    /// Do not wait: the holder may be this thread itself, interrupted.
    Try,
    /// Write in any case, even into somebody's line: there is no later. Only for log lines of a
    /// machine that stops.
    LastWords,
}

/// Why the console did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleError {
    /// Another thread holds the UART.
    Held,
    /// No UART answers.
    Absent,
    /// The bus failed.
    Lpc(LpcError),
}

#[derive(Debug)]
struct State {
    /// The UART was initialised.
    ready: bool,
    /// The transmitter did not drain last time: nobody waits for it again until it has.
    stalled: bool,
    /// The UART told of input, and keeps quiet until it is read.
    hushed: bool,
}

/// The console of the machine.
#[derive(Debug)]
pub struct Console<'a> {
    memory: Option<Writer<'a>>,
    lpc: Lpc,
    uart: Mutex<State>,
    /// The UART belongs to the OS: log lines stay in memory.
    given_away: AtomicBool,
    lost_lines: AtomicU64,
}

impl<'a> Console<'a> {
    /// A console that writes to the memory console alone, until [`Self::initialise`].
    #[must_use]
    pub const fn new(memory: Option<Writer<'a>>) -> Self {
        Self {
            memory,
            lpc: Lpc::new(),
            uart: Mutex::new(State {
                ready: false,
                stalled: false,
                hushed: false,
            }),
            given_away: AtomicBool::new(false),
            lost_lines: AtomicU64::new(0),
        }
    }

    /// Sets up the UART; from now on output goes there.
    ///
    /// # Errors
    /// [`ConsoleError`]; the memory console stays in use.
    pub fn initialise<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
    ) -> Result<(), ConsoleError> {
        let mut state = self.lock(hw, Patience::Wait)?;
        let mut port = Port::new(hw, platform, xscom, &self.lpc);
        let initialised = Uart::new(&mut port, UART_POLLS).initialise();
        port.outcome(initialised)?;
        *state = State {
            ready: true,
            stalled: false,
            hushed: false,
        };
        Ok(())
    }

    /// From now on log lines go to memory only: what the UART shows is the OS's.
    pub fn give_away(&self) {
        self.given_away.store(true, Ordering::Release);
    }

    /// The LPC bus, for the BMC.
    #[must_use]
    pub const fn lpc(&self) -> &Lpc {
        &self.lpc
    }

    /// Log lines that did not reach the UART.
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.lost_lines.load(Ordering::Relaxed)
    }

    /// Writes the OS's output as it is; returns how many bytes were taken. Fewer than given means
    /// that the UART does not get rid of them.
    ///
    /// # Errors
    /// [`ConsoleError`].
    pub fn write<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        bytes: &[u8],
        patience: Patience,
    ) -> Result<usize, ConsoleError> {
        let mut state = self.lock(hw, patience)?;
        if !state.ready {
            if let Some(memory) = self.memory {
                memory.write(bytes);
            }
            return Ok(bytes.len());
        }
        let mut port = Port::new(hw, platform, xscom, &self.lpc);
        port.send(bytes, &mut state.stalled)
    }

    /// Takes input; returns how many bytes came. Does not wait for any.
    ///
    /// # Errors
    /// [`ConsoleError`].
    pub fn read<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        into: &mut [u8],
        patience: Patience,
    ) -> Result<usize, ConsoleError> {
        let mut state = self.lock(hw, patience)?;
        if !state.ready {
            return Ok(0);
        }
        let mut port = Port::new(hw, platform, xscom, &self.lpc);
        let mut uart = Uart::new(&mut port, UART_POLLS);
        let mut read = uart.read(into);
        if state.hushed && read.is_ok_and(|count| count < into.len()) {
            // Everything is read. A byte that came meanwhile interrupts at once.
            let told = uart.announce_input(true);
            state.hushed = told.is_err();
            read = told.and(read);
        }
        port.outcome(read)
    }

    /// From now on the UART interrupts when input comes.
    ///
    /// # Errors
    /// [`ConsoleError`]; [`ConsoleError::Absent`] if there is none.
    pub fn announce_input<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
    ) -> Result<(), ConsoleError> {
        let absent = Err(UartError::Absent);
        let mut told = absent;
        self.with_uart(hw, platform, xscom, Patience::Wait, (), |uart| {
            told = uart.announce_input(true);
            told
        })?;
        told.map_err(|UartError::Absent| ConsoleError::Absent)
    }

    /// Has the UART interrupt no more until somebody has read all input. A UART that is held stays as it
    /// is, and interrupts again.
    pub(crate) fn hush<H: Hardware>(&self, hw: &mut H, platform: &Platform, xscom: &Xscom) {
        if let Ok(mut state) = self.lock(hw, Patience::Wait)
            && state.ready
        {
            let mut port = Port::new(hw, platform, xscom, &self.lpc);
            let told = Uart::new(&mut port, UART_POLLS).announce_input(false);
            state.hushed |= told.is_ok();
        }
    }

    /// Bytes that [`Self::write`] takes without waiting.
    ///
    /// # Errors
    /// [`ConsoleError`].
    pub fn room<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        patience: Patience,
    ) -> Result<usize, ConsoleError> {
        self.with_uart(hw, platform, xscom, patience, MEMORY_ROOM, |uart| {
            uart.room()
        })
    }

    /// Waits until all that was written is sent; whether it is.
    ///
    /// # Errors
    /// [`ConsoleError`].
    pub fn flush<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        patience: Patience,
    ) -> Result<bool, ConsoleError> {
        self.with_uart(hw, platform, xscom, patience, true, |uart| uart.flush())
    }

    /// Whether input waits.
    ///
    /// # Errors
    /// [`ConsoleError`].
    pub fn input_waits<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        patience: Patience,
    ) -> Result<bool, ConsoleError> {
        self.with_uart(hw, platform, xscom, patience, false, |uart| {
            uart.input_waits()
        })
    }

    /// Writes a log line: to the memory console, and to the UART if the level is for people. A
    /// line that the UART does not take is counted, not repeated.
    pub fn log<H: Hardware>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        level: Level,
        patience: Patience,
        message: fmt::Arguments<'_>,
    ) {
        let line = Line::new(hw.timebase(), level, message);
        if let Some(memory) = self.memory
            && level.number() <= MEMORY_LEVEL
        {
            memory.write(line.as_str().as_bytes());
        }
        let silent = self.given_away.load(Ordering::Acquire) && patience != Patience::LastWords;
        if silent || level.number() > UART_LEVEL {
            return;
        }
        let mut alone = State {
            ready: true,
            stalled: false,
            hushed: false,
        };
        let mut guard = self.lock(hw, patience);
        let state = match &mut guard {
            Ok(state) => &mut **state,
            Err(_) if patience == Patience::LastWords => &mut alone,
            Err(_) => {
                self.lost_lines.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        if !state.ready {
            return;
        }
        let mut port = Port::new(hw, platform, xscom, &self.lpc);
        if !port.send_lines(line.as_str(), &mut state.stalled) {
            self.lost_lines.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Works on the UART, or answers `without` where there is none.
    fn with_uart<H: Hardware, T>(
        &self,
        hw: &mut H,
        platform: &Platform,
        xscom: &Xscom,
        patience: Patience,
        without: T,
        work: impl FnOnce(&mut Uart<&mut Port<'_, H>>) -> Result<T, UartError>,
    ) -> Result<T, ConsoleError> {
        let state = self.lock(hw, patience)?;
        if !state.ready {
            return Ok(without);
        }
        let mut port = Port::new(hw, platform, xscom, &self.lpc);
        let result = work(&mut Uart::new(&mut port, UART_POLLS));
        port.outcome(result)
    }

    fn lock<H: Hardware>(
        &self,
        hw: &mut H,
        patience: Patience,
    ) -> Result<MutexGuard<'_, State>, ConsoleError> {
        let spins = if patience == Patience::Try {
            0
        } else {
            LOCK_SPINS
        };
        lock_within(hw, &self.uart, Budget::spins(spins)).map_err(|_| ConsoleError::Held)
    }
}
