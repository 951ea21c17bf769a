//! The calls of the interrupt controller, and the way of a typed character.

#[path = "support/machine.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod machine;
#[path = "../xive/tests/model/mod.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod model;
#[path = "support/wired.rs"]
mod wired;
#[path = "support/world.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use flight_recorder::FlightRecorder;
use opal_abi::xive::XiveToken;
use opal_abi::{OpalError, Token, events};
use opaline_firmware::console::Console;
use opaline_firmware::interrupts::{Unserved, open_thread};
use opaline_firmware::opal::{Call, Context, dispatch};
use opaline_firmware::platform::{Generation, Platform, device_tree};
use opaline_firmware::system::System;
use wired::{Wired, bring_up, console};
use world::{LINEAR, Memory, OWN, P8, P9, PARAMETER, RECOVERY_DONE, World, bad_pointers};
use xive_controller::Bus as _;

const TWO_CHIPS: &[u8] = include_bytes!("data/powernv9-2x1x4.dtb");
const P10: &[u8] = include_bytes!("data/powernv10-1x1x4.dtb");
const P10_TWO_CHIPS: &[u8] = include_bytes!("data/powernv10-2x1x4.dtb");
const BOTH: [&[u8]; 2] = [P9, P10];
const HARDWARE: i64 = OpalError::Hardware.code();
const WRONG_STATE: i64 = OpalError::WrongState.code();
const NONE: i64 = OpalError::Resource.code();
/// A page for a queue, 64 KiB.
const PAGE: u64 = 0x1234_0000;
/// Where answers go, a doubleword each.
const ANSWERS: u64 = 0x1000_0000;
const FILL: u64 = 0xeeee_eeee_eeee_eeee;
/// The queue that Linux uses.
const PRIORITY: u64 = 7;

/// A firmware whose controller is up, and an OS on its first thread.
struct Os {
    wired: Wired,
    memory: Memory,
    system: &'static System<'static>,
    console: Console<'static>,
    depth: u32,
}

fn platform_of(tree: &[u8]) -> &'static Platform {
    Box::leak(Box::new(device_tree::parse(tree).unwrap()))
}

impl Os {
    fn new(tree: &[u8]) -> Self {
        let platform = platform_of(tree);
        let recorder = Box::leak(Box::new(FlightRecorder::new()));
        let system: &'static System<'static> =
            Box::leak(Box::new(System::new(platform, recorder).unwrap()));
        let (mut wired, interrupts) = bring_up(platform);
        system.serve_interrupts(Box::leak(Box::new(interrupts.unwrap())));
        system.set_spins_per_microsecond(1);
        open_thread(&mut wired, system);
        let console = console(&mut wired, platform);
        Self {
            wired,
            memory: Memory::default(),
            system,
            console,
            depth: 1,
        }
    }

    fn raw(&mut self, token: u64, first: &[u64]) -> i64 {
        let mut arguments = [0; 8];
        arguments[..first.len()].copy_from_slice(first);
        let mut context = Context {
            hardware: &mut self.wired,
            memory: &mut self.memory,
            system: self.system,
            console: &self.console,
            own: OWN,
            depth: self.depth,
            stays: false,
        };
        dispatch(&mut context, &Call { token, arguments })
    }

    fn call(&mut self, token: XiveToken, first: &[u64]) -> i64 {
        self.raw(token as u64, first)
    }

    /// A call that must succeed, with its answers.
    fn answers<const N: usize>(&mut self, token: XiveToken, first: &[u64]) -> [u64; N] {
        let places: [u64; N] = core::array::from_fn(|index| ANSWERS + 8 * index as u64);
        for place in places {
            self.memory.set_word(place, FILL);
        }
        let arguments = [first, &places].concat();
        assert_eq!(self.call(token, &arguments), 0, "{token:?}");
        places.map(|place| self.memory.word(place))
    }

