//! Interrupts: how an OS handles them, and where they go.

use super::{Places, door, locked, narrow, priority, put, put_double};
use crate::hardware::Hardware;
use crate::interrupts::Interrupts;
use crate::opal::calls::{Answer, pending_events};
use crate::opal::{Context, OsMemory};
use opal_abi::xive::{NO_TARGET, irq_flags, sync_kind};
use opal_abi::{OpalError, SUCCESS};
use xive_controller::Synchronise;

/// `OPAL_HANDLE_INTERRUPT`.
pub(super) fn handle<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    number: u64,
    events: u64,
) -> Answer {
    let place = context.pointers().word(events)?;
    if number != u64::from(interrupts.uart()) {
        return Err(OpalError::Parameter.into());
    }
    interrupts.serve_uart(context.hardware, context.system, context.console);
    let pending = pending_events(context);
    place.write(context.memory, pending);
    Ok(SUCCESS)
}

/// `OPAL_XIVE_GET_IRQ_INFO`.
pub(super) fn irq_info<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    arguments: &[u64; 8],
) -> Answer {
    let [number, flags, end_page, trigger_page, shift, chip, ..] = *arguments;
    let places = Places(context);
    let (flags, end_page) = (places.double(flags)?, places.double(end_page)?);
    let (trigger_page, shift) = (places.double(trigger_page)?, places.single(shift)?);
    let chip = places.single(chip)?;
    let info = locked(context, interrupts)?.source_info(number)?;
    let level = if info.is_level { irq_flags::LEVEL } else { 0 };
    let triggers = info.trigger_page.map_or(0, |_| irq_flags::TRIGGER_PAGE);
    let memory = &mut *context.memory;
    put_double(memory, flags, level | triggers);
    put_double(memory, end_page, info.end_page);
    put_double(memory, trigger_page, info.trigger_page.unwrap_or(0));
    put(memory, shift, &info.page_shift.to_be_bytes());
    put(memory, chip, &info.chip.to_be_bytes());
    Ok(SUCCESS)
}

/// `OPAL_XIVE_GET_IRQ_CONFIG`.
pub(super) fn irq_config<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    arguments: &[u64; 8],
) -> Answer {
    let [number, target, priority, appears_as, ..] = *arguments;
    let places = Places(context);
    let (target, priority) = (places.double(target)?, places.byte(priority)?);
    let appears_as = places.single(appears_as)?;
    let controller = locked(context, interrupts)?;
    let door = &mut door(context.hardware, context.system);
    let found = controller.source_configuration(door, number)?;
    let memory = &mut *context.memory;
    let found_target = found.target.map_or(NO_TARGET, |target| target.number());
    put_double(memory, target, found_target);
    put(memory, priority, &[found.priority]);
    put(memory, appears_as, &found.number.to_be_bytes());
    Ok(SUCCESS)
}

/// `OPAL_XIVE_SET_IRQ_CONFIG`.
pub(super) fn set_irq_config<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    arguments: &[u64; 8],
) -> Answer {
    let [number, target, wanted, appears_as, ..] = *arguments;
    let (wanted, appears_as) = (priority(wanted)?, narrow(appears_as)?);
    let mut controller = locked(context, interrupts)?;
    let door = &mut door(context.hardware, context.system);
    controller.configure_source(door, number, target, wanted, appears_as)?;
    Ok(SUCCESS)
}

/// `OPAL_XIVE_SYNC`.
pub(super) fn synchronise<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    kind: u64,
    number: u64,
) -> Answer {
    if kind & !(sync_kind::SOURCE | sync_kind::QUEUE) != 0 || kind == 0 {
        return Err(OpalError::Parameter.into());
    }
    let what = Synchronise {
        source: kind & sync_kind::SOURCE != 0,
        queue: kind & sync_kind::QUEUE != 0,
    };
    let controller = locked(context, interrupts)?;
    let door = &mut door(context.hardware, context.system);
    controller.synchronise_source(door, number, what)?;
    Ok(SUCCESS)
}
