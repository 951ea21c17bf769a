//! The memory of the OS, which knows what each call may touch; and arguments that hurt.

use super::super::Input;
use hardware_model::Random;
use opal_abi::{Token, message};
use opaline_firmware::opal::{Call, OsMemory, RealAddress};
use std::ops::Range;

/// Memory of the machine, without the vectors.
const MEMORY: Range<u64> = 0x3000..0x4000_0000;
/// The firmware's own.
pub(super) const OWN: Range<u64> = 0x3000_0000..0x3110_0000;
/// A good pointer to anything.
pub(super) const GOOD: u64 = 0x1000_0000;
/// Another, far from the first.
const BUFFER: u64 = 0x1100_0000;
const LINEAR: u64 = 0xc << 60;

/// The memory during one call.
#[derive(Debug)]
pub(super) struct Memory {
    word: u64,
    shifty: Option<Random>,
    /// Where the call may read and write a doubleword.
    word_at: Option<u64>,
    /// Where the call may read, and whether as far as the doubleword says.
    reads: Option<Extent>,
    /// Where the call may write.
    writes: Option<Extent>,
    /// The largest doubleword that was handed out.
    largest: u64,
    stored_word: Option<u64>,
    message: Option<[u8; message::SIZE]>,
}

#[derive(Clone, Copy, Debug)]
enum Extent {
    /// So many bytes.
    Fixed(u64, u64),
    /// As many as the doubleword says.
    AsTold(u64),
}

impl Memory {
    /// The memory for one call: every doubleword reads as `word`, or as anything.
    pub(super) fn of(call: &Call, word: u64, shifty: bool) -> Self {
        let real = |pointer: u64| pointer & !(0xf << 60);
        let [first, second, third, ..] = call.arguments;
        let (mut word_at, mut reads, mut writes) = (None, None, None);
        match Token::from_number(call.token) {
            Some(Token::ConsoleWrite) => {
                word_at = Some(real(second));
                reads = Some(Extent::AsTold(real(third)));
            }
            Some(Token::ConsoleRead) => {
                word_at = Some(real(second));
                writes = Some(Extent::AsTold(real(third)));
            }
            Some(Token::ConsoleWriteBufferSpace) => word_at = Some(real(second)),
            Some(Token::PollEvents | Token::HandleHmi2) => word_at = Some(real(first)),
            Some(Token::RtcRead) => {
                writes = Some(Extent::Fixed(real(first), 4));
                word_at = Some(real(second));
            }
            Some(Token::QueryCpuStatus) => writes = Some(Extent::Fixed(real(second), 1)),
            Some(Token::GetMessage) => writes = Some(Extent::Fixed(real(first), second)),
            _ => {}
        }
        Self {
            word,
            shifty: shifty.then(|| Random::new(word)),
            word_at,
            reads,
            writes,
            largest: 0,
            stored_word: None,
            message: None,
        }
    }

    /// What the call stored to the place of its doubleword.
    pub(super) const fn stored_word(&self) -> Option<u64> {
        self.stored_word
    }

    /// The message that the call stored.
    pub(super) const fn message(&self) -> Option<&[u8; message::SIZE]> {
        self.message.as_ref()
    }

    fn check(&self, real: u64, length: usize, extent: Option<Extent>) {
        let end = real
            .checked_add(length as u64)
            .expect("no access wraps around");
        assert!(
            length != 0 && MEMORY.start <= real && end <= MEMORY.end,
            "{real:#x}, {length:#x} is no memory of the OS"
        );
        assert!(
            end <= OWN.start || OWN.end <= real,
            "{real:#x}, {length:#x} is the firmware's"
        );
        let within = |start: u64, size: u64| start <= real && end - start <= size;
        let allowed = self.word_at.is_some_and(|at| real == at && length == 8)
            || match extent {
                Some(Extent::Fixed(start, size)) => within(start, size),
                Some(Extent::AsTold(start)) => within(start, self.largest),
                None => false,
            };
        assert!(allowed, "{real:#x}, {length:#x} was not given to {self:x?}");
    }
}

