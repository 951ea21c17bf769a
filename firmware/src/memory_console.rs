//! The log in memory, in the layout that the field's tools read: a header with magic and write
//! position, and a ring of text.
//!
//! Threads write without a lock: each claims its part of the ring with one atomic step. So a line
//! gets here even while the UART is held by somebody who does not return.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Where the boot code places the console, in real memory.
pub const ADDRESS: u64 = 0x3100_0000;
/// Bytes of the console, header and rings.
pub const BYTES: usize = 1 << 20;
/// Bytes of the header, filled up so that the rings start on a cache line.
pub const HEADER_BYTES: usize = 128;
/// Bytes of the input ring, which only the layout asks for.
pub const INPUT_BYTES: usize = 16;
/// Bytes of the output ring.
pub const OUTPUT_BYTES: usize = BYTES - HEADER_BYTES - INPUT_BYTES;

/// First word of the header.
pub const MAGIC: u64 = 0x6630_6965_6772_6173;
/// In the write position: the ring was filled once, what is behind the position is the oldest.
pub const WRAPPED: u32 = 0x8000_0000;
/// In the write position: the position.
pub const POSITION: u32 = 0x00ff_ffff;

/// Tries to claim a part of the ring while others do.
const CLAIM_TRIES: u32 = 1_000;

/// The header; all fields are big-endian in memory.
#[derive(Debug)]
#[repr(C, align(128))]
struct Header {
    magic: AtomicU64,
    output_address: AtomicU64,
    input_address: AtomicU64,
    output_size: AtomicU32,
    input_size: AtomicU32,
    output_position: AtomicU32,
    input_produced: AtomicU32,
    input_consumed: AtomicU32,
}

/// A memory console with `OUTPUT` bytes of text. All zero until [`Self::initialise`], so that it
/// takes no place in the image.
#[derive(Debug)]
#[repr(C)]
pub struct MemoryConsole<const OUTPUT: usize = OUTPUT_BYTES> {
    header: Header,
    output: [AtomicU8; OUTPUT],
    input: [AtomicU8; INPUT_BYTES],
}

impl<const OUTPUT: usize> Default for MemoryConsole<OUTPUT> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const OUTPUT: usize> MemoryConsole<OUTPUT> {
    /// An empty console without header.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(
                OUTPUT > 0 && OUTPUT <= POSITION as usize,
                "the position has 24 bits"
            );
        }
        Self {
            header: Header {
                magic: AtomicU64::new(0),
                output_address: AtomicU64::new(0),
                input_address: AtomicU64::new(0),
                output_size: AtomicU32::new(0),
                input_size: AtomicU32::new(0),
                output_position: AtomicU32::new(0),
                input_produced: AtomicU32::new(0),
                input_consumed: AtomicU32::new(0),
            },
            output: [const { AtomicU8::new(0) }; OUTPUT],
            input: [const { AtomicU8::new(0) }; INPUT_BYTES],
        }
    }

    /// Empties the console and writes its header; `address` is the real address of this value.
    /// The magic comes last: whoever sees it sees the rest.
    pub fn initialise(&self, address: u64) {
        let output = address + core::mem::offset_of!(Self, output) as u64;
        let input = address + core::mem::offset_of!(Self, input) as u64;
        let header = &self.header;
        header.magic.store(0, Ordering::SeqCst);
        header
            .output_address
            .store(output.to_be(), Ordering::Relaxed);
        header.input_address.store(input.to_be(), Ordering::Relaxed);
        header
            .output_size
            .store((OUTPUT as u32).to_be(), Ordering::Relaxed);
        header
            .input_size
            .store((INPUT_BYTES as u32).to_be(), Ordering::Relaxed);
        header.output_position.store(0, Ordering::Relaxed);
        header.input_produced.store(0, Ordering::Relaxed);
        header.input_consumed.store(0, Ordering::Relaxed);
        header.magic.store(MAGIC.to_be(), Ordering::Release);
    }

    /// The console for writers.
    #[must_use]
    pub const fn writer(&self) -> Writer<'_> {
        Writer {
            position: &self.header.output_position,
            output: &self.output,
        }
    }
}

/// Appends to a memory console.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    position: &'a AtomicU32,
    output: &'a [AtomicU8],
}

