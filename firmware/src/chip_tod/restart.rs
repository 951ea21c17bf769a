//! A TOD that does not run: it takes the time of a neighbour that does.
//!
//! The ways, in this order: the active master sends its time; if the master's steps are dead, the
//! backup takes over first; any other chip that runs is made to answer; if no TOD of the machine
//! runs, one is rebuilt from the best estimate.
//!
//! TB of the calling core is NOT_SET before. Every wait is bounded. One core of a chip does this for
//! all: if it fails, the others learn so at once, until the TOD is seen to run, another chip was
//! restarted, or a core comes a second time.

use super::topology::Topology;
use super::{CachedRegisters, TodPlace, is_running};
use crate::budget::Expired;
use crate::hardware::Hardware;
use crate::platform::{Core, ThreadPlace, TodRole};
use crate::system::System;
use crate::xscom::XscomError;
use core::sync::atomic::Ordering;
use flight_recorder::Step;
use power_registers::chip_tod::{TodRegister, TodStatus};

/// Reads of a status in the middle of a switch.
const STATUS_TRIES: u32 = 10;

/// Why a TOD could not be restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartError {
    /// Another core did not let go of the network in time.
    Held,
    /// Another core of this chip has just failed to restart it.
    Hopeless,
    /// The master's steps are dead, and no backup can take over.
    NoBackup,
    /// The switch to the backup was asked for and did not happen, or the chips disagree about it.
    TopologyUnclear {
        /// PSS_MSS_STATUS.
        status: u64,
    },
    /// Some chip cannot be asked whether it runs: a rebuild might put its time out.
    Unknown,
    /// The TOD got its time, but does not run.
    NotRunning {
        /// Its FSM register.
        fsm: u64,
    },
    /// A ChipTOD register could not be reached.
    Xscom(XscomError),
}

impl From<XscomError> for RestartError {
    fn from(error: XscomError) -> Self {
        Self::Xscom(error)
    }
}

impl From<Expired> for RestartError {
    fn from(_: Expired) -> Self {
        Self::Held
    }
}

/// How a TOD came to run again; the code is in the flight recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Way {
    /// It ran already: someone else was faster.
    Found = 0,
    /// The active master sent its time.
    Master = 1,
    /// The backup took over, and sent its time.
    Backup = 2,
    /// A third chip sent its time.
    Helper = 3,
    /// From an estimate.
    Rebuilt = 4,
}

/// One restart under way, under the network lock.
#[derive(Debug)]
pub(super) struct Restart {
    /// The chip whose TOD is to run.
    pub(super) tod: TodPlace,
    pub(super) place: ThreadPlace,
    /// TB of the calling thread is good: it is the best estimate.
    pub(super) timebase_runs: bool,
    /// Spins since TB stopped, as far as they are known.
    pub(super) spins: u64,
    pub(super) switched: bool,
}

