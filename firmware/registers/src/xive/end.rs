//! A queue of a target and priority (END).

use super::{EventAssignment, Generation};
use crate::{ibm, ibm_range};

/// Where the parts of an entry are that differ between the generations.
struct Format {
    enqueue: u64,
    always_notify: u64,
    backlog: u64,
    /// The hardware escalates.
    escalate: u64,
    /// Escalation was asked for.
    wants_escalation: u64,
    /// Set in every entry that is on.
    always: u64,
    /// The doubleword that has the log of bytes, and where in it.
    size: (usize, u32),
    target_block_shift: u32,
    target_bits: u64,
    page: u64,
}

const FIRST: Format = Format {
    enqueue: ibm(1),
    always_notify: ibm(2),
    backlog: ibm(3),
    escalate: ibm(5),
    wants_escalation: ibm(5),
    always: 0,
    size: (0, 48),
    target_block_shift: 51,
    target_bits: 0x7_ffff,
    page: ibm_range(4, 63),
};

/// Escalation goes to a queue, not to a source (bit 13); and there is no mask in the way to it, so that
/// an escalation that leads nowhere has to be off, and a bit that is the firmware's (16) remembers that it
/// was asked for.
const SECOND: Format = Format {
    enqueue: ibm(5),
    always_notify: ibm(6),
    backlog: ibm(8),
    escalate: ibm(11),
    wants_escalation: ibm(16),
    always: ibm(13),
    size: (1, 0),
    target_block_shift: 56,
    target_bits: 0xff_ffff,
    page: ibm_range(8, 56),
};

/// A queue of a target and priority (END): four doublewords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    generation: Generation,
    words: [u64; 4],
}

impl End {
    const VALID: u64 = ibm(0);
    /// Both pairs of state bits of the queue itself: notification and escalation.
    const STATES: u64 = ibm_range(32, 35);
    const STATES_OFF: u64 = ibm(33) | ibm(35);
    const GENERATION: u64 = ibm(41);
    const POSITION: u64 = ibm_range(42, 63);
    /// Log of bytes of the smallest queue.
    const SMALLEST: u32 = 12;

    /// One of these doublewords.
    #[must_use]
    pub const fn new(generation: Generation, words: [u64; 4]) -> Self {
        Self { generation, words }
    }

    const fn format(&self) -> &'static Format {
        match self.generation {
            Generation::First => &FIRST,
            Generation::Second => &SECOND,
        }
    }

    /// Its doublewords.
    #[must_use]
    pub const fn words(&self) -> &[u64; 4] {
        &self.words
    }

    /// The same, to be filled.
    pub const fn words_mut(&mut self) -> &mut [u64; 4] {
        &mut self.words
    }

    /// A queue that is off; what it escalates to stays.
    #[must_use]
    pub const fn off(self) -> Self {
        let words = [Self::STATES_OFF, 0, self.words[2], 0];
        Self { words, ..self }
    }

    /// A queue of a target, empty: its memory, the log of its bytes, and the target's priority.
    #[must_use]
    pub fn of_target(self, block: u32, target: u32, priority: u8) -> Self {
        let format = self.format();
        let block = (u64::from(block) & 0xf) << format.target_block_shift;
        let target = (u64::from(target) & format.target_bits) << 32;
        let words = [
            Self::VALID | Self::GENERATION | format.always,
            0,
            self.words[2],
            block | target | u64::from(priority) << 16,
        ];
        Self { words, ..self }
    }

    /// With memory of so many bytes (their log).
    #[must_use]
    pub fn in_memory(mut self, page: u64, shift: u32) -> Self {
        let format = self.format();
        let (word, place) = format.size;
        self.words[0] |= format.enqueue;
        self.words[1] = page & format.page;
        self.words[word] |= u64::from(shift.saturating_sub(Self::SMALLEST) & 0xf) << place;
        self
    }

    /// Each entry notifies the target.
    #[must_use]
    pub const fn always_notify(self) -> Self {
        let bit = self.format().always_notify;
        self.with(bit)
    }

    /// What no thread takes is kept for the target.
    #[must_use]
    pub const fn keeps_backlog(self) -> Self {
        let bit = self.format().backlog;
        self.with(bit)
    }

    /// What no thread takes escalates, when there is a way.
    #[must_use]
    pub const fn escalates(self) -> Self {
        let bit = self.format().wants_escalation;
        self.with(bit).with_way()
    }

    const fn with(mut self, bit: u64) -> Self {
        self.words[0] |= bit;
        self
    }

    /// On a controller without a mask in that way: escalates if it was asked for and leads somewhere.
    const fn with_way(mut self) -> Self {
        let format = self.format();
        if format.escalate != format.wants_escalation {
            self.words[0] &= !format.escalate;
            if self.words[0] & format.wants_escalation != 0 && self.escalation().is_on() {
                self.words[0] |= format.escalate;
            }
        }
        self
    }

    /// With another position: generation and index.
    #[must_use]
    pub const fn at(mut self, generation: bool, position: u32) -> Self {
        let generation = if generation { Self::GENERATION } else { 0 };
        self.words[0] &= !(Self::GENERATION | Self::POSITION);
        self.words[0] |= generation | position as u64 & Self::POSITION;
        self
    }

    const fn has(&self, bit: u64) -> bool {
        self.words[0] & bit != 0
    }

    /// It is on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.has(Self::VALID)
    }

    /// Each entry notifies the target.
    #[must_use]
    pub const fn does_always_notify(&self) -> bool {
        self.has(self.format().always_notify)
    }

    /// What no thread takes escalates.
    #[must_use]
    pub const fn does_escalate(&self) -> bool {
        self.has(self.format().wants_escalation)
    }

    /// Its memory and the log of the bytes, if it has some.
    #[must_use]
    pub fn memory(&self) -> Option<(u64, u32)> {
        let format = self.format();
        let (word, place) = format.size;
        let shift = Self::SMALLEST + (self.words[word] >> place & 0xf) as u32;
        self.has(format.enqueue)
            .then_some((self.words[1] & format.page, shift))
    }

    /// Generation and position.
    #[must_use]
    pub const fn position(&self) -> (bool, u32) {
        let position = (self.words[0] & Self::POSITION) as u32;
        (self.has(Self::GENERATION), position)
    }

    /// What it escalates to.
    #[must_use]
    pub const fn escalation(&self) -> EventAssignment {
        EventAssignment(self.words[2])
    }

    /// Escalates to something else.
    #[must_use]
    pub const fn escalating_to(mut self, assignment: EventAssignment) -> Self {
        self.words[2] = assignment.0;
        self.with_way()
    }

    /// The state bits of notification and escalation.
    #[must_use]
    pub const fn states(&self) -> u64 {
        (self.words[0] & Self::STATES) >> 28
    }
}
