//! What the threads of a run share: where each should be, what is still to strike, what was seen.

use super::case::{Case, Doing, FaultCase, Kind, PhaseName};
use super::play::Cost;
use super::register::Named;
use hardware_model::{Fault, Machine};
use hypervisor_shim::control::Activity;
use hypervisor_shim::{Shim, Thread as ShimThread};
use opaline_firmware::hmi::coordinator::Phase;
use opaline_firmware::system::System;
use power_registers::Tfmr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Accesses after which a thread that is not where it should be is given up.
const PLACING: u64 = 400_000;
/// Accesses of the stretch after the repair, at most.
const AFTERMATH: u64 = 400_000;
/// Checks that each guest makes in the stretch after the repair.
const CHECKS: u64 = 40;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// Threads go where the case wants them.
    Placing,
    /// Faults strike, and are handled.
    Playing,
    /// All is quiet; guests run on and are checked.
    Aftermath,
    /// Everyone leaves.
    Over,
}

/// A thread is about to do this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read(Named),
    Write(Named),
    Relax,
}

#[derive(Debug)]
struct Pending {
    index: usize,
    fault: FaultCase,
    seen: u64,
}

/// What one thread met.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Return code and flags of each call.
    pub(super) calls: Vec<(i64, u64)>,
    /// Calls that an interrupt waited for.
    pub(super) interrupts: u32,
    in_place: bool,
    /// In a call of the firmware, or about to make one: the machine is not quiet.
    pub(super) busy: bool,
    pub(super) dead: bool,
    /// What its OPAL calls cost.
    pub(super) cost: Cost,
    /// Accesses within calls of the handler.
    handler_accesses: u64,
    /// Guest checks when all was quiet.
    checks_then: u64,
    pub(super) rung: bool,
}

#[derive(Debug)]
pub(super) struct Scene {
    pub(super) act: Act,
    pending: Vec<Pending>,
    pub(super) threads: Vec<Seen>,
    /// Accesses since the start, all threads.
    pub(super) accesses: u64,
    act_began: u64,
    /// Model time at the first strike, and when all was quiet.
    pub(super) struck_at: u64,
    pub(super) quiet_at: u64,
    /// Time of the machine at the first strike.
    pub(super) time_struck: u64,
    /// The youngest TB that the firmware knew then.
    noted: u64,
    phases: Vec<(Phase, u64)>,
    pub(super) events: Vec<[u8; opal_abi::message::SIZE]>,
    /// What went wrong on the way: times that were off, activities that could not be had.
    pub(super) wrong: Vec<String>,
    pub(super) unplaced: Vec<usize>,
    pub(super) resyncs: u64,
}

