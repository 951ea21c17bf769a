//! SCOM accesses: the ChipTOD, and the mailbox in HMER.

use super::{Expected, Player};
use crate::access::scom_address;
use crate::rules::Rule;
use hardware_model::Generation;
use power_registers::chip_tod::{FSM_RUNNING, TRIGGER, TodRegister};
use power_registers::{Spr, ibm, ibm_range};

const ROLES: u32 = TodRegister::PssMssControl.address();
const STATUS: u32 = TodRegister::PssMssStatus.address();
const FSM: u32 = TodRegister::Fsm.address();
const TARGET: u32 = TodRegister::TxTtypeControl.address();
const ERROR: u32 = TodRegister::Error.address();
/// Information that a TTYPE came.
const RECEIVED_TTYPES: u64 = ibm_range(38, 43);
const START: u32 = TodRegister::StartTod.address();
const TTYPE_4: u32 = TodRegister::TxTtype4.address();
const MOVE: u32 = TodRegister::MoveTodToTb.address();
/// Running, active master, backup master.
const STATUS_KNOWN: u64 = ibm(20) | ibm(23) | ibm(24);
/// SCOM addressing.
const BY_ADDRESS: u64 = ibm(35);

impl Player {
    fn address(&self, chip: usize, address: u32) -> u64 {
        scom_address(self.machine.configuration(), chip, address)
    }

    /// QEMU's answer is in HMER at once; the model's may come in two reads.
    fn take_answer(&mut self, thread: usize) {
        let first = self.thread(thread).read_spr(Spr::Hmer);
        let second = self.thread(thread).read_spr(Spr::Hmer);
        if first != second {
            self.hit(Rule::XscomFailsAtOnce);
        }
    }

    pub(super) fn read_scom(
        &mut self,
        thread: usize,
        chip: usize,
        address: u32,
        qemu: u64,
    ) -> Expected {
        let fails = self.machine.peek_scom(chip, address).is_none();
        let value = self.thread(thread).load(self.address(chip, address));
        self.take_answer(thread);
        let mut expected = Expected::exactly(value);
        if fails && value == u64::MAX {
            self.hit(Rule::XscomFailsWithZero);
            return Expected::exactly(0);
        }
        match address {
            FSM => self.absent(Rule::FsmCodeHidden, !FSM_RUNNING, &mut expected),
            STATUS => {
                if (qemu ^ value) & !STATUS_KNOWN != 0 {
                    self.hit(Rule::StatusConstant);
                }
                expected.mask = STATUS_KNOWN;
            }
            ERROR => self.absent(Rule::ReceivedTtypes, RECEIVED_TTYPES, &mut expected),
            TARGET => self.absent(Rule::TargetUnreadable, u64::MAX, &mut expected),
            ROLES => {
                let fixed = ibm_range(1, 2) | ibm_range(32, 63);
                if (qemu ^ value) & fixed != 0 {
                    self.hit(Rule::RolesFixed);
                }
                // What it has before the first write is the machine's.
                expected.mask = if self.roles_written[chip] {
                    !fixed
                } else {
                    ibm_range(1, 2)
                };
            }
            _ => {}
        }
        expected
    }

    pub(super) fn write_scom(&mut self, thread: usize, chip: usize, address: u32, value: u64) {
        let value = match address {
            ROLES => {
                self.roles_written[chip] = true;
                value
            }
            TARGET => self.aim(value),
            START => {
                let strict = match self.machine.configuration().generation {
                    Generation::Power10 => TRIGGER | ibm(2),
                    Generation::Power8 | Generation::Power9 => TRIGGER,
                };
                if value & strict != strict {
                    self.hit(Rule::StartsLoosely);
                }
                value | strict
            }
            _ => value,
        };
        if address == TTYPE_4 && value & TRIGGER != 0 && !self.tod_runs(chip) {
            self.start_receivers(thread, chip);
        }
        if address == MOVE && value & TRIGGER != 0 && self.tod_runs(chip) {
            let core = chip * self.machine.configuration().cores_per_chip;
            if self.aims_at_first_core(chip) {
                self.cores[core].sent |= self.cores[core].ready;
            }
        }
        self.thread(thread)
            .store(self.address(chip, address), value);
        self.take_answer(thread);
    }

