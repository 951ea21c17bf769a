//! What the firmware's flight recorder says of a repair.

use std::collections::BTreeMap;

use anyhow::Result;
use flight_recorder::{Record, Step};
use opal_abi::hmi_event::{Disposition, EventType};
use opal_abi::hmi_flags;

use crate::image::Image;
use crate::machine::Machine;
use crate::readout;

/// Records of the threads of a core since the strike, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Records(Vec<Record>);

/// Records that were ever written, by all threads.
pub(super) fn sequence(machine: &mut Machine, image: &Image) -> Result<u64> {
    Ok(machine.client.read_words(sequence_address(image), 1)?[0])
}

/// Where the recorder counts them.
pub(super) const fn sequence_address(image: &Image) -> u64 {
    image.recorder + 8
}

impl Records {
    /// Reads those that were written after `since`.
    pub(super) fn read(
        machine: &mut Machine,
        image: &Image,
        core: u32,
        since: u64,
    ) -> Result<Self> {
        let mut all = BTreeMap::new();
        let vcpus = machine.vcpus();
        for index in 0..vcpus.len().min(flight_recorder::THREADS) {
            readout::records(machine, image, index, &mut all)?;
        }
        let pirs: Vec<u32> = machine.core(core).iter().map(|vcpu| vcpu.pir).collect();
        let mine = |record: &Record| record.sequence > since && pirs.contains(&record.pir);
        Ok(Self(all.into_values().filter(mine).collect()))
    }

    fn of(&self, step: Step) -> impl Iterator<Item = &Record> {
        self.0.iter().filter(move |record| record.step == step)
    }

    /// Whether the record with this number can be read.
    pub(super) fn has(&self, sequence: u64) -> bool {
        self.0.iter().any(|record| record.sequence == sequence)
    }

    /// The last step.
    pub(super) fn last(&self) -> Option<Step> {
        self.0.last().map(|record| record.step)
    }

    /// Whether a thread that took part has returned from the firmware's handler.
    pub(super) fn has_returned(&self, pir: u32) -> bool {
        let mut own = self.0.iter().filter(|record| record.pir == pir);
        own.next_back()
            .is_none_or(|record| record.step == Step::Return)
    }

    /// PIRs of the threads that found their own state good in the end.
    pub(super) fn passed(&self) -> Vec<u32> {
        let good = self
            .of(Step::Check)
            .filter(|record| record.arguments[0] == 1);
        let mut pirs: Vec<u32> = good.map(|record| record.pir).collect();
        pirs.sort_unstable();
        pirs.dedup();
        pirs
    }

    /// Whether TB was made to run.
    pub(super) fn runs(&self) -> bool {
        self.of(Step::Running).next().is_some()
    }

    /// Events of the timer facility, and whether each says that the error is gone.
    pub(super) fn events(&self) -> Vec<bool> {
        let timer = |record: &&Record| {
            let [_, _, kind, ..] = record.arguments[0].to_be_bytes();
            kind == EventType::TimerFacility as u8
        };
        let recovered = |record: &Record| {
            let [_, _, _, disposition, ..] = record.arguments[0].to_be_bytes();
            disposition == Disposition::Recovered as u8
        };
        self.of(Step::Event).filter(timer).map(recovered).collect()
    }

    /// Threads that a meeting went on without: bit n is thread n of the core.
    pub(super) fn absent(&self) -> u64 {
        self.of(Step::Absent)
            .fold(0, |mask, record| mask | record.arguments[0])
    }

    /// The longest wait for threads to arrive, in spins.
    pub(super) fn spins(&self) -> u64 {
        let spins = self.of(Step::AllArrived).map(|record| record.arguments[1]);
        spins.max().unwrap_or(0)
    }

    /// Meetings that were given up.
    pub(super) fn aborts(&self) -> usize {
        self.of(Step::Abort).count()
    }

    /// All of them, each in a line.
    pub(super) fn in_words(&self) -> Vec<String> {
        let line = |record: &Record| {
            let [first, second] = record.arguments;
            format!(
                "{} PIR {:#x} {:?} {first:#x} {second:#x}, TB {:#x}, TFMR {:#x}, HMER {:#x}",
                record.sequence, record.pir, record.step, record.timebase, record.tfmr, record.hmer
            )
        };
        self.0.iter().map(line).collect()
    }

    /// PIRs of the threads whose handler returned with "TB is not valid".
    pub(super) fn dead(&self) -> Vec<u32> {
        self.of(Step::Return)
            .filter(|record| record.arguments[0] & hmi_flags::TOD_TB_FAIL != 0)
            .map(|record| record.pir)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64, pir: u32, step: Step, arguments: [u64; 2]) -> Record {
        Record {
            sequence,
            pir,
            step,
            timebase: 0,
            tfmr: 0,
            hmer: 0,
            arguments,
        }
    }

    #[test]
    fn who_waits_in_the_firmware_has_to_return_from_its_handler() {
        let mut records = Records(vec![
            record(1, 4, Step::Arrive, [0; 2]),
            record(2, 5, Step::Arrive, [0; 2]),
            record(3, 5, Step::Return, [0; 2]),
            record(4, 4, Step::Event, [0; 2]),
        ]);
        assert!(!records.has_returned(4) && records.has_returned(5));
        assert!(records.has_returned(6), "it did not come");
        records.0.push(record(5, 4, Step::Return, [0; 2]));
        assert!(records.has_returned(4));
    }

    #[test]
    fn a_repair_is_read() {
        let records = Records(vec![
            record(7, 0, Step::AllArrived, [0, 55]),
            record(8, 1, Step::Absent, [0b100, 0]),
            record(9, 1, Step::Check, [1, 0]),
            record(10, 0, Step::Check, [0, 0]),
            record(11, 0, Step::Event, [0x0202_0400 << 32, 0]),
            record(12, 0, Step::Event, [0x0202_0401 << 32, 0]),
            // Another kind of event.
            record(13, 0, Step::Event, [0x0200_0100 << 32, 0]),
            record(14, 0, Step::Return, [hmi_flags::TOD_TB_FAIL, 0]),
            record(15, 1, Step::Return, [hmi_flags::NEW_EVENT, 0]),
        ]);
        assert!(records.has(15) && !records.has(16));
        assert_eq!(records.last(), Some(Step::Return));
        assert_eq!(records.passed(), [1]);
        assert!(!records.runs());
        assert_eq!(records.events(), [true, false]);
        assert_eq!((records.absent(), records.spins()), (0b100, 55));
        assert_eq!(records.aborts(), 0);
        assert_eq!(records.dead(), [0]);
    }
}
