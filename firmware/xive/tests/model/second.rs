//! The second generation's windows and registers: pages for the common queue (0), the virtualization
//! controller (1), the presentation controller (2) and the threads (3).

use super::chip::{Chip, Place, VALID};
use super::{Faults, PAGE};

const CONTROLLER: u64 = 0x6_0302_0000_0000;
const PSI_PAGES: u64 = 0x6_0302_0200_0000;
const SOURCES: u64 = 0x6_0500_0000_0000;
const QUEUES: u64 = 0x6_0600_0000_0000;
const SYNCHRONISED: u64 = 0xfe << 56;

impl Chip {
    pub(super) fn open_second(&mut self, register: u32, value: u64) {
        let (first, pages) = match register {
            0x08 => (CONTROLLER, false),
            0x09 => (0x6_0302_0318_0000, false),
            0x0a => (SOURCES, true),
            0x0b => (QUEUES, true),
            0x0c => (0x6_0400_0000_0000, true),
            _ => panic!("no register by SCOM at {register:#x}"),
        };
        if value != 0 {
            let chip = if register == 0x09 { 0 } else { self.block };
            assert_eq!(value >> 62, 3, "open, with pages of 64 KiB");
            let address = value & 0x00ff_ffff_ff00_0000 | if pages { 0 } else { value & 0xff_ffff };
            assert_eq!(address, first + (u64::from(chip) << 44), "{register:#x}");
        }
        self.set_bar(register, value);
    }

    /// The place within a window, if it is open and as large.
    fn within(&self, bar: u32, first: u64, local: u64) -> Option<u64> {
        let bar = self.bars.get(&bar).copied().unwrap_or(0);
        let offset = local.checked_sub(first)?;
        (bar & VALID != 0 && offset < 1 << (24 + (bar & 0x1f))).then_some(offset)
    }

    pub(super) fn place_second(&self, local: u64) -> Option<Place> {
        let pair = |offset: u64| {
            let second = !(offset / PAGE).is_multiple_of(2);
            ((offset / (2 * PAGE)) as u32, second)
        };
        if local >= QUEUES {
            let (index, second) = pair(self.within(0x0b, QUEUES, local)?);
            return Some(Place::Queue(index, second.into()));
        }
        if local >= SOURCES {
            let (index, second) = pair(self.within(0x0a, SOURCES, local)?);
            return Some(Place::Source(index, second));
        }
        if local >= PSI_PAGES {
            return self.psi_line(local - PSI_PAGES, PAGE);
        }
        let offset = local.checked_sub(CONTROLLER)?;
        assert!(self.is_open(0x08), "the controller's window is closed");
        match (offset / PAGE, offset % PAGE) {
            (0..4, _) => Some(Place::Register(offset)),
            (4, port @ 0x800..0x1000) => Some(Place::Notify(port)),
            (6, port @ 0..0x380) => Some(Place::Sync(port)),
            _ => None,
        }
    }

    pub(super) fn load_second(&mut self, offset: u64, faults: Faults) -> u64 {
        match offset {
            0x1_0500 | 0x2_0500 => u64::from(self.conflict) << 63,
            0x1_0520 => self.fetch_queue(0x1_0500),
            0x2_0520 => self.fetch_target(0x2_0500),
            0x1_0528..0x1_0540 | 0x2_0528..0x2_0540 => {
                self.data[(offset as usize & 0xffff) / 8 - 0x520 / 8]
            }
            0x1_0300 => self.scrubbing(faults),
            0x1_0420 if self.syncs.len() == 7 && !faults.sync_hangs => SYNCHRONISED,
            0x1_0420 => 0,
            _ => panic!("no register for loads at {offset:#x}"),
        }
    }

    pub(super) fn store_second(&mut self, offset: u64, value: u64, conflicts: &mut u32) {
        match offset {
            0x018 => {
                let block = u64::from(self.block);
                assert_eq!(value >> 40 & 0xff, 0x80 | block, "the block is said");
                assert_eq!(value >> 52 & 3, 3, "eight priorities");
                assert_eq!(value & 0xff_ffff_ffff, 0, "nothing of the first generation");
                self.registers.insert(offset, value);
            }
            0x070 => {
                assert_eq!(value >> 63, 1, "one after the other");
                assert_eq!(value >> 32 & 0xf, 0, "from the first set on");
                self.set_at = Some(value);
            }
            0x078 => {
                assert_eq!(value, VALID | u64::from(self.block));
                match self.set_at.unwrap() >> 48 & 0xf {
                    0 | 2 => self.sets.push(value),
                    3 => self.target_sets.push(value),
                    table => panic!("no table of sets {table}"),
                }
            }
            0x3_0010 => self.take_part(0, value),
            0x3_0030 => self.take_part(64, value),
            0x1_0008 => self.describe(1, 0x1_0000, value),
            0x2_0008 => self.describe(0, 0x2_0000, value),
            0x1_0520 => self.store_watched(0x1_0500, false, value, conflicts),
            0x2_0520 => self.store_watched(0x2_0500, true, value, conflicts),
            0x1_0528..0x1_0540 | 0x2_0528..0x2_0540 => {
                self.data[(offset as usize & 0xffff) / 8 - 0x520 / 8] = value;
            }
            0x1_0308 => {
                assert_eq!(value as u32, u32::MAX, "this one alone");
                assert_eq!(value >> 60, u64::from(self.block));
                self.scrub((value >> 32) as u32 & 0x0fff_ffff);
            }
            0x1_0420 if value & SYNCHRONISED == 0 => self.syncs.clear(),
            0x1a8 | 0x1_0000 | 0x2_0000 | 0x1_0500 | 0x2_0500 | 0x3_0140 | 0x1_00b8..0x1_00f0 => {
                self.registers.insert(offset, value);
            }
            _ => panic!("no register for stores at {offset:#x}"),
        }
    }
}
