//! Where the registers are, as data.
//!
//! Which chips have which units: NX and CAPP stand at fixed places and are asked; a chip that has
//! none answers with a SCOM error that says so. NPU and PAU are named by the device tree, since
//! their number and places differ from chip to chip.
//!
//! Source: HMI and ChipTOD specification, sections 4.8 and 5.4. The FIR masks of the cores, and the
//! register that sets NX FIR bits, stand where every FIR of these chips has them: three and two
//! behind it. The second CAPP of POWER8 NVL and POWER9, and PM GP0 of POWER8, are from public
//! hardware headers.

use crate::chip_tod::core_scom;
use crate::platform::Generation;
use power_registers::fir::{
    CORE_POWER8_POWER9, CORE_POWER10, CoreFirRow, WAKEUP_DONE, WAKEUP_DONE_POWER8,
};

/// From a FIR to the register that sets bits of it.
const FIR_OR: u32 = 2;
/// From a FIR to its mask.
const FIR_MASK: u32 = 3;
/// From a FIR to its first and second action register.
const FIR_ACTIONS: [u32; 2] = [6, 7];

/// What there is to a core's FIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CoreFir {
    pub(super) fir: u32,
    pub(super) mask: u32,
    /// Who was on first. POWER8 does not let it be read.
    pub(super) wof: Option<u32>,
}

/// The FIR of a small core, by its number on the chip.
pub(super) const fn core_fir(generation: Generation, core: u32) -> CoreFir {
    let (fir, wof) = match generation {
        Generation::Power8 => (0x1001_3100, None),
        Generation::Power9 => (0x0001_0a40, Some(0x0001_0a48)),
        Generation::Power10 => (0x440, Some(0x448)),
    };
    CoreFir {
        fir: core_scom(generation, core, fir),
        mask: core_scom(generation, core, fir + FIR_MASK),
        wof: match wof {
            Some(wof) => Some(core_scom(generation, core, wof)),
            None => None,
        },
    }
}

/// What the bits of a core's FIR mean.
pub(crate) const fn core_rows(generation: Generation) -> &'static [CoreFirRow] {
    match generation {
        Generation::Power8 | Generation::Power9 => CORE_POWER8_POWER9,
        Generation::Power10 => CORE_POWER10,
    }
}

/// Special wakeup of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wakeup {
    /// Takes the request, and 0 to take it back.
    pub(super) request: u32,
    /// Says when it is done.
    pub(super) status: u32,
    /// How it says so.
    pub(super) done: u64,
}

/// Special wakeup of a small core, by its number on the chip.
pub(super) const fn wakeup(generation: Generation, core: u32) -> Wakeup {
    match generation {
        Generation::Power8 => Wakeup {
            request: core_scom(generation, core, 0x100f_010d),
            status: core_scom(generation, core, 0x100f_0100),
            done: WAKEUP_DONE_POWER8,
        },
        Generation::Power9 => Wakeup {
            request: core_scom(generation, core, 0x000f_010d),
            status: core_scom(generation, core, 0x000f_0114),
            done: WAKEUP_DONE,
        },
        Generation::Power10 => Wakeup {
            request: power10_qme(core, 0x83c),
            status: power10_qme(core, 0x82c),
            done: WAKEUP_DONE,
        },
    }
}

/// A register of the engine that powers a POWER10 core, by the core's number.
const fn power10_qme(core: u32, register: u32) -> u32 {
    (0x20 + (core >> 2)) << 24 | 0xe_0000 | (1 << (3 - (core & 3))) << 12 | register
}

/// The registers of NX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nx {
    pub(super) status: u32,
    pub(super) dma_engine: u32,
    /// Sets bits of [`Self::dma_engine`].
    pub(super) dma_engine_or: u32,
    pub(super) powerbus: u32,
}

/// NX of a chip; on POWER10 it does not alarm.
pub(super) const fn nx(generation: Generation) -> Option<Nx> {
    let (status, dma_engine, powerbus) = match generation {
        Generation::Power8 => (0x0201_3040, 0x0201_3100, 0x0201_3080),
        Generation::Power9 => (0x0201_1040, 0x0201_1100, 0x0201_1080),
        Generation::Power10 => return None,
    };
    Some(Nx {
        status,
        dma_engine,
        dma_engine_or: dma_engine + FIR_OR,
        powerbus,
    })
}

/// The registers of a CAPP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capp {
    pub(super) fir: u32,
    pub(super) mask: u32,
    pub(super) error_status: u32,
}

