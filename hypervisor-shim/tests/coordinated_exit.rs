//! Runs the shim's loop on several host threads over a model of one core's timebase, with a
//! firmware that repairs on the first call, without waiting for anybody: what protects the guests
//! then is the shim's protocol alone.
//!
//! The model knows true time, so it sees at once if a guest reads a wrong TB, if TB is rewritten
//! while a guest's offset is in it, or if host time ends up off by an offset.

use flight_recorder::FlightRecorder;
use hypervisor_shim::attend::{Cause, attend};
use hypervisor_shim::control::Control;
use hypervisor_shim::core_word::SharedCoreWord;
use hypervisor_shim::machine::{GuestExit, GuestLimits, GuestReport, Machine, vector};
use hypervisor_shim::run::run_thread;
use hypervisor_shim::shim::MAX_CORES;
use hypervisor_shim::skew::SkewMeter;
use hypervisor_shim::{Configuration, Shim, Thread};
use opal_abi::{Token, message};
use power_registers::{Hmer, TbState, Tfmr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const THREADS: usize = 4;
/// Period of a guest's DEC.
const GUEST_DEC_TICKS: u64 = 400_000;
/// How far DEC may be off after a stay outside.
const DEC_SLACK_TICKS: u64 = 4_096;
/// Ticks that every access takes.
const ACCESS_TICKS: u64 = 16;
/// Faults of one run. Fewer where threads are emulated: each takes many changes of threads.
const FAULTS: u64 = if cfg!(target_endian = "big") { 40 } else { 150 };

/// One core: true time, how far TB is from it, and what is pending on each thread.
#[derive(Default)]
struct World {
    /// True host time.
    clock: u64,
    /// TB minus true time, of each thread; those that have one in common are equal.
    delta: [i64; THREADS],
    threads_per_timebase: usize,
    broken: bool,
    pending_hmi: [bool; THREADS],
    rung: [bool; THREADS],
    /// Whether each thread's guest runs now.
    in_guest: [bool; THREADS],
    dec_expiry: [u64; THREADS],
    /// True time at which each guest's DEC passes zero, noted when the guest was left.
    guest_dec_expiry: [Option<u64>; THREADS],
    hdec_expiry: [u64; THREADS],
    repairs: u64,
    violations: Vec<String>,
}

impl World {
    fn tick(&mut self) -> u64 {
        self.clock += ACCESS_TICKS;
        self.clock
    }

    fn tb(&self, thread: usize) -> u64 {
        self.clock.wrapping_add_signed(self.delta[thread])
    }

    fn move_tb(&mut self, thread: usize, delta: i64) {
        let first = thread / self.threads_per_timebase * self.threads_per_timebase;
        let last = THREADS.min(first + self.threads_per_timebase);
        self.delta[first..last].fill(delta);
    }

    /// The fault: TB is garbage on all threads, and all get the HMI.
    fn strike(&mut self, garbage: i64) {
        self.broken = true;
        self.delta = [garbage; THREADS];
        self.pending_hmi = [true; THREADS];
    }

    /// The repair rewrites TB of the whole core: no guest may run, no offset may be in TB.
    fn repair(&mut self, control: &Control) {
        for thread in 0..THREADS {
            let applied = control.threads[thread].applied.load(Ordering::Relaxed);
            if self.in_guest[thread] || applied != 0 {
                let found = format!("TB rewritten while thread {thread} is in its guest");
                self.violations.push(found);
            }
        }
        self.delta = [0; THREADS];
        self.broken = false;
        self.repairs += 1;
    }
}

struct ModelThread<'a> {
    world: &'a Mutex<World>,
    shim: &'a Shim<'a>,
    thread: Thread,
    interrupts: bool,
}

impl ModelThread<'_> {
    fn number(&self) -> usize {
        self.thread.number as usize
    }

    fn world<R>(&self, act: impl FnOnce(&mut World, usize) -> R) -> R {
        let mut world = self.world.lock().unwrap();
        world.tick();
        act(&mut world, self.number())
    }
}

