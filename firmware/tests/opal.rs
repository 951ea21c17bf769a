//! The OPAL calls, through their only door: what they do, and what they refuse to touch.

#[path = "support/machine.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod machine;
#[path = "support/world.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use opal_abi::{OpalError, Token, events, message};
use opaline_firmware::console::Patience;
use proptest::prelude::*;
use std::sync::mpsc;
use world::{
    BUFFER, LINEAR, MEMORY, OWN, P8, P9, PARAMETER, RECOVERY_DONE, WORD, WORDS, World,
    bad_pointers, bad_words,
};

#[test]
fn unknown_tokens_are_refused_and_nothing_happens() {
    let mut world = World::new(P9);
    let holes = (0..=300).filter(|number| Token::from_number(*number).is_none());
    let odd = [
        1 << 32,
        1 << 63,
        u64::MAX,
        u64::MAX - 1,
        0x1_0000_0000 | Token::Test as u64,
    ];
    for token in holes.chain(odd) {
        for depth in [1, 2] {
            world.depth = depth;
            assert_eq!(
                world.raw(token, &[WORD, WORD, BUFFER]),
                PARAMETER,
                "{token}"
            );
            assert_eq!(world.call(Token::CheckToken, &[token]), 0, "{token}");
        }
    }
    assert!(world.memory.0.is_empty() && world.machine.serial().sent.is_empty());
}

#[test]
fn implemented_tokens_say_so() {
    let mut world = World::new(P9);
    assert_eq!(world.call(Token::Test, &[]), 0xfeed_f00d);
    for token in Token::ALL {
        assert_eq!(world.call(Token::CheckToken, &[token as u64]), 1);
    }
    assert!(world.memory.0.is_empty());
}

#[test]
fn console_writes_what_the_buffer_holds() {
    for tree in [P8, P9] {
        let mut world = World::new(tree);
        for (word, buffer) in [(WORD, BUFFER), (LINEAR | WORD, LINEAR | BUFFER)] {
            for length in [0, 1, 16, 63, 64, 65, 200] {
                let text: Vec<u8> = (0..length).map(|n| b'a' + n % 26).collect();
                world.put_text(&text);
                world.machine.serial().sent.clear();
                assert_eq!(world.call(Token::ConsoleWrite, &[0, word, buffer]), 0);
                assert_eq!(world.memory.word(WORD), u64::from(length));
                assert_eq!(world.machine.serial().sent, text);
            }
        }
    }
}

#[test]
fn console_write_tells_how_much_it_took() {
    let mut world = World::new(P9);
    world.put_text(&[b'x'; 1500]);
    assert_eq!(world.call(Token::ConsoleWrite, &[0, WORD, BUFFER]), 0);
    assert_eq!(world.memory.word(WORD), 1024);
    assert_eq!(world.machine.serial().sent.len(), 1024);
    // A line that takes no more: a part, then nothing and "try again".
    world.machine.serial().line = Some(20);
    world.put_text(&[b'y'; 100]);
    assert_eq!(world.call(Token::ConsoleWrite, &[0, WORD, BUFFER]), 0);
    let first = world.memory.word(WORD);
    assert!((16..100).contains(&first), "{first}");
    world.put_text(&[b'y'; 100]);
    assert_eq!(
        world.call(Token::ConsoleWrite, &[0, WORD, BUFFER]),
        OpalError::BusyEvent.code()
    );
    assert_eq!(world.memory.word(WORD), 0);
    assert_eq!(world.call(Token::ConsoleWriteBufferSpace, &[0, WORD]), 0);
    assert_eq!(world.memory.word(WORD), 0);
    // Nothing to write is no reason to wait.
    assert_eq!(world.call(Token::ConsoleWrite, &[0, WORD, BUFFER]), 0);
}

#[test]
fn console_write_refuses_bad_pointers_and_writes_nothing() {
    let mut world = World::new(P9);
    world.put_text(b"secret");
    for (what, pointer) in bad_words() {
        assert_eq!(
            world.call(Token::ConsoleWrite, &[0, pointer, BUFFER]),
            PARAMETER,
            "{what}"
        );
    }
    for length in [16, 4096] {
        world.memory.set_word(WORD, length);
        for (what, pointer) in bad_pointers(length) {
            let result = world.call(Token::ConsoleWrite, &[0, WORD, pointer]);
            assert_eq!(
                (result, world.memory.word(WORD)),
                (PARAMETER, length),
                "{what}, {length}"
            );
        }
    }
    for length in [u64::MAX, u64::MAX - BUFFER, 1 << 60, 1 << 63, MEMORY.end] {
        world.memory.set_word(WORD, length);
        assert_eq!(
            world.call(Token::ConsoleWrite, &[0, WORD, BUFFER]),
            PARAMETER,
            "{length:#x}"
        );
    }
    world.put_text(b"secret");
    for terminal in [1, u64::MAX] {
        assert_eq!(
            world.call(Token::ConsoleWrite, &[terminal, WORD, BUFFER]),
            PARAMETER
        );
    }
    assert_eq!(world.machine.serial().text(), "");
}

