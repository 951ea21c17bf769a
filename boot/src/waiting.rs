//! Threads that wait in the firmware: for jobs at boot, then for the OS.

use crate::assembly::enter_os;
use crate::instructions as cpu;
use crate::jobs;
use crate::machine::ThisThread;
use crate::start::PLATFORM;
use crate::{SYSTEM, guest, handover, interrupts, start};
use core::sync::atomic::{AtomicBool, Ordering};
use opaline_firmware::hardware::Pir;
use opaline_firmware::platform::Generation;
use opaline_firmware::processors;
use opaline_firmware::system::Participation;

/// Longest sleep, in ticks of TB: 1 ms. A meeting of the core does not wake its threads (the HMI
/// itself does, on silicon), and waits far longer than this.
const NAP_TICKS: u64 = 512_000;
/// Spins without a job after which a thread sleeps until one comes. While the machine comes up, jobs
/// follow one another; but who spins takes its core, and on QEMU its host, from the one that works.
const BRIEF: u32 = 200;
/// DEC of a thread that an OS is about to own.
const FAR: u64 = 0x7fff_ffff;

/// Whether threads that wait may sleep: not while the boot thread measures how fast a thread spins. What
/// it finds is a budget for threads that wait for one another, all of them spinning.
static MAY_SLEEP: AtomicBool = AtomicBool::new(false);

/// From now on threads that wait for long sleep.
pub(crate) fn let_sleep() {
    MAY_SLEEP.store(true, Ordering::Relaxed);
}

/// Waits for work; runs on every thread but the one that came first.
pub(crate) fn thread(index: usize) -> ! {
    jobs::arrive(index, cpu::pir());
    wait(index)
}

/// Waits again; called by assembly when the OS gives the thread back.
pub(crate) extern "C" fn opaline_back(index: u64) -> ! {
    guest::enter_host_context();
    if let Some(system) = SYSTEM.get() {
        // The next OS finds nothing pending, and nothing wakes this thread until then.
        interrupts::open(system);
        system.set_participation(Pir(cpu::pir()), Participation::FirmwareIdle);
    }
    wait(index as usize)
}

fn wait(index: usize) -> ! {
    let mut idle = Idle::begin();
    loop {
        if let Some(job) = jobs::take(index) {
            if wakes_by_doorbell() {
                // Nobody shall find it pending afterwards, neither a guest nor an OS.
                cpu::clear_doorbell();
            }
            let result = start::work(job);
            jobs::answer(index, result);
            idle = Idle::begin();
        }
        if handover::is_done()
            && let Some(system) = SYSTEM.get()
        {
            processors::take_interrupt(&mut ThisThread, system);
        }
        if let Some(system) = SYSTEM.get()
            && let Some(entry) = processors::attend(&mut ThisThread, system)
        {
            interrupts::open(system);
            cpu::set_dec(FAR);
            enter_os(entry, cpu::pir().into());
        }
        rest(&mut idle);
    }
}

/// A moment of waiting. Before an OS comes there may be work in a moment; then, and when an OS runs, a
/// waiting thread must leave its core and its host to those that work.
fn rest(idle: &mut Idle) {
    if !handover::is_done() && !idle.may_sleep() {
        cpu::relax();
    } else if wakes_by_doorbell() {
        cpu::set_dec(NAP_TICKS);
        cpu::stop_for_a_moment();
        // Before the next look at the orders, so that none is missed.
        cpu::clear_doorbell();
    } else {
        // POWER8 leaves its sleep by the system reset vector, which is the OS's.
        cpu::relax_deeply();
    }
}

/// How long a thread has waited for a job.
struct Idle {
    spins: u32,
    since: u64,
}

impl Idle {
    fn begin() -> Self {
        Self {
            spins: 0,
            since: cpu::tb(),
        }
    }

    /// Whether it has waited for long, and would be woken: DEC wakes a thread whose doorbell got lost,
    /// but not before TB runs.
    fn may_sleep(&mut self) -> bool {
        if self.spins < BRIEF {
            self.spins += 1;
            return false;
        }
        MAY_SLEEP.load(Ordering::Relaxed) && wakes_by_doorbell() && cpu::tb() != self.since
    }
}

fn wakes_by_doorbell() -> bool {
    let generation = PLATFORM.get().map(|platform| platform.generation);
    generation.is_some_and(|generation| generation != Generation::Power8)
}

/// Makes a waiting thread look for its order.
pub(crate) fn wake(thread: Pir) {
    if wakes_by_doorbell() {
        cpu::send_doorbell(thread.0.into());
    }
}