impl Writer<'_> {
    /// Appends text in one piece; zero bytes are left out, as they end the text for its readers.
    /// Text longer than the ring leaves its end there.
    pub fn write(&self, text: &[u8]) {
        let count = text.iter().filter(|byte| **byte != 0).count();
        let (skip, count) = (
            count.saturating_sub(self.output.len()),
            count.min(self.output.len()),
        );
        let Some(start) = self.claim(count) else {
            return;
        };
        let text = text.iter().filter(|byte| **byte != 0).skip(skip);
        let places = self.output[start..].iter().chain(self.output);
        for (place, byte) in places.zip(text) {
            place.store(*byte, Ordering::Relaxed);
        }
    }

    /// Moves the write position over `count` bytes; returns where they begin.
    fn claim(&self, count: usize) -> Option<usize> {
        let size = self.output.len();
        for _ in 0..CLAIM_TRIES {
            let seen = self.position.load(Ordering::Acquire);
            let old = u32::from_be(seen);
            // Another owner of this memory may have written anything there.
            let start = (old & POSITION) as usize % size;
            let end = start + count;
            let wrapped = if end >= size { WRAPPED } else { old & WRAPPED };
            let new = ((end % size) as u32 | wrapped).to_be();
            let claimed =
                self.position
                    .compare_exchange_weak(seen, new, Ordering::AcqRel, Ordering::Relaxed);
            if claimed.is_ok() {
                return Some(start);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::mem::offset_of;
    use std::{string::String, thread, vec::Vec};

    /// Reads the ring as the tools do.
    fn text<const N: usize>(console: &MemoryConsole<N>) -> String {
        let position = u32::from_be(console.header.output_position.load(Ordering::Acquire));
        let (older, newer) = console.output.split_at((position & POSITION) as usize);
        let ring: Vec<&AtomicU8> = if position & WRAPPED == 0 {
            older.iter().collect()
        } else {
            newer.iter().chain(older).collect()
        };
        String::from_utf8(
            ring.iter()
                .map(|byte| byte.load(Ordering::Relaxed))
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn layout_is_the_one_that_tools_read() {
        type Small = MemoryConsole<64>;
        assert_eq!(offset_of!(Header, output_address), 8);
        assert_eq!(offset_of!(Header, input_address), 16);
        assert_eq!(offset_of!(Header, output_size), 24);
        assert_eq!(offset_of!(Header, input_size), 28);
        assert_eq!(offset_of!(Header, output_position), 32);
        assert_eq!(offset_of!(Header, input_produced), 36);
        assert_eq!(offset_of!(Header, input_consumed), 40);
        assert_eq!(offset_of!(Small, output), HEADER_BYTES);
        assert_eq!(size_of::<MemoryConsole>(), BYTES);
        let console = Small::new();
        console.initialise(0x3100_0000);
        let header = &console.header;
        let be = |word: &AtomicU64| u64::from_be(word.load(Ordering::Relaxed));
        assert_eq!(
            header.magic.load(Ordering::Relaxed).to_ne_bytes(),
            *b"f0iegras"
        );
        assert_eq!(be(&header.output_address), 0x3100_0080);
        assert_eq!(be(&header.input_address), 0x3100_00c0);
        assert_eq!(
            header.output_size.load(Ordering::Relaxed).to_ne_bytes(),
            [0, 0, 0, 64]
        );
        assert_eq!(
            header.input_size.load(Ordering::Relaxed).to_ne_bytes(),
            [0, 0, 0, 16]
        );
    }

    #[test]
    fn text_wraps_and_keeps_the_newest() {
        let console = MemoryConsole::<8>::new();
        console.initialise(0);
        let writer = console.writer();
        writer.write(b"");
        assert_eq!(text(&console), "");
        writer.write(b"abc\0d");
        assert_eq!(text(&console), "abcd");
        writer.write(b"efgh");
        assert_eq!(text(&console), "abcdefgh");
        writer.write(b"i");
        assert_eq!(text(&console), "bcdefghi");
        writer.write(b"0123456789abcdefgh");
        assert_eq!(text(&console), "abcdefgh");
        console.initialise(0);
        assert_eq!(text(&console), "");
    }

    #[test]
    fn a_damaged_position_is_survived() {
        let console = MemoryConsole::<8>::new();
        console.initialise(0);
        for position in [u32::MAX, POSITION, 8, WRAPPED | 9] {
            console
                .header
                .output_position
                .store(position.to_be(), Ordering::Relaxed);
            console.writer().write(b"hello");
        }
    }

    #[test]
    fn lines_of_several_threads_do_not_mix() {
        let console = MemoryConsole::<4096>::new();
        console.initialise(0);
        thread::scope(|scope| {
            for name in [b"aaaaaaa\n", b"bbbbbbb\n", b"ccccccc\n"] {
                let writer = console.writer();
                scope.spawn(move || (0..50).for_each(|_| writer.write(name)));
            }
        });
        let text = text(&console);
        assert_eq!(text.lines().count(), 150);
        for line in ["aaaaaaa", "bbbbbbb", "ccccccc"] {
            assert_eq!(text.lines().filter(|found| *found == line).count(), 50);
        }
    }
}
