//! A small scripted machine for the unit tests of this crate: one thread's view of one core.
//!
//! It walks through the TB states and answers for a ChipTOD. The strict model of the hardware is a
//! crate of its own; this one is for tests of single procedures.

use crate::hardware::{ChipId, Hardware, Pir};
use crate::platform::{Chip, Core, Generation, LpcBus, MemoryRange, Platform, TodRole};
use power_registers::chip_tod::{FSM_RUNNING, TodRegister};
use power_registers::{Hmer, TbState, Tfmr};
use std::collections::{HashMap, VecDeque};
use std::vec::Vec;

const XSCOM_BASE: u64 = 0x0006_03fc_0000_0000;

/// A machine of one chip and one core.
pub(crate) fn platform(generation: Generation, threads: u32) -> Platform {
    let chip = Chip {
        id: ChipId(0),
        xscom_base: XSCOM_BASE,
        xscom_size: 1 << 34,
        chip_tod: Some(TodRole::Primary),
        npus: arrayvec::ArrayVec::new(),
    };
    let core = Core::new(ChipId(0), (0..threads).map(Pir).collect());
    Platform {
        generation,
        chips: [chip].into_iter().collect(),
        cores: [core].into_iter().collect(),
        memory: [MemoryRange {
            start: 0,
            size: 1 << 30,
        }]
        .into_iter()
        .collect(),
        lpc: LpcBus::Mapped { base: 0 },
        uart_port: 0x3f8,
        core_hz: 1_000_000_000,
        processor_version: 0,
        is_qemu: false,
    }
}

