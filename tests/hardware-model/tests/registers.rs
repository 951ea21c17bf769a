//! The bit numbers that the model relies on, as literal masks of the specification: a wrong
//! constant in the shared register vocabulary must not make model and firmware agree.

use power_registers::chip_tod::{FSM_RUNNING, TRIGGER, TodError, TodRegister};
use power_registers::{Hmeer, Hmer, Spr, TbState, Tfmr};

/// 2.1: the bit table of TFMR.
#[test]
fn tfmr_bits() {
    for (bit, mask) in [
        (Tfmr::MASK_HMI, 0x0020_0000_0000_0000_u64),
        (Tfmr::TB_ECLIPZ, 0x0002_0000_0000_0000),
        (Tfmr::LOAD_TOD_MOD, 0x0000_8000_0000_0000),
        (Tfmr::MOVE_CHIP_TOD_TO_TB, 0x0000_2000_0000_0000),
        (Tfmr::CLEAR_TB_ERRORS, 0x0000_0080_0000_0000),
        (Tfmr::TFAC_XFER_ERROR, 0x0000_0040_0000_0000),
        (Tfmr::HDEC_PARITY, 0x0000_0020_0000_0000),
        (Tfmr::TBST_CORRUPT, 0x0000_0010_0000_0000),
        (Tfmr::TB_ENABLED, 0x0000_0000_0080_0000),
        (Tfmr::TB_VALID, 0x0000_0000_0040_0000),
        (Tfmr::TB_SYNC_OCCURRED, 0x0000_0000_0020_0000),
        (Tfmr::TB_MISSING_SYNC, 0x0000_0000_0010_0000),
        (Tfmr::TB_MISSING_STEP, 0x0000_0000_0008_0000),
        (Tfmr::TB_RESIDUE_ERROR, 0x0000_0000_0004_0000),
        (Tfmr::FW_CONTROL_ERROR, 0x0000_0000_0002_0000),
        (Tfmr::CHIP_TOD_INTERRUPT, 0x0000_0000_0000_1000),
        (Tfmr::CHIP_TOD_TIMEOUT, 0x0000_0000_0000_0200),
        (Tfmr::CHIP_TOD_PARITY_ERROR, 0x0000_0000_0000_0080),
        (Tfmr::PURR_PARITY, 0x0000_0000_0000_0040),
        (Tfmr::SPURR_PARITY, 0x0000_0000_0000_0020),
        (Tfmr::DEC_PARITY, 0x0000_0000_0000_0010),
        (Tfmr::TFMR_CORRUPT, 0x0000_0000_0000_0008),
        (Tfmr::PURR_OVERFLOW, 0x0000_0000_0000_0004),
        (Tfmr::SPURR_OVERFLOW, 0x0000_0000_0000_0002),
        (Tfmr::CONTROL, 0xffff_ff80_0000_0000),
        (Tfmr::COMMANDS, 0x0000_a080_0000_0000),
        (Tfmr::THREAD_ERRORS, 0x0000_0000_0000_0070),
        (Tfmr::CORE_ERRORS, 0x0000_0070_001e_0008),
    ] {
        assert_eq!(bit.bits(), mask, "2.1: {bit:?}");
    }
    let states = Tfmr::empty().with_states(TbState::Error, TbState::Running);
    assert_eq!(states.bits(), 0x0000_0009_8000_0000, "2.1: TBST, TBST_LAST");
}

/// 1.3: the bit table of HMER, and what HMEER enables.
#[test]
fn hmer_bits() {
    for (bit, mask) in [
        (Hmer::MALFUNCTION_ALERT, 0x8000_0000_0000_0000_u64),
        (Hmer::PROC_RECV_DONE, 0x2000_0000_0000_0000),
        (Hmer::PROC_RECV_ERROR_MASKED, 0x1000_0000_0000_0000),
        (Hmer::TFAC_ERROR, 0x0800_0000_0000_0000),
        (Hmer::TFMR_PARITY_ERROR, 0x0400_0000_0000_0000),
        (Hmer::SPURR_SCALE_LIMIT, 0x0200_0000_0000_0000),
        (Hmer::XSCOM_FAIL, 0x0080_0000_0000_0000),
        (Hmer::XSCOM_DONE, 0x0040_0000_0000_0000),
        (Hmer::PROC_RECV_AGAIN, 0x0010_0000_0000_0000),
        (Hmer::SCOM_FIR, 0x0000_8000_0000_0000),
        (Hmer::DEBUG_TRIGGER, 0x0000_4000_0000_0000),
        (Hmer::DEBUG_TRIGGER_P10, 0x0000_2000_0000_0000),
        (Hmer::HYP_RESOURCE_ERROR, 0x0000_0800_0000_0000),
        (Hmer::XSCOM_STATUS, 0x0000_0700_0000_0000),
    ] {
        assert_eq!(bit.bits(), mask, "1.3: {bit:?}");
    }
    assert_eq!(Hmer::IMPLEMENTED, 0xffff_ff00_0000_0000, "1.2");
    assert_eq!(Hmeer::POWER8_POWER9.0.bits(), 0xbc10_0800_0000_0000, "1.3");
    assert_eq!(Hmeer::POWER10.0.bits(), 0xae10_0000_0000_0000, "1.3");
}

