//! Log lines as the field's tools expect them: `[  285.055359021,7] HMI: ...`, seconds since TB
//! was 0, and a level from 0 (emergency) to 9.

use arrayvec::ArrayString;
use core::fmt::{self, Write};

/// Ticks of TB in a second.
const TICKS_PER_SECOND: u64 = 512_000_000;

/// Characters of a line, prefix and newline included; the rest of a longer line is cut off.
pub const LINE_CHARACTERS: usize = 320;
/// Ends a line that was cut off.
const CUT: &str = "...\n";

/// How urgent a line is: 0 emergency, 3 error, 4 warning, 5 notice, 6 info, 7 debug, 8 trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// The machine stops.
    pub const EMERGENCY: Self = Self(0);
    /// Normal, but worth knowing.
    pub const NOTICE: Self = Self(5);

    /// The level as a number, 0..=9.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Self {
        Self(match level {
            log::Level::Error => 3,
            log::Level::Warn => 4,
            log::Level::Info => 6,
            log::Level::Debug => 7,
            log::Level::Trace => 8,
        })
    }
}

/// The last level that the UART shows.
pub const UART_LEVEL: u8 = 6;
/// The last level that the memory console keeps.
pub const MEMORY_LEVEL: u8 = 8;

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    text: ArrayString<LINE_CHARACTERS>,
}

impl Line {
    /// A line, with prefix and newline. `timebase` may be wrong: then only the prefix is.
    #[must_use]
    pub fn new(timebase: u64, level: Level, message: fmt::Arguments<'_>) -> Self {
        let seconds = timebase / TICKS_PER_SECOND;
        // 125/64 nanoseconds are a tick.
        let nanoseconds = timebase % TICKS_PER_SECOND * 125 / 64;
        let mut line = Self {
            text: ArrayString::new(),
        };
        let written = write!(
            line,
            "[{seconds:>5}.{nanoseconds:09},{}] {message}",
            level.0
        );
        if written.is_ok() && line.text.try_push('\n').is_ok() {
            return line;
        }
        let mut end = line.text.len().min(LINE_CHARACTERS - CUT.len());
        while !line.text.is_char_boundary(end) {
            end -= 1;
        }
        line.text.truncate(end);
        line.text.push_str(CUT);
        line
    }

    /// The line as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.text.try_push(character).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn line(timebase: u64, level: log::Level, message: &str) -> std::string::String {
        Line::new(timebase, level.into(), format_args!("{message}"))
            .as_str()
            .into()
    }

    #[test]
    fn lines_look_as_tools_expect() {
        let ticks = 285 * TICKS_PER_SECOND + 28_343_820;
        assert_eq!(
            line(ticks, log::Level::Debug, "HMI: Received"),
            "[  285.055359023,7] HMI: Received\n"
        );
        assert_eq!(line(0, log::Level::Error, ""), "[    0.000000000,3] \n");
        assert_eq!(
            line(511_999_999, log::Level::Trace, "x"),
            "[    0.999999998,8] x\n"
        );
        assert_eq!(
            line(u64::MAX, log::Level::Warn, "x"),
            "[36028797018.963967998,4] x\n"
        );
    }

    #[test]
    fn long_lines_are_cut_and_end_in_a_newline() {
        let prefix = "[    0.000000000,6] ".len();
        let fits = LINE_CHARACTERS - prefix - 1;
        for (length, cut) in [
            (fits, false),
            (fits + 1, true),
            (fits + 2, true),
            (5000, true),
        ] {
            let line = line(0, log::Level::Info, &"y".repeat(length));
            assert_eq!(line.ends_with("y...\n"), cut, "{length}");
            assert!(line.ends_with('\n') && line.len() <= LINE_CHARACTERS);
        }
        let line = line(0, log::Level::Info, &"é".repeat(400));
        assert!(line.ends_with("é...\n"));
    }
}