    /// What Linux does when it boots: a queue, an interrupt for IPIs, the console's.
    fn boot(&mut self) -> u64 {
        let pir = u64::from(self.wired.machine.pir);
        assert_eq!(self.call(XiveToken::Reset, &[1]), 0);
        let [_, _, _, _, flags] = self.answers(XiveToken::GetQueueInfo, &[pir, PRIORITY]);
        assert_eq!(flags, 0);
        let queue = [pir, PRIORITY, PAGE, 16, 3];
        assert_eq!(self.call(XiveToken::SetQueueInfo, &queue), 0);
        self.wired
            .model
            .rings
            .get_mut(&(pir as u32))
            .unwrap()
            .priority = 0xff;
        let number = self.call(XiveToken::AllocateIrq, &[0]);
        assert!(number > 0);
        let uart = u64::from(self.system.interrupts().unwrap().uart());
        for (number, appears_as) in [(number as u64, 16), (uart, 17)] {
            let way = [number, pir, PRIORITY, appears_as];
            assert_eq!(self.call(XiveToken::SetIrqConfig, &way), 0);
            let [_, page, ..] = self.answers::<5>(XiveToken::GetIrqInfo, &[number]);
            self.wired.model.load(page + 0xc00);
        }
        number as u64
    }
}

/// Each test, on each generation.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod power9 {
            $(#[test] fn $name() { super::$name(super::P9); })*
        }
        mod power10 {
            $(#[test] fn $name() { super::$name(super::P10); })*
        }
    };
}

on_both! {
    an_os_gets_virtual_processors
    a_typed_character_interrupts_until_it_is_read
    bad_pointers_are_refused_and_nothing_changes
    bad_arguments_are_refused_and_nothing_changes
    hardware_that_fails_is_told
    an_hmi_does_not_come_near_it
}

#[test]
fn without_a_controller_its_calls_are_not_there() {
    for tree in [P8, P9, P10] {
        let mut world = World::new(tree);
        for token in XiveToken::ALL {
            assert_eq!(world.raw(token as u64, &[0; 8]), PARAMETER, "{token:?}");
            assert_eq!(world.call(Token::CheckToken, &[token as u64]), 0);
        }
    }
    for tree in BOTH {
        let mut os = Os::new(tree);
        for token in XiveToken::ALL {
            assert_eq!(os.raw(Token::CheckToken as u64, &[token as u64]), 1);
        }
        assert_eq!(os.raw(Token::CheckToken as u64, &[134]), 0);
    }
}

#[test]
fn only_what_is_known_is_served() {
    let p8 = bring_up(platform_of(P8)).1.unwrap_err();
    assert_eq!(p8, Unserved::Generation(Generation::Power8));
    for tree in BOTH {
        let mut away = device_tree::parse(tree).unwrap();
        away.lpc = opaline_firmware::platform::LpcBus::Mapped { base: 1 << 40 };
        let away: &'static Platform = Box::leak(Box::new(away));
        assert_eq!(bring_up(away).1.unwrap_err(), Unserved::SerialBus);
    }
    for tree in [TWO_CHIPS, P10_TWO_CHIPS] {
        assert!(bring_up(platform_of(tree)).1.is_ok());
    }
}

#[test]
fn an_os_gets_its_interrupts() {
    for tree in [P9, TWO_CHIPS, P10, P10_TWO_CHIPS] {
        let mut os = Os::new(tree);
        let number = os.boot();
        let [flags, end, trigger, shift, chip] = os.answers(XiveToken::GetIrqInfo, &[number]);
        assert_eq!((flags, end - trigger), (1, 0x1_0000));
        assert_eq!((shift >> 32, chip >> 32), (16, 0), "words of four bytes");
        assert_eq!((shift as u32, chip as u32), (FILL as u32, FILL as u32));
        os.wired.model.trigger(trigger);
        assert_eq!(os.wired.model.take(0), Some(7));
        assert_eq!(os.wired.model.words(PAGE), [1 << 31 | 16]);
        let [target, priority, appears_as] = os.answers(XiveToken::GetIrqConfig, &[number]);
        assert_eq!((target, priority >> 56, appears_as >> 32), (0, 7, 16));
        let [page, size, _, escalation, flags] =
            os.answers(XiveToken::GetQueueInfo, &[0, PRIORITY]);
        assert_eq!((page, size, flags), (PAGE, 16, 3));
        assert_ne!(escalation >> 32, 0);
        let [generation, position] = os.answers(XiveToken::GetQueueState, &[0, PRIORITY]);
        assert_eq!((generation >> 32, position >> 32), (1, 1));
        assert_eq!(os.call(XiveToken::SetQueueState, &[0, PRIORITY, 0, 5]), 0);
        let [generation, position] = os.answers(XiveToken::GetQueueState, &[0, PRIORITY]);
        assert_eq!((generation >> 32, position >> 32), (0, 5));
        assert_eq!(os.call(XiveToken::Sync, &[3, number]), 0);
        assert_eq!(os.call(XiveToken::FreeIrq, &[number]), 0);
        assert_eq!(os.call(XiveToken::FreeIrq, &[number]), PARAMETER);
    }
}

