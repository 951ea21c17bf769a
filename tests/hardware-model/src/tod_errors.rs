//! The ERROR register of a ChipTOD: what each bit does beyond being on.

use crate::chip_tod::{Poison, S_PATH_DEVIATION, TodState, offset_of};
use crate::configuration::Generation;
use crate::model::Model;
use power_registers::chip_tod::{TodError, TodRegister};
use power_registers::{Hmer, ibm, ibm_range};

/// Bits that stop the TOD and its steps.
const STOPPING: u64 = TodError::I_PATH_SYNC_CHECK
    .union(TodError::FSM_STATE_PARITY)
    .union(TodError::TIME_REGISTER_PARITY)
    .bits();
/// Step checks of the master paths: they stop a master whose selected path is dead.
const MASTER_STEP_CHECKS: u64 = ibm(14) | ibm(15);
/// Parity of 0x27: its content is damaged until it is written.
const TARGET_PARITY: u64 = ibm(49);
/// Errors in which a transfer on its way is lost: parity of 0x17, and what the PIB master reports.
const TRANSFER_LOST: u64 = ibm(25) | ibm_range(50, 52) | ibm(55) | ibm(56);
/// Parity of 0x20: the time is another.
const VALUE_PARITY: u64 = ibm(27);
/// Parity of the TTYPE_4 data: the time that is just coming is not taken.
const RECEIVED_PARITY: u64 = ibm(54);
/// Read-only registers that show garbage as long as their parity error is on.
const GARBLED: [(u64, usize); 7] = [
    (ibm(11), 0x08),
    (ibm(12), 0x09),
    (ibm(13), 0x0a),
    (ibm(19), 0x0b),
    (ibm(23), 0x0c),
    (ibm(29), 0x24),
    (ibm(30), 0x29),
];

impl Model {
    /// Bits of a TOD's ERROR come on, with what they entail.
    pub(crate) fn fail_tod(&mut self, chip: usize, bits: u64) {
        self.damage(chip, bits);
        let now = self.now;
        let tod = &mut self.tods[chip];
        if bits & VALUE_PARITY != 0 {
            let wrong = tod.value(now) ^ (self.random.word() & 0x3fff_f000 | 0x1000);
            tod.shift(wrong, now);
        }
        if bits & RECEIVED_PARITY != 0 && tod.state == TodState::Running && !tod.is_running(now) {
            tod.halt(TodState::NotSet, now);
        }
        if bits & TRANSFER_LOST != 0 {
            for core in self.cores_of(chip) {
                self.cores[core].transfer_at = None;
            }
        }
        let stops =
            bits & STOPPING != 0 || bits & MASTER_STEP_CHECKS != 0 && self.is_starved_master(chip);
        self.report_tod(chip, bits);
        if stops && self.tods[chip].state != TodState::Error {
            self.stop_tod(chip, TodState::Error);
        }
        if bits & TodError::TIME_REGISTER_PARITY.bits() != 0 {
            self.tods[chip].frozen ^= self.random.word() & !0xf;
        }
    }

    /// Bits come on; the cores of the chip get an HMI for those that are not masked.
    pub(crate) fn report_tod(&mut self, chip: usize, bits: u64) {
        let tod = &mut self.tods[chip];
        tod.error |= bits;
        if bits & !tod.mask != 0 {
            for core in self.cores_of(chip) {
                self.raise_core(core, Hmer::TFAC_ERROR);
            }
        }
    }

    /// Parity errors damage what they are the parity of.
    fn damage(&mut self, chip: usize, bits: u64) {
        let tod = &mut self.tods[chip];
        let registers = TodRegister::CACHED
            .into_iter()
            .zip(TodError::CACHED_PARITY.map(|parity| parity.bits()))
            .chain([(TodRegister::TxTtypeControl, TARGET_PARITY)]);
        for (register, parity) in registers {
            if bits & parity == 0 {
                continue;
            }
            tod.damaged |= parity;
            let at = offset_of(register);
            tod.registers[at] ^= self.random.word() | 1;
            if register == TodRegister::SlavePathControl
                && self.configuration.generation == Generation::Power10
            {
                // The field that must never be 0 may have become 0.
                if self.random.word() & 1 != 0 {
                    tod.registers[at] &= !S_PATH_DEVIATION;
                }
                if tod.registers[at] & S_PATH_DEVIATION == 0 {
                    tod.poison = Poison::Zeroed;
                }
            }
        }
    }

    /// W1C of ERROR: what is still damaged or still fails comes back.
    pub(crate) fn clear_tod_errors(&mut self, chip: usize, bits: u64) {
        let tod = &mut self.tods[chip];
        tod.error &= !bits;
        tod.error |= bits & tod.damaged;
        if self.configuration.persistent_step_checks {
            let again = bits & self.failing_checks(chip);
            if again != 0 {
                self.report_tod(chip, again);
            }
        }
    }

    /// What a read of a register shows that has a parity error on.
    pub(crate) fn garbled(&mut self, chip: usize, register: usize, value: u64) -> u64 {
        let error = self.tods[chip].error;
        let garbled = GARBLED
            .iter()
            .any(|(bit, shown)| error & bit != 0 && *shown == register);
        if garbled { self.random.word() } else { value }
    }

    /// A plain store into a register of the file.
    pub(crate) fn tod_store(
        &mut self,
        chip: usize,
        register: usize,
        value: u64,
    ) -> Option<&'static str> {
        let tod = &mut self.tods[chip];
        tod.registers[register] = value;
        for (cached, parity) in TodRegister::CACHED.iter().zip(TodError::CACHED_PARITY) {
            if register == offset_of(*cached) {
                tod.damaged &= !parity.bits();
            }
        }
        if register == offset_of(TodRegister::TxTtypeControl) {
            tod.damaged &= !TARGET_PARITY;
        }
        if register == offset_of(TodRegister::PssMssControl) {
            tod.roles = value;
        }
        if self.configuration.generation != Generation::Power10
            || register != offset_of(TodRegister::SlavePathControl)
        {
            return None;
        }
        let field = value & S_PATH_DEVIATION;
        if field == 0 {
            tod.poison = Poison::Zeroed;
            return Some("POWER10: S_PATH_CTRL 26:31 must never be written as 0");
        }
        tod.poison = match tod.poison {
            Poison::Zeroed if field == S_PATH_DEVIATION => Poison::OnesWritten,
            Poison::OnesWritten | Poison::None => Poison::None,
            Poison::Zeroed => Poison::Zeroed,
        };
        None
    }
}
