//! The way from the UART driver to the LPC bus.

use super::{ConsoleError, UART_POLLS};
use crate::hardware::Hardware;
use crate::lpc::{Lpc, LpcError};
use crate::platform::Platform;
use crate::xscom::Xscom;
use lpc_uart::{Registers, Uart, UartError};

/// The UART's registers on the LPC bus.
pub(super) struct Port<'p, H> {
    hw: &'p mut H,
    platform: &'p Platform,
    xscom: &'p Xscom,
    lpc: &'p Lpc,
    /// The first failure of the bus, which can take long to show; the driver sees it as a missing
    /// UART, and nothing more is tried.
    failure: Option<LpcError>,
}

impl<'p, H: Hardware> Port<'p, H> {
    pub(super) const fn new(
        hw: &'p mut H,
        platform: &'p Platform,
        xscom: &'p Xscom,
        lpc: &'p Lpc,
    ) -> Self {
        Self {
            hw,
            platform,
            xscom,
            lpc,
            failure: None,
        }
    }

    fn port(&self, register: u8) -> u16 {
        self.platform.uart_port.wrapping_add(register.into())
    }

    /// The driver's answer, with the failure of the bus instead of what it looked like.
    pub(super) fn outcome<T>(&self, result: Result<T, UartError>) -> Result<T, ConsoleError> {
        result.map_err(|UartError::Absent| {
            self.failure.map_or(ConsoleError::Absent, ConsoleError::Lpc)
        })
    }

    /// Sends bytes; one look at the transmitter must do while it is stalled.
    pub(super) fn send(&mut self, bytes: &[u8], stalled: &mut bool) -> Result<usize, ConsoleError> {
        let polls = if *stalled { 1 } else { UART_POLLS };
        let sent = Uart::new(&mut *self, polls).write(bytes);
        let sent = self.outcome(sent)?;
        *stalled = sent < bytes.len();
        Ok(sent)
    }

    /// Sends text with the line ends that terminals want; whether all of it was sent.
    pub(super) fn send_lines(&mut self, text: &str, stalled: &mut bool) -> bool {
        let mut all = |text: &str| self.send(text.as_bytes(), stalled) == Ok(text.len());
        text.split_inclusive('\n')
            .all(|line| match line.strip_suffix('\n') {
                Some(line) => all(line) && all("\r\n"),
                None => all(line),
            })
    }
}

impl<H: Hardware> Registers for Port<'_, H> {
    fn read(&mut self, register: u8) -> u8 {
        if self.failure.is_some() {
            return 0xff;
        }
        let port = self.port(register);
        self.lpc
            .read(self.hw, self.platform, self.xscom, port)
            .unwrap_or_else(|error| {
                self.failure.get_or_insert(error);
                0xff
            })
    }

    fn write(&mut self, register: u8, value: u8) {
        if self.failure.is_some() {
            return;
        }
        let port = self.port(register);
        if let Err(error) = self
            .lpc
            .write(self.hw, self.platform, self.xscom, port, value)
        {
            self.failure.get_or_insert(error);
        }
    }
}