fn an_os_gets_virtual_processors(tree: &[u8]) {
    let mut os = Os::new(tree);
    os.boot();
    let first = os.call(XiveToken::AllocateVpBlock, &[3]);
    assert!(first > 0 && first % 8 == 0);
    let target = first as u64 + 5;
    let [flags, word, report, chip] = os.answers(XiveToken::GetVpInfo, &[target]);
    assert_eq!((flags, report, chip >> 32), (0, 0, 0));
    assert!(word < 1 << 24);
    assert_eq!(os.call(XiveToken::SetVpInfo, &[target, 1, 0]), 0);
    let [flags, again, ..] = os.answers::<4>(XiveToken::GetVpInfo, &[target]);
    assert_eq!((flags, again), (1, word));
    assert_eq!(os.answers(XiveToken::GetVpState, &[target]), [0]);
    assert_eq!(os.call(XiveToken::Dump, &[4, target]), 0);
    const ACTIVE: i64 = OpalError::XiveFreeActive.code();
    assert_eq!(os.call(XiveToken::FreeVpBlock, &[first as u64]), ACTIVE);
    assert_eq!(os.call(XiveToken::SetVpInfo, &[target, 0, 0]), 0);
    assert_eq!(
        os.call(XiveToken::GetVpState, &[target, ANSWERS]),
        WRONG_STATE
    );
    assert_eq!(os.call(XiveToken::FreeVpBlock, &[target]), PARAMETER);
    assert_eq!(os.call(XiveToken::FreeVpBlock, &[first as u64]), 0);
    assert!(os.call(XiveToken::AllocateVpBlock, &[11]) > 0);
    assert_eq!(os.call(XiveToken::AllocateVpBlock, &[11]), NONE);
    assert_eq!(os.call(XiveToken::Reset, &[0]), 0);
    assert!(os.call(XiveToken::AllocateVpBlock, &[11]) > 0, "given back");
}

fn a_typed_character_interrupts_until_it_is_read(tree: &[u8]) {
    let mut os = Os::new(tree);
    os.boot();
    let uart = u64::from(os.system.interrupts().unwrap().uart());
    let [flags, end, trigger, shift, chip] = os.answers(XiveToken::GetIrqInfo, &[uart]);
    let bytes = if tree == P9 { 12 } else { 16 };
    assert_eq!((flags, trigger, shift >> 32, chip >> 32), (4, 0, bytes, 0));
    for text in [&b"o"[..], b"pal", b"0123456789abcdefghij"] {
        os.wired.type_text(text);
        assert_eq!(os.wired.model.take(0), Some(7));
        let [mask] = os.answers(XiveToken::HandleInterrupt, &[uart]);
        assert_eq!(mask, events::CONSOLE_INPUT);
        // The end of the interrupt comes before anybody reads.
        os.wired.model.load(end);
        assert_eq!(os.wired.model.take(0), None, "the level is gone");
        let mut read = Vec::new();
        loop {
            os.memory.set_word(ANSWERS, 8);
            let call = [0, ANSWERS, ANSWERS + 64];
            assert_eq!(os.raw(Token::ConsoleRead as u64, &call), 0);
            let count = os.memory.word(ANSWERS);
            read.extend(os.memory.bytes(ANSWERS + 64, count));
            if count < 8 {
                break;
            }
        }
        assert_eq!(read, text);
        assert_eq!(os.wired.model.take(0), None, "nothing more comes of it");
    }
    // What comes while the last of it is being read is told, too.
    os.wired.type_text(b"a");
    assert_eq!(os.wired.model.take(0), Some(7));
    os.answers::<1>(XiveToken::HandleInterrupt, &[uart]);
    os.wired.model.load(end);
    os.wired.type_text(b"b");
    assert_eq!(os.wired.model.take(0), None, "hushed");
    os.memory.set_word(ANSWERS, 1);
    let call = [0, ANSWERS, ANSWERS + 64];
    assert_eq!(os.raw(Token::ConsoleRead as u64, &call), 0);
    os.memory.set_word(ANSWERS, 2);
    assert_eq!(os.raw(Token::ConsoleRead as u64, &call), 0);
    assert_eq!(os.memory.byte(ANSWERS + 64), b'b');
    os.wired.type_text(b"c");
    assert_eq!(os.wired.model.take(0), Some(7));
}