impl Machine for ModelThread<'_> {
    fn timebase(&mut self) -> u64 {
        self.world(|world, thread| world.tb(thread))
    }

    fn set_timebase_upper40(&mut self, value: u64) {
        self.world(|world, thread| {
            const LOWER: u64 = 0xff_ffff;
            let now = value & !LOWER | world.tb(thread) & LOWER;
            let delta = now.wrapping_sub(world.clock) as i64;
            world.move_tb(thread, delta);
        });
    }

    fn tfmr(&mut self) -> Tfmr {
        self.world(|world, _| {
            if world.broken {
                Tfmr::FW_CONTROL_ERROR.with_states(TbState::Error, TbState::Running)
            } else {
                Tfmr::TB_VALID.with_states(TbState::Running, TbState::GetTod)
            }
        })
    }

    fn set_tfmr(&mut self, _: Tfmr) {
        unreachable!("the faults come from outside");
    }

    fn hmer(&mut self) -> Hmer {
        self.world(|world, thread| {
            if world.pending_hmi[thread] {
                Hmer::TFAC_ERROR
            } else {
                Hmer::empty()
            }
        })
    }

    fn decrementer(&mut self) -> i64 {
        self.world(|world, thread| {
            i64::from(world.dec_expiry[thread].wrapping_sub(world.clock) as i32)
        })
    }

    fn set_decrementer(&mut self, value: i64) {
        self.world(|world, thread| {
            world.dec_expiry[thread] = world.clock.wrapping_add_signed(value);
        });
    }

    fn hypervisor_decrementer(&mut self) -> i64 {
        self.world(|world, thread| world.hdec_expiry[thread].wrapping_sub(world.clock) as i64)
    }

    fn set_hypervisor_decrementer(&mut self, value: i64) {
        self.world(|world, thread| {
            world.hdec_expiry[thread] = world.clock.wrapping_add_signed(value);
        });
    }

    fn reset_guest(&mut self, _: GuestLimits) {}

    fn run_guest(&mut self) -> GuestExit {
        let offset = self.thread.guest_offset();
        self.world(|world, thread| {
            world.in_guest[thread] = true;
            // DEC must come back as it was left, whatever happened to TB in between.
            let found = world.dec_expiry[thread];
            if let Some(expected) = world.guest_dec_expiry[thread]
                && found.abs_diff(expected) > DEC_SLACK_TICKS
                && !world.broken
            {
                let off = found.wrapping_sub(expected) as i64;
                let found = format!("the guest of thread {thread} got a DEC that is {off} off");
                world.violations.push(found);
            }
            if world.guest_dec_expiry[thread].is_none() || found < world.clock {
                // The guest sets it at its start, and again whenever it fires.
                world.dec_expiry[thread] = world.clock + GUEST_DEC_TICKS;
            }
        });
        loop {
            let exit = self.world(|world, thread| {
                if world.pending_hmi[thread] {
                    return Some(vector::HMI);
                }
                let expected = world.clock.wrapping_add_signed(offset);
                if !world.broken && world.tb(thread) != expected {
                    let off = world.tb(thread).wrapping_sub(expected) as i64;
                    let found =
                        format!("the guest of thread {thread} reads a TB that is {off} off");
                    world.violations.push(found);
                }
                if world.rung[thread] {
                    return Some(vector::DOORBELL);
                }
                (world.hdec_expiry[thread] < world.clock).then_some(vector::HDEC)
            });
            if let Some(vector) = exit {
                self.world(|world, thread| {
                    world.in_guest[thread] = false;
                    world.guest_dec_expiry[thread] = Some(world.dec_expiry[thread]);
                });
                return GuestExit {
                    vector,
                    pc: 0,
                    msr: 0,
                };
            }
            std::thread::yield_now();
        }
    }

    fn guest_report(&mut self) -> GuestReport {
        GuestReport {
            checks: 1,
            ..GuestReport::default()
        }
    }

    fn answer_hcall(&mut self, _: u64) {}

    fn call_opal(&mut self, _: Token, _: [u64; 8]) -> i64 {
        let control = self.shim.control;
        self.world(|world, _| world.repair(control));
        0
    }

    fn handle_hmi2(&mut self) -> (i64, u64) {
        let control = self.shim.control;
        self.world(|world, thread| {
            world.pending_hmi[thread] = false;
            // No meeting: the first caller repairs.
            if world.broken {
                world.repair(control);
            }
        });
        (0, 0)
    }

    fn next_message(&mut self) -> Option<[u8; message::SIZE]> {
        None
    }

    fn ring(&mut self, thread: u32) {
        self.world(|world, _| world.rung[thread as usize] = true);
    }

    fn silence(&mut self) {
        self.world(|world, thread| world.rung[thread] = false);
    }

    fn relax(&mut self) {
        let pending = self.world(|world, thread| {
            world.rung[thread] = false;
            world.pending_hmi[thread]
        });
        if pending && self.interrupts {
            let (shim, thread) = (self.shim, self.thread);
            self.interrupts = false;
            attend(shim, self, &thread, Cause::InHost(0, 0), &mut 0);
            self.interrupts = true;
        }
        std::thread::yield_now();
    }

    fn set_interrupts(&mut self, open: bool) -> bool {
        std::mem::replace(&mut self.interrupts, open)
    }
}

