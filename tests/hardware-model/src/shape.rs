//! How a machine is laid out: threads, cores, chips, their numbers and windows.

use crate::configuration::{Configuration, Generation};

impl Configuration {
    /// Cores of the machine.
    #[must_use]
    pub const fn cores(&self) -> usize {
        self.chips * self.cores_per_chip
    }

    /// Threads of the machine.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.cores() * self.threads_per_core
    }

    /// Index of the core that a thread belongs to.
    #[must_use]
    pub const fn core_of(&self, thread: usize) -> usize {
        thread / self.threads_per_core
    }

    /// Number of a thread within its core.
    #[must_use]
    pub const fn number_in_core(&self, thread: usize) -> usize {
        thread % self.threads_per_core
    }

    /// The other small core of a fused core.
    #[must_use]
    pub const fn pair_of(&self, core: usize) -> Option<usize> {
        if !self.fused {
            return None;
        }
        let first = core - core % self.cores_per_chip;
        let pair = (core - first) ^ 1;
        if pair < self.cores_per_chip {
            Some(first + pair)
        } else {
            None
        }
    }

    /// Index of the chip that a core belongs to.
    #[must_use]
    pub const fn chip_of(&self, core: usize) -> usize {
        core / self.cores_per_chip
    }

    /// Id of a chip.
    #[must_use]
    pub fn chip_id(&self, chip: usize) -> u32 {
        self.chip_ids.get(chip).copied().unwrap_or(chip as u32)
    }

    /// Processor Identification Register of a thread.
    #[must_use]
    pub fn pir(&self, thread: usize) -> u32 {
        let core = self.core_of(thread);
        let chip = self.chip_id(self.chip_of(core)) as usize;
        let core = core % self.cores_per_chip;
        let number = self.number_in_core(thread);
        let pir = match self.generation {
            Generation::Power8 => chip << 7 | core << 3 | number,
            _ if self.fused => chip << 8 | core >> 1 << 3 | number << 1 | core & 1,
            Generation::Power9 | Generation::Power10 => chip << 8 | core << 2 | number,
        };
        u32::try_from(pir).expect("a small number")
    }

    /// Real address of a chip's XSCOM window.
    #[must_use]
    pub const fn xscom_base(&self, chip: usize) -> u64 {
        let chip = chip as u64;
        match self.generation {
            Generation::Power8 => 0x0003_fc00_0000_0000 + chip * 0x8_0000_0000,
            Generation::Power9 => 0x0006_03fc_0000_0000 + (chip << 42),
            Generation::Power10 => 0x0006_03fc_0000_0000 + (chip << 44),
        }
    }

    /// Bytes of a chip's XSCOM window.
    #[must_use]
    pub const fn xscom_size(&self) -> u64 {
        match self.generation {
            Generation::Power8 => 0x8_0000_0000,
            Generation::Power9 | Generation::Power10 => 0x4_0000_0000,
        }
    }
}
