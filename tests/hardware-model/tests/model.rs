//! The pure model: driven register by register, without locks, and without a panic.

use hardware_model::{
    Configuration, CoreError, Fault, Generation, Impossible, Model, Moment, Random, SYNC_TICKS,
};
use power_registers::{Spr, TbState, Tfmr};

fn model(generation: Generation) -> Model {
    Model::new(Configuration::new(generation, 2, 2, 4))
}

fn broken(error: CoreError) -> Fault {
    Fault::Core { core: 1, error }
}

/// 12.1.11: the watchdog is a state; after it nothing happens any more.
#[test]
fn the_watchdog_is_a_state() {
    let mut configuration = Configuration::new(Generation::Power9, 1, 1, 1);
    configuration.watchdog = 10;
    let mut model = Model::new(configuration);
    for _ in 0..10 {
        assert_ne!(model.read_spr(0, Spr::Tb), 0);
    }
    assert!(!model.watchdog_tripped());
    assert_eq!(model.read_spr(0, Spr::Tb), 0, "ignored");
    assert!(model.watchdog_tripped(), "12.1.11");
    model.write_spr(0, Spr::Hmeer, 0);
    assert!(!model.hmeer(0).is_empty(), "ignored");
}

/// A thread that does not exist is a violation, not a panic.
#[test]
fn no_such_thread() {
    let mut model = model(Generation::Power9);
    assert_eq!(model.read_spr(16, Spr::Tfmr), 0);
    model.relax(usize::MAX);
    assert_eq!(model.violations().len(), 2);
}

/// Each moment strikes when it should.
#[test]
fn moments() {
    let struck = |model: &Model| model.tfmr(4).contains(Tfmr::TB_MISSING_SYNC);
    let fault = || broken(CoreError::MissingSync);
    let window = Configuration::new(Generation::Power9, 2, 2, 4).xscom_base(0);
    let mut now = model(Generation::Power9);
    now.inject_at(Moment::Now, fault()).unwrap();
    assert!(struck(&now));
    let mut by_access = model(Generation::Power9);
    by_access.inject_at(Moment::Access(2), fault()).unwrap();
    by_access.relax(0);
    assert!(!struck(&by_access));
    by_access.relax(3);
    assert!(struck(&by_access));
    let mut by_scom = model(Generation::Power9);
    by_scom.inject_at(Moment::Scom(2), fault()).unwrap();
    let _ = by_scom.load(0, window + (0x40024 << 3));
    assert!(!struck(&by_scom));
    let _ = by_scom.load(1, window + (0x40024 << 3));
    assert!(struck(&by_scom));
    let mut by_time = model(Generation::Power9);
    by_time.inject_at(Moment::Ticks(100), fault()).unwrap();
    by_time.tick(99);
    assert!(!struck(&by_time));
    by_time.tick(1);
    assert!(struck(&by_time));
}

/// A fault that waits for a state of the state machine.
#[test]
fn a_moment_by_state() {
    let mut model = model(Generation::Power10);
    let base = model.configuration().base();
    let core = 1;
    let state = TbState::NotSet;
    let moment = Moment::State { core, state };
    model
        .inject_at(moment, broken(CoreError::TbResidue))
        .unwrap();
    model.write_spr(5, Spr::Tfmr, base | Tfmr::LOAD_TOD_MOD.bits());
    assert_eq!(model.tfmr(4).state(), TbState::SendTodMod);
    model.tick(SYNC_TICKS);
    assert_eq!(model.tfmr(4).state(), TbState::Error);
    assert_eq!(model.tfmr(4).last_state(), TbState::NotSet);
    let nowhere = Moment::State { core: 4, state };
    let fault = broken(CoreError::NoReason);
    assert_eq!(
        model.inject_at(nowhere, fault),
        Err(Impossible::NoSuchPlace)
    );
}

/// The same seed and the same accesses give the same machine.
#[test]
fn runs_replay() {
    let run = || {
        let mut model = model(Generation::Power9);
        model
            .inject(&broken(CoreError::TfmrCorrupt { tb_survives: true }))
            .unwrap();
        (0..50)
            .map(|thread| model.read_spr(thread % 16, Spr::Tfmr))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

/// Whatever a driver does, the model does not panic, and time goes on.
#[test]
fn no_access_panics() {
    const SPRS: [Spr; 15] = [
        Spr::Tfmr,
        Spr::Hmer,
        Spr::Hmeer,
        Spr::Tb,
        Spr::Tbwl,
        Spr::Tbwu,
        Spr::Tbu40,
        Spr::Dec,
        Spr::Hdec,
        Spr::Purr,
        Spr::Spurr,
        Spr::Sprc,
        Spr::Sprd,
        Spr::Vtb,
        Spr::Lpcr,
    ];
    for seed in 0..60 {
        let generation = [Generation::Power8, Generation::Power9, Generation::Power10];
        let mut configuration =
            Configuration::new(generation[seed as usize % 3], 1 + seed as usize % 3, 2, 4);
        configuration.fused = seed % 3 != 0 && seed % 2 == 0;
        configuration.trace = false;
        let mut model = Model::new(configuration.clone());
        let mut random = Random::new(seed);
        for _ in 0..2000 {
            let thread = random.below(configuration.threads() as u64) as usize;
            let spr = SPRS[random.below(15) as usize];
            // Half of the values with the base field, so that commands are tried in all states.
            let value = match random.below(3) {
                0 => random.word(),
                1 => configuration.base() | random.word() & Tfmr::COMMANDS.bits(),
                _ => 1 << random.below(64),
            };
            let chip = random.below(configuration.chips as u64) as usize;
            let scom = match random.below(4) {
                0 => random.word() & 0x3fff_ffff,
                1 => u64::from(configuration.core_fir(chip)) + random.below(0x60),
                _ => 0x40000 + random.below(0x34),
            };
            let address = configuration.xscom_base(chip) + (scom << 3);
            match random.below(7) {
                0 | 1 => model.write_spr(thread, spr, value),
                2 => drop(model.read_spr(thread, spr)),
                3 => drop(model.load(thread, address)),
                4 => model.store(thread, address, value),
                5 => model.relax(thread),
                _ => {
                    let bits = value;
                    let core = chip * 2;
                    let fault = match random.below(4) {
                        0 => Fault::Tod { chip, bits },
                        1 => Fault::CoreFir { core, bits },
                        2 => broken(CoreError::TfmrCorrupt { tb_survives: false }),
                        _ => Fault::Oscillator {
                            chip,
                            path: (bits & 1) as u8,
                            valid: bits & 2 != 0,
                        },
                    };
                    model.inject(&fault).unwrap();
                }
            }
        }
        assert!(model.now() > 2000);
        assert!(model.accesses() > 1000);
    }
}
