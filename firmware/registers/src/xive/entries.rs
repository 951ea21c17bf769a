//! Entries of the tables that the controller keeps in memory, big-endian there.

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

/// A queue of a target and priority (END).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End(pub [u64; 4]);

impl End {
    const VALID: u64 = ibm(0);
    const ENQUEUE: u64 = ibm(1);
    const ALWAYS_NOTIFY: u64 = ibm(2);
    const BACKLOG: u64 = ibm(3);
    const ESCALATE: u64 = ibm(5);
    /// Both pairs of state bits of the queue itself: notification and escalation.
    const STATES: u64 = ibm_range(32, 35);
    const STATES_OFF: u64 = ibm(33) | ibm(35);
    const GENERATION: u64 = ibm(41);
    const POSITION: u64 = ibm_range(42, 63);
    const PAGE: u64 = ibm_range(4, 63);
    /// Log of bytes of the smallest queue.
    const SMALLEST: u32 = 12;

    /// A queue that is off; what it escalates to stays.
    #[must_use]
    pub const fn off(self) -> Self {
        Self([Self::STATES_OFF, 0, self.0[2], 0])
    }

    /// A queue of a target, empty: its memory, the log of its bytes, and the target's priority.
    #[must_use]
    pub const fn of_target(self, block: u32, target: u32, priority: u8) -> Self {
        let place = (block as u64 & 0xf) << 51 | (target as u64 & 0x7_ffff) << 32;
        Self([
            Self::VALID | Self::GENERATION,
            0,
            self.0[2],
            place | (priority as u64) << 16,
        ])
    }

    /// With memory of so many bytes (their log).
    #[must_use]
    pub const fn in_memory(self, page: u64, shift: u32) -> Self {
        let size = (shift.saturating_sub(Self::SMALLEST) as u64 & 0xf) << 48;
        let [first, _, escalation, target] = self.0;
        Self([
            first | Self::ENQUEUE | size,
            page & Self::PAGE,
            escalation,
            target,
        ])
    }

    /// Each entry notifies the target.
    #[must_use]
    pub const fn always_notify(self) -> Self {
        self.with(Self::ALWAYS_NOTIFY)
    }

    /// What no thread takes is kept for the target.
    #[must_use]
    pub const fn keeps_backlog(self) -> Self {
        self.with(Self::BACKLOG)
    }

    /// What no thread takes escalates.
    #[must_use]
    pub const fn escalates(self) -> Self {
        self.with(Self::ESCALATE)
    }

    const fn with(self, bit: u64) -> Self {
        let [first, page, escalation, target] = self.0;
        Self([first | bit, page, escalation, target])
    }

    /// With another position: generation and index.
    #[must_use]
    pub const fn at(self, generation: bool, position: u32) -> Self {
        let [first, page, escalation, target] = self.0;
        let generation = if generation { Self::GENERATION } else { 0 };
        let first = first & !(Self::GENERATION | Self::POSITION);
        Self([
            first | generation | position as u64 & Self::POSITION,
            page,
            escalation,
            target,
        ])
    }

    /// It is on.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.0[0] & Self::VALID != 0
    }

    /// Each entry notifies the target.
    #[must_use]
    pub const fn does_always_notify(self) -> bool {
        self.0[0] & Self::ALWAYS_NOTIFY != 0
    }

    /// What no thread takes escalates.
    #[must_use]
    pub const fn does_escalate(self) -> bool {
        self.0[0] & Self::ESCALATE != 0
    }

    /// Its memory and the log of the bytes, if it has some.
    #[must_use]
    pub const fn memory(self) -> Option<(u64, u32)> {
        if self.0[0] & Self::ENQUEUE == 0 {
            return None;
        }
        let shift = Self::SMALLEST + (self.0[0] >> 48 & 0xf) as u32;
        Some((self.0[1] & Self::PAGE, shift))
    }

    /// Generation and position.
    #[must_use]
    pub const fn position(self) -> (bool, u32) {
        (
            self.0[0] & Self::GENERATION != 0,
            (self.0[0] & Self::POSITION) as u32,
        )
    }

    /// What it escalates to.
    #[must_use]
    pub const fn escalation(self) -> EventAssignment {
        EventAssignment(self.0[2])
    }

    /// Escalates to something else.
    #[must_use]
    pub const fn escalating_to(self, assignment: EventAssignment) -> Self {
        let [first, page, _, target] = self.0;
        Self([first, page, assignment.0, target])
    }

    /// The state bits of notification and escalation.
    #[must_use]
    pub const fn states(self) -> u64 {
        (self.0[0] & Self::STATES) >> 28
    }
}

/// A target of notifications (NVT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotificationTarget(pub [u64; 8]);

impl NotificationTarget {
    const VALID: u64 = ibm(0);

    /// A target that is on, with block and index of its first queue.
    #[must_use]
    pub const fn on(block: u32, queues: u32) -> Self {
        let first = Self::VALID | (block as u64 & 0xf) << 28 | queues as u64 & 0x0fff_ffff;
        Self([first, 0, 0, 0, 0, 0, 0, 0])
    }

    /// It is on.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.0[0] & Self::VALID != 0
    }

    /// Its words 4 and 5: what is pending for it.
    #[must_use]
    pub const fn state(self) -> u64 {
        self.0[2]
    }
}
