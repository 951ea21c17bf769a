//! Faults under an operating system: the same damage and the same HMI, delivered to threads that are
//! in programs, in the kernel, asleep, or in an OPAL call.
//!
//! A thread that has interrupts closed, or sleeps, gets its HMI when hardware would give it: behind
//! the instruction that opens interrupts, or as the reason of its waking up. Its TB is damaged at
//! that moment, since no hardware would have it run on with a wrong one: it would stand.

mod time;

pub use time::TOLERANCE_TICKS;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gdb_remote::{Timeouts, Watch};
use power_registers::{Hmer, TbState, Tfmr};

use crate::chip_tod::{ChipTod, Move};
use crate::forge::{broken, take_hmi};
use crate::instructions::{Gpr, msgsnd};
use crate::machine::{MSR_EE, MSR_PR, Machine, Vcpu};
use crate::plan::Plan;
use crate::sleepers::{asleep, awake, clock_reader};

/// First pause between two looks at threads that are awaited.
const SLICE: Duration = Duration::from_micros(500);
/// The longest.
const LONGEST_SLICE: Duration = Duration::from_millis(20);
/// Looks for a thread that is where it is wanted.
const ATTEMPTS: u32 = 40;
/// The vector through which a thread leaves a sleep that lost something.
const SYSTEM_RESET_VECTOR: u64 = 0x100;
/// Why it woke up: SRR1 bits 42 to 45.
const WAKE_REASON: u64 = 0xf << 18;
/// A maintenance interrupt.
const WAKE_REASON_HMI: u64 = 0xa << 18;
/// Type of a hypervisor doorbell, in the operand of `msgsnd`.
const HYPERVISOR_DOORBELL: u64 = 5 << 27;
/// The firmware's part of memory.
const FIRMWARE: std::ops::Range<u64> = 0x3000_0000..0x3110_0000;

/// What a thread was at when it was struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// In a guest of the kernel.
    Guest,
    /// In a program.
    Program,
    /// In the kernel, interrupts open.
    Kernel,
    /// In the kernel, interrupts closed.
    KernelClosed,
    /// In the firmware, in a call.
    Firmware,
    /// Asleep.
    Asleep,
    /// In the firmware, waiting for the OS to start it.
    Waiting,
}

/// One fault and what came of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// The fault in words.
    pub plan: String,
    /// What each thread of the core was at.
    pub doing: Vec<Doing>,
    /// Threads that took their HMI in a guest.
    pub taken_in_guests: u32,
    /// Moves of the TOD that the firmware asked for.
    pub moves: Vec<Move>,
    /// From the strike until every thread was well again.
    pub milliseconds: f64,
    /// How far TB of each thread of the machine is off afterwards, in ticks.
    pub off: Vec<i64>,
    /// What is wrong.
    pub failures: Vec<String>,
}

/// A machine with an operating system, stopped and ready to be struck.
#[derive(Debug)]
pub struct Struck {
    machine: Machine,
    tod: ChipTod,
    reference: u64,
    /// PIRs of threads that the OS has not started.
    waiting: Vec<u32>,
    guests: Guests,
}

/// The threads on which guests run: by PIR, TB of the guest minus TB of the host. KVM gives a guest a
/// VTB of its own and leaves it behind, so VTB of these threads is no clock.
pub type Guests = BTreeMap<u32, i64>;

/// A thread of the core that is struck.
#[derive(Clone, Copy, Debug)]
struct Target {
    vcpu: Vcpu,
    doing: Doing,
    damage: crate::stuffing::Change,
    delivered: bool,
    taken_in_guest: bool,
}

impl Struck {
    /// Connects, which stops the machine. The clock is taken from a thread that is awake and never
    /// has a guest; of those that have, `guests` are told.
    ///
    /// # Errors
    /// The line failed, or every thread sleeps.
    pub fn connect(socket: &std::path::Path, guests: Guests, patience: Duration) -> Result<Self> {
        let mut machine = Machine::connect(socket, Timeouts::default())?;
        let start = Instant::now();
        let reader = loop {
            if let Some(reader) = clock_reader(&mut machine, &guests)? {
                break reader;
            }
            ensure!(start.elapsed() < patience, "every thread sleeps");
            machine.run(SLICE)?;
        };
        let clock = machine.clock_of(reader)?;
        let reference = machine.read(reader, "tb")?.wrapping_sub(clock);
        let mut tod = ChipTod::watch(&mut machine, reference, false)?;
        tod.guests = guests.clone();
        Ok(Self {
            machine,
            tod,
            reference,
            waiting: Vec::new(),
            guests,
        })
    }

