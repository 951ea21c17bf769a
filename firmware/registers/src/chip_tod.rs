//! ChipTOD registers: addresses in the SCOM space of a chip, and their bits.
//!
//! Source: HMI and ChipTOD specification, section 3.3 to 3.6.

use crate::{ibm, ibm_range};

/// A ChipTOD register, by its SCOM address; the same on POWER8, POWER9 and POWER10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are the hardware's own")]
pub enum TodRegister {
    MasterPathControl = 0x40000,
    PrimaryPort0Control = 0x40001,
    PrimaryPort1Control = 0x40002,
    SecondaryPort0Control = 0x40003,
    SecondaryPort1Control = 0x40004,
    SlavePathControl = 0x40005,
    InternalPathControl = 0x40006,
    PssMssControl = 0x40007,
    PssMssStatus = 0x40008,
    ChipControl = 0x40010,
    /// Switch between primary and secondary topology.
    TxTtype1 = 0x40012,
    /// Enable the step checkers on all chips.
    TxTtype2 = 0x40013,
    /// Request the TOD value from the network.
    TxTtype3 = 0x40014,
    /// Send the local TOD to all.
    TxTtype4 = 0x40015,
    /// Invalidate all other TODs.
    TxTtype5 = 0x40016,
    MoveTodToTb = 0x40017,
    LoadTodMod = 0x40018,
    TodValue = 0x40020,
    LoadTod = 0x40021,
    StartTod = 0x40022,
    Fsm = 0x40024,
    /// Target of MOVE_TOD_TO_TB ("PIB master").
    TxTtypeControl = 0x40027,
    Error = 0x40030,
    ErrorInject = 0x40031,
    ErrorMask = 0x40032,
    ErrorRouting = 0x40033,
}

impl TodRegister {
    /// The SCOM address.
    #[must_use]
    pub const fn address(self) -> u32 {
        self as u32
    }

    /// The nine registers that firmware caches, in the order of section 3.7.
    pub const CACHED: [Self; 9] = [
        Self::MasterPathControl,
        Self::PrimaryPort0Control,
        Self::PrimaryPort1Control,
        Self::SecondaryPort0Control,
        Self::SecondaryPort1Control,
        Self::SlavePathControl,
        Self::InternalPathControl,
        Self::PssMssControl,
        Self::ChipControl,
    ];
}

/// Bit 0, by which the command registers (TTYPE, MOVE, LOAD_TOD_MOD) are triggered.
pub const TRIGGER: u64 = ibm(0);
/// FSM: the TOD is running. Test this bit, never the state code.
pub const FSM_RUNNING: u64 = ibm(4);
/// FSM: the state.
pub const FSM_STATE: u64 = ibm_range(0, 3);
/// FSM: the state of a TOD that runs, 2.
pub const FSM_STATE_RUNNING: u64 = ibm(2);
/// TX_TTYPE_CTRL: this chip answers requests of the network although it is not the master (TTYPE4
/// send mode and its enable).
pub const ANSWERS_REQUESTS: u64 = ibm_range(32, 33);
/// LOAD_TOD: the part of a value below the sync period of 16 us, in ticks.
pub const SYNC_PERIOD_TICKS: u64 = 0x2000;
/// LOAD_TOD: the last step before a sync. Bit 63 is 0, which starts the TOD.
pub const LAST_STEP_BEFORE_SYNC: u64 = 0x1ff0;

