//! Malfunction alerts: which chip asked for attention, and what of it failed.
//!
//! HMER 0 comes on in every thread of the machine at once, and each chip has its own copy of the
//! register that names the chips which alarm. One thread reads all the copies, clears them, and
//! looks for the causes, for all: the cores' FIRs, NX, CAPP, NPU or PAU. Each finding is an event of
//! its own. Only when nothing explains the alert, or something that may be fatal could not be
//! looked at, there is one event that says so.
//!
//! Nothing in here stands in the way of a fast reboot.
//!
//! Source: HMI and ChipTOD specification, section 5.4.

mod alert;
mod capp;
mod core_fir;
mod npu;
mod nx;
mod recovery;
mod tables;
mod wakeup;

use crate::atomic::const_fn;
use crate::budget::lock_within;
use crate::hardware::{ChipId, Hardware};
use crate::hmi::Caller;
use crate::hmi::events::Scope;
use crate::hmi::first_seer::FirstSeer;
use crate::platform::{MAX_CHIPS, MAX_CORES};
use crate::system::System;
use crate::xscom::XscomError;
use alert::Alerts;
use flight_recorder::Step;
use opal_abi::hmi_event::{Checkstop, Disposition, EventType, HmiEvent, Severity};
use power_registers::fir::{NX_DMA_ENGINE, NX_POWERBUS, core_bits, nx_bits};
use spin::Mutex;

pub(crate) use recovery::record_recovery;

/// Longest wait for another thread's search.
const SEARCH_MICROSECONDS: u64 = 1_000_000;
const LEAST_SPINS: u64 = 10_000;
/// Small cores of a core of the platform, at most: a fused one that stands as one.
const SMALL_CORES: usize = 2;

/// What is known about malfunctions of the machine.
#[derive(Debug)]
pub(crate) struct Malfunction {
    /// Which threads have seen the present alert.
    seen: FirstSeer,
    reported: Mutex<Reported>,
}

/// What the OS was told already: FIRs keep what stopped a unit.
#[derive(Debug)]
struct Reported {
    /// By core and small core: why it stopped.
    cores: [[core_fir::Told; SMALL_CORES]; MAX_CORES],
    /// By chip: the attention that NX asked for.
    nx: [Option<nx::Attention>; MAX_CHIPS],
}

impl Malfunction {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                seen: FirstSeer::new(),
                reported: Mutex::new(Reported {
                    cores: [[core_fir::Told::NOTHING; SMALL_CORES]; MAX_CORES],
                    nx: [None; MAX_CHIPS],
                }),
            }
        }
    }
}

/// What came of a search so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Search {
    /// Something explains the alert.
    explained: bool,
    /// A fatal event tells of it, now or before.
    fatal: bool,
    /// Something could not be read that may be the cause.
    doubt: bool,
}

impl Search {
    fn found_fatal(&mut self) {
        self.explained = true;
        self.fatal = true;
    }
}

/// Handles a malfunction alert that the calling thread sees.
///
/// The first thread that comes does it for all. The others look at their own chip's register only,
/// in case an alert came that the first one could not see; none of them waits.
pub(crate) fn attend<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller) {
    let malfunction = &system.malfunction;
    let first = malfunction
        .seen
        .is_first(1 << caller.index, all_threads(system));
    let reported = if first {
        let waiting = system.budget(SEARCH_MICROSECONDS, LEAST_SPINS);
        lock_within(hw, &malfunction.reported, waiting).ok()
    } else {
        malfunction.reported.try_lock()
    };
    let Some(mut reported) = reported else {
        if first {
            // Somebody is stuck in there: what alarmed this time will not be known.
            post_unexplained(hw, system, caller);
        }
        return;
    };
    if !first && !alert::own_chip_alarms(hw, system, caller.place) {
        return;
    }
    let alerts = alert::take(hw, system);
    if alerts == Alerts::None {
        return;
    }
    let mut search = Search::default();
    core_fir::search(hw, system, caller, &mut reported, &mut search);
    for (index, chip) in system.platform.chips.iter().enumerate() {
        if !alerts.names(chip.id) {
            continue;
        }
        nx::search(
            hw,
            system,
            caller,
            chip.id,
            &mut reported.nx[index],
            &mut search,
        );
        capp::search(hw, system, caller, chip.id, &mut search);
        npu::search(hw, system, caller, chip, &mut search);
    }
    if !search.explained || search.doubt && !search.fatal {
        post_unexplained(hw, system, caller);
    }
}

/// Threads of the machine that see a broadcast, by their index.
fn all_threads(system: &System<'_>) -> u64 {
    let mut all = 0;
    let mut first = 0;
    for (index, core) in system.platform.cores.iter().enumerate() {
        all |= u64::from(system.core(index).expected()) << first;
        first += core.threads.len();
    }
    all
}

/// Nothing was found, or not all could be looked at: the honest answer is "not recovered".
fn post_unexplained<H: Hardware>(hw: &mut H, system: &System<'_>, caller: &mut Caller) {
    let scope = Scope::Machine;
    post_checkstop(hw, system, caller, scope, Checkstop::Unknown);
}

/// Queues a fatal event of a malfunction alert.
fn post_checkstop<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    caller: &mut Caller,
    scope: Scope,
    checkstop: Checkstop,
) {
    let event = HmiEvent {
        severity: Severity::Fatal,
        event_type: EventType::MalfunctionAlert,
        disposition: Disposition::NotRecovered,
        hmer: caller.hmer.bits(),
        // It says nothing of the timer facility.
        tfmr: 0,
        checkstop: Some(checkstop),
    };
    caller.post(hw, system, scope, &event);
}

/// Reads a register of a unit that a chip may not have. `None`: it has none, or it is switched off.
///
/// # Errors
/// What may be a unit that is there, but does not answer.
fn read_unit<H: Hardware>(
    hw: &mut H,
    system: &System<'_>,
    chip: ChipId,
    address: u32,
) -> Result<Option<u64>, XscomError> {
    match system.xscom.read(hw, system.platform, chip, address) {
        Ok(value) => {
            if value != 0 {
                system.record(
                    hw,
                    Step::Fir,
                    [u64::from(chip.0) << 32 | u64::from(address), value],
                );
            }
            Ok(Some(value))
        }
        Err(
            XscomError::ChipletOffline
            | XscomError::PartialGood
            | XscomError::InvalidAddress
            | XscomError::OutsideWindow,
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Rows of [`crate::decisions::Table::CoreFir`].
pub(crate) const fn core_fir_rows(generation: crate::platform::Generation) -> u64 {
    core_bits(tables::core_rows(generation))
}

/// Rows of [`crate::decisions::Table::Nx`].
pub(crate) const fn nx_rows(generation: crate::platform::Generation) -> u64 {
    match tables::nx(generation) {
        Some(_) => nx_bits(NX_DMA_ENGINE) | nx_bits(NX_POWERBUS),
        None => 0,
    }
}
