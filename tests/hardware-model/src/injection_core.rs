//! What an error does to a core's timer facility.

use crate::fault::CoreError;
use crate::model::Model;
use power_registers::{Hmer, TbState, Tfmr};

impl Model {
    pub(crate) fn fail_core(&mut self, core: usize, error: CoreError) {
        let now = self.now;
        let timer = &mut self.cores[core];
        let mut causes = Hmer::TFAC_ERROR;
        match error {
            CoreError::CommandsFail { failure, count } => {
                timer.fail_commands(failure, count);
                return;
            }
            CoreError::StepsLost { ticks } => {
                timer.lose_steps(now.saturating_add(ticks), now);
                if timer.state != TbState::Running {
                    self.changed(core);
                    return;
                }
                timer.fail(Tfmr::TB_MISSING_STEP.bits(), now);
            }
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
            CoreError::TodTimeout => {
                timer.enter(TbState::SendTodMod, now);
                timer.fail(Tfmr::CHIP_TOD_TIMEOUT.bits(), now);
            }
            CoreError::TodParity => {
                timer.enter(TbState::GetTod, now);
                timer.fail(Tfmr::CHIP_TOD_PARITY_ERROR.bits(), now);
            }
            CoreError::Transfer => {
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
            CoreError::StuckMove => {
                timer.enter(TbState::SyncWait, now);
                timer.leave_move();
                timer.enter(TbState::GetTod, now);
            }
        }
        if self.configuration.damage {
            self.cores[core].damage_copies(&mut self.random);
        }
        self.cores[core].new_entry(true);
        self.raise_core(core, causes);
        self.changed(core);
    }
}
