//! A firmware that has booted, with the memory of an OS that checks every access, and pointers that
//! must be refused.

use crate::machine::Machine;
use flight_recorder::FlightRecorder;
use opal_abi::{OpalError, Token, hmi_flags};
use opaline_firmware::console::Console;
use opaline_firmware::opal::{Call, Context, OsMemory, RealAddress, dispatch};
use opaline_firmware::platform::{Platform, device_tree};
use opaline_firmware::system::System;
use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) const P8: &[u8] = include_bytes!("../data/powernv8-1x1x4.dtb");
pub(crate) const P9: &[u8] = include_bytes!("../data/powernv9-1x1x4.dtb");

/// The fixtures have 1 GiB of memory.
pub(crate) const MEMORY: Range<u64> = 0x3000..0x4000_0000;
pub(crate) const OWN: Range<u64> = 0x3000_0000..0x3110_0000;

pub(crate) const PARAMETER: i64 = OpalError::Parameter.code();
pub(crate) const LINEAR: u64 = 0xc << 60;

/// Two places in good memory: for a length or a mask, and for a buffer.
pub(crate) const WORD: u64 = 0x1000_0000;
pub(crate) const BUFFER: u64 = 0x1000_1003;
/// A buffer of words.
pub(crate) const WORDS: u64 = 0x1000_2000;

/// HMER: processor recovery done. The handler reports it without looking at TB.
pub(crate) const RECOVERY_DONE: u64 = 1 << (63 - 2);

/// Memory of the OS that refuses what should have been refused before.
#[derive(Debug, Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<u64, u8>);

impl Memory {
    fn check(real: u64, length: usize) {
        let end = real
            .checked_add(length as u64)
            .expect("no access wraps around");
        assert!(
            length != 0 && MEMORY.start <= real && end <= MEMORY.end,
            "{real:#x}, {length:#x}"
        );
        assert!(
            end <= OWN.start || OWN.end <= real,
            "{real:#x}, {length:#x} is the firmware's"
        );
    }

    pub(crate) fn set_word(&mut self, real: u64, value: u64) {
        self.put(real, &value.to_be_bytes());
    }

    pub(crate) fn word(&self, real: u64) -> u64 {
        let bytes = std::array::from_fn(|i| self.byte(real + i as u64));
        u64::from_be_bytes(bytes)
    }

    pub(crate) fn byte(&self, real: u64) -> u8 {
        self.0.get(&real).copied().unwrap_or(0xee)
    }

    pub(crate) fn bytes(&self, real: u64, count: u64) -> Vec<u8> {
        (real..real + count).map(|at| self.byte(at)).collect()
    }
}

impl Memory {
    /// What the OS itself writes.
    pub(crate) fn put(&mut self, real: u64, from: &[u8]) {
        Self::check(real, from.len());
        self.0.extend((real..).zip(from.iter().copied()));
    }
}

impl OsMemory for Memory {
    fn read(&mut self, from: RealAddress, into: &mut [u8]) {
        let real = from.number();
        Self::check(real, into.len());
        for (at, byte) in (real..).zip(into) {
            *byte = self.byte(at);
        }
    }

    fn write(&mut self, to: RealAddress, from: &[u8]) {
        self.put(to.number(), from);
    }
}

/// A firmware that has booted.
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) memory: Memory,
    pub(crate) system: &'static System<'static>,
    pub(crate) console: &'static Console<'static>,
    pub(crate) depth: u32,
    /// The last call keeps the thread.
    pub(crate) stays: bool,
}

impl World {
    pub(crate) fn new(tree: &[u8]) -> Self {
        let platform: &'static Platform = Box::leak(Box::new(device_tree::parse(tree).unwrap()));
        let recorder = Box::leak(Box::new(FlightRecorder::new()));
        let system: &'static System<'static> =
            Box::leak(Box::new(System::new(platform, recorder).unwrap()));
        let mut machine = Machine::new();
        machine.pir = platform.cores[0].threads[0].0;
        let console = Box::leak(Box::new(Console::new(None)));
        console
            .initialise(&mut machine, platform, &system.xscom)
            .unwrap();
        Self {
            machine,
            memory: Memory::default(),
            system,
            console,
            depth: 1,
            stays: false,
        }
    }

    pub(crate) fn raw(&mut self, token: u64, first: &[u64]) -> i64 {
        let mut arguments = [0; 8];
        arguments[..first.len()].copy_from_slice(first);
        let mut context = Context {
            hardware: &mut self.machine,
            memory: &mut self.memory,
            system: self.system,
            console: self.console,
            own: OWN,
            depth: self.depth,
            stays: false,
        };
        let result = dispatch(&mut context, &Call { token, arguments });
        self.stays = context.stays;
        result
    }

    pub(crate) fn call(&mut self, token: Token, first: &[u64]) -> i64 {
        self.raw(token as u64, first)
    }

    /// Puts text where a console call finds it.
    pub(crate) fn put_text(&mut self, text: &[u8]) {
        self.memory.set_word(WORD, text.len() as u64);
        if !text.is_empty() {
            self.memory.put(BUFFER, text);
        }
    }

    /// Makes an event wait.
    pub(crate) fn queue_event(&mut self) {
        self.machine.hmer = RECOVERY_DONE;
        self.memory.set_word(WORD, 0);
        assert_eq!(self.call(Token::HandleHmi2, &[WORD]), 0);
        assert_ne!(self.memory.word(WORD) & hmi_flags::NEW_EVENT, 0);
        assert!(self.system.events.pending());
    }
}

/// Pointers at which `length` bytes must not be touched, whatever their type is.
pub(crate) fn bad_pointers(length: u64) -> Vec<(&'static str, u64)> {
    vec![
        ("NULL", 0),
        ("vectors", 0x2ff8),
        ("NULL of the linear map", LINEAR),
        ("the firmware's first byte", OWN.start),
        ("the firmware's last bytes", OWN.end - 8),
        ("into the firmware", OWN.start - length / 2),
        ("the firmware, linear", LINEAR | OWN.start),
        ("the end of memory", MEMORY.end),
        ("across the end of memory", MEMORY.end - 4),
        ("MMIO", 0x6_0300_d001_03f8),
        ("wraps within 60 bits", !(0xf << 60) - 7),
        ("wraps", u64::MAX - 7),
        ("top nibble 8", 0x8 << 60 | WORD),
        ("top nibble d", 0xd << 60 | WORD),
        ("top nibble f", 0xf << 60 | WORD),
    ]
}

/// As [`bad_pointers`], for a doubleword.
pub(crate) fn bad_words() -> Vec<(&'static str, u64)> {
    let mut bad = bad_pointers(8);
    bad.extend([
        ("odd", WORD + 1),
        ("half aligned", WORD + 4),
        ("odd, linear", LINEAR | (WORD + 7)),
    ]);
    bad
}
