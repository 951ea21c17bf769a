//! OPAL calls with hostile tokens and arguments, from all threads at once, while the hardware fails.
//!
//! Each thread makes its calls and takes its HMIs in between, as an OS does. The memory behind the
//! pointers knows what each call may read and write; the return codes are those of the ABI; in the
//! end every TB is right, or it was said that it is not.

mod memory;
mod station;

use super::{Input, faults, tell};
use crate::{Bench, ModelHardware, Schedule, Turn, play};
use hardware_model::{Fault, Generation, Moment};
use memory::{Memory, OWN};
use opal_abi::{OpalError, SUCCESS, TEST_ANSWER, Token, hmi_flags};
use opaline_firmware::console::Console;
use opaline_firmware::hardware::{ChipId, Hardware};
use opaline_firmware::opal::{Call, Context, dispatch};
use opaline_firmware::platform::LpcBus;
use opaline_firmware::system::System;
use station::Station;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Most HMIs that one thread takes for each fault; more is a storm.
const MOST_HMIS: usize = 24;

/// One thing that a thread does.
#[derive(Debug)]
enum Step {
    Call {
        call: Call,
        depth: u32,
        /// What the memory behind the pointers says.
        word: u64,
        /// It says something else each time.
        shifty: bool,
    },
    Fault(Moment, Fault),
    Spin(u8),
}

/// What a thread can tell in the end.
#[derive(Debug, Default)]
struct Life {
    /// The last HMI ended with a TB that failed.
    told: bool,
    /// Events that it fetched and that said "not recovered".
    unrecovered: usize,
}

/// Makes the calls that the input says.
///
/// # Panics
/// If a promise is broken.
pub(super) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let configuration = faults::configuration(&mut input);
    let mut bench = Bench::new(configuration.clone());
    if configuration.generation == Generation::Power8 && input.one_in(32) {
        // A bus behind SCOMs that never gets done.
        let address = 0xb0020;
        bench.platform.lpc = LpcBus::Xscom {
            chip: ChipId(0),
            address,
        };
        (0..4).for_each(|register| bench.machine.provide_scom(0, address + register, 0));
    }
    let bench = bench;
    let system = bench.booted_system();
    faults::note_timebases(&bench, &system);
    let console = Console::new(None);
    let bus = input.byte();
    if input.one_in(2) {
        let mut hardware = Station::new(bench.hardware(0), bus);
        let _ = console.initialise(&mut hardware, &bench.platform, &system.xscom);
    }
    let seed = input.word();
    let threads: Vec<usize> = (0..configuration.threads()).collect();
    let everybody = input.one_in(2);
    let mut plans: Vec<Vec<Step>> = threads.iter().map(|_| Vec::new()).collect();
    let mut number_of_faults = 0;
    let mut known = faults::Known::Exactly;
    for step in 0..64 {
        if input.is_empty() {
            break;
        }
        let next = plan(&mut input, &bench);
        if let Step::Fault(_, fault) = &next {
            number_of_faults += 1;
            known = known.min(faults::known_after(fault));
        }
        let whose = if everybody { step % threads.len() } else { 0 };
        tell(|| format!("thread {whose}: {next:x?}"));
        plans[whose].push(next);
    }
    let crew = Crew {
        bench: &bench,
        system: &system,
        console: &console,
        bus,
        plans,
        resting: AtomicUsize::new(0),
        failed_resyncs: AtomicU64::new(0),
        most_hmis: MOST_HMIS * (1 + number_of_faults),
    };
    let lives = play(Schedule::Seeded(seed), &threads, |thread, turn| {
        crew.life(thread, turn)
    });
    let mut lives: Vec<Life> = lives.into_iter().map(Option::unwrap_or_default).collect();
    bench.machine.heal_xscom();
    // Whatever is still pending is taken with a bus that works.
    let ran = bench.run(&system, Schedule::Seeded(!seed)).go();
    for (life, outcomes) in lives.iter_mut().zip(&ran.outcomes) {
        if let Some(last) = outcomes.last() {
            life.told = last.flags & hmi_flags::TOD_TB_FAIL != 0;
        }
    }
    let unrecovered = lives.iter().map(|life| life.unrecovered).sum::<usize>()
        + ran
            .events
            .iter()
            .filter(|event| faults::is_unrecovered(event))
            .count();
    let failed_resyncs = crew.failed_resyncs.load(Ordering::SeqCst);
    let core_was_told = |thread| failed_resyncs >> configuration.core_of(thread) & 1 != 0;
    let told: Vec<bool> = lives
        .iter()
        .enumerate()
        .map(|(thread, life)| life.told || core_was_told(thread))
        .collect();
    faults::judge(&bench, &told, unrecovered, known);
}

fn plan(input: &mut Input<'_>, bench: &Bench) -> Step {
    match input.below(16) {
        0 => Step::Fault(
            faults::moment(input),
            faults::fault(input, bench.machine.configuration()),
        ),
        1 => Step::Fault(
            faults::moment(input),
            Fault::Xscom(faults::scom_fault(input, bench)),
        ),
        2 => Step::Spin(input.byte()),
        _ => Step::Call {
            call: memory::call(input),
            depth: input.pick(&[1, 1, 1, 1, 2, 3, 0, u32::MAX]),
            word: memory::length(input),
            shifty: input.one_in(8),
        },
    }
}

