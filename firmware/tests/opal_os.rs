//! The OPAL calls that an OS makes at boot, when it moves threads, and at its end.

#[path = "support/machine.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod machine;
#[path = "support/world.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use opal_abi::{OpalError, Token, cpu_status};
use opaline_firmware::hardware::Pir;
use opaline_firmware::processors;
use opaline_firmware::system::Participation;
use world::{BUFFER, LINEAR, MEMORY, OWN, P8, P9, PARAMETER, WORD, World, bad_pointers, bad_words};

const WRONG_STATE: i64 = OpalError::WrongState.code();
const UNSUPPORTED: i64 = OpalError::Unsupported.code();
const HARDWARE: i64 = OpalError::Hardware.code();

/// Where the OS takes threads in.
const ENTRY: u64 = 0xde5c;

/// The OS runs on the first thread, the others wait, but for the last, which never came.
fn booted(tree: &[u8]) -> World {
    let world = World::new(tree);
    let threads = &world.system.platform.cores[0].threads;
    let system = world.system;
    system.set_spins_per_microsecond(1);
    for pir in &threads[1..threads.len() - 1] {
        system.set_participation(*pir, Participation::FirmwareIdle);
    }
    system.set_participation(threads[0], Participation::Running);
    world
}

fn pir(world: &World, thread: usize) -> u64 {
    world.system.platform.cores[0].threads[thread].0.into()
}

fn status(world: &mut World, pir: u64) -> u8 {
    assert_eq!(world.call(Token::QueryCpuStatus, &[pir, BUFFER]), 0);
    world.memory.byte(BUFFER)
}

#[test]
fn a_thread_is_queried_started_and_given_back() {
    for tree in [P8, P9] {
        let mut world = booted(tree);
        let [own, waiting, absent] = [0, 1, 3].map(|thread| pir(&world, thread));
        assert_eq!(status(&mut world, own), cpu_status::STARTED);
        assert_eq!(status(&mut world, waiting), cpu_status::INACTIVE);
        assert_eq!(status(&mut world, absent), cpu_status::UNAVAILABLE);
        for pir in [own, absent] {
            assert_eq!(world.call(Token::StartCpu, &[pir, ENTRY]), WRONG_STATE);
        }
        assert_eq!(world.call(Token::StartCpu, &[waiting, ENTRY]), 0);
        assert_eq!(
            world.call(Token::StartCpu, &[waiting, ENTRY]),
            WRONG_STATE,
            "once"
        );
        assert_eq!(world.machine.woken, [waiting as u32]);
        assert_eq!(status(&mut world, waiting), cpu_status::STARTED);
        world.machine.pir = waiting as u32;
        assert_eq!(
            processors::attend(&mut world.machine, world.system),
            Some(ENTRY)
        );
        assert!(!world.stays);
        assert_eq!(world.call(Token::ReturnCpu, &[]), 0);
        assert!(world.stays, "the thread does not go back to the OS");
    }
}

#[test]
fn threads_that_are_not_and_bad_addresses_are_refused() {
    let mut world = booted(P9);
    let waiting = pir(&world, 1);
    for pir in [99, 1 << 32, 1 << 32 | waiting, u64::MAX] {
        assert_eq!(world.call(Token::StartCpu, &[pir, ENTRY]), PARAMETER);
        assert_eq!(world.call(Token::QueryCpuStatus, &[pir, BUFFER]), PARAMETER);
    }
    for (what, pointer) in bad_pointers(1) {
        if pointer != MEMORY.end - 4 && pointer != OWN.start {
            let refused = world.call(Token::QueryCpuStatus, &[waiting, pointer]);
            assert_eq!(refused, PARAMETER, "{what}");
        }
    }
    for address in [
        ENTRY + 2,
        LINEAR | ENTRY,
        OWN.start,
        OWN.end - 4,
        MEMORY.end,
        u64::MAX - 3,
    ] {
        let refused = world.call(Token::StartCpu, &[waiting, address]);
        assert_eq!(refused, PARAMETER, "{address:#x}");
    }
    assert_eq!(status(&mut world, waiting), cpu_status::INACTIVE);
    assert_eq!(
        world.call(Token::StartCpu, &[waiting, 0x60]),
        0,
        "the vectors are the OS's"
    );
}

#[test]
fn every_thread_is_set_up_or_the_call_fails() {
    let mut world = booted(P9);
    // The others do not run here: the call must not claim that they are set up.
    assert_eq!(world.call(Token::ReinitCpus, &[0xe]), HARDWARE);
    let mut world = booted(P9);
    let (system, waiting) = (world.system, [pir(&world, 1), pir(&world, 2)]);
    for pir in waiting {
        system.set_participation(Pir(pir as u32), Participation::Absent);
    }
    assert_eq!(world.call(Token::ReinitCpus, &[0xe]), 0);
    assert_eq!(world.machine.hid0, 0x0880_0000_0000_0000);
    assert_eq!(world.call(Token::ReinitCpus, &[0x1]), 0);
    assert_eq!(world.machine.hid0, 0x0080_0000_0000_0000);
    assert_eq!(world.call(Token::ReinitCpus, &[0x10]), UNSUPPORTED);
    assert_eq!(world.call(Token::ReinitCpus, &[0x3]), PARAMETER);
    system.set_participation(Pir(waiting[0] as u32), Participation::Running);
    assert_eq!(world.call(Token::ReinitCpus, &[0x2]), WRONG_STATE);
    assert_eq!(world.machine.hid0, 0x0080_0000_0000_0000);
}

