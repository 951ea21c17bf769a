//! At which core a MOVE is aimed: section 3.4.

mod common;
use common::*;
use hardware_model::{Configuration, Generation, Machine, SYNC_TICKS};
use power_registers::chip_tod::{TRIGGER, TodRegister};
use power_registers::{TbState, Tfmr, ibm};

/// 3.4: how each generation names the core, and that a wrong name moves nothing.
#[test]
fn targets_by_generation() {
    for generation in GENERATIONS {
        let own = target(generation, 1);
        let mode = if generation == Generation::Power10 {
            ibm(35)
        } else {
            ibm(25)
        };
        let others = GENERATIONS
            .into_iter()
            .filter(|other| *other != generation)
            .map(|other| target(other, 1));
        let wrong = [0, own ^ 1 << 32, own ^ 1 << 36, own ^ mode];
        let all = others.chain(wrong).map(|target| (target, false));
        for (target, moves) in all.chain([(own, true)]) {
            let machine = machine(generation, 1, 2, 2);
            let thread = machine.thread(2);
            put(thread, 0, TodRegister::TxTtypeControl, target);
            to_get_tod(thread);
            put(thread, 0, TodRegister::MoveTodToTb, TRIGGER);
            machine.tick(SYNC_TICKS);
            let context = format!("3.4: {generation:?} {target:#x}");
            let state = machine.tfmr(2).state();
            assert_eq!(state == TbState::Running, moves, "{context}");
            let stays = machine.tfmr(2).contains(Tfmr::MOVE_CHIP_TOD_TO_TB);
            assert_eq!(stays, !moves, "12.2: {context}");
            assert_rules_kept(&machine);
        }
    }
}

/// 12.2: nothing moves when the core is not in GET_TOD yet, nor from a TOD that does not run.
#[test]
fn too_early_or_too_dead() {
    for dead in [false, true] {
        let machine = machine(Generation::Power9, 1, 1, 1);
        let thread = machine.thread(0);
        put(
            thread,
            0,
            TodRegister::TxTtypeControl,
            target(Generation::Power9, 0),
        );
        if dead {
            put(thread, 0, TodRegister::LoadTodMod, TRIGGER);
            to_get_tod(thread);
        } else {
            to_not_set(thread);
        }
        put(thread, 0, TodRegister::MoveTodToTb, TRIGGER);
        machine.tick(SYNC_TICKS);
        assert!(
            !machine.tfmr(0).contains(Tfmr::TB_VALID),
            "12.2: dead {dead}"
        );
        assert_rules_kept(&machine);
    }
}

fn fused(generation: Generation, quirk: bool) -> Machine {
    let mut configuration = Configuration::new(generation, 1, 4, 4);
    configuration.fused = true;
    configuration.fused_aim = quirk;
    Machine::new(configuration)
}

/// 2.1: a fused core is two timer facilities, and its threads take turns between them.
#[test]
fn fused_cores_are_numbered_in_turns() {
    for generation in [Generation::Power9, Generation::Power10] {
        let machine = fused(generation, false);
        let configuration = machine.configuration();
        let mut pirs: Vec<u32> = (0..8).map(|thread| configuration.pir(thread)).collect();
        assert_eq!(pirs, [0, 2, 4, 6, 1, 3, 5, 7], "first fused core");
        pirs.sort_unstable();
        assert_eq!(configuration.pir(8), 8, "second fused core");
        assert_eq!(configuration.pair_of(2), Some(3));
        fail(&machine, hardware_model::CoreError::MissingStep);
        assert_eq!(machine.tfmr(0).state(), TbState::Error);
        assert_eq!(
            machine.tfmr(4).state(),
            TbState::Running,
            "2.1: each own TFMR"
        );
    }
}

/// 3.4, POWER10 DD2 fused: the even small core is aimed at for both.
#[test]
fn the_quirk_of_fused_power10() {
    for quirk in [true, false] {
        for aimed in 0..2 {
            let machine = fused(Generation::Power10, quirk);
            let thread = machine.thread(0);
            to_get_tod(thread);
            to_get_tod(machine.thread(4));
            let value = target(Generation::Power10, aimed);
            put(thread, 0, TodRegister::TxTtypeControl, value);
            put(thread, 0, TodRegister::MoveTodToTb, TRIGGER);
            machine.tick(SYNC_TICKS);
            let runs = [0, 4].map(|thread| machine.tfmr(thread).contains(Tfmr::TB_VALID));
            let expected = match (quirk, aimed) {
                (true, 0) => [true, true],
                (true, _) => [false, false],
                (false, 0) => [true, false],
                (false, _) => [false, true],
            };
            assert_eq!(runs, expected, "3.4: quirk {quirk}, aimed at {aimed}");
            assert_rules_kept(&machine);
        }
    }
}
