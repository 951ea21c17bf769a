//! What each thread did around an HMI, in order, in memory that tools can read.
//!
//! One ring of fixed records per thread. Writing takes no lock, allocates nothing and does not
//! depend on TB: order comes from one global sequence number. A tool finds the symbol
//! `OPALINE_FLIGHT_RECORDER` in the ELF file and decodes the memory with [`Record::from_words`].
#![no_std]
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, fence};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, fence};

/// Threads with a ring.
pub const THREADS: usize = if cfg!(loom) { 2 } else { 64 };
/// Records in a ring; old ones are overwritten.
pub const RECORDS: usize = if cfg!(loom) { 2 } else { 128 };
/// 64-bit words of a record.
pub const WORDS: usize = 8;

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What was done. The code is part of the memory format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Step { $($(#[$doc])* $name = $code,)* }

        impl Step {
            /// Every step.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The step of a code.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

steps! {
    // The shim.
    /// An HMI was taken in host context; argument 0 = HSRR0, 1 = HSRR1.
    HmiInHost = 1,
    /// An HMI was taken in a guest; argument 0 = HSRR0, 1 = HSRR1.
    HmiInGuest = 2,
    /// A sibling asked this thread to come; argument 0 = the core word.
    Summoned = 3,
    /// The guest's offset was taken out of TB; argument 1 = the offset.
    LeftGuest = 4,
    /// The wait for the siblings begins; argument 0 = the core word.
    WaitForGuests = 5,
    /// Nobody is in a guest any more; argument 0 = the core word, 1 = spins.
    GuestsOut = 6,
    /// The firmware is called; argument 0 = token.
    CallFirmware = 7,
    /// The firmware returned; argument 0 = return code, 1 = flags.
    FirmwareReturned = 8,
    /// This thread won the claim (bit 63); argument 0 = the core word.
    Claimed = 9,
    /// The claimant asked for a resync; argument 0 = return code.
    Resynced = 10,
    /// All go on; argument 0 = epoch.
    GoOn = 11,
    /// The guest goes on after an HMI; argument 0 = offset applied, 1 = checks it made so far.
    EnterGuest = 12,
    /// The shim breaks TB itself; argument 0 = TFMR written, 1 = entries into the thread's guest so far.
    BreakTimebase = 13,
    /// A wait ran out of budget; argument 0 = the core word, 1 = who is missing.
    WaitExpired = 14,
    /// The siblings are back from the firmware, or their claim is over; argument 0 = the core word, 1 = spins.
    SiblingsBack = 15,
    // The firmware.
    /// The handler was entered; argument 0 = HMER as found.
    Arrive = 32,
    /// This thread joined a meeting of its core; argument 0 = the coordinator word.
    Join = 33,
    /// All participants are there; argument 0 = the coordinator word, 1 = spins.
    AllArrived = 34,
    /// TFMR corruption was repaired; argument 0 = 1 if it is gone.
    RepairTfmr = 35,
    /// Dirty TB or HDEC were rewritten; argument 0 = TB seed, 0 if TB was left.
    Clean = 36,
    /// Core errors were cleared; argument 0 = 1 if the state left ERROR, 1 = TFMR after.
    Clear = 37,
    /// A thread-local register was repaired; argument 0 = bits, 1 = 1 if they are gone.
    RepairLocal = 38,
    /// The reload from the TOD began; argument 0 = TOD FSM.
    Reload = 39,
    /// TB runs again; argument 0 = TB after, 1 = tries.
    Running = 40,
    /// Own state was checked; argument 0 = 1 if good, 1 = TB.
    Check = 41,
    /// The handler returns; argument 0 = flags.
    Return = 42,
    /// The meeting was given up; argument 0 = reason code, 1 = missing threads.
    Abort = 43,
    /// An event was queued; argument 0 = first word of the event, 1 = events lost so far.
    Event = 44,
    /// A TOD error was handled; argument 0 = bits of ERROR, 1 = result.
    TodError = 45,
    /// A thread was found absent; argument 0 = mask of absent threads.
    Absent = 46,
    /// A TOD that did not run was restarted; argument 0 = way (0 someone else did, 1 master, 2 backup
    /// master, 3 helper, 4 rebuilt; all ones: it failed), 1 = spins since TB stopped.
    TodRestart = 47,
    /// A core recovered from an error; argument 0 = its WOF, 1 = 1 if that could be read.
    Recovered = 48,
    /// A malfunction alert was taken; argument 0 = the chips by number, 1 = registers not read.
    Alert = 49,
    /// A fault isolation register that is not 0; argument 0 = chip and SCOM address, 1 = the bits.
    Fir = 50,
    /// A time that nothing reported as damaged was refused: the machine's other clocks contradict it;
    /// argument 0 = TB with that time, 1 = the last TB that was believed.
    TodRefused = 51,
}

/// One thing that a thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position in the order of all threads; starts at 1.
    pub sequence: u64,
    /// PIR of the thread.
    pub pir: u32,
    /// What was done.
    pub step: Step,
    /// TB as read then; wrong while TB is broken, that is the point.
    pub timebase: u64,
    /// TFMR as read then.
    pub tfmr: u64,
    /// HMER as read then.
    pub hmer: u64,
    /// As the step says.
    pub arguments: [u64; 2],
}

impl Record {
    /// Decodes the words of a record; `None` if it is empty or torn.
    #[must_use]
    pub fn from_words(words: &[u64; WORDS]) -> Option<Self> {
        let [sequence, head, timebase, tfmr, hmer, first, second, end] = *words;
        if sequence == 0 || sequence != end {
            return None;
        }
        Some(Self {
            sequence,
            pir: (head >> 32) as u32,
            step: Step::from_code((head & 0xffff) as u16)?,
            timebase,
            tfmr,
            hmer,
            arguments: [first, second],
        })
    }
}

/// The ring of one thread.
#[derive(Debug)]
#[repr(C)]
pub struct Ring {
    /// Records ever written.
    written: AtomicU64,
    records: [[AtomicU64; WORDS]; RECORDS],
}

/// The rings of all threads. Memory layout: magic, global sequence, then the rings by thread index.
#[derive(Debug)]
#[repr(C)]
pub struct FlightRecorder {
    magic: AtomicU64,
    sequence: AtomicU64,
    rings: [Ring; THREADS],
}

/// First word of the recorder: "OPALHMI1".
pub const MAGIC: u64 = u64::from_be_bytes(*b"OPALHMI1");

/// Words before the first ring.
pub const HEADER_WORDS: usize = 2;
/// Words of one ring, its counter included.
pub const RING_WORDS: usize = 1 + RECORDS * WORDS;

impl FlightRecorder {
    /// An empty recorder: all zero, so that it takes no room in the image.
    #[must_use]
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            magic: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            rings: [const {
                Ring {
                    written: AtomicU64::new(0),
                    records: [const { [const { AtomicU64::new(0) }; WORDS] }; RECORDS],
                }
            }; THREADS],
        }
    }

    /// An empty recorder, of loom's atomics.
    #[must_use]
    #[cfg(loom)]
    pub fn new() -> Self {
        use core::array::from_fn;
        let word = || AtomicU64::new(0);
        Self {
            magic: word(),
            sequence: word(),
            rings: from_fn(|_| Ring {
                written: word(),
                records: from_fn(|_| from_fn(|_| word())),
            }),
        }
    }

    /// Marks the recorder as in use, so that tools find it.
    pub fn begin(&self) {
        self.magic.store(MAGIC, Ordering::Relaxed);
    }

    /// Forgets all records, at the cost of those that were written. Nobody may record meanwhile.
    pub fn clear(&self) {
        self.sequence.store(0, Ordering::Relaxed);
        for ring in &self.rings {
            let written = ring.written.swap(0, Ordering::Relaxed);
            let used = usize::try_from(written).map_or(RECORDS, |written| written.min(RECORDS));
            for words in &ring.records[..used] {
                words[0].store(0, Ordering::Relaxed);
            }
        }
    }

    /// Writes one record for the thread with this index; an index beyond the rings is ignored.
    #[allow(clippy::too_many_arguments, reason = "the fields of one record")]
    pub fn record(
        &self,
        thread: usize,
        pir: u32,
        step: Step,
        timebase: u64,
        tfmr: u64,
        hmer: u64,
        arguments: [u64; 2],
    ) {
        let Some(ring) = self.rings.get(thread) else {
            return;
        };
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let slot = ring.written.fetch_add(1, Ordering::Relaxed) as usize % RECORDS;
        let words = &ring.records[slot];
        let head = u64::from(pir) << 32 | step as u64;
        words[0].store(0, Ordering::Relaxed);
        // Whoever reads one of the new words after this finds that the first is not the old one.
        fence(Ordering::Release);
        for (word, value) in words[1..].iter().zip([
            head,
            timebase,
            tfmr,
            hmer,
            arguments[0],
            arguments[1],
            sequence,
        ]) {
            word.store(value, Ordering::Relaxed);
        }
        words[0].store(sequence, Ordering::Release);
    }

    /// The records of one thread that can be read now, oldest first is not promised.
    pub fn records(&self, thread: usize) -> impl Iterator<Item = Record> + '_ {
        self.rings.get(thread).into_iter().flat_map(|ring| {
            ring.records.iter().filter_map(|words| {
                let sequence = words[0].load(Ordering::Acquire);
                let mut values = core::array::from_fn(|i| match i {
                    0 => sequence,
                    _ => words[i].load(Ordering::Relaxed),
                });
                // Overwritten meanwhile? Then the first word is another one now.
                fence(Ordering::Acquire);
                if words[0].load(Ordering::Relaxed) != sequence {
                    values[0] = 0;
                }
                Record::from_words(&values)
            })
        })
    }
}

