//! Text on the console, and the end of the run: by OPAL calls, as an OS does it.

use crate::client::{Answer, Client, TEXT_BYTES, TEXT_WORD, call};
use core::fmt::{self, Write};
use opal_abi::{OpalError, SUCCESS, Token};

/// Calls that are made in vain until output is given up.
const PATIENCE: u32 = 1_000_000;
const BUSY: i64 = OpalError::Busy.code();
const BUSY_EVENT: i64 = OpalError::BusyEvent.code();
const PARTIAL: i64 = OpalError::Partial.code();

/// The console of a client.
#[derive(Debug)]
pub struct Console<'c, C> {
    client: &'c C,
}

impl<'c, C: Client> Console<'c, C> {
    /// The console of the calling thread.
    pub const fn new(client: &'c C) -> Self {
        Self { client }
    }

    /// Writes all of a text that fits into the scratch memory.
    fn write_chunk(&self, bytes: &[u8]) -> fmt::Result {
        let client = self.client;
        let address = |word: usize| client.scratch() + 8 * word as u64;
        let mut rest = bytes;
        for _ in 0..PATIENCE {
            if rest.is_empty() {
                return Ok(());
            }
            for (index, chunk) in rest.chunks(8).enumerate() {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                client.store(TEXT_WORD + 1 + index, u64::from_be_bytes(word));
            }
            client.store(TEXT_WORD, rest.len() as u64);
            let arguments = [0, address(TEXT_WORD), address(TEXT_WORD + 1)];
            match call(client, Token::ConsoleWrite, arguments) {
                Answer::Returned(SUCCESS | PARTIAL) => {
                    let written = client.load(TEXT_WORD).min(rest.len() as u64);
                    rest = &rest[written as usize..];
                }
                Answer::Returned(BUSY | BUSY_EVENT) => {
                    call(client, Token::PollEvents, [0; 3]);
                }
                _ => return Err(fmt::Error),
            }
        }
        Err(fmt::Error)
    }

    /// Waits until all text was sent.
    pub fn flush(&self) {
        for _ in 0..PATIENCE {
            match call(self.client, Token::ConsoleFlush, [0; 3]) {
                Answer::Returned(BUSY | BUSY_EVENT | PARTIAL) => {
                    call(self.client, Token::PollEvents, [0; 3]);
                }
                _ => return,
            }
        }
    }

    /// Switches the machine off; comes back only if the firmware cannot.
    pub fn power_down(&self) {
        self.flush();
        for _ in 0..PATIENCE {
            match call(self.client, Token::CecPowerDown, [0; 3]) {
                Answer::Returned(SUCCESS | BUSY | BUSY_EVENT) => {
                    // The firmware may do it little by little.
                    call(self.client, Token::PollEvents, [0; 3]);
                }
                _ => return,
            }
        }
    }
}

impl<C: Client> Write for Console<'_, C> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.as_bytes()
            .chunks(TEXT_BYTES)
            .try_for_each(|chunk| self.write_chunk(chunk))
    }
}
