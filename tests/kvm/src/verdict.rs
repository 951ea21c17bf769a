//! Whether time was right, for the guest and for its host.

use crate::TICKS_PER_SECOND;
use core::fmt;

/// KVM adds the offset by TBU40; if the lower 24 bits of TB overflow meanwhile it takes TB for up to 2^24
/// ticks more than it is, and has the guest's DEC expire so much earlier. Seen without any fault.
const FALL_LIMIT_TICKS: u64 = crate::OFFSET_UNIT_TICKS;
/// The host's way in and out of a guest delays DEC, never the other way round: a little each time,
/// and as long as the emulator's own host takes a break. More is a DEC that was lost.
const RISE_LIMIT_TICKS: u64 = 4 * TICKS_PER_SECOND;
/// The kernel's clock is made from TB by a rounded factor.
const CLOCK_LIMIT_NANOSECONDS: u64 = 1_000_000;

/// What the guest tells at each hypercall, from its beginning; TB + DEC since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its TB at its last reading.
    pub timebase: u64,
    /// Readings of TB that were smaller than the one before.
    pub steps_back: u64,
    /// The largest difference of two readings.
    pub largest_step: u64,
    /// How far TB + DEC fell at most.
    pub fallen: i64,
    /// How far it rose at most.
    pub risen: i64,
    /// Interrupts by DEC.
    pub interrupts: u64,
    /// How much too early the earliest of them came.
    pub early: i64,
    /// How late the latest.
    pub late: i64,
}

/// The host's clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTime {
    /// TB before the kernel's clock was read.
    pub before: u64,
    /// `CLOCK_MONOTONIC`.
    pub nanoseconds: u64,
    /// TB afterwards.
    pub after: u64,
}

/// The host's clocks: neither may go back, and both must run alike.
#[derive(Clone, Debug)]
pub struct HostClocks {
    looks: u64,
    first: Option<HostTime>,
    last: Option<HostTime>,
    /// Times that TB or the kernel's clock went back.
    back: u64,
    /// How far they came apart at most, in nanoseconds.
    apart: u64,
    /// The longest time between two looks, in ticks.
    longest_gap: u64,
}

impl HostClocks {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            looks: 0,
            first: None,
            last: None,
            back: 0,
            apart: 0,
            longest_gap: 0,
        }
    }

    /// Looks once more.
    pub fn look(&mut self, now: HostTime) {
        self.looks += 1;
        let first = *self.first.get_or_insert(now);
        if let Some(last) = self.last {
            let back = now.before < last.after
                || now.after < now.before
                || now.nanoseconds < last.nanoseconds;
            self.back += u64::from(back);
            self.longest_gap = self.longest_gap.max(now.before.saturating_sub(last.after));
        }
        self.last = Some(now);
        let least = nanoseconds(now.before.saturating_sub(first.after));
        let most = nanoseconds(now.after.saturating_sub(first.before));
        let elapsed = now.nanoseconds.saturating_sub(first.nanoseconds);
        let off = least
            .saturating_sub(elapsed)
            .max(elapsed.saturating_sub(most));
        self.apart = self.apart.max(off);
    }

    /// Whether everything was right.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.looks > 1 && self.back == 0 && self.apart <= CLOCK_LIMIT_NANOSECONDS
    }
}

impl Default for HostClocks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for HostClocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "back {} times, clock and TB apart by {} us, between two of {} looks at most {}",
            self.back,
            self.apart / 1000,
            self.looks,
            Milliseconds(self.longest_gap),
        )
    }
}

/// All that was seen.
#[derive(Clone, Debug)]
pub struct Verdict {
    offset: i64,
    reports: u64,
    /// Reports with a TB that is not between the host's before and after.
    outside: u64,
    /// The worst of them, in ticks.
    outside_by: u64,
    last: Report,
    most_fallen: i64,
    most_risen: i64,
    host: HostClocks,
}

impl Verdict {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new(offset: i64) -> Self {
        Self {
            offset,
            reports: 0,
            outside: 0,
            outside_by: 0,
            last: Report {
                timebase: 0,
                steps_back: 0,
                largest_step: 0,
                fallen: 0,
                risen: 0,
                interrupts: 0,
                early: 0,
                late: 0,
            },
            most_fallen: 0,
            most_risen: 0,
            host: HostClocks::new(),
        }
    }

    /// A report, which came between two moments of the host.
    pub fn hear(&mut self, before: HostTime, report: Report, after: HostTime) {
        self.reports += 1;
        let host = report.timebase.wrapping_sub(self.offset as u64);
        // Differences, so that neither a huge offset nor a huge TB matters.
        let early = before.after.wrapping_sub(host) as i64;
        let late = host.wrapping_sub(after.before) as i64;
        let by = early.max(late);
        if by > 0 {
            self.outside += 1;
            self.outside_by = self.outside_by.max(by as u64);
        }
        self.most_fallen = self.most_fallen.max(report.fallen);
        self.most_risen = self.most_risen.max(report.risen);
        self.last = report;
        self.host.look(before);
        self.host.look(after);
    }

    /// Whether everything was right.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.reports > 0
            && self.last.steps_back == 0
            && self.outside == 0
            && self.most_fallen <= FALL_LIMIT_TICKS as i64
            && self.most_risen <= RISE_LIMIT_TICKS as i64
            && self.last.interrupts > 0
            && self.last.early <= FALL_LIMIT_TICKS as i64
            && self.host.is_good()
    }
}

