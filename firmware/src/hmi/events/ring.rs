//! The events that wait, oldest first, and what happens when there is no room for another.

use super::Entry;

/// Events that wait for the OS at most.
pub const CAPACITY: usize = 64;

/// How an event got in, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    /// One more waits.
    Queued,
    /// Two equal ones were joined, and this one waits in the room that it gave.
    QueuedAfterJoining {
        /// The two were about different things.
        across: bool,
    },
    /// A recovered event had to go for it.
    Displaced,
    /// An equal event waits already.
    Coalesced {
        /// That one is about something else.
        across: bool,
    },
    /// It is unrecovered like all that wait; one of them stands for it.
    Folded,
    /// It is lost.
    Refused,
}

#[derive(Debug)]
pub(super) struct Ring {
    /// Those that wait; what stands in the other places means nothing.
    entries: [Entry; CAPACITY],
    /// Place of the oldest.
    first: usize,
    count: usize,
    /// No two that wait are equal: known once it was looked for, until the next that is appended
    /// unseen.
    distinct: bool,
}

impl Ring {
    pub(super) const fn new() -> Self {
        Self {
            entries: [Entry::NONE; CAPACITY],
            first: 0,
            count: 0,
            distinct: false,
        }
    }

    pub(super) const fn has_room(&self) -> bool {
        self.count < CAPACITY
    }

    const fn place(&self, n: usize) -> usize {
        (self.first + n) % CAPACITY
    }

    const fn entry(&self, n: usize) -> &Entry {
        &self.entries[self.place(n)]
    }

    /// Appends; there is room.
    fn push(&mut self, entry: Entry) {
        let place = self.place(self.count);
        self.entries[place] = entry;
        self.count += 1;
    }

    /// Removes the oldest.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        if self.count == 0 {
            return None;
        }
        let entry = *self.entry(0);
        self.first = self.place(1);
        self.count -= 1;
        Some(entry)
    }

    /// Appends, and makes room if need be.
    pub(super) fn insert(&mut self, entry: Entry) -> Inserted {
        if self.has_room() {
            self.distinct = false;
            self.push(entry);
            return Inserted::Queued;
        }
        if let Some(across) = self.has_equal(&entry) {
            return Inserted::Coalesced { across };
        }
        if let Some(across) = self.join_equal() {
            self.push(entry);
            return Inserted::QueuedAfterJoining { across };
        }
        if !entry.unrecovered() {
            return Inserted::Refused;
        }
        match (0..self.count).find(|&n| !self.entry(n).unrecovered()) {
            Some(found) => {
                self.remove(found);
                self.push(entry);
                Inserted::Displaced
            }
            None => Inserted::Folded,
        }
    }

    /// Whether an event with the same bytes waits; `Some(true)` if only one about something else.
    fn has_equal(&self, entry: &Entry) -> Option<bool> {
        let mut found = None;
        for other in (0..self.count).map(|n| self.entry(n)) {
            if other == entry {
                return Some(false);
            }
            if other.words == entry.words {
                found = Some(true);
            }
        }
        found
    }

    /// Removes the younger one of two equal events, rather of two about the same thing.
    fn join_equal(&mut self) -> Option<bool> {
        if self.distinct {
            return None;
        }
        for across in [false, true] {
            for younger in (1..self.count).rev() {
                let entry = *self.entry(younger);
                let equal = |other: &Entry| *other == entry || across && other.words == entry.words;
                if (0..younger).any(|n| equal(self.entry(n))) {
                    self.remove(younger);
                    return Some(across);
                }
            }
        }
        self.distinct = true;
        None
    }

    fn remove(&mut self, found: usize) {
        for n in found..self.count - 1 {
            let (to, from) = (self.place(n), self.place(n + 1));
            self.entries[to] = self.entries[from];
        }
        self.count -= 1;
    }
}
