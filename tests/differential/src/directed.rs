//! Sequences written by hand: the boot of TOD and TB, each transition of the state machine, and
//! what goes wrong on the way.

use crate::access::{Access, Operation};
use crate::writer::{CLEAR, CONTROL_ERROR, LOAD, MASTER, MOVE, SETTLED, TOD_START, Writer};
use hardware_model::Configuration;
use power_registers::chip_tod::{TRIGGER, TodRegister};
use power_registers::{Hmer, Spr, TbState, Tfmr, ibm};

const STATES: [TbState; 6] = [
    TbState::Reset,
    TbState::NotSet,
    TbState::SyncWait,
    TbState::GetTod,
    TbState::Running,
    TbState::Error,
];

/// All of them, one after the other, on a machine that was just reset.
#[must_use]
pub fn sequence(configuration: &Configuration) -> Vec<Access> {
    let mut writer = Writer::new(configuration);
    boot(&mut writer);
    transitions(&mut writer);
    timebase(&mut writer);
    maintenance_registers(&mut writer);
    if writer.is_tod_there() {
        tod_machine(&mut writer, configuration);
        sends(&mut writer);
        if configuration.chips > 1 {
            network(&mut writer);
        }
    }
    control_error(&mut writer);
    writer.accesses
}

/// Brings TB to a state, as far as QEMU has it.
#[must_use]
pub fn way_to(configuration: &Configuration, state: TbState) -> Vec<Access> {
    let mut writer = Writer::new(configuration);
    writer.start_tod().go(TbState::Running);
    match state {
        TbState::Running => {}
        TbState::Error => {
            writer.tfmr(LOAD | MOVE).look(1);
        }
        state => {
            writer.go(state);
        }
    }
    writer.accesses
}

/// Reads of TFMR after which QEMU has done what it will do.
#[must_use]
pub fn settled(thread: usize) -> [Access; SETTLED] {
    [Access {
        thread,
        operation: Operation::ReadSpr(Spr::Tfmr),
    }; SETTLED]
}

/// Section 6.2, then the registers of the ChipTOD.
fn boot(w: &mut Writer) {
    w.look(2);
    for thread in 0..w.threads {
        w.by(thread).push(Operation::ReadSpr(Spr::Tb));
        w.push(Operation::ReadSpr(Spr::Hmer));
    }
    w.by(0)
        .tfmr(CLEAR | Tfmr::BOOT_CLEAR.bits())
        .tfmr(CLEAR)
        .look(1)
        .tfmr(Tfmr::THREAD_CLEANUP.bits());
    if !w.is_tod_there() {
        return;
    }
    w.tod(TodRegister::Error, 0x0004_2200_f000_0000)
        .tfmr(LOAD)
        .settle()
        .trigger(TodRegister::TxTtype2)
        .ask(TodRegister::PssMssStatus)
        .trigger(TodRegister::LoadTodMod)
        .trigger(TodRegister::TxTtype5)
        .ask(TodRegister::Fsm)
        .tod(TodRegister::LoadTod, TOD_START)
        .ask(TodRegister::Fsm)
        .ask(TodRegister::PssMssStatus)
        .ask(TodRegister::TxTtypeControl)
        .aim()
        .tfmr(MOVE)
        .settle()
        .trigger(TodRegister::MoveTodToTb)
        .settle()
        .trigger(TodRegister::TxTtype4)
        .ask(TodRegister::Error);
    w.push(Operation::ReadSpr(Spr::Tb));
    for register in [TodRegister::PssMssControl, TodRegister::TxTtypeControl] {
        w.ask(register);
    }
    // QEMU's chip 0 stays master of its drawer whatever is written: the last value says so too.
    for value in [0, u64::MAX, ibm(5) | ibm(40) | MASTER] {
        w.tod(TodRegister::PssMssControl, value)
            .ask(TodRegister::PssMssControl);
    }
}

