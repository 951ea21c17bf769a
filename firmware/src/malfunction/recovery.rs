//! What a core recovered from, for the flight recorder.

use super::tables;
use crate::hardware::Hardware;
use crate::platform::ThreadPlace;
use crate::system::System;
use flight_recorder::Step;

/// Records the WOF of the thread's core. POWER8 does not let it be read; then only the recovery
/// itself is recorded.
pub(crate) fn record_recovery<H: Hardware>(hw: &mut H, system: &System<'_>, place: ThreadPlace) {
    let core = &system.platform.cores[place.core];
    let generation = system.platform.generation;
    let number = core.scom_number_of(generation, core.threads[place.thread]);
    let wof = tables::core_fir(generation, number)
        .wof
        .and_then(|address| {
            system
                .xscom
                .read(hw, system.platform, core.chip, address)
                .ok()
        });
    let known = u64::from(wof.is_some());
    system.record(hw, Step::Recovered, [wof.unwrap_or(0), known]);
}
