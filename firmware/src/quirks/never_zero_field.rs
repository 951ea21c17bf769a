//! POWER10: a field of S_PATH_CTRL that must never be written as 0 (erratum HW480746).
//!
//! The TOD may not start when all clocks come from one oscillator. Once the field was 0 it takes a
//! write of all ones and then one that is not 0. The configured tolerance is restored, not lost.
//!
//! Source: HMI and ChipTOD specification, section 3.9.

use crate::platform::Generation;
use power_registers::chip_tod::TodRegister;
use power_registers::ibm_range;

/// A field that must never be written as 0. Once it has been, it takes a write of all ones and then
/// one that is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NeverZero {
    generation: Generation,
    register: TodRegister,
    field: u64,
}

const NEVER_ZERO: &[NeverZero] = &[NeverZero {
    generation: Generation::Power10,
    register: TodRegister::SlavePathControl,
    field: ibm_range(26, 31),
}];

/// The writes that restore a register: first, if there is one, then the value that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restore {
    /// Written before it, if anything.
    pub first: Option<u64>,
    /// What stays.
    pub value: u64,
}

/// Whether restoring `register` depends on what it holds.
#[must_use]
pub fn applies(generation: Generation, register: TodRegister) -> bool {
    NEVER_ZERO
        .iter()
        .any(|rule| rule.generation == generation && rule.register == register)
}

/// How to restore `register` to `cached` when it reads `now` (`None`: it cannot be read).
#[must_use]
pub fn restore(
    generation: Generation,
    register: TodRegister,
    cached: u64,
    now: Option<u64>,
) -> Restore {
    let rule = NEVER_ZERO
        .iter()
        .find(|rule| rule.generation == generation && rule.register == register);
    let Some(rule) = rule else {
        return Restore {
            first: None,
            value: cached,
        };
    };
    if cached & rule.field == 0 {
        return Restore {
            first: None,
            value: cached | rule.field,
        };
    }
    let was_zeroed = now.is_none_or(|now| now & rule.field == 0);
    Restore {
        first: was_zeroed.then_some(cached | rule.field),
        value: cached,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: u64 = 0x0000_003f_0000_0000;
    const CACHED: u64 = 0x1234_000c_0000_5678;

    fn slave_path(generation: Generation, cached: u64, now: Option<u64>) -> Restore {
        restore(generation, TodRegister::SlavePathControl, cached, now)
    }

    #[test]
    fn the_tolerance_survives_when_the_field_is_intact() {
        let restored = slave_path(Generation::Power10, CACHED, Some(FIELD));
        assert_eq!(
            restored,
            Restore {
                first: None,
                value: CACHED
            }
        );
    }

    #[test]
    fn a_zeroed_field_gets_ones_first() {
        for now in [Some(0), Some(!FIELD), None] {
            let restored = slave_path(Generation::Power10, CACHED, now);
            assert_eq!(
                restored,
                Restore {
                    first: Some(CACHED | FIELD),
                    value: CACHED
                }
            );
        }
    }

    #[test]
    fn a_cached_zero_is_never_written() {
        let restored = slave_path(Generation::Power10, CACHED & !FIELD, Some(0));
        assert_eq!(
            restored,
            Restore {
                first: None,
                value: CACHED | FIELD
            }
        );
    }

    #[test]
    fn other_registers_and_generations_are_written_as_they_are() {
        let plain = Restore {
            first: None,
            value: 0,
        };
        assert_eq!(slave_path(Generation::Power9, 0, Some(0)), plain);
        let register = TodRegister::ChipControl;
        assert_eq!(restore(Generation::Power10, register, 0, Some(0)), plain);
    }
}
