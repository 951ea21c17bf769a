use super::*;
use crate::hardware::Pir;
use crate::platform::Generation;
use crate::test_hardware::{Answer, Scripted, platform};

const REGISTER: u32 = 0x4_0020;
const CORE_REGISTER: u32 = 0x2001_0a40;
const CHIP: ChipId = ChipId(0);

struct Bench {
    hw: Scripted,
    platform: Platform,
    xscom: Xscom,
}

impl Bench {
    fn new(generation: Generation, answers: &[Answer]) -> Self {
        let mut hw = Scripted::new();
        hw.scom.insert(REGISTER, 0x1234);
        hw.scom.insert(CORE_REGISTER, 0x5678);
        hw.answers.extend(answers);
        Self {
            hw,
            platform: platform(generation, 4),
            xscom: Xscom::new(),
        }
    }

    fn read(&mut self, address: u32) -> Result<u64, XscomError> {
        self.xscom.read(&mut self.hw, &self.platform, CHIP, address)
    }
}

#[test]
fn a_good_access_clears_the_mailbox_only() {
    let mut bench = Bench::new(Generation::Power9, &[]);
    let stale = Hmer::XSCOM_FAIL | Hmer::XSCOM_STATUS;
    bench.hw.hmer = (Hmer::TFAC_ERROR | Hmer::PROC_RECV_DONE | stale).bits();
    assert_eq!(bench.read(REGISTER), Ok(0x1234));
    assert_eq!(bench.hw.hmer_keeps, [0xff3f_f8ff_ffff_ffff]);
    let left = Hmer::TFAC_ERROR | Hmer::PROC_RECV_DONE | Hmer::XSCOM_DONE;
    assert_eq!(bench.hw.hmer, left.bits());
}

#[test]
fn every_status_is_an_error_and_no_data() {
    let errors = [
        (2, XscomError::ChipletOffline),
        (3, XscomError::PartialGood),
        (4, XscomError::InvalidAddress),
        (5, XscomError::Clock),
        (6, XscomError::Parity),
        (7, XscomError::Timeout),
    ];
    for (status, error) in errors {
        let mut bench = Bench::new(Generation::Power10, &[Answer::Status(status)]);
        assert_eq!(bench.read(REGISTER), Err(error));
        let resets = [(0x9_0018, 0), (0x9_0012, 0), (0x9_0013, 0)];
        assert_eq!(bench.hw.scom_writes, resets, "status {status}");
        assert_eq!(bench.read(REGISTER), Ok(0x1234), "the engine is free again");
    }
}

#[test]
fn a_busy_engine_is_tried_3000_times_and_reset_twice_on_the_way() {
    let busy = |tries: usize| {
        let mut answers = std::vec::Vec::new();
        for n in 1..=tries {
            answers.push(Answer::Status(1));
            if n % 1000 == 0 {
                // The reset's own accesses.
                answers.extend([Answer::Status(0); 3]);
            }
        }
        answers
    };
    let mut bench = Bench::new(Generation::Power9, &busy(2_999));
    assert_eq!(bench.read(REGISTER), Ok(0x1234));
    assert_eq!(bench.hw.scom_writes.len(), 2 * 3);
    let mut bench = Bench::new(Generation::Power9, &busy(3_000));
    assert_eq!(bench.read(REGISTER), Err(XscomError::Busy));
    assert_eq!(bench.hw.scom_reads.len(), 3_000);
}

#[test]
fn an_access_that_is_never_done_ends() {
    let mut bench = Bench::new(Generation::Power9, &[Answer::Never]);
    assert_eq!(bench.read(REGISTER), Err(XscomError::NeverDone));
    assert!(bench.hw.spins >= LEAST_SPINS);
}

