//! What to break: drawn from a seed, so that a failure can be replayed.

use std::time::Duration;

use power_registers::Tfmr;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use crate::stuffing::Change;

/// Damage is at least this large: 16 ms, far beyond any tolerance.
const SMALLEST_JUMP_LOG2: u64 = 23;
/// A jump of TB that is larger than 2^55 ticks (2 years) is left to the other kinds of damage.
const LARGEST_JUMP_LOG2: u64 = 55;

/// What one fault is meant to be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    /// Number of the fault, from 1.
    pub number: u32,
    /// How long the machine runs before it strikes.
    pub delay: Duration,
    /// The core, as an index into the list of cores.
    pub core: usize,
    /// Error bits of TFMR.
    pub errors: u64,
    /// Damage for each thread of the core; the first one's is used where TB is shared.
    pub damage: Vec<Change>,
    /// Threads that are spared the HMI if they are in host context with interrupts closed or
    /// open; they come when their siblings summon them. Bit n is thread n of the core.
    pub spare: u64,
}

/// A generator whose numbers are the same everywhere and for ever.
#[derive(Debug)]
struct Dice(Xoshiro256PlusPlus);

impl Dice {
    fn new(seed: u64, number: u32) -> Self {
        // Each fault has numbers of its own: its plan does not depend on those before it.
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(number);
        Self(Xoshiro256PlusPlus::seed_from_u64(mixed))
    }

    fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.word() % limit.max(1)
    }
}

/// What the plans may choose from.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Threads of each core.
    pub cores: Vec<usize>,
    /// Only faults that QEMU lets software clear.
    pub repairable: bool,
    /// Threads in host context may be spared the HMI.
    pub spare_hosts: bool,
}

/// Draws a fault.
#[must_use]
pub fn draw(seed: u64, number: u32, choices: &Choices) -> Plan {
    let mut dice = Dice::new(seed, number);
    let delay = Duration::from_micros(1_000 + dice.below(79_000));
    let core = dice.below(choices.cores.len() as u64) as usize;
    let threads = choices.cores.get(core).copied().unwrap_or(1);
    let errors = if choices.repairable {
        Tfmr::FW_CONTROL_ERROR
    } else {
        // QEMU lets software clear none of these: the firmware must say so.
        let hopeless = [
            Tfmr::TB_MISSING_SYNC,
            Tfmr::TB_MISSING_STEP,
            Tfmr::TB_RESIDUE_ERROR,
            Tfmr::TBST_CORRUPT,
        ];
        let mut errors = Tfmr::empty();
        let chosen = 1 + dice.below(15);
        for (index, bit) in hopeless.into_iter().enumerate() {
            if chosen >> index & 1 == 1 {
                errors |= bit;
            }
        }
        errors
    };
    let damage = (0..threads).map(|_| draw_damage(&mut dice)).collect();
    // A third of the faults spares somebody.
    let spare = if choices.spare_hosts && dice.below(3) == 0 {
        dice.word()
    } else {
        0
    };
    Plan {
        number,
        delay,
        core,
        errors: errors.bits(),
        damage,
        spare,
    }
}

/// What else befalls a core that is struck.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// Nothing.
    None,
    /// A second error, in the course of the repair of the first.
    Second {
        /// Records that the core's threads write to the flight recorder before it.
        records: u64,
        /// Damage for each thread of the core.
        damage: Vec<Change>,
    },
    /// One thread keeps interrupts closed until all others are well.
    Held {
        /// The thread, by its number in the core.
        thread: usize,
    },
}

/// Records of a repair that each thread of the core writes, about.
const RECORDS_PER_THREAD: u64 = 5;
/// And those of its leader besides.
const RECORDS_OF_LEADER: u64 = 5;
/// Where the numbers of the extras are drawn from: those of the plans stay as they are.
const EXTRAS: u64 = 0x5eed_0002;

/// Draws what else befalls a core of so many threads: in three of ten faults a second error, in one a
/// thread that does not come.
#[must_use]
pub fn draw_extra(seed: u64, number: u32, threads: usize) -> Extra {
    let mut dice = Dice::new(seed ^ EXTRAS, number);
    match dice.below(10) {
        0..3 => second(&mut dice, threads),
        3 if threads > 1 => held(&mut dice, threads),
        _ => Extra::None,
    }
}

/// Draws when a second error strikes, and what damage it does.
#[must_use]
pub fn draw_second(seed: u64, number: u32, threads: usize) -> Extra {
    second(&mut Dice::new(seed ^ EXTRAS, number), threads)
}

/// Draws who does not come.
#[must_use]
pub fn draw_held(seed: u64, number: u32, threads: usize) -> Extra {
    held(&mut Dice::new(seed ^ EXTRAS, number), threads)
}

fn second(dice: &mut Dice, threads: usize) -> Extra {
    Extra::Second {
        records: 1 + dice.below(RECORDS_PER_THREAD * threads as u64 + RECORDS_OF_LEADER),
        damage: (0..threads).map(|_| draw_damage(dice)).collect(),
    }
}

