//! The ChipTOD registers as XSCOM reaches them.

use crate::chip_tod::{TodState, offset_of};
use crate::configuration::Generation;
use crate::model::Model;
use crate::scom::STATUS_INVALID_ADDRESS;
use crate::scom_map::power10_core;
use power_registers::chip_tod::{TRIGGER, TodRegister};
use power_registers::ibm;

/// START_TOD bit 2: wait for sync; POWER10 does not start without it.
const START_AT_SYNC: u64 = ibm(2);

impl Model {
    pub(crate) fn tod_read(&self, chip: usize, register: usize) -> Result<u64, u8> {
        let tod = &self.tods[chip];
        Ok(match register {
            r if r == offset_of(TodRegister::PssMssStatus) => self.tod_status(chip),
            r if r == offset_of(TodRegister::TodValue) => tod.value(self.now) & !0xf,
            r if r == offset_of(TodRegister::Fsm) => tod.fsm(self.now),
            r if r == offset_of(TodRegister::Error) => tod.error,
            r if r == offset_of(TodRegister::ErrorMask) => tod.mask,
            // Write-only.
            r if r == offset_of(TodRegister::ErrorInject) => return Err(STATUS_INVALID_ADDRESS),
            r => tod.registers[r],
        })
    }

    pub(crate) fn tod_write(
        &mut self,
        thread: usize,
        chip: usize,
        register: usize,
        value: u64,
    ) -> Result<(), u8> {
        let is = |known: TodRegister| register == offset_of(known);
        if is(TodRegister::Error) {
            self.clear_tod_errors(chip, value);
        } else if is(TodRegister::ErrorMask) {
            self.unmask(chip, value);
        } else if is(TodRegister::ErrorInject) {
            self.tod_inject(chip, value);
        } else if is(TodRegister::LoadTod) {
            self.load_tod(thread, chip, value);
        } else if is(TodRegister::StartTod) {
            self.start_tod(chip, value);
        } else if let Some(command) = COMMANDS.into_iter().find(|command| is(*command)) {
            if value & TRIGGER != 0 {
                self.tod_command(chip, command);
            }
        } else if [
            TodRegister::PssMssStatus,
            TodRegister::TodValue,
            TodRegister::Fsm,
        ]
        .into_iter()
        .any(is)
        {
            let rule = "a write to a ChipTOD register that is read-only";
            self.violation(thread, rule, value);
        } else if let Some(rule) = self.tod_store(chip, register, value) {
            self.violation(thread, rule, value);
        }
        Ok(())
    }

    fn tod_command(&mut self, chip: usize, command: TodRegister) {
        match command {
            TodRegister::LoadTodMod => {
                self.tods[chip].ordered_not_set = true;
                self.stop_tod(chip, TodState::NotSet);
            }
            TodRegister::MoveTodToTb => self.move_tod_to_tb(chip),
            TodRegister::TxTtype1 => {
                self.received(chip, 1);
                self.switch_topology();
            }
            TodRegister::TxTtype2 => {
                self.received(chip, 2);
                self.enable_checkers();
            }
            TodRegister::TxTtype3 => {
                self.received(chip, 3);
                self.answer_request(chip);
            }
            TodRegister::TxTtype4 => {
                self.received(chip, 4);
                self.send_to_all(chip);
            }
            TodRegister::TxTtype5 => {
                self.received(chip, 5);
                for other in (0..self.tods.len()).filter(|other| *other != chip) {
                    self.stop_tod(other, TodState::NotSet);
                }
            }
            _ => {}
        }
    }

    /// Errors that were masked show when the mask is taken off.
    fn unmask(&mut self, chip: usize, mask: u64) {
        let tod = &mut self.tods[chip];
        let shown = tod.error & tod.mask & !mask;
        tod.mask = mask;
        if shown != 0 {
            self.report_tod(chip, shown);
        }
    }

    fn tod_inject(&mut self, chip: usize, bits: u64) {
        let at = self.now + self.configuration.costs.tod_stop;
        let tod = &mut self.tods[chip];
        tod.injected = match tod.injected {
            Some((earlier, others)) => Some((earlier, others | bits)),
            None => Some((at, bits)),
        };
        self.tod_changed(chip);
    }

    fn load_tod(&mut self, thread: usize, chip: usize, value: u64) {
        let starts = value & 1 == 0;
        if starts && value & 0x1fff != 0x1ff0 {
            self.violation(thread, "LOAD_TOD must be one step before a sync", value);
        }
        // An error may have struck since software made it NOT_SET: nobody could know.
        let ordered = core::mem::take(&mut self.tods[chip].ordered_not_set);
        if self.tods[chip].state != TodState::NotSet {
            if !(ordered && self.tods[chip].state == TodState::Error) {
                self.violation(thread, "LOAD_TOD outside NOT_SET", value);
            }
        } else if !starts {
            self.tods[chip].frozen = value & !0xf;
            self.stop_tod(chip, TodState::Stopped);
        } else if self.can_start(chip) {
            let after = self.configuration.costs.tod_start;
            self.tods[chip].load(value, self.now, after);
        }
    }

    fn start_tod(&mut self, chip: usize, value: u64) {
        let wanted = if self.configuration.generation == Generation::Power10 {
            TRIGGER | START_AT_SYNC
        } else {
            TRIGGER
        };
        if value & wanted == wanted
            && self.tods[chip].state == TodState::Stopped
            && self.can_start(chip)
        {
            let after = self.configuration.costs.tod_start;
            self.tods[chip].start(self.now, after);
            self.steps_changed(chip);
        }
    }

    /// The core that TX_TTYPE_CTRL names, by the rules of the generation.
    pub(crate) fn target_core(&self, chip: usize, control: u64) -> Option<usize> {
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

/// Registers that do something when bit 0 is written.
const COMMANDS: [TodRegister; 7] = [
    TodRegister::LoadTodMod,
    TodRegister::MoveTodToTb,
    TodRegister::TxTtype1,
    TodRegister::TxTtype2,
    TodRegister::TxTtype3,
    TodRegister::TxTtype4,
    TodRegister::TxTtype5,
];

/// Index of a ChipTOD register.
pub(crate) fn tod_register(address: u32) -> Option<usize> {
    let offset = address.checked_sub(TodRegister::MasterPathControl.address())? as usize;
    (offset < 0x34).then_some(offset)
}
