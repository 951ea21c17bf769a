//! How long a loss of TB on whole chips takes, when all threads run at once.
//!
//! The model has one clock, which every access of every thread moves on; that is right for one
//! thread, not for sixty-four. Here each thread has a clock of its own: the one that is furthest
//! behind makes its next access, at that time, and pays for it. So waits of different threads
//! overlap, and only what the firmware serialises adds up.

use super::*;
use hardware_model::{Costs, Machine, TICKS_PER_MICROSECOND, Thread};
use opaline_firmware::hardware::Pir;
use opaline_firmware::hmi;
use opaline_tests::hardware_by_registers;
use power_registers::Spr;
use power_registers::chip_tod::TodError;
use std::sync::{Condvar, Mutex, MutexGuard};

const SPR_TICKS: u64 = 8;
const XSCOM_TICKS: u64 = 64;
const XSCOM_LATENCY_TICKS: u64 = 256;
const SPINS_PER_MICROSECOND: u64 = 4;
const SPIN_TICKS: u64 = TICKS_PER_MICROSECOND / SPINS_PER_MICROSECOND;

/// The threads' clocks, in ticks; `None` = not running.
struct Clocks {
    times: Mutex<Vec<Option<u64>>>,
    turn: Vec<Condvar>,
}

impl Clocks {
    fn new(threads: &[usize], of: usize, start: u64) -> Self {
        let times = (0..of).map(|thread| threads.contains(&thread).then_some(start));
        Self {
            times: Mutex::new(times.collect()),
            turn: (0..of).map(|_| Condvar::new()).collect(),
        }
    }

    fn first(times: &[Option<u64>]) -> Option<usize> {
        (0..times.len())
            .filter(|thread| times[*thread].is_some())
            .min_by_key(|thread| times[*thread])
    }

    /// Waits until nobody is further behind; gives the own time.
    fn wait(&self, thread: usize) -> (MutexGuard<'_, Vec<Option<u64>>>, u64) {
        let mut times = self.times.lock().expect("no panic");
        while Self::first(&times) != Some(thread) {
            times = self.turn[thread].wait(times).expect("no panic");
        }
        let time = times[thread].expect("it runs");
        (times, time)
    }

    fn set(&self, mut times: MutexGuard<'_, Vec<Option<u64>>>, thread: usize, time: Option<u64>) {
        times[thread] = time;
        if let Some(next) = Self::first(&times) {
            self.turn[next].notify_one();
        }
    }
}

/// A thread with its own clock.
struct Timed<'a> {
    thread: Thread<'a>,
    clocks: &'a Clocks,
}

impl Timed<'_> {
    fn at<T>(&self, cost: u64, access: impl FnOnce(&Thread<'_>) -> T) -> T {
        let index = self.thread.index();
        let (times, time) = self.clocks.wait(index);
        let machine = self.thread.machine();
        machine.tick(time.saturating_sub(machine.now()));
        let result = access(&self.thread);
        self.clocks.set(times, index, Some(time + cost));
        result
    }

    fn read(&self, spr: Spr) -> u64 {
        self.at(SPR_TICKS, |thread| thread.read_spr(spr))
    }

    fn write(&self, spr: Spr, value: u64) {
        self.at(SPR_TICKS, |thread| thread.write_spr(spr, value));
    }
}

hardware_by_registers!(Timed<'_>, {
    fn pir(&self) -> Pir {
        let machine = self.thread.machine();
        Pir(machine.configuration().pir(self.thread.index()))
    }
    fn load(&mut self, address: u64) -> u64 {
        self.at(XSCOM_TICKS, |thread| thread.load(address))
    }
    fn store(&mut self, address: u64, value: u64) {
        self.at(XSCOM_TICKS, |thread| thread.store(address, value));
    }
    fn relax(&mut self) {
        self.at(SPIN_TICKS, |_| ());
    }
});

/// What a loss of TB on these chips came to.
struct Loss {
    /// From the fault until the last thread is back, in ticks.
    ticks: u64,
    /// All XSCOM accesses.
    scoms: usize,
}

