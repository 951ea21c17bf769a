//! One function for each call. Pointers are checked first; what cannot be undone comes last.

use super::{Context, OsMemory, Refusal};
use crate::console::ConsoleError;
use crate::hardware::Hardware;
use crate::hmi;
use crate::ipmi::{self, ChassisControl, IpmiError};
use crate::timebase;
use opal_abi::{OpalError, SUCCESS, events, message, reboot_type};

/// The only terminal.
const TERMINAL: u64 = 0;
/// Bytes that one call writes at most: 89 ms at 115200 baud. The OS repeats with the rest.
const WRITE_BYTES: u64 = 1024;
/// Bytes of output or input that are on the stack at once.
const CHUNK: usize = 64;

pub(super) type Answer = Result<i64, Refusal>;

impl From<ConsoleError> for Refusal {
    fn from(error: ConsoleError) -> Self {
        Self(match error {
            // The OS polls and tries again.
            ConsoleError::Held => OpalError::BusyEvent,
            ConsoleError::Absent => OpalError::Closed,
            ConsoleError::Lpc(_) => OpalError::Hardware,
        })
    }
}

impl From<IpmiError> for Refusal {
    fn from(error: IpmiError) -> Self {
        Self(match error {
            IpmiError::Held | IpmiError::Busy => OpalError::BusyEvent,
            IpmiError::Absent => OpalError::Unsupported,
            IpmiError::NoAnswer
            | IpmiError::Refused(_)
            | IpmiError::Garbled
            | IpmiError::Lpc(_) => OpalError::Hardware,
        })
    }
}

fn check_terminal(terminal: u64) -> Result<(), Refusal> {
    if terminal == TERMINAL {
        Ok(())
    } else {
        Err(OpalError::Parameter.into())
    }
}

/// `OPAL_CONSOLE_WRITE`.
#[inline(never)]
pub(super) fn console_write<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    terminal: u64,
    length: u64,
    buffer: u64,
) -> Answer {
    check_terminal(terminal)?;
    let length = context.pointers().word(length)?;
    let wanted = length.read(context.memory);
    let buffer = context.pointers().buffer(buffer, wanted)?;
    let patience = context.patience();
    let limit = wanted.min(WRITE_BYTES);
    let mut written = 0;
    while written < limit {
        let mut chunk = [0; CHUNK];
        let most = (limit - written).min(CHUNK as u64) as usize;
        let count = buffer.read(context.memory, written, &mut chunk[..most]);
        let taken = context.console.write(
            context.hardware,
            context.system.platform,
            &context.system.xscom,
            &chunk[..count],
            patience,
        );
        match taken {
            Ok(taken) => {
                written += taken as u64;
                if taken < count {
                    break;
                }
            }
            // What was written is reported; the next call meets the error again.
            Err(_) if written != 0 => break,
            Err(error) => {
                length.write(context.memory, 0);
                return Err(error.into());
            }
        }
    }
    length.write(context.memory, written);
    if written == 0 && wanted != 0 {
        Err(OpalError::BusyEvent.into())
    } else {
        Ok(SUCCESS)
    }
}

/// `OPAL_CONSOLE_READ`.
#[inline(never)]
pub(super) fn console_read<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    terminal: u64,
    length: u64,
    buffer: u64,
) -> Answer {
    check_terminal(terminal)?;
    let length = context.pointers().word(length)?;
    let room = length.read(context.memory);
    let buffer = context.pointers().buffer(buffer, room)?;
    let patience = context.patience();
    let mut chunk = [0; CHUNK];
    let most = room.min(CHUNK as u64) as usize;
    let count = context.console.read(
        context.hardware,
        context.system.platform,
        &context.system.xscom,
        &mut chunk[..most],
        patience,
    )?;
    buffer.write(context.memory, 0, &chunk[..count]);
    length.write(context.memory, count as u64);
    Ok(SUCCESS)
}

/// `OPAL_CONSOLE_WRITE_BUFFER_SPACE`.
#[inline(never)]
pub(super) fn console_room<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    terminal: u64,
    length: u64,
) -> Answer {
    check_terminal(terminal)?;
    let length = context.pointers().word(length)?;
    let patience = context.patience();
    let room = match context.console.room(
        context.hardware,
        context.system.platform,
        &context.system.xscom,
        patience,
    ) {
        Ok(room) => room as u64,
        // Any error would close the OS's console for ever; no room makes it try again.
        Err(ConsoleError::Held) => 0,
        Err(error) => return Err(error.into()),
    };
    length.write(context.memory, room);
    Ok(SUCCESS)
}

