//! Plays a sequence on the model beside the values that QEMU gave, and compares each.

mod scom;
mod tfmr;
mod timebase;

use crate::access::{Access, Operation};
use crate::rules::{Counts, Rule};
use hardware_model::{Configuration, Costs, Generation, Machine, Start, Thread};
use power_registers::{Hmer, Spr, ibm_range};
use std::fmt;

/// Accesses before a disagreement that are shown with it.
const SHOWN: usize = 24;

/// An access whose value QEMU and the model do not agree on.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// Its number in the sequence.
    pub number: usize,
    /// The accesses up to it, with QEMU's values.
    pub history: Vec<(Access, u64)>,
    /// What the model read, in QEMU's terms as far as the rules go.
    pub model: u64,
    /// Bits that were compared.
    pub compared: u64,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "access {} is not explained by any rule:", self.number)?;
        for (access, value) in &self.history {
            writeln!(f, "    {access}  [QEMU: {value:#018x}]")?;
        }
        write!(
            f,
            "    model: {:#018x}, compared: {:#018x}",
            self.model, self.compared
        )
    }
}

/// What came of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Accesses that were played.
    pub accesses: u64,
    /// Values read that were compared.
    pub reads: u64,
    /// How often each rule was needed.
    pub counts: Counts,
    /// What no rule explains.
    pub disagreements: Vec<Disagreement>,
}

impl Outcome {
    /// Adds another run.
    pub fn add(&mut self, other: Self) {
        self.accesses += other.accesses;
        self.reads += other.reads;
        self.counts.add(&other.counts);
        self.disagreements.extend(other.disagreements);
    }
}

/// The model as near to QEMU as its own switches bring it: reset state, no time but what the
/// player lets pass, one write enough.
#[must_use]
pub fn like_qemu(mut configuration: Configuration) -> Configuration {
    configuration.core_hz = 1_000_000_000;
    configuration.start = Start::Reset;
    configuration.epoch = 0;
    configuration.write_twice = false;
    configuration.latched_errors = false;
    configuration.trace = false;
    configuration.costs = Costs {
        spr: 0,
        xscom: 0,
        xscom_latency: 0,
        relax: 0,
        // Not 0: a command completes when the player says so.
        command: 1,
        tod_stop: 0,
        tod_start: 0,
        wakeup: 0,
    };
    configuration
}

/// What a read is compared with.
struct Expected {
    value: u64,
    mask: u64,
}

impl Expected {
    const fn exactly(value: u64) -> Self {
        Self {
            value,
            mask: u64::MAX,
        }
    }

    const fn anything() -> Self {
        Self { value: 0, mask: 0 }
    }
}

/// The model and what is to be remembered of QEMU.
struct Player {
    machine: Machine,
    counts: Counts,
    cores: Vec<tfmr::Core>,
    timebases: Vec<timebase::Copy>,
    roles_written: Vec<bool>,
    number: u64,
}

impl Player {
    fn thread(&self, index: usize) -> Thread<'_> {
        self.machine.thread(index)
    }

    fn core_of(&self, thread: usize) -> usize {
        self.machine.configuration().core_of(thread)
    }

    fn hit(&mut self, rule: Rule) {
        self.counts.hit(rule);
    }

    /// A bit field that QEMU always shows as 0; QEMU's value is then not allowed to have it.
    fn absent(&mut self, rule: Rule, field: u64, expected: &mut Expected) {
        if expected.value & field != 0 {
            self.hit(rule);
        }
        expected.value &= !field;
    }

    fn play(&mut self, access: Access, qemu: u64) -> Expected {
        let Access { thread, operation } = access;
        match operation {
            Operation::ReadSpr(Spr::Tfmr) => self.read_tfmr(thread, qemu),
            Operation::WriteSpr(Spr::Tfmr, value) => {
                self.write_tfmr(thread, value);
                Expected::exactly(value)
            }
            Operation::ReadSpr(Spr::Tb) => self.read_timebase(thread, qemu),
            Operation::WriteSpr(spr @ (Spr::Tbwl | Spr::Tbwu | Spr::Tbu40), value) => {
                self.write_timebase(thread, spr, value);
                Expected::exactly(value)
            }
            Operation::ReadSpr(Spr::Hmer) => {
                let mut expected = Expected::exactly(self.thread(thread).read_spr(Spr::Hmer));
                self.absent(Rule::NoHmi, Hmer::TIMER.bits(), &mut expected);
                self.absent(Rule::NoXscomStatus, ibm_range(21, 23), &mut expected);
                expected
            }
            Operation::ReadSpr(Spr::Hmeer) => {
                let value = self.thread(thread).read_spr(Spr::Hmeer);
                if (qemu ^ value) & !Hmer::IMPLEMENTED != 0 {
                    self.hit(Rule::HmeerStorage);
                }
                Expected {
                    value,
                    mask: Hmer::IMPLEMENTED,
                }
            }
            Operation::ReadSpr(spr) => Expected::exactly(self.thread(thread).read_spr(spr)),
            Operation::WriteSpr(spr, value) => {
                self.thread(thread).write_spr(spr, value);
                Expected::exactly(value)
            }
            Operation::ReadScom { chip, address } => self.read_scom(thread, chip, address, qemu),
            Operation::WriteScom {
                chip,
                address,
                value,
            } => {
                self.write_scom(thread, chip, address, value);
                Expected::exactly(value)
            }
        }
    }
}

/// Compares QEMU's values with the model's.
///
/// Stops at the first disagreement: what follows it means nothing.
///
/// # Panics
/// If there is not one value for each access.
#[must_use]
pub fn compare(configuration: Configuration, sequence: &[Access], values: &[u64]) -> Outcome {
    assert_eq!(sequence.len(), values.len(), "one value for each access");
    let copies = configuration.threads();
    let mut player = Player {
        cores: vec![tfmr::Core::default(); configuration.cores()],
        timebases: vec![timebase::Copy::default(); copies],
        roles_written: vec![false; configuration.chips],
        machine: Machine::new(configuration),
        counts: Counts::default(),
        number: 0,
    };
    if player.machine.configuration().generation == Generation::Power8 {
        player.start_tod(0);
    }
    let mut outcome = Outcome::default();
    for (number, (access, qemu)) in sequence.iter().zip(values).enumerate() {
        player.number = number as u64;
        let expected = player.play(*access, *qemu);
        outcome.accesses += 1;
        outcome.reads += u64::from(matches!(
            access.operation,
            Operation::ReadSpr(_) | Operation::ReadScom { .. }
        ));
        if (expected.value ^ qemu) & expected.mask != 0 {
            let from = (number + 1).saturating_sub(SHOWN);
            outcome.disagreements.push(Disagreement {
                number,
                history: sequence[from..=number]
                    .iter()
                    .copied()
                    .zip(values[from..=number].iter().copied())
                    .collect(),
                model: expected.value,
                compared: expected.mask,
            });
            break;
        }
    }
    outcome.counts = player.counts;
    outcome
}