    /// QEMU's other TODs start on any TTYPE_4.
    fn start_receivers(&mut self, thread: usize, sender: usize) {
        const NOT_SET: u64 = 7 << 60;
        let load = TodRegister::LoadTod.address();
        let hmer = self.machine.hmer(thread).bits();
        for chip in 0..self.machine.configuration().chips {
            if chip != sender && self.machine.peek_scom(chip, FSM) == Some(NOT_SET) {
                self.hit(Rule::SendsWhileStopped);
                self.thread(thread).store(self.address(chip, load), 0x1ff0);
                self.take_answer(thread);
            }
        }
        self.thread(thread).write_spr(Spr::Hmer, hmer);
    }

    /// Starts the model's TOD of a machine that has none in QEMU: without it no sync would come.
    pub(super) fn start_tod(&mut self, chip: usize) {
        for (register, value) in [
            (TodRegister::LoadTodMod, TRIGGER),
            (TodRegister::LoadTod, 0x1ff0),
        ] {
            let address = self.address(chip, register.address());
            self.thread(0).store(address, value);
            self.take_answer(0);
        }
        self.thread(0).write_spr(Spr::Hmer, 0);
    }

    pub(super) fn tod_runs(&self, chip: usize) -> bool {
        self.machine
            .peek_scom(chip, FSM)
            .is_some_and(|fsm| fsm & FSM_RUNNING != 0)
    }

    /// The model's target in the form of the generation that names the only core of a chip.
    fn first_core(generation: Generation) -> u64 {
        match generation {
            Generation::Power8 => 0x10 << 32,
            Generation::Power9 => 0x20 << 32,
            Generation::Power10 => 0x2002_84a3 << 32 | BY_ADDRESS,
        }
    }

    fn aims_at_first_core(&self, chip: usize) -> bool {
        let generation = self.machine.configuration().generation;
        let control = self.machine.peek_scom(chip, TARGET).unwrap_or(0);
        let named = if generation == Generation::Power10 {
            u64::MAX << 32 | BY_ADDRESS
        } else {
            ibm_range(25, 31) | BY_ADDRESS
        };
        control & named == Self::first_core(generation)
    }

    /// Says to the model in its terms what QEMU's POWER9 takes in others.
    fn aim(&mut self, value: u64) -> u64 {
        let generation = self.machine.configuration().generation;
        if generation != Generation::Power9 {
            return value;
        }
        let strict = if value & BY_ADDRESS == 0 {
            value & !ibm(25) | ibm(26)
        } else if value >> 32 == 0x2000_04a3 {
            value & !(u64::MAX << 32 | BY_ADDRESS) | Self::first_core(generation)
        } else {
            value
        };
        if strict != value {
            self.hit(Rule::LooseAim);
        }
        strict
    }

    /// Sends the TOD once more, for a core that has come to GET_TOD since.
    pub(super) fn send_again(&self, core: usize) {
        let configuration = self.machine.configuration();
        let chip = configuration.chip_of(core);
        let thread = core * configuration.threads_per_core;
        let aimed = self.machine.peek_scom(chip, TARGET).unwrap_or(0);
        let hmer = self.machine.hmer(thread).bits();
        let first_core = Self::first_core(configuration.generation);
        for (address, value) in [(TARGET, first_core), (MOVE, TRIGGER), (TARGET, aimed)] {
            self.thread(thread)
                .store(self.address(chip, address), value);
            let _ = self.thread(thread).read_spr(Spr::Hmer);
        }
        // The mailbox is not touched by what only the player did.
        self.thread(thread).write_spr(Spr::Hmer, hmer);
    }
}
