//! The XSCOM window: addresses, the mailbox in HMER, and the registers behind.

use crate::chip_tod::{TodState, offset_of};
use crate::configuration::{Configuration, Generation};
use crate::machine::State;
use crate::trace::Register;
use power_registers::chip_tod::{TRIGGER, TodRegister};
use power_registers::{Hmer, ibm, ibm_range};

/// How an XSCOM access answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XscomAnswer {
    /// DONE with FAIL and this status code, 1 to 7.
    Status(u8),
    /// DONE never comes.
    NeverDone,
}

/// XSCOM accesses that are made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XscomFault {
    /// Only accesses to this SCOM address; `None` = all.
    pub address: Option<u32>,
    /// Accesses that still succeed before the first failure.
    pub after: u64,
    /// How many fail from then on.
    pub count: u64,
    /// How they answer.
    pub answer: XscomAnswer,
}

/// The answer that an access of a thread still waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailbox {
    done_at: u64,
    status: u8,
    done_seen: bool,
}

const STATUS_INVALID_ADDRESS: u8 = 4;
/// POWER8 engine: receive status, log, error.
const ENGINE_POWER8: [u32; 3] = [0x0202_000f, 0x0202_0007, 0x0202_0009];
/// The same of POWER9 and POWER10.
const ENGINE: [u32; 3] = [0x0009_0018, 0x0009_0012, 0x0009_0013];
const ALERT_POWER8: u32 = 0x0202_0011;
const ALERT: u32 = 0x0009_0022;
const SPRC: u32 = 0x10a80;
const SPRD: u32 = 0x10a81;
const PSS_STATUS_STEPS_VALID: u64 = ibm_range(6, 10) | ibm(12);

/// Chip and SCOM address of a real address, if it is in a window.
pub(crate) fn decode(configuration: &Configuration, address: u64) -> Option<(usize, u32)> {
    (0..configuration.chips).find_map(|chip| {
        let offset = address.checked_sub(configuration.xscom_base(chip))?;
        if offset >= configuration.xscom_size() {
            return None;
        }
        let scom = match configuration.generation {
            Generation::Power8 => (offset >> 4 & !0xf) | (offset >> 3 & 0xf),
            Generation::Power9 | Generation::Power10 => offset >> 3,
        };
        Some((chip, u32::try_from(scom).ok()?))
    })
}

impl State {
    /// One access through the window; a store when `value` is given.
    pub(crate) fn xscom(&mut self, thread: usize, address: u64, value: Option<u64>) -> u64 {
        let Some((chip, scom)) = decode(&self.configuration, address) else {
            self.violation(thread, "an access outside every XSCOM window", address);
            return u64::MAX;
        };
        if self.threads.iter().any(|other| other.mailbox.is_some()) {
            self.violation(thread, "two XSCOM accesses in flight", address);
        }
        if self.threads[thread].hmer & Hmer::XSCOM_MAILBOX.bits() != 0 {
            self.violation(thread, "an XSCOM access with the HMER mailbox not cleared", address);
        }
        if address & 7 != 0 {
            self.violation(thread, "an XSCOM address that is not aligned", address);
        }
        let status = match self.injected_answer(scom) {
            Some(XscomAnswer::NeverDone) => {
                self.record_scom(thread, chip, scom, value, u64::MAX);
                return u64::MAX;
            }
            Some(XscomAnswer::Status(status)) => Err(status),
            None => match value {
                None => self.scom_read(chip, scom),
                Some(value) => self.scom_write(thread, chip, scom, value).map(|()| value),
            },
        };
        let done_at = self.now + self.configuration.costs.xscom_latency;
        let (data, status) = match status {
            Ok(data) => (data, 0),
            Err(status) => (u64::MAX, status),
        };
        self.record_scom(thread, chip, scom, value, data);
        self.threads[thread].mailbox = Some(Mailbox { done_at, status, done_seen: false });
        data
    }

    fn record_scom(&mut self, thread: usize, chip: usize, address: u32, written: Option<u64>, read: u64) {
        match written {
            Some(value) => self.record(thread, Register::ScomWrite { chip, address }, value),
            None => self.record(thread, Register::ScomRead { chip, address }, read),
        }
    }

    fn injected_answer(&mut self, scom: u32) -> Option<XscomAnswer> {
        let fault = self
            .xscom_faults
            .iter_mut()
            .find(|fault| fault.count > 0 && fault.address.is_none_or(|only| only == scom))?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.count -= 1;
        Some(fault.answer)
    }

