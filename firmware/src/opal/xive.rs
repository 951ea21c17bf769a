//! The calls of XIVE: arguments are checked here, the work is the controller's.

use super::calls::{Answer, pending_events};
use super::pointer::{OsBuffer, OsWord};
use super::{Context, OsMemory, Refusal};
use crate::hardware::Hardware;
use crate::interrupts::{Interrupts, door};
use log::info;
use opal_abi::xive::{
    ANY_CHIP, NO_TARGET, XiveToken, dump_kind, irq_flags, mode, queue_flags, sync_kind, vp_flags,
};
use opal_abi::{OpalError, SUCCESS};
use xive_controller::{QueueRequest, Synchronise, XiveError};

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
        XiveToken::HandleInterrupt => handle(context, interrupts, first, second),
        XiveToken::Reset => reset(context, interrupts, first),
        XiveToken::GetIrqInfo => irq_info(context, interrupts, arguments),
        XiveToken::GetIrqConfig => irq_config(context, interrupts, arguments),
        XiveToken::SetIrqConfig => set_irq_config(context, interrupts, arguments),
        XiveToken::GetQueueInfo => queue_info(context, interrupts, arguments),
        XiveToken::SetQueueInfo => set_queue_info(context, interrupts, arguments),
        XiveToken::AllocateVpBlock => {
            let mut controller = locked(context, interrupts)?;
            Ok(controller.allocate_targets(first)? as i64)
        }
        XiveToken::FreeVpBlock => {
            locked(context, interrupts)?.free_targets(first)?;
            Ok(SUCCESS)
        }
        XiveToken::GetVpInfo => vp_info(context, interrupts, arguments),
        XiveToken::SetVpInfo => set_vp_info(context, interrupts, first, second, third),
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
        XiveToken::Sync => synchronise(context, interrupts, first, second),
        XiveToken::Dump => dump(context, interrupts, first, second),
        XiveToken::GetQueueState => queue_state(context, interrupts, arguments),
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

/// `OPAL_HANDLE_INTERRUPT`.
fn handle<H: Hardware, M: OsMemory>(
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

/// `OPAL_XIVE_GET_IRQ_INFO`.
fn irq_info<H: Hardware, M: OsMemory>(
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
fn irq_config<H: Hardware, M: OsMemory>(
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
fn set_irq_config<H: Hardware, M: OsMemory>(
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

/// `OPAL_XIVE_GET_QUEUE_INFO`.
fn queue_info<H: Hardware, M: OsMemory>(
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
fn set_queue_info<H: Hardware, M: OsMemory>(
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

/// `OPAL_XIVE_GET_VP_INFO`.
fn vp_info<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    arguments: &[u64; 8],
) -> Answer {
    let [target, flags, ring_word, report, chip, ..] = *arguments;
    let places = Places(context);
    let (flags, ring_word) = (places.double(flags)?, places.double(ring_word)?);
    let (report, chip) = (places.double(report)?, places.single(chip)?);
    let info = locked(context, interrupts)?.target_info(target)?;
    let memory = &mut *context.memory;
    put_double(
        memory,
        flags,
        if info.is_on { vp_flags::ENABLED } else { 0 },
    );
    put_double(memory, ring_word, info.ring_word.into());
    put_double(memory, report, 0);
    put(memory, chip, &info.chip.to_be_bytes());
    Ok(SUCCESS)
}

/// `OPAL_XIVE_SET_VP_INFO`. Single escalation is not announced, and nothing is reported to memory.
fn set_vp_info<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    target: u64,
    flags: u64,
    report: u64,
) -> Answer {
    if flags & !vp_flags::ENABLED != 0 || report != 0 {
        return Err(OpalError::Parameter.into());
    }
    let mut controller = locked(context, interrupts)?;
    let door = &mut door(context.hardware, context.system);
    controller.set_target(door, target, flags != 0)?;
    Ok(SUCCESS)
}

/// `OPAL_XIVE_SYNC`.
fn synchronise<H: Hardware, M: OsMemory>(
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

/// `OPAL_XIVE_DUMP`: of a target. The rings of threads can be seen by their own thread alone.
fn dump<H: Hardware, M: OsMemory>(
    context: &mut Context<'_, H, M>,
    interrupts: &Interrupts<'_>,
    kind: u64,
    target: u64,
) -> Answer {
    match kind {
        dump_kind::TARGET => {}
        0..=dump_kind::LAST => return Err(OpalError::Unsupported.into()),
        _ => return Err(OpalError::Parameter.into()),
    }
    let (info, state) = {
        let controller = locked(context, interrupts)?;
        let info = controller.target_info(target)?;
        let door = &mut door(context.hardware, context.system);
        (info, controller.target_state(door, target).unwrap_or(0))
    };
    info!(
        "XIVE target {target:#x}: {}, ring word {:#x}, pending {state:#018x}",
        if info.is_on { "on" } else { "off" },
        info.ring_word
    );
    Ok(SUCCESS)
}

/// `OPAL_XIVE_GET_QUEUE_STATE`.
fn queue_state<H: Hardware, M: OsMemory>(
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