bitflags::bitflags! {
    /// PSS_MSS_STATUS (0x40008): the network as a chip sees it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct TodStatus: u64 {
        /// The secondary topology is in use (all three bits), else the primary (none).
        const SECONDARY_IN_USE = ibm_range(0, 2);
        /// Steps of master path 0 are valid.
        const M_PATH_0_VALID = ibm(6);
        /// Steps of master path 1 are valid.
        const M_PATH_1_VALID = ibm(7);
        /// Steps of slave path 0 are valid.
        const S_PATH_0_VALID = ibm(8);
        /// Steps of slave path 1 are valid.
        const S_PATH_1_VALID = ibm(10);
        /// The primary topology selects master path 1.
        const PRIMARY_M_PATH_1 = ibm(12);
        /// The primary topology selects slave path 1.
        const PRIMARY_S_PATH_1 = ibm(15);
        /// The secondary topology selects master path 1.
        const SECONDARY_M_PATH_1 = ibm(16);
        /// The secondary topology selects slave path 1.
        const SECONDARY_S_PATH_1 = ibm(19);
        /// This chip is the active master.
        const ACTIVE_MASTER = ibm(23);
        /// This chip is the backup master.
        const BACKUP_MASTER = ibm(24);
        /// Bits without a name here.
        const _ = !0;
    }

    /// PSS_MSS_CTRL (0x40007): the part that a chip plays in both topologies.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct TodRoles: u64 {
        /// Primary topology: this chip has the master TOD of its drawer.
        const PRIMARY_MASTER_TOD = ibm(1);
        /// Primary topology: its drawer is the master drawer.
        const PRIMARY_MASTER_DRAWER = ibm(2);
        /// Secondary topology: this chip has the master TOD of its drawer.
        const SECONDARY_MASTER_TOD = ibm(9);
        /// Secondary topology: its drawer is the master drawer.
        const SECONDARY_MASTER_DRAWER = ibm(10);
        /// Bits without a name here.
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// The ChipTOD ERROR register (0x40030), write-one-to-clear.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct TodError: u64 {
        /// Parity of register 0x00.
        const PARITY_00 = ibm(0);
        /// Parity of register 0x01.
        const PARITY_01 = ibm(3);
        /// Parity of register 0x02.
        const PARITY_02 = ibm(4);
        /// Parity of register 0x03.
        const PARITY_03 = ibm(5);
        /// Parity of register 0x04.
        const PARITY_04 = ibm(6);
        /// Parity of register 0x05.
        const PARITY_05 = ibm(7);
        /// Parity of register 0x06.
        const PARITY_06 = ibm(8);
        /// Parity of register 0x07.
        const PARITY_07 = ibm(9);
        /// Parity of the critical control register.
        const CRITICAL_CONTROL_PARITY = ibm(13);
        /// Step check of master path 0.
        const M_PATH_0_STEP_CHECK = ibm(14);
        /// Step check of master path 1.
        const M_PATH_1_STEP_CHECK = ibm(15);
        /// Hamming distance of the PSS state.
        const PSS_HAMMING_DISTANCE = ibm(18);
        /// Parity of the internal path delay or step check.
        const DELAY_COMPONENT_PARITY = ibm(22);
        /// Parity of FSM (0x24): what it shows means nothing.
        const FSM_READ_PARITY = ibm(29);
        /// Parity of register 0x10.
        const PARITY_10 = ibm(32);
        /// Sync check of the internal path: the TOD stops.
        const I_PATH_SYNC_CHECK = ibm(33);
        /// Parity of the state machine: the TOD stops.
        const FSM_STATE_PARITY = ibm(34);
        /// Parity of the time register: the TOD stops.
        const TIME_REGISTER_PARITY = ibm(35);
        /// Bits without a name here.
        const _ = !0;
    }
}

impl TodError {
    /// What firmware clears as a whole at boot and in recovery: 0x00042200F0000000.
    pub const FIRMWARE_CLEAR: Self = Self::CRITICAL_CONTROL_PARITY
        .union(Self::PSS_HAMMING_DISTANCE)
        .union(Self::DELAY_COMPONENT_PARITY)
        .union(Self::PARITY_10)
        .union(Self::I_PATH_SYNC_CHECK)
        .union(Self::FSM_STATE_PARITY)
        .union(Self::TIME_REGISTER_PARITY);

    /// A TTYPE was received: information, no error.
    pub const RECEIVED: Self = Self::from_bits_retain(ibm_range(38, 43));

    /// How a transfer failed: invalid or damaged TTYPE, response and request errors, a reset.
    pub const TRANSFER: Self = Self::from_bits_retain(ibm_range(50, 56));

    /// Errors that stop the TOD.
    pub const STOPPING: Self = Self::I_PATH_SYNC_CHECK
        .union(Self::FSM_STATE_PARITY)
        .union(Self::TIME_REGISTER_PARITY);

    /// The parity bit of each register in [`TodRegister::CACHED`], in the same order.
    pub const CACHED_PARITY: [Self; 9] = [
        Self::PARITY_00,
        Self::PARITY_01,
        Self::PARITY_02,
        Self::PARITY_03,
        Self::PARITY_04,
        Self::PARITY_05,
        Self::PARITY_06,
        Self::PARITY_07,
        Self::PARITY_10,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_clear_is_that_of_section_3_6() {
        assert_eq!(TodError::FIRMWARE_CLEAR.bits(), 0x0004_2200_f000_0000);
    }
}
