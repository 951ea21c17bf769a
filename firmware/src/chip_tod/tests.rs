//! What others hold and do not let go of, and what the registers of a chip may say.

use super::restart::Restart;
use super::*;
use crate::hardware::Pir;
use crate::platform::{Chip, Generation, Platform};
use crate::test_hardware::{Answer, Scripted, platform};
use crate::timebase::{ReloadError, ResyncError, resync};
use flight_recorder::FlightRecorder;
use power_registers::Tfmr;
use power_registers::chip_tod::{TodError, TodRegister, TodStatus};
use power_registers::ibm;
use std::boxed::Box;
use std::vec::Vec;

const RUNNING: u64 = 0x1212_0008_7040_0000;
const VALUE_PARITY: TodError = TodError::from_bits_retain(ibm(27));
const OVERFLOW: TodError = TodError::from_bits_retain(ibm(36));
/// A failed access, and those that reset the engine.
const FAILS: [Answer; 4] = [
    Answer::Status(7),
    Answer::Status(0),
    Answer::Status(0),
    Answer::Status(0),
];
const WORKS: [Answer; 1] = [Answer::Status(0)];
/// Where the scripted machine keeps the registers of the second chip.
const SECOND_CHIP: u32 = 0x8000_0000;

struct Bench {
    hw: Scripted,
    platform: Platform,
    recorder: Box<FlightRecorder>,
}

impl Bench {
    /// TB and TOD run, steps come; the TOD reports these errors.
    fn new(errors: TodError) -> Self {
        let mut hw = Scripted::new();
        hw.tfmr = RUNNING;
        if !errors.is_empty() {
            hw.tfmr |= Tfmr::CHIP_TOD_INTERRUPT.bits();
        }
        set(&mut hw, TodRegister::Error, errors.bits());
        let status = TodStatus::S_PATH_0_VALID.bits();
        set(&mut hw, TodRegister::PssMssStatus, status);
        Self {
            hw,
            platform: platform(Generation::Power9, 4),
            recorder: Box::new(FlightRecorder::new()),
        }
    }

