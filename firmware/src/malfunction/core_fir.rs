//! The search for cores that stopped.

use super::tables;
use super::wakeup::{self, Patience};
use super::{Reported, Search, post_checkstop};
use crate::decisions::Table;
use crate::hardware::{ChipId, Hardware, Pir};
use crate::hmi::Caller;
use crate::hmi::events::Scope;
use crate::platform::{Core, Generation};
use crate::system::System;
use crate::xscom::XscomError;
use flight_recorder::Step;
use opal_abi::hmi_event::Checkstop;
use power_registers::fir::CoreFirEffect;

/// What the FIR of a core says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// It runs, or sleeps, or is not there.
    Fine,
    /// It stopped: the bits that say so, and the reasons.
    Stopped { bits: u64, reason: u32 },
    /// It does not let itself be looked at, though it is not asleep.
    Unreadable,
}

/// What the OS was told of a small core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Bits of its FIR that stopped it.
    bits: u64,
    /// That its FIR could not be read.
    unreadable: bool,
}

impl Told {
    pub(super) const NOTHING: Self = Self {
        bits: 0,
        unreadable: false,
    };
}

/// Looks at every core of the machine, and reports those that stopped and were not reported yet.
pub(super) fn search<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    reported: &mut Reported,
    search: &mut Search,
) {
    let generation = system.platform.generation;
    let mut patience = Patience::new();
    let own = caller.place;
    for (index, core) in system.platform.cores.iter().enumerate() {
        let small_cores = first_threads(generation, core).zip(&mut reported.cores[index]);
        for (first, told) in small_cores {
            let number = |thread| core.scom_number_of(generation, thread);
            let place = Place {
                chip: core.chip,
                number: number(first),
                awake: index == own.core && number(core.threads[own.thread]) == number(first),
            };
            let finding = look(hw, system, place, &mut patience);
            let (now, reason) = match finding {
                Finding::Fine => (Told::NOTHING, 0),
                Finding::Stopped { bits, reason } => {
                    let unreadable = false;
                    (Told { bits, unreadable }, reason)
                }
                Finding::Unreadable => {
                    let bits = told.bits;
                    let unreadable = true;
                    (Told { bits, unreadable }, 0)
                }
            };
            let before = core::mem::replace(told, now);
            if finding == Finding::Fine {
                continue;
            }
            search.found_fatal();
            let is_new = if now.unreadable {
                // One that is known to have stopped may as well not answer any more.
                before == Told::NOTHING
            } else {
                now.bits & !before.bits != 0
            };
            if is_new {
                let pir = first.0;
                let stop = Checkstop::Core { reason, pir };
                post_checkstop(hw, system, caller, Scope::Core(index as u32), stop);
            }
        }
    }
}

/// The first thread of each small core: a fused core that stands as one has two.
fn first_threads(generation: Generation, core: &Core) -> impl Iterator<Item = Pir> + '_ {
    let number = move |thread: &Pir| core.scom_number_of(generation, *thread);
    core.threads
        .iter()
        .enumerate()
        .filter(move |(n, thread)| {
            !core.threads[..*n]
                .iter()
                .any(|before| number(before) == number(thread))
        })
        .map(|(_, thread)| *thread)
}

/// A small core.
#[derive(Clone, Copy)]
struct Place {
    chip: ChipId,
    number: u32,
    /// The caller runs on it.
    awake: bool,
}

fn look<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    place: Place,
    patience: &mut Patience,
) -> Finding {
    let (read, is_awake) = if place.awake {
        (read(hw, system, place), true)
    } else {
        wakeup::awake(hw, system, place.chip, place.number, patience, |hw| {
            read(hw, system, place)
        })
    };
    match read {
        Ok(fir) => judge(system, fir),
        Err(XscomError::ChipletOffline) => Finding::Fine,
        // Some say so of a core that sleeps.
        Err(XscomError::PartialGood) if !is_awake => Finding::Fine,
        Err(_) => Finding::Unreadable,
    }
}

/// The bits of the FIR that are on and not masked.
fn read<H: Hardware>(hw: &mut H, system: &System<'_>, place: Place) -> Result<u64, XscomError> {
    let registers = tables::core_fir(system.platform.generation, place.number);
    let read = |hw: &mut H, address| system.xscom.read(hw, system.platform, place.chip, address);
    let fir = read(hw, registers.fir)?;
    if fir == 0 {
        return Ok(0);
    }
    let chip = u64::from(place.chip.0) << 32;
    system.record(hw, Step::Fir, [chip | u64::from(registers.fir), fir]);
    // A mask that cannot be read masks nothing.
    Ok(fir & !read(hw, registers.mask).unwrap_or(0))
}

fn judge(system: &System<'_>, fir: u64) -> Finding {
    let (mut bits, mut reason, mut details) = (0, 0, 0);
    let rows = tables::core_rows(system.platform.generation);
    for row in rows.iter().filter(|row| fir & row.mask != 0) {
        system.decisions.hit_all(Table::CoreFir, row.mask);
        match row.effect {
            CoreFirEffect::Checkstop(why) => {
                bits |= row.mask;
                reason |= why;
            }
            CoreFirEffect::Detail(what) => details |= what,
            CoreFirEffect::Recoverable | CoreFirEffect::Information => {}
        }
    }
    if bits == 0 {
        Finding::Fine
    } else {
        let reason = reason | details;
        Finding::Stopped { bits, reason }
    }
}
