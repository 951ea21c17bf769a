//! Calls that move threads between the firmware and the OS.

use super::calls::Answer;
use super::{Context, OsMemory};
use crate::hardware::{Hardware, Pir};
use crate::processors::{self, Modes};
use opal_abi::{OpalError, SUCCESS};

/// The thread that an argument names.
fn thread(number: u64) -> Result<Pir, OpalError> {
    u32::try_from(number)
        .map(Pir)
        .map_err(|_| OpalError::Parameter)
}

/// `OPAL_START_CPU`: the thread enters the OS in real mode, big-endian, with its PIR in r3.
#[inline(never)]
pub(super) fn start<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    pir: u64,
    address: u64,
) -> Answer {
    let pir = thread(pir)?;
    let address = context.pointers().code(address)?;
    processors::start(context.hardware, context.system, pir, address)?;
    Ok(SUCCESS)
}

/// `OPAL_QUERY_CPU_STATUS`.
pub(super) fn status<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    pir: u64,
    place: u64,
) -> Answer {
    let place = context.pointers().buffer(place, 1)?;
    let status = processors::status(context.system, thread(pir)?).ok_or(OpalError::Parameter)?;
    place.write(context.memory, 0, &[status]);
    Ok(SUCCESS)
}

/// `OPAL_RETURN_CPU`: whoever entered the firmware for this thread sees that it stays.
pub(super) fn give_back<H: Hardware, M: OsMemory>(context: &mut Context<'_, H, M>) -> Answer {
    context.stays = true;
    Ok(SUCCESS)
}

/// `OPAL_REINIT_CPUS`: when it returns, every thread is set up, or it says so.
#[inline(never)]
pub(super) fn set_up<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    flags: u64,
) -> Answer {
    let modes = Modes::from_flags(context.system.platform.generation, flags)?;
    processors::set_up_all(context.hardware, context.system, modes)?;
    Ok(SUCCESS)
}