    fn with<T>(&mut self, test: impl FnOnce(&mut Scripted, &System<'_>) -> T) -> T {
        let system = System::new(&self.platform, &self.recorder).unwrap();
        system.set_spins_per_microsecond(1);
        test(&mut self.hw, &system)
    }

    /// A second chip, the backup master.
    fn with_backup(mut self) -> Self {
        let chip = Chip {
            id: ChipId(1),
            xscom_base: self.platform.chips[0].xscom_base + (1 << 34),
            chip_tod: Some(TodRole::Secondary),
            ..self.platform.chips[0].clone()
        };
        self.platform.chips.push(chip);
        self
    }
}

fn set(hw: &mut Scripted, register: TodRegister, value: u64) {
    hw.scom.insert(register.address(), value);
}

fn answers(hw: &mut Scripted, script: &[&[Answer]]) {
    hw.answers = script.concat().into();
}

fn recover(hw: &mut Scripted, system: &System<'_>) -> TodRecovery {
    system.recover_tod_errors(hw, &system.platform.cores[0], true)
}

fn restart(hw: &mut Scripted, system: &System<'_>) -> Result<(), RestartError> {
    let (_, place) = system.find(Pir(0)).unwrap();
    let (timebase, spins) = (1_000_000, 0);
    system.restart_tod(
        hw,
        first(system),
        place,
        0,
        &mut Lost {
            timebase,
            spins,
            refused: false,
            patient: true,
        },
    )
}

fn first(system: &System<'_>) -> TodPlace {
    system.tods().next().unwrap()
}

fn written(hw: &Scripted, register: TodRegister) -> Vec<u64> {
    let writes = hw.scom_writes.iter();
    writes
        .filter(|(address, _)| *address == register.address())
        .map(|(_, value)| *value)
        .collect()
}

#[test]
fn a_chip_without_a_tod_has_nothing_to_repair_with() {
    let mut bench = Bench::new(VALUE_PARITY);
    bench.platform.chips[0].chip_tod = None;
    bench.with(|hw, system| {
        assert_eq!(recover(hw, system), TodRecovery::Failed);
        let cached = system.cache_tod_registers(hw);
        assert_eq!(cached, Ok(CachedRegisters::default()));
        assert!(hw.scom_writes.is_empty() && hw.scom_reads.is_empty());
    });
}

#[test]
fn a_chip_that_is_held_is_left_alone() {
    Bench::new(OVERFLOW).with(|hw, system| {
        let held = system.chip_tod.chips[0].try_lock().unwrap();
        assert_eq!(recover(hw, system), TodRecovery::Failed);
        assert!(system.cache_tod_registers(hw).is_err());
        assert_eq!(hw.scom_writes, []);
        drop(held);
        assert_eq!(recover(hw, system), TodRecovery::Recovered);
        assert_eq!(system.cache_tod_registers(hw).unwrap().valid, 9);
    });
}

/// Step checks that wait for the reload wait on, until someone gets at the chip; another core may
/// have been faster.
#[test]
fn step_checks_outlast_a_chip_that_is_held() {
    let check = TodError::M_PATH_0_STEP_CHECK;
    Bench::new(check).with(|hw, system| {
        let tod = first(system);
        let held_back = &system.chip_tod.held_back[0];
        held_back.store(check.bits(), Ordering::Release);
        let held = system.chip_tod.chips[0].try_lock().unwrap();
        system.clear_after_reload(hw, tod);
        assert_eq!(held_back.load(Ordering::Acquire), check.bits());
        drop(held);
        answers(hw, &[&FAILS]);
        system.clear_after_reload(hw, tod);
        assert_eq!(system.chip_tod.counters.step_checks(), 0);
        assert!(hw.tfmr().contains(Tfmr::CHIP_TOD_INTERRUPT), "found again");
        held_back.store(check.bits(), Ordering::Release);
        system.clear_after_reload(hw, tod);
        assert_eq!(system.chip_tod.counters.step_checks(), 1);
        assert!(!hw.tfmr().contains(Tfmr::CHIP_TOD_INTERRUPT));
    });
}

#[test]
fn a_network_that_is_held_is_said() {
    Bench::new(VALUE_PARITY).with(|hw, system| {
        let held = system.chip_tod.network.try_lock().unwrap();
        assert_eq!(restart(hw, system), Err(RestartError::Held));
        assert!(system.cache_tod_registers(hw).is_err());
        // The value of the TOD is wrong, and cannot be put right.
        assert_eq!(recover(hw, system), TodRecovery::Failed);
        assert!(system.is_suspect(first(system)));
        assert_eq!(written(hw, TodRegister::LoadTod), []);
        drop(held);
    });
}

#[test]
fn a_value_that_proves_right_is_not_loaded_anew() {
    Bench::new(VALUE_PARITY).with(|hw, system| {
        set(hw, TodRegister::TodValue, hw.timebase + 1_000);
        assert_eq!(recover(hw, system), TodRecovery::Recovered);
        assert!(!system.is_suspect(first(system)));
        assert_eq!(written(hw, TodRegister::LoadTod), []);
    });
}

/// The restart of a TOD whose value is wrong fails: it stays under suspicion, and is not "recovered".
#[test]
fn a_value_that_cannot_be_put_right_stays_under_suspicion() {
    Bench::new(VALUE_PARITY).with(|hw, system| {
        // ERROR, its mask, the clearing; the value, the status; then the first write of the rebuild.
        answers(hw, &[&WORKS, &WORKS, &WORKS, &WORKS, &WORKS, &FAILS]);
        assert_eq!(recover(hw, system), TodRecovery::Failed);
        assert!(system.is_suspect(first(system)));
        assert_eq!(system.chip_tod.counters.failed_restarts(), 1);
    });
}

/// TB is at no good place in its period and hardly moves: the wait for a better one ends.
#[test]
fn a_timebase_that_crawls_is_not_awaited_for_ever() {
    Bench::new(VALUE_PARITY).with(|hw, system| {
        hw.timebase = 0x2000 * 100 + 0x1000;
        assert_eq!(recover(hw, system), TodRecovery::Recovered);
        assert_eq!(written(hw, TodRegister::LoadTod), [0x2000 * 100 + 0x1ff0]);
        assert!((100..1_000).contains(&hw.spins), "{}", hw.spins);
    });
}

#[test]
fn what_stopped_a_tod_is_no_matter_if_it_runs() {
    let stopping = TodError::I_PATH_SYNC_CHECK;
    Bench::new(stopping).with(|hw, system| {
        assert_eq!(recover(hw, system), TodRecovery::Recovered);
    });
    Bench::new(stopping).with(|hw, system| {
        set(hw, TodRegister::Fsm, 0);
        assert_eq!(recover(hw, system), TodRecovery::Stopped);
    });
    Bench::new(stopping).with(|hw, system| {
        answers(hw, &[&WORKS, &WORKS, &WORKS, &FAILS, &FAILS]);
        assert_eq!(recover(hw, system), TodRecovery::Failed, "it does not say");
    });
}

#[test]
fn an_error_that_cannot_be_cleared_and_then_not_be_read_is_not_gone() {
    Bench::new(OVERFLOW).with(|hw, system| {
        let round: Vec<Answer> = [&WORKS[..], &FAILS].concat();
        answers(hw, &[&WORKS, &round, &round, &round, &FAILS, &FAILS]);
        assert_eq!(recover(hw, system), TodRecovery::Failed);
        assert!(hw.tfmr().contains(Tfmr::CHIP_TOD_INTERRUPT));
    });
}

/// That a request was received is nothing to report, unless it can be neither cleared nor masked.
#[test]
fn information_that_does_not_go_away_is_reported() {
    let received = TodError::from_bits_retain(ibm(38));
    Bench::new(received).with(|hw, system| {
        assert_eq!(recover(hw, system), TodRecovery::Nothing);
    });
    Bench::new(received).with(|hw, system| {
        let round: Vec<Answer> = [&WORKS[..], &FAILS].concat();
        answers(hw, &[&WORKS, &round, &round, &round, &WORKS, &FAILS]);
        assert_eq!(recover(hw, system), TodRecovery::Failed);
    });
}

#[test]
fn a_topology_that_does_not_become_clear_ends_the_restart() {
    Bench::new(TodError::empty()).with(|hw, system| {
        let status = ibm(0);
        set(hw, TodRegister::Fsm, 0);
        set(hw, TodRegister::PssMssStatus, status);
        let unclear = RestartError::TopologyUnclear { status };
        assert_eq!(restart(hw, system), Err(unclear));
        assert_eq!(hw.scom_writes, []);
    });
}

/// Another core restarted the TOD meanwhile; but its value is under suspicion, so that does not count.
#[test]
fn a_restart_by_another_core_counts_if_its_value_does() {
    Bench::new(TodError::empty()).with(|hw, system| {
        system.chip_tod.epoch.store(1, Ordering::Release);
        answers(hw, &[&FAILS, &FAILS]);
        let unread = RestartError::Xscom(XscomError::Timeout);
        assert_eq!(restart(hw, system), Err(unread));
        assert_eq!(restart(hw, system), Ok(()));
        assert_eq!(hw.scom_writes.len(), 6, "nothing but resets of the engine");
        system.chip_tod.suspects.store(1, Ordering::Release);
        assert_eq!(restart(hw, system), Ok(()));
        assert_eq!(system.chip_tod.counters.rebuilds(), 1);
        assert!(!system.is_suspect(first(system)));
    });
}

/// Who loads TB does not take the time of a TOD under suspicion.
#[test]
fn resync_takes_no_time_that_is_under_suspicion() {
    Bench::new(TodError::empty()).with(|hw, system| {
        system.chip_tod.suspects.store(1, Ordering::Release);
        set(hw, TodRegister::TodValue, 1 << 50);
        let refused = ResyncError::Reload(ReloadError::TodNotRunning {
            fsm: power_registers::chip_tod::FSM_RUNNING,
        });
        assert_eq!(resync(hw, system), Err(refused));
        assert!(hw.spins < 1_000, "no other core can judge it");
        assert_eq!(written(hw, TodRegister::MoveTodToTb), []);
        set(hw, TodRegister::TodValue, hw.timebase);
        assert_eq!(resync(hw, system), Ok(()));
        assert!(!system.is_suspect(first(system)));
    });
}

#[test]
fn resync_leaves_nothing_in_flight_when_the_tod_is_held() {
    Bench::new(TodError::empty()).with(|hw, system| {
        let held = system.chip_tod.chips[0].try_lock().unwrap();
        let because = ResyncError::Reload(ReloadError::TodHeld);
        assert_eq!(resync(hw, system), Err(because));
        assert_eq!(hw.tfmr & Tfmr::COMMANDS.bits(), 0);
        drop(held);
        assert_eq!(resync(hw, system), Ok(()));
    });
}

#[test]
fn a_master_that_is_held_is_not_switched_from() {
    let mut bench = Bench::new(TodError::empty()).with_backup();
    bench.with(|hw, system| {
        set(hw, TodRegister::Fsm, 0);
        let held = system.chip_tod.chips[0].try_lock().unwrap();
        assert_eq!(restart(hw, system), Err(RestartError::Held));
        drop(held);
        // The status; then its roles, which are not in the cache.
        answers(hw, &[&WORKS, &FAILS, &FAILS]);
        let unread = RestartError::Xscom(XscomError::Timeout);
        assert_eq!(restart(hw, system), Err(unread));
        assert_eq!(written(hw, TodRegister::TxTtype1), []);
    });
}

#[test]
fn a_backup_that_is_held_cannot_take_over() {
    let mut bench = Bench::new(TodError::empty()).with_backup();
    bench.with(|hw, system| {
        let status = TodStatus::BACKUP_MASTER | TodStatus::S_PATH_0_VALID;
        let address = TodRegister::PssMssStatus.address() | SECOND_CHIP;
        hw.scom.insert(address, status.bits());
        let backup = system.tods().nth(1).unwrap();
        let able =
            |hw: &mut Scripted| system.can_take_over(hw, backup, topology::Topology::Secondary);
        assert!(able(hw));
        let held = system.chip_tod.chips[1].try_lock().unwrap();
        assert!(!able(hw));
        drop(held);
    });
}

/// A helper whose chip is held: it cannot be asked, or is told to stop by the next transfer.
#[test]
fn a_helper_that_is_held_is_released_by_the_next_aim() {
    let mut bench = Bench::new(TodError::empty()).with_backup();
    bench.with(|hw, system| {
        let helper = system.tods().nth(1).unwrap();
        let control = TodRegister::TxTtypeControl.address() | SECOND_CHIP;
        let held = system.chip_tod.chips[1].try_lock().unwrap();
        let asked = system.with_helper(hw, helper, |_| ());
        assert!(asked.is_err());
        assert_eq!(hw.scom.get(&control), None);
        drop(held);
        let mut held = None;
        let asked = system.with_helper(hw, helper, |_| {
            held = Some(system.chip_tod.chips[1].try_lock().unwrap())
        });
        assert!(asked.is_ok());
        assert_eq!(system.chip_tod.counters.stubborn_chips(), 1);
        let answering = power_registers::chip_tod::ANSWERS_REQUESTS;
        assert_eq!(hw.scom[&control], answering);
        let chip = held.unwrap();
        let core = crate::platform::Core::new(ChipId(1), [Pir(0x100)].into_iter().collect());
        system.tod_aim(hw, helper, &core, &chip).unwrap();
        assert_eq!(hw.scom[&control] & answering, 0);
    });
}

/// A neighbour runs, but its chip is held: whether its time could be had is not known.
#[test]
fn no_rebuild_beside_a_neighbour_that_is_held() {
    let mut bench = Bench::new(TodError::empty()).with_backup();
    bench.with(|hw, system| {
        set(hw, TodRegister::Fsm, 0);
        hw.scom.insert(
            TodRegister::Fsm.address() | SECOND_CHIP,
            power_registers::chip_tod::FSM_RUNNING,
        );
        let held = system.chip_tod.chips[1].try_lock().unwrap();
        assert_eq!(restart(hw, system), Err(RestartError::Unknown));
        assert_eq!(written(hw, TodRegister::LoadTod), []);
        drop(held);
    });
}

/// What a transfer reported is cleared before the next one, if it can be read.
#[test]
fn a_transfer_that_fails_twice_is_given_up() {
    let failed = TodError::from_bits_retain(ibm(50));
    Bench::new(failed).with(|hw, system| {
        set(hw, TodRegister::Fsm, 0);
        let lost = Lost {
            timebase: 0,
            spins: 0,
            refused: false,
            patient: true,
        };
        let mut restart = Restart::new(first(system), false, lost);
        let dead = Err(RestartError::NotRunning { fsm: 0 });
        assert_eq!(system.follow(hw, &mut restart), dead);
        assert_eq!(written(hw, TodRegister::TxTtype3).len(), 2);
        assert_eq!(written(hw, TodRegister::Error), [failed.bits()]);
        hw.scom_writes.clear();
        assert_eq!(system.follow(hw, &mut restart), dead);
        assert_eq!(written(hw, TodRegister::Error), []);
    });
}

/// The device tree names no master: the TOD that is to run is started by itself.
#[test]
fn without_a_master_a_tod_is_rebuilt_by_itself() {
    let mut bench = Bench::new(TodError::empty());
    bench.platform.chips[0].chip_tod = Some(TodRole::Slave);
    bench.with(|hw, system| {
        assert_eq!(restart(hw, system), Ok(()));
        assert_eq!(system.chip_tod.counters.rebuilds(), 1);
        assert_eq!(written(hw, TodRegister::LoadTod).len(), 1);
    });
}

/// A master that does not run and cannot be asked for its steps is not told to hand over.
#[test]
fn a_master_out_of_reach_is_not_switched_from() {
    let mut bench = Bench::new(TodError::empty()).with_backup();
    bench.platform.chips[0].chip_tod = Some(TodRole::Slave);
    bench.platform.chips[1].chip_tod = Some(TodRole::Primary);
    bench.with(|hw, system| {
        set(hw, TodRegister::Fsm, 0);
        // The own status, twice the master's FSM; then its status.
        answers(hw, &[&WORKS, &WORKS, &WORKS, &FAILS, &FAILS]);
        let dead = RestartError::NotRunning { fsm: 0 };
        assert_eq!(restart(hw, system), Err(dead));
        assert_eq!(written(hw, TodRegister::TxTtype1), []);
    });
}
