//! Entries of the tables that the controller keeps in memory, big-endian there.

use super::Generation;
use crate::{ibm, ibm_range};

/// Where a source goes (EAS): a queue, and the number that appears in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventAssignment(pub u64);

impl EventAssignment {
    const VALID: u64 = ibm(0);
    const MASKED: u64 = ibm(32);
    const QUEUE: u64 = ibm_range(4, 31);
    const NUMBER: u64 = ibm_range(33, 63);

    /// A source that leads nowhere, for a number of its own.
    #[must_use]
    pub const fn masked(number: u32) -> Self {
        Self(Self::VALID | Self::MASKED).with_number(number)
    }

    /// To another queue, and on.
    #[must_use]
    pub const fn to(self, block: u32, index: u32) -> Self {
        let queue = (block as u64 & 0xf) << 56 | (index as u64 & 0xff_ffff) << 32;
        Self(self.0 & !(Self::QUEUE | Self::MASKED) | Self::VALID | queue)
    }

    /// Off, to the queue as before.
    #[must_use]
    pub const fn off(self) -> Self {
        Self(self.0 | Self::MASKED)
    }

    /// With another number.
    #[must_use]
    pub const fn with_number(self, number: u32) -> Self {
        Self(self.0 & !Self::NUMBER | number as u64 & Self::NUMBER)
    }

    /// Interrupts get through.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.0 & Self::VALID != 0 && self.0 & Self::MASKED == 0
    }

    /// Block and index of its queue.
    #[must_use]
    pub const fn queue(self) -> (u32, u32) {
        (
            (self.0 >> 56 & 0xf) as u32,
            (self.0 >> 32 & 0xff_ffff) as u32,
        )
    }

    /// The number that appears in the queue.
    #[must_use]
    pub const fn number(self) -> u32 {
        (self.0 & Self::NUMBER) as u32
    }
}

/// A target of notifications: NVT, of XIVE2 NVP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationTarget {
    generation: Generation,
    /// Those of XIVE2 have four.
    words: [u64; 8],
}

impl NotificationTarget {
    const VALID: u64 = ibm(0);

    /// One that is off.
    #[must_use]
    pub const fn off(generation: Generation) -> Self {
        let words = [0; 8];
        Self { generation, words }
    }

    /// A target that is on, with block and index of its first queue.
    #[must_use]
    pub const fn on(generation: Generation, block: u32, queues: u32) -> Self {
        let mut words = [0; 8];
        words[0] = Self::VALID;
        match generation {
            Generation::First => {
                words[0] |= (block as u64 & 0xf) << 28 | queues as u64 & 0x0fff_ffff;
            }
            Generation::Second => {
                words[2] = (block as u64 & 0xf) << 24 | queues as u64 & 0xff_ffff;
            }
        }
        Self { generation, words }
    }

    /// Its doublewords.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        let (four, _) = self.words.split_at(4);
        match self.generation {
            Generation::First => &self.words,
            Generation::Second => four,
        }
    }

    /// The same, to be filled.
    pub fn words_mut(&mut self) -> &mut [u64] {
        match self.generation {
            Generation::First => &mut self.words,
            Generation::Second => self.words.split_at_mut(4).0,
        }
    }

    /// It is on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.words[0] & Self::VALID != 0
    }

    /// What is pending for it, as the first two words of a thread's ring would have it.
    #[must_use]
    pub const fn state(&self) -> u64 {
        match self.generation {
            Generation::First => self.words[2],
            // Priority, pending ones, and the last one that was favoured: a byte each, from word 2 on.
            Generation::Second => self.words[1] >> 40 << 32,
        }
    }
}
