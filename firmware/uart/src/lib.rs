//! A driver for the 16550 UART that POWER machines have on their LPC bus.
//!
//! It is polled, needs no clock, and never waits without bound: each wait is a number of reads of
//! the line status register. How a register is reached (memory-mapped LPC, or the indirect LPC
//! access of POWER8) is the caller's matter; see [`Registers`].
//!
//! ```
//! # struct Wire(Vec<u8>);
//! # impl lpc_uart::Registers for Wire {
//! #     fn read(&mut self, register: u8) -> u8 { if register == 5 { 0x60 } else { 0 } }
//! #     fn write(&mut self, register: u8, value: u8) { if register == 0 { self.0.push(value) } }
//! # }
//! # let mut wire = Wire(Vec::new());
//! let mut uart = lpc_uart::Uart::new(&mut wire, 100);
//! assert_eq!(uart.write(b"hello"), Ok(5));
//! # assert_eq!(wire.0, b"hello");
//! ```
#![no_std]
#![forbid(unsafe_code)]

/// The eight registers of the UART.
pub trait Registers {
    /// Reads register 0..=7.
    fn read(&mut self, register: u8) -> u8;
    /// Writes register 0..=7.
    fn write(&mut self, register: u8, value: u8);
}

impl<R: Registers> Registers for &mut R {
    fn read(&mut self, register: u8) -> u8 {
        (**self).read(register)
    }

    fn write(&mut self, register: u8, value: u8) {
        (**self).write(register, value);
    }
}

/// Why the UART cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartError {
    /// Nobody answers: the line status reads as all ones, or the line control does not keep what
    /// is written.
    Absent,
}

impl core::fmt::Display for UartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Absent => f.write_str("no UART answers at this address"),
        }
    }
}

/// Frequency of the UART's input clock, in Hz.
pub const CLOCK_HZ: u32 = 1_843_200;
/// Speed of the line, in baud.
pub const BAUD: u32 = 115_200;
/// Bytes that the transmitter takes once it has reported that it is empty.
pub const FIFO_BYTES: usize = 16;

const DIVISOR: [u8; 2] = divisor(CLOCK_HZ, BAUD).to_le_bytes();

/// The divisor latch for a speed: the UART samples each bit 16 times.
#[must_use]
pub const fn divisor(clock_hz: u32, baud: u32) -> u16 {
    (clock_hz / (16 * baud)) as u16
}

/// Register numbers; some have another meaning while [`LINE_CONTROL_DIVISOR`] is set.
mod register {
    /// Receive buffer (read) and transmit holding (write); divisor low.
    pub(super) const DATA: u8 = 0;
    /// Interrupt enable; divisor high.
    pub(super) const INTERRUPT_ENABLE: u8 = 1;
    pub(super) const FIFO_CONTROL: u8 = 2;
    pub(super) const LINE_CONTROL: u8 = 3;
    pub(super) const MODEM_CONTROL: u8 = 4;
    pub(super) const LINE_STATUS: u8 = 5;
}

/// Registers 0 and 1 are the divisor latch.
const LINE_CONTROL_DIVISOR: u8 = 0x80;
/// 8 data bits, no parity, 1 stop bit.
const LINE_CONTROL_8N1: u8 = 0x03;
/// FIFOs on, both emptied.
const FIFO_ON_AND_CLEAR: u8 = 0x07;
/// "Terminal ready" and "request to send", for a peer that looks at them.
const MODEM_READY: u8 = 0x03;
/// A received byte waits.
const STATUS_DATA_READY: u8 = 0x01;
/// Interrupts for received bytes.
const ENABLE_RECEIVED: u8 = 0x01;
/// The transmit FIFO is empty.
const STATUS_TRANSMIT_EMPTY: u8 = 0x20;
/// What an empty bus reads as.
const NOBODY: u8 = 0xff;

/// The UART behind some registers.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
    polls: u32,
}

