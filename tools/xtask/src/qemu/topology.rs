//! Which machine, and how its threads are spread over chips and cores.

use anyhow::{Result, ensure};
use clap::ValueEnum;
use std::fmt;

/// QEMU's PowerNV machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// POWER8: QEMU models no ChipTOD here.
    Powernv8,
    /// POWER9.
    Powernv9,
    /// POWER10.
    Powernv10,
}

impl Machine {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Powernv8, Self::Powernv9, Self::Powernv10];

    /// QEMU's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Powernv8 => "powernv8",
            Self::Powernv9 => "powernv9",
            Self::Powernv10 => "powernv10",
        }
    }

    /// Most threads of a core; `big_core`: two small cores act as one.
    fn core_threads(self, big_core: bool) -> u32 {
        match self {
            Self::Powernv8 => 8,
            Self::Powernv9 | Self::Powernv10 if big_core => 8,
            Self::Powernv9 | Self::Powernv10 => 4,
        }
    }

    /// Most cores of a chip.
    fn chip_cores(self) -> u32 {
        match self {
            Self::Powernv8 => 12,
            Self::Powernv9 | Self::Powernv10 => 24,
        }
    }

    /// Whether a broken TB can be repaired here: there is a ChipTOD to reload it from.
    pub(crate) fn has_chip_tod(self) -> bool {
        self != Self::Powernv8
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Chips, cores of a chip, threads of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) chips: u32,
    pub(crate) cores: u32,
    pub(crate) threads: u32,
    /// Two small cores act as one.
    pub(crate) big_core: bool,
}

impl Topology {
    /// Spreads `total` threads; without a wish for `threads`, cores are as wide as can be.
    pub(crate) fn new(
        machine: Machine,
        total: u32,
        chips: u32,
        threads: Option<u32>,
        big_core: bool,
    ) -> Result<Self> {
        ensure!(
            !big_core || machine != Machine::Powernv8,
            "--big-core: only POWER9 and POWER10 have small cores"
        );
        ensure!(
            matches!(chips, 1 | 2 | 4 | 8 | 16),
            "--chips: a machine has 1, 2, 4, 8 or 16 chips, not {chips}"
        );
        ensure!(
            (1..=64).contains(&total),
            "--smp: the firmware runs 1 to 64 threads, not {total}"
        );
        ensure!(
            total.is_multiple_of(chips),
            "--smp {total} threads do not spread evenly over {chips} chips"
        );
        let per_chip = total / chips;
        let widest = machine.core_threads(big_core);
        let threads = threads.unwrap_or_else(|| {
            // The widest core that divides the threads of a chip.
            (0..=widest.ilog2())
                .rev()
                .map(|power| 1 << power)
                .find(|n| per_chip.is_multiple_of(*n))
                .unwrap_or(1)
        });
        ensure!(
            threads.is_power_of_two() && threads <= widest,
            "--threads: a core of {machine} has 1, 2, 4{} threads, not {threads}",
            if widest == 8 { " or 8" } else { "" }
        );
        ensure!(
            per_chip.is_multiple_of(threads),
            "{per_chip} threads of a chip are no whole cores of {threads} threads"
        );
        let cores = per_chip / threads;
        ensure!(
            cores <= machine.chip_cores(),
            "a chip of {machine} has at most {} cores, not {cores}",
            machine.chip_cores()
        );
        Ok(Self {
            chips,
            cores,
            threads,
            big_core,
        })
    }

    /// All threads.
    pub(crate) fn total(self) -> u32 {
        self.chips * self.cores * self.threads
    }

    /// QEMU's `-smp`.
    pub(crate) fn smp(self) -> String {
        format!(
            "{},sockets={},cores={},threads={}",
            self.total(),
            self.chips,
            self.cores,
            self.threads
        )
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u32| if count == 1 { "" } else { "s" };
        write!(
            f,
            "{} chip{} x {} core{} x {} thread{}",
            self.chips,
            plural(self.chips),
            self.cores,
            plural(self.cores),
            self.threads,
            plural(self.threads)
        )?;
        f.write_str(if self.big_core { ", big cores" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smp(machine: Machine, total: u32, chips: u32, threads: Option<u32>) -> String {
        Topology::new(machine, total, chips, threads, false)
            .unwrap()
            .smp()
    }

    #[test]
    fn cores_are_as_wide_as_they_can_be() {
        use Machine::{Powernv8, Powernv9, Powernv10};
        assert_eq!(smp(Powernv10, 1, 1, None), "1,sockets=1,cores=1,threads=1");
        assert_eq!(smp(Powernv10, 4, 1, None), "4,sockets=1,cores=1,threads=4");
        assert_eq!(smp(Powernv9, 8, 1, None), "8,sockets=1,cores=2,threads=4");
        assert_eq!(smp(Powernv9, 8, 2, None), "8,sockets=2,cores=1,threads=4");
        assert_eq!(smp(Powernv8, 8, 1, None), "8,sockets=1,cores=1,threads=8");
        assert_eq!(smp(Powernv8, 8, 2, None), "8,sockets=2,cores=1,threads=4");
        assert_eq!(smp(Powernv9, 6, 1, None), "6,sockets=1,cores=3,threads=2");
        assert_eq!(
            smp(Powernv9, 4, 1, Some(1)),
            "4,sockets=1,cores=4,threads=1"
        );
    }

    #[test]
    fn impossible_machines_are_refused() {
        let refused = |total, chips, threads| {
            Topology::new(Machine::Powernv9, total, chips, threads, false)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(4, 3, None).contains("--chips"));
        assert!(refused(0, 1, None).contains("--smp"));
        assert!(refused(65, 1, None).contains("--smp"));
        assert!(refused(5, 2, None).contains("evenly"));
        assert!(refused(8, 1, Some(8)).contains("--threads"));
        assert!(refused(6, 1, Some(4)).contains("whole cores"));
        assert!(refused(32, 1, Some(1)).contains("cores"));
    }

    #[test]
    fn big_cores_have_eight_threads_and_power8_has_none() {
        let big = |machine| Topology::new(machine, 8, 1, None, true);
        assert_eq!(
            big(Machine::Powernv9).unwrap().smp(),
            "8,sockets=1,cores=1,threads=8"
        );
        assert!(big(Machine::Powernv8).is_err());
    }
}