fn bad_pointers_are_refused_and_nothing_changes(tree: &[u8]) {
    let mut os = Os::new(tree);
    let number = os.boot();
    let uart = u64::from(os.system.interrupts().unwrap().uart());
    // The call, its first arguments, and bytes of what each of the others leads to.
    let calls: [(XiveToken, &[u64], &[u64], bool); 7] = [
        (XiveToken::HandleInterrupt, &[uart], &[8], false),
        (XiveToken::GetIrqInfo, &[number], &[8, 8, 8, 4, 4], true),
        (XiveToken::GetIrqConfig, &[number], &[8, 1, 4], true),
        (
            XiveToken::GetQueueInfo,
            &[0, PRIORITY],
            &[8, 8, 8, 4, 8],
            true,
        ),
        (XiveToken::GetVpInfo, &[0], &[8, 8, 8, 4], true),
        (XiveToken::GetQueueState, &[0, PRIORITY], &[4, 4], true),
        (XiveToken::GetVpState, &[0], &[8], false),
    ];
    for (token, first, sizes, null) in calls {
        let good = |index: usize| ANSWERS + 8 * index as u64;
        let before = os.wired.model.state();
        for (wrong, size) in sizes.iter().enumerate() {
            let mut bad = bad_pointers(*size);
            bad.retain(|(name, _)| !null || *name != "NULL");
            bad.retain(|(name, _)| match *name {
                "across the end of memory" => *size == 8,
                // One byte lies across nothing.
                "into the firmware" => *size > 1,
                _ => true,
            });
            if *size > 1 {
                bad.push(("odd", good(wrong) + 1));
                bad.push(("odd, linear", LINEAR | (good(wrong) + size / 2)));
            }
            for (name, pointer) in bad {
                let mut arguments = first.to_vec();
                arguments.extend((0..sizes.len()).map(good));
                arguments[first.len() + wrong] = pointer;
                for index in 0..sizes.len() {
                    os.memory.set_word(good(index), FILL);
                }
                assert_eq!(
                    os.call(token, &arguments),
                    PARAMETER,
                    "{token:?}, {wrong}: {name}"
                );
                for index in 0..sizes.len() {
                    assert_eq!(os.memory.word(good(index)), FILL, "{token:?}: {name}");
                }
            }
        }
        assert_eq!(os.wired.model.state(), before, "{token:?}");
        if null {
            let nothing = [first, &vec![0; sizes.len()]].concat();
            assert_eq!(os.call(token, &nothing), 0, "{token:?} into nowhere");
        }
        let linear: Vec<u64> = (0..sizes.len()).map(|index| LINEAR | good(index)).collect();
        assert_eq!(os.call(token, &[first, &linear].concat()), 0);
    }
}

