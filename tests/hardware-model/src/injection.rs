//! What a fault does to the machine.

use crate::fault::{CoreError, Fault, ThreadError};
use crate::machine::State;
use power_registers::{Hmer, TbState, Tfmr};

impl State {
    pub(crate) fn inject(&mut self, fault: &Fault) {
        match fault {
            Fault::Core { core, error } => self.fail_core(*core, *error),
            Fault::Thread { thread, error } => {
                let (core, number) = self.place(*thread);
                let bit = match error {
                    ThreadError::PurrParity => Tfmr::PURR_PARITY,
                    ThreadError::SpurrParity => Tfmr::SPURR_PARITY,
                    ThreadError::DecParity => Tfmr::DEC_PARITY,
                    ThreadError::PurrOverflow => Tfmr::PURR_OVERFLOW,
                    ThreadError::SpurrOverflow => Tfmr::SPURR_OVERFLOW,
                };
                let own = &mut self.cores[core].threads[number];
                own.bits |= bit.bits();
                own.dirty |= (bit & Tfmr::THREAD_ERRORS).bits();
                self.threads[*thread].hmer |= Hmer::TFAC_ERROR.bits();
            }
            Fault::Tod { chip, bits } => self.fail_tod(*chip, *bits),
            Fault::Timebase { thread, value } => {
                let (core, number) = self.place(*thread);
                self.cores[core].damage_timebase(number, *value, self.now);
            }
            Fault::Hmer { threads, bits } => {
                for thread in threads {
                    self.threads[*thread].hmer |= bits & Hmer::IMPLEMENTED;
                }
            }
            Fault::Xscom(fault) => self.xscom_faults.push(*fault),
            Fault::XscomHealed => self.xscom_faults.clear(),
            other => panic!("the model cannot do {other:?} yet"),
        }
    }

    fn fail_core(&mut self, core: usize, error: CoreError) {
        let now = self.now;
        let timer = &mut self.cores[core];
        let mut causes = Hmer::TFAC_ERROR;
        match error {
            CoreError::HdecParity => {
                timer.dirty_hdec();
                timer.report(Tfmr::HDEC_PARITY.bits());
            }
            CoreError::TbResidue | CoreError::StuckLoadTodMod => {
                timer.dirty_timebase();
                timer.fail(Tfmr::TB_RESIDUE_ERROR.bits(), now);
                if error == CoreError::StuckLoadTodMod {
                    timer.leave_load_tod_mod();
                }
            }
            CoreError::TbstCorrupt => timer.fail(Tfmr::TBST_CORRUPT.bits(), now),
            CoreError::MissingSync => timer.fail(Tfmr::TB_MISSING_SYNC.bits(), now),
            CoreError::MissingStep => timer.fail(Tfmr::TB_MISSING_STEP.bits(), now),
            CoreError::FirmwareControl => timer.fail(Tfmr::FW_CONTROL_ERROR.bits(), now),
            CoreError::NoReason => timer.fail(0, now),
            CoreError::Transfer => {
                assert!(timer.transfer_errors, "only POWER10 has TFMR 25");
                timer.errors |= Tfmr::TFAC_XFER_ERROR.bits();
                causes = Hmer::TFMR_PARITY_ERROR;
            }
            CoreError::TfmrCorrupt { tb_survives } => {
                if !tb_survives {
                    timer.fail(Tfmr::TB_MISSING_STEP.bits(), now);
                }
                timer.corrupt = true;
                timer.control ^= self.random.word() & Tfmr::CONTROL.bits() & !Tfmr::COMMANDS.bits();
                timer.control &= !Tfmr::MASK_HMI.bits();
                causes = Hmer::TIMER;
            }
            CoreError::Raw {
                state,
                commands,
                errors,
            } => {
                if errors.contains(Tfmr::HDEC_PARITY) {
                    timer.dirty_hdec();
                }
                if errors.contains(Tfmr::TB_RESIDUE_ERROR) {
                    timer.dirty_timebase();
                }
                timer.report(errors.bits());
                timer.enter(state, now);
                if commands.contains(Tfmr::LOAD_TOD_MOD) {
                    timer.leave_load_tod_mod();
                }
                if commands.contains(Tfmr::MOVE_CHIP_TOD_TO_TB) {
                    timer.leave_move();
                }
            }
            other @ (CoreError::StepsLost { .. }
            | CoreError::TodTimeout
            | CoreError::TodParity
            | CoreError::CommandsFail { .. }) => panic!("the model cannot do {other:?} yet"),
            CoreError::StuckMove => {
                timer.enter(TbState::SyncWait, now);
                timer.leave_move();
                timer.enter(TbState::GetTod, now);
            }
        }
        self.cores[core].new_entry(true);
        self.raise_core(core, causes);
    }
}