const fn nanoseconds(ticks: u64) -> u64 {
    (ticks as u128 * 1_000_000_000 / TICKS_PER_SECOND as u128) as u64
}

/// Ticks as milliseconds, with three digits.
struct Milliseconds(u64);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = nanoseconds(self.0) / 1000;
        write!(f, "{}.{:03} ms", microseconds / 1000, microseconds % 1000)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            reports,
            last,
            ..
        } = self;
        write!(
            f,
            "offset {offset:+}: {}; {reports} reports; guest: TB back {} times, {} reports outside \
             the host's TB by up to {}, largest step {}, TB + DEC fell by {} ticks and rose by {}, \
             {} interrupts by DEC, too early by {} ticks, late by {}; host: {}",
            if self.is_good() { "right" } else { "WRONG" },
            last.steps_back,
            self.outside,
            Milliseconds(self.outside_by),
            Milliseconds(last.largest_step),
            self.most_fallen.max(0),
            Milliseconds(self.most_risen.max(0) as u64),
            last.interrupts,
            last.early,
            Milliseconds(last.late.max(0) as u64),
            self.host,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    const OFFSETS: [i64; 3] = [0, 5 << 24, -(1 << 60)];

    fn host(timebase: u64) -> HostTime {
        HostTime {
            before: timebase,
            nanoseconds: nanoseconds(timebase),
            after: timebase + 10,
        }
    }

    fn report(timebase: u64, offset: i64) -> Report {
        Report {
            timebase: timebase.wrapping_add(offset as u64),
            interrupts: 1,
            ..Report::default()
        }
    }

    #[test]
    fn right_time_is_right_with_any_offset() {
        for offset in OFFSETS {
            let mut verdict = Verdict::new(offset);
            for round in 1..10 {
                let start = round * TICKS_PER_SECOND;
                let inside = report(start + 500, offset);
                verdict.hear(host(start), inside, host(start + 1000));
            }
            assert!(verdict.is_good(), "{verdict}");
            assert!(verdict.to_string().contains(": right; 9 reports"));
        }
    }

    #[test]
    fn silence_is_not_good() {
        assert!(!Verdict::new(0).is_good());
    }

    #[test]
    fn each_wrong_is_seen() {
        let good = |offset| report(1500, offset);
        for offset in OFFSETS {
            let wrong: [(&str, HostTime, Report, HostTime); 10] = [
                ("early", host(1000), report(900, offset), host(2000)),
                ("late", host(1000), report(2100, offset), host(2000)),
                (
                    "lost offset",
                    host(1 << 40),
                    report((1 << 40) + 500, offset + (1 << 24)),
                    host((1 << 40) + 1000),
                ),
                (
                    "back",
                    host(1000),
                    Report {
                        steps_back: 1,
                        ..good(offset)
                    },
                    host(2000),
                ),
                (
                    "DEC early",
                    host(1000),
                    Report {
                        fallen: FALL_LIMIT_TICKS as i64 + 1,
                        ..good(offset)
                    },
                    host(2000),
                ),
                (
                    "DEC lost",
                    host(1000),
                    Report {
                        risen: RISE_LIMIT_TICKS as i64 + 1,
                        ..good(offset)
                    },
                    host(2000),
                ),
                (
                    "no interrupt",
                    host(1000),
                    Report {
                        interrupts: 0,
                        ..good(offset)
                    },
                    host(2000),
                ),
                (
                    "early interrupt",
                    host(1000),
                    Report {
                        early: FALL_LIMIT_TICKS as i64 + 1,
                        ..good(offset)
                    },
                    host(2000),
                ),
                ("host back", host(2000), good(offset), host(1400)),
                (
                    "clock",
                    host(1000),
                    good(offset),
                    HostTime {
                        nanoseconds: 2_000_000,
                        ..host(2000)
                    },
                ),
            ];
            for (what, before, report, after) in wrong {
                let mut verdict = Verdict::new(offset);
                verdict.hear(before, report, after);
                assert!(!verdict.is_good(), "{what}: {verdict}");
                assert!(verdict.to_string().contains("WRONG"));
            }
        }
    }

    #[test]
    fn clocks_are_judged_without_a_guest() {
        let mut clocks = HostClocks::new();
        clocks.look(host(1000));
        assert!(!clocks.is_good(), "one look shows nothing");
        clocks.look(host(TICKS_PER_SECOND));
        assert!(clocks.is_good(), "{clocks}");
        let mut back = clocks.clone();
        back.look(host(TICKS_PER_SECOND - 1));
        assert!(!back.is_good(), "{back}");
        // Both went on, but the clock by 2 ms less.
        clocks.look(HostTime {
            nanoseconds: 2_000_000_000 - 2_000_000,
            ..host(2 * TICKS_PER_SECOND)
        });
        assert!(!clocks.is_good(), "{clocks}");
    }

    #[test]
    fn the_host_is_watched_from_one_report_to_the_next() {
        let mut verdict = Verdict::new(0);
        verdict.hear(host(1000), report(1500, 0), host(2000));
        verdict.hear(host(1900), report(2500, 0), host(3000));
        assert!(!verdict.is_good(), "{verdict}");
    }
}