/// 3.3 and 3.6: ChipTOD registers and the parity bits of those that are cached.
#[test]
fn chip_tod_registers() {
    use TodRegister as R;
    for (register, address) in [
        (R::MasterPathControl, 0x40000),
        (R::SlavePathControl, 0x40005),
        (R::PssMssControl, 0x40007),
        (R::PssMssStatus, 0x40008),
        (R::ChipControl, 0x40010),
        (R::TxTtype1, 0x40012),
        (R::TxTtype2, 0x40013),
        (R::TxTtype3, 0x40014),
        (R::TxTtype4, 0x40015),
        (R::TxTtype5, 0x40016),
        (R::MoveTodToTb, 0x40017),
        (R::LoadTodMod, 0x40018),
        (R::TodValue, 0x40020),
        (R::LoadTod, 0x40021),
        (R::StartTod, 0x40022),
        (R::Fsm, 0x40024),
        (R::TxTtypeControl, 0x40027),
        (R::Error, 0x40030),
        (R::ErrorInject, 0x40031),
        (R::ErrorMask, 0x40032),
    ] {
        assert_eq!(register.address(), address, "3.3: {register:?}");
    }
    assert_eq!(FSM_RUNNING, 0x0800_0000_0000_0000, "3.3: FSM bit 4");
    assert_eq!(TRIGGER, 0x8000_0000_0000_0000);
    let parity: Vec<u64> = TodError::CACHED_PARITY
        .iter()
        .map(|bit| bit.bits())
        .collect();
    assert_eq!(
        parity,
        [
            0x8000_0000_0000_0000,
            0x1000_0000_0000_0000,
            0x0800_0000_0000_0000,
            0x0400_0000_0000_0000,
            0x0200_0000_0000_0000,
            0x0100_0000_0000_0000,
            0x0080_0000_0000_0000,
            0x0040_0000_0000_0000,
            0x0000_0000_8000_0000,
        ],
        "3.6"
    );
    let cached: Vec<u32> = R::CACHED
        .iter()
        .map(|register| register.address())
        .collect();
    let expected = [0, 1, 2, 3, 4, 5, 6, 7, 0x10].map(|offset| 0x40000 + offset);
    assert_eq!(cached, expected, "3.7");
    assert_eq!(TodError::I_PATH_SYNC_CHECK.bits(), 0x4000_0000, "3.6: 33");
    assert_eq!(TodError::FSM_STATE_PARITY.bits(), 0x2000_0000, "3.6: 34");
    assert_eq!(
        TodError::TIME_REGISTER_PARITY.bits(),
        0x1000_0000,
        "3.6: 35"
    );
}

/// 1.1: numbers of the SPRs.
#[test]
fn spr_numbers() {
    for (spr, number) in [
        (Spr::Dec, 0x016),
        (Spr::Tb, 0x10c),
        (Spr::Sprc, 0x114),
        (Spr::Sprd, 0x115),
        (Spr::Tbwl, 0x11c),
        (Spr::Tbwu, 0x11d),
        (Spr::Tbu40, 0x11e),
        (Spr::Spurr, 0x134),
        (Spr::Purr, 0x135),
        (Spr::Hdec, 0x136),
        (Spr::Tfmr, 0x13d),
        (Spr::Hmer, 0x150),
        (Spr::Hmeer, 0x151),
        (Spr::Hid0, 0x3f0),
    ] {
        assert_eq!(spr as u16, number, "1.1: {spr:?}");
    }
}
