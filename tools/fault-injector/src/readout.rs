//! What the image reports in memory: the shim's control block, and the flight recorder.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use flight_recorder::{HEADER_WORDS, RECORDS, RING_WORDS, Record, WORDS};
use hypervisor_shim::control::{
    Activity, Control, Header, HeaderWord, MAGIC, THREADS, ThreadStatus, ThreadWord,
};

use crate::image::{Image, LINK_BASE};
use crate::machine::Machine;

const HEADER_SIZE: u64 = size_of::<Header>() as u64;
const STATUS_SIZE: u64 = size_of::<ThreadStatus>() as u64;

/// The common words of the control block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderView(Vec<u64>);

impl HeaderView {
    /// The words as they lie in memory; what is missing reads as 0.
    #[must_use]
    pub const fn from_words(words: Vec<u64>) -> Self {
        Self(words)
    }

    /// One word.
    #[must_use]
    pub fn get(&self, word: HeaderWord) -> u64 {
        self.0.get(word as usize).copied().unwrap_or(0)
    }

    /// All words by name.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        by_name(Header::NAMES, &self.0)
    }
}

/// What one thread reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusView {
    /// Index in the control block and the recorder.
    pub index: usize,
    /// Its PIR.
    pub pir: u32,
    words: Vec<u64>,
}

impl StatusView {
    /// One word.
    #[must_use]
    pub fn get(&self, word: ThreadWord) -> u64 {
        self.words.get(word as usize).copied().unwrap_or(0)
    }

    /// All words by name.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        by_name(ThreadStatus::NAMES, &self.words)
    }

    /// What the thread is doing, in a word.
    #[must_use]
    pub fn activity(&self) -> &'static str {
        let code = self.get(ThreadWord::Activity);
        for (activity, name) in [
            (Activity::Absent, "absent"),
            (Activity::Host, "host"),
            (Activity::Entering, "entering"),
            (Activity::Guest, "guest"),
            (Activity::Leaving, "leaving"),
            (Activity::Hmi, "hmi"),
            (Activity::Finished, "finished"),
        ] {
            if code == activity as u64 {
                return name;
            }
        }
        "unknown"
    }

    /// Whether the thread handles an HMI.
    #[must_use]
    pub fn attends(&self) -> bool {
        self.get(ThreadWord::Activity) == Activity::Hmi as u64
    }

    /// Whether the thread is on its way into its guest or out of it, which it does alone.
    #[must_use]
    pub fn is_on_its_way(&self) -> bool {
        let code = self.get(ThreadWord::Activity);
        code == Activity::Entering as u64 || code == Activity::Leaving as u64
    }

    /// Whether the thread is where its offset surely is, or is not, in TB.
    #[must_use]
    pub fn settled(&self) -> bool {
        let code = self.get(ThreadWord::Activity);
        code == Activity::Host as u64 || code == Activity::Guest as u64
    }
}

fn by_name(names: &[&str], words: &[u64]) -> BTreeMap<String, u64> {
    names
        .iter()
        .map(|name| (*name).to_owned())
        .zip(words.iter().copied())
        .collect()
}

/// Writes a common word into the image as it was loaded, before its head moves it.
///
/// # Errors
/// The control block is not there.
pub fn set_before_start(
    machine: &mut Machine,
    image: &Image,
    word: HeaderWord,
    value: u64,
) -> Result<()> {
    let block = image.control - LINK_BASE;
    let magic = machine.client.read_words(block, 1)?[0];
    ensure!(
        magic == MAGIC,
        "no control block at {block:#x}: another image is loaded"
    );
    machine.client.write_word(block + 8 * word as u64, value)?;
    Ok(())
}

/// Writes a common word while the image runs.
///
/// # Errors
/// The line failed.
pub fn set(machine: &mut Machine, image: &Image, word: HeaderWord, value: u64) -> Result<()> {
    machine
        .client
        .write_word(word_address(image, word), value)?;
    Ok(())
}

/// Where a common word is.
#[must_use]
pub const fn word_address(image: &Image, word: HeaderWord) -> u64 {
    image.control + 8 * word as u64
}

/// Reads the common words.
///
/// # Errors
/// The line failed.
pub fn header(machine: &mut Machine, image: &Image) -> Result<HeaderView> {
    Ok(HeaderView(
        machine
            .client
            .read_words(image.control, HEADER_SIZE as usize / 8)?,
    ))
}

/// Reads what all threads report, by PIR.
///
/// # Errors
/// The line failed.
pub fn statuses(machine: &mut Machine, image: &Image) -> Result<BTreeMap<u32, StatusView>> {
    const _: () =
        assert!(size_of::<Control>() as u64 == HEADER_SIZE + THREADS as u64 * STATUS_SIZE);
    let count = machine.vcpus().len().min(THREADS);
    let words = machine.client.read_words(
        image.control + HEADER_SIZE,
        count * STATUS_SIZE as usize / 8,
    )?;
    statuses_from_words(&words)
}

/// What the threads report, by PIR, from the words behind the common ones. A part of a thread's
/// words at the end is left out.
///
/// # Errors
/// A PIR is none: the memory is something else.
pub fn statuses_from_words(words: &[u64]) -> Result<BTreeMap<u32, StatusView>> {
    let mut statuses = BTreeMap::new();
    for (index, words) in words.chunks_exact(STATUS_SIZE as usize / 8).enumerate() {
        let pir_plus_one = words[ThreadWord::PirPlusOne as usize];
        if let Some(pir) = pir_plus_one.checked_sub(1) {
            let pir = u32::try_from(pir)?;
            statuses.insert(
                pir,
                StatusView {
                    index,
                    pir,
                    words: words.to_vec(),
                },
            );
        }
    }
    Ok(statuses)
}

/// Reads what the recorder holds of one thread into `into`, by sequence number.
///
/// # Errors
/// The line failed, or the recorder is not there.
pub fn records(
    machine: &mut Machine,
    image: &Image,
    index: usize,
    into: &mut BTreeMap<u64, Record>,
) -> Result<()> {
    ensure!(
        index < flight_recorder::THREADS,
        "the recorder has no ring {index}"
    );
    let magic = machine.client.read_words(image.recorder, 1)?[0];
    ensure!(
        magic == flight_recorder::MAGIC,
        "no flight recorder at {:#x}",
        image.recorder
    );
    let ring = image.recorder + 8 * (HEADER_WORDS + index * RING_WORDS) as u64;
    let words = machine.client.read_words(ring + 8, RECORDS * WORDS)?;
    add_records(&words, into);
    Ok(())
}

/// Decodes the records of a ring, from the words behind its counter. Empty and torn ones are left
/// out.
pub fn add_records(words: &[u64], into: &mut BTreeMap<u64, Record>) {
    for words in words.as_chunks::<WORDS>().0 {
        if let Some(record) = Record::from_words(words) {
            into.insert(record.sequence, record);
        }
    }
}