fn lose(chips: usize, cores: usize, threads: usize, dead: &[usize]) -> Loss {
    let mut configuration = Configuration::new(Generation::Power9, chips, cores, threads);
    configuration.costs = Costs {
        spr: 0,
        xscom: 0,
        relax: 0,
        xscom_latency: XSCOM_LATENCY_TICKS,
        ..configuration.costs
    };
    configuration.watchdog = u64::MAX;
    let bench = Bench::new(configuration);
    let system = bench.system();
    system.set_spins_per_microsecond(SPINS_PER_MICROSECOND);
    let machine = &bench.machine;
    let all = machine.configuration().threads();
    let clocks = Clocks::new(&[0], all, machine.now());
    let thread = machine.thread(0);
    let clocks = &clocks;
    system
        .cache_tod_registers(&mut Timed { thread, clocks })
        .expect("free locks");
    machine.clear_trace();
    let bits = TodError::I_PATH_SYNC_CHECK.bits();
    for &chip in dead {
        machine.inject(&Fault::Tod { chip, bits });
    }
    let called: Vec<_> = (0..all)
        .filter(|thread| machine.hmi_pending(*thread))
        .collect();
    let start = machine.now();
    let clocks = Clocks::new(&called, all, start);
    let ended: Vec<u64> = std::thread::scope(|scope| {
        let running: Vec<_> = called
            .iter()
            .map(|&thread| {
                let (clocks, system) = (&clocks, &system);
                scope.spawn(move || live(machine, clocks, system, thread))
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    for &thread in &called {
        let tfmr = machine.tfmr(thread);
        assert!(tfmr.tb_usable(), "thread {thread}: {tfmr:?}");
    }
    bench.assert_rules_kept();
    let scoms = machine.trace().into_iter().filter(|access| {
        matches!(
            access.register,
            Register::ScomRead { .. } | Register::ScomWrite { .. }
        )
    });
    Loss {
        ticks: ended.into_iter().max().unwrap_or(start) - start,
        scoms: scoms.count(),
    }
}

fn live(
    machine: &Machine,
    clocks: &Clocks,
    system: &opaline_firmware::system::System<'_>,
    index: usize,
) -> u64 {
    let thread = machine.thread(index);
    let mut hardware = Timed { thread, clocks };
    while machine.hmi_pending(index) {
        hmi::handle(&mut hardware, system);
    }
    let (times, time) = clocks.wait(index);
    clocks.set(times, index, None);
    time
}

/// Each further core costs its few accesses to the one XSCOM engine of the machine, and no wait.
#[test]
fn cores_that_lost_timebase_together_load_it_together() {
    const MICROSECOND: u64 = TICKS_PER_MICROSECOND;
    println!("chips  cores/chip  dead chips  model time (us)  SCOMs");
    for (chips, dead) in [(1, &[0][..]), (2, &[1]), (2, &[0, 1])] {
        let mut times = Vec::new();
        for cores in [1, 2, 4, 8, 16] {
            // The firmware runs 64 threads at most.
            let loss = lose(chips, cores, 4 / chips, dead);
            let microseconds = loss.ticks / MICROSECOND;
            println!(
                "{chips:5}  {cores:10}  {:10}  {microseconds:15}  {:5}",
                dead.len(),
                loss.scoms
            );
            times.push((cores as u64 * dead.len() as u64, loss));
        }
        let alone = &times[0];
        for (cores, loss) in &times {
            let more = cores - alone.0;
            // Four accesses that section 9 allows to each core, one more look for the cores that
            // waited for the restart; each with its latency, and a sync period of 16 us.
            let engine = 5 * (XSCOM_TICKS + XSCOM_LATENCY_TICKS + 2 * SPIN_TICKS);
            let most = alone.1.ticks + more * engine + 16 * MICROSECOND;
            assert!(
                loss.ticks <= most,
                "{cores} cores: {} ticks of at most {most}",
                loss.ticks
            );
        }
    }
}
