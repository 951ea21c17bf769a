//! One thread, and what others did before, do meanwhile, or leave undone.

use super::super::coordinator::{AbortReason, Event, Phase};
use super::super::events::{CAPACITY, Scope};
use super::*;
use crate::timebase::{self, ReloadError};
use opal_abi::hmi_event::{Disposition, EventType, HmiEvent, Severity};

const HDEC: u64 = Tfmr::HDEC_PARITY.bits();
const DEC: u64 = Tfmr::DEC_PARITY.bits();
const INTERRUPT: u64 = Tfmr::CHIP_TOD_INTERRUPT.bits();

/// A meeting of thread 1 alone, which is about to begin its work. It never goes on.
fn meeting_at_work(system: &System<'_>) -> u32 {
    let coordinator = &system.core(0).coordinator;
    let seen = coordinator.load();
    let (thread, expected) = (1, 0);
    let join = Event::Join {
        thread,
        seen,
        expected,
    };
    let word = coordinator.apply(join).after;
    assert_eq!(word.phase(), Phase::RepairTfmr);
    word.generation
}

#[track_caller]
fn assert_not_recovered(handled: &Handled) {
    assert_eq!(handled.events.len(), 1, "{:x?}", handled.events);
    assert_eq!(handled.events[0].2, 1, "{:x?}", handled.events);
}

#[track_caller]
fn assert_recovered(handled: &Handled) {
    assert_eq!(handled.events.len(), 1, "{:x?}", handled.events);
    assert_eq!(handled.events[0].2, 0, "{:x?}", handled.events);
    assert_eq!(handled.outcome.flags & hmi_flags::TOD_TB_FAIL, 0);
}

/// The OS takes no events: one that says "recovered" finds no room, and is not announced.
#[test]
fn an_event_that_is_lost_is_not_announced() {
    let mut bench = Bench::new(Generation::Power9, RUNNING | DEC);
    let mut lost = 0;
    let handled = bench.handle(|_, system| {
        for n in 0..CAPACITY as u64 {
            let event = HmiEvent {
                severity: Severity::ErrorSync,
                event_type: EventType::TimerFacility,
                disposition: Disposition::NotRecovered,
                hmer: n,
                tfmr: 0,
                checkstop: None,
            };
            assert!(system.events.post(1, Scope::Machine, &event));
        }
        lost = system.events.lost();
    });
    assert_eq!(lost, 0);
    assert_eq!(handled.outcome.flags, hmi_flags::DEC_LOST);
    assert!(!handled.outcome.event_queued);
    assert_eq!(handled.events.len(), CAPACITY);
    assert!(handled.events.iter().all(|event| event.2 == 1));
}

/// POWER9, thread 1: whether HDEC is lost only thread 0's TFMR says. Without it the bit counts.
#[test]
fn without_the_truth_a_latched_bit_counts() {
    let mut bench = Bench::new(Generation::Power9, RUNNING | HDEC);
    bench.hw.pir = Pir(1);
    let handled = bench.handle(|_, system| {
        system.set_participation(Pir(0), Participation::Absent);
    });
    assert!(bench.hw.scom_reads.contains(&0x2001_0a81));
    assert_recovered(&handled);
    assert_eq!(bench.hw.decrementers, [("HDEC", 0)]);
    assert_ne!(handled.outcome.flags & hmi_flags::HDEC_LOST, 0);
}

/// The same while another thread keeps TFMR: then it cannot be asked, and nothing is repaired.
#[test]
fn a_latched_bit_counts_while_tfmr_is_held() {
    let mut bench = Bench::new(Generation::Power9, RUNNING | HDEC);
    bench.hw.pir = Pir(1);
    let handled = bench.handle(|_, system| {
        system.set_participation(Pir(0), Participation::Absent);
        core::mem::forget(system.core(0).tfmr.try_lock().unwrap());
    });
    assert_not_recovered(&handled);
    assert_eq!(bench.hw.decrementers, []);
}

#[test]
fn a_local_error_that_comes_again_and_again_is_given_up() {
    let mut bench = Bench::new(Generation::Power10, RUNNING | DEC);
    bench.hw.sticky = DEC;
    let handled = bench.handle(|_, _| {});
    assert_not_recovered(&handled);
    assert_eq!(bench.hw.decrementers, [("DEC", u64::MAX); 3]);
    assert_eq!(bench.hw.tfmr_writes, [BASE | DEC; 6]);
}

