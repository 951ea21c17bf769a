//! Queues of targets.

use super::{Places, door, locked, narrow, priority, put, put_double};
use crate::hardware::Hardware;
use crate::interrupts::Interrupts;
use crate::opal::calls::Answer;
use crate::opal::{Context, OsMemory, Refusal};
use opal_abi::xive::queue_flags;
use opal_abi::{OpalError, SUCCESS};
use xive_controller::QueueRequest;

/// `OPAL_XIVE_GET_QUEUE_INFO`.
pub(super) fn queue_info<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    arguments: &[u64; 8],
) -> Answer {
    let [target, wanted, page, size, end_page, escalation, flags, ..] = *arguments;
    let places = Places(context);
    let (page, size) = (places.double(page)?, places.double(size)?);
    let (end_page, flags) = (places.double(end_page)?, places.double(flags)?);
    let escalation = places.single(escalation)?;
    let wanted = priority(wanted)?;
    let controller = locked(context, interrupts)?;
    let door = &mut door(context.hardware, context.system);
    let info = controller.queue_info(door, target, wanted)?;
    let has = |flag: bool, bit: u64| if flag { bit } else { 0 };
    let found_flags = has(info.is_on, queue_flags::ENABLED)
        | has(info.always_notifies, queue_flags::ALWAYS_NOTIFY)
        | has(info.escalates, queue_flags::ESCALATE);
    let (found_page, found_size) = info.memory.unwrap_or((0, 0));
    let memory = &mut *context.memory;
    put_double(memory, page, found_page);
    put_double(memory, size, found_size.into());
    put_double(memory, end_page, info.end_page);
    put(memory, escalation, &info.escalation.to_be_bytes());
    put_double(memory, flags, found_flags);
    Ok(SUCCESS)
}

/// `OPAL_XIVE_SET_QUEUE_INFO`: the memory is the OS's, as a whole, before the hardware writes to it.
pub(super) fn set_queue_info<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    arguments: &[u64; 8],
) -> Answer {
    const KNOWN: u64 = queue_flags::ENABLED | queue_flags::ALWAYS_NOTIFY | queue_flags::ESCALATE;
    let [target, wanted, page, size, flags, ..] = *arguments;
    let wanted = priority(wanted)?;
    if flags & !KNOWN != 0 {
        return Err(OpalError::Parameter.into());
    }
    let request = if flags & queue_flags::ENABLED == 0 {
        None
    } else {
        Some(QueueRequest {
            memory: queue_memory(context, page, size)?,
            always_notifies: flags & queue_flags::ALWAYS_NOTIFY != 0,
            escalates: flags & queue_flags::ESCALATE != 0,
        })
    };
    let mut controller = locked(context, interrupts)?;
    let door = &mut door(context.hardware, context.system);
    controller.set_queue(door, target, wanted, request)?;
    Ok(SUCCESS)
}

/// The memory of a queue: a real address, and the log of its bytes.
#[inline(never)]
fn queue_memory<H, M>(
    context: &Context<'_, H, M>,
    page: u64,
    size: u64,
) -> Result<Option<(u64, u32)>, Refusal> {
    if size == 0 {
        return Ok(None);
    }
    let size = narrow(size)?;
    let bytes = 1_u64.checked_shl(size).ok_or(OpalError::Parameter)?;
    Ok(Some((context.pointers().device(page, bytes)?, size)))
}

/// `OPAL_XIVE_GET_QUEUE_STATE`.
pub(super) fn queue_state<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    arguments: &[u64; 8],
) -> Answer {
    let [target, wanted, generation, position, ..] = *arguments;
    let places = Places(context);
    let (generation, position) = (places.single(generation)?, places.single(position)?);
    let wanted = priority(wanted)?;
    let controller = locked(context, interrupts)?;
    let door = &mut door(context.hardware, context.system);
    let found = controller.queue_state(door, target, wanted)?;
    let memory = &mut *context.memory;
    put(memory, generation, &u32::from(found.0).to_be_bytes());
    put(memory, position, &found.1.to_be_bytes());
    Ok(SUCCESS)
}
