//! Seconds since 1970 as date and time, and back; and both in the binary-coded decimal of OPAL.
//!
//! The calendar is the Gregorian one, counted in days from the 1st of March of year 0, so that the
//! leap day is the last of its year.

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Days from the 1st of March of year 0 to the 1st of January 1970.
const EPOCH: u64 = 719_468;
/// Days of 400 years.
const ERA: u64 = 146_097;

/// A date and a time of day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

impl Moment {
    /// The moment so many seconds after the beginning of 1970.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        let (days, second) = (seconds as u64 / DAY + EPOCH, (seconds as u64 % DAY) as u32);
        let (era, day_of_era) = (days / ERA, days % ERA);
        // A leap day each 4 years, but for 3 of 4 centuries.
        let year =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = (from_march + 2) % 12 + 1;
        Self {
            year: (400 * era + year + (month <= 2) as u64) as u32,
            month: month as u32,
            day: (day_of_year - (153 * from_march + 2) / 5 + 1) as u32,
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }

    /// Seconds since the beginning of 1970; `None` if 32 bits do not hold them.
    #[must_use]
    pub fn seconds(self) -> Option<u32> {
        let year = u64::from(self.year) - u64::from(self.month <= 2);
        let from_march = u64::from((self.month + 9) % 12);
        let day_of_year = (153 * from_march + 2) / 5 + u64::from(self.day) - 1;
        let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
        let time = u64::from((self.hour * 60 + self.minute) * 60 + self.second);
        u32::try_from(days.checked_sub(EPOCH)? * DAY + time).ok()
    }

    /// As OPAL has it: the digits of year, month and day; and those of hour, minute and second in
    /// the highest bytes of a doubleword.
    #[must_use]
    pub const fn to_decimal(self) -> (u32, u64) {
        let date = decimal(self.year / 100) << 24
            | decimal(self.year % 100) << 16
            | decimal(self.month) << 8
            | decimal(self.day);
        let time = decimal(self.hour) << 16 | decimal(self.minute) << 8 | decimal(self.second);
        (date, (time as u64) << 40)
    }

    /// From what OPAL has; `None` if it is no date or time.
    #[must_use]
    pub fn from_decimal(date: u32, time: u64) -> Option<Self> {
        let [century, year, month, day] = date.to_be_bytes();
        let [hour, minute, second, ..] = time.to_be_bytes();
        let moment = Self {
            year: number(century)? * 100 + number(year)?,
            month: number(month)?,
            day: number(day)?,
            hour: number(hour)?,
            minute: number(minute)?,
            second: number(second)?,
        };
        let leap = moment.year.is_multiple_of(4) && !moment.year.is_multiple_of(100)
            || moment.year.is_multiple_of(400);
        let days = match moment.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let good = (1..=days).contains(&moment.day)
            && moment.hour < 24
            && moment.minute < 60
            && moment.second < 60;
        good.then_some(moment)
    }
}

/// A number below 100 as two decimal digits.
const fn decimal(value: u32) -> u32 {
    ((value / 10) << 4) | (value % 10)
}

fn number(digits: u8) -> Option<u32> {
    let (tens, ones) = (u32::from(digits >> 4), u32::from(digits & 0xf));
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        for (seconds, date, time) in [
            (0, 0x1970_0101, 0x0000_0000),
            (951_782_399, 0x2000_0228, 0x2359_5900),
            (951_782_400, 0x2000_0229, 0x0000_0000),
            (1_709_210_096, 0x2024_0229, 0x1234_5600),
            (1_735_689_599, 0x2024_1231, 0x2359_5900),
            (u32::MAX, 0x2106_0207, 0x0628_1500),
        ] {
            let moment = Moment::from_seconds(seconds);
            assert_eq!(moment.to_decimal(), (date, time << 32), "{seconds}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        let good = |date, time: u64| Moment::from_decimal(date, time << 32).is_some();
        assert!(good(0x2024_0229, 0x2359_5900));
        for (date, time) in [
            (0x2023_0229, 0),
            (0x2100_0229, 0),
            (0x2024_0001, 0),
            (0x2024_1301, 0),
            (0x2024_0431, 0),
            (0x2024_0100, 0),
            (0x2024_010a, 0),
            (0x2024_0101, 0x2400_0000),
            (0x2024_0101, 0x0060_0000),
            (0x2024_0101, 0x0000_6000),
            (0x2024_0101, 0x0a00_0000),
        ] {
            assert!(!good(date, time), "{date:x} {time:x}");
        }
        let early = Moment::from_decimal(0x1969_1231, 0).unwrap();
        assert_eq!(early.seconds(), None);
        let late = Moment::from_decimal(0x2106_0207, 0x0628_1600_0000_0000).unwrap();
        assert_eq!(late.seconds(), None);
    }

    proptest! {
        #[test]
        fn there_and_back(seconds: u32) {
            let moment = Moment::from_seconds(seconds);
            prop_assert_eq!(moment.seconds(), Some(seconds));
            let (date, time) = moment.to_decimal();
            prop_assert_eq!(Moment::from_decimal(date, time), Some(moment));
        }

        #[test]
        fn nothing_panics(date: u32, time: u64) {
            if let Some(moment) = Moment::from_decimal(date, time) {
                let _ = moment.seconds();
            }
        }
    }
}