/// Others are at work on the core and do not come to an end: said after four times.
#[test]
fn a_meeting_of_others_that_never_ends_is_not_awaited_for_ever() {
    let mut bench = Bench::new(Generation::Power10, ERROR);
    let handled = bench.handle(|_, system| {
        meeting_at_work(system);
    });
    assert_not_recovered(&handled);
    assert_eq!(bench.hw.tfmr_writes, [], "nothing is done behind its back");
    assert_ne!(handled.outcome.flags & hmi_flags::TOD_TB_FAIL, 0);
}

/// The same, but the others succeed in the last moment.
#[test]
fn what_others_repaired_at_last_is_not_reported_as_broken() {
    let mut bench = Bench::new(Generation::Power10, ERROR);
    let patience = u64::from(hmi_meeting::way::ROUNDS) * meeting::PHASE_MICROSECONDS;
    bench.hw.becomes = Some((patience - 1_000, RUNNING));
    let handled = bench.handle(|_, system| {
        meeting_at_work(system);
    });
    assert!(bench.hw.spins >= patience);
    assert_eq!(handled.events, []);
    assert_eq!(handled.outcome.flags, 0);
}

/// A meeting that others do not leave is over: the next one begins.
#[test]
fn stragglers_who_do_not_leave_hold_up_nobody() {
    let mut bench = Bench::new(Generation::Power10, ERROR);
    let handled = bench.handle(|_, system| {
        let generation = meeting_at_work(system);
        system.core(0).coordinator.apply(Event::Abort {
            thread: 1,
            generation,
            reason: AbortReason::ClearFailed,
        });
    });
    assert_recovered(&handled);
    assert!(bench.hw.tfmr().tb_usable());
}

/// Others wait for this thread, which sees nothing wrong: it comes all the same.
#[test]
fn a_thread_that_is_expected_comes_to_the_meeting() {
    let mut bench = Bench::new(Generation::Power10, RUNNING);
    let handled = bench.handle(|_, system| {
        let coordinator = &system.core(0).coordinator;
        let seen = coordinator.load();
        let (thread, expected) = (1, 1);
        coordinator.apply(Event::Join {
            thread,
            seen,
            expected,
        });
        assert!(coordinator.load().expects(0));
    });
    // Thread 1 never does its part.
    assert_not_recovered(&handled);
    let joined = |record: &flight_recorder::Record| record.step == Step::Join;
    assert!(bench.recorder.records(0).any(|record| joined(&record)));
    let aborted = |record: &flight_recorder::Record| record.step == Step::Abort;
    let abort = bench.recorder.records(0).find(aborted).unwrap();
    assert_eq!(abort.arguments, [AbortReason::WaitExpired as u64, 0b10]);
}

/// An idle thread that was called to a meeting which is over calls none itself: those who took the
/// interrupt have said that the core is broken.
#[test]
fn an_idle_thread_calls_no_meeting() {
    let mut bench = Bench::new(Generation::Power10, ERROR);
    bench.hw.hmer = 0;
    let handled = bench.handle(|_, system| {
        system.set_participation(Pir(0), Participation::FirmwareIdle);
    });
    assert_eq!(handled.events, []);
    assert_eq!(handled.outcome.flags, hmi_flags::TOD_TB_FAIL);
    assert_eq!(bench.hw.tfmr_writes, []);
    // One that took the interrupt itself does.
    bench.hw.hmer = Hmer::TFAC_ERROR.bits();
    let handled = bench.handle(|_, system| {
        system.set_participation(Pir(0), Participation::FirmwareIdle);
    });
    assert_recovered(&handled);
}

/// A meeting went by without this thread and lost HDEC: its own copy is set, unless siblings share it.
#[test]
fn a_thread_that_missed_a_meeting_makes_up_for_it() {
    for (generation, own) in [(Generation::Power8, false), (Generation::Power9, true)] {
        let mut bench = Bench::new(generation, RUNNING);
        let handled = bench.handle(|_, system| {
            let core = system.core(0);
            let generation = meeting_at_work(system);
            let findings = Findings::HDEC_LOST;
            while let phase = core.coordinator.load().phase()
                && phase.is_work()
            {
                core.coordinator.apply(Event::Done {
                    thread: 1,
                    generation,
                    phase,
                    findings,
                });
            }
            let thread = 1;
            core.coordinator.apply(Event::Leave { thread, generation });
            core.note_missed(1);
        });
        assert_eq!(handled.outcome.flags, hmi_flags::HDEC_LOST);
        let written: &[_] = if own { &[("HDEC", 0)] } else { &[] };
        assert_eq!(bench.hw.decrementers, written, "{generation:?}");
        assert_eq!(handled.events, []);
    }
}

