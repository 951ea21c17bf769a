//! What a client of the firmware needs of its machine.

use opal_abi::Token;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It returned this in r3.
    Returned(i64),
    /// The firmware ran into an exception: the vector. It never came back.
    Exception(u64),
}

/// One thread of a client, and through it the others.
pub trait Client {
    /// Calls the firmware on the calling thread.
    fn call(&self, token: u64, arguments: [u64; 8]) -> Answer;
    /// The same without arguments and with interrupts open (`MSR[EE]`), which no caller may do.
    /// None comes: what could raise one is far away.
    fn call_with_interrupts(&self, token: u64) -> Answer;
    /// Real address of the calling thread's scratch memory: [`SCRATCH_WORDS`] doublewords, aligned
    /// to a page.
    fn scratch(&self) -> u64;
    /// A doubleword of the scratch memory.
    fn load(&self, word: usize) -> u64;
    /// Sets a doubleword of the scratch memory.
    fn store(&self, word: usize, value: u64);
    /// Number of the calling thread; the boot thread is 0.
    fn thread(&self) -> usize;
    /// PIR of the calling thread.
    fn pir(&self) -> u64;
    /// Registers that calls should have preserved and did not, on all threads so far.
    fn clobbered(&self) -> u64;
    /// The next thread that the firmware starts at the address that this gives is number `thread`.
    fn expect_thread(&self, thread: usize) -> u64;
    /// Gives a started thread work; 0 and `u64::MAX` are no work.
    fn give(&self, thread: usize, job: u64);
    /// Whether a thread is started and has no work.
    fn waits(&self, thread: usize) -> bool;
    /// A moment of waiting.
    fn relax(&self);
    /// Puts a doubleword into the memory below the vectors' end, which is an OS's own: at 0 or at
    /// [`LOW_PLACE`].
    fn store_low(&self, null: bool, value: u64);
    /// Whether interrupts of the calling thread are taken in little-endian mode (`HID0[HILE]`).
    fn little_endian_interrupts(&self) -> bool;
    /// A doubleword that survives a restart of the machine.
    fn mark(&self) -> u64;
    /// Sets it.
    fn set_mark(&self, value: u64);
}

/// Doublewords of each thread's scratch memory.
pub const SCRATCH_WORDS: usize = 512;
/// The part of it that output of text uses: a length, then the bytes.
pub const TEXT_WORD: usize = SCRATCH_WORDS - TEXT_BYTES / 8 - 1;
/// Most bytes of text in one call.
pub const TEXT_BYTES: usize = 1024;

/// A call with few arguments.
pub fn call(client: &impl Client, token: Token, arguments: [u64; 3]) -> Answer {
    let [first, second, third] = arguments;
    client.call(token as u64, [first, second, third, 0, 0, 0, 0, 0])
}

/// A place among the vectors that no vector uses.
pub const LOW_PLACE: u64 = 0x2f00;

/// For tests: one thread, which meets a firmware of theirs.
#[cfg(test)]
pub(crate) mod alone {
    extern crate std;
    use super::{Answer, Client, SCRATCH_WORDS};
    use core::cell::RefCell;
    use std::{vec, vec::Vec};

    /// Where the scratch memory is.
    pub(crate) const SCRATCH: u64 = 0x1000;

    /// What answers the calls.
    pub(crate) trait Firmware {
        /// What the call returns; it may change the scratch memory.
        fn answer(&self, words: &mut [u64], token: u64, arguments: [u64; 8]) -> i64;
    }

    pub(crate) struct Alone<F> {
        words: RefCell<Vec<u64>>,
        pub(crate) firmware: F,
    }

    impl<F> Alone<F> {
        pub(crate) fn new(firmware: F) -> Self {
            let words = RefCell::new(vec![0; SCRATCH_WORDS]);
            Self { words, firmware }
        }
    }

    impl<F: Firmware> Client for Alone<F> {
        fn call(&self, token: u64, arguments: [u64; 8]) -> Answer {
            let words = &mut self.words.borrow_mut();
            Answer::Returned(self.firmware.answer(words, token, arguments))
        }
        fn call_with_interrupts(&self, token: u64) -> Answer {
            self.call(token, [0; 8])
        }
        fn scratch(&self) -> u64 {
            SCRATCH
        }
        fn load(&self, word: usize) -> u64 {
            self.words.borrow()[word]
        }
        fn store(&self, word: usize, value: u64) {
            self.words.borrow_mut()[word] = value;
        }
        fn thread(&self) -> usize {
            0
        }
        fn pir(&self) -> u64 {
            0
        }
        fn clobbered(&self) -> u64 {
            0
        }
        fn expect_thread(&self, _: usize) -> u64 {
            0
        }
        fn give(&self, _: usize, _: u64) {}
        fn waits(&self, _: usize) -> bool {
            true
        }
        fn relax(&self) {}
        fn store_low(&self, _: bool, _: u64) {}
        fn little_endian_interrupts(&self) -> bool {
            false
        }
        fn mark(&self) -> u64 {
            0
        }
        fn set_mark(&self, _: u64) {}
    }
}
