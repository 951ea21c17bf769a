//! The way of an interrupt: source, assignment, queue, target, thread.

use super::Model;
use super::entries::{Queue, keep, ring_word};

/// A trigger of a source: whether it goes on, and its new state bits.
fn triggered(state: u8) -> (bool, u8) {
    match state & 3 {
        0 => (true, 2),
        2 | 3 => (false, 3),
        off => (false, off),
    }
}

impl Model {
    pub(super) fn source_event(&mut self, block: u32, source: u32) {
        let chip = self.chips.get_mut(&block).unwrap();
        let state = chip.source_state(source);
        let (goes_on, new) = triggered(*state);
        *state = new;
        if goes_on {
            self.assigned(block, source);
        }
    }

    pub(super) fn psi_event(&mut self, block: u32, line: u32) {
        let psi = &mut self.chips.get_mut(&block).unwrap().psi;
        let state = &mut psi.states[line as usize];
        if *state != 0 {
            return;
        }
        *state = 2;
        let (number, notify) = (psi.first | u64::from(line), psi.notify);
        if let Some(port) = notify {
            xive_controller::Bus::store(self, port, number);
        }
    }

    /// A load from the page of a level.
    pub(super) fn psi_page(&mut self, block: u32, line: u32, offset: u64) -> u64 {
        let psi = &mut self.chips.get_mut(&block).unwrap().psi;
        let state = &mut psi.states[line as usize];
        let old = *state;
        match offset {
            0..0x800 => {
                *state = 0;
                if psi.levels[line as usize] {
                    self.psi_event(block, line);
                }
            }
            0xc00.. => *state = (offset >> 8 & 3) as u8,
            _ => {}
        }
        old.into()
    }

    /// A load from the page that ends a source of software.
    pub(super) fn source_page(&mut self, block: u32, source: u32, offset: u64) -> u64 {
        let chip = self.chips.get_mut(&block).unwrap();
        let state = chip.source_state(source);
        let old = *state;
        match offset {
            0..0x800 => {
                *state = if old & 3 == 3 { 2 } else { old & 1 };
                if old & 3 == 3 {
                    self.assigned(block, source);
                }
            }
            0xc00.. => *state = (offset >> 8 & 3) as u8,
            _ => {}
        }
        old.into()
    }

    /// A store to the controller's notifications: a source of a bridge, or what another chip forwards.
    pub(super) fn notified(&mut self, block: u32, value: u64) {
        const FORWARDED: u64 = 1 << 62;
        if value & FORWARDED != 0 {
            self.queued(value);
            return;
        }
        assert_eq!(value >> 28 & 0xf, u64::from(block), "an own source");
        self.assigned(block, value as u32 & 0x0fff_ffff);
    }

    fn assigned(&mut self, block: u32, source: u32) {
        let chip = self.chips.get_mut(&block).unwrap();
        let assignment = chip.assignment(source);
        assert_eq!(assignment >> 63, 1, "an assignment that is none");
        if assignment & 1 << 31 != 0 {
            return;
        }
        let end_block = assignment >> 56 & 0xf;
        let descriptor = chip.tables[&(1, 2, end_block)];
        match descriptor >> 62 {
            2 => self.queued(assignment),
            3 if self.second => {
                let window = 0x6_0600_0000_0000 + (end_block << 44);
                assert_eq!(descriptor & 0x00ff_ffff_ffff_f000, window);
                self.queued(assignment);
            }
            3 => {
                let port = descriptor & 0x0fff_ffff_ffff_f000;
                let forwarded = assignment & !(1 << 63) | 1 << 62;
                xive_controller::Bus::store(self, port, forwarded);
            }
            mode => panic!("a table of mode {mode}"),
        }
    }

    fn queued(&mut self, assignment: u64) {
        let (block, queue) = (
            (assignment >> 56 & 0xf) as u32,
            (assignment >> 32) as u32 & 0xff_ffff,
        );
        let second = self.second;
        let chip = self.chips.get_mut(&block).unwrap();
        let end = chip.queues.get_mut(&queue).expect("a queue that was set");
        let Some(decoded) = Queue::of(second, *end) else {
            return;
        };
        if let Some((address, generation)) = decoded.place {
            let word = generation | assignment as u32 & 0x7fff_ffff;
            self.memory.insert(address, word);
            let next = ((end[0] & 0x3f_ffff) + 1) % decoded.entries;
            let flip = u64::from(next == 0) << 22;
            end[0] = (end[0] & !0x3f_ffff | next) ^ flip;
        }
        if !decoded.always_notifies {
            let (goes_on, state) = triggered((end[0] >> 30 & 3) as u8);
            end[0] = end[0] & !(3 << 30) | u64::from(state) << 30;
            if !goes_on {
                return;
            }
        }
        let (target_block, target) = decoded.target;
        if self.presented(target_block, target, decoded.priority) {
            return;
        }
        let entry = self.chips.get_mut(&target_block).unwrap();
        let entry = entry.targets.get_mut(&target).unwrap();
        if decoded.backlog {
            keep(second, entry, decoded.priority);
        }
        let Some(escalation) = decoded.escalation else {
            return;
        };
        let chip = self.chips.get_mut(&block).unwrap();
        let end = chip.queues.get_mut(&queue).unwrap();
        let (goes_on, state) = triggered((end[0] >> 28 & 3) as u8);
        end[0] = end[0] & !(3 << 28) | u64::from(state) << 28;
        if goes_on {
            self.queued(escalation);
        }
    }

    /// Whether a thread carries the target, which must be on.
    fn presented(&mut self, block: u32, nvt: u32, priority: u8) -> bool {
        let chip = &self.chips[&block];
        let entry = chip.targets.get(&nvt).expect("a target that was set");
        assert_eq!(entry[0] >> 63, 1, "a target that is off");
        let word = ring_word(self.second, block, nvt);
        let mut found = false;
        for (pir, ring) in &mut self.rings {
            let physical = ring_word(self.second, pir >> 8, 0x80 | pir & 0x7f);
            let which = match () {
                () if ring.enabled && ring.valid && physical == word => 0,
                () if ring.enabled && ring.pool == 1 << 31 | word => 1,
                () => continue,
            };
            assert!(!found, "two threads carry {word:#x}");
            ring.pending[which] |= 1 << (7 - priority);
            found = true;
        }
        found
    }
}
