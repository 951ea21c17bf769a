//! What a run left behind, and what it says.

use crate::qemu::ending;
use fault_injector::readout;
use flight_recorder::{Record, Step};
use hypervisor_shim::control::HeaderWord;
use std::collections::BTreeMap;

/// What a run left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    pub(super) control: Vec<u8>,
    pub(super) recorder: Vec<u8>,
    pub(super) console: String,
    /// Breaks of TB that QEMU saw.
    pub(super) breaks: usize,
}

impl Traces {
    /// The faults of which the recorder still has the strike, in order.
    pub(super) fn faults(&self) -> Vec<Record> {
        let mut records = BTreeMap::new();
        let words: Vec<u64> = words(&self.recorder).collect();
        let rings = words.get(flight_recorder::HEADER_WORDS..).unwrap_or(&[]);
        for ring in rings.chunks_exact(flight_recorder::RING_WORDS) {
            readout::add_records(&ring[1..], &mut records);
        }
        records
            .into_values()
            .filter(|record| record.step == Step::BreakTimebase)
            .collect()
    }

    /// Where they were placed: thread and entries.
    pub(super) fn placed(&self) -> Vec<(u32, u64)> {
        let faults = self.faults().into_iter();
        faults
            .map(|record| (record.pir, record.arguments[1]))
            .collect()
    }

    /// What is not as it must be in this run alone, with so many faults planned.
    pub(super) fn failures(&self, planned: usize) -> Vec<String> {
        let mut failures = Vec::new();
        if !self.console.contains(ending::PASS) {
            let bad = self.console.lines().filter(|line| line.contains("ail"));
            failures.push(format!(
                "the image's own verdict is bad: {}",
                bad.collect::<Vec<_>>().join("; ")
            ));
        }
        let header: Vec<u64> = words(&self.control).collect();
        let epochs = header
            .get(HeaderWord::Epochs as usize)
            .map_or(0, |epochs| *epochs as usize);
        // A thread may strike while a sibling's fault is still being repaired: one epoch for both.
        if self.breaks != planned || !(1..=planned).contains(&epochs) {
            failures.push(format!(
                "{planned} faults were planned, TB was broken {} times and repaired {epochs} times",
                self.breaks
            ));
        }
        failures
    }
}

/// The big-endian doublewords of some memory.
pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let words = bytes.as_chunks::<8>().0.iter();
    words.map(|word| u64::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(breaks: usize, epochs: u64, console: &str) -> Traces {
        let mut control = vec![0; 8 * 40];
        let at = 8 * HeaderWord::Epochs as usize;
        control[at..at + 8].copy_from_slice(&epochs.to_be_bytes());
        Traces {
            control,
            recorder: vec![0; 8],
            console: console.to_owned(),
            breaks,
        }
    }

    #[test]
    fn every_planned_fault_must_be_struck_and_repaired() {
        let pass = "OPALINE: PASS\n";
        assert!(traces(6, 6, pass).failures(6).is_empty());
        assert!(traces(6, 5, pass).failures(6).is_empty());
        for wrong in [
            traces(5, 5, pass),
            traces(6, 0, pass),
            traces(6, 7, pass),
            traces(6, 6, "OPALINE: FAIL 1 checks failed\n"),
        ] {
            assert_eq!(wrong.failures(6).len(), 1, "{wrong:?}");
        }
    }
}