#[test]
fn a_lost_wakeup_of_power9_is_poked_and_tried_again() {
    let lost = [
        Answer::Status(4), // the access
        Answer::Status(0),
        Answer::Status(0),
        Answer::Status(0), // reset
        Answer::Status(4), // the poke, expected to fail
    ];
    let mut bench = Bench::new(Generation::Power9, &lost);
    assert_eq!(bench.read(CORE_REGISTER), Ok(0x5678));
    let written: std::vec::Vec<u32> = bench.hw.scom_writes.iter().map(|write| write.0).collect();
    let reset = [0x9_0018, 0x9_0012, 0x9_0013];
    assert_eq!(written, [&reset[..], &[0x2001_0800], &reset[..]].concat());
    // The same on another generation is plainly an invalid address.
    let mut bench = Bench::new(Generation::Power10, &lost);
    assert_eq!(bench.read(CORE_REGISTER), Err(XscomError::InvalidAddress));
}

#[test]
fn a_wakeup_that_stays_lost_ends_after_ten_tries() {
    let mut bench = Bench::new(Generation::Power9, &[Answer::Status(4); 200]);
    assert_eq!(bench.read(CORE_REGISTER), Err(XscomError::InvalidAddress));
    assert_eq!(bench.hw.scom_reads.len(), 11);
}

#[test]
fn what_cannot_be_addressed_is_not_accessed() {
    let mut bench = Bench::new(Generation::Power9, &[]);
    assert_eq!(
        bench
            .xscom
            .read(&mut bench.hw, &bench.platform, ChipId(3), REGISTER),
        Err(XscomError::NoSuchChip)
    );
    assert_eq!(bench.read(u32::MAX), Err(XscomError::OutsideWindow));
    assert!(bench.hw.scom_reads.is_empty() && bench.hw.hmer_keeps.is_empty());
}

#[test]
fn a_held_engine_is_given_up() {
    let mut bench = Bench::new(Generation::Power9, &[]);
    bench.xscom.set_spins_per_microsecond(1);
    let xscom = &bench.xscom;
    let held = xscom.engine.try_lock();
    bench.hw.pir = Pir(1);
    let refused = xscom.read(&mut bench.hw, &bench.platform, CHIP, REGISTER);
    assert_eq!(refused, Err(XscomError::EngineHeld));
    assert!(bench.hw.hmer_keeps.is_empty(), "nothing was touched");
    drop(held);
}

/// A device tree with a small window: the registers that reset the engine lie outside.
#[test]
fn nothing_outside_the_window_is_written() {
    let mut bench = Bench::new(Generation::Power9, &[Answer::Status(7)]);
    bench.platform.chips[0].xscom_size = u64::from(REGISTER + 1) * 8;
    assert_eq!(bench.read(REGISTER), Err(XscomError::Timeout));
    assert_eq!(bench.hw.scom_writes, []);
    assert_eq!(bench.read(REGISTER), Ok(0x1234));
}

#[test]
fn a_poke_that_works_needs_no_reset() {
    let lost = [
        Answer::Status(4),
        Answer::Status(0),
        Answer::Status(0),
        Answer::Status(0),
    ];
    let mut bench = Bench::new(Generation::Power9, &lost);
    assert_eq!(bench.read(CORE_REGISTER), Ok(0x5678));
    let written: std::vec::Vec<u32> = bench.hw.scom_writes.iter().map(|write| write.0).collect();
    assert_eq!(written, [0x9_0018, 0x9_0012, 0x9_0013, 0x2001_0800]);
}

#[test]
fn each_error_has_its_text_and_its_code() {
    use std::string::ToString as _;
    let errors = [
        (XscomError::NoSuchChip, -1, "no such chip"),
        (XscomError::OutsideWindow, -1, "outside the chip's window"),
        (
            XscomError::EngineHeld,
            -6,
            "the engine is held by another thread",
        ),
        (XscomError::NeverDone, -6, "the access is never done"),
        (XscomError::Busy, -2, "the engine stays busy"),
        (XscomError::ChipletOffline, -14, "the chiplet is offline"),
        (XscomError::PartialGood, -25, "the region is not good"),
        (XscomError::InvalidAddress, -26, "invalid address"),
        (XscomError::Clock, -27, "clock error"),
        (XscomError::Parity, -28, "parity error"),
        (XscomError::Timeout, -29, "timeout on the bus"),
        (XscomError::Unspecified, -6, "it failed without a status"),
    ];
    for (error, code, text) in errors {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.opal_code(), code);
    }
}