#[test]
fn the_time_of_day_is_the_bmc_s() {
    for tree in [P8, P9] {
        let mut world = World::new(tree);
        world.machine.bmc().seconds = 1_709_210_096;
        for (date, time) in [(BUFFER & !3, WORD), (LINEAR | BUFFER & !3, LINEAR | WORD)] {
            assert_eq!(world.call(Token::RtcRead, &[date, time]), 0);
            assert_eq!(world.memory.bytes(BUFFER & !3, 4), [0x20, 0x24, 0x02, 0x29]);
            assert_eq!(world.memory.word(WORD), 0x1234_5600_0000_0000);
        }
        let set = [0x2000_0228, 0x2359_5900_0000_0000];
        assert_eq!(world.call(Token::RtcWrite, &set), 0);
        assert_eq!(world.machine.bmc().seconds, 951_782_399);
        for wrong in [[0x2001_0229, 0], [0x1_2000_0228, 0], [0x1950_0101, 0]] {
            assert_eq!(world.call(Token::RtcWrite, &wrong), PARAMETER);
        }
        assert_eq!(world.machine.bmc().seconds, 951_782_399);
        for (what, pointer) in bad_words() {
            let refused = world.call(Token::RtcRead, &[BUFFER & !3, pointer]);
            assert_eq!(refused, PARAMETER, "{what}");
        }
    }
}

/// "Busy" makes an OS ask again for ever: nothing that lasts may answer it.
#[test]
fn a_bmc_that_does_not_work_is_no_reason_to_ask_again() {
    let time = [BUFFER & !3, WORD];
    let mut world = World::new(P9);
    world.machine.bmc = None;
    assert_eq!(world.call(Token::RtcRead, &time), UNSUPPORTED);
    let mut world = World::new(P9);
    world.machine.bmc().silent = true;
    assert_eq!(world.call(Token::RtcRead, &time), HARDWARE);
    assert_eq!(
        world.call(Token::RtcRead, &time),
        HARDWARE,
        "now it is busy"
    );
    let mut world = World::new(P9);
    world.machine.bmc().completion = 0xc1;
    assert_eq!(world.call(Token::RtcRead, &time), HARDWARE);
    let mut world = World::new(P9);
    world.machine.bmc().garbage = Some(vec![4, 0x2c, 0x48, 0x48, 0]);
    assert_eq!(
        world.call(Token::RtcRead, &time),
        HARDWARE,
        "no time in the answer"
    );
    assert!(world.memory.0.is_empty());
}

#[test]
fn a_flush_ends() {
    for tree in [P8, P9] {
        let mut world = World::new(tree);
        assert_eq!(world.call(Token::ConsoleFlush, &[0]), 0);
        assert_eq!(world.call(Token::ConsoleFlush, &[1]), PARAMETER);
        world.machine.serial().line = Some(4);
        world.put_text(b"more than four");
        assert_eq!(world.call(Token::ConsoleWrite, &[0, WORD, BUFFER]), 0);
        assert_eq!(
            world.call(Token::ConsoleFlush, &[0]),
            HARDWARE,
            "the line is stuck"
        );
    }
}

#[test]
fn reboots_are_resets_and_what_cannot_be_done_is_left_to_the_os() {
    for (kind, result) in [
        (0, 0),
        (1, UNSUPPORTED),
        (2, 0),
        (3, UNSUPPORTED),
        (4, 0),
        (5, UNSUPPORTED),
        (u64::MAX, UNSUPPORTED),
    ] {
        let mut world = World::new(P9);
        assert_eq!(world.call(Token::CecReboot2, &[kind, 0]), result, "{kind}");
        let requests = &world.machine.bmc().requests;
        assert_eq!(requests.len(), usize::from(result == 0));
        assert!(requests.iter().all(|request| request[2..] == [0x02, 3]));
    }
    // In the middle of another call, as a kernel that crashes makes it.
    let mut world = World::new(P9);
    world.depth = 2;
    assert_eq!(world.call(Token::CecReboot2, &[0, 0]), 0);
}

#[test]
fn what_is_not_there_answers_at_once() {
    let mut world = World::new(P9);
    assert_eq!(
        world.call(Token::NmmuSetPtcr, &[u64::MAX, 0x1000]),
        UNSUPPORTED
    );
    assert_eq!(world.call(Token::SyncHostReboot, &[]), 0);
    // NVRAM, sensors, flash, interrupts, PCI: no such call.
    for token in [7, 8, 13, 19, 88, 110, 122, 123, 124, 125, 128, 145, 158] {
        assert_eq!(world.raw(token, &[0, WORD, BUFFER]), PARAMETER, "{token}");
        assert_eq!(world.call(Token::CheckToken, &[token]), 0, "{token}");
    }
    assert!(world.memory.0.is_empty());
}
