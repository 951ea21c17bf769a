//! Targets: threads and virtual processors.

use super::{Places, door, locked, put, put_double};
use crate::hardware::Hardware;
use crate::interrupts::Interrupts;
use crate::opal::calls::Answer;
use crate::opal::{Context, OsMemory};
use log::info;
use opal_abi::xive::{dump_kind, vp_flags};
use opal_abi::{OpalError, SUCCESS};

/// `OPAL_XIVE_GET_VP_INFO`.
pub(super) fn vp_info<H: Hardware, M: OsMemory>(
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
pub(super) fn set_vp_info<H: Hardware, M: OsMemory>(
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

/// `OPAL_XIVE_DUMP`: of a target. The rings of threads can be seen by their own thread alone.
pub(super) fn dump<H: Hardware, M: OsMemory>(
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
