//! A TOD that does not run: it takes the time of a neighbour that does.
//!
//! The ways, in this order: the active master sends its time; if the master's steps are dead, the
//! backup takes over first; any other chip that runs is made to answer; if no TOD of the machine
//! runs, one is rebuilt from the best estimate.
//!
//! TB of the calling core is NOT_SET before. Every wait is bounded. One core of a chip does this for
//! all: if it fails, the others learn so at once, until the TOD is seen to run, another chip was
//! restarted, or a core comes a second time.

use super::rebuild::running_timebase;
use super::restart_error::RestartError;
use super::topology::Topology;
use super::{CachedRegisters, Network, TodPlace, is_running};
use crate::hardware::Hardware;
use crate::platform::{ThreadPlace, TodRole};
use crate::system::System;
use crate::xscom::XscomError;
use core::sync::atomic::Ordering;
use flight_recorder::Step;
use power_registers::chip_tod::{TodRegister, TodStatus};

/// Reads of a status in the middle of a switch.
const STATUS_TRIES: u32 = 10;

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

/// When TB was lost: what the best estimate of the present time is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// TB as it stopped if that is plausible, or the youngest TB that was good.
    pub(crate) timebase: u64,
    /// Spins since then, as far as they are known.
    pub(crate) spins: u64,
    /// A value was refused in this repair: the next must be what is expected.
    pub(crate) refused: bool,
    /// Cores whose TB runs may still be waited for: once in a repair.
    pub(crate) patient: bool,
}

/// One restart under way, under the network lock.
#[derive(Debug)]
pub(super) struct Restart {
    /// The chip whose TOD is to run.
    pub(super) tod: TodPlace,
    /// TB of the calling thread is good: it is the best estimate.
    pub(super) timebase_runs: bool,
    pub(super) lost: Lost,
    pub(super) switched: bool,
    /// It was given a time that is not to be trusted.
    pub(super) misled: bool,
    /// The TODs that run contradict one another: a rebuild would put out the time of the right one.
    pub(super) disputed: bool,
    /// TODs that run, with a time under suspicion, and with cores that may set it right; a bit for each.
    pub(super) doubted: u64,
}

impl Restart {
    /// A restart that begins.
    pub(super) const fn new(tod: TodPlace, timebase_runs: bool, lost: Lost) -> Self {
        Self {
            tod,
            timebase_runs,
            lost,
            switched: false,
            misled: false,
            disputed: false,
            doubted: 0,
        }
    }
}