#[test]
fn the_last_bytes_of_memory_and_those_beside_the_firmware_are_the_os_s() {
    let mut world = World::new(P9);
    for buffer in [MEMORY.start, MEMORY.end - 16, OWN.start - 16, OWN.end] {
        world.memory.set_word(WORD, 16);
        world.memory.put(buffer, b"0123456789abcdef");
        world.machine.serial().sent.clear();
        assert_eq!(
            world.call(Token::ConsoleWrite, &[0, WORD, buffer]),
            0,
            "{buffer:#x}"
        );
        assert_eq!(world.machine.serial().text(), "0123456789abcdef");
        world.memory.set_word(WORD, 17);
        let longer = world.call(Token::ConsoleWrite, &[0, WORD, buffer]);
        let fits = buffer == MEMORY.start || buffer == OWN.end;
        assert_eq!(longer, if fits { 0 } else { PARAMETER }, "{buffer:#x}");
    }
}

#[test]
fn console_read_fills_the_buffer_and_loses_nothing() {
    let mut world = World::new(P9);
    world.machine.serial().input.extend(b"input");
    world.memory.set_word(WORD, 3);
    for (what, pointer) in bad_words() {
        assert_eq!(
            world.call(Token::ConsoleRead, &[0, pointer, BUFFER]),
            PARAMETER,
            "{what}"
        );
    }
    for (what, pointer) in bad_pointers(16) {
        world.memory.set_word(WORD, 16);
        assert_eq!(
            world.call(Token::ConsoleRead, &[0, WORD, pointer]),
            PARAMETER,
            "{what}"
        );
    }
    for length in [u64::MAX, 1 << 60] {
        world.memory.set_word(WORD, length);
        assert_eq!(
            world.call(Token::ConsoleRead, &[0, WORD, BUFFER]),
            PARAMETER
        );
    }
    assert_eq!(
        world.call(Token::ConsoleRead, &[1, WORD, BUFFER]),
        PARAMETER
    );
    for (room, expected) in [(0, &b""[..]), (3, b"inp"), (1000, b"ut"), (1000, b"")] {
        world.memory.set_word(WORD, room);
        assert_eq!(
            world.call(Token::ConsoleRead, &[0, WORD, LINEAR | BUFFER]),
            0
        );
        assert_eq!(world.memory.word(WORD), expected.len() as u64);
        assert_eq!(world.memory.bytes(BUFFER, expected.len() as u64), expected);
    }
}

#[test]
fn console_room_is_that_of_the_fifo() {
    let mut world = World::new(P9);
    assert_eq!(world.call(Token::ConsoleWriteBufferSpace, &[0, WORD]), 0);
    assert_eq!(world.memory.word(WORD), 16);
    for (what, pointer) in bad_words() {
        assert_eq!(
            world.call(Token::ConsoleWriteBufferSpace, &[0, pointer]),
            PARAMETER,
            "{what}"
        );
    }
    assert_eq!(
        world.call(Token::ConsoleWriteBufferSpace, &[1, WORD]),
        PARAMETER
    );
}

#[test]
fn poll_events_shows_what_waits_until_it_is_taken() {
    let mut world = World::new(P9);
    assert_eq!(world.call(Token::PollEvents, &[0]), 0);
    assert!(world.memory.0.is_empty());
    let mask = |world: &mut World| {
        assert_eq!(world.call(Token::PollEvents, &[LINEAR | WORD]), 0);
        world.memory.word(WORD)
    };
    assert_eq!(mask(&mut world), 0);
    world.machine.serial().input.push_back(b'x');
    assert_eq!(mask(&mut world), events::CONSOLE_INPUT);
    world.queue_event();
    assert_eq!(
        mask(&mut world),
        events::CONSOLE_INPUT | events::MESSAGE_PENDING
    );
    world.memory.set_word(WORD, 9);
    assert_eq!(world.call(Token::ConsoleRead, &[0, WORD, BUFFER]), 0);
    assert_eq!(mask(&mut world), events::MESSAGE_PENDING);
    assert_eq!(world.call(Token::GetMessage, &[WORDS, 72]), 0);
    assert_eq!(mask(&mut world), 0);
    for (what, pointer) in bad_words().into_iter().filter(|(_, pointer)| *pointer != 0) {
        assert_eq!(
            world.call(Token::PollEvents, &[pointer]),
            PARAMETER,
            "{what}"
        );
    }
}

