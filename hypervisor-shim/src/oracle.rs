//! Checks of host time that do not believe TB.
//!
//! DEC counts down the ticks that TB counts up, and nothing in a repair moves it. So TB + DEC
//! stays what it was when DEC was set; if it does not, TB is wrong by the difference.

use crate::core_word::{CoreWord, SharedCoreWord};
use crate::machine::Machine;
use crate::shim::Configuration;

/// DEC in host context: far away.
pub const HOST_DEC: i64 = 0x7fff_ffff;
/// Below this DEC is set anew.
const DEC_LOW: i64 = 0x1000_0000;
/// Readings of TB around DEC may be this far apart to set an expectation.
const TIGHT_TICKS: u64 = 2_048;
const TIGHT_ATTEMPTS: u32 = 64;

/// TB and DEC read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// TB before DEC was read.
    pub before: u64,
    /// DEC.
    pub dec: i64,
    /// TB after DEC was read.
    pub after: u64,
}

impl Reading {
    /// Reads TB, DEC, TB.
    pub fn take(machine: &mut impl Machine) -> Self {
        let before = machine.timebase();
        let dec = machine.decrementer();
        let after = machine.timebase();
        Self { before, dec, after }
    }

    /// Reads until both TBs are close together, or attempts run out.
    pub fn tight(machine: &mut impl Machine) -> Self {
        let mut reading = Self::take(machine);
        for _ in 0..TIGHT_ATTEMPTS {
            if reading.width() <= TIGHT_TICKS {
                break;
            }
            reading = Self::take(machine);
        }
        reading
    }

    /// Ticks between both readings of TB.
    #[must_use]
    pub const fn width(&self) -> u64 {
        self.after.wrapping_sub(self.before)
    }

    /// TB at which DEC passes zero.
    #[must_use]
    pub const fn expiry(&self) -> u64 {
        self.before.wrapping_add_signed(self.dec)
    }
}

/// What a thread expects of host time while it is in host context.
#[derive(Clone, Copy, Debug)]
pub struct HostClock {
    expiry: u64,
}

/// Outcome of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// TB is where DEC says.
    Good,
    /// TB could not be judged now: a sibling's guest has it, or TFMR says it is not valid.
    Unknown,
    /// TB is off.
    Wrong {
        /// TB + DEC as expected.
        expected: u64,
        /// TB + DEC as found.
        found: u64,
    },
}

impl HostClock {
    /// Sets DEC far away and remembers where TB must be when it passes zero. `None` while TB
    /// cannot be trusted.
    pub fn set(
        machine: &mut impl Machine,
        word: &SharedCoreWord,
        configuration: &Configuration,
    ) -> Option<Self> {
        let before = word.load();
        machine.set_decrementer(HOST_DEC);
        let reading = Reading::tight(machine);
        trusted(machine, word, configuration, before.0).then_some(Self {
            expiry: reading.expiry(),
        })
    }

    /// Whether DEC should be set anew before it fires.
    #[must_use]
    pub fn is_old(machine: &mut impl Machine) -> bool {
        machine.decrementer() < DEC_LOW
    }

    /// Compares TB with DEC.
    pub fn check(
        &self,
        machine: &mut impl Machine,
        word: &SharedCoreWord,
        configuration: &Configuration,
    ) -> Verdict {
        let before = word.load();
        let reading = Reading::take(machine);
        if !trusted(machine, word, configuration, before.0) {
            return Verdict::Unknown;
        }
        let found = reading.expiry();
        let off = found.wrapping_sub(self.expiry) as i64;
        let early = off.wrapping_add_unsigned(reading.width()) < -configuration.skew_ticks();
        if early || off > configuration.skew_ticks() || (reading.width() as i64) < 0 {
            return Verdict::Wrong {
                expected: self.expiry,
                found,
            };
        }
        Verdict::Good
    }
}

/// Whether TB was host time all along since the core word was `before`.
pub(crate) fn trusted(
    machine: &mut impl Machine,
    word: &SharedCoreWord,
    configuration: &Configuration,
    before: u64,
) -> bool {
    let (before, now) = (CoreWord(before), word.load());
    if before.closing() != 0 || now.closing() != 0 || before.epoch() != now.epoch() {
        return false;
    }
    if configuration.shares_timebase() && (now != before || now.in_guest() != 0) {
        return false;
    }
    configuration.timebase_trusted(machine)
}
