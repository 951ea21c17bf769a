//! What a chip has beside its TOD and cores: the malfunction alert register, the NX, CAPP and NPU
//! units as far as their attention goes, and the XSCOM engine.

use crate::configuration::{Configuration, Generation};
use crate::fir::{Fir, SPAN};
use crate::model::Model;
use alloc::vec::Vec;
use power_registers::{Hmer, ibm};

/// NX status: an HMI is asked for.
pub(crate) const NX_HMI_ACTIVE: u64 = ibm(54);

/// SCOM addresses that differ by generation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) alert: u32,
    pub(crate) tp_fir: u32,
    /// Receive status, log, error.
    pub(crate) engine: [u32; 3],
    pub(crate) nx_status: u32,
    pub(crate) nx_dma_fir: u32,
    pub(crate) nx_pbi_fir: u32,
    pub(crate) capp_fir: u32,
}

impl Addresses {
    pub(crate) const fn of(generation: Generation) -> Self {
        match generation {
            Generation::Power8 => Self {
                alert: 0x0202_0011,
                tp_fir: 0x0104_000a,
                engine: [0x0202_000f, 0x0202_0007, 0x0202_0009],
                nx_status: 0x0201_3040,
                nx_dma_fir: 0x0201_3100,
                nx_pbi_fir: 0x0201_3080,
                capp_fir: 0x0201_3000,
            },
            Generation::Power9 => Self {
                alert: 0x0009_0022,
                tp_fir: 0x0104_000a,
                engine: [0x0009_0018, 0x0009_0012, 0x0009_0013],
                nx_status: 0x0201_1040,
                nx_dma_fir: 0x0201_1100,
                nx_pbi_fir: 0x0201_1080,
                capp_fir: 0x0201_0800,
            },
            Generation::Power10 => Self {
                tp_fir: 0x0104_0100,
                ..Self::of(Generation::Power9)
            },
        }
    }
}

/// SCOM address of an NPU's or PAU's FIR.
pub(crate) const fn npu_fir(generation: Generation, base: u32, fir: u32) -> u32 {
    match generation {
        Generation::Power8 => base,
        Generation::Power9 => base + 0x2c00 + fir * 0x40,
        Generation::Power10 => base + 0x400 + fir * 0x40,
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ChipUnits {
    /// Chips that raised a malfunction alert, one bit each.
    pub(crate) alert: u64,
    /// By the address of the FIR.
    firs: Vec<(u32, Fir)>,
    /// Registers with plain storage.
    plain: Vec<(u32, u64)>,
    /// The engine answers "busy" until it was reset.
    pub(crate) blocked: bool,
    /// Engine registers written since it was blocked, one bit each.
    pub(crate) reset_steps: u8,
}

impl ChipUnits {
    pub(crate) fn new(configuration: &Configuration) -> Self {
        let generation = configuration.generation;
        let addresses = Addresses::of(generation);
        let mut firs = alloc::vec![(addresses.tp_fir, Fir::default())];
        let mut plain = Vec::new();
        if generation != Generation::Power10 {
            firs.push((addresses.nx_dma_fir, Fir::default()));
            firs.push((addresses.nx_pbi_fir, Fir::default()));
            plain.push((addresses.nx_status, 0));
            for offset in &configuration.capps {
                firs.push((addresses.capp_fir + offset, Fir::default()));
                plain.push((addresses.capp_fir + offset + 0xe, 0));
            }
        }
        let count = if generation == Generation::Power8 {
            1
        } else {
            3
        };
        for base in &configuration.npus {
            for fir in 0..count {
                firs.push((npu_fir(generation, *base, fir), Fir::default()));
            }
        }
        Self {
            alert: 0,
            firs,
            plain,
            blocked: false,
            reset_steps: 0,
        }
    }

    /// The FIR that an address belongs to, and the offset in its group.
    pub(crate) fn fir(&mut self, address: u32) -> Option<(&mut Fir, u32)> {
        let (base, fir) = self
            .firs
            .iter_mut()
            .find(|(base, _)| address >= *base && address - *base < SPAN)?;
        Some((fir, address - *base))
    }

    pub(crate) fn peek_fir(&self, address: u32) -> Option<u64> {
        let (base, fir) = self
            .firs
            .iter()
            .find(|(base, _)| address >= *base && address - *base < SPAN)?;
        fir.read(address - *base)
    }

    pub(crate) fn plain(&self, address: u32) -> Option<u64> {
        let found = self.plain.iter().find(|(known, _)| *known == address);
        found.map(|(_, value)| *value)
    }

    pub(crate) fn set_plain(&mut self, address: u32, value: u64) -> Option<()> {
        let found = self.plain.iter_mut().find(|(known, _)| *known == address);
        found.map(|(_, cell)| *cell = value)
    }

    pub(crate) fn provide(&mut self, address: u32, value: u64) {
        if self.set_plain(address, value).is_none() {
            self.plain.push((address, value));
        }
    }

    /// A unit's FIR asks for attention.
    pub(crate) fn attention(&mut self, address: u32, bits: u64) {
        if let Some((fir, _)) = self.fir(address) {
            fir.set(bits);
            fir.action = fir.action.map(|action| action | bits);
        }
    }
}

impl Model {
    /// A chip raises a malfunction alert: every chip notes it, and every thread of the machine
    /// gets it.
    pub(crate) fn alert(&mut self, chip: usize) {
        let bit = ibm(self.configuration.chip_id(chip) & 0x3f);
        for unit in &mut self.units {
            unit.alert |= bit;
        }
        for thread in &mut self.threads {
            thread.raise(Hmer::MALFUNCTION_ALERT.bits());
        }
    }
}