/// Every command in every state, with the way back.
fn transitions(w: &mut Writer) {
    w.start_tod();
    let commands = [
        0,
        CONTROL_ERROR,
        LOAD,
        MOVE,
        CLEAR,
        LOAD | MOVE,
        CLEAR | CONTROL_ERROR,
        CLEAR | LOAD,
        CLEAR | MOVE,
        CLEAR | LOAD | MOVE,
        Tfmr::MASK_HMI.bits(),
        Tfmr::BOOT_CLEAR.bits() | Tfmr::THREAD_CLEANUP.bits() | Tfmr::TB_VALID.bits(),
    ];
    for state in STATES {
        for command in commands {
            w.go(state).tfmr(command).settle();
        }
        // A command that is overtaken by another before it acted.
        for first in [LOAD, MOVE] {
            for second in commands {
                w.go(state).tfmr(first).look(1).tfmr(second).settle();
            }
        }
        // A write without bit 14.
        w.go(state);
        w.push(Operation::WriteSpr(Spr::Tfmr, 0));
        w.look(1);
    }
}

/// TB in every state.
fn timebase(w: &mut Writer) {
    for state in STATES {
        w.go(state).set_timebase(0x0123_4567_1000_0000).look(1);
        w.push(Operation::WriteSpr(Spr::Tbu40, 0x0abc_def0_2000_0000));
        w.push(Operation::ReadSpr(Spr::Tb));
        w.push(Operation::WriteSpr(Spr::Tbwu, 0x17));
        w.push(Operation::ReadSpr(Spr::Tb));
        w.turn();
        w.push(Operation::ReadSpr(Spr::Tb));
        w.look(1);
    }
}

/// HMER and HMEER, of each thread.
fn maintenance_registers(w: &mut Writer) {
    for thread in 0..w.threads {
        w.by(thread).push(Operation::ReadSpr(Spr::Hmer));
        for value in [0, 0xbc10_0800_0000_0000, 0xae10_0000_0000_0001, u64::MAX] {
            w.push(Operation::WriteSpr(
                Spr::Hmeer,
                value & Hmer::IMPLEMENTED | value & 1,
            ));
            w.turn();
            w.push(Operation::ReadSpr(Spr::Hmeer));
        }
    }
    w.by(0);
    if !w.is_tod_there() {
        return;
    }
    // Past the ChipTOD: the access fails.
    const NOWHERE: u32 = 0x4_0040;
    for value in [None, Some(1)] {
        w.scom(0, NOWHERE, value);
        for mask in [u64::MAX, !Hmer::XSCOM_DONE.bits(), 0] {
            w.push(Operation::ReadSpr(Spr::Hmer));
            w.push(Operation::WriteSpr(Spr::Hmer, mask));
        }
        w.push(Operation::ReadSpr(Spr::Hmer));
        w.turn();
        w.push(Operation::ReadSpr(Spr::Hmer));
    }
    // Two accesses, nothing cleared between them.
    for address in [NOWHERE, TodRegister::Fsm.address(), NOWHERE] {
        w.push(Operation::ReadScom { chip: 0, address });
    }
    w.push(Operation::ReadSpr(Spr::Hmer));
}

/// The ChipTOD's own state machine: every command in every state.
fn tod_machine(w: &mut Writer, configuration: &Configuration) {
    let commands = [
        (TodRegister::LoadTodMod, TRIGGER),
        (TodRegister::LoadTodMod, 0),
        (TodRegister::LoadTod, TOD_START),
        (TodRegister::LoadTod, TOD_START | 1),
        (TodRegister::StartTod, TRIGGER),
        (TodRegister::StartTod, TRIGGER | ibm(2)),
        (TodRegister::StartTod, 0),
        (TodRegister::TxTtype3, TRIGGER),
        (TodRegister::TxTtype4, TRIGGER),
        (TodRegister::TxTtype5, TRIGGER),
        (TodRegister::MoveTodToTb, TRIGGER),
        (TodRegister::Error, u64::MAX),
    ];
    for (register, value) in commands {
        for state in 0..3 {
            w.trigger(TodRegister::LoadTodMod);
            match state {
                0 => {}
                1 => {
                    w.tod(TodRegister::LoadTod, TOD_START | 1);
                }
                _ => {
                    w.tod(TodRegister::LoadTod, TOD_START);
                }
            }
            w.ask(TodRegister::Fsm)
                .tod(register, value)
                .ask(TodRegister::Fsm)
                .ask(TodRegister::PssMssStatus)
                .ask(TodRegister::Error);
            w.turn();
        }
    }
    for chip in 0..configuration.chips {
        for register in [
            TodRegister::Fsm,
            TodRegister::PssMssStatus,
            TodRegister::Error,
        ] {
            w.scom(chip, register.address(), None);
        }
    }
    w.start_tod();
}

