//! TFMR: the model is told of a command, or of time, when QEMU shows that its own has acted.

use super::{Expected, Player};
use crate::rules::Rule;
use hardware_model::{Generation, SYNC_TICKS};
use power_registers::{Spr, TbState, Tfmr, ibm_range};

const LOAD: u64 = Tfmr::LOAD_TOD_MOD.bits();
const MOVE: u64 = Tfmr::MOVE_CHIP_TOD_TO_TB.bits();
const CLEAR: u64 = Tfmr::CLEAR_TB_ERRORS.bits();
const CONTROL_ERROR: u64 = Tfmr::FW_CONTROL_ERROR.bits();
const LAST: u64 = ibm_range(32, 35);
/// Reads in which QEMU does anything that it will do.
const PATIENCE: u32 = 5;
/// CHIP_TOD_STATUS.
const MIRROR: u64 = ibm_range(47, 50);

/// What QEMU has of a core and the model has not been told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Core {
    /// A write with LOAD_TOD_MOD that QEMU has not acted on yet.
    held: Option<u64>,
    /// QEMU dropped a MOVE, and with it nothing else.
    move_dropped: bool,
    /// The control field of a write that the model does not see.
    control: Option<u64>,
    /// QEMU forgot a LOAD_TOD_MOD that it refused.
    refused: bool,
    /// QEMU keeps a CLEAR that it refused.
    clear_stays: bool,
    /// TBST_LAST as QEMU has it, and why.
    last: Option<(TbState, Rule)>,
    /// QEMU takes a TOD value for this core: from MOVE on, whatever came since.
    pub(super) ready: bool,
    /// QEMU has one.
    pub(super) sent: bool,
    /// Reads of QEMU's state since something has been under way there.
    waiting: u32,
    /// The model cannot follow until CLEAR, for this reason.
    adrift: Option<Rule>,
}

impl Player {
    /// State of the model's core.
    pub(super) fn state(&self, core: usize) -> TbState {
        let thread = core * self.machine.configuration().threads_per_core;
        self.machine.tfmr(thread).state()
    }

    fn tell(&self, thread: usize, value: u64) {
        self.thread(thread).write_spr(Spr::Tfmr, value);
    }

    pub(super) fn write_tfmr(&mut self, thread: usize, value: u64) {
        let core = self.core_of(thread);
        let before = self.cores[core];
        let state = self.state(core);
        let next = &mut self.cores[core];
        next.waiting = 0;
        if value & Tfmr::TB_ECLIPZ.bits() == 0 {
            next.adrift = Some(Rule::NonEclipz);
            return;
        }
        if value & LOAD != 0 && value & MOVE != 0 {
            *next = Core {
                sent: before.sent,
                ..Core::default()
            };
            if before.adrift.is_some() {
                next.adrift = before.adrift;
                return;
            }
            next.last = (state == TbState::Error).then_some((state, Rule::LastOfSameState));
            next.clear_stays = value & CLEAR != 0;
            self.tell(thread, value);
            return;
        }
        if value & CLEAR != 0 {
            *next = Core::default();
            return self.clear(thread, value, state, before.adrift);
        }
        if next.adrift.is_some() {
            return;
        }
        if state == TbState::Error {
            return self.hit(Rule::ErrorDropsWrites);
        }
        if value & LOAD != 0 {
            next.held = Some(value);
            return;
        }
        next.held = None;
        if value & MOVE == 0 && matches!(state, TbState::SyncWait | TbState::GetTod) {
            next.move_dropped = true;
            next.control = Some(value & Tfmr::CONTROL.bits());
            return self.hit(Rule::DroppedSilently);
        }
        next.move_dropped = false;
        next.control = None;
        if before.held.is_some() {
            self.hit(Rule::DroppedSilently);
        }
        self.tell(thread, value);
        let after = self.state(core);
        let next = &mut self.cores[core];
        if after != state {
            next.last = None;
        }
        if value & MOVE != 0 {
            next.ready = after == TbState::SyncWait;
        }
    }

    fn clear(&mut self, thread: usize, value: u64, state: TbState, adrift: Option<Rule>) {
        let core = self.core_of(thread);
        self.hit(Rule::ClearOnce);
        if self.machine.tfmr(thread).bits() & !value & CONTROL_ERROR != 0 {
            self.hit(Rule::ClearDropsControlError);
        }
        if matches!(state, TbState::NotSet | TbState::Running) {
            self.hit(Rule::ClearFromAnyState);
            self.tell(thread, value & !CLEAR | LOAD | MOVE);
            self.cores[core].last = Some((state, Rule::LastAfterClear));
        } else if state == TbState::Reset {
            self.cores[core].last = Some((state, Rule::LastOfSameState));
        }
        self.tell(thread, value | CONTROL_ERROR);
        self.machine.tick(1);
        if let Some(rule) = adrift {
            // Where QEMU came from is not known; the next transition tells.
            self.cores[core].last = Some((TbState::Unknown(15), rule));
        }
    }