    /// Finds out which threads the OS has not started: at every look they are in the firmware. Any
    /// thread of the machine may be the one that boots.
    ///
    /// # Errors
    /// The line failed.
    pub fn find_waiting(&mut self) -> Result<usize> {
        let mut waiting = self.machine.vcpus();
        for _ in 0..ATTEMPTS {
            self.machine.run(SLICE)?;
            let mut still = Vec::new();
            for vcpu in waiting {
                let pc = self.machine.read(vcpu, "pc")?;
                if FIRMWARE.contains(&(pc & !(0xf << 60))) {
                    still.push(vcpu);
                }
            }
            waiting = still;
        }
        self.waiting = waiting.iter().map(|vcpu| vcpu.pir).collect();
        Ok(self.waiting.len())
    }

    /// How often each thread that waits in the firmware is found asleep, of so many looks.
    ///
    /// # Errors
    /// The line failed.
    pub fn sleepers(&mut self, looks: u32) -> Result<Vec<u32>> {
        let mut found = vec![0; self.waiting.len()];
        for _ in 0..looks {
            self.machine.run(LONGEST_SLICE)?;
            let asleep = asleep(&mut self.machine)?;
            for (count, pir) in found.iter_mut().zip(&self.waiting) {
                *count += u32::from(asleep.contains(pir));
            }
        }
        Ok(found)
    }

    /// Threads of each core.
    pub fn cores(&self) -> Vec<usize> {
        self.machine.cores().into_values().collect()
    }

    /// Lets the machine run on without us.
    ///
    /// # Errors
    /// The line failed.
    pub fn leave(mut self) -> Result<()> {
        self.tod.unwatch(&mut self.machine)?;
        Ok(self.machine.client.detach()?)
    }