/// Runs all threads through `faults` faults and gives what went wrong.
fn run(threads_per_timebase: u8, faults: u64) -> Vec<String> {
    let control = Box::new(Control::new());
    control
        .header
        .slice_microseconds
        .store(100, Ordering::Relaxed);
    let recorder = Box::new(FlightRecorder::new());
    let words = [const { SharedCoreWord::new() }; MAX_CORES];
    let turns = [const { AtomicU32::new(0) }; MAX_CORES];
    let skew = Box::new(SkewMeter::new());
    let world = Mutex::new(World {
        clock: 1 << 40,
        threads_per_timebase: usize::from(threads_per_timebase),
        ..World::default()
    });
    let shim = Shim {
        control: &control,
        recorder: &recorder,
        cores: &words,
        turns: &turns,
        skew: &skew,
        configuration: Configuration {
            threads_per_timebase,
            tfmr_meaningful: true,
            spins_per_microsecond: 1,
            external: true,
            tfmr_base: Tfmr::TB_ECLIPZ,
        },
        threads: THREADS as u64,
        ready: AtomicU64::new(0),
        finished: AtomicU64::new(0),
        faults_left: AtomicU64::new(0),
    };
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let (shim, world) = (&shim, &world);
            scope.spawn(move || {
                let thread = Thread {
                    index: number,
                    pir: number as u32,
                    core: 0,
                    number: number as u32,
                    siblings: 0xf,
                };
                let mut machine = ModelThread {
                    world,
                    shim,
                    thread,
                    interrupts: true,
                };
                assert_eq!(run_thread(shim, &mut machine, &thread), None);
                while shim.finished.load(Ordering::Acquire) < shim.threads {
                    hypervisor_shim::run::attend_after_finish(shim, &mut machine, &thread);
                    machine.relax();
                }
            });
        }
        let stays = || -> u64 {
            let threads = control.threads[..THREADS].iter();
            threads
                .map(|status| status.entries.load(Ordering::Relaxed))
                .sum()
        };
        'faults: for fault in 0..faults {
            let before = stays();
            for _ in 0..200 {
                std::thread::yield_now();
            }
            // Where the threads get little time the guests would hardly run between two faults.
            let patience = std::time::Instant::now() + std::time::Duration::from_secs(2);
            while stays() == before && std::time::Instant::now() < patience {
                std::thread::yield_now();
            }
            world
                .lock()
                .unwrap()
                .strike(((fault as i64 + 1) << 33) - 12_345);
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
            loop {
                let world = world.lock().unwrap();
                if !world.broken && world.pending_hmi == [false; THREADS] {
                    break;
                }
                if std::time::Instant::now() > deadline || world.violations.len() > 100 {
                    wrong.push(format!(
                        "fault {fault} does not end: pending {:?}, {:?}",
                        world.pending_hmi,
                        words[0].load()
                    ));
                    break 'faults;
                }
                drop(world);
                std::thread::yield_now();
            }
        }
        control.header.stop.store(1, Ordering::Release);
    });
    wrong.extend(world.lock().unwrap().violations.iter().take(10).cloned());
    let last = world.lock().unwrap();
    if last.delta != [0; THREADS] {
        wrong.push(format!("host time is off at the end: {:x?}", last.delta));
    }
    if last.repairs < faults {
        wrong.push(format!("{} repairs for {faults} faults", last.repairs));
    }
    let mut stays = 0;
    for status in &control.threads[..THREADS] {
        if status.host_failures.load(Ordering::Relaxed) != 0 {
            wrong.push("a thread saw host time off".to_owned());
        }
        if status.expired_waits.load(Ordering::Relaxed) != 0 {
            wrong.push("a wait ran out".to_owned());
        }
        stays += status.entries.load(Ordering::Relaxed);
    }
    assert!(stays > faults / 4, "the guests hardly ran: {stays} stays");
    wrong
}

#[test]
fn guests_and_host_stay_right_with_a_shared_timebase() {
    assert_eq!(run(8, FAULTS), Vec::<String>::new());
}

#[test]
fn guests_and_host_stay_right_with_a_timebase_each() {
    assert_eq!(run(1, FAULTS), Vec::<String>::new());
}

#[test]
fn guests_and_host_stay_right_with_a_timebase_for_each_of_two_sub_cores() {
    assert_eq!(run(2, FAULTS), Vec::<String>::new());
}
