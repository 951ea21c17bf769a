//! Faults under an operating system: the same damage and the same HMI, delivered to threads that are
//! in programs, in the kernel, asleep, or in an OPAL call.
//!
//! A thread that has interrupts closed, or sleeps, gets its HMI when hardware would give it: behind
//! the instruction that opens interrupts, or as the reason of its waking up. Its TB is damaged at
//! that moment, since no hardware would have it run on with a wrong one: it would stand.

mod deliver;
mod hold;
mod judge;
mod records;
mod second;
mod strike;
mod time;

pub use judge::SecondStrike;
pub use time::TOLERANCE_TICKS;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gdb_remote::Timeouts;

use crate::chip_tod::{ChipTod, Move};
use crate::image::Image;
use crate::machine::{MSR_EE, MSR_PR, Machine, ThreadState, Vcpu};
use crate::plan::Plan;
use crate::sleepers::{asleep, clock_reader};

/// First pause between two looks at threads that are awaited.
const SLICE: Duration = Duration::from_micros(500);
/// The longest.
const LONGEST_SLICE: Duration = Duration::from_millis(20);
/// Looks for a thread that is where it is wanted.
const ATTEMPTS: u32 = 40;
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
    /// HMER and TFMR as they were set, of each error.
    pub set: Vec<(u64, u64)>,
    /// Events that the firmware queued, and whether each says that the error is gone.
    pub events: Vec<bool>,
    /// A second error, if there was one.
    pub second: Option<SecondStrike>,
    /// The thread that was kept from coming, by its number in the core.
    pub held: Option<usize>,
    /// Threads of the core that the firmware waited for in vain: bit n is thread n.
    pub absent: u64,
    /// The longest wait of the firmware for threads to arrive, in spins.
    pub spins: u64,
    /// PIRs of the threads whose handler returned with "TB is not valid".
    pub dead: Vec<u32>,
    /// What is wrong.
    pub failures: Vec<String>,
    /// If something is: the firmware's records.
    pub records: Vec<String>,
}

/// A machine with an operating system, stopped and ready to be struck.
#[derive(Debug)]
pub struct Struck {
    machine: Machine,
    image: Image,
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
    /// It keeps interrupts closed until all others are well.
    held: bool,
    taken_in_guest: bool,
}

impl Struck {
    /// Connects, which stops the machine. The clock is taken from a thread that is awake and never
    /// has a guest; of those that have, `guests` are told.
    ///
    /// # Errors
    /// The line failed, or every thread sleeps.
    pub fn connect(
        socket: &std::path::Path,
        image: &std::path::Path,
        guests: Guests,
        patience: Duration,
    ) -> Result<Self> {
        let image = Image::read(image)?;
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
            image,
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

    /// What the threads of a core are at.
    fn targets(&mut self, core: u32, plan: &Plan) -> Result<Vec<Target>> {
        let asleep = asleep(&mut self.machine)?;
        let mut targets = Vec::new();
        for (index, vcpu) in self.machine.core(core).into_iter().enumerate() {
            let state = self.machine.state(vcpu)?;
            let in_firmware = in_firmware(&state);
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
                held: false,
                taken_in_guest: false,
            });
        }
        Ok(targets)
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

/// Whether a thread executes the firmware.
fn in_firmware(state: &ThreadState) -> bool {
    FIRMWARE.contains(&(state.pc & !(0xf << 60)))
}