impl System<'_> {
    /// Makes the TOD of the calling core's chip run. `epoch` is [`super::ChipTod::epoch`] from before
    /// it was seen not to; `spins` are those that were spent since TB stopped.
    ///
    /// # Errors
    /// [`RestartError`].
    pub(crate) fn restart_tod<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        place: ThreadPlace,
        epoch: u64,
        spins: u64,
    ) -> Result<(), RestartError> {
        let (_network, waited) = self.lock_network(hw)?;
        if self.chip_tod.epoch() != epoch && is_running(self.tod_fsm(hw, tod.chip)?) {
            self.record(hw, Step::TodRestart, [Way::Found as u64, 0]);
            return Ok(());
        }
        let me = 1 << place.core;
        let hopeless = &self.chip_tod.hopeless[tod.index];
        let failed = hopeless.load(Ordering::Acquire);
        if failed != 0 && failed & me == 0 {
            hopeless.fetch_or(me, Ordering::AcqRel);
            return Err(RestartError::Hopeless);
        }
        let restart = Restart {
            tod,
            place,
            timebase_runs: false,
            spins: spins + waited,
            switched: false,
        };
        let result = self.restarted(hw, restart);
        if result.is_err() {
            hopeless.store(me, Ordering::Release);
        }
        result
    }

    /// Gives a TOD its time anew while TB runs: its value is not to be trusted.
    pub(super) fn restart_beside_running_timebase<H: Hardware>(
        &self,
        hw: &mut H,
        core: &Core,
        tod: TodPlace,
    ) -> Result<(), RestartError> {
        let first = core.threads.first().copied().unwrap_or_default();
        let place = self.platform.place(first).ok_or(RestartError::Unknown)?;
        let (_network, spins) = self.lock_network(hw)?;
        let restart = Restart {
            tod,
            place,
            timebase_runs: true,
            spins,
            switched: false,
        };
        self.restarted(hw, restart)
    }

    fn restarted<H: Hardware>(&self, hw: &mut H, mut restart: Restart) -> Result<(), RestartError> {
        let result = self.bring_up(hw, &mut restart);
        let way = result.map_or(u64::MAX, |way| way as u64);
        self.record(hw, Step::TodRestart, [way, restart.spins]);
        match result {
            Ok(_) => {
                self.chip_tod.epoch.fetch_add(1, Ordering::AcqRel);
                // What was hopeless before may not be so any more.
                for hopeless in &self.chip_tod.hopeless {
                    hopeless.store(0, Ordering::Release);
                }
            }
            Err(_) => self.chip_tod.counters.count_failed_restart(),
        }
        if restart.switched {
            // The other topology has settings of its own. Whoever waits for this chip goes on.
            let mut counted = CachedRegisters::default();
            for tod in self.tods() {
                let _ = self.cache_chip(hw, tod, &mut counted);
            }
        }
        result.map(drop)
    }

    fn bring_up<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
    ) -> Result<Way, RestartError> {
        let me = restart.tod;
        let (in_use, status) = self.topology_in_use(hw, restart)?;
        let master = self.master_in(in_use);
        let master_runs = master.is_some_and(|master| {
            master != me && self.tod_fsm(hw, master.chip).is_ok_and(is_running)
        });
        if master_runs {
            if self.follow(hw, restart).is_ok() {
                return Ok(Way::Master);
            }
        } else if !restart.timebase_runs
            && let Some(master) = master
            && let Some(runs) = self.switch_if_needed(hw, restart, in_use, master, status)?
            && runs
            && self.follow(hw, restart).is_ok()
        {
            return Ok(Way::Backup);
        }
        if let Some(helper) = self.running_neighbour(hw, me)? {
            let followed = self.with_helper(hw, helper, |hw| self.follow(hw, restart));
            return match followed {
                Ok(done) => done.map(|()| Way::Helper),
                Err(_) => Err(RestartError::Unknown),
            };
        }
        let in_use = if restart.switched {
            in_use.other()
        } else {
            in_use
        };
        let source = self.master_in(in_use).unwrap_or(me);
        self.rebuild(hw, restart, source)?;
        Ok(Way::Rebuilt)
    }

    /// The topology in use, and the status of the restarted chip that says so.
    fn topology_in_use<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
    ) -> Result<(Topology, TodStatus), RestartError> {
        let mut tries = 0;
        loop {
            let status = self.tod_status(hw, restart.tod)?;
            if let Some(in_use) = Topology::in_use(status) {
                return Ok((in_use, status));
            }
            tries += 1;
            if tries == STATUS_TRIES {
                let status = status.bits();
                return Err(RestartError::TopologyUnclear { status });
            }
            hw.relax();
            restart.spins += 1;
        }
    }

    pub(crate) fn tod_status<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
    ) -> Result<TodStatus, XscomError> {
        self.tod_read(hw, tod.chip, TodRegister::PssMssStatus)
            .map(TodStatus::from_bits_retain)
    }

    /// The chip that is master when this topology is in use.
    pub(crate) fn master_in(&self, topology: Topology) -> Option<TodPlace> {
        self.master_of(match topology {
            Topology::Primary => TodRole::Primary,
            Topology::Secondary => TodRole::Secondary,
        })
    }

    /// The first other chip whose TOD runs.
    fn running_neighbour<H: Hardware>(
        &self,
        hw: &mut H,
        me: TodPlace,
    ) -> Result<Option<TodPlace>, RestartError> {
        let mut unknown = false;
        for tod in self.tods().filter(|tod| *tod != me) {
            match self.tod_fsm(hw, tod.chip) {
                Ok(fsm) if is_running(fsm) => return Ok(Some(tod)),
                Ok(_) => {}
                Err(_) => unknown = true,
            }
        }
        if unknown {
            Err(RestartError::Unknown)
        } else {
            Ok(None)
        }
    }
}