impl Default for FlightRecorder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{boxed::Box, vec::Vec};

    #[test]
    fn records_come_back_and_old_ones_go() {
        let recorder = Box::new(FlightRecorder::new());
        for n in 0..(RECORDS as u64 + 3) {
            recorder.record(1, 9, Step::Clean, n, 2, 3, [4, 5]);
        }
        let mut found: Vec<_> = recorder.records(1).collect();
        found.sort_by_key(|record| record.sequence);
        assert_eq!(found.len(), RECORDS);
        assert_eq!(found[0].timebase, 3);
        assert_eq!(found[0].pir, 9);
        assert_eq!(recorder.records(0).count(), 0);
        recorder.clear();
        assert_eq!(recorder.records(1).count(), 0);
        recorder.record(1, 9, Step::Clean, 1, 2, 3, [4, 5]);
        assert_eq!(recorder.records(1).next().unwrap().sequence, 1);
        recorder.record(THREADS, 0, Step::Clean, 0, 0, 0, [0, 0]);
    }

    #[test]
    fn layout_is_what_tools_read() {
        assert_eq!(
            size_of::<FlightRecorder>(),
            8 * (HEADER_WORDS + THREADS * RING_WORDS)
        );
        for step in Step::ALL {
            assert_eq!(Step::from_code(*step as u16), Some(*step));
        }
    }
}
