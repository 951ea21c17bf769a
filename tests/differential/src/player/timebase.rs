//! TB: it runs in QEMU, and stands or runs in the model.

use super::{Expected, Player};
use crate::rules::Rule;
use hardware_model::TimebaseCopies;
use power_registers::{Spr, TbState};

/// Ticks that QEMU may spend on an access.
const TICKS_PER_ACCESS: u64 = 256;
/// Ticks that QEMU may spend before the first one.
const TICKS_TO_START: u64 = 0x4000;

/// How far the two TBs of a thread are known to agree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    /// Bits of TB that both sides were last given, from the left: 64, 40, 32 or none.
    agreed: Agreed,
    /// QEMU's lead at most since then counts from this access.
    since: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreed {
    All,
    Upper40,
    Upper32,
    Lower32,
    Nothing,
}

impl Default for Copy {
    fn default() -> Self {
        Self {
            agreed: Agreed::All,
            since: 0,
        }
    }
}

impl Player {
    /// Index of the TB that a thread writes.
    fn copy(&self, thread: usize) -> usize {
        let configuration = self.machine.configuration();
        match configuration.copies {
            TimebaseCopies::PerThread => thread,
            TimebaseCopies::SubCores(_) => {
                configuration.core_of(thread) * configuration.threads_per_core
            }
        }
    }

    /// The model's TBs of a core now have the TOD's value, and QEMU's have not.
    pub(super) fn transferred(&mut self, core: usize) {
        self.hit(Rule::TbNotTransferred);
        let threads = self.machine.configuration().threads_per_core;
        for copy in &mut self.timebases[core * threads..(core + 1) * threads] {
            copy.agreed = Agreed::Nothing;
        }
    }

    pub(super) fn read_timebase(&mut self, thread: usize, qemu: u64) -> Expected {
        let model = self.thread(thread).read_spr(Spr::Tb);
        let copy = self.timebases[self.copy(thread)];
        let most = TICKS_TO_START + (self.number - copy.since) * TICKS_PER_ACCESS;
        let good = match copy.agreed {
            Agreed::All => qemu.wrapping_sub(model) <= most,
            Agreed::Upper40 => (qemu >> 24).wrapping_sub(model >> 24) <= 1 + (most >> 24),
            Agreed::Upper32 => (qemu >> 32).wrapping_sub(model >> 32) <= 1 + (most >> 32),
            Agreed::Lower32 => (qemu as u32).wrapping_sub(model as u32) as u64 <= most,
            Agreed::Nothing => true,
        };
        if qemu != model {
            self.hit(Rule::TbNeverStops);
        }
        if good {
            Expected::anything()
        } else {
            Expected::exactly(model)
        }
    }

    pub(super) fn write_timebase(&mut self, thread: usize, spr: Spr, value: u64) {
        let core = self.core_of(thread);
        let number = self.number;
        let index = self.copy(thread);
        if spr == Spr::Tbwl && self.state(core) == TbState::Running {
            self.hit(Rule::MttblHarmless);
            let copy = &mut self.timebases[index];
            copy.agreed = match copy.agreed {
                Agreed::All | Agreed::Upper40 | Agreed::Upper32 => Agreed::Upper32,
                Agreed::Lower32 | Agreed::Nothing => Agreed::Nothing,
            };
            return;
        }
        self.thread(thread).write_spr(spr, value);
        let copy = &mut self.timebases[index];
        copy.agreed = match (spr, copy.agreed) {
            (Spr::Tbwl, Agreed::All | Agreed::Upper40 | Agreed::Upper32) => Agreed::All,
            (Spr::Tbwl, _) => Agreed::Lower32,
            (Spr::Tbwu, Agreed::All | Agreed::Lower32) => Agreed::All,
            // The carry out of what keeps counting is lost in both, at different times.
            (Spr::Tbu40, _) => Agreed::Upper40,
            (_, Agreed::Upper40) => Agreed::Upper32,
            _ => Agreed::Upper32,
        };
        if spr == Spr::Tbwl || spr == Spr::Tbu40 {
            copy.since = number;
        }
    }
}
