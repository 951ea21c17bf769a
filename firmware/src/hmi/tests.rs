//! The handler on one thread of a small scripted core; meetings of several threads are tested
//! against the hardware model.

mod locks;
mod others;

use super::*;
use crate::decisions::Table;
use crate::hardware::Pir;
use crate::platform::{Generation, Platform};
use crate::system::Participation;
use crate::test_hardware::{Scripted, platform};
use crate::timebase::{ReloadError, ResyncError, resync};
use flight_recorder::FlightRecorder;
use opal_abi::message;
use power_registers::chip_tod::{FSM_RUNNING, TRIGGER, TodError, TodRegister};
use std::boxed::Box;
use std::vec::Vec;

const BASE: u64 = 0x1212_0000_0000_0000;
const RUNNING: u64 = 0x1212_0008_7040_0000;
const ERROR: u64 = 0x1212_0009_8000_0000;
const CLEAR: u64 = Tfmr::CLEAR_TB_ERRORS.bits();
const NOT_SET: u64 = Tfmr::LOAD_TOD_MOD.bits();
const MOVE: u64 = Tfmr::MOVE_CHIP_TOD_TO_TB.bits();

struct Bench {
    /// Rows of the HMER table that were hit.
    decisions: u64,
    hw: Scripted,
    platform: Platform,
    recorder: Box<FlightRecorder>,
}

impl Bench {
    fn new(generation: Generation, tfmr: u64) -> Self {
        let mut hw = Scripted::new();
        hw.tfmr = tfmr;
        hw.hmer = (Hmer::TFAC_ERROR | Hmer::XSCOM_DONE).bits();
        Self {
            decisions: 0,
            hw,
            platform: platform(generation, 4),
            recorder: Box::new(FlightRecorder::new()),
        }
    }

