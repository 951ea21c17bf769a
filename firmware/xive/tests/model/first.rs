//! The first generation's windows and registers.

use super::chip::{Chip, Place, VALID};
use super::{Faults, PAGE};

const CONTROLLER: u64 = 0x6_0302_0310_0000;
const SOURCES: u64 = 0x6_0100_0000_0000;
const SOURCES_BYTES: u64 = 1 << 39;
const SET: u64 = SOURCES_BYTES / 64;
const PSI_PAGES: u64 = 0x6_0302_031c_0000;
const SYNCHRONISED: u64 = 0xf800_0000;

impl Chip {
    pub(super) fn open_first(&mut self, register: u32, value: u64) {
        match register {
            0x10 | 0x12 | 0x14 | 0x16 | 0x18 => self.set_bar(register, value),
            0x17 | 0x19 => {
                let bar = self.bars.get(&(register - 1)).copied().unwrap_or(0);
                assert_eq!(bar & VALID, 0, "nor does it change its size");
                self.bars.insert(register, value);
            }
            _ => panic!("no register by SCOM at {register:#x}"),
        }
    }

    pub(super) fn place_first(&self, local: u64) -> Option<Place> {
        if (SOURCES..SOURCES + SOURCES_BYTES).contains(&local) {
            assert!(self.is_open(0x18), "the window of sources is closed");
            let offset = local - SOURCES;
            let set = self.sets[(offset / SET) as usize];
            let within = (set >> 32 & 0x3f) * SET + offset % SET;
            assert_eq!(set >> 48 & 0xf, u64::from(self.block));
            let index = (within / (2 * PAGE)) as u32;
            let second = !(within / PAGE).is_multiple_of(2);
            return Some(match set >> 62 {
                1 => {
                    assert!(index < 16_384, "the table of states ends");
                    Place::Source(index, second)
                }
                2 => Place::Queue(index, second.into()),
                _ => panic!("no such set"),
            });
        }
        if (CONTROLLER..CONTROLLER + 2 * PAGE).contains(&local) {
            assert!(self.is_open(0x10), "the controller's window is closed");
            let offset = local - CONTROLLER;
            return Some(match offset.checked_sub(PAGE) {
                None => Place::Register(offset),
                Some(port @ (0xc00 | 0xc80)) => Place::Sync(port),
                Some(port) => Place::Notify(port),
            });
        }
        self.psi_line(local.checked_sub(PSI_PAGES)?, 4096)
    }

    pub(super) fn load_first(&mut self, offset: u64, faults: Faults) -> u64 {
        match offset {
            0x738 | 0x928 => u64::from(self.conflict) << 63,
            0x740 => self.fetch_target(0x738),
            0x748..0x780 => self.data[(offset as usize - 0x740) / 8],
            0x930 => self.fetch_queue(0x928),
            0x938..0x950 => self.data[(offset as usize - 0x930) / 8],
            0x990 => self.scrubbing(faults),
            0x920 if self.syncs.len() == 2 && !faults.sync_hangs => SYNCHRONISED,
            0x920 => 0,
            _ => panic!("no register for loads at {offset:#x}"),
        }
    }

    pub(super) fn store_first(&mut self, offset: u64, value: u64, conflicts: &mut u32) {
        match offset {
            0x0f0 => {
                assert_eq!(value >> 32 & 0x3f, 0, "from the first set on");
                self.set_at = Some(value);
            }
            0x0f8 => match self.set_at.unwrap() >> 48 & 0xf {
                1 => self.sets.push(value),
                2 => self.target_sets.push(value),
                table => panic!("no table of sets {table}"),
            },
            0x448 => self.take_part(0, value),
            0x468 => self.take_part(64, value),
            0x490 => self.describe(0, 0x488, value),
            0x810 => self.describe(1, 0x808, value),
            0x740 => self.store_watched(0x738, true, value, conflicts),
            0x930 => self.store_watched(0x928, false, value, conflicts),
            0x748..0x780 => self.data[(offset as usize - 0x740) / 8] = value,
            0x938..0x950 => self.data[(offset as usize - 0x930) / 8] = value,
            0x990 => {
                assert_eq!(value >> 63, 1);
                self.scrub(value as u32);
            }
            0x920 if value & SYNCHRONISED == 0 => self.syncs.clear(),
            0x100 | 0x400 | 0x480 | 0x488 | 0x738 | 0x800 | 0x808 | 0x928 | 0x840..0x870 => {
                self.registers.insert(offset, value);
            }
            _ => panic!("no register for stores at {offset:#x}"),
        }
    }
}