fn held(dice: &mut Dice, threads: usize) -> Extra {
    Extra::Held {
        thread: dice.below(threads as u64) as usize,
    }
}

fn draw_damage(dice: &mut Dice) -> Change {
    let exponent = SMALLEST_JUMP_LOG2 + dice.below(LARGEST_JUMP_LOG2 - SMALLEST_JUMP_LOG2);
    let jump = 1 << exponent | dice.below(1 << exponent);
    match dice.below(5) {
        0 => Change::Add(jump),
        1 => Change::Add(jump.wrapping_neg()),
        2 => Change::Set(0),
        3 => Change::Set(dice.word()),
        // At least one of the bits that a TBU40 write reaches.
        _ => Change::Flip(dice.word() & !0xff_ffff | 1 << (24 + dice.below(40))),
    }
}

impl Plan {
    /// The plan in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        use std::fmt::Write as _;
        let errors: Vec<&str> = Tfmr::from_bits_retain(self.errors)
            .iter_names()
            .map(|(name, _)| name)
            .collect();
        let mut text = format!(
            "after {:.1} ms, {} on core #{}, TB",
            self.delay.as_secs_f64() * 1e3,
            errors.join(" and "),
            self.core
        );
        for (thread, damage) in self.damage.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = match damage {
                Change::Set(value) => write!(text, " [{thread}] := {value:#x}"),
                Change::Add(value) => write!(text, " [{thread}] {:+}", *value as i64),
                Change::Flip(value) => write!(text, " [{thread}] ^ {value:#x}"),
                Change::Clock(value) => {
                    write!(text, " [{thread}] := true time {:+}", *value as i64)
                }
            };
        }
        if self.spare != 0 {
            let _ = write!(text, ", sparing hosts {:#x}", self.spare & 0xff);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(repairable: bool) -> Choices {
        Choices {
            cores: vec![4, 4],
            repairable,
            spare_hosts: true,
        }
    }

    #[test]
    fn the_seed_decides_everything() {
        for number in 1..20 {
            assert_eq!(
                draw(7, number, &choices(true)),
                draw(7, number, &choices(true))
            );
        }
        assert_ne!(draw(7, 1, &choices(true)), draw(8, 1, &choices(true)));
        assert_ne!(draw(7, 1, &choices(true)), draw(7, 2, &choices(true)));
    }

    /// A recorded failure must stay replayable: the numbers are pinned.
    #[test]
    fn the_generator_is_pinned() {
        let plan = draw(1, 1, &choices(true));
        assert_eq!(
            plan.in_words(),
            "after 39.7 ms, FW_CONTROL_ERROR on core #0, TB [0] ^ 0x274f61874c000000 \
             [1] -57934495 [2] := 0x0 [3] -79146167356395, sparing hosts 0x37"
        );
    }

    #[test]
    fn extras_are_pinned_and_of_every_kind() {
        assert_eq!(draw_extra(1, 2, 4), Extra::Held { thread: 2 });
        assert_eq!(draw_extra(7, 9, 8), draw_extra(7, 9, 8));
        let mut counts = [0; 3];
        for number in 1..=1000 {
            match draw_extra(1, number, 4) {
                Extra::None => counts[0] += 1,
                Extra::Second { records, damage } => {
                    assert!((1..=25).contains(&records) && damage.len() == 4);
                    counts[1] += 1;
                }
                Extra::Held { thread } => {
                    assert!(thread < 4);
                    counts[2] += 1;
                }
            }
            // A thread without siblings comes when it comes.
            assert!(!matches!(draw_extra(1, number, 1), Extra::Held { .. }));
        }
        assert!(
            counts[0] > 500 && counts[1] > 200 && counts[2] > 50,
            "{counts:?}"
        );
    }

    #[test]
    fn damage_is_never_harmless() {
        for number in 1..500 {
            let plan = draw(3, number, &choices(true));
            assert!(
                plan.delay >= Duration::from_millis(1) && plan.delay < Duration::from_millis(80)
            );
            assert_eq!(plan.damage.len(), 4);
            for damage in plan.damage {
                match damage {
                    Change::Add(value) => {
                        assert!((value as i64).unsigned_abs() >= 1 << SMALLEST_JUMP_LOG2);
                    }
                    Change::Flip(value) => assert!(value >= 1 << 24),
                    Change::Set(_) => {}
                    Change::Clock(_) => panic!("the true time is no damage"),
                }
            }
        }
    }

    #[test]
    fn hopeless_faults_have_a_bit_that_stays() {
        for number in 1..100 {
            let errors = Tfmr::from_bits_retain(draw(5, number, &choices(false)).errors);
            assert!(!errors.is_empty());
            assert!(!errors.contains(Tfmr::FW_CONTROL_ERROR));
        }
    }
}