/// `OPAL_CONSOLE_FLUSH`: success when all was sent. "Busy" and "partial" make the OS call again
/// without end, so a UART that does not get rid of its bytes is an error instead.
#[inline(never)]
pub(super) fn console_flush<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    terminal: u64,
) -> Answer {
    check_terminal(terminal)?;
    let patience = context.patience();
    let drained = context.console.flush(
        context.hardware,
        context.system.platform,
        &context.system.xscom,
        patience,
    );
    match drained {
        Ok(true) => Ok(SUCCESS),
        Ok(false) | Err(ConsoleError::Held) => Err(OpalError::Hardware.into()),
        Err(error) => Err(error.into()),
    }
}

/// `OPAL_POLL_EVENTS`: the OS calls again until the mask is 0, so every bit must go away with what
/// it announces.
#[inline(never)]
pub(super) fn poll_events<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    mask: u64,
) -> Answer {
    if context.depth == 1 {
        // The OS calls every few seconds: so the youngest good TB is never much older, and a TOD that
        // went wrong is found before anybody needs it.
        context.system.watch_tod(context.hardware);
    }
    let place = context.pointers().word_or_null(mask)?;
    let Some(place) = place else {
        return Ok(SUCCESS);
    };
    let pending = pending_events(context);
    place.write(context.memory, pending);
    Ok(SUCCESS)
}

/// What the OS has to fetch.
#[inline(never)]
pub(super) fn pending_events<H: Hardware, M>(context: &mut Context<'_, H, M>) -> u64 {
    let patience = context.patience();
    let mut pending = 0;
    if context.system.events.pending() {
        pending |= events::MESSAGE_PENDING;
    }
    let input = context.console.input_waits(
        context.hardware,
        context.system.platform,
        &context.system.xscom,
        patience,
    );
    if input == Ok(true) {
        pending |= events::CONSOLE_INPUT;
    }
    pending
}

/// `OPAL_GET_MSG`: a message leaves the queue only for a buffer that can take it.
#[inline(never)]
pub(super) fn get_message<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    buffer: u64,
    size: u64,
) -> Answer {
    if size < message::SIZE as u64 {
        return Err(OpalError::Parameter.into());
    }
    let buffer = context.pointers().words(buffer, size)?;
    let message = context.system.events.take().ok_or(OpalError::Resource)?;
    buffer.write(context.memory, 0, &message);
    Ok(SUCCESS)
}

/// `OPAL_HANDLE_HMI`: success tells the OS that an event waits to be fetched, whoever queued it.
pub(super) fn handle_hmi<H: Hardware, M: OsMemory>(context: &mut Context<'_, H, M>) -> Answer {
    let outcome = hmi::handle(context.hardware, context.system);
    if outcome.event_queued || context.system.events.pending() {
        Ok(SUCCESS)
    } else {
        Err(OpalError::Resource.into())
    }
}

/// `OPAL_HANDLE_HMI2`: the recovery is done whatever the pointer is.
#[inline(never)]
pub(super) fn handle_hmi2<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    flags: u64,
) -> Answer {
    let outcome = hmi::handle(context.hardware, context.system);
    let flags = context.pointers().word(flags)?;
    flags.write(context.memory, outcome.flags);
    Ok(SUCCESS)
}

/// `OPAL_RESYNC_TIMEBASE`.
#[inline(never)]
pub(super) fn resync_timebase<H: Hardware, M: OsMemory>(context: &mut Context<'_, H, M>) -> Answer {
    match timebase::resync(context.hardware, context.system) {
        Ok(()) => Ok(SUCCESS),
        Err(_) => Err(OpalError::Hardware.into()),
    }
}

/// `OPAL_CEC_POWER_DOWN`: 0 is orderly, 1 immediate; the BMC knows one way only.
pub(super) fn power_down<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    request: u64,
) -> Answer {
    if request > 1 {
        return Err(OpalError::Parameter.into());
    }
    chassis_control(context, ChassisControl::PowerDown)
}

/// `OPAL_CEC_REBOOT`.
pub(super) fn reboot<H: Hardware, M: OsMemory>(context: &mut Context<'_, H, M>) -> Answer {
    chassis_control(context, ChassisControl::HardReset)
}

/// `OPAL_CEC_REBOOT2`. Nothing here gathers data about an error of the platform or keeps memory
/// for a dump: then the OS does what it can do itself, and reboots after that. So it does with a
/// type that only a later firmware knows.
pub(super) fn reboot2<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    kind: u64,
) -> Answer {
    match kind {
        reboot_type::NORMAL | reboot_type::FULL | reboot_type::FAST => reboot(context),
        _ => Err(OpalError::Unsupported.into()),
    }
}

fn chassis_control<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    control: ChassisControl,
) -> Answer {
    let platform = context.system.platform;
    let lpc = context.console.lpc();
    ipmi::chassis_control(
        context.hardware,
        platform,
        &context.system.xscom,
        lpc,
        control,
    )?;
    Ok(SUCCESS)
}