/// The TOD stopped, but TB goes on by itself: nothing to reload, and not recovered.
#[test]
fn a_tod_that_stopped_beside_a_running_timebase_is_said() {
    let mut bench = Bench::new(Generation::Power10, RUNNING | INTERRUPT);
    let error = TodError::I_PATH_SYNC_CHECK.bits();
    bench.hw.scom.insert(TodRegister::Fsm.address(), 0);
    bench.hw.scom.insert(TodRegister::Error.address(), error);
    let handled = bench.handle(|_, _| {});
    assert_not_recovered(&handled);
    assert_eq!(handled.outcome.flags, NEW_EVENT, "TB is good");
    assert!(bench.hw.spins >= 100);
    assert_eq!(bench.hw.tfmr_writes, []);
}

/// The core and the TOD have errors, TB runs: the TOD's are not covered by the core's repair.
#[test]
fn a_tod_error_beside_a_core_error_is_not_lost() {
    let mut bench = Bench::new(Generation::Power10, RUNNING | INTERRUPT | HDEC);
    let error = TodError::PARITY_00.bits();
    bench.hw.scom.insert(TodRegister::Error.address(), error);
    let handled = bench.handle(|_, _| {});
    assert_not_recovered(&handled);
    assert_eq!(bench.hw.decrementers, [("HDEC", 0)]);
    assert_eq!(handled.outcome.flags & hmi_flags::TOD_TB_FAIL, 0);
}

/// A value that arrived damaged, under a TB that runs: it is loaded again. The bit never goes away on
/// this machine, so it means nothing the next time.
#[test]
fn a_running_timebase_that_was_loaded_with_damage_is_loaded_again() {
    let damaged = Tfmr::CHIP_TOD_PARITY_ERROR.bits();
    let mut bench = Bench::new(Generation::Power10, RUNNING | damaged);
    bench.hw.tod_value = Some(5_000_000);
    let mut again = None;
    let handled = bench.handle(|hw, system| {
        let first = handle(hw, system);
        assert_eq!(first.flags, hmi_flags::TB_RESYNC | NEW_EVENT);
        assert!(hw.timebase >= 5_000_000);
        hw.hmer |= Hmer::TFAC_ERROR.bits();
        hw.tfmr_writes.clear();
        again = Some(hw.tfmr & damaged);
    });
    assert_eq!(again, Some(damaged));
    assert_eq!(handled.outcome.flags, 0);
    assert_eq!(handled.events.len(), 1, "that of the first time");
    assert_eq!(bench.hw.tfmr_writes, []);
}

/// TFMR calls TB valid in a state in which it cannot run: not recovered, and TB is not claimed.
#[test]
fn a_valid_timebase_that_does_not_run_is_not_believed() {
    let contradiction = 0x1212_0002_0040_0000 | HDEC;
    assert!(Tfmr::from_bits_retain(contradiction).tb_usable());
    let mut bench = Bench::new(Generation::Power10, contradiction);
    let handled = bench.handle(|_, _| {});
    assert_not_recovered(&handled);
    assert_ne!(handled.outcome.flags & hmi_flags::TOD_TB_FAIL, 0);
}

#[test]
fn a_thread_that_the_platform_does_not_know_says_that_its_timebase_is_dead() {
    let mut bench = Bench::new(Generation::Power9, ERROR);
    bench.hw.pir = Pir(99);
    let handled = bench.handle(|hw, system| {
        system.note_timebase(hw);
        system.note_timers(hw);
        assert_eq!(system.newest_good_timebase(), 0, "it has no history");
        let unknown = timebase::resync(hw, system);
        assert_eq!(unknown, Err(ResyncError::UnknownThread));
    });
    assert_eq!(handled.outcome.flags, hmi_flags::TOD_TB_FAIL);
    assert_eq!(bench.hw.tfmr_writes, []);
}