    pub(super) fn read_tfmr(&mut self, thread: usize, qemu: u64) -> Expected {
        let core = self.core_of(thread);
        if let Some(rule) = self.cores[core].adrift {
            self.hit(rule);
            return Expected::anything();
        }
        let shown = Tfmr::from_bits_retain(qemu);
        if let Some(command) = self.cores[core].held
            && qemu & LOAD == 0
        {
            self.hit(Rule::LoadByReads);
            let refused = self.state(core) == TbState::GetTod;
            self.cores[core] = Core {
                refused,
                ready: self.cores[core].ready,
                sent: self.cores[core].sent,
                ..Core::default()
            };
            self.tell(thread, command);
            self.machine.tick(1);
        }
        if self.cores[core].held.is_none() && !self.cores[core].move_dropped {
            self.follow(core, shown.state());
        }
        if self.cores[core].adrift.is_some() {
            return Expected::anything();
        }
        self.expected(thread, core, shown)
    }

    /// Lets the model do what QEMU has done, if it can.
    fn follow(&mut self, core: usize, shown: TbState) {
        if self.state(core) == TbState::SyncWait && shown == TbState::GetTod {
            self.hit(Rule::SyncWaitByReads);
            if self.machine.configuration().generation == Generation::Power8 {
                self.hit(Rule::SyncWithoutTod);
            }
            self.cores[core].waiting = 0;
            self.machine
                .tick(SYNC_TICKS - self.machine.now() % SYNC_TICKS);
            self.cores[core].last = None;
        }
        if self.state(core) == TbState::GetTod && shown == TbState::Running {
            self.machine.tick(1);
            if self.state(core) == TbState::GetTod && self.cores[core].sent {
                self.hit(Rule::SendRemembered);
                self.send_again(core);
                self.machine.tick(1);
                if self.state(core) == TbState::GetTod {
                    self.cores[core].adrift = Some(Rule::SentValueArrives);
                }
            }
            if self.state(core) == TbState::Running {
                self.hit(Rule::TransferByReads);
                self.cores[core].sent = false;
                self.cores[core].ready = false;
                self.cores[core].last = None;
                self.transferred(core);
            }
        }
    }

    /// Whether QEMU does not do what it should have done by now.
    fn is_late(&mut self, core: usize) -> bool {
        let state = self.state(core);
        let known = &mut self.cores[core];
        let moving = state == TbState::SyncWait || state == TbState::GetTod && known.sent;
        if known.held.is_some() || moving && !known.move_dropped {
            known.waiting += 1;
        } else {
            known.waiting = 0;
        }
        known.waiting > PATIENCE
    }

    fn expected(&mut self, thread: usize, core: usize, shown: Tfmr) -> Expected {
        if self.is_late(core) {
            return Expected::exactly(!shown.bits());
        }
        let model = self.thread(thread).read_spr(Spr::Tfmr);
        let known = self.cores[core];
        let mut expected = Expected::exactly(model);
        let control = Tfmr::CONTROL.bits();
        if let Some(value) = known.held.or(known.control) {
            expected.value = model & !control | value & control;
        }
        if known.refused && model & LOAD != 0 {
            self.hit(Rule::RefusedLoadGone);
            expected.value &= !LOAD;
        }
        if known.clear_stays {
            self.hit(Rule::RefusedClearStays);
            expected.value |= CLEAR;
        }
        self.absent(Rule::NoEnabledBit, Tfmr::TB_ENABLED.bits(), &mut expected);
        self.absent(Rule::NoTodMirror, MIRROR, &mut expected);
        let sync = Tfmr::TB_SYNC_OCCURRED.bits();
        if (expected.value ^ shown.bits()) & sync != 0 {
            self.hit(Rule::SyncByReads);
        }
        expected.mask &= !sync;
        if let Some((last, rule)) = known.last {
            let model = Tfmr::from_bits_retain(model);
            // The model's next transition ends it.
            if (expected.value ^ shown.bits()) & LAST != 0 {
                self.hit(rule);
            }
            if let TbState::Unknown(_) = last {
                expected.mask &= !LAST;
            } else {
                expected.value =
                    expected.value & !LAST | model.with_states(model.state(), last).bits() & LAST;
            }
        }
        expected
    }
}
