use crate::bench::{Bench, Ran};
use crate::checks::Event;
use crate::scenario::{Case, Doing, Found};
use hardware_model::Machine;
use opal_abi::hmi_flags::TOD_TB_FAIL;
use power_registers::chip_tod::{SYNC_PERIOD_TICKS, TodRegister};
use power_registers::{Hmer, TbState, Tfmr};

/// How a recovery ended, when what it said is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is repaired.
    Recovered,
    /// Something is not, and that was said.
    Failed,
}

/// The machine before anything broke.
#[derive(Debug)]
pub struct Witness {
    /// The registers that firmware restores, of each chip.
    registers: Vec<[Option<u64>; 9]>,
    timebases: Vec<u64>,
}

/// What the handler said, over all runs of a case.
#[derive(Debug)]
pub struct Record {
    /// Flags of the last call on each thread; `None` if it never came.
    pub last_flags: Vec<Option<u64>>,
    /// Whether a pending HMI would have been delivered: not to a thread that idles in the firmware.
    pub takes_interrupts: Vec<bool>,
    /// All events, oldest first.
    pub events: Vec<Event>,
    /// Model time that it took, in ticks.
    pub ticks: u64,
}

impl Record {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(bench: &Bench) -> Self {
        Self {
            last_flags: vec![None; bench.machine.configuration().threads()],
            takes_interrupts: vec![true; bench.machine.configuration().threads()],
            events: Vec::new(),
            ticks: 0,
        }
    }

    /// Adds a run.
    pub fn add(&mut self, ran: &Ran) {
        for (last, outcomes) in self.last_flags.iter_mut().zip(&ran.outcomes) {
            if let Some(outcome) = outcomes.last() {
                *last = Some(outcome.flags);
            }
        }
        self.events.extend(&ran.events);
        self.ticks += ran.ticks;
    }

    fn says_failed(&self, thread: usize) -> bool {
        self.last_flags[thread].is_some_and(|flags| flags & TOD_TB_FAIL != 0)
    }
}

/// Lines of a run that say no more than that something was not repaired.
const OF_A_FAILURE: [&str; 2] = ["guests hardly ran", "waits of the shim ran out"];

/// Most model time of a case, with up to five faults and hypervisors that wait for dead threads: 32 s.
const MOST_TICKS: u64 = 16_384_000_000;

/// How long a machine runs on before it is judged: two sync periods.
const SETTLING_TICKS: u64 = 2 * SYNC_PERIOD_TICKS;

/// Whether what the firmware said in a run of a case is true, whatever it is.
///
/// # Errors
/// What was said, and how it really is.
pub fn honest(case: &Case, found: &Found) -> Result<Verdict, String> {
    let bench = &found.bench;
    let threads = case.shape.all_threads();
    let record = Record {
        last_flags: found
            .calls
            .iter()
            .map(|calls| calls.last().map(|(_, flags)| *flags))
            .collect(),
        takes_interrupts: (0..threads)
            .map(|thread| case.doing(thread) != Doing::Idle)
            .collect(),
        events: found.messages.iter().copied().map(Event::decode).collect(),
        ticks: found.ticks,
    };
    let hard = |line: &&String| !OF_A_FAILURE.iter().any(|soft| line.contains(soft));
    if let Some(line) = found.wrong.iter().find(hard) {
        return Err(line.clone());
    }
    if found.lost != 0 {
        return Err(format!("{} events lost", found.lost));
    }
    if found.ticks > MOST_TICKS {
        return Err(format!("it took {} ticks", found.ticks));
    }
    let runs = |thread: usize| {
        found.alive[thread] && !bench.machine.checkstopped(thread / case.shape.threads)
    };
    // A TOD that was just loaded starts with the next sync; what does not last shows, too.
    bench.machine.tick(SETTLING_TICKS);
    let verdict = Witness::of(found).judge(bench, &record, runs)?;
    let behind = |thread: usize| bench.machine.timebase(thread) < found.time_struck;
    if verdict == Verdict::Recovered && (0..threads).any(|thread| runs(thread) && behind(thread)) {
        return Err("TB is a guess, and nobody said so".to_owned());
    }
    // A thread that died with its core closed keeps the core's guests out for ever, as it must.
    let died = (0..threads).any(|thread| case.doing(thread) == Doing::Dies);
    match found.wrong.first() {
        Some(line) if verdict == Verdict::Recovered && !died => Err(line.clone()),
        _ => Ok(verdict),
    }
}

/// Where time had to be guessed, it is the same guess everywhere: an OS goes from thread to thread.
fn one_time(machine: &Machine, mut threads: impl Iterator<Item = usize>) -> Result<(), String> {
    let Some(first) = threads.next() else {
        return Ok(());
    };
    let timebase = machine.timebase(first);
    match threads.find(|thread| machine.timebase(*thread) != timebase) {
        None => Ok(()),
        Some(other) => Err(format!(
            "TB of thread {first} is {timebase:#x}, of thread {other} {:#x}, and time {:#x}",
            machine.timebase(other),
            machine.true_time()
        )),
    }
}

fn registers(bench: &Bench, chip: usize) -> [Option<u64>; 9] {
    TodRegister::CACHED.map(|register| bench.machine.peek_scom(chip, register.address()))
}