/// The stage of one run.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) case: &'a Case,
    pub(super) machine: &'a Machine,
    pub(super) system: &'a System<'a>,
    pub(super) shim: Option<&'a Shim<'a>>,
    pub(super) doing: Vec<Doing>,
    pub(super) spins: Vec<u64>,
    dies_after: Vec<u64>,
    pub(super) in_shim: Vec<bool>,
    pub(super) seed: u64,
    /// Ticks that passed without any access, while all waited.
    pub(super) leapt: AtomicU64,
    scene: Mutex<Scene>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        case: &'a Case,
        machine: &'a Machine,
        system: &'a System<'a>,
        shim: Option<&'a Shim<'a>>,
        in_shim: Vec<bool>,
        seed: u64,
    ) -> Self {
        let count = case.shape.all_threads();
        let mut doing = vec![Doing::Host; count];
        let mut spins = vec![0; count];
        let mut dies_after = vec![0; count];
        for entry in &case.threads {
            for thread in (0..count).filter(|thread| entry.who.means(&case.shape, *thread)) {
                doing[thread] = entry.doing;
                spins[thread] = entry.spins;
                dies_after[thread] = entry.accesses;
            }
        }
        let pending = case
            .faults
            .iter()
            .enumerate()
            .map(|(index, fault)| Pending {
                index,
                fault: fault.clone(),
                seen: 0,
            });
        let scene = Scene {
            act: Act::Placing,
            pending: pending.collect(),
            threads: vec![Seen::default(); count],
            accesses: 0,
            act_began: 0,
            struck_at: 0,
            quiet_at: 0,
            time_struck: 0,
            noted: 0,
            phases: vec![(Phase::Idle, 0); case.shape.all_cores()],
            events: Vec::new(),
            wrong: Vec::new(),
            unplaced: Vec::new(),
            resyncs: 0,
        };
        Self {
            case,
            machine,
            system,
            shim,
            doing,
            spins,
            dies_after,
            in_shim,
            seed,
            leapt: AtomicU64::new(0),
            scene: Mutex::new(scene),
        }
    }

    pub(super) fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn into_scene(self) -> Scene {
        self.scene
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the thread runs in this case at all.
    pub(super) fn comes(&self, thread: usize) -> bool {
        !matches!(self.doing[thread], Doing::NeverStarted | Doing::Lost)
    }

    pub(super) fn act(&self) -> Act {
        self.scene().act
    }

    /// Something to note for the report.
    pub(super) fn wrong(&self, what: String) {
        let mut scene = self.scene();
        if scene.wrong.len() < 20 {
            scene.wrong.push(what);
        }
    }

    /// What the shim says that a thread does; `None` outside the shim.
    pub(super) fn activity(&self, thread: usize) -> Option<Activity> {
        let shim = self.shim.filter(|_| self.in_shim[thread])?;
        let code = shim.control.threads[thread]
            .activity
            .load(Ordering::Relaxed);
        Some(match code {
            1 => Activity::Host,
            2 => Activity::Entering,
            3 => Activity::Guest,
            4 => Activity::Leaving,
            5 => Activity::Hmi,
            6 => Activity::Finished,
            _ => Activity::Absent,
        })
    }

    /// How far into entering or leaving a guest, or into a resync, a thread goes before it stops.
    pub(super) fn depth(&self, thread: usize) -> u64 {
        (self.seed.wrapping_mul(7) + thread as u64 * 3) % 11
    }

    /// The thread is where the case wants it. The last one starts the play.
    pub(super) fn in_place(&self, thread: usize) {
        let mut scene = self.scene();
        scene.threads[thread].in_place = true;
        self.begin_if_all_are_there(&mut scene);
    }

    fn begin_if_all_are_there(&self, scene: &mut Scene) {
        let all = (0..self.doing.len())
            .all(|thread| scene.threads[thread].in_place || !self.comes(thread));
        let given_up = scene.accesses > PLACING;
        if scene.act != Act::Placing || !all && !given_up {
            return;
        }
        if given_up {
            scene.unplaced = (0..self.doing.len())
                .filter(|thread| !scene.threads[*thread].in_place && self.comes(*thread))
                .collect();
        }
        scene.act = Act::Playing;
        scene.act_began = scene.accesses;
        scene.struck_at = self.machine.now();
        scene.time_struck = self.machine.true_time();
        scene.noted = self.system.newest_good_timebase();
        for thread in 0..self.doing.len() {
            scene.threads[thread].busy = self.spins[thread] != 0 && self.comes(thread);
        }
        self.strike(scene, |pending, _| pending.fault.when.is_start());
    }

    /// What no TB may be behind of: the time of the first strike. Where no TOD runs and the firmware had
    /// to guess, since TB was damaged too, it is what the firmware knew then; it must say so.
    pub(super) fn least_time(&self, scene: &Scene) -> u64 {
        if self.system.chip_tod.counters.rebuilds() == 0 {
            scene.time_struck
        } else {
            scene.time_struck.min(scene.noted)
        }
    }

    /// Inflicts the pending faults of which `due` says so, in their order.
    fn strike(&self, scene: &mut Scene, mut due: impl FnMut(&mut Pending, u64) -> bool) {
        let since = scene.accesses - scene.act_began;
        let mut index = 0;
        while index < scene.pending.len() {
            if due(&mut scene.pending[index], since) {
                let pending = scene.pending.remove(index);
                self.inflict(&pending.fault);
            } else {
                index += 1;
            }
        }
    }

    fn inflict(&self, fault: &FaultCase) {
        if fault.kind == Kind::Scom {
            let chip = fault.chip.unwrap_or(0);
            let value = fault.value.unwrap_or_default().0;
            self.machine
                .provide_scom(chip, fault.address.unwrap_or(0), value);
            return;
        }
        match fault.model(&self.case.shape) {
            Ok(Fault::Xscom(fault)) => self.machine.inject_xscom(fault),
            Ok(Fault::XscomHealed) => self.machine.heal_xscom(),
            Ok(fault) => self.machine.inject(&fault),
            Err((key, why)) => panic!("a case that was not checked: {key}: {why}"),
        }
    }

    /// An access of a thread is about to happen. `false`: the thread is dead and makes none.
    pub(super) fn before(&self, thread: usize, what: Access) -> bool {
        let mut scene = self.scene();
        let scene = &mut *scene;
        scene.accesses += 1;
        if scene.act == Act::Placing {
            self.begin_if_all_are_there(scene);
            return true;
        }
        let core = thread / self.case.shape.threads;
        if self.is_stopped(thread) {
            scene.threads[thread].dead = true;
            scene.threads[thread].busy = false;
            return false;
        }
        let phase = self
            .system
            .meeting(core)
            .map_or(Phase::Idle, |word| word.phase());
        let entered = (phase != scene.phases[core].0).then_some(phase);
        if let Some(phase) = entered {
            scene.phases[core].0 = phase;
            scene.phases[core].1 += u64::from(phase != Phase::Idle);
        }
        if !scene.pending.is_empty() && scene.act == Act::Playing {
            let doing = self.activity(thread);
            self.strike(scene, |pending, since| {
                let when = &pending.fault.when;
                let by = when.thread.is_none_or(|only| only == thread)
                    && when.core.is_none_or(|only| only == core);
                let happens = if let Some(after) = when.after {
                    return since >= after;
                } else if let Some(name) = &when.read {
                    by && Some(what) == Named::parse(name).map(Access::Read)
                } else if let Some(name) = &when.write {
                    by && Some(what) == Named::parse(name).map(Access::Write)
                } else if let Some(wanted) = when.phase {
                    by && entered == Some(wanted.firmware())
                } else if let Some(wanted) = when.doing {
                    by && doing.is_some_and(|doing| is(wanted, doing))
                } else {
                    true
                };
                pending.seen += u64::from(happens);
                happens && pending.seen >= when.nth.unwrap_or(1)
            });
        }
        let own = &mut scene.threads[thread];
        if own.busy && self.doing[thread] == Doing::Dies && scene.act == Act::Playing {
            own.handler_accesses += 1;
            if own.handler_accesses > self.dies_after[thread] {
                own.dead = true;
                own.busy = false;
                return false;
            }
        }
        if self.shim.is_some() && scene.accesses.is_multiple_of(32) {
            self.direct(scene);
        }
        true
    }

    /// Whether the core of a thread executes nothing any more.
    fn is_stopped(&self, thread: usize) -> bool {
        self.machine.checkstopped(thread / self.case.shape.threads)
    }

    /// Whether a thread that is not in a call has to make one.
    pub(super) fn called(&self, thread: usize) -> bool {
        if self.is_stopped(thread) {
            false
        } else if self.doing[thread] == Doing::Idle {
            self.system.summoned(hardware_pir(self.machine, thread))
        } else {
            self.machine.hmi_pending(thread)
        }
    }

    /// Whether nothing more happens by itself.
    pub(super) fn is_quiet(&self, scene: &Scene) -> bool {
        let later = |pending: &Pending| pending.fault.when.after.is_some();
        let moves = |thread: usize| {
            scene.threads[thread].busy || self.activity(thread) == Some(Activity::Hmi)
        };
        let calm = |thread: usize| {
            scene.threads[thread].dead
                || !self.comes(thread)
                || self.is_stopped(thread)
                || !moves(thread) && !self.called(thread)
        };
        let threads = || 0..self.doing.len();
        // Those who move are told without the machine, and mostly there is one.
        !scene.pending.iter().any(later)
            && threads().filter(|thread| moves(*thread)).all(calm)
            && threads().all(calm)
    }

    /// Whether there is still a thread that runs guests: their cores may have checkstopped.
    pub(super) fn has_guests_left(&self, scene: &Scene) -> bool {
        self.shim.is_some()
            && (0..self.doing.len()).any(|thread| {
                self.in_shim[thread] && !scene.threads[thread].dead && !self.is_stopped(thread)
            })
    }

    /// All is quiet in a run without guests.
    pub(super) fn end(&self, scene: &mut Scene) {
        if scene.act == Act::Playing {
            scene.quiet_at = self.machine.now();
        }
        scene.act = Act::Over;
    }

    /// Leads a run with guests from act to act.
    fn direct(&self, scene: &mut Scene) {
        let Some(shim) = self.shim else { return };
        let checks = |thread: usize| {
            let status = &shim.control.threads[thread];
            status.guest_checks.load(Ordering::Relaxed) + status.host_checks.load(Ordering::Relaxed)
        };
        match scene.act {
            Act::Playing if self.is_quiet(scene) => {
                scene.act = Act::Aftermath;
                scene.act_began = scene.accesses;
                scene.quiet_at = self.machine.now();
                for thread in 0..self.doing.len() {
                    scene.threads[thread].checks_then = checks(thread);
                }
            }
            Act::Aftermath => {
                let overdue = scene.accesses - scene.act_began > AFTERMATH;
                let checked = (0..self.doing.len()).all(|thread| {
                    let own = &scene.threads[thread];
                    // A core whose TB is not valid runs no guests; whether that was said is judged
                    // at the end.
                    let valid = self.machine.tfmr(thread).contains(Tfmr::TB_VALID);
                    !self.in_shim[thread]
                        || own.dead
                        || !valid
                        || checks(thread) >= own.checks_then + CHECKS
                });
                if checked || overdue {
                    if overdue {
                        scene
                            .wrong
                            .push("guests hardly ran after the repair".to_owned());
                    }
                    shim.control.header.stop.store(1, Ordering::Release);
                    scene.act = Act::Over;
                    scene.act_began = scene.accesses;
                }
            }
            _ => {}
        }
    }

    /// Whether a thread of the shim that does not end by itself has to be stopped.
    pub(super) fn overdue(&self) -> bool {
        let scene = self.scene();
        scene.act == Act::Over && scene.accesses - scene.act_began > 4 * AFTERMATH
    }

    /// Faults whose moment never came.
    pub(super) fn never_struck(scene: &Scene) -> Vec<usize> {
        scene.pending.iter().map(|pending| pending.index).collect()
    }

    /// Phases that meetings went through, all cores.
    pub(super) fn phases(scene: &Scene) -> u64 {
        scene.phases.iter().map(|(_, count)| count).sum()
    }
}

