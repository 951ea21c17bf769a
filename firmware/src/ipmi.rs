//! Asks the BMC: power down or reset (IPMI chassis control), and the time of day (the clock of its
//! event log). Requests go over the BT interface on the LPC bus. Every wait is bounded.

use crate::budget::{Budget, Expired, lock_within};
use crate::hardware::Hardware;
use crate::lpc::{Lpc, LpcError};
use crate::platform::Platform;
use crate::xscom::Xscom;

/// Control register of the BT interface.
const CONTROL: u16 = 0xe4;
/// Data register of the BT interface.
const DATA: u16 = 0xe5;

/// Write: begin a request in the buffer.
const CLEAR_WRITE_POINTER: u8 = 0x01;
/// Write: begin reading the answer.
const CLEAR_READ_POINTER: u8 = 0x02;
/// A request waits for the BMC.
const HOST_TO_BMC: u8 = 0x04;
/// An answer waits for the host; writing it takes the answer.
const BMC_TO_HOST: u8 = 0x08;
/// The host reads; writing it toggles.
const HOST_BUSY: u8 = 0x40;
/// The BMC works.
const BMC_BUSY: u8 = 0x80;
/// What an empty port reads as.
const NOBODY: u8 = 0xff;

/// A request, by its network function and command.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// In the place that BT has for it: above the number of a part of the BMC, which is 0.
    function: u8,
    command: u8,
}

const CHASSIS_CONTROL: Request = Request {
    function: 0x00 << 2,
    command: 0x02,
};
const GET_LOG_TIME: Request = Request {
    function: 0x0a << 2,
    command: 0x48,
};
const SET_LOG_TIME: Request = Request {
    function: 0x0a << 2,
    command: 0x49,
};
/// Bit of the network function that makes an answer of a request.
const RESPONSE: u8 = 1 << 2;

/// Reads of the control register while the BMC makes up its mind; one takes about a microsecond.
const BMC_SPINS: u64 = 1_000_000;
/// Longest wait for another thread's dialogue.
const LOCK_SPINS: u64 = 10_000_000;

/// What to do with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChassisControl {
    /// Power off, at once.
    PowerDown = 0,
    /// Reset, without power cycle.
    HardReset = 3,
}

/// Why the BMC did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpmiError {
    /// No BMC answers on the bus.
    Absent,
    /// Another thread talks to the BMC and does not end.
    Held,
    /// The BMC does not take the request.
    Busy,
    /// The BMC took the request and does not answer. The machine may go down yet.
    NoAnswer,
    /// The BMC refused, with this completion code.
    Refused(u8),
    /// What came back is no answer to this request.
    Garbled,
    /// The bus failed.
    Lpc(LpcError),
}

impl From<LpcError> for IpmiError {
    fn from(error: LpcError) -> Self {
        Self::Lpc(error)
    }
}

/// Asks the BMC to power down or to reset, and waits for its consent.
///
/// # Errors
/// [`IpmiError`].
pub fn chassis_control<H: Hardware>(
    hw: &mut H,
    platform: &Platform,
    xscom: &Xscom,
    lpc: &Lpc,
    control: ChassisControl,
) -> Result<(), IpmiError> {
    let data = [control as u8];
    ask(hw, platform, xscom, lpc, CHASSIS_CONTROL, &data, &mut [])
}

/// The time of the BMC, in seconds since 1970.
///
/// # Errors
/// [`IpmiError`].
pub fn time<H: Hardware>(
    hw: &mut H,
    platform: &Platform,
    xscom: &Xscom,
    lpc: &Lpc,
) -> Result<u32, IpmiError> {
    let mut seconds = [0; 4];
    ask(hw, platform, xscom, lpc, GET_LOG_TIME, &[], &mut seconds)?;
    Ok(u32::from_le_bytes(seconds))
}

/// Sets the time of the BMC, in seconds since 1970.
///
/// # Errors
/// [`IpmiError`].
pub fn set_time<H: Hardware>(
    hw: &mut H,
    platform: &Platform,
    xscom: &Xscom,
    lpc: &Lpc,
    seconds: u32,
) -> Result<(), IpmiError> {
    let data = seconds.to_le_bytes();
    ask(hw, platform, xscom, lpc, SET_LOG_TIME, &data, &mut [])
}

