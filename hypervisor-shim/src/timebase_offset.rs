//! Moves TB by a guest's offset and back.
//!
//! TBU40 replaces the upper 40 bits while the lower 24 go on counting, so a carry out of them
//! between reading TB and writing TBU40 is lost. DEC counts the same ticks and is not moved, so it
//! tells how many carries were lost, however long the thread was held up in between.

use crate::machine::Machine;

/// Offsets are multiples of this: TBU40 cannot move less.
pub const GRANULE: i64 = 1 << 24;

/// Rounds an offset to what TB can be moved by.
#[must_use]
pub const fn rounded(offset: i64) -> i64 {
    offset & !(GRANULE - 1)
}

/// Most corrections; one is rare, two in a row are practically impossible.
const ATTEMPTS: u32 = 4;

/// Moves TB by `offset` ticks (a multiple of [`GRANULE`]).
pub fn shift(machine: &mut impl Machine, offset: i64) {
    if offset == 0 {
        return;
    }
    let mut offset = offset;
    for _ in 0..ATTEMPTS {
        let dec_before = machine.decrementer();
        let before = machine.timebase();
        let target = before.wrapping_add_signed(offset);
        machine.set_timebase_upper40(target);
        let after = machine.timebase();
        let dec_after = machine.decrementer();
        let elapsed = i64::from((dec_before as u32).wrapping_sub(dec_after as u32) as i32).max(0);
        let behind = target.wrapping_add_signed(elapsed).wrapping_sub(after) as i64;
        offset = rounded(behind.wrapping_add(GRANULE / 2));
        if offset == 0 {
            return;
        }
    }
}
