//! Masters, paths and steps of both topologies, and what the chips send each other.

use crate::chip_tod::{Poison, TodState};
use crate::model::Model;
use power_registers::chip_tod::TodRegister;
use power_registers::{Hmer, TbState, Tfmr, ibm, ibm_range};

/// What all chips have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switches {
    /// The secondary topology is in use.
    pub(crate) secondary: bool,
    /// Whether the step checkers work.
    pub(crate) checkers: bool,
}

impl Switches {
    pub(crate) const fn new() -> Self {
        Self {
            secondary: false,
            checkers: true,
        }
    }
}

impl Model {
    /// Whether a chip is master of a topology, by the bits of its PSS_MSS_CTRL.
    fn is_master(&self, chip: usize, secondary: bool) -> bool {
        let roles = self.tods[chip].roles;
        let master = if secondary {
            ibm(9) | ibm(10)
        } else {
            ibm(1) | ibm(2)
        };
        roles & master == master
    }

    fn master(&self, secondary: bool) -> Option<usize> {
        (0..self.tods.len()).find(|chip| self.is_master(*chip, secondary))
    }

    /// Master path that a chip selects in a topology.
    fn master_select(&self, chip: usize, secondary: bool) -> usize {
        let select = if secondary { ibm(8) } else { ibm(0) };
        usize::from(self.tods[chip].roles & select != 0)
    }

    /// Slave path that a chip selects in a topology.
    fn slave_select(&self, chip: usize, secondary: bool) -> usize {
        let network = &self.tods[chip].network;
        usize::from(
            if secondary {
                network.secondary_slave
            } else {
                network.primary_slave
            } != 0,
        )
    }

    /// Whether steps come on a slave path: they come from the master of the topology that
    /// selects it.
    fn slave_steps(&self, chip: usize, path: usize) -> bool {
        let active = self.switches.secondary;
        let selecting = [active, !active]
            .into_iter()
            .find(|secondary| self.slave_select(chip, *secondary) == path);
        let source = selecting.and_then(|secondary| {
            let master = self.master(secondary)?;
            let path = self.master_select(master, secondary);
            (master != chip).then(|| self.tods[master].network.master_valid[path])
        });
        self.tods[chip].network.slave_valid[path] && source.unwrap_or(true)
    }

    /// Whether a chip gets steps in a topology.
    fn has_steps(&self, chip: usize, secondary: bool) -> bool {
        if self.is_master(chip, secondary) {
            let path = self.master_select(chip, secondary);
            self.tods[chip].network.master_valid[path]
        } else {
            self.slave_steps(chip, self.slave_select(chip, secondary))
        }
    }

    /// Whether a TOD would run if it were started.
    pub(crate) fn can_start(&self, chip: usize) -> bool {
        let tod = &self.tods[chip];
        tod.able && tod.poison == Poison::None && self.has_steps(chip, self.switches.secondary)
    }

    /// PSS_MSS_STATUS.
    pub(crate) fn tod_status(&self, chip: usize) -> u64 {
        let secondary = self.switches.secondary;
        let network = &self.tods[chip].network;
        let (master, slave) = (
            self.master_select(chip, secondary),
            self.slave_select(chip, secondary),
        );
        let active = self.is_master(chip, secondary);
        let mut status = ibm(9);
        for (on, bits) in [
            (secondary, ibm_range(0, 2)),
            (!network.master_valid[0], ibm(4)),
            (!network.master_valid[1], ibm(5)),
            (network.master_valid[0], ibm(6)),
            (network.master_valid[1], ibm(7)),
            (self.slave_steps(chip, 0), ibm(8)),
            (self.slave_steps(chip, 1), ibm(10)),
            (self.master_select(chip, false) != 0, ibm(12)),
            (self.slave_select(chip, false) != 0, ibm(15)),
            (self.master_select(chip, true) != 0, ibm(16)),
            (self.slave_select(chip, true) != 0, ibm(19)),
            (self.tods[chip].is_running(self.now), ibm(20)),
            (!secondary, ibm(21)),
            (secondary, ibm(22)),
            (active, ibm(23)),
            (!active && self.is_master(chip, !secondary), ibm(24)),
            (!active, ibm(25)),
            (master != 0, ibm(26)),
            (slave != 0, ibm(27)),
        ] {
            if on {
                status |= bits;
            }
        }
        status
    }

    /// TTYPE_1: all chips go to the other topology, and the step checkers stop.
    pub(crate) fn switch_topology(&mut self) {
        self.switches.secondary = !self.switches.secondary;
        self.switches.checkers = false;
        if let Some(master) = self.master(self.switches.secondary)
            && !self.has_steps(master, self.switches.secondary)
        {
            self.stop_tod(master, TodState::Error);
        }
    }

    /// TTYPE_2: the step checkers of all chips work; a dead path shows at once.
    pub(crate) fn enable_checkers(&mut self) {
        self.switches.checkers = true;
        for chip in 0..self.tods.len() {
            let bits = self.failing_checks(chip);
            if bits != 0 {
                self.fail_tod(chip, bits);
            }
        }
    }