impl Witness {
    /// What a run of a case noted.
    fn of(found: &Found) -> Self {
        let configuration = found.bench.machine.configuration();
        let of_chip = |chip: usize| {
            TodRegister::CACHED.map(|register| {
                let mut all = found.registers_before.iter();
                let same =
                    |entry: &&(usize, u32, u64)| (entry.0, entry.1) == (chip, register.address());
                all.find(same).map(|entry| entry.2)
            })
        };
        Self {
            registers: (0..configuration.chips).map(of_chip).collect(),
            timebases: vec![found.least_time; configuration.threads()],
        }
    }

    /// Looks at a machine that is in order.
    #[must_use]
    pub fn new(bench: &Bench) -> Self {
        let configuration = bench.machine.configuration();
        Self {
            registers: (0..configuration.chips)
                .map(|chip| registers(bench, chip))
                .collect(),
            timebases: (0..configuration.threads())
                .map(|thread| bench.machine.timebase(thread))
                .collect(),
        }
    }

    /// Whether what was said is true. Only threads of `present` count: the others did not come.
    ///
    /// # Errors
    /// What was said, and how it really is.
    pub fn judge(
        &self,
        bench: &Bench,
        record: &Record,
        present: impl Fn(usize) -> bool,
    ) -> Result<Verdict, String> {
        let machine = &bench.machine;
        let violations = machine.violations();
        if let Some(first) = violations.first() {
            return Err(format!(
                "{} rules broken, first {first:x?}",
                violations.len()
            ));
        }
        let unrecovered = record
            .events
            .iter()
            .filter(|event| !event.recovered)
            .count();
        let mut failed = unrecovered > 0;
        for thread in (0..self.timebases.len()).filter(|thread| present(*thread)) {
            if record.takes_interrupts[thread] && machine.hmi_pending(thread) {
                let hmer = machine.hmer(thread) - Hmer::XSCOM_MAILBOX;
                return Err(format!("thread {thread}: {hmer:?} is left in HMER"));
            }
            failed |= record.says_failed(thread);
            self.judge_time(bench, record, thread, unrecovered)?;
        }
        let with_time = |thread: &usize| present(*thread) && !record.says_failed(*thread);
        one_time(machine, (0..self.timebases.len()).filter(with_time))?;
        // Where no thread is left, nobody can say anything.
        if failed || !(0..self.timebases.len()).any(&present) {
            return Ok(Verdict::Failed);
        }
        self.judge_rest(bench, present)?;
        Ok(Verdict::Recovered)
    }

    fn judge_time(
        &self,
        bench: &Bench,
        record: &Record,
        thread: usize,
        unrecovered: usize,
    ) -> Result<(), String> {
        let machine = &bench.machine;
        let tfmr = machine.tfmr(thread);
        if record.says_failed(thread) {
            // Never silent for the rest of the system.
            return if unrecovered > 0 {
                Ok(())
            } else {
                Err(format!(
                    "thread {thread}: TOD_TB_FAIL, and no event says it"
                ))
            };
        }
        if !tfmr.contains(Tfmr::TB_VALID) || tfmr.state() != TbState::Running {
            return Err(format!("thread {thread}: {tfmr:?}, and nobody said so"));
        }
        let timebase = machine.timebase(thread);
        if timebase < self.timebases[thread] {
            let before = self.timebases[thread];
            return Err(format!(
                "thread {thread}: TB {timebase:#x} is behind {before:#x}"
            ));
        }
        let chip = machine
            .configuration()
            .chip_of(machine.configuration().core_of(thread));
        let (truth, tod) = (machine.true_time(), machine.tod_time(chip));
        // A TOD that lost its time starts with the best estimate: all follow it then.
        if timebase != truth && (tod == truth || timebase != tod) {
            return Err(format!(
                "thread {thread}: TB {timebase:#x}, time {truth:#x}, TOD {tod:#x}"
            ));
        }
        Ok(())
    }

    /// What must be so when everything is said to be repaired.
    fn judge_rest(&self, bench: &Bench, present: impl Fn(usize) -> bool) -> Result<(), String> {
        let machine = &bench.machine;
        let configuration = machine.configuration();
        for thread in (0..self.timebases.len()).filter(|thread| present(*thread)) {
            let tfmr = machine.tfmr(thread);
            let left = tfmr
                & (Tfmr::CORE_ERRORS
                    | Tfmr::THREAD_ERRORS
                    | Tfmr::COMMANDS
                    | Tfmr::CHIP_TOD_INTERRUPT);
            if !left.is_empty() {
                return Err(format!("thread {thread}: {left:?} is left in TFMR"));
            }
            if (tfmr & Tfmr::CONTROL).bits() != configuration.base() {
                return Err(format!("thread {thread}: {tfmr:?} is not the base value"));
            }
        }
        // Of a chip whose cores have all stopped nobody gets the interrupt.
        let chip_of = |thread| configuration.chip_of(configuration.core_of(thread));
        let is_present = |chip: &usize| {
            (0..self.timebases.len()).any(|thread| chip_of(thread) == *chip && present(thread))
        };
        for chip in (0..configuration.chips).filter(is_present) {
            let read = |register: TodRegister| {
                let value = machine.peek_scom(chip, register.address());
                value.ok_or_else(|| format!("{register:?} of chip {chip} does not exist"))
            };
            let unmasked = read(TodRegister::Error)? & !read(TodRegister::ErrorMask)?;
            if unmasked != 0 {
                return Err(format!(
                    "chip {chip}: {unmasked:#x} is left in the TOD's ERROR"
                ));
            }
            if registers(bench, chip) != self.registers[chip] {
                let (is, was) = (registers(bench, chip), self.registers[chip]);
                return Err(format!("TOD of chip {chip}: {is:x?}, was {was:x?}"));
            }
        }
        Ok(())
    }
}
