//! A state of a core: the two shipped words, an abstract timer facility, and its threads.

use crate::thread::{Flag, GENERATION, Life, Thread};
use hmi_meeting::{Findings, Phase, Word, mask_of};
use hypervisor_shim::core_word::CoreWord;
use std::hash::{Hash, Hasher};

/// Most threads of a core.
pub const THREADS: usize = 8;

/// How many sub-cores, each with a TB of its own, and how many threads in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// TBs of the core.
    pub sub_cores: u8,
    /// Threads that share each.
    pub threads: u8,
}

impl Shape {
    /// Threads of the core.
    #[must_use]
    pub const fn all(self) -> usize {
        self.sub_cores as usize * self.threads as usize
    }

    /// The sub-core of a thread.
    #[must_use]
    pub const fn sub_core(self, thread: usize) -> usize {
        thread / self.threads as usize
    }

    /// The threads with the TB of this thread.
    #[must_use]
    pub const fn sharing(self, thread: usize) -> u8 {
        let width = self.threads as u32;
        let all = ((1_u32 << width) - 1) as u8;
        all << (self.sub_core(thread) as u32 * width)
    }

    /// All threads, as a mask.
    #[must_use]
    pub const fn mask(self) -> u8 {
        ((1_u32 << self.all()) - 1) as u8
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.sub_cores, self.threads)
    }
}

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: not a shape like 2x4");
        let (sub_cores, threads) = text.split_once('x').ok_or_else(wrong)?;
        let shape = Self {
            sub_cores: sub_cores.parse().map_err(|_| wrong())?,
            threads: threads.parse().map_err(|_| wrong())?,
        };
        if shape.all() == 0 || shape.all() > THREADS {
            return Err(format!("{text}: a core has 1 to {THREADS} threads"));
        }
        Ok(shape)
    }
}

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Broken {
    /// None.
    Nothing,
    /// TB was rewritten while a thread had its guest's offset in it.
    RewrittenInGuest,
    /// TB was rewritten while the core was not closing.
    RewrittenOpen,
    /// Two resyncs in one round.
    SecondResync,
    /// An event that says "recovered", and nothing was recovered since the last one.
    EventForNothing,
    /// A thread was asked for something that its program cannot do there.
    Lost,
}

/// The timer facility of the core, and what was struck and told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Timer {
    /// TB of each sub-core: host time plus so many guests' offsets. Means nothing while not valid.
    pub offset: [i8; THREADS],
    /// TB runs and is right but for the offset.
    pub valid: bool,
    /// An error of the core is latched in TFMR.
    pub error: bool,
    /// The ChipTOD reports an error.
    pub tod_error: bool,
    /// The ChipTOD cannot be started again.
    pub tod_dead: bool,
    /// The leader's plan: all rewrite their TB.
    pub plan: bool,
    /// A fault struck while TB was being loaded.
    pub disturbed: bool,
    /// A fault of the core waits for its repair.
    pub owed: bool,
    /// A fault of the core was repaired by a meeting that has not told yet.
    pub repaired: bool,
    /// A fault of the core was repaired by a resync: it may be told, and need not be.
    pub quiet: bool,
    /// A fault of the core was repaired by a meeting whose leader was so late that the others forgot it:
    /// it may tell, later than all that came since.
    pub forgotten: bool,
    /// The OS was told that a fault of the core is not recovered.
    pub told: bool,
    /// The OS saw that TB is dead: the flag of the handler.
    pub flagged: bool,
    /// Faults to come.
    pub faults: u8,
    /// Resyncs since the core closed, or since the last fault.
    pub resyncs: u8,
}

impl Timer {
    fn words(&self) -> [u64; 2] {
        let offsets = self.offset.map(|offset| offset as u8);
        let flags = [
            self.valid,
            self.error,
            self.tod_error,
            self.tod_dead,
            self.plan,
            self.disturbed,
            self.owed,
            self.repaired,
            self.told,
            self.quiet,
            self.flagged,
            self.forgotten,
        ];
        let bits = flags
            .iter()
            .fold(0, |bits, flag| bits << 1 | u64::from(*flag));
        let counts = u64::from(self.faults) << 8 | u64::from(self.resyncs);
        [u64::from_le_bytes(offsets), bits << 16 | counts]
    }
}