impl OsMemory for Memory {
    fn read(&mut self, from: RealAddress, into: &mut [u8]) {
        let real = from.number();
        self.check(real, into.len(), self.reads);
        let word = match &mut self.shifty {
            Some(random) => random.word() >> (random.word() % 64),
            None => self.word,
        };
        if self.word_at == Some(real) && into.len() == 8 {
            self.largest = self.largest.max(word);
        }
        for (place, byte) in into.iter_mut().zip(word.to_be_bytes().into_iter().cycle()) {
            *place = byte;
        }
    }

    fn write(&mut self, to: RealAddress, from: &[u8]) {
        let real = to.number();
        self.check(real, from.len(), self.writes);
        if let Ok(word) = <[u8; 8]>::try_from(from)
            && self.word_at == Some(real)
        {
            self.stored_word = Some(u64::from_be_bytes(word));
        }
        if let Ok(message) = from.try_into() {
            self.message = Some(message);
        }
    }
}

/// A call with hostile token and arguments.
pub(super) fn call(input: &mut Input<'_>) -> Call {
    let token = match input.below(16) {
        0 => input.below(256) as u64,
        1 => input.number(),
        2 => input.pick(&[180, 181, 182, 255, u64::MAX, 1 << 63, 1 << 32, 1 << 32 | 85]),
        _ => input.pick(&Token::ALL) as u64,
    };
    let mut arguments = [0; 8];
    let shape = input.byte();
    for (index, argument) in arguments.iter_mut().enumerate().take(3) {
        // Mostly what the call wants there, or it would never get far.
        let wanted = match Token::from_number(token) {
            Some(Token::ConsoleWrite | Token::ConsoleRead | Token::ConsoleWriteBufferSpace) => {
                [0, GOOD, BUFFER][index]
            }
            Some(Token::GetMessage) => [GOOD, message::SIZE as u64, 0][index],
            Some(Token::PollEvents | Token::HandleHmi2) => GOOD,
            _ => 0,
        };
        *argument = if shape >> (2 * index) & 3 != 0 {
            wanted
        } else if input.one_in(4) {
            length(input)
        } else {
            pointer(input)
        };
    }
    for argument in &mut arguments[3..] {
        *argument = if shape & 0xc0 == 0xc0 { u64::MAX } else { 0 };
    }
    Call { token, arguments }
}

/// An address at which something begins or ends, give or take.
fn pointer(input: &mut Input<'_>) -> u64 {
    const PLACES: [u64; 14] = [
        0,
        MEMORY.start,
        MEMORY.end,
        OWN.start,
        OWN.end,
        GOOD,
        BUFFER,
        // XSCOM and LPC.
        0x0006_03fc_0000_0000,
        0x0006_0300_d001_03f8,
        0x0003_fc00_0000_0000,
        (1 << 60) - 8,
        LINEAR | GOOD,
        LINEAR,
        u64::MAX,
    ];
    let place = input.pick(&PLACES);
    let near = u64::from(input.byte() % 96);
    match input.below(8) {
        0..=2 => place.wrapping_sub(near),
        3..=5 => place.wrapping_add(near),
        6 => (place & !(0xf << 60)) | (input.below(16) as u64) << 60,
        _ => input.number(),
    }
}

/// A length or count.
pub(super) fn length(input: &mut Input<'_>) -> u64 {
    match input.below(4) {
        0 => input.pick(&[0, 1, 7, 8, 16, 39, 40, 71, 72, 73, 1023, 1024, 1025, 4096]),
        1 => u64::from(input.byte()),
        2 => input.pick(&[
            MEMORY.end - GOOD,
            MEMORY.end,
            OWN.start - BUFFER,
            OWN.start - GOOD + 1,
        ]),
        _ => input.number(),
    }
}
