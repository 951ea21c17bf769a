//! A second error, in the course of the repair of the first.
//!
//! The moment is counted in records that the core's threads write to the flight recorder: the machine
//! stops at each, so every step of a repair is met.

use anyhow::Result;
use gdb_remote::Watch;

use super::records::{self, Records};
use super::{SecondStrike, Struck, Target, in_firmware};
use crate::plan::Extra;
use crate::stuffing::Change;

/// Instructions in which a thread that counted a record has written it.
const RECORD_INSTRUCTIONS: u32 = 80;
/// Instructions between two looks at what it wrote.
const LOOK_EVERY: u32 = 20;

/// One that has not struck yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    core: u32,
    since: u64,
    /// The record behind which it strikes.
    at: u64,
    damage: Vec<Change>,
}

impl Pending {
    /// Has the machine stop at every record, if there is to be a second error.
    pub(super) fn plant(
        struck: &mut Struck,
        extra: &Extra,
        core: u32,
        since: u64,
    ) -> Result<Option<Self>> {
        let Extra::Second { records, damage } = extra else {
            return Ok(None);
        };
        let address = records::sequence_address(&struck.image);
        struck.machine.client.plant(Watch::Write, address, 8)?;
        Ok(Some(Self {
            core,
            since,
            at: since + records,
            damage: damage.clone(),
        }))
    }

    /// The machine does not stop at records any more.
    pub(super) fn unplant(&self, struck: &mut Struck) -> Result<()> {
        let address = records::sequence_address(&struck.image);
        Ok(struck.machine.client.remove(Watch::Write, address, 8)?)
    }

    /// Whether its record was counted. A line that fails is noticed by whoever uses it next.
    pub(super) fn is_due(&self, struck: &mut Struck) -> bool {
        records::sequence(&mut struck.machine, &struck.image).is_ok_and(|now| now >= self.at)
    }

    /// Strikes. Every thread has to take an HMI again, if its handler does not clear the cause before.
    pub(super) fn strike(
        self,
        struck: &mut Struck,
        targets: &mut [Target],
        errors: u64,
    ) -> Result<SecondStrike> {
        self.unplant(struck)?;
        let records = self.finish_record(struck)?;
        let before_reload = !records.runs();
        let passed = records.passed();
        let set = struck.break_core(targets, errors)?;
        for (index, target) in targets.iter_mut().enumerate() {
            let damage = self.damage[index % self.damage.len()];
            let was_delivered = target.delivered;
            target.delivered = false;
            // One that is in the repair finds its TB broken. The others have theirs broken when they
            // take the HMI, as with the first error. And so have those who have checked it, since an
            // OS must not run on with it: on hardware it would stand.
            let state = struck.machine.state(target.vcpu)?;
            if before_reload && was_delivered && in_firmware(&state) {
                struck.machine.change_timebase(target.vcpu, damage)?;
            }
            target.damage = damage;
        }
        let all = targets
            .iter()
            .all(|target| passed.contains(&target.vcpu.pir));
        Ok(SecondStrike {
            behind: records.last().map(|step| format!("{step:?}")),
            events: if all {
                2..=2
            } else if before_reload {
                1..=1
            } else {
                // A thread may have looked at its TFMR already, and not have said so.
                1..=2
            },
            set,
        })
    }

    /// Who counted a record writes it to the end.
    fn finish_record(&self, struck: &mut Struck) -> Result<Records> {
        let now = records::sequence(&mut struck.machine, &struck.image)?;
        let read = |struck: &mut Struck| {
            Records::read(&mut struck.machine, &struck.image, self.core, self.since)
        };
        let mut found = read(struck)?;
        for vcpu in struck.machine.core(self.core) {
            for step in 1..=RECORD_INSTRUCTIONS {
                if found.has(now) || !in_firmware(&struck.machine.state(vcpu)?) {
                    break;
                }
                struck.machine.client.step(vcpu.thread)?;
                if step % LOOK_EVERY == 0 {
                    found = read(struck)?;
                }
            }
        }
        Ok(found)
    }
}
