//! What recovery can do on this machine, as its registers say at boot: one line for the log.

use crate::chip_tod::is_running;
use crate::chip_tod::topology::Topology;
use crate::hardware::{ChipId, Hardware};
use crate::hmi::ARRIVAL_MICROSECONDS;
use crate::system::System;
use core::fmt;

/// The chip that takes over when the master's steps die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// It can take over: a switch of the topology is possible.
    Ready(ChipId),
    /// It is named, but says that it cannot, or cannot be asked.
    NotReady(ChipId),
    /// No other chip is named.
    Nobody,
}

/// What recovery can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Chips of the machine.
    pub chips: usize,
    /// Chips whose TOD runs now.
    pub running_tods: usize,
    /// Topology in use; `None` when the master cannot be asked, or its status is unclear.
    pub topology: Option<Topology>,
    /// Who takes over.
    pub backup: Backup,
    /// Cores that meet, those with a thread that takes part.
    pub cores: usize,
    /// Threads that take part.
    pub threads: usize,
    /// Longest wait for a thread to come to a meeting.
    pub arrival_microseconds: u64,
}

/// Looks what recovery can do; changes nothing. To be called once everything runs.
pub fn capability<H: Hardware>(hw: &mut H, system: &System<'_>) -> Capability {
    let platform = system.platform;
    let mut running_tods = 0;
    for tod in system.tods() {
        let fsm = system.tod_fsm(hw, tod);
        running_tods += usize::from(fsm.is_ok_and(is_running));
    }
    let primary = system.master_in(Topology::Primary);
    let status = primary.and_then(|tod| system.tod_status(hw, tod).ok());
    let topology = status.and_then(Topology::in_use);
    let next = topology.unwrap_or(Topology::Primary).other();
    let master = system.master_in(next.other());
    let backup = match system.master_in(next).filter(|tod| Some(*tod) != master) {
        None => Backup::Nobody,
        Some(tod) if topology.is_some() && system.can_take_over(hw, tod, next) => {
            Backup::Ready(tod.chip)
        }
        Some(tod) => Backup::NotReady(tod.chip),
    };
    let expected = |core: usize| system.core(core).expected().count_ones() as usize;
    let cores = 0..platform.cores.len();
    Capability {
        chips: platform.chips.len(),
        running_tods,
        topology,
        backup,
        cores: cores.clone().filter(|core| expected(*core) > 0).count(),
        threads: cores.map(expected).sum(),
        arrival_microseconds: ARRIVAL_MICROSECONDS,
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(
            f,
            "{} thread{} of {} core{} meet, each waited for at most {} ms; ",
            self.threads,
            plural(self.threads),
            self.cores,
            plural(self.cores),
            self.arrival_microseconds / 1_000
        )?;
        if self.running_tods == 0 {
            return f.write_str("no ChipTOD runs: a broken TB stays broken");
        }
        write!(
            f,
            "{} of {} chip{} with a running ChipTOD, ",
            self.running_tods,
            self.chips,
            plural(self.chips)
        )?;
        match self.topology {
            Some(Topology::Primary) => f.write_str("primary topology, ")?,
            Some(Topology::Secondary) => f.write_str("secondary topology, ")?,
            None => f.write_str("topology unclear, ")?,
        }
        match self.backup {
            Backup::Ready(chip) => write!(f, "{chip} can take over")?,
            Backup::NotReady(chip) => write!(f, "{chip} should take over but cannot")?,
            Backup::Nobody => f.write_str("no backup master")?,
        }
        f.write_str(if self.running_tods > 1 {
            "; a dead TOD is restarted from a neighbour"
        } else {
            "; a dead TOD is rebuilt from an estimate"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn the_line_says_what_can_be_done() {
        let two = Capability {
            chips: 2,
            running_tods: 2,
            topology: Some(Topology::Primary),
            backup: Backup::Ready(ChipId(1)),
            cores: 2,
            threads: 8,
            arrival_microseconds: 500_000,
        };
        assert_eq!(
            two.to_string(),
            "8 threads of 2 cores meet, each waited for at most 500 ms; 2 of 2 chips with a \
             running ChipTOD, primary topology, chip 1 can take over; a dead TOD is restarted \
             from a neighbour"
        );
        let one = Capability {
            chips: 1,
            running_tods: 1,
            backup: Backup::Nobody,
            ..two
        };
        assert!(one.to_string().ends_with("rebuilt from an estimate"));
        let none = Capability {
            running_tods: 0,
            ..one
        };
        assert!(none.to_string().ends_with("stays broken"));
    }
}
