//! Sequences drawn from a seed.

use crate::access::{Access, Operation};
use crate::writer::{MASTER, Writer};
use hardware_model::{Configuration, Generation, Random};
use power_registers::chip_tod::{TRIGGER, TodRegister};
use power_registers::{Hmer, Spr, TbState, Tfmr, ibm, ibm_range};

/// A sequence of at least `length` accesses; the same seed gives the same.
#[must_use]
pub fn sequence(configuration: &Configuration, seed: u64, length: usize) -> Vec<Access> {
    let mut writer = Writer::new(configuration);
    let mut random = Random::new(seed);
    let tod = configuration.generation != Generation::Power8;
    // The order of the registers' first writes is QEMU's own.
    writer.tfmr(0);
    if tod {
        writer.tod(TodRegister::PssMssControl, MASTER).start_tod();
    }
    while writer.accesses.len() < length {
        let thread = random.below(configuration.threads_per_core as u64) as usize;
        writer.by(thread);
        let kinds = if tod { 16 } else { 10 };
        match random.below(kinds) {
            0..=3 => tfmr_command(&mut writer, &mut random),
            4..=6 => {
                let times = 1 + random.below(5) as usize;
                writer.look(times);
            }
            7 => towards(&mut writer, &mut random),
            8 => timebase(&mut writer, &mut random),
            9 => maintenance(&mut writer, &mut random),
            10..=11 => {
                writer.aim().trigger(TodRegister::MoveTodToTb);
                let times = random.below(6) as usize;
                writer.look(times);
            }
            _ => tod_access(&mut writer, &mut random),
        }
    }
    writer.settle();
    writer.accesses
}

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

fn tfmr_command(writer: &mut Writer, random: &mut Random) {
    let command = match random.below(12) {
        0..=2 => Tfmr::LOAD_TOD_MOD,
        3..=5 => Tfmr::MOVE_CHIP_TOD_TO_TB,
        6..=8 => Tfmr::CLEAR_TB_ERRORS,
        9 => Tfmr::from_bits_retain(random.word()) & Tfmr::COMMANDS,
        _ => Tfmr::empty(),
    };
    let status = match random.below(4) {
        // Anything below the control field: W1C bits and read-only ones.
        0 => random.word() & !Tfmr::CONTROL.bits(),
        1 => Tfmr::FW_CONTROL_ERROR.bits(),
        _ => 0,
    };
    // Other control fields do nothing on either side but must be kept.
    let control = if random.below(8) == 0 {
        random.word() & Tfmr::CONTROL.bits() & !Tfmr::COMMANDS.bits()
    } else {
        0
    };
    writer.tfmr(command.bits() | status | control);
}

fn towards(writer: &mut Writer, random: &mut Random) {
    let state = pick(
        random,
        &[
            TbState::NotSet,
            TbState::SyncWait,
            TbState::GetTod,
            TbState::Running,
        ],
    );
    writer.go(state);
}

fn timebase(writer: &mut Writer, random: &mut Random) {
    // Far from a carry into the upper half, which the two sides would make at different times.
    let value = random.word();
    writer.push(match random.below(6) {
        0 => Operation::WriteSpr(Spr::Tbwl, value & 0x7fff_ffff),
        1 => Operation::WriteSpr(Spr::Tbwu, value & 0xffff_ffff),
        2 => Operation::WriteSpr(Spr::Tbu40, value & 0xffff_ffff_7f00_0000),
        _ => Operation::ReadSpr(Spr::Tb),
    });
    writer.push(Operation::ReadSpr(Spr::Tb));
}

fn maintenance(writer: &mut Writer, random: &mut Random) {
    writer.push(match random.below(4) {
        0 => Operation::WriteSpr(Spr::Hmer, random.word()),
        1 => Operation::WriteSpr(Spr::Hmeer, random.word() & Hmer::IMPLEMENTED),
        2 => Operation::ReadSpr(Spr::Hmeer),
        _ => Operation::ReadSpr(Spr::Hmer),
    });
    writer.push(Operation::ReadSpr(Spr::Hmer));
}

fn tod_access(writer: &mut Writer, random: &mut Random) {
    use TodRegister as R;
    match random.below(10) {
        0 => writer.trigger(R::LoadTodMod),
        1 | 2 => {
            let value = random.word() & !0x1fff | pick(random, &[0x1ff0, 0x1ff0, 0x1ff1]);
            writer.tod(R::LoadTod, value)
        }
        3 => writer.trigger(R::StartTod),
        4 => {
            let register = pick(random, &[R::TxTtype3, R::TxTtype4, R::TxTtype5]);
            writer.trigger(register)
        }
        5 => {
            let aim = random.word() & (ibm_range(25, 31) | ibm(35));
            writer.tod(R::TxTtypeControl, aim)
        }
        6 => writer.tod(R::PssMssControl, random.word() | MASTER),
        7 => writer.tod(R::MoveTodToTb, random.word() & !TRIGGER | TRIGGER),
        8 => writer.start_tod(),
        _ => {
            let register = pick(
                random,
                &[R::Fsm, R::PssMssStatus, R::PssMssControl, R::Error],
            );
            writer.ask(register)
        }
    };
}
