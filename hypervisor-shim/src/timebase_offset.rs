//! Moves TB by a guest's offset and back.
//!
//! TBU40 replaces the upper 40 bits while the lower 24 go on counting, so a carry out of them
//! between reading TB and writing TBU40 is lost. DEC counts the same ticks and is not moved, so
//! TB + DEC tells how many carries were lost, however long the thread was held up in between.

use crate::machine::Machine;
use crate::oracle::Reading;
use power_registers::Tfmr;

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
///
/// While TB is broken nothing can be promised; it is about to be rewritten then.
pub fn shift(machine: &mut impl Machine, offset: i64) {
    if offset == 0 {
        return;
    }
    // TB + DEC, each time from readings that lie close together: how long this takes in between,
    // or how long the thread is held up, does not matter.
    let expected = Reading::tight(machine).expiry().wrapping_add_signed(offset);
    let mut missing = offset;
    for _ in 0..ATTEMPTS {
        let target = machine.timebase().wrapping_add_signed(missing);
        machine.set_timebase_upper40(target);
        let found = Reading::tight(machine);
        let behind = expected.wrapping_sub(found.expiry()) as i64;
        missing = rounded(behind.wrapping_add(GRANULE / 2));
        if missing != 0 && machine.tfmr().contains(Tfmr::DEC_PARITY) {
            // A DEC that broke meanwhile is no witness. TB itself tells of one lost carry.
            let behind = (found.before.wrapping_sub(target) as i64) < 0;
            missing = if behind { GRANULE } else { 0 };
        }
        if missing == 0 {
            return;
        }
    }
}
