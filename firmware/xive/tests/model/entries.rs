//! What the entries of a queue and of a target say, on either generation.

/// A queue that is on.
pub(super) struct Queue {
    /// Where its next word goes, and in which generation; `None` if it only notifies.
    pub(super) place: Option<(u64, u32)>,
    pub(super) entries: u64,
    pub(super) always_notifies: bool,
    pub(super) backlog: bool,
    /// Where what nobody takes goes, as an assignment.
    pub(super) escalation: Option<u64>,
    /// Block and index.
    pub(super) target: (u32, u32),
    pub(super) priority: u8,
}

fn bit(word: u64, ibm: u32) -> bool {
    word << ibm >> 63 != 0
}

impl Queue {
    pub(super) fn of(second: bool, end: [u64; 4]) -> Option<Self> {
        let [first, memory, escalation, target] = end;
        if !bit(first, 0) {
            return None;
        }
        let bits = if second { [5, 6, 8, 11] } else { [1, 2, 3, 5] };
        let [enqueue, always, backlog, escalates] = bits.map(|at| bit(first, at));
        let (page, size, block, index) = if second {
            assert!(bit(first, 13), "it escalates to a queue, not to a source");
            assert_eq!(memory & 0x70, 0, "reserved");
            (
                memory & 0x00ff_ffff_ffff_ff80,
                memory & 0xf,
                target >> 56 & 0xf,
                target >> 32 & 0xff_ffff,
            )
        } else {
            (
                memory & 0x0fff_ffff_ffff_ffff,
                first >> 48 & 0xf,
                target >> 51 & 0xf,
                target >> 32 & 0x7_ffff,
            )
        };
        let (generation, index_of_word) = (first >> 22 & 1, first & 0x3f_ffff);
        // Only the first generation has a mask there.
        let on = escalates && (second || escalation & 1 << 31 == 0);
        Some(Self {
            place: enqueue.then_some((page + 4 * index_of_word, (generation << 31) as u32)),
            entries: 1 << (10 + size),
            always_notifies: always,
            backlog,
            escalation: on.then_some(escalation),
            target: (block as u32, index as u32),
            priority: (target >> 16 & 0xff) as u8,
        })
    }
}

/// The word that the ring of a thread, or of a pool, has for a target.
pub(super) fn ring_word(second: bool, block: u32, index: u32) -> u32 {
    block << (if second { 24 } else { 19 }) | index
}

/// Notes that something of a priority waits for a target.
pub(super) fn keep(second: bool, entry: &mut [u64; 8], priority: u8) {
    let pending = u64::from(1_u8 << (7 - priority));
    if second {
        entry[1] |= pending << 48;
    } else {
        entry[2] |= pending << 40;
    }
}
