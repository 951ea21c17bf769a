//! Moments in which it is sure of each thread whether its offset is in TB.

use std::time::{Duration, Instant};

use anyhow::Result;
use power_registers::Hmer;

use super::session::{SETTLE_SLICE, Session, Statuses, longer};
use crate::readout::{self, StatusView};

/// A thread on its way into its guest or out of it settles within less, if it is scheduled.
const NUDGE: Duration = Duration::from_micros(200);
/// Most of these; after an unlucky one the thread is on its way again.
const NUDGES: u32 = 64;

impl Session {
    /// Runs on until a moment in which the threads are settled; see [`Self::settled`].
    pub(super) fn settle(
        &mut self,
        core: Option<u32>,
        patience: Duration,
    ) -> Result<Option<Statuses>> {
        let start = Instant::now();
        let mut time = SETTLE_SLICE;
        loop {
            if let Some(statuses) = self.settled(core)? {
                return Ok(Some(statuses));
            }
            if start.elapsed() > patience {
                return Ok(None);
            }
            self.run(time)?;
            time = longer(time);
        }
    }

    /// What the threads say, if each of this core (of all cores) is in host or guest context for
    /// sure, and has no timer cause in HMER.
    pub(super) fn settled(&mut self, core: Option<u32>) -> Result<Option<Statuses>> {
        let statuses = readout::statuses(&mut self.machine, &self.image)?;
        for vcpu in self.machine.vcpus() {
            if core.is_some_and(|core| core != vcpu.core) {
                continue;
            }
            let hmer = Hmer::from_bits_retain(self.machine.read(vcpu, "hmer")?);
            let settled = statuses.get(&vcpu.pir).is_some_and(StatusView::settled);
            if !settled || hmer.intersects(Hmer::TIMER) {
                return Ok(None);
            }
        }
        Ok(Some(statuses))
    }

    /// As [`Self::settled`], for a core whose threads come and go fast: each that is on its way in or
    /// out runs alone for a moment, and what has settled stays so.
    pub(super) fn settled_one_by_one(&mut self, core: u32) -> Result<Option<Statuses>> {
        for _ in 0..NUDGES {
            if let Some(statuses) = self.settled(Some(core))? {
                return Ok(Some(statuses));
            }
            let statuses = readout::statuses(&mut self.machine, &self.image)?;
            let moving = self.machine.core(core).into_iter().find(|vcpu| {
                statuses
                    .get(&vcpu.pir)
                    .is_some_and(StatusView::is_on_its_way)
            });
            // The others wait for each other, and come to nothing alone.
            let Some(vcpu) = moving else { return Ok(None) };
            self.machine.run_alone(vcpu, NUDGE)?;
            self.answer_moves(&[vcpu])?;
        }
        Ok(None)
    }
}
