//! The memory of a chip's tables, and where in it each is.
//!
//! | offset | bytes | table |
//! |---|---|---|
//! | 0 | 1 MiB | queues: 8 of each of 4096 targets |
//! | 0x100000 | 256 KiB | targets |
//! | 0x140000 | 32 KiB | assignments of 4096 sources |
//! | 0x148000 | 4 KiB | states of sources |
//! | 0x150000 | 448 KiB | pages for what overflows: six, or of XIVE2 seven |
//! | 0x1c0000 | 128 KiB | where XIVE2 may say that a synchronisation is over |
//!
//! A target of XIVE2 has 32 bytes instead of 64: its table ends in the middle.

use core::sync::atomic::{AtomicU64, Ordering};
use power_registers::xive::EventAssignment;

/// Targets of a block: hardware threads and virtual processors.
pub(crate) const TARGETS: u32 = 4096;
/// Sources of a block.
pub(crate) const SOURCES: u32 = 4096;
/// Queues of a block.
pub(crate) const QUEUES: u32 = TARGETS * crate::PRIORITIES as u32;

/// Bytes of a chip's tables; they are aligned to as many.
pub const BYTES: u64 = 2 << 20;
/// The same in doublewords.
pub const WORDS: usize = BYTES as usize / 8;

/// A table: where it begins, and its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

pub(crate) const QUEUE_TABLE: Place = Place {
    offset: 0,
    bytes: 32 * QUEUES as u64,
};
pub(crate) const TARGET_TABLE: Place = Place {
    offset: 0x10_0000,
    bytes: 64 * TARGETS as u64,
};
pub(crate) const ASSIGNMENT_TABLE: Place = Place {
    offset: 0x14_0000,
    bytes: 8 * SOURCES as u64,
};
/// Four sources a byte; a table has 4 KiB at least, so the last three quarters belong to no source.
pub(crate) const STATE_TABLE: Place = Place {
    offset: 0x14_8000,
    bytes: 4096,
};
/// The first of them.
pub(crate) const OVERFLOW_TABLE: Place = Place {
    offset: 0x15_0000,
    bytes: 0x1_0000,
};
/// The most queues inside the controller that may overflow.
const OVERFLOWS: u64 = 7;
pub(crate) const SYNCHRONISATION: Place = Place {
    offset: 0x1c_0000,
    bytes: 0x2_0000,
};

const _: () = {
    assert!(QUEUE_TABLE.offset + QUEUE_TABLE.bytes <= TARGET_TABLE.offset);
    assert!(TARGET_TABLE.offset + TARGET_TABLE.bytes <= ASSIGNMENT_TABLE.offset);
    assert!(ASSIGNMENT_TABLE.offset + ASSIGNMENT_TABLE.bytes <= STATE_TABLE.offset);
    assert!(STATE_TABLE.offset + STATE_TABLE.bytes <= OVERFLOW_TABLE.offset);
    assert!(OVERFLOW_TABLE.offset + OVERFLOWS * OVERFLOW_TABLE.bytes <= SYNCHRONISATION.offset);
    assert!(SYNCHRONISATION.offset + SYNCHRONISATION.bytes <= BYTES);
    assert!(SYNCHRONISATION.offset.is_multiple_of(SYNCHRONISATION.bytes));
    assert!(QUEUE_TABLE.offset.is_multiple_of(QUEUE_TABLE.bytes));
    assert!(TARGET_TABLE.offset.is_multiple_of(TARGET_TABLE.bytes));
    assert!(
        ASSIGNMENT_TABLE
            .offset
            .is_multiple_of(ASSIGNMENT_TABLE.bytes)
    );
    assert!(OVERFLOW_TABLE.offset.is_multiple_of(OVERFLOW_TABLE.bytes));
};

/// States of 32 sources that are off: 01 each.
const ALL_OFF: u64 = 0x5555_5555_5555_5555;

/// The memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables<'m> {
    pub(crate) words: &'m [AtomicU64],
    pub(crate) real: u64,
}

impl Tables<'_> {
    /// As the hardware is to find it: nothing on, nothing valid.
    pub(crate) fn clear(&self) {
        let first = STATE_TABLE.offset as usize / 8;
        let states = first..first + STATE_TABLE.bytes as usize / 8;
        for (index, word) in self.words.iter().enumerate() {
            let value = if states.contains(&index) { ALL_OFF } else { 0 };
            word.store(value, Ordering::Relaxed);
        }
    }

    pub(crate) fn address(&self, place: Place) -> u64 {
        self.real + place.offset
    }

    fn assignment_word(&self, source: u32) -> Option<&AtomicU64> {
        let index = ASSIGNMENT_TABLE.offset as usize / 8 + source as usize;
        self.words.get(index).filter(|_| source < SOURCES)
    }

    pub(crate) fn assignment(&self, source: u32) -> EventAssignment {
        let word = self.assignment_word(source);
        let value = word.map_or(0, |word| word.load(Ordering::Relaxed));
        EventAssignment(u64::from_be(value))
    }

    /// The hardware may still have the old one in its cache.
    pub(crate) fn set_assignment(&self, source: u32, value: EventAssignment) {
        if let Some(word) = self.assignment_word(source) {
            word.store(value.0.to_be(), Ordering::Relaxed);
        }
    }
}