    /// HMER with what the mailbox brings: FAIL and status one read after DONE.
    pub(crate) fn read_hmer(&mut self, thread: usize) -> u64 {
        let now = self.now;
        let own = &mut self.threads[thread];
        if let Some(mailbox) = &mut own.mailbox {
            if mailbox.done_seen {
                own.hmer |= Hmer::XSCOM_FAIL.bits() | u64::from(mailbox.status & 7) << 40;
                own.mailbox = None;
            } else if now >= mailbox.done_at {
                own.hmer |= Hmer::XSCOM_DONE.bits();
                mailbox.done_seen = true;
                if mailbox.status == 0 {
                    own.mailbox = None;
                }
            }
        }
        own.hmer
    }

    fn scom_read(&mut self, chip: usize, address: u32) -> Result<u64, u8> {
        if let Some(register) = tod_register(address) {
            return self.tod_read(chip, register);
        }
        if let Some((core, register)) = self.power9_core_register(chip, address) {
            return match register {
                SPRC => Ok(self.cores[core].sprc),
                SPRD => {
                    let select = self.cores[core].sprc >> 3 & 0x7f;
                    let number = (select as usize).wrapping_sub(8);
                    if number >= self.configuration.threads_per_core {
                        return Ok(0);
                    }
                    if self.cores[core].corrupt {
                        return Ok(self.random.word() | ibm(60));
                    }
                    let view = self.tod_view(chip);
                    Ok(self.cores[core].true_tfmr(number, self.now, view))
                }
                _ => Err(STATUS_INVALID_ADDRESS),
            };
        }
        if let Some(value) = self.scoms.get(&(chip, address)) {
            return Ok(*value);
        }
        if address == self.alert() { Ok(0) } else { Err(STATUS_INVALID_ADDRESS) }
    }

    fn scom_write(&mut self, thread: usize, chip: usize, address: u32, value: u64) -> Result<(), u8> {
        if let Some(register) = tod_register(address) {
            return self.tod_write(thread, chip, register, value);
        }
        if let Some((core, SPRC)) = self.power9_core_register(chip, address) {
            self.cores[core].sprc = value;
            return Ok(());
        }
        let engine = if self.configuration.generation == Generation::Power8 {
            ENGINE_POWER8
        } else {
            ENGINE
        };
        if engine.contains(&address) {
            return Ok(());
        }
        if address == self.alert() {
            let alert = self.scoms.entry((chip, address)).or_insert(0);
            *alert &= value;
            return Ok(());
        }
        match self.scoms.get_mut(&(chip, address)) {
            Some(cell) => *cell = value,
            None => return Err(STATUS_INVALID_ADDRESS),
        }
        Ok(())
    }

    pub(crate) fn peek_scom(&self, chip: usize, address: u32) -> Option<u64> {
        match tod_register(address) {
            Some(register) => self.tod_read(chip, register).ok(),
            None => self.scoms.get(&(chip, address)).copied(),
        }
    }

    fn alert(&self) -> u32 {
        if self.configuration.generation == Generation::Power8 { ALERT_POWER8 } else { ALERT }
    }

    /// Core and register of a POWER9 core SCOM address.
    fn power9_core_register(&self, chip: usize, address: u32) -> Option<(usize, u32)> {
        if self.configuration.generation != Generation::Power9 {
            return None;
        }
        let core = (address >> 24).checked_sub(0x20)? as usize;
        (core < self.configuration.cores_per_chip)
            .then_some((chip * self.configuration.cores_per_chip + core, address & 0xff_ffff))
    }

    fn tod_read(&self, chip: usize, register: usize) -> Result<u64, u8> {
        let tod = &self.tods[chip];
        Ok(match register {
            r if r == offset_of(TodRegister::PssMssStatus) => self.tod_status(chip),
            r if r == offset_of(TodRegister::TodValue) => tod.value(self.now) & !0xf,
            r if r == offset_of(TodRegister::Fsm) => tod.fsm(),
            r if r == offset_of(TodRegister::Error) => tod.error,
            r if r == offset_of(TodRegister::ErrorMask) => tod.mask,
            // Write-only.
            r if r == offset_of(TodRegister::ErrorInject) => return Err(STATUS_INVALID_ADDRESS),
            r => tod.registers[r],
        })
    }

    fn tod_status(&self, chip: usize) -> u64 {
        let topology = self.configuration.topology;
        let (active, backup) = if self.secondary_active {
            (topology.secondary, Some(topology.primary))
        } else {
            (Some(topology.primary), topology.secondary)
        };
        let mut status = PSS_STATUS_STEPS_VALID;
        for (on, bits) in [
            (self.secondary_active, ibm_range(0, 2)),
            (self.tods[chip].running(), ibm(20)),
            (active == Some(chip), ibm(23)),
            (backup == Some(chip), ibm(24)),
            (active != Some(chip), ibm(25)),
        ] {
            if on {
                status |= bits;
            }
        }
        status
    }

