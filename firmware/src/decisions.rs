//! Which rows of the decision tables were acted upon: the measure of how much of the recovery a
//! campaign of tests has seen.
//!
//! A row is one bit of the register that the table decodes, by its IBM number; so a table is one
//! word, and a hit is one atomic OR.

use crate::malfunction;
use crate::platform::Generation;
use core::sync::atomic::{AtomicU64, Ordering};
use power_registers::{Hmer, Tfmr, ibm};

/// A decision table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Causes in HMER.
    Hmer,
    /// What TFMR says is wrong; [`NO_REASON`] is the row of an invalid TB without an error bit.
    Tfmr,
    /// Bits of a ChipTOD's ERROR.
    Tod,
    /// Bits of a core's FIR.
    CoreFir,
    /// Bits of the NX DMA and engine FIR, and bit 12 of the PowerBus interface FIR.
    Nx,
    /// [`CAPP_RECOVERY`] alone.
    Capp,
    /// Bits of any of the FIRs of an NPU or PAU.
    Npu,
}

/// Row of [`Table::Tfmr`]: TB is not valid (bit 41 is 0), and no bit says why.
pub const NO_REASON: u32 = 41;
/// Row of [`Table::Capp`]: the CAPP asks for its recovery (error status, bit 0).
pub const CAPP_RECOVERY: u32 = 0;

impl Table {
    /// Every table.
    pub const ALL: [Self; 7] = [
        Self::Hmer,
        Self::Tfmr,
        Self::Tod,
        Self::CoreFir,
        Self::Nx,
        Self::Capp,
        Self::Npu,
    ];
}

/// The hits.
#[derive(Debug, Default)]
pub struct Decisions {
    hits: [AtomicU64; Table::ALL.len()],
}

impl Decisions {
    /// No row was hit.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            hits: [const { AtomicU64::new(0) }; Table::ALL.len()],
        }
    }

    /// The row of this IBM bit was acted upon. A number beyond 63 is ignored.
    pub fn hit(&self, table: Table, bit: u32) {
        if bit < 64 {
            self.hit_all(table, ibm(bit));
        }
    }

    /// The rows of all these bits were acted upon.
    pub fn hit_all(&self, table: Table, bits: u64) {
        if bits != 0 {
            self.hits[table as usize].fetch_or(bits, Ordering::Relaxed);
        }
    }

    /// Rows that were acted upon so far.
    #[must_use]
    pub fn hits(&self, table: Table) -> u64 {
        self.hits[table as usize].load(Ordering::Relaxed)
    }

    /// Rows that the table has on a generation.
    #[must_use]
    pub const fn rows(table: Table, generation: Generation) -> u64 {
        let power10 = matches!(generation, Generation::Power10);
        match table {
            Table::Hmer => Hmer::IMPLEMENTED & !Hmer::XSCOM_MAILBOX.bits(),
            Table::Tfmr => {
                let errors = Tfmr::CORE_ERRORS.bits() | Tfmr::THREAD_CLEANUP.bits();
                let commands = Tfmr::LOAD_TOD_MOD.bits() | Tfmr::MOVE_CHIP_TOD_TO_TB.bits();
                let all = errors
                    | commands
                    | ibm(NO_REASON)
                    | Tfmr::CHIP_TOD_INTERRUPT.bits()
                    | ibm(54)
                    | ibm(56);
                if power10 {
                    all & !ibm(54)
                } else {
                    all & !ibm(25)
                }
            }
            Table::Tod => u64::MAX,
            Table::CoreFir => malfunction::core_fir_rows(generation),
            Table::Nx => malfunction::nx_rows(generation),
            Table::Capp => {
                if power10 {
                    0
                } else {
                    ibm(CAPP_RECOVERY)
                }
            }
            Table::Npu => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_of_its_table_and_stays() {
        let decisions = Decisions::new();
        decisions.hit(Table::Tod, 0);
        decisions.hit(Table::Tod, 63);
        decisions.hit(Table::Tod, 64);
        decisions.hit_all(Table::Npu, 0xff);
        for table in Table::ALL {
            let expected = match table {
                Table::Tod => 0x8000_0000_0000_0001,
                Table::Npu => 0xff,
                _ => 0,
            };
            assert_eq!(decisions.hits(table), expected, "{table:?}");
        }
    }

    #[test]
    fn the_xscom_mailbox_is_no_row() {
        let rows = Decisions::rows(Table::Hmer, Generation::Power9);
        assert_eq!(rows, 0xff3f_f800_0000_0000);
    }

    #[test]
    fn tfmr_rows_are_those_of_the_generation() {
        let rows = |generation| Decisions::rows(Table::Tfmr, generation);
        assert_eq!(
            rows(Generation::Power9) ^ rows(Generation::Power10),
            ibm(25) | ibm(54)
        );
    }
}