    /// Handles on the calling thread, alone on the core, in a system that `prepare` set up.
    fn handle(&mut self, prepare: impl FnOnce(&mut Scripted, &System<'_>)) -> Handled {
        let system = System::new(&self.platform, &self.recorder).unwrap();
        system.set_spins_per_microsecond(1);
        system.set_participation(Pir(0), Participation::Running);
        prepare(&mut self.hw, &system);
        let outcome = handle(&mut self.hw, &system);
        let events = core::iter::from_fn(|| system.events.take())
            .map(decode)
            .collect();
        self.decisions = system.decisions.hits(Table::Hmer);
        Handled { outcome, events }
    }
}

struct Handled {
    outcome: Outcome,
    events: Vec<(u8, u8, u8, u64, u64)>,
}

/// (severity, type, disposition, HMER, TFMR)
fn decode(message: [u8; message::SIZE]) -> (u8, u8, u8, u64, u64) {
    let event = &message[message::PARAMETERS..];
    let word = |at: usize| u64::from_be_bytes(event[at..at + 8].try_into().unwrap());
    (event[1], event[2], event[3], word(8), word(16))
}

const NEW_EVENT: u64 = hmi_flags::NEW_EVENT;

#[test]
fn t1_residue_is_cleaned_cleared_and_reloaded() {
    let found = ERROR | Tfmr::TB_RESIDUE_ERROR.bits();
    let mut bench = Bench::new(Generation::Power9, found);
    bench.hw.tod_value = Some(5_000_000);
    let handled = bench.handle(|_, _| {});
    let hw = &bench.hw;
    assert_eq!(
        hw.tfmr_writes,
        [
            BASE | CLEAR | Tfmr::TB_RESIDUE_ERROR.bits(),
            BASE | CLEAR,
            BASE | NOT_SET,
            BASE | MOVE,
        ]
    );
    assert_eq!(
        hw.timebase_writes,
        [("lower", 0), ("upper", 0), ("lower", 1_000_000)]
    );
    assert_eq!(
        hw.scom_writes,
        [
            (TodRegister::TxTtypeControl.address(), 0x20 << 32),
            (TodRegister::MoveTodToTb.address(), TRIGGER),
        ]
    );
    assert_eq!(
        hw.hmer_keeps[0],
        !Hmer::TIMER.difference(Hmer::TFMR_PARITY_ERROR).bits()
    );
    assert_eq!(handled.outcome.flags, hmi_flags::TB_RESYNC | NEW_EVENT);
    assert_eq!(handled.events, [(2, 4, 0, 0x0840_0000_0000_0000, found)]);
    assert!(hw.timebase >= 5_000_000);
}

#[test]
fn t2_hdec_parity_leaves_the_timebase_alone() {
    let found = RUNNING | Tfmr::HDEC_PARITY.bits();
    let mut bench = Bench::new(Generation::Power10, found);
    let handled = bench.handle(|_, _| {});
    let hdec = Tfmr::HDEC_PARITY.bits();
    assert_eq!(bench.hw.tfmr_writes, [BASE | hdec, BASE | hdec]);
    assert_eq!(bench.hw.decrementers, [("HDEC", 0)]);
    assert!(bench.hw.timebase_writes.is_empty() && bench.hw.scom_writes.is_empty());
    assert_eq!(handled.outcome.flags, hmi_flags::HDEC_LOST | NEW_EVENT);
    assert_eq!(handled.events.len(), 1);
}

#[test]
fn t3_dec_parity_needs_no_sibling() {
    let found = RUNNING | Tfmr::DEC_PARITY.bits();
    let mut bench = Bench::new(Generation::Power9, found);
    bench.hw.pir = Pir(2);
    // A running sibling that never comes must not matter.
    let handled = bench.handle(|_, _| {});
    let dec = Tfmr::DEC_PARITY.bits();
    assert_eq!(bench.hw.tfmr_writes, [BASE | dec, BASE | dec]);
    assert_eq!(bench.hw.decrementers, [("DEC", u64::MAX)]);
    assert_eq!(handled.outcome.flags, hmi_flags::DEC_LOST | NEW_EVENT);
    assert_eq!(handled.events, [(2, 4, 0, 0x0840_0000_0000_0000, found)]);
    assert_eq!(bench.hw.spins, 0);
}

#[test]
fn t4_a_corrupt_tfmr_is_repaired_first_and_its_second_interrupt_is_nothing() {
    let found = ERROR | Tfmr::TFMR_CORRUPT.bits();
    let mut bench = Bench::new(Generation::Power9, found);
    let handled = bench.handle(|_, _| {});
    let corrupt = Tfmr::TFMR_CORRUPT.bits();
    assert_eq!(
        bench.hw.tfmr_writes,
        [
            BASE | corrupt,
            BASE | corrupt,
            BASE | CLEAR,
            BASE | CLEAR,
            BASE | NOT_SET,
            BASE | MOVE,
        ]
    );
    assert_eq!(handled.outcome.flags, hmi_flags::TB_RESYNC | NEW_EVENT);
    assert_eq!(handled.events, [(2, 4, 0, 0x0840_0000_0000_0000, found)]);
    bench.hw.hmer |= Hmer::TIMER.bits();
    let second = bench.handle(|_, _| {});
    assert_eq!(second.outcome, Outcome::default());
    assert!(second.events.is_empty());
    assert_eq!(bench.hw.hmer & Hmer::TIMER.bits(), 0);
}

#[test]
fn a_tfmr_that_stays_corrupt_ends_cleanly() {
    let mut bench = Bench::new(Generation::Power10, ERROR | Tfmr::TFMR_CORRUPT.bits());
    bench.hw.sticky = Tfmr::TFMR_CORRUPT.bits();
    let handled = bench.handle(|_, _| {});
    assert_eq!(handled.outcome.flags, hmi_flags::TOD_TB_FAIL | NEW_EVENT);
    assert_eq!(handled.events[0].2, 1);
    assert_eq!(handled.events.len(), 1);
}

#[test]
fn an_error_bit_that_stays_is_not_called_recovered() {
    let step = Tfmr::TB_MISSING_STEP.bits();
    let mut bench = Bench::new(Generation::Power10, ERROR | step);
    bench.hw.sticky = step;
    let handled = bench.handle(|_, _| {});
    assert_eq!(handled.events.len(), 1);
    assert_eq!(handled.events[0].2, 1);
    assert_eq!(
        handled.outcome.flags,
        hmi_flags::TB_RESYNC | NEW_EVENT,
        "TB itself runs"
    );
    assert!(bench.hw.tfmr().tb_usable());
}

#[test]
fn a_dead_tod_is_answered_fast_and_leaves_nothing_in_flight() {
    let step = Tfmr::TB_MISSING_STEP.bits();
    let mut bench = Bench::new(Generation::Power9, ERROR | step);
    bench.hw.scom.insert(TodRegister::Fsm.address(), 0);
    let handled = bench.handle(|_, _| {});
    assert_eq!(handled.outcome.flags, hmi_flags::TOD_TB_FAIL | NEW_EVENT);
    assert_eq!(handled.events[0].2, 1);
    let fsm_reads = bench
        .hw
        .scom_reads
        .iter()
        .filter(|read| **read == TodRegister::Fsm.address())
        .count();
    assert_eq!(fsm_reads, 1);
    assert_eq!(bench.hw.tfmr & Tfmr::COMMANDS.bits(), 0);
    assert!(bench.hw.spins < 10, "{} spins", bench.hw.spins);
}

#[test]
fn without_a_chip_tod_the_answer_is_not_recovered() {
    let mut bench = Bench::new(Generation::Power8, ERROR | Tfmr::FW_CONTROL_ERROR.bits());
    bench.platform.chips[0].chip_tod = None;
    let handled = bench.handle(|_, _| {});
    assert_eq!(handled.outcome.flags, hmi_flags::TOD_TB_FAIL | NEW_EVENT);
    assert_eq!(handled.events[0].2, 1);
    assert!(bench.hw.scom_writes.is_empty());
    // TB that TFMR never reported as running is no fault of its own.
    bench.hw.tfmr = BASE;
    bench.hw.hmer = Hmer::PROC_RECV_DONE.bits();
    let harmless = bench.handle(|_, _| {});
    assert_eq!(harmless.outcome.flags, NEW_EVENT);
    assert_eq!(
        harmless.events,
        [(0, 1, 0, Hmer::PROC_RECV_DONE.bits(), BASE)]
    );
}

#[test]
fn t9_a_command_in_flight_is_flushed_before_anything_else() {
    let found = 0x1212_2007_6040_0000 & !Tfmr::TB_VALID.bits();
    let mut bench = Bench::new(Generation::Power9, found);
    bench.hw.hmer = 0;
    let handled = bench.handle(|_, _| {});
    assert_eq!(bench.hw.tfmr_writes[..2], [BASE | CLEAR, BASE | CLEAR]);
    assert_eq!(handled.events.len(), 1, "also without a bit in HMER");
}

#[test]
fn t10_error_without_a_reason_is_cleared_and_reloaded() {
    let mut bench = Bench::new(Generation::Power10, ERROR);
    let handled = bench.handle(|_, _| {});
    assert_eq!(
        bench.hw.tfmr_writes,
        [BASE | CLEAR, BASE | CLEAR, BASE | NOT_SET, BASE | MOVE]
    );
    assert_eq!(handled.outcome.flags, hmi_flags::TB_RESYNC | NEW_EVENT);
    assert_eq!(handled.events.len(), 1);
}

#[test]
fn a_running_sibling_that_does_not_come_is_named_and_left_behind() {
    let mut bench = Bench::new(Generation::Power10, ERROR | Tfmr::FW_CONTROL_ERROR.bits());
    let handled = bench.handle(|_, system| {
        system.set_participation(Pir(3), Participation::Running);
        system.set_participation(Pir(1), Participation::FirmwareIdle);
    });
    assert_eq!(handled.outcome.flags, hmi_flags::TB_RESYNC | NEW_EVENT);
    let absent = bench
        .recorder
        .records(0)
        .find(|record| record.step == Step::Absent)
        .unwrap();
    assert_eq!(absent.arguments[0], 0b1010);
    assert!(bench.hw.spins >= 500_000);
}

#[test]
fn garbage_in_tb_gives_way_to_the_last_good_value() {
    let mut bench = Bench::new(Generation::Power10, RUNNING);
    bench.hw.timebase = 7_000_000;
    let handled = bench.handle(|hw, system| {
        let none = handle(hw, system);
        assert_eq!(none, Outcome::default());
        hw.tfmr = ERROR | Tfmr::FW_CONTROL_ERROR.bits();
        hw.timebase = 0xdead_beef_dead_beef;
    });
    assert_eq!(handled.events[0].2, 0);
    let seeded = bench.hw.timebase_writes[2].1;
    assert!((7_000_000..7_001_000).contains(&seeded), "{seeded}");
}

#[test]
fn a_timebase_that_went_back_is_not_called_good() {
    let mut bench = Bench::new(Generation::Power10, RUNNING);
    bench.hw.timebase = 7_000_000;
    bench.hw.tod_value = Some(1);
    let handled = bench.handle(|hw, system| {
        handle(hw, system);
        hw.tfmr = ERROR | Tfmr::TB_MISSING_STEP.bits();
    });
    let expected = hmi_flags::TB_RESYNC | hmi_flags::TOD_TB_FAIL | NEW_EVENT;
    assert_eq!(handled.outcome.flags, expected);
    assert_eq!(handled.events[0].2, 1);
}

#[test]
fn t5_a_register_of_the_tod_is_restored_by_one_thread() {
    let register = TodRegister::SlavePathControl.address();
    let cached = 0x0000_000c_0000_0000;
    let mut bench = Bench::new(Generation::Power10, RUNNING);
    let interrupt = Tfmr::CHIP_TOD_INTERRUPT.bits();
    let handled = bench.handle(|hw, system| {
        hw.scom.insert(register, cached);
        assert_eq!(system.cache_tod_registers(hw).unwrap().valid, 9);
        hw.scom.insert(register, 0x0000_0030_0000_0000);
        hw.scom
            .insert(TodRegister::Error.address(), TodError::PARITY_05.bits());
        hw.tfmr |= interrupt;
    });
    let error = TodRegister::Error.address();
    assert_eq!(
        bench.hw.scom_writes,
        [(register, cached), (error, TodError::PARITY_05.bits())]
    );
    assert_eq!(handled.events.len(), 1);
    assert_eq!(handled.outcome.flags, NEW_EVENT);
    // The next thread of the chip saw bit 51 too, but it is gone.
    bench.hw.hmer |= Hmer::TFAC_ERROR.bits();
    let next = bench.handle(|_, _| {});
    assert_eq!(next.outcome, Outcome::default());
}

#[test]
fn what_cannot_be_restored_is_reported_once() {
    let mut bench = Bench::new(Generation::Power10, RUNNING | 1 << 12);
    let handled = bench.handle(|hw, system| {
        hw.scom
            .insert(TodRegister::Error.address(), TodError::PARITY_00.bits());
        let first = handle(hw, system);
        assert_eq!(first.flags, NEW_EVENT);
        hw.hmer |= Hmer::TFAC_ERROR.bits();
    });
    assert_eq!(handled.outcome, Outcome::default());
    assert_eq!(handled.events.len(), 1);
    assert_eq!(handled.events[0].2, 1);
}

#[test]
fn every_implemented_hmer_bit_is_cleared_and_none_is_lost() {
    for bit in 0..24 {
        for generation in [Generation::Power8, Generation::Power9, Generation::Power10] {
            let mask = 1_u64 << (63 - bit);
            if Hmer::XSCOM_MAILBOX.bits() & mask != 0 {
                continue;
            }
            let mut bench = Bench::new(generation, RUNNING);
            bench.hw.hmer = mask;
            let handled = bench.handle(|_, _| {});
            assert_eq!(bench.hw.hmer & mask, 0, "bit {bit}");
            for keep in &bench.hw.hmer_keeps {
                assert_eq!(
                    keep | mask | Hmer::XSCOM_MAILBOX.bits(),
                    u64::MAX,
                    "bit {bit}"
                );
            }
            // Nothing is wrong with the timer, and no chip alarms.
            let silent = Hmer::TIMER | Hmer::MALFUNCTION_ALERT;
            let told = silent.bits() & mask == 0;
            assert_eq!(handled.events.len(), usize::from(told), "bit {bit}");
            let hits = bench.decisions;
            assert_eq!(hits, mask, "bit {bit}");
        }
    }
}

#[test]
fn several_causes_have_their_own_events_and_dispositions() {
    let mut bench = Bench::new(Generation::Power9, ERROR | Tfmr::FW_CONTROL_ERROR.bits());
    bench.hw.scom.insert(TodRegister::Fsm.address(), 0);
    bench.hw.hmer |= Hmer::PROC_RECV_DONE.bits();
    let handled = bench.handle(|_, _| {});
    let found: Vec<_> = handled
        .events
        .iter()
        .map(|event| (event.1, event.2))
        .collect();
    assert_eq!(found, [(4, 1), (1, 0)]);
}

#[test]
fn a_malfunction_alert_that_nothing_explains_is_not_called_recovered() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.hw.hmer = Hmer::MALFUNCTION_ALERT.bits();
    bench.hw.scom.insert(0x0009_0022, 1 << 63);
    let handled = bench.handle(|_, _| {});
    assert_eq!(
        handled.events,
        [(3, 0, 1, Hmer::MALFUNCTION_ALERT.bits(), 0)]
    );
}

#[test]
fn resync_reloads_and_refuses_a_dead_tod_fast() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.handle(|hw, system| {
        assert_eq!(resync(hw, system), Ok(()));
        assert!(hw.tfmr().tb_usable());
        hw.scom.insert(TodRegister::Fsm.address(), 0);
        hw.tfmr = 0x1212_2007_6000_0000;
        hw.tfmr_writes.clear();
        let dead = ResyncError::Reload(ReloadError::TodNotRunning { fsm: 0 });
        assert_eq!(resync(hw, system), Err(dead));
        assert_eq!(hw.tfmr_writes, [BASE | CLEAR, BASE | CLEAR]);
        hw.scom.insert(TodRegister::Fsm.address(), FSM_RUNNING);
    });
}

#[test]
fn a_thread_that_the_platform_does_not_know_clears_its_causes() {
    let mut bench = Bench::new(Generation::Power9, RUNNING);
    bench.hw.pir = Pir(99);
    let handled = bench.handle(|_, _| {});
    assert_eq!(bench.hw.hmer, Hmer::XSCOM_DONE.bits());
    assert_eq!(handled.outcome, Outcome::default());
}
