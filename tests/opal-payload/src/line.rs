//! A line of text that is put together first and written in one call: a firmware that writes to the
//! same console cannot come between.

use crate::client::Client;
use crate::console::Console;
use core::fmt::{self, Write};

/// Most bytes of a line; the rest is left out.
const BYTES: usize = 1024;

/// Begins each line, and nothing that a firmware writes.
pub const MARK: &str = "payload| ";

/// A line.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; BYTES],
    length: usize,
}

impl Line {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; BYTES],
            length: 0,
        }
    }

    /// What was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes().filter(u8::is_ascii) {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

/// Writes a line.
///
/// # Errors
/// When the console fails.
pub fn print(client: &impl Client, text: fmt::Arguments<'_>) -> fmt::Result {
    let mut line = Line::new();
    // With its end in the same call: a firmware that logs that call took long would write behind it.
    write!(line, "{MARK}{text}\r\n")?;
    Console::new(client).write_str(line.as_str())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_cut() {
        let mut line = Line::new();
        let text = "ab".repeat(BYTES);
        write!(line, "{text}").unwrap();
        assert_eq!(line.as_str(), &text[..BYTES]);
    }
}
