//! A strike, from the choice of its moment until every thread of the core is well.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gdb_remote::Watch;
use power_registers::{Hmer, TbState, Tfmr};

use super::deliver::SYSTEM_RESET_VECTOR;
use super::records::{self, Records};
use super::second::Pending;
use super::{ATTEMPTS, Doing, LONGEST_SLICE, Outcome, SLICE, Struck, Target, in_firmware};
use crate::forge::broken;
use crate::plan::{Extra, Plan};
use crate::sleepers::asleep;

impl Struck {
    /// Strikes, and waits until every thread of the core is well.
    ///
    /// # Errors
    /// The line failed, or a thread cannot be brought to do what it must.
    pub fn strike(&mut self, plan: &Plan, extra: &Extra, patience: Duration) -> Result<Outcome> {
        self.run(plan.delay)?;
        let cores: Vec<u32> = self.machine.cores().into_keys().collect();
        let core = *cores.get(plan.core).context("there is no such core")?;
        let mut targets = self.choose_moment(core, plan)?;
        let mut outcome = Outcome {
            plan: plan.in_words(),
            doing: targets.iter().map(|target| target.doing).collect(),
            taken_in_guests: 0,
            moves: Vec::new(),
            milliseconds: 0.0,
            off: Vec::new(),
            set: Vec::new(),
            events: Vec::new(),
            second: None,
            held: None,
            absent: 0,
            spins: 0,
            dead: Vec::new(),
            failures: Vec::new(),
            records: Vec::new(),
        };
        let since = records::sequence(&mut self.machine, &self.image)?;
        let mut second = Pending::plant(self, extra, core, since)?;
        let start = Instant::now();
        let set = self.break_core(&targets, plan.errors)?;
        outcome.set.push(set);
        let mut held = None;
        if let Extra::Held { thread } = extra
            && let Some(target) = targets.get_mut(*thread)
        {
            held = Some(self.hold(target)?);
            outcome.held = Some(*thread);
        }
        self.machine
            .client
            .plant(Watch::Breakpoint, SYSTEM_RESET_VECTOR, 4)?;
        let mut time = SLICE;
        // Moves that answer the error that struck last.
        let mut answered = 0;
        let well = loop {
            let moves = &outcome.moves[answered..];
            let repaired = moves.iter().any(|done| done.loaded.is_some());
            let asleep = asleep(&mut self.machine)?;
            let waiting = |target: &&mut Target| !target.delivered && !target.held;
            for target in targets.iter_mut().filter(waiting) {
                if asleep.contains(&target.vcpu.pir) {
                    // It was on the way to its sleep, or never left it.
                    self.wake(target.vcpu)?;
                } else {
                    self.deliver(target, repaired)?;
                }
            }
            let coming = |target: &Target| target.delivered || target.held;
            let well = targets.iter().all(coming)
                && self.is_well(&targets)?
                && self.is_told(core, since, &targets)?;
            if let Some(pending) = second.take_if(|pending| well || pending.is_due(self)) {
                let struck = pending.strike(self, &mut targets, plan.errors)?;
                if !outcome.set.contains(&struck.set) {
                    outcome.set.push(struck.set);
                }
                outcome.second = Some(struck);
                answered = outcome.moves.len();
                time = SLICE;
                continue;
            }
            if well {
                let Some(late) = held.take() else {
                    break true;
                };
                self.let_go(late)?;
                targets.iter_mut().for_each(|target| target.held = false);
                continue;
            }
            if start.elapsed() > patience || self.is_given_up(core, since, &targets)? {
                break false;
            }
            outcome.moves.extend(self.run(time)?);
            time = (time * 3 / 2).min(LONGEST_SLICE);
        };
        self.machine
            .client
            .remove(Watch::Breakpoint, SYSTEM_RESET_VECTOR, 4)?;
        if let Some(pending) = second {
            pending.unplant(self)?;
        }
        if let Some(late) = held {
            self.let_go(late)?;
        }
        let in_guests = targets.iter().filter(|target| target.taken_in_guest);
        outcome.taken_in_guests = in_guests.count() as u32;
        outcome.milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let records = Records::read(&mut self.machine, &self.image, core, since)?;
        outcome.note(&records, &self.waiting);
        if well {
            outcome.judge();
            self.check_time(&mut outcome)?;
        } else {
            self.complain(&targets, &mut outcome)?;
        }
        if !outcome.failures.is_empty() {
            outcome.records = records.in_words();
        }
        Ok(outcome)
    }

