//! POWER8: the threads of a sub-core share one TB and one HDEC, so that one thread of each sub-core
//! can clean them for all. A core is split in 1, 2 or 4 sub-cores, by HID0, while the OS runs.
//!
//! It matters with guests: KVM brings one thread of each sub-core out, and the others come to the
//! handler when they leave their guest by themselves.
//!
//! Source: HMI and ChipTOD specification, sections 2.6 and 4.9.

use crate::platform::Generation;
use power_registers::ibm;

/// HID0: split in two.
const TWO: u64 = ibm(6);
/// HID0: split in four.
const FOUR: u64 = ibm(2);

/// Whether threads share copies of TB and HDEC. Later generations have a copy for each thread.
#[must_use]
pub const fn share_copies(generation: Generation) -> bool {
    matches!(generation, Generation::Power8)
}

/// Sub-cores that a core is split in.
#[must_use]
pub const fn count(hid0: u64) -> u32 {
    if hid0 & FOUR != 0 {
        4
    } else if hid0 & TWO != 0 {
        2
    } else {
        1
    }
}

/// Whether `present` has a thread of each sub-core; `threads` are all of the core.
#[must_use]
pub const fn are_all_present(sub_cores: u32, threads: u32, present: u8) -> bool {
    let width = threads / sub_cores;
    if width == 0 {
        // Not all sub-cores have a thread here: nobody may be missing.
        return (present as u32).count_ones() >= threads;
    }
    let own = (1_u32 << width) - 1;
    let mut sub_core = 0;
    while sub_core < sub_cores {
        if present as u32 >> (sub_core * width) & own == 0 {
            return false;
        }
        sub_core += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_that_of_hid0() {
        assert_eq!(count(0), 1);
        assert_eq!(count(0x0200_0000_0000_0000), 2);
        assert_eq!(count(0x2000_0000_0000_0000), 4);
        assert_eq!(count(0x0001_0000_0000_0000), 1, "dynamic split is off");
    }

    #[test]
    fn one_thread_of_each_is_enough() {
        assert!(are_all_present(1, 8, 0b1000_0000));
        assert!(!are_all_present(1, 8, 0));
        assert!(are_all_present(2, 8, 0b0001_0001));
        assert!(!are_all_present(2, 8, 0b1111_0000));
        assert!(are_all_present(4, 8, 0b0101_1001));
        assert!(!are_all_present(4, 8, 0b0101_0011));
        assert!(are_all_present(2, 4, 0b0110));
        assert!(!are_all_present(4, 2, 0b01));
        assert!(are_all_present(4, 2, 0b11));
    }
}