#[test]
fn a_message_waits_for_a_buffer_that_can_take_it() {
    let mut world = World::new(P9);
    assert_eq!(
        world.call(Token::GetMessage, &[WORDS, 72]),
        OpalError::Resource.code()
    );
    world.queue_event();
    for size in [0, 1, 71] {
        assert_eq!(world.call(Token::GetMessage, &[WORDS, size]), PARAMETER);
    }
    for size in [u64::MAX, 1 << 60, MEMORY.end] {
        assert_eq!(world.call(Token::GetMessage, &[WORDS, size]), PARAMETER);
    }
    for (what, pointer) in bad_pointers(72) {
        assert_eq!(
            world.call(Token::GetMessage, &[pointer, 72]),
            PARAMETER,
            "{what}"
        );
    }
    assert_eq!(world.call(Token::GetMessage, &[WORDS + 4, 72]), PARAMETER);
    assert!(world.system.events.pending());
    assert_eq!(world.call(Token::GetMessage, &[WORDS, 0x1_0000]), 0);
    let bytes = world.memory.bytes(WORDS, 80);
    assert_eq!(
        bytes[..8],
        [0, 0, 0, message::TYPE_HMI_EVENT as u8, 0, 0, 0, 40]
    );
    // Version 2, no error, recovery done, recovered; HMER as found.
    assert_eq!(bytes[8..12], [2, 0, 1, 0]);
    assert_eq!(bytes[16..24], RECOVERY_DONE.to_be_bytes());
    assert_eq!(bytes[72..], [0xee; 8]);
    assert_eq!(
        world.call(Token::GetMessage, &[WORDS, 72]),
        OpalError::Resource.code()
    );
}

#[test]
fn an_hmi_is_handled_even_if_its_flags_cannot_be_stored() {
    for (what, pointer) in bad_words() {
        let mut world = World::new(P9);
        world.machine.hmer = RECOVERY_DONE;
        assert_eq!(
            world.call(Token::HandleHmi2, &[pointer]),
            PARAMETER,
            "{what}"
        );
        assert_eq!(world.machine.hmer & RECOVERY_DONE, 0, "{what}");
        assert!(world.system.events.pending(), "{what}");
    }
}

#[test]
fn the_older_call_tells_whether_an_event_waits() {
    let mut world = World::new(P9);
    assert_eq!(
        world.call(Token::HandleHmi, &[]),
        OpalError::Resource.code()
    );
    world.machine.hmer = RECOVERY_DONE;
    assert_eq!(world.call(Token::HandleHmi, &[]), 0);
    assert_eq!(world.machine.hmer & RECOVERY_DONE, 0);
    // An event of another thread waits to be fetched, too.
    assert_eq!(world.call(Token::HandleHmi, &[]), 0);
    assert_eq!(world.call(Token::GetMessage, &[WORDS, 72]), 0);
    assert_eq!(
        world.call(Token::HandleHmi, &[]),
        OpalError::Resource.code()
    );
}

#[test]
fn a_resync_without_a_tod_fails_cleanly() {
    for tree in [P8, P9] {
        let mut world = World::new(tree);
        assert_eq!(
            world.call(Token::ResyncTimebase, &[]),
            OpalError::Hardware.code()
        );
        assert!(world.memory.0.is_empty());
    }
}

#[test]
fn power_goes_through_the_bmc() {
    for tree in [P8, P9] {
        let mut world = World::new(tree);
        assert_eq!(world.call(Token::CecPowerDown, &[2]), PARAMETER);
        assert_eq!(world.call(Token::CecPowerDown, &[0]), 0);
        assert_eq!(world.call(Token::CecPowerDown, &[1]), 0);
        assert_eq!(world.call(Token::CecReboot, &[]), 0);
        let requests = &world.machine.bmc().requests;
        assert_eq!(requests[..], [[0, 2, 2, 0], [0, 2, 2, 0], [0, 5, 2, 3]]);
        world.machine.bmc().completion = 0xd5;
        assert_eq!(
            world.call(Token::CecReboot, &[]),
            OpalError::Hardware.code()
        );
        world.machine.bmc = None;
        assert_eq!(
            world.call(Token::CecReboot, &[]),
            OpalError::Unsupported.code()
        );
    }
}

