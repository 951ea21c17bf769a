//! Writes sequences of accesses in the words of the specification.

use crate::access::{Access, Operation};
use hardware_model::{Configuration, Generation};
use power_registers::chip_tod::{TRIGGER, TodRegister};
use power_registers::{Hmer, Spr, TbState, Tfmr, ibm};

/// Reads after which QEMU has done what it will do.
pub(crate) const SETTLED: usize = 6;
/// One step before a sync, running.
pub(crate) const TOD_START: u64 = 0x1234_5678_9abc_dff0;

/// PSS_MSS_CTRL: master of the primary topology.
pub(crate) const MASTER: u64 = ibm(1) | ibm(2);

pub(crate) const LOAD: u64 = Tfmr::LOAD_TOD_MOD.bits();
pub(crate) const MOVE: u64 = Tfmr::MOVE_CHIP_TOD_TO_TB.bits();
pub(crate) const CLEAR: u64 = Tfmr::CLEAR_TB_ERRORS.bits();
pub(crate) const CONTROL_ERROR: u64 = Tfmr::FW_CONTROL_ERROR.bits();

/// Writes a sequence; the threads of core 0 take turns.
#[derive(Debug)]
pub(crate) struct Writer {
    base: u64,
    generation: Generation,
    pub(crate) threads: usize,
    thread: usize,
    pub(crate) accesses: Vec<Access>,
}

impl Writer {
    pub(crate) fn new(configuration: &Configuration) -> Self {
        Self {
            base: configuration.base(),
            generation: configuration.generation,
            threads: configuration.threads_per_core,
            thread: 0,
            accesses: Vec::new(),
        }
    }

    /// The next access is of this thread.
    pub(crate) const fn by(&mut self, thread: usize) -> &mut Self {
        self.thread = thread;
        self
    }

    pub(crate) fn push(&mut self, operation: Operation) {
        self.accesses.push(Access {
            thread: self.thread,
            operation,
        });
    }

    /// The next thread goes on.
    pub(crate) const fn turn(&mut self) {
        self.thread = (self.thread + 1) % self.threads;
    }

    pub(crate) fn tfmr(&mut self, bits: u64) -> &mut Self {
        self.push(Operation::WriteSpr(Spr::Tfmr, self.base | bits));
        self
    }

    pub(crate) fn look(&mut self, times: usize) -> &mut Self {
        for _ in 0..times {
            self.push(Operation::ReadSpr(Spr::Tfmr));
            self.turn();
        }
        self
    }

    pub(crate) fn settle(&mut self) -> &mut Self {
        self.look(SETTLED)
    }

    /// A store, with the mailbox handled as section 3.1 says.
    pub(crate) fn tod(&mut self, register: TodRegister, value: u64) -> &mut Self {
        self.scom(0, register.address(), Some(value))
    }

    pub(crate) fn scom(&mut self, chip: usize, address: u32, value: Option<u64>) -> &mut Self {
        self.push(Operation::WriteSpr(Spr::Hmer, !Hmer::XSCOM_MAILBOX.bits()));
        self.push(match value {
            Some(value) => Operation::WriteScom {
                chip,
                address,
                value,
            },
            None => Operation::ReadScom { chip, address },
        });
        self.push(Operation::ReadSpr(Spr::Hmer));
        self
    }

    pub(crate) fn trigger(&mut self, register: TodRegister) -> &mut Self {
        self.tod(register, TRIGGER)
    }

    pub(crate) fn ask(&mut self, register: TodRegister) -> &mut Self {
        self.scom(0, register.address(), None)
    }

    pub(crate) fn is_tod_there(&self) -> bool {
        self.generation != Generation::Power8
    }

    /// Names core 0 of the chip. Source: HMI and ChipTOD specification, section 3.4.
    pub(crate) fn aim(&mut self) -> &mut Self {
        let value = match self.generation {
            Generation::Power8 => 0x10 << 32,
            Generation::Power9 => 0x20 << 32,
            Generation::Power10 => 0x2002_84a3 << 32 | ibm(35),
        };
        self.tod(TodRegister::TxTtypeControl, value)
    }

    /// The TOD runs.
    pub(crate) fn start_tod(&mut self) -> &mut Self {
        if self.is_tod_there() {
            self.trigger(TodRegister::LoadTodMod)
                .tod(TodRegister::LoadTod, TOD_START)
                .ask(TodRegister::Fsm);
        }
        self
    }

    /// TB goes to this state from any other.
    pub(crate) fn go(&mut self, state: TbState) -> &mut Self {
        self.tfmr(CLEAR).tfmr(CLEAR).look(1);
        match state {
            TbState::Reset => return self,
            TbState::Error => return self.tfmr(LOAD | MOVE).look(2),
            _ => {}
        }
        self.tfmr(LOAD).settle();
        if state == TbState::NotSet {
            return self;
        }
        self.tfmr(MOVE).look(1);
        if state == TbState::SyncWait {
            return self;
        }
        self.settle();
        if state == TbState::GetTod || !self.is_tod_there() {
            return self;
        }
        self.aim().trigger(TodRegister::MoveTodToTb).settle();
        self.push(Operation::ReadSpr(Spr::Tb));
        self
    }

    pub(crate) fn set_timebase(&mut self, value: u64) -> &mut Self {
        let (upper, lower) = (value >> 32, value & 0xffff_ffff);
        for (spr, value) in [(Spr::Tbwl, 0), (Spr::Tbwu, upper), (Spr::Tbwl, lower)] {
            self.push(Operation::WriteSpr(spr, value));
        }
        self.push(Operation::ReadSpr(Spr::Tb));
        self
    }
}