fn bad_arguments_are_refused_and_nothing_changes(tree: &[u8]) {
    let mut os = Os::new(tree);
    let number = os.boot();
    let before = os.wired.model.state();
    let wide = 1 << 32;
    let calls: &[(XiveToken, &[u64])] = &[
        (XiveToken::Reset, &[2]),
        (XiveToken::Reset, &[u64::MAX]),
        (XiveToken::HandleInterrupt, &[0, ANSWERS]),
        (XiveToken::HandleInterrupt, &[number, ANSWERS]),
        (XiveToken::HandleInterrupt, &[u64::MAX, ANSWERS]),
        (XiveToken::GetIrqInfo, &[0]),
        (XiveToken::GetIrqConfig, &[number + 1]),
        (XiveToken::SetIrqConfig, &[number, 0, 256, 0]),
        (XiveToken::SetIrqConfig, &[number, 0, 7 + wide, 0]),
        (XiveToken::SetIrqConfig, &[number, 0, 7, wide]),
        (XiveToken::SetIrqConfig, &[number, wide, 7, 0]),
        (XiveToken::GetQueueInfo, &[0, 8]),
        (XiveToken::GetQueueInfo, &[0, 7 + wide]),
        (XiveToken::SetQueueInfo, &[0, 7, PAGE, 16, 8 | 1]),
        (XiveToken::SetQueueInfo, &[0, 7, PAGE, 64, 1]),
        (XiveToken::SetQueueInfo, &[0, 7, PAGE, 16 + wide, 1]),
        (XiveToken::SetQueueInfo, &[0, 7, PAGE, 15, 1]),
        (XiveToken::SetQueueInfo, &[0, 7, PAGE + 0x1000, 16, 1]),
        (XiveToken::SetQueueInfo, &[0, 7, LINEAR | PAGE, 16, 1]),
        (XiveToken::SetQueueInfo, &[0, 7, OWN.start, 16, 1]),
        (XiveToken::SetQueueInfo, &[0, 7, 0, 16, 1]),
        (XiveToken::SetQueueInfo, &[0, 7, 0x3f00_0000, 24 + 1, 1]),
        (XiveToken::SetQueueInfo, &[0, 7, 0x4000_0000, 16, 1]),
        (XiveToken::FreeVpBlock, &[0]),
        (XiveToken::GetVpInfo, &[0x1000]),
        (XiveToken::SetVpInfo, &[0, 2, 0]),
        (XiveToken::SetVpInfo, &[0, 1, PAGE]),
        (XiveToken::AllocateIrq, &[1]),
        (XiveToken::AllocateIrq, &[wide]),
        (XiveToken::AllocateIrq, &[u64::MAX]),
        (XiveToken::FreeIrq, &[u64::MAX]),
        (XiveToken::Sync, &[0, number]),
        (XiveToken::Sync, &[4, number]),
        (XiveToken::Sync, &[1, 0]),
        (XiveToken::Dump, &[4, 0x1000]),
        (XiveToken::Dump, &[6, 0]),
        (XiveToken::Dump, &[u64::MAX, 0]),
        (XiveToken::SetQueueState, &[0, 7, 2, 0]),
        (XiveToken::SetQueueState, &[0, 7, 0, 1 << 14]),
        (XiveToken::SetQueueState, &[0, 7, 0, wide]),
    ];
    for (token, arguments) in calls {
        assert_eq!(
            os.call(*token, arguments),
            PARAMETER,
            "{token:?} {arguments:x?}"
        );
    }
    const UNSUPPORTED: i64 = OpalError::Unsupported.code();
    assert_eq!(os.call(XiveToken::Dump, &[0, 0]), UNSUPPORTED);
    let off = [0, 6, ANSWERS, ANSWERS];
    assert_eq!(os.call(XiveToken::GetQueueState, &off), WRONG_STATE);
    for order in [12, u64::MAX] {
        assert_eq!(os.call(XiveToken::AllocateVpBlock, &[order]), NONE);
    }
    os.depth = 2;
    const INTERNAL: i64 = OpalError::InternalError.code();
    for token in XiveToken::ALL {
        assert_eq!(os.call(token, &[0; 8]), INTERNAL, "{token:?} in a call");
    }
    assert_eq!(os.wired.model.state(), before);
}

fn hardware_that_fails_is_told(tree: &[u8]) {
    let mut os = Os::new(tree);
    let number = os.boot();
    os.wired.model.faults.conflicts = u32::MAX;
    let queue = [0, PRIORITY, PAGE, 16, 3];
    assert_eq!(os.call(XiveToken::SetQueueInfo, &queue), HARDWARE);
    os.wired.model.faults.conflicts = 0;
    os.wired.model.faults.sync_hangs = true;
    assert_eq!(os.call(XiveToken::Sync, &[1, number]), HARDWARE);
    assert_eq!(os.call(XiveToken::Reset, &[1]), HARDWARE);
    os.wired.model.faults.sync_hangs = false;
    os.boot();
}

fn an_hmi_does_not_come_near_it(tree: &[u8]) {
    let mut os = Os::new(tree);
    os.boot();
    let before = os.wired.model.accesses;
    os.wired.machine.hmer = RECOVERY_DONE;
    os.memory.set_word(ANSWERS, 0);
    assert_eq!(os.raw(Token::HandleHmi2 as u64, &[ANSWERS]), 0);
    assert_ne!(os.memory.word(ANSWERS), 0, "an event");
    assert_eq!(os.wired.model.accesses, before);
}
