//! The ChipTOD registers as XSCOM reaches them, and what they do to other chips and the cores.

use crate::chip_tod::{TodState, offset_of};
use crate::configuration::Generation;
use crate::machine::State;
use crate::scom::STATUS_INVALID_ADDRESS;
use power_registers::chip_tod::{TRIGGER, TodRegister};
use power_registers::{ibm, ibm_range};

/// Every step network valid, M-path 0 and S-path 0 selected.
const STEPS_VALID: u64 = ibm_range(6, 10);

impl State {
    pub(crate) fn tod_read(&self, chip: usize, register: usize) -> Result<u64, u8> {
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
        let mut status = STEPS_VALID;
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

    pub(crate) fn tod_write(
        &mut self,
        thread: usize,
        chip: usize,
        register: usize,
        value: u64,
    ) -> Result<(), u8> {
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
            for (_, other) in self
                .tods
                .iter_mut()
                .enumerate()
                .filter(|(other, _)| *other != chip)
            {
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
        } else if [
            TodRegister::PssMssStatus,
            TodRegister::TodValue,
            TodRegister::Fsm,
        ]
        .into_iter()
        .any(is)
        {
            self.violation(
                thread,
                "a write to a ChipTOD register that is read-only",
                value,
            );
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
        let Some(core) = self.target_core(chip, control) else {
            return;
        };
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
pub(crate) fn tod_register(address: u32) -> Option<usize> {
    let offset = address.checked_sub(TodRegister::MasterPathControl.address())? as usize;
    (offset < 0x34).then_some(offset)
}