/// MOVE_TOD_TO_TB in every state, aimed well and badly.
fn sends(w: &mut Writer) {
    for state in STATES {
        w.go(state)
            .aim()
            .trigger(TodRegister::MoveTodToTb)
            .settle()
            .tod(TodRegister::MoveTodToTb, 0)
            .settle();
    }
    // A core that does not exist, the wrong register, the forms of other generations.
    let aims = [
        0,
        0x3f << 32,
        0x25 << 32,
        0x20 << 32,
        0x60 << 32,
        0x10 << 32,
        0x2000_04a3 << 32 | ibm(35),
        0x2000_04a4 << 32 | ibm(35),
        0x2002_84a3 << 32,
        0x2002_84a3 << 32 | ibm(35),
        0x2002_84a4 << 32 | ibm(35),
        0x2102_84a3 << 32 | ibm(35),
        0x2002_44a3 << 32 | ibm(35),
    ];
    for aim in aims {
        w.go(TbState::GetTod)
            .tod(TodRegister::TxTtypeControl, aim)
            .trigger(TodRegister::MoveTodToTb)
            .settle();
        // Stuck or not, it comes to an end.
        w.aim().trigger(TodRegister::MoveTodToTb).settle();
    }
    // The TOD does not run, then it does: stuck MOVE.
    w.trigger(TodRegister::LoadTodMod)
        .go(TbState::GetTod)
        .aim()
        .trigger(TodRegister::MoveTodToTb)
        .settle()
        .tod(TodRegister::LoadTod, TOD_START)
        .settle()
        .trigger(TodRegister::MoveTodToTb)
        .settle();
    // It stops between the sending and the arrival.
    w.go(TbState::GetTod)
        .aim()
        .trigger(TodRegister::MoveTodToTb)
        .trigger(TodRegister::LoadTodMod)
        .settle()
        .start_tod();
    // Sent as soon as MOVE is written, as the reference does.
    w.go(TbState::SyncWait)
        .trigger(TodRegister::MoveTodToTb)
        .settle()
        .settle();
    // Sent too early, dropped, armed again.
    w.go(TbState::SyncWait)
        .trigger(TodRegister::MoveTodToTb)
        .tfmr(LOAD)
        .settle()
        .tfmr(MOVE)
        .settle()
        .settle();
    // RESYNC_TIMEBASE: from RUNNING by way of NOT_SET.
    w.go(TbState::Running)
        .tfmr(LOAD)
        .settle()
        .ask(TodRegister::Fsm)
        .aim()
        .tfmr(MOVE)
        .settle()
        .trigger(TodRegister::MoveTodToTb)
        .settle();
}

/// FW_CONTROL_ERR, and the whole recovery from it.
fn control_error(w: &mut Writer) {
    for state in STATES {
        w.go(state).tfmr(LOAD | MOVE).settle();
        for thread in 0..w.threads {
            w.by(thread).set_timebase(0);
        }
        w.by(0)
            .tfmr(CLEAR | CONTROL_ERROR)
            .tfmr(CLEAR)
            .look(1)
            .tfmr(LOAD)
            .settle();
        if w.is_tod_there() {
            w.ask(TodRegister::Fsm)
                .aim()
                .tfmr(MOVE)
                .settle()
                .trigger(TodRegister::MoveTodToTb);
        }
        w.settle();
        for thread in 0..w.threads {
            w.by(thread).push(Operation::ReadSpr(Spr::Hmer));
            w.push(Operation::WriteSpr(Spr::Hmer, !Hmer::TIMER.bits()));
            w.push(Operation::ReadSpr(Spr::Hmer));
        }
        w.by(0);
    }
}

/// TTYPE_4 and TTYPE_5 between two chips.
fn network(w: &mut Writer) {
    let fsm = TodRegister::Fsm.address();
    for sender in 0..2 {
        for own in [TOD_START, TOD_START | 1] {
            w.scom(sender, TodRegister::LoadTodMod.address(), Some(TRIGGER))
                .scom(sender, TodRegister::LoadTod.address(), Some(own));
            for ttype in [
                TodRegister::TxTtype5,
                TodRegister::TxTtype4,
                TodRegister::TxTtype4,
                TodRegister::TxTtype5,
            ] {
                w.scom(sender, ttype.address(), Some(TRIGGER));
                for chip in 0..2 {
                    w.scom(chip, fsm, None)
                        .scom(chip, TodRegister::PssMssStatus.address(), None);
                }
            }
        }
    }
    w.start_tod();
}