impl<R: Registers> Uart<R> {
    /// The UART behind `registers`; each wait reads the line status at most `polls` times.
    ///
    /// At 115200 baud a full FIFO needs 1.4 ms to drain.
    pub const fn new(registers: R, polls: u32) -> Self {
        Self { registers, polls }
    }

    /// Sets speed, format and FIFOs. What was received before is dropped.
    ///
    /// # Errors
    /// [`UartError::Absent`].
    pub fn initialise(&mut self) -> Result<(), UartError> {
        self.status()?;
        let registers = &mut self.registers;
        registers.write(
            register::LINE_CONTROL,
            LINE_CONTROL_DIVISOR | LINE_CONTROL_8N1,
        );
        registers.write(register::DATA, DIVISOR[0]);
        registers.write(register::INTERRUPT_ENABLE, DIVISOR[1]);
        registers.write(register::LINE_CONTROL, LINE_CONTROL_8N1);
        if registers.read(register::LINE_CONTROL) != LINE_CONTROL_8N1 {
            return Err(UartError::Absent);
        }
        registers.write(register::INTERRUPT_ENABLE, 0);
        registers.write(register::FIFO_CONTROL, FIFO_ON_AND_CLEAR);
        registers.write(register::MODEM_CONTROL, MODEM_READY);
        self.status().map(|_| ())
    }

    /// Sends bytes as they are; returns how many were taken. Fewer than given means that the
    /// transmitter stayed busy for the whole allowance of polls.
    ///
    /// # Errors
    /// [`UartError::Absent`], when it is seen before the first byte.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, UartError> {
        let mut written = 0;
        for burst in bytes.chunks(FIFO_BYTES) {
            match self.wait_for_room() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if written == 0 => return Err(error),
                Err(_) => break,
            }
            for byte in burst {
                self.registers.write(register::DATA, *byte);
            }
            written += burst.len();
        }
        Ok(written)
    }

    /// Takes received bytes; returns how many. Does not wait.
    ///
    /// # Errors
    /// [`UartError::Absent`], when it is seen before the first byte.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, UartError> {
        for (count, place) in into.iter_mut().enumerate() {
            match self.input_waits() {
                Ok(true) => *place = self.registers.read(register::DATA),
                Ok(false) => return Ok(count),
                Err(error) if count == 0 => return Err(error),
                Err(_) => return Ok(count),
            }
        }
        Ok(into.len())
    }

    /// Has the UART interrupt for received bytes, or not.
    ///
    /// # Errors
    /// [`UartError::Absent`].
    pub fn announce_input(&mut self, on: bool) -> Result<(), UartError> {
        self.status()?;
        let enabled = if on { ENABLE_RECEIVED } else { 0 };
        self.registers.write(register::INTERRUPT_ENABLE, enabled);
        Ok(())
    }

    /// Bytes that [`Self::write`] takes now without waiting.
    ///
    /// # Errors
    /// [`UartError::Absent`].
    pub fn room(&mut self) -> Result<usize, UartError> {
        let empty = self.status()? & STATUS_TRANSMIT_EMPTY != 0;
        Ok(if empty { FIFO_BYTES } else { 0 })
    }

    /// Whether a received byte waits.
    ///
    /// # Errors
    /// [`UartError::Absent`].
    pub fn input_waits(&mut self) -> Result<bool, UartError> {
        Ok(self.status()? & STATUS_DATA_READY != 0)
    }

    /// Waits until the transmitter is empty; whether it is.
    ///
    /// # Errors
    /// [`UartError::Absent`].
    pub fn flush(&mut self) -> Result<bool, UartError> {
        self.wait_for_room()
    }

    fn wait_for_room(&mut self) -> Result<bool, UartError> {
        for _ in 0..self.polls {
            if self.status()? & STATUS_TRANSMIT_EMPTY != 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn status(&mut self) -> Result<u8, UartError> {
        match self.registers.read(register::LINE_STATUS) {
            NOBODY => Err(UartError::Absent),
            status => Ok(status),
        }
    }
}