    /// Strikes, and waits until every thread of the core is well.
    ///
    /// # Errors
    /// The line failed, or a thread cannot be brought to do what it must.
    pub fn strike(&mut self, plan: &Plan, patience: Duration) -> Result<Outcome> {
        self.run(plan.delay)?;
        let cores: Vec<u32> = self.machine.cores().into_keys().collect();
        let core = *cores.get(plan.core).context("there is no such core")?;
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
        let mut outcome = Outcome {
            plan: plan.in_words(),
            doing: targets.iter().map(|target| target.doing).collect(),
            taken_in_guests: 0,
            moves: Vec::new(),
            milliseconds: 0.0,
            off: Vec::new(),
            failures: Vec::new(),
        };
        let start = Instant::now();
        let first = targets.first().context("a core without threads")?.vcpu;
        let healthy = Tfmr::from_bits_retain(self.machine.read(first, "tfmr")?);
        let tfmr = broken(healthy, plan.errors);
        for target in &targets {
            self.machine.write(target.vcpu, "tfmr", tfmr.bits())?;
            let hmer = self.machine.read(target.vcpu, "hmer")?;
            let hmer = hmer | Hmer::TFAC_ERROR.bits();
            self.machine.write(target.vcpu, "hmer", hmer)?;
        }
        self.machine
            .client
            .plant(Watch::Breakpoint, SYSTEM_RESET_VECTOR, 4)?;
        let mut time = SLICE;
        let well = loop {
            let repaired = outcome.moves.iter().any(|done| done.loaded.is_some());
            let asleep = asleep(&mut self.machine)?;
            for target in targets.iter_mut().filter(|target| !target.delivered) {
                if asleep.contains(&target.vcpu.pir) {
                    // It was on the way to its sleep, or never left it.
                    self.wake(target.vcpu)?;
                } else {
                    self.deliver(target, repaired)?;
                }
            }
            if targets.iter().all(|target| target.delivered) && self.is_well(&targets)? {
                break true;
            }
            if start.elapsed() > patience {
                break false;
            }
            outcome.moves.extend(self.run(time)?);
            time = (time * 3 / 2).min(LONGEST_SLICE);
        };
        self.machine
            .client
            .remove(Watch::Breakpoint, SYSTEM_RESET_VECTOR, 4)?;
        let in_guests = targets.iter().filter(|target| target.taken_in_guest);
        outcome.taken_in_guests = in_guests.count() as u32;
        outcome.milliseconds = start.elapsed().as_secs_f64() * 1e3;
        if !well {
            for target in &targets {
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
            return Ok(outcome);
        }
        self.check_time(&mut outcome)?;
        Ok(outcome)
    }

    /// What the threads of a core are at.
    fn targets(&mut self, core: u32, plan: &Plan) -> Result<Vec<Target>> {
        let asleep = asleep(&mut self.machine)?;
        let mut targets = Vec::new();
        for (index, vcpu) in self.machine.core(core).into_iter().enumerate() {
            let state = self.machine.state(vcpu)?;
            let in_firmware = FIRMWARE.contains(&(state.pc & !(0xf << 60)));
            let doing = if state.in_guest() {
                Doing::Guest
            } else if in_firmware && self.waiting.contains(&vcpu.pir) {
                Doing::Waiting
            } else if asleep.contains(&vcpu.pir) {
                Doing::Asleep
            } else if state.msr & MSR_PR != 0 {
                Doing::Program
            } else if in_firmware {
                Doing::Firmware
            } else if state.msr & MSR_EE != 0 {
                Doing::Kernel
            } else {
                Doing::KernelClosed
            };
            targets.push(Target {
                vcpu,
                doing,
                damage: plan.damage[index % plan.damage.len()],
                delivered: false,
                taken_in_guest: false,
            });
        }
        Ok(targets)
    }

    /// Gives the HMI to a thread that takes one now. One that comes after the core's TB was
    /// repaired finds it good.
    fn deliver(&mut self, target: &mut Target, repaired: bool) -> Result<()> {
        let vcpu = target.vcpu;
        let state = self.machine.state(vcpu)?;
        if !state.hmer().intersects(Hmer::TIMER) {
            // In a meeting to which its siblings summoned it.
            target.delivered = true;
            return Ok(());
        }
        let woken = state.pc == SYSTEM_RESET_VECTOR;
        if !woken && !state.takes_hmi() {
            return Ok(());
        }
        let visit = self.machine.into_hypervisor(vcpu)?;
        if !repaired {
            self.machine.change_timebase_here(vcpu, target.damage)?;
        }
        if woken {
            let srr1 = self.machine.read(vcpu, "srr1")?;
            let srr1 = srr1 & !WAKE_REASON | WAKE_REASON_HMI;
            self.machine.write(vcpu, "srr1", srr1)?;
            self.machine.step_off(vcpu, state.pc)?;
        } else {
            self.machine.forget_way_in(vcpu, &visit)?;
            take_hmi(&mut self.machine, vcpu, visit.place)?;
            target.taken_in_guest = state.in_guest();
        }
        target.delivered = true;
        Ok(())
    }

    /// Sends a doorbell to a thread that sleeps: what wakes it up is then said to be an HMI.
    fn wake(&mut self, sleeper: Vcpu) -> Result<()> {
        const OPERAND: Gpr = 4;
        let Some(sender) = awake(&mut self.machine)?.first().copied() else {
            bail!("every thread sleeps");
        };
        let operand = HYPERVISOR_DOORBELL | u64::from(sleeper.pir);
        self.machine
            .stuff(sender, &[msgsnd(OPERAND)], &[(OPERAND, operand)], &[], &[])?;
        Ok(())
    }

    /// Whether every thread of the core has cleared its cause and TB runs.
    fn is_well(&mut self, targets: &[Target]) -> Result<bool> {
        for target in targets {
            let state = self.machine.state(target.vcpu)?;
            let in_firmware = FIRMWARE.contains(&(state.pc & !(0xf << 60)));
            let runs = state.tfmr().state() == TbState::Running;
            if !runs
                || !state.tfmr().contains(Tfmr::TB_VALID)
                || state.hmer().intersects(Hmer::TIMER)
                || in_firmware && target.doing != Doing::Waiting
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets all threads run for a time, answering moves of the TOD meanwhile.
    fn run(&mut self, time: Duration) -> Result<Vec<Move>> {
        // A thread may stand at a vector or behind a store whatever the stop is called, if both
        // coincide. What is left of the time is not made up for: the caller comes again.
        self.machine.run(time)?;
        let vcpus = self.machine.vcpus();
        self.tod.answer(&mut self.machine, &vcpus)
    }
}