    /// Lets the machine run until a thread is where this fault wants one, for a while at most.
    fn choose_moment(&mut self, core: u32, plan: &Plan) -> Result<Vec<Target>> {
        let mut targets = self.targets(core, plan)?;
        // Most faults wait for a program, a sleeper or a call: on a busy host nearly all stops
        // come right behind the resumption, in an interrupt of the kernel.
        let wanted = if self.guests.is_empty() {
            [
                None,
                Some(Doing::Program),
                Some(Doing::Asleep),
                Some(Doing::Firmware),
            ]
        } else {
            [
                None,
                Some(Doing::Guest),
                Some(Doing::Guest),
                Some(Doing::Program),
            ]
        };
        let wanted = wanted[plan.number as usize % wanted.len()];
        for _ in 0..ATTEMPTS {
            let met = |doing| targets.iter().any(|target| target.doing == doing);
            if wanted.is_none_or(met) {
                break;
            }
            self.run(LONGEST_SLICE)?;
            targets = self.targets(core, plan)?;
        }
        Ok(targets)
    }

    /// Puts the error into TFMR and HMER of all threads of a core. Gives both, as the first has them.
    pub(super) fn break_core(&mut self, targets: &[Target], errors: u64) -> Result<(u64, u64)> {
        let first = targets.first().context("a core without threads")?.vcpu;
        let healthy = Tfmr::from_bits_retain(self.machine.read(first, "tfmr")?);
        let tfmr = broken(healthy, errors);
        let mut set = None;
        for target in targets {
            self.machine.write(target.vcpu, "tfmr", tfmr.bits())?;
            let hmer = self.machine.read(target.vcpu, "hmer")?;
            let hmer = hmer | Hmer::TFAC_ERROR.bits();
            self.machine.write(target.vcpu, "hmer", hmer)?;
            set.get_or_insert((hmer, tfmr.bits()));
        }
        set.context("a core without threads")
    }

    /// Whether every thread of the core that is not held has cleared its cause, and TB runs.
    fn is_well(&mut self, targets: &[Target]) -> Result<bool> {
        for target in targets.iter().filter(|target| !target.held) {
            let state = self.machine.state(target.vcpu)?;
            let runs = state.tfmr().state() == TbState::Running;
            if !runs
                || !state.tfmr().contains(Tfmr::TB_VALID)
                || state.hmer().intersects(Hmer::TIMER)
                || in_firmware(&state) && target.doing != Doing::Waiting
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the threads that wait in the firmware, which never leave it, are done with the error: one of
    /// them may be the one that makes the event.
    fn is_told(&mut self, core: u32, since: u64, targets: &[Target]) -> Result<bool> {
        let waiting = |target: &&Target| target.doing == Doing::Waiting;
        if !targets.iter().any(|target| waiting(&target)) {
            return Ok(true);
        }
        let records = Records::read(&mut self.machine, &self.image, core, since)?;
        let mut waiting = targets.iter().filter(waiting);
        Ok(waiting.all(|target| records.has_returned(target.vcpu.pir)))
    }

    /// Whether every thread has come back from the firmware, and the OS is told that the error stays.
    fn is_given_up(&mut self, core: u32, since: u64, targets: &[Target]) -> Result<bool> {
        for target in targets {
            let state = self.machine.state(target.vcpu)?;
            if !target.delivered || in_firmware(&state) || state.hmer().intersects(Hmer::TIMER) {
                return Ok(false);
            }
        }
        let records = Records::read(&mut self.machine, &self.image, core, since)?;
        Ok(records.events().contains(&false))
    }

    /// Says of each thread what keeps it.
    fn complain(&mut self, targets: &[Target], outcome: &mut Outcome) -> Result<()> {
        for target in targets {
            let state = self.machine.state(target.vcpu)?;
            outcome.failures.push(format!(
                "PIR {:#x} is not well: {} at {:#x}, MSR {:#x}, {:?}, {:?}",
                target.vcpu.pir,
                if target.delivered {
                    "taken"
                } else {
                    "not taken"
                },
                state.pc,
                state.msr,
                state.tfmr(),
                state.hmer()
            ));
        }
        Ok(())
    }
}
