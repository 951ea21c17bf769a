//! The time of day, which the BMC keeps.

use super::calls::Answer;
use super::{Context, OsMemory, Refusal};
use crate::calendar::Moment;
use crate::hardware::Hardware;
use crate::ipmi::{self, IpmiError};
use opal_abi::{OpalError, SUCCESS};

/// The OS asks again for ever when it is told to: so only where another thread is at it right now.
fn refusal(error: IpmiError) -> Refusal {
    match error {
        IpmiError::Busy => OpalError::Hardware.into(),
        error => error.into(),
    }
}

/// `OPAL_RTC_READ`.
#[inline(never)]
pub(super) fn read<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    date: u64,
    time: u64,
) -> Answer {
    let date = context.pointers().half_word(date)?;
    let time = context.pointers().word(time)?;
    let (platform, lpc) = (context.system.platform, context.console.lpc());
    let seconds = ipmi::time(context.hardware, platform, &context.system.xscom, lpc);
    let moment = Moment::from_seconds(seconds.map_err(refusal)?).to_decimal();
    date.write(context.memory, 0, &moment.0.to_be_bytes());
    time.write(context.memory, moment.1);
    Ok(SUCCESS)
}

/// `OPAL_RTC_WRITE`: date and time as they are, not in memory.
#[inline(never)]
pub(super) fn write<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    date: u64,
    time: u64,
) -> Answer {
    let seconds = u32::try_from(date)
        .ok()
        .and_then(|date| Moment::from_decimal(date, time)?.seconds())
        .ok_or(OpalError::Parameter)?;
    let (platform, lpc) = (context.system.platform, context.console.lpc());
    let set = ipmi::set_time(
        context.hardware,
        platform,
        &context.system.xscom,
        lpc,
        seconds,
    );
    set.map_err(refusal)?;
    Ok(SUCCESS)
}