    /// TTYPE_3: the running master answers, or a running chip that was told to.
    pub(crate) fn answer_request(&mut self, chip: usize) {
        let now = self.now;
        let answering = self
            .master(self.switches.secondary)
            .filter(|master| *master != chip && self.tods[*master].is_running(now))
            .or_else(|| {
                let mut others = self.tods.iter().enumerate();
                others
                    .find(|(other, tod)| *other != chip && tod.answers_requests(now))
                    .map(|(other, _)| other)
            });
        if let Some(answering) = answering {
            self.send_time(answering, chip);
        }
    }

    /// TTYPE_4: everyone who waits gets the time of this chip.
    pub(crate) fn send_to_all(&mut self, chip: usize) {
        if self.tods[chip].is_running(self.now) {
            for other in 0..self.tods.len() {
                self.send_time(chip, other);
            }
        }
    }

    fn send_time(&mut self, from: usize, to: usize) {
        if self.tods[to].state == TodState::NotSet && self.can_start(to) {
            let clock = self.tods[from].clock();
            let after = self.configuration.costs.tod_start;
            self.tods[to].follow(&clock, self.now, after);
        }
    }

    /// Every chip but the sender notes that a TTYPE came.
    pub(crate) fn received(&mut self, sender: usize, number: u32) {
        for chip in (0..self.tods.len()).filter(|chip| *chip != sender) {
            self.report_tod(chip, ibm(38 + number));
        }
    }

    /// A TOD stops; without steps the cores of its chip stop too.
    pub(crate) fn stop_tod(&mut self, chip: usize, state: TodState) {
        self.tods[chip].halt(state, self.now);
        self.steps_changed(chip);
    }

    /// Tells the cores of a chip whether steps come.
    pub(crate) fn steps_changed(&mut self, chip: usize) {
        let steps = self.tods[chip].steps();
        for core in self.cores_of(chip) {
            self.cores[core].set_steps(steps, self.now);
            if !steps && self.cores[core].state == TbState::Running {
                self.cores[core].fail(Tfmr::TB_MISSING_STEP.bits(), self.now);
                self.cores[core].new_entry(true);
                self.raise_core(core, Hmer::TFAC_ERROR);
            }
            self.changed(core);
        }
    }

    /// ERROR bits of the step checks that fail on a chip now.
    pub(crate) fn failing_checks(&self, chip: usize) -> u64 {
        let secondary = self.switches.secondary;
        if !self.switches.checkers {
            return 0;
        }
        let enables = self.tods[chip].roles << if secondary { 8 } else { 0 };
        let network = &self.tods[chip].network;
        let slave = |path| self.slave_select(chip, secondary) == path && !network.slave_valid[path];
        [
            (ibm(4), !network.master_valid[0], ibm(14)),
            (ibm(5), !network.master_valid[1], ibm(15)),
            (ibm(6), slave(0), ibm(16)),
            (ibm(3), slave(1), ibm(21)),
        ]
        .into_iter()
        .filter(|(enable, fails, _)| enables & enable != 0 && *fails)
        .fold(0, |all, (.., error)| all | error)
    }

    /// The steps of a path come or go.
    pub(crate) fn set_path(&mut self, chip: usize, master: bool, path: usize, valid: bool) {
        let network = &mut self.tods[chip].network;
        let paths = if master {
            &mut network.master_valid
        } else {
            &mut network.slave_valid
        };
        if core::mem::replace(&mut paths[path], valid) == valid || valid {
            return;
        }
        let secondary = self.switches.secondary;
        let bits = self.failing_checks(chip);
        if bits != 0 {
            self.fail_tod(chip, bits);
        }
        // Without the check it stops all the same, only without a word in ERROR.
        if self.is_master(chip, secondary) && !self.has_steps(chip, secondary) {
            self.stop_master(chip);
        }
    }

    pub(crate) fn stop_master(&mut self, chip: usize) {
        if self.tods[chip].state != TodState::Error {
            self.stop_tod(chip, TodState::Error);
        }
    }

    /// Whether step check errors stop this chip: it is the master, and its steps are dead.
    pub(crate) fn is_starved_master(&self, chip: usize) -> bool {
        let secondary = self.switches.secondary;
        self.is_master(chip, secondary) && !self.has_steps(chip, secondary)
    }

    /// MOVE_TOD_TO_TB.
    pub(crate) fn move_tod_to_tb(&mut self, chip: usize) {
        let control =
            self.tods[chip].registers[crate::chip_tod::offset_of(TodRegister::TxTtypeControl)];
        let Some(core) = self.target_core(chip, control) else {
            return;
        };
        if !self.tods[chip].is_running(self.now) {
            return;
        }
        let now = self.now;
        let pair = self
            .configuration
            .pair_of(core)
            .filter(|_| self.configuration.fused_aim);
        // The quirk: the even small core takes the transfer for both.
        if pair.is_some() && core & 1 != 0 {
            return;
        }
        for core in core::iter::once(core).chain(pair) {
            if core < self.cores.len() && self.cores[core].receive_tod(now) {
                self.changed(core);
            }
        }
    }
}