    fn tod_write(&mut self, thread: usize, chip: usize, register: usize, value: u64) -> Result<(), u8> {
        let triggered = value & TRIGGER != 0;
        let is = |known: TodRegister| register == offset_of(known);
        let now = self.now;
        if is(TodRegister::Error) {
            self.tods[chip].clear_errors(value);
        } else if is(TodRegister::ErrorMask) {
            self.tods[chip].mask = value;
        } else if is(TodRegister::ErrorInject) {
            self.fail_tod(chip, value);
        } else if is(TodRegister::LoadTodMod) {
            if triggered {
                self.tods[chip].state = TodState::NotSet;
            }
        } else if is(TodRegister::LoadTod) {
            if value & 0x1fff != 0x1ff0 && value & 1 == 0 {
                self.violation(thread, "LOAD_TOD must be one step before a sync", value);
            }
            match (self.tods[chip].state, value & 1) {
                (TodState::NotSet, 0) => self.tods[chip].load(value, now),
                (TodState::NotSet, _) => self.tods[chip].state = TodState::Stopped,
                _ => self.violation(thread, "LOAD_TOD outside NOT_SET", value),
            }
        } else if is(TodRegister::StartTod) {
            if triggered {
                self.tods[chip].start();
            }
        } else if is(TodRegister::TxTtype5) {
            for (_, other) in self.tods.iter_mut().enumerate().filter(|(other, _)| *other != chip) {
                if triggered {
                    other.state = TodState::NotSet;
                }
            }
        } else if is(TodRegister::TxTtype4) {
            if triggered && self.tods[chip].running() {
                let sender = self.tods[chip].clone();
                self.tods.iter_mut().for_each(|other| other.follow(&sender));
            }
        } else if is(TodRegister::TxTtype3) {
            if triggered {
                self.answer_request(chip);
            }
        } else if is(TodRegister::TxTtype1) {
            if triggered {
                self.secondary_active = !self.secondary_active;
            }
        } else if is(TodRegister::MoveTodToTb) {
            if triggered {
                self.move_tod_to_tb(chip);
            }
        } else if [TodRegister::PssMssStatus, TodRegister::TodValue, TodRegister::Fsm]
            .into_iter()
            .any(is)
        {
            self.violation(thread, "a write to a ChipTOD register that is read-only", value);
        } else if let Some(rule) =
            self.tods[chip].store(self.configuration.generation, register, value)
        {
            self.violation(thread, rule, value);
        }
        Ok(())
    }

    /// TTYPE_3: the running master answers, or a running chip that was told to.
    fn answer_request(&mut self, chip: usize) {
        let master = if self.secondary_active {
            self.configuration.topology.secondary
        } else {
            Some(self.configuration.topology.primary)
        };
        let answering = master
            .filter(|master| self.tods[*master].running())
            .or_else(|| self.tods.iter().position(|tod| tod.answers_requests()));
        if let Some(answering) = answering {
            let sender = self.tods[answering].clone();
            self.tods[chip].follow(&sender);
        }
    }

    fn move_tod_to_tb(&mut self, chip: usize) {
        let control = self.tods[chip].registers[offset_of(TodRegister::TxTtypeControl)];
        let Some(core) = self.target_core(chip, control) else { return };
        if self.tods[chip].running() {
            let now = self.now;
            self.cores[core].receive_tod(now);
        }
    }

    /// The core that TX_TTYPE_CTRL names, by the rules of the generation.
    fn target_core(&self, chip: usize, control: u64) -> Option<usize> {
        let by_address = control & ibm(35) != 0;
        let multicast = control & ibm(25) != 0;
        let slave = (control >> 32 & 0x3f) as usize;
        let core = match self.configuration.generation {
            Generation::Power8 if !by_address && !multicast && slave & 0x30 == 0x10 => slave & 0xf,
            Generation::Power9 if !by_address && !multicast && slave & 0x20 != 0 => slave & 0x1f,
            Generation::Power10 if by_address => {
                let address = (control >> 32) as u32;
                (0..self.configuration.cores_per_chip)
                    .find(|core| power10_core(*core) | 0x4a3 == address)?
            }
            _ => return None,
        };
        (core < self.configuration.cores_per_chip)
            .then_some(chip * self.configuration.cores_per_chip + core)
    }
}

/// SCOM address of register 0 of a POWER10 core.
fn power10_core(core: usize) -> u32 {
    (0x20 + (core as u32 >> 2)) << 24 | 0x2_0000 | (8 >> (core & 3)) << 12
}

/// Index of a ChipTOD register.
fn tod_register(address: u32) -> Option<usize> {
    let offset = address.checked_sub(TodRegister::MasterPathControl.address())? as usize;
    (offset < 0x34).then_some(offset)
}
