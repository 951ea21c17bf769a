//! Which register a SCOM address names.

use crate::configuration::{Configuration, Generation};
use crate::fir::SPAN;

/// A register of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreRegister {
    /// FIR and its companions, by their offset.
    Fir(u32),
    /// Error injection.
    Inject,
    /// POWER9: selects what SPRD shows.
    Sprc,
    /// POWER9: TFMR of the selected thread.
    Sprd,
    /// POWER9: sets HMER bits of a thread.
    HmerOr(usize),
    /// POWER9: clears HMER bits of a thread.
    HmerAnd(usize),
    /// POWER9: HMEER.
    Hmeer,
    /// Special wakeup.
    Wakeup,
    /// Whether special wakeup is done.
    WakeupDone,
    /// POWER9: written with zero it finds a core again that was lost after a wakeup.
    FindAgain,
    /// A register of the core that the model does not have.
    Unknown,
}

/// A core's place in its chip, and its register.
pub(crate) fn core_register(
    configuration: &Configuration,
    address: u32,
) -> Option<(usize, CoreRegister)> {
    match configuration.generation {
        Generation::Power8 => power8(address),
        Generation::Power9 => power9(address),
        Generation::Power10 => power10(address),
    }
}

fn power8(address: u32) -> Option<(usize, CoreRegister)> {
    if address >> 28 != 1 {
        return None;
    }
    let core = (address >> 24 & 0xf) as usize;
    let register = match address & 0xff_ffff {
        low @ 0x01_3100.. if low < 0x01_3100 + SPAN => CoreRegister::Fir(low - 0x01_3100),
        0x01_3281 => CoreRegister::Inject,
        0x0f_010d => CoreRegister::Wakeup,
        // General purpose register 0 of the power management.
        0x0f_0100 => CoreRegister::WakeupDone,
        _ => CoreRegister::Unknown,
    };
    Some((core, register))
}

fn power9(address: u32) -> Option<(usize, CoreRegister)> {
    let core = (address >> 24).checked_sub(0x20)? as usize;
    if core >= 0x20 {
        return None;
    }
    let register = match address & 0xff_ffff {
        0x01_0800 => CoreRegister::FindAgain,
        low @ 0x01_0a40..0x01_0a49 => CoreRegister::Fir(low - 0x01_0a40),
        0x01_0a80 => CoreRegister::Sprc,
        0x01_0a81 => CoreRegister::Sprd,
        0x01_0a84 => CoreRegister::Inject,
        low @ 0x01_0a8e..=0x01_0a91 => CoreRegister::HmerOr((low - 0x01_0a8e) as usize),
        low @ 0x01_0a92..=0x01_0a95 => CoreRegister::HmerAnd((low - 0x01_0a92) as usize),
        0x01_0a96 => CoreRegister::Hmeer,
        0x0f_010d => CoreRegister::Wakeup,
        0x0f_0114 => CoreRegister::WakeupDone,
        _ => CoreRegister::Unknown,
    };
    Some((core, register))
}

fn power10(address: u32) -> Option<(usize, CoreRegister)> {
    let chiplet = (address >> 24).checked_sub(0x20)? as usize;
    let select = address >> 12 & 0xf;
    if chiplet >= 8 || select.count_ones() != 1 {
        return None;
    }
    let core = chiplet * 4 + select.leading_zeros() as usize - 28;
    let register = match (address >> 16 & 0xff, address & 0xfff) {
        (0x02, low @ 0x440..0x449) => CoreRegister::Fir(low - 0x440),
        (0x02, 0x484) => CoreRegister::Inject,
        (0x0e, 0x83c) => CoreRegister::Wakeup,
        (0x0e, 0x82c) => CoreRegister::WakeupDone,
        _ => CoreRegister::Unknown,
    };
    Some((core, register))
}

/// SCOM address of register 0 of a POWER10 core.
pub(crate) const fn power10_core(core: usize) -> u32 {
    (0x20 + (core as u32 >> 2)) << 24 | 0x2_0000 | (8 >> (core & 3)) << 12
}

impl Configuration {
    /// SCOM address of a core's FIR in its chip; AND, OR, mask, actions and WOF follow it.
    #[must_use]
    pub const fn core_fir(&self, core: usize) -> u32 {
        let core = (core % self.cores_per_chip) as u32;
        match self.generation {
            Generation::Power8 => 0x1001_3100 | core << 24,
            Generation::Power9 => 0x0001_0a40 | (0x20 + core) << 24,
            Generation::Power10 => power10_core(core as usize) | 0x440,
        }
    }

    /// SCOM address of a core's error injection register.
    #[must_use]
    pub const fn core_injector(&self, core: usize) -> u32 {
        let core = (core % self.cores_per_chip) as u32;
        match self.generation {
            Generation::Power8 => 0x1001_3281 | core << 24,
            Generation::Power9 => 0x0001_0a84 | (0x20 + core) << 24,
            Generation::Power10 => power10_core(core as usize) | 0x484,
        }
    }
}