/// The shim's view of a thread of the model.
pub(super) fn shim_thread(stage: &Stage<'_>, thread: usize) -> ShimThread {
    let per_core = stage.case.shape.threads;
    let core = thread / per_core;
    let siblings = (0..per_core)
        .filter(|number| stage.in_shim[core * per_core + number])
        .fold(0, |mask: u8, number| mask | 1 << number);
    ShimThread {
        index: thread,
        pir: stage.machine.configuration().pir(thread),
        core,
        number: (thread % per_core) as u32,
        siblings,
    }
}

pub(super) fn hardware_pir(machine: &Machine, thread: usize) -> opaline_firmware::hardware::Pir {
    opaline_firmware::hardware::Pir(machine.configuration().pir(thread))
}

fn is(wanted: Doing, found: Activity) -> bool {
    matches!(
        (wanted, found),
        (Doing::Guest, Activity::Guest)
            | (Doing::Entering, Activity::Entering)
            | (Doing::Leaving, Activity::Leaving)
            | (Doing::Host, Activity::Host)
            | (Doing::Opal, Activity::Hmi)
    )
}

impl PhaseName {
    const fn firmware(self) -> Phase {
        match self {
            Self::Arrive => Phase::Arrive,
            Self::RepairTfmr => Phase::RepairTfmr,
            Self::Clean => Phase::Clean,
            Self::Clear => Phase::Clear,
            Self::Local => Phase::Local,
            Self::Reload => Phase::Reload,
            Self::Check => Phase::Check,
            Self::Depart => Phase::Depart,
        }
    }
}