/// All threads.
struct Crew<'a> {
    bench: &'a Bench,
    system: &'a System<'a>,
    console: &'a Console<'a>,
    bus: u8,
    plans: Vec<Vec<Step>>,
    resting: AtomicUsize,
    /// Cores whose OS heard from `OPAL_RESYNC_TIMEBASE` that it failed.
    failed_resyncs: AtomicU64,
    most_hmis: usize,
}

impl Crew<'_> {
    fn life(&self, thread: usize, turn: Option<Turn<'_>>) -> Life {
        let machine = &self.bench.machine;
        let hardware = ModelHardware::new(machine.thread(thread), turn);
        let mut hardware = Station::new(hardware, self.bus);
        let mut life = Life::default();
        let mut steps = self.plans[thread].iter();
        let mut hmis = 0;
        let everyone = self.plans.len();
        loop {
            if machine.hmi_pending(thread) {
                hmis += 1;
                assert!(
                    hmis <= self.most_hmis,
                    "an interrupt storm in thread {thread}"
                );
                self.take_hmi(&mut hardware, &mut life);
            } else if let Some(step) = steps.next() {
                self.step(&mut hardware, &mut life, step);
            } else if (0..everyone).any(|other| machine.hmi_pending(other)) {
                hardware.relax();
            } else {
                // All leave together, or a meeting would wait for someone who has gone.
                self.resting.fetch_add(1, Ordering::SeqCst);
                while !machine.hmi_pending(thread) {
                    if self.resting.load(Ordering::SeqCst) == everyone {
                        return life;
                    }
                    match turn {
                        Some(turn) => turn.rest(),
                        None => std::thread::yield_now(),
                    }
                }
                self.resting.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn step(&self, hardware: &mut Station<'_>, life: &mut Life, step: &Step) {
        match step {
            Step::Fault(moment, fault) => self.bench.machine.inject_at(*moment, fault.clone()),
            Step::Spin(count) => (0..*count).for_each(|_| hardware.relax()),
            Step::Call {
                call,
                depth,
                word,
                shifty,
            } => {
                let mut memory = Memory::of(call, *word, *shifty);
                let code = self.call(hardware, &mut memory, call, *depth);
                judge_code(call, *depth, code);
                if call.token == Token::ResyncTimebase as u64 && code != SUCCESS {
                    let place = self.bench.platform.place(hardware.pir());
                    let core = 1 << place.map_or(0, |place| place.core);
                    self.failed_resyncs.fetch_or(core, Ordering::SeqCst);
                }
                if let (Some(message), SUCCESS) = (memory.message(), code)
                    && call.token == Token::GetMessage as u64
                {
                    assert_eq!(message[..8], [0, 0, 0, 4, 0, 0, 0, 40], "type and size");
                    life.unrecovered += usize::from(message[11] != 0);
                }
            }
        }
    }

    /// As an OS does it: with a good pointer, from the interrupt.
    fn take_hmi(&self, hardware: &mut Station<'_>, life: &mut Life) {
        let call = Call {
            token: Token::HandleHmi2 as u64,
            arguments: [memory::GOOD, 0, 0, 0, 0, 0, 0, 0],
        };
        let mut memory = Memory::of(&call, 0, false);
        let code = self.call(hardware, &mut memory, &call, 1);
        assert_eq!(code, SUCCESS);
        let flags = memory.stored_word().expect("flags are stored");
        life.told = flags & hmi_flags::TOD_TB_FAIL != 0;
    }

    fn call(
        &self,
        hardware: &mut Station<'_>,
        memory: &mut Memory,
        call: &Call,
        depth: u32,
    ) -> i64 {
        let mut context = Context {
            hardware,
            memory,
            system: self.system,
            console: self.console,
            own: OWN,
            depth,
            stays: false,
        };
        dispatch(&mut context, call)
    }
}

/// Return codes that the ABI has for what went wrong.
const ERRORS: [OpalError; 12] = [
    OpalError::Parameter,
    OpalError::Busy,
    OpalError::Partial,
    OpalError::Closed,
    OpalError::Hardware,
    OpalError::Unsupported,
    OpalError::Permission,
    OpalError::NoMemory,
    OpalError::Resource,
    OpalError::InternalError,
    OpalError::BusyEvent,
    OpalError::WrongState,
];

fn judge_code(call: &Call, depth: u32, code: i64) {
    let Some(token) = Token::from_number(call.token) else {
        assert_eq!(code, OpalError::Parameter.code(), "{call:x?}");
        return;
    };
    let inside = depth > 1 && code == OpalError::InternalError.code();
    let good = match token {
        Token::Test => code == TEST_ANSWER || inside,
        Token::CheckToken => code == i64::from(Token::from_number(call.arguments[0]).is_some()),
        _ => code == SUCCESS || ERRORS.iter().any(|error| error.code() == code),
    };
    assert!(good, "{call:x?} at depth {depth}: {code}");
}
