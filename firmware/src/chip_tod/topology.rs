//! The part of each chip in the network of TODs, as its registers say: pure decisions.
//!
//! There are two configurations of the network, primary and secondary, and one is in use. Each has a
//! master; the master of the other one is the backup.
//!
//! Source: HMI and ChipTOD specification, sections 3.3 and 3.7.

use power_registers::chip_tod::{TodRoles, TodStatus};

/// One of the two configurations of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// The one that a machine starts with.
    Primary,
    /// The one to switch to.
    Secondary,
}

impl Topology {
    /// The configuration in use, by the status of any chip; `None` when its three bits disagree, as
    /// in the middle of a switch.
    #[must_use]
    pub fn in_use(status: TodStatus) -> Option<Self> {
        let bits = status & TodStatus::SECONDARY_IN_USE;
        if bits.is_empty() {
            Some(Self::Primary)
        } else if bits == TodStatus::SECONDARY_IN_USE {
            Some(Self::Secondary)
        } else {
            None
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }
}

/// The part of a chip in a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Master of the master drawer: of the whole machine.
    MasterOfMachine,
    /// Slave in the master drawer.
    SlaveOfMasterDrawer,
    /// Master of a drawer that follows.
    MasterOfSlaveDrawer,
    /// Slave in a drawer that follows.
    SlaveOfSlaveDrawer,
}

/// The part that PSS_MSS_CTRL gives a chip.
#[must_use]
pub fn role(roles: TodRoles, topology: Topology) -> Role {
    let (tod, drawer) = match topology {
        Topology::Primary => (
            TodRoles::PRIMARY_MASTER_TOD,
            TodRoles::PRIMARY_MASTER_DRAWER,
        ),
        Topology::Secondary => (
            TodRoles::SECONDARY_MASTER_TOD,
            TodRoles::SECONDARY_MASTER_DRAWER,
        ),
    };
    match (roles.contains(drawer), roles.contains(tod)) {
        (true, true) => Role::MasterOfMachine,
        (true, false) => Role::SlaveOfMasterDrawer,
        (false, true) => Role::MasterOfSlaveDrawer,
        (false, false) => Role::SlaveOfSlaveDrawer,
    }
}

/// What a chip is for the network now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The master that all follow.
    ActiveMaster,
    /// The master of the other topology, with steps: it can take over.
    BackupMaster,
    /// The master of the other topology, but no steps reach it.
    BackupDisabled,
    /// Neither.
    Follower,
}

/// What PSS_MSS_STATUS of a chip says of its standing. `steps_valid`: of the topology not in use.
#[must_use]
pub const fn standing(status: TodStatus, steps_valid: bool) -> Standing {
    if status.contains(TodStatus::ACTIVE_MASTER) {
        Standing::ActiveMaster
    } else if !status.contains(TodStatus::BACKUP_MASTER) {
        Standing::Follower
    } else if steps_valid {
        Standing::BackupMaster
    } else {
        Standing::BackupDisabled
    }
}

/// Whether the second of the two master paths is the one that this topology selects.
#[must_use]
pub const fn selects_master_path_1(status: TodStatus, topology: Topology) -> bool {
    status.contains(match topology {
        Topology::Primary => TodStatus::PRIMARY_M_PATH_1,
        Topology::Secondary => TodStatus::SECONDARY_M_PATH_1,
    })
}

/// Whether steps reach a chip on the path that this topology selects: the master path for the
/// machine's master, the slave path for all others.
#[must_use]
pub fn steps_valid(role: Role, status: TodStatus, topology: Topology) -> bool {
    let valid = if role == Role::MasterOfMachine {
        if selects_master_path_1(status, topology) {
            TodStatus::M_PATH_1_VALID
        } else {
            TodStatus::M_PATH_0_VALID
        }
    } else {
        let second = status.contains(match topology {
            Topology::Primary => TodStatus::PRIMARY_S_PATH_1,
            Topology::Secondary => TodStatus::SECONDARY_S_PATH_1,
        });
        if second {
            TodStatus::S_PATH_1_VALID
        } else {
            TodStatus::S_PATH_0_VALID
        }
    };
    status.contains(valid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use power_registers::ibm;

    fn status(bits: &[u32]) -> TodStatus {
        TodStatus::from_bits_retain(bits.iter().fold(0, |all, bit| all | ibm(*bit)))
    }

    #[test]
    fn the_topology_in_use_takes_three_equal_bits() {
        assert_eq!(Topology::in_use(status(&[])), Some(Topology::Primary));
        assert_eq!(
            Topology::in_use(status(&[0, 1, 2, 23])),
            Some(Topology::Secondary)
        );
        for mixed in [&[0][..], &[1], &[2], &[0, 1], &[0, 2], &[1, 2]] {
            assert_eq!(Topology::in_use(status(mixed)), None);
        }
    }

    #[test]
    fn role_truth_table() {
        let rows = [
            ([true, true], Role::MasterOfMachine),
            ([true, false], Role::SlaveOfMasterDrawer),
            ([false, true], Role::MasterOfSlaveDrawer),
            ([false, false], Role::SlaveOfSlaveDrawer),
        ];
        for (topology, drawer_bit, tod_bit) in
            [(Topology::Primary, 2, 1), (Topology::Secondary, 10, 9)]
        {
            for ([drawer, tod], expected) in rows {
                let mut bits = 0;
                for (on, bit) in [(drawer, drawer_bit), (tod, tod_bit)] {
                    bits |= if on { ibm(bit) } else { 0 };
                }
                // The other topology's bits do not matter.
                for noise in [0, ibm(if drawer_bit == 2 { 9 } else { 1 }), ibm(3)] {
                    let roles = TodRoles::from_bits_retain(bits | noise);
                    assert_eq!(role(roles, topology), expected);
                }
            }
        }
    }

    #[test]
    fn standing_table() {
        for (bits, steps, expected) in [
            (&[23][..], false, Standing::ActiveMaster),
            (&[23], true, Standing::ActiveMaster),
            (&[24], true, Standing::BackupMaster),
            (&[24], false, Standing::BackupDisabled),
            (&[25], true, Standing::Follower),
            (&[], false, Standing::Follower),
        ] {
            assert_eq!(standing(status(bits), steps), expected, "{bits:?} {steps}");
        }
    }

    /// Topology, role, selected path, valid path: every combination.
    #[test]
    fn step_valid_table() {
        for (topology, master_select, slave_select) in
            [(Topology::Primary, 12, 15), (Topology::Secondary, 16, 19)]
        {
            for (role, select, paths) in [
                (Role::MasterOfMachine, master_select, [6, 7]),
                (Role::SlaveOfMasterDrawer, slave_select, [8, 10]),
                (Role::MasterOfSlaveDrawer, slave_select, [8, 10]),
                (Role::SlaveOfSlaveDrawer, slave_select, [8, 10]),
            ] {
                for selected in [0, 1] {
                    let selection = if selected == 1 { ibm(select) } else { 0 };
                    for valid in 0..16_u32 {
                        // Any subset of the four paths.
                        let bits = [6, 7, 8, 10].iter().enumerate().fold(0, |all, (n, bit)| {
                            all | if valid >> n & 1 != 0 { ibm(*bit) } else { 0 }
                        });
                        let status = TodStatus::from_bits_retain(selection | bits);
                        let expected = bits & ibm(paths[selected]) != 0;
                        assert_eq!(steps_valid(role, status, topology), expected);
                    }
                }
            }
        }
    }
}