impl System<'_> {
    /// Makes the TOD of the calling core's chip run. `epoch` is [`super::ChipTod::epoch`] from before
    /// it was seen not to.
    ///
    /// # Errors
    /// [`RestartError`].
    pub(crate) fn restart_tod<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
        place: ThreadPlace,
        epoch: u64,
        lost: &mut Lost,
    ) -> Result<(), RestartError> {
        loop {
            let (mut network, waited) = self.lock_network(hw)?;
            let changed = self.chip_tod.epoch() != epoch;
            if changed && !self.is_suspect(tod) && is_running(self.tod_fsm(hw, tod)?) {
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
            lost.spins += waited;
            let mut restart = Restart::new(tod, false, *lost);
            let result = self.restarted(hw, &mut network, &mut restart);
            lost.spins = restart.lost.spins;
            match result {
                Err(RestartError::Doubted) => {
                    // They need the network for that.
                    drop(network);
                    self.await_judgement(hw, restart.doubted, lost);
                    lost.patient = false;
                }
                Err(error) => {
                    hopeless.store(me, Ordering::Release);
                    return Err(error);
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Gives a TOD its time anew while TB runs: its value is not to be trusted.
    pub(super) fn restart_beside_running_timebase<H: Hardware>(
        &self,
        hw: &mut H,
        tod: TodPlace,
    ) -> Result<(), RestartError> {
        let (mut network, spins) = self.lock_network(hw)?;
        if !self.is_suspect(tod) {
            // Another thread was faster.
            return Ok(());
        }
        let timebase = running_timebase(hw).ok_or(RestartError::TimebaseLost)?;
        let lost = Lost {
            timebase,
            spins,
            refused: false,
            patient: false,
        };
        let mut restart = Restart::new(tod, true, lost);
        self.restarted(hw, &mut network, &mut restart)?;
        // What was loaded may be an estimate then.
        running_timebase(hw).map(drop).ok_or_else(|| {
            self.distrust(tod);
            RestartError::TimebaseLost
        })
    }

    fn restarted<H: Hardware>(
        &self,
        hw: &mut H,
        network: &mut Network,
        restart: &mut Restart,
    ) -> Result<(), RestartError> {
        // Until its time is known to be right: other cores see it run before.
        let suspects = &self.chip_tod.suspects;
        let mine = restart.tod.bit();
        let before = suspects.fetch_or(mine, Ordering::AcqRel);
        self.chip_tod.restarting.fetch_or(mine, Ordering::AcqRel);
        let result = self.bring_up(hw, network, restart);
        self.chip_tod.epoch.fetch_add(1, Ordering::AcqRel);
        if result.is_ok() || before & mine == 0 && !restart.misled {
            suspects.fetch_and(!mine, Ordering::AcqRel);
        }
        self.chip_tod.restarting.fetch_and(!mine, Ordering::AcqRel);
        let way = result.map_or(u64::MAX, |way| way as u64);
        self.record(hw, Step::TodRestart, [way, restart.lost.spins]);
        match result {
            Ok(_) => {
                // What was hopeless before may not be so any more.
                for hopeless in &self.chip_tod.hopeless {
                    hopeless.store(0, Ordering::Release);
                }
            }
            // It is tried once more.
            Err(RestartError::Doubted) => {}
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
        network: &mut Network,
        restart: &mut Restart,
    ) -> Result<Way, RestartError> {
        // That the topology was switched behind firmware's back does no harm here: whoever is master
        // answers.
        if let Some(master) = network.in_use.and_then(|in_use| self.master_in(in_use))
            && self.follows_running(hw, restart, master)
        {
            return Ok(Way::Master);
        }
        let (mut in_use, status) = self.topology_in_use(hw, restart)?;
        let known = network.in_use.replace(in_use);
        if let Some(master) = self.master_in(in_use) {
            if known != Some(in_use) && self.follows_running(hw, restart, master) {
                return Ok(Way::Master);
            }
            // A TOD that runs with a wrong value has good steps.
            let runs = restart.timebase_runs || master != restart.tod && self.runs(hw, master);
            let switched = if runs {
                None
            } else {
                self.switch_if_needed(hw, restart, in_use, master, status)?
            };
            if let Some(new) = switched {
                in_use = in_use.other();
                network.in_use = Some(in_use);
                if new.runs && self.follows(hw, restart, new.tod) {
                    return Ok(Way::Backup);
                }
            }
        }
        if self.follows_neighbour(hw, restart)? {
            return Ok(Way::Helper);
        }
        if restart.doubted != 0 && restart.lost.patient {
            return Err(RestartError::Doubted);
        }
        let source = self.master_in(in_use).unwrap_or(restart.tod);
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
            restart.lost.spins += 1;
        }
    }

    fn runs<H: Hardware>(&self, hw: &mut H, tod: TodPlace) -> bool {
        self.tod_fsm_for_sure(hw, tod).is_ok_and(is_running)
    }

    /// Follows the master, if it is another chip and runs.
    fn follows_running<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
        master: TodPlace,
    ) -> bool {
        master != restart.tod && self.runs(hw, master) && self.follows(hw, restart, master)
    }

    /// Asks the network for the time, which comes from `source`. Gives whether it can be trusted.
    fn follows<H: Hardware>(&self, hw: &mut H, restart: &mut Restart, source: TodPlace) -> bool {
        if self.follow(hw, restart).is_err() {
            return false;
        }
        restart.misled = !self.is_trusted(hw, restart, source);
        !restart.misled
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

    /// Takes the time of the first other chip that runs and can be trusted. `false` when there is
    /// none: then no time of the machine is put out by a rebuild.
    fn follows_neighbour<H: Hardware>(
        &self,
        hw: &mut H,
        restart: &mut Restart,
    ) -> Result<bool, RestartError> {
        let me = restart.tod;
        let mut unknown = false;
        for tod in self.tods().filter(|tod| *tod != me) {
            match self.tod_fsm_for_sure(hw, tod) {
                Ok(fsm) if is_running(fsm) => {}
                Ok(_) => continue,
                Err(_) => {
                    unknown = true;
                    continue;
                }
            }
            match self.with_helper(hw, tod, |hw| self.follow(hw, restart)) {
                Ok(followed) => followed?,
                Err(_) => return Err(RestartError::Unknown),
            }
            // Beside a third chip the answer may have come from another than was asked.
            let third = self.tods().count() > 2 && !restart.timebase_runs;
            let trusted =
                (!third || self.shows_the_same(hw, me, tod)) && self.is_trusted(hw, restart, tod);
            restart.misled = !trusted;
            if trusted {
                return Ok(true);
            }
        }
        if unknown {
            Err(RestartError::Unknown)
        } else if restart.disputed {
            Err(RestartError::Disputed)
        } else {
            Ok(false)
        }
    }
}