/// Sends a request and fills `answer` with what comes behind the completion code: as many bytes as the
/// caller expects.
fn ask<H: Hardware>(
    hw: &mut H,
    platform: &Platform,
    xscom: &Xscom,
    lpc: &Lpc,
    request: Request,
    data: &[u8],
    answer: &mut [u8],
) -> Result<(), IpmiError> {
    let _dialogue = lock_within(hw, &lpc.bmc_dialogue, Budget::spins(LOCK_SPINS))
        .map_err(|_| IpmiError::Held)?;
    let mut interface = Interface {
        hw,
        platform,
        xscom,
        lpc,
    };
    interface.drop_stale_answer()?;
    interface.wait(BMC_BUSY | HOST_TO_BMC, 0, IpmiError::Busy)?;
    interface.control(CLEAR_WRITE_POINTER)?;
    // One dialogue at a time: any number will do with which an answer to another request shows.
    let first = data.first().copied().unwrap_or(0);
    let sequence = request.command.wrapping_add(first);
    let head = [request.function, sequence, request.command];
    interface.put((head.len() + data.len()) as u8)?;
    for byte in head.iter().chain(data) {
        interface.put(*byte)?;
    }
    interface.control(HOST_TO_BMC)?;
    interface.wait(BMC_TO_HOST, BMC_TO_HOST, IpmiError::NoAnswer)?;
    let head = interface.take_answer(answer)?;
    let [length, function, to, command, completion] = head;
    if [function, to, command] != [request.function | RESPONSE, sequence, request.command] {
        return Err(IpmiError::Garbled);
    }
    if completion != 0 {
        return Err(IpmiError::Refused(completion));
    }
    if usize::from(length) == head.len() - 1 + answer.len() {
        Ok(())
    } else {
        Err(IpmiError::Garbled)
    }
}

struct Interface<'a, H> {
    hw: &'a mut H,
    platform: &'a Platform,
    xscom: &'a Xscom,
    lpc: &'a Lpc,
}

impl<H: Hardware> Interface<'_, H> {
    fn status(&mut self) -> Result<u8, IpmiError> {
        match self.lpc.read(self.hw, self.platform, self.xscom, CONTROL)? {
            NOBODY => Err(IpmiError::Absent),
            status => Ok(status),
        }
    }

    fn control(&mut self, value: u8) -> Result<(), IpmiError> {
        Ok(self
            .lpc
            .write(self.hw, self.platform, self.xscom, CONTROL, value)?)
    }

    fn put(&mut self, value: u8) -> Result<(), IpmiError> {
        Ok(self
            .lpc
            .write(self.hw, self.platform, self.xscom, DATA, value)?)
    }

    fn get(&mut self) -> Result<u8, IpmiError> {
        Ok(self.lpc.read(self.hw, self.platform, self.xscom, DATA)?)
    }

    /// Waits until the bits in `mask` read as `value`.
    fn wait(&mut self, mask: u8, value: u8, otherwise: IpmiError) -> Result<(), IpmiError> {
        let mut waiting = Budget::spins(BMC_SPINS);
        while self.status()? & mask != value {
            waiting.spin(self.hw).map_err(|Expired { .. }| otherwise)?;
        }
        Ok(())
    }

    /// Takes an answer that an earlier owner of the interface left behind.
    fn drop_stale_answer(&mut self) -> Result<(), IpmiError> {
        if self.status()? & BMC_TO_HOST != 0 {
            self.take_answer(&mut [])?;
        }
        Ok(())
    }

    /// Length, network function, sequence number, command, and completion code; then data, into `data`.
    fn take_answer(&mut self, data: &mut [u8]) -> Result<[u8; 5], IpmiError> {
        if self.status()? & HOST_BUSY == 0 {
            self.control(HOST_BUSY)?;
        }
        self.control(BMC_TO_HOST)?;
        self.control(CLEAR_READ_POINTER)?;
        let mut head = [0; 5];
        for byte in head.iter_mut().chain(data) {
            *byte = self.get()?;
        }
        self.control(HOST_BUSY)?;
        Ok(head)
    }
}
