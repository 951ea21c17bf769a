use super::*;
use crate::test_hardware::{Scripted, platform};
use core::sync::atomic::AtomicBool;
use flight_recorder::FlightRecorder;
use opal_abi::cpu_status::{INACTIVE, STARTED, UNAVAILABLE};
use power_registers::Hmer;
use std::boxed::Box;

const ENTRY: u64 = 0xde5c;

fn entry(address: u64) -> OsEntry {
    OsEntry::known_good(address)
}

/// A core whose thread 0 runs the OS; 1 and 2 wait, 3 never came.
fn system(generation: Generation) -> &'static System<'static> {
    let platform = Box::leak(Box::new(platform(generation, 4)));
    let recorder = Box::leak(Box::new(FlightRecorder::new()));
    let system = Box::leak(Box::new(System::new(platform, recorder).unwrap()));
    system.set_spins_per_microsecond(1);
    system.set_participation(Pir(0), Participation::Running);
    system.set_participation(Pir(1), Participation::FirmwareIdle);
    system.set_participation(Pir(2), Participation::FirmwareIdle);
    system
}

fn thread(pir: u32) -> Scripted {
    let mut hw = Scripted::new();
    hw.pir = Pir(pir);
    hw
}

#[test]
fn a_thread_is_started_once() {
    let system = system(Generation::Power9);
    let mut boot = thread(0);
    let all = || [0, 1, 2, 3, 4].map(|pir| status(system, Pir(pir)));
    assert_eq!(
        all(),
        [
            Some(STARTED),
            Some(INACTIVE),
            Some(INACTIVE),
            Some(UNAVAILABLE),
            None
        ]
    );
    assert_eq!(start(&mut boot, system, Pir(1), entry(ENTRY)), Ok(()));
    assert_eq!(boot.woken, [Pir(1)]);
    assert_eq!(status(system, Pir(1)), Some(STARTED), "promised");
    for pir in [0, 1, 3] {
        let refused = start(&mut boot, system, Pir(pir), entry(ENTRY));
        assert_eq!(refused, Err(OpalError::WrongState), "PIR {pir}");
    }
    assert_eq!(
        start(&mut boot, system, Pir(9), entry(ENTRY)),
        Err(OpalError::Parameter)
    );
    let mut second = thread(1);
    assert_eq!(attend(&mut second, system), Some(ENTRY));
    assert_eq!(
        attend(&mut second, system),
        None,
        "the order is carried out once"
    );
    assert_eq!(system.participation(Pir(1)), Some(Participation::Running));
    assert_eq!(attend(&mut thread(2), system), None);
    // It comes back and is started again.
    system.set_participation(Pir(1), Participation::FirmwareIdle);
    assert_eq!(start(&mut boot, system, Pir(1), entry(ENTRY + 4)), Ok(()));
    assert_eq!(attend(&mut second, system), Some(ENTRY + 4));
}

#[test]
fn every_thread_is_set_up_before_the_call_returns() {
    let system = system(Generation::Power9);
    let modes = Modes::from_flags(Generation::Power9, 0xe).unwrap();
    let hid0 = 0x0880_0000_0000_0000;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others = [1, 2].map(|pir| {
            let over = &over;
            scope.spawn(move || {
                let mut hw = thread(pir);
                while !over.load(Ordering::Acquire) {
                    assert_eq!(attend(&mut hw, system), None);
                    std::thread::yield_now();
                }
                hw.hid0
            })
        });
        let mut boot = thread(0);
        // Spins are counted, and the others need time to run.
        system.set_spins_per_microsecond(1_000);
        let done = set_up_all(&mut boot, system, modes);
        over.store(true, Ordering::Release);
        // Before anything can fail, or the others would wait for ever.
        let seen = others.map(|other| other.join().unwrap());
        assert_eq!(done, Ok(()));
        assert_eq!([boot.hid0, seen[0], seen[1]], [hid0; 3]);
    });
}

#[test]
fn nothing_is_set_up_while_another_thread_belongs_to_the_os() {
    let system = system(Generation::Power9);
    let mut boot = thread(0);
    let modes = Modes::from_flags(Generation::Power9, reinit_flags::LITTLE_ENDIAN).unwrap();
    assert_eq!(start(&mut boot, system, Pir(2), entry(ENTRY)), Ok(()));
    assert_eq!(
        set_up_all(&mut boot, system, modes),
        Err(OpalError::WrongState),
        "promised"
    );
    assert_eq!(attend(&mut thread(2), system), Some(ENTRY));
    assert_eq!(
        set_up_all(&mut boot, system, modes),
        Err(OpalError::WrongState),
        "gone"
    );
    assert_eq!(boot.hid0, 0);
    assert_eq!(status(system, Pir(1)), Some(INACTIVE));
}

#[test]
fn a_thread_that_does_not_answer_ends_the_call() {
    let system = system(Generation::Power8);
    let modes = Modes::from_flags(Generation::Power8, reinit_flags::LITTLE_ENDIAN).unwrap();
    let mut boot = thread(0);
    assert_eq!(
        set_up_all(&mut boot, system, modes),
        Err(OpalError::Hardware)
    );
}

#[test]
fn a_waiting_thread_handles_its_own_interrupt() {
    let system = system(Generation::Power9);
    let mut hw = thread(1);
    hw.hmer = Hmer::PROC_RECV_DONE.bits();
    take_interrupt(&mut hw, system);
    assert!(!system.events.pending(), "HMEER does not have the cause");
    hw.hmeer = Hmer::PROC_RECV_DONE.bits();
    take_interrupt(&mut hw, system);
    assert!(system.events.pending());
    assert_eq!(hw.hmer & Hmer::PROC_RECV_DONE.bits(), 0);
}

#[test]
fn flags_that_a_generation_has() {
    use Generation::{Power8, Power9, Power10};
    let modes = |generation, flags| {
        Modes::from_flags(generation, flags).map(|modes| {
            let bits = bits(generation);
            let all = bits.little_endian_interrupts | bits.radix;
            (
                modes.hid0(generation, 0) & all,
                modes.hid0(generation, u64::MAX) & all,
            )
        })
    };
    let (le8, le9, radix) = (1 << 44, 1 << 59, 1 << 55);
    assert_eq!(modes(Power8, 0x2), Ok((le8, le8)));
    assert_eq!(modes(Power8, 0x1), Ok((0, 0)));
    assert_eq!(modes(Power8, 0x6), Err(OpalError::Unsupported));
    assert_eq!(modes(Power9, 0xe), Ok((le9 | radix, le9 | radix)));
    assert_eq!(modes(Power9, 0x6), Ok((le9, le9)), "hash alone");
    assert_eq!(modes(Power9, 0x1), Ok((0, radix)), "the MMU stays");
    assert_eq!(modes(Power9, 0), Ok((0, le9 | radix)), "all stays");
    assert_eq!(modes(Power10, 0xe), Ok((le9, le9)));
    for generation in [Power8, Power9, Power10] {
        assert_eq!(modes(generation, 0x3), Err(OpalError::Parameter));
        assert_eq!(modes(generation, 0x10), Err(OpalError::Unsupported));
        assert_eq!(modes(generation, 1 << 63), Err(OpalError::Unsupported));
    }
}