/// A TOD that stays dead is told each time; there is no storm to end where nothing raises the cause.
#[test]
fn a_dead_tod_is_told_each_time() {
    let mut bench = Bench::new(Generation::Power10, ERROR);
    bench.hw.scom.insert(TodRegister::Fsm.address(), 0);
    let handled = bench.handle(|hw, system| {
        for _ in 0..HOPELESS {
            hw.hmer |= Hmer::TFAC_ERROR.bits();
            let outcome = handle(hw, system);
            assert_ne!(outcome.flags & hmi_flags::TOD_TB_FAIL, 0);
            assert_eq!(hw.hmer & Hmer::TIMER.bits(), 0);
        }
    });
    // The call without an interrupt after them repairs nothing that was given up, and tells it no more.
    assert_eq!(handled.events.len(), usize::from(HOPELESS));
    assert_ne!(handled.outcome.flags & hmi_flags::TOD_TB_FAIL, 0);
    assert!(handled.events.iter().all(|event| event.2 == 1));
}

#[test]
fn resync_without_a_tod_changes_nothing() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.platform.chips[0].chip_tod = None;
    bench.hw.hmer = 0;
    bench.handle(|hw, system| {
        let because = ResyncError::Reload(ReloadError::NoChipTod);
        assert_eq!(resync(hw, system), Err(because));
        assert_eq!(hw.tfmr_writes, []);
    });
}

/// The OS asks since TB was wrong: what the TOD says counts, also if that is less.
#[test]
fn resync_takes_a_time_that_is_behind() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.hw.timebase = 7_000_000;
    bench.handle(|hw, system| {
        system.note_timebase(hw);
        hw.tod_value = Some(5_000_000);
        assert_eq!(resync(hw, system), Ok(()));
        assert!((5_000_000..6_000_000).contains(&hw.timebase));
        assert!((5_000_000..6_000_000).contains(&system.newest_good_timebase()));
        assert_eq!(system.counters.backward_timebase(), 1);
    });
}

/// A meeting that waits for the thread which resyncs does nothing before it comes.
#[test]
fn resync_does_not_wait_for_a_meeting_that_waits_for_it() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.hw.hmer = 0;
    bench.handle(|hw, system| {
        let coordinator = &system.core(0).coordinator;
        let seen = coordinator.load();
        let (thread, expected) = (1, 1);
        let join = Event::Join {
            thread,
            seen,
            expected,
        };
        let generation = coordinator.apply(join).after.generation;
        assert_eq!(resync(hw, system), Ok(()));
        assert!(hw.spins < 1_000, "{}", hw.spins);
        let phase = Phase::Arrive;
        coordinator.apply(Event::Expire {
            thread,
            generation,
            phase,
        });
        let reason = AbortReason::ClearFailed;
        coordinator.apply(Event::Abort {
            thread,
            generation,
            reason,
        });
    });
}

/// The transfer ends in RUNNING, but TB is not valid: three tries, and no claim.
#[test]
fn a_timebase_that_runs_but_is_not_valid_was_not_loaded() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.hw.hmer = 0;
    bench.handle(|hw, system| {
        hw.invalid = true;
        let result = resync(hw, system);
        assert!(
            matches!(
                result,
                Err(ResyncError::Reload(ReloadError::NotRunning { .. }))
            ),
            "{result:?}"
        );
        let moves = hw.scom_writes.iter();
        let moves = moves.filter(|(address, _)| *address == TodRegister::MoveTodToTb.address());
        assert_eq!(moves.count(), 3);
        hw.invalid = false;
        assert_eq!(resync(hw, system), Ok(()));
    });
}

/// In each phase that writes TFMR: another thread keeps it, so the meeting is given up for all.
#[test]
fn no_phase_writes_a_tfmr_that_is_held() {
    for phase in [Phase::RepairTfmr, Phase::Clean, Phase::Clear, Phase::Reload] {
        let mut bench = Bench::new(Generation::Power10, RUNNING);
        bench.handle(|hw, system| {
            let (core, place) = system.find(Pir(0)).unwrap();
            core.set_plan(core_state::Plan {
                timebase: true,
                ..core_state::Plan::default()
            });
            hw.tfmr = ERROR;
            let mut caller = Caller {
                place,
                index: 0,
                hmer: Hmer::TFAC_ERROR,
                tfmr: hw.tfmr(),
                flags: 0,
                spins: 0,
                backwards: false,
            };
            hw.tfmr_writes.clear();
            let held = core.tfmr.try_lock().unwrap();
            let report = phases::work(hw, system, &mut caller, phase, 1);
            let given_up = hmi_meeting::way::Report::Abort(AbortReason::TfmrHeld);
            assert_eq!(report, given_up, "{phase:?}");
            assert_eq!(hw.tfmr_writes, [], "{phase:?}");
            assert_eq!(hw.timebase_writes, [], "{phase:?}");
            drop(held);
            hw.tfmr = RUNNING;
        });
    }
}
