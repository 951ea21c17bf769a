//! What one call of the handler knows, and what it tells the OS.

use super::events::Scope;
use crate::hardware::Hardware;
use crate::platform::ThreadPlace;
use crate::system::System;
use flight_recorder::Step;
use opal_abi::hmi_event::{Disposition, EventType, HmiEvent, Severity};
use opal_abi::hmi_flags;
use power_registers::{Hmer, Tfmr};

/// One call of the handler, on one thread.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) place: ThreadPlace,
    /// Index of the thread in the platform.
    pub(crate) index: usize,
    /// HMER as found.
    pub(crate) hmer: Hmer,
    /// TFMR as found.
    pub(crate) tfmr: Tfmr,
    pub(super) flags: u64,
    /// Spins that this thread waited for others: what passed since TB stopped, if it did.
    pub(super) spins: u64,
    /// TB runs behind a value that this thread saw before.
    pub(super) backwards: bool,
}

impl Caller {
    /// The scope of what the whole core suffers.
    pub(super) const fn core_scope(&self) -> Scope {
        Scope::Core(self.place.core as u32)
    }

    /// Queues an event for the OS.
    pub(crate) fn post<H: Hardware>(
        &mut self,
        hw: &mut H,
        system: &System<'_>,
        scope: Scope,
        event: &HmiEvent,
    ) {
        if system.events.post(self.index, scope, event) {
            self.flags |= hmi_flags::NEW_EVENT;
        }
        let mut head = [0; 8];
        head.copy_from_slice(&event.to_bytes()[..8]);
        let lost = system.events.lost();
        system.record(hw, Step::Event, [u64::from_be_bytes(head), lost]);
    }

    pub(super) fn post_timer_event<H: Hardware>(
        &mut self,
        hw: &mut H,
        system: &System<'_>,
        scope: Scope,
        hmer: Hmer,
        tfmr: Tfmr,
        disposition: Disposition,
    ) {
        self.post(
            hw,
            system,
            scope,
            &HmiEvent {
                severity: Severity::ErrorSync,
                event_type: EventType::TimerFacility,
                disposition,
                hmer: hmer.bits(),
                tfmr: tfmr.bits(),
                checkstop: None,
            },
        );
    }
}
