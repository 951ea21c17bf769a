//! What others hold and do not let go of: every wait ends, and nothing is said that is not so.

use super::super::coordinator::{AbortReason, Event, Phase};
use super::*;
use crate::chip_tod::RestartError;

/// Starts a meeting of thread 1, which waits for thread 2.
fn meeting_of_others(system: &System<'_>) -> u32 {
    let coordinator = &system.core(0).coordinator;
    let seen = coordinator.load();
    let (thread, expected) = (1, 1 << 2);
    coordinator.apply(Event::Join {
        thread,
        seen,
        expected,
    });
    let word = coordinator.load();
    assert_eq!(word.phase(), Phase::Arrive);
    assert!(!word.expects(0));
    word.generation
}

#[test]
fn resync_waits_for_tfmr_but_not_for_ever() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.handle(|hw, system| {
        let held = system.core(0).tfmr.try_lock().unwrap();
        hw.tfmr_writes.clear();
        assert_eq!(resync(hw, system), Err(ResyncError::TfmrHeld));
        assert_eq!(hw.tfmr_writes, []);
        drop(held);
        assert_eq!(resync(hw, system), Ok(()));
    });
}

#[test]
fn resync_does_not_disturb_a_meeting() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.handle(|hw, system| {
        meeting_of_others(system);
        hw.tfmr_writes.clear();
        assert_eq!(resync(hw, system), Err(ResyncError::InRecovery));
        assert_eq!(hw.tfmr_writes, []);
    });
}

/// Threads that never leave keep nobody from resyncing: the work is over.
#[test]
fn resync_ends_a_meeting_that_nobody_leaves() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.handle(|hw, system| {
        let generation = meeting_of_others(system);
        let coordinator = &system.core(0).coordinator;
        let phase = Phase::Arrive;
        coordinator.apply(Event::Expire {
            thread: 1,
            generation,
            phase,
        });
        coordinator.apply(Event::Abort {
            thread: 1,
            generation,
            reason: AbortReason::ClearFailed,
        });
        assert_eq!(coordinator.load().phase(), Phase::Depart);
        assert_eq!(resync(hw, system), Ok(()));
        assert_eq!(coordinator.load().phase(), Phase::Idle);
    });
}

/// DEC is broken, but another thread keeps TFMR: not repaired, and said so.
#[test]
fn a_local_error_is_told_when_tfmr_is_held() {
    let broken = RUNNING | Tfmr::DEC_PARITY.bits();
    let mut bench = Bench::new(Generation::Power9, broken);
    let handled =
        bench.handle(|_, system| core::mem::forget(system.core(0).tfmr.try_lock().unwrap()));
    assert_eq!(bench.hw.tfmr, broken);
    assert_eq!(handled.outcome.flags & hmi_flags::DEC_LOST, 0);
    assert_eq!(handled.events.len(), 1, "{:x?}", handled.events);
    assert_eq!(handled.events[0].2, 1, "{:x?}", handled.events);
}

/// The core's error cannot be repaired while TFMR is held.
#[test]
fn a_core_error_is_told_when_tfmr_is_held() {
    let mut bench = Bench::new(Generation::Power9, ERROR);
    let handled =
        bench.handle(|_, system| core::mem::forget(system.core(0).tfmr.try_lock().unwrap()));
    assert_eq!(handled.events.len(), 1, "{:x?}", handled.events);
    assert_eq!(handled.events[0].2, 1, "{:x?}", handled.events);
    assert_ne!(handled.outcome.flags & hmi_flags::TOD_TB_FAIL, 0);
}

#[test]
fn a_restart_that_failed_says_why() {
    use std::string::ToString as _;
    let because = |why: RestartError| ReloadError::TodNotRestarted(why).to_string();
    for (why, text) in [
        (RestartError::Held, "the network is held by another core"),
        (RestartError::Hopeless, "another core has just failed to"),
        (RestartError::NoBackup, "no steps and no backup master"),
        (
            RestartError::Unknown,
            "a chip cannot be asked whether it runs",
        ),
        (
            RestartError::Disputed,
            "the ChipTODs that run contradict one another",
        ),
        (
            RestartError::Doubted,
            "the ChipTODs that run are under suspicion",
        ),
        (
            RestartError::TooLate,
            "it was set too late for the next sync",
        ),
        (RestartError::TimebaseLost, "TB stopped meanwhile"),
        (
            RestartError::NotRunning { fsm: 1 },
            "it does not run, FSM 0x0000000000000001",
        ),
    ] {
        let expected = std::format!("the ChipTOD is not restarted: {text}");
        assert_eq!(because(why), expected);
    }
}
