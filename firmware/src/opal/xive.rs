//! The calls of XIVE: arguments are checked here, the work is the controller's.

mod queues;
mod sources;
mod targets;

use super::calls::Answer;
use super::pointer::{OsBuffer, OsWord};
use super::{Context, OsMemory, Refusal};
use crate::hardware::Hardware;
use crate::interrupts::{Interrupts, door};
use opal_abi::xive::{ANY_CHIP, XiveToken, mode};
use opal_abi::{OpalError, SUCCESS};
use xive_controller::XiveError;

impl From<XiveError> for Refusal {
    fn from(error: XiveError) -> Self {
        Self(match error {
            XiveError::Parameter => OpalError::Parameter,
            XiveError::Exhausted => OpalError::Resource,
            XiveError::Active => OpalError::XiveFreeActive,
            XiveError::Off => OpalError::WrongState,
            XiveError::Hardware => OpalError::Hardware,
        })
    }
}

/// A number of 32 bits, as the calls have them.
fn narrow(value: u64) -> Result<u32, Refusal> {
    u32::try_from(value).map_err(|_| OpalError::Parameter.into())
}

fn priority(value: u64) -> Result<u8, Refusal> {
    u8::try_from(value).map_err(|_| OpalError::Parameter.into())
}

/// Where the answers of a call go; NULL for those that nobody wants.
struct Places<'c, 'a, H, M>(&'c Context<'a, H, M>);

impl<H, M> Places<'_, '_, H, M> {
    #[inline(never)]
    fn double(&self, pointer: u64) -> Result<Option<OsWord>, Refusal> {
        Ok(self.0.pointers().word_or_null(pointer)?)
    }

    #[inline(never)]
    fn single(&self, pointer: u64) -> Result<Option<OsBuffer>, Refusal> {
        Ok(match pointer {
            0 => None,
            _ => Some(self.0.pointers().half_word(pointer)?),
        })
    }

    #[inline(never)]
    fn byte(&self, pointer: u64) -> Result<Option<OsBuffer>, Refusal> {
        Ok(match pointer {
            0 => None,
            _ => Some(self.0.pointers().buffer(pointer, 1)?),
        })
    }
}

#[inline(never)]
fn put_double<M: OsMemory>(memory: &mut M, place: Option<OsWord>, value: u64) {
    if let Some(place) = place {
        place.write(memory, value);
    }
}

#[inline(never)]
fn put<M: OsMemory>(memory: &mut M, place: Option<OsBuffer>, value: &[u8]) {
    if let Some(place) = place {
        place.write(memory, 0, value);
    }
}

/// Does a call.
#[inline(never)]
pub(super) fn call<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    token: XiveToken,
    arguments: &[u64; 8],
) -> Answer {
    let [first, second, third, fourth, ..] = *arguments;
    match token {
        XiveToken::HandleInterrupt => sources::handle(context, interrupts, first, second),
        XiveToken::Reset => reset(context, interrupts, first),
        XiveToken::GetIrqInfo => sources::irq_info(context, interrupts, arguments),
        XiveToken::GetIrqConfig => sources::irq_config(context, interrupts, arguments),
        XiveToken::SetIrqConfig => sources::set_irq_config(context, interrupts, arguments),
        XiveToken::GetQueueInfo => queues::queue_info(context, interrupts, arguments),
        XiveToken::SetQueueInfo => queues::set_queue_info(context, interrupts, arguments),
        XiveToken::AllocateVpBlock => {
            let mut controller = locked(context, interrupts)?;
            Ok(controller.allocate_targets(first)? as i64)
        }
        XiveToken::FreeVpBlock => {
            locked(context, interrupts)?.free_targets(first)?;
            Ok(SUCCESS)
        }
        XiveToken::GetVpInfo => targets::vp_info(context, interrupts, arguments),
        XiveToken::SetVpInfo => targets::set_vp_info(context, interrupts, first, second, third),
        XiveToken::AllocateIrq => {
            let chip = narrow(first)?;
            let chip = (chip != ANY_CHIP).then_some(chip);
            let number = locked(context, interrupts)?.allocate_source(chip)?;
            Ok(number.into())
        }
        XiveToken::FreeIrq => {
            let mut controller = locked(context, interrupts)?;
            controller.free_source(&mut door(context.hardware, context.system), first)?;
            Ok(SUCCESS)
        }
        XiveToken::Sync => sources::synchronise(context, interrupts, first, second),
        XiveToken::Dump => targets::dump(context, interrupts, first, second),
        XiveToken::GetQueueState => queues::queue_state(context, interrupts, arguments),
        XiveToken::SetQueueState => {
            let (priority, position) = (priority(second)?, narrow(fourth)?);
            if third > 1 {
                return Err(OpalError::Parameter.into());
            }
            let mut controller = locked(context, interrupts)?;
            let door = &mut door(context.hardware, context.system);
            controller.set_queue_state(door, first, priority, third == 1, position)?;
            Ok(SUCCESS)
        }
        XiveToken::GetVpState => {
            let place = context.pointers().word(second)?;
            let controller = locked(context, interrupts)?;
            let door = &mut door(context.hardware, context.system);
            let state = controller.target_state(door, first)?;
            place.write(context.memory, state);
            Ok(SUCCESS)
        }
    }
}

/// The controller; who holds it too long is dead.
#[inline(never)]
fn locked<'i, 'm, H: Hardware, M>(
    context: &mut Context<'_, H, M>,
    interrupts: &'i Interrupts<'m>,
) -> Result<spin::MutexGuard<'i, xive_controller::Controller<'m>>, Refusal> {
    let taken = interrupts.lock(context.hardware, context.system);
    taken.ok_or(OpalError::Hardware.into())
}

/// `OPAL_XIVE_RESET`. The older controller is not emulated; who goes back to it, as an OS does before it
/// hands over to the next one, gets everything switched off.
fn reset<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    wanted: u64,
) -> Answer {
    if !matches!(wanted, mode::EMULATION | mode::EXPLOITATION) {
        return Err(OpalError::Parameter.into());
    }
    let mut controller = locked(context, interrupts)?;
    controller.reset(&mut door(context.hardware, context.system))?;
    Ok(SUCCESS)
}