/// A state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// The shim's word. Its epoch and its entries are 0 in every state: threads keep whether theirs
    /// is the present one.
    pub core: CoreWord,
    /// The firmware's word, with [`GENERATION`].
    pub meeting: Word,
    /// The timer facility.
    pub timer: Timer,
    /// The threads.
    pub threads: [Thread; THREADS],
    /// A rule that the last step broke.
    pub broken: Broken,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.core.0);
        state.write_u64(self.meeting.to_bits());
        let [offsets, rest] = self.timer.words();
        state.write_u64(offsets);
        state.write_u64(rest << 8 | self.broken as u64);
        for thread in self.threads {
            state.write_u64(thread.0);
        }
    }
}

impl State {
    /// Nothing under way, TB runs with host time.
    #[must_use]
    pub fn new() -> Self {
        let mut meeting = Word::default();
        meeting.generation = GENERATION;
        Self {
            core: CoreWord(0),
            meeting,
            timer: Timer {
                valid: true,
                ..Timer::default()
            },
            threads: [Thread::default(); THREADS],
            broken: Broken::Nothing,
        }
    }

    /// Threads of `shape` that fulfil a condition.
    pub fn which(&self, shape: Shape, condition: impl Fn(Thread) -> bool) -> u8 {
        (0..shape.all()).fold(0, |mask, number| {
            mask | u8::from(condition(self.threads[number])) << number
        })
    }

    /// Threads that stopped for ever.
    #[must_use]
    pub fn dead(&self, shape: Shape) -> u8 {
        self.which(shape, |thread| thread.life() == Life::Dead)
    }

    /// Whether a thread other than this one owns TFMR.
    #[must_use]
    pub fn is_tfmr_held(&self, but_by: usize) -> bool {
        let owns = |(number, thread): (usize, &Thread)| number != but_by && thread.has(Flag::Owns);
        self.threads.iter().enumerate().any(owns)
    }

    /// A new epoch begins: nobody attended it.
    pub fn begin_epoch(&mut self) {
        self.core.0 &= !0xffff;
        for thread in &mut self.threads {
            thread.set(Flag::Attended, false);
        }
        self.timer.resyncs = 0;
    }

    /// Forgets in both words what no thread can tell any more.
    pub fn normalise(&mut self) {
        self.core.0 &= !0xffff_0000;
        if self.meeting.generation != GENERATION {
            self.meeting.generation = GENERATION;
            for thread in &mut self.threads {
                thread.grow_older();
            }
        }
        match self.meeting.phase() {
            Phase::Idle => {
                // Nobody reads how a meeting went once it is over, but those who missed it, and those who
                // are in it still and were forgotten: they ask who led it, and whether it was given up.
                let over = self.meeting;
                let forgot = self
                    .threads
                    .iter()
                    .any(|thread| thread.is_in_last_meeting());
                if forgot {
                    // Only who led it asks who leads it now. Nobody takes part in it any more: here they
                    // mark that the leader still counts.
                    let asked = self.threads.iter().any(|thread| thread.led_last_meeting());
                    self.meeting.leader = if asked { over.leader } else { 0 };
                    self.meeting.participants = if asked { mask_of(over.leader) } else { 0 };
                } else {
                    self.meeting = Word::default();
                    self.meeting.generation = GENERATION;
                }
                let missed = self.threads.iter().any(|thread| thread.has(Flag::Missed));
                let kept = if missed {
                    0xff
                } else {
                    Findings::FAILED.bits()
                };
                self.meeting.findings = Findings::from_bits(over.findings.bits() & kept);
                self.timer.plan = false;
            }
            Phase::Arrive => self.meeting.leader = 0,
            _ => {}
        }
        if self.timer.valid {
            for thread in &mut self.threads {
                thread.set(Flag::WithoutTime, false);
            }
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}