/// How the machine answers one XSCOM access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done, with this status code (0 = no failure).
    Status(u8),
    /// Never done.
    Never,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) pir: Pir,
    pub(crate) tfmr: u64,
    pub(crate) hmer: u64,
    pub(crate) timebase: u64,
    pub(crate) purr: u64,
    pub(crate) spurr: u64,
    pub(crate) spins: u64,
    /// What TB becomes when the TOD is moved.
    pub(crate) tod_value: Option<u64>,
    /// Status bits that cannot be cleared, as on QEMU.
    pub(crate) sticky: u64,
    /// SCOM registers of the chip.
    pub(crate) scom: HashMap<u32, u64>,
    /// Answers to the next accesses; then all succeed.
    pub(crate) answers: VecDeque<Answer>,
    pub(crate) timebase_writes: Vec<(&'static str, u32)>,
    pub(crate) tfmr_writes: Vec<u64>,
    pub(crate) hmer_keeps: Vec<u64>,
    pub(crate) scom_writes: Vec<(u32, u64)>,
    pub(crate) scom_reads: Vec<u32>,
    pub(crate) decrementers: Vec<(&'static str, u64)>,
    /// Spins after which TFMR reads like this: others were at work.
    pub(crate) becomes: Option<(u64, u64)>,
    pub(crate) hid0: u64,
    pub(crate) hmeer: u64,
    pub(crate) woken: Vec<Pir>,
    /// TB is never called valid.
    pub(crate) invalid: bool,
    reads_in_state: u32,
}

impl Scripted {
    pub(crate) fn new() -> Self {
        let fsm = (TodRegister::Fsm.address(), FSM_RUNNING);
        Self {
            pir: Pir(0),
            tfmr: 0x1212_0008_7040_0000,
            hmer: 0,
            timebase: 1_000_000,
            purr: 0,
            spurr: 0,
            spins: 0,
            tod_value: None,
            sticky: 0,
            scom: HashMap::from([fsm]),
            answers: VecDeque::new(),
            timebase_writes: Vec::new(),
            tfmr_writes: Vec::new(),
            hmer_keeps: Vec::new(),
            scom_writes: Vec::new(),
            scom_reads: Vec::new(),
            decrementers: Vec::new(),
            becomes: None,
            hid0: 0,
            hmeer: 0,
            woken: Vec::new(),
            invalid: false,
            reads_in_state: 0,
        }
    }

    fn state(&self) -> TbState {
        Tfmr::from_bits_retain(self.tfmr).state()
    }

    fn enter(&mut self, state: TbState) {
        let last = self.state();
        let mut tfmr = Tfmr::from_bits_retain(self.tfmr).with_states(state, last);
        tfmr.set(Tfmr::TB_VALID, state == TbState::Running && !self.invalid);
        self.tfmr = tfmr.bits();
        self.reads_in_state = 0;
    }

    fn address_of(real: u64) -> u32 {
        ((real - XSCOM_BASE) >> 3) as u32
    }

    /// Puts the outcome of an access into HMER; whether it succeeded.
    fn answer(&mut self) -> bool {
        match self.answers.pop_front().unwrap_or(Answer::Status(0)) {
            Answer::Never => false,
            Answer::Status(0) => {
                self.hmer |= Hmer::XSCOM_DONE.bits();
                true
            }
            Answer::Status(code) => {
                self.hmer |= (Hmer::XSCOM_DONE | Hmer::XSCOM_FAIL).bits();
                self.hmer |= u64::from(code) << 40;
                false
            }
        }
    }
}

impl Hardware for Scripted {
    fn pir(&self) -> Pir {
        self.pir
    }
    fn tfmr(&mut self) -> Tfmr {
        self.reads_in_state += 1;
        if self.state() == TbState::SyncWait && self.reads_in_state > 2 {
            self.enter(TbState::GetTod);
        }
        Tfmr::from_bits_retain(self.tfmr)
    }
    fn set_tfmr(&mut self, value: Tfmr) {
        self.tfmr_writes.push(value.bits());
        assert!(
            value.contains(Tfmr::TB_ECLIPZ),
            "written without the base value"
        );
        let status = self.tfmr & !Tfmr::CONTROL.bits();
        let errors = (Tfmr::CORE_ERRORS | Tfmr::THREAD_CLEANUP).bits() & !self.sticky;
        let control = (value & Tfmr::CONTROL & !Tfmr::CLEAR_TB_ERRORS).bits();
        self.tfmr = control | status & !(value.bits() & errors);
        let state = self.state();
        if value.contains(Tfmr::CLEAR_TB_ERRORS) {
            // It also flushes a command that waits.
            if matches!(state, TbState::Error | TbState::SyncWait | TbState::GetTod) {
                self.enter(TbState::Reset);
            }
        } else if value.contains(Tfmr::LOAD_TOD_MOD) && state != TbState::Error {
            self.enter(TbState::NotSet);
            self.tfmr &= !Tfmr::LOAD_TOD_MOD.bits();
        } else if value.contains(Tfmr::MOVE_CHIP_TOD_TO_TB) && state == TbState::NotSet {
            self.enter(TbState::SyncWait);
        }
    }
    fn hmer(&mut self) -> Hmer {
        Hmer::from_bits_retain(self.hmer)
    }
    fn and_hmer(&mut self, keep: u64) {
        self.hmer_keeps.push(keep);
        self.hmer &= keep;
    }
    fn hmeer(&mut self) -> Hmer {
        Hmer::from_bits_retain(self.hmeer)
    }
    fn set_hmeer(&mut self, _value: Hmer) {}
    fn hid0(&mut self) -> u64 {
        self.hid0
    }
    fn set_hid0(&mut self, value: u64) {
        self.hid0 = value;
    }
    fn wake(&mut self, thread: Pir) {
        self.woken.push(thread);
    }
    fn timebase(&mut self) -> u64 {
        if self.state() == TbState::Running {
            self.timebase = self.timebase.wrapping_add(1);
        }
        self.timebase
    }
    fn set_timebase_lower(&mut self, value: u32) {
        assert_ne!(self.state(), TbState::Running);
        self.timebase_writes.push(("lower", value));
        self.timebase = self.timebase >> 32 << 32 | u64::from(value);
    }
    fn set_timebase_upper(&mut self, value: u32) {
        self.timebase_writes.push(("upper", value));
        self.timebase = self.timebase << 32 >> 32 | u64::from(value) << 32;
    }
    fn set_decrementer(&mut self, value: u64) {
        self.decrementers.push(("DEC", value));
    }
    fn set_hypervisor_decrementer(&mut self, value: u64) {
        self.decrementers.push(("HDEC", value));
    }
    fn purr(&mut self) -> u64 {
        self.purr
    }
    fn spurr(&mut self) -> u64 {
        self.spurr
    }
    fn set_purr(&mut self, value: u64) {
        self.decrementers.push(("PURR", value));
    }
    fn set_spurr(&mut self, value: u64) {
        self.decrementers.push(("SPURR", value));
    }
    fn load(&mut self, real: u64) -> u64 {
        let address = Self::address_of(real);
        self.scom_reads.push(address);
        if !self.answer() {
            return u64::MAX;
        }
        self.scom.get(&address).copied().unwrap_or(0)
    }
    fn store(&mut self, real: u64, value: u64) {
        let address = Self::address_of(real);
        self.scom_writes.push((address, value));
        if !self.answer() {
            return;
        }
        if address == TodRegister::Error.address() {
            let error = self.scom.entry(address).or_default();
            *error &= !value;
            if *error == 0 {
                self.tfmr &= !Tfmr::CHIP_TOD_INTERRUPT.bits();
            }
            return;
        }
        self.scom.insert(address, value);
        if address == TodRegister::MoveTodToTb.address() && self.state() == TbState::GetTod {
            self.enter(TbState::Running);
            self.tfmr &= !Tfmr::MOVE_CHIP_TOD_TO_TB.bits();
            self.timebase = self.tod_value.unwrap_or(self.timebase);
        }
    }
    fn load_half_word(&mut self, address: u64) -> u16 {
        panic!("nothing has such a register: {address:#x}");
    }
    fn load_word(&mut self, address: u64) -> u32 {
        panic!("nothing has such a register: {address:#x}");
    }
    fn store_word(&mut self, address: u64, _value: u32) {
        panic!("nothing has such a register: {address:#x}");
    }
    fn load_byte(&mut self, _address: u64) -> u8 {
        0
    }
    fn store_byte(&mut self, _address: u64, _value: u8) {}
    fn relax(&mut self) {
        self.spins += 1;
        if let Some((spins, tfmr)) = self.becomes
            && spins == self.spins
        {
            self.tfmr = tfmr;
        }
    }
}