/// The CAPPs that a chip may have.
pub(super) fn capps(generation: Generation) -> impl Iterator<Item = Capp> {
    let firs: &[u32] = match generation {
        Generation::Power8 => &[0x0201_3000, 0x0201_3180],
        Generation::Power9 => &[0x0201_0800, 0x0401_0800],
        Generation::Power10 => &[],
    };
    firs.iter().map(|&fir| Capp {
        fir,
        mask: fir + FIR_MASK,
        error_status: fir + 0xe,
    })
}

/// One FIR of an NPU or PAU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NpuFir {
    /// Its number, as reasons name it.
    pub(super) number: u8,
    pub(super) fir: u32,
    pub(super) mask: u32,
    pub(super) actions: [u32; 2],
}

/// The FIRs of the NPU or PAU at this base.
pub(super) fn npu_firs(generation: Generation, base: u32) -> impl Iterator<Item = NpuFir> {
    let (offset, count) = match generation {
        Generation::Power8 => (0, 1),
        Generation::Power9 => (0x2c00, 3),
        Generation::Power10 => (0x400, 3),
    };
    (0..count).map(move |number: u8| {
        let fir = base
            .wrapping_add(offset)
            .wrapping_add(u32::from(number) * 0x40);
        NpuFir {
            number,
            fir,
            mask: fir.wrapping_add(FIR_MASK),
            actions: FIR_ACTIONS.map(|action| fir.wrapping_add(action)),
        }
    })
}

/// Whether the reasons of an NPU are told: the NPU of POWER8 has none.
pub(super) const fn npu_tells_reasons(generation: Generation) -> bool {
    !matches!(generation, Generation::Power8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn core_registers_of_each_generation() {
        let of = core_fir(Generation::Power8, 5);
        assert_eq!((of.fir, of.mask, of.wof), (0x1501_3100, 0x1501_3103, None));
        let of = core_fir(Generation::Power9, 1);
        let (fir, mask) = (0x2101_0a40, 0x2101_0a43);
        assert_eq!((of.fir, of.mask, of.wof), (fir, mask, Some(0x2101_0a48)));
        let of = core_fir(Generation::Power10, 0);
        let (fir, mask) = (0x2002_8440, 0x2002_8443);
        assert_eq!((of.fir, of.mask, of.wof), (fir, mask, Some(0x2002_8448)));
    }

    #[test]
    fn wakeup_registers_of_each_generation() {
        let of = |generation, core| {
            let Wakeup {
                request,
                status,
                done,
            } = wakeup(generation, core);
            (request, status, done)
        };
        assert_eq!(
            of(Generation::Power8, 5),
            (0x150f_010d, 0x150f_0100, 0x1_0000_0000)
        );
        assert_eq!(
            of(Generation::Power9, 1),
            (0x210f_010d, 0x210f_0114, 0x4000_0000_0000_0000)
        );
        assert_eq!(
            of(Generation::Power10, 5),
            (0x210e_483c, 0x210e_482c, 0x4000_0000_0000_0000)
        );
    }

    #[test]
    fn units_of_each_generation() {
        assert_eq!(nx(Generation::Power8).unwrap().dma_engine_or, 0x0201_3102);
        assert_eq!(nx(Generation::Power9).unwrap().dma_engine_or, 0x0201_1102);
        assert_eq!(nx(Generation::Power10), None);
        let capp: Vec<_> = capps(Generation::Power9).collect();
        assert_eq!(
            (capp[0].mask, capp[0].error_status),
            (0x0201_0803, 0x0201_080e)
        );
        assert_eq!(capp[1].fir - capp[0].fir, 0x0200_0000);
        assert_eq!(capps(Generation::Power10).count(), 0);
    }

    #[test]
    fn firs_of_npu_and_pau() {
        let firs: Vec<_> = npu_firs(Generation::Power9, 0x0501_1000).collect();
        let addresses: Vec<_> = firs.iter().map(|fir| fir.fir).collect();
        assert_eq!(addresses, [0x0501_3c00, 0x0501_3c40, 0x0501_3c80]);
        assert_eq!(firs[2].actions, [0x0501_3c86, 0x0501_3c87]);
        assert_eq!(npu_firs(Generation::Power8, 0x0801_3c00).count(), 1);
        let pau = npu_firs(Generation::Power10, 0x1001_0800).next().unwrap();
        assert_eq!((pau.fir, pau.mask), (0x1001_0c00, 0x1001_0c03));
    }
}