#[test]
fn over_an_unfinished_call_only_the_allow_list_works() {
    for depth in [2, 3, u32::MAX] {
        let mut world = World::new(P9);
        world.depth = depth;
        world.machine.hmer = RECOVERY_DONE;
        world.put_text(b"panic");
        assert_eq!(world.call(Token::ConsoleWrite, &[0, WORD, BUFFER]), 0);
        assert_eq!(world.machine.serial().text(), "panic");
        assert_eq!(world.call(Token::ConsoleRead, &[0, WORD, BUFFER]), 0);
        assert_eq!(world.call(Token::ConsoleWriteBufferSpace, &[0, WORD]), 0);
        assert_eq!(world.call(Token::PollEvents, &[WORD]), 0);
        assert_eq!(world.call(Token::CheckToken, &[0]), 1);
        assert_eq!(world.call(Token::CecReboot, &[]), 0);
        let before = world.memory.0.clone();
        for token in [
            Token::Test,
            Token::CecPowerDown,
            Token::ResyncTimebase,
            Token::GetMessage,
            Token::HandleHmi,
            Token::HandleHmi2,
        ] {
            let refused = OpalError::InternalError.code();
            assert_eq!(world.call(token, &[WORDS, 72]), refused, "{token:?}");
        }
        assert_eq!(world.machine.hmer & RECOVERY_DONE, RECOVERY_DONE);
        assert_eq!(world.memory.0, before);
        assert_eq!(world.machine.bmc().requests.len(), 1);
    }
}

/// The OS prints over its own unfinished console call: no wait, a clear answer.
#[test]
fn reentry_does_not_wait_for_its_own_lock() {
    let mut world = World::new(P9);
    let (system, console) = (world.system, world.console);
    let (sender, results) = mpsc::channel();
    world.machine.hook.0 = Some(Box::new(move || {
        let mut inner = World::new(P9);
        (inner.system, inner.console, inner.depth) = (system, console, 2);
        inner.put_text(b"inner");
        let spins = inner.machine.spins;
        let written = inner.call(Token::ConsoleWrite, &[0, WORD, BUFFER]);
        let room = (
            inner.call(Token::ConsoleWriteBufferSpace, &[0, WORD]),
            inner.memory.word(WORD),
        );
        let events = (
            inner.call(Token::PollEvents, &[WORD]),
            inner.memory.word(WORD),
        );
        assert_eq!(inner.machine.spins, spins);
        sender.send((written, room, events)).unwrap();
    }));
    world.put_text(b"outer");
    assert_eq!(world.call(Token::ConsoleWrite, &[0, WORD, BUFFER]), 0);
    assert_eq!(world.machine.serial().text(), "outer");
    let busy = OpalError::BusyEvent.code();
    assert_eq!(results.recv().unwrap(), (busy, (0, 0), (0, 0)));
}

/// Addresses near every border that matters, and any other.
fn pointer() -> impl Strategy<Value = u64> {
    let borders = [
        0,
        0x3000,
        WORD,
        OWN.start,
        OWN.end,
        MEMORY.end,
        1 << 60,
        LINEAR,
        u64::MAX,
    ];
    let near = (
        prop::sample::select(borders.to_vec()),
        -80_i64..80,
        any::<bool>(),
    );
    prop_oneof![
        4 => near.prop_map(|(border, by, linear)| {
            border.wrapping_add_signed(by) | if linear { LINEAR } else { 0 }
        }),
        1 => any::<u64>(),
    ]
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![0..200_u64, pointer(), Just(u64::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

    /// Any call with any arguments: [`Memory`] and [`Machine`] panic at a wrong access.
    #[test]
    fn no_call_touches_what_it_must_not(
        calls in prop::collection::vec(
            (prop::sample::select(Token::ALL.to_vec()), pointer(), pointer(), pointer(), length(), 0_u64..3, 1_u32..4),
            1..6,
        ),
        input in any::<Vec<u8>>(),
    ) {
        let mut world = World::new(P9);
        world.machine.serial().input.extend(input);
        for (token, first, second, third, length, terminal, depth) in calls {
            // Its waits take too long here; it takes no pointer.
            if token == Token::ResyncTimebase {
                continue;
            }
            world.machine.hmer |= RECOVERY_DONE;
            world.depth = depth;
            world.memory.set_word(WORD, length);
            let arguments = match token {
                Token::ConsoleWrite | Token::ConsoleRead => [terminal / 2, second, third],
                Token::ConsoleWriteBufferSpace => [terminal / 2, second, third],
                Token::GetMessage => [first, length, third],
                _ => [first, second, third],
            };
            let result = world.call(token, &arguments);
            // -14: a thread that runs is not started.
            prop_assert!([0, 1, 0xfeed_f00d, -1, -7, -10, -11, -12, -14].contains(&result), "{token:?}: {result}");
        }
        let (machine, system) = (&mut world.machine, world.system);
        let end = world.console.write(machine, system.platform, &system.xscom, b"end", Patience::Try);
        prop_assert_eq!(end, Ok(3), "a lock is left held");
    }
}
