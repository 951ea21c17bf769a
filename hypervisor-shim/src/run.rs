//! The loop of a thread: guest, host, and what is checked in between.

use crate::attend::{Cause, attend, is_summoned};
use crate::control::{Activity, count};
use crate::guest::{Guest, Stay};
use crate::machine::Machine;
use crate::oracle::{HostClock, Verdict};
use crate::own_faults::OwnFaults;
use crate::shim::{Shim, Thread};
use crate::skew;
use core::sync::atomic::Ordering;
use power_registers::Hmer;

/// Host time is checked every so many spins.
const SPINS_PER_CHECK: u64 = 32;

/// Refused entries after which a thread does not wait for its turn any more.
const REFUSALS_BEFORE_PUSHING: u32 = 64;
/// Refused entries after which a thread whose guest never ran gives up at the end of the run.
pub(crate) const REFUSALS: u32 = 10_000;

/// A small generator for the lengths of host dwells; not for secrets.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Seeds the generator.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Runs the loop of one thread until the control block says stop. Gives the first exit that the
/// shim did not know: (vector, address).
pub fn run_thread(
    shim: &Shim<'_>,
    machine: &mut impl Machine,
    thread: &Thread,
) -> Option<(u64, u64)> {
    let status = shim.status(thread);
    let mut guest = Guest::new(machine, shim, thread);
    let seed = shim.control.header.seed.load(Ordering::Relaxed);
    let mut dice = Dice::new((u64::from(thread.pir) + 1).wrapping_add(seed << 16));
    let mut own_faults = OwnFaults::new(seed, thread);
    let mut stays: u64 = 0;
    let mut refusals: u32 = 0;
    let mut unexpected = None;
    status
        .pir_plus_one
        .store(u64::from(thread.pir) + 1, Ordering::Release);
    // Every guest gets in at least once, however short the run.
    let stopped = || shim.control.header.stop.load(Ordering::Acquire) != 0;
    while !stopped() || (status.guest_checks.load(Ordering::Relaxed) == 0 && refusals < REFUSALS) {
        machine.set_interrupts(false);
        let stay = if has_turn(shim, thread, refusals) {
            guest.stay(shim, machine, thread)
        } else {
            Stay::Busy
        };
        match stay {
            Stay::Left => {
                stays += 1;
                refusals = 0;
                pass_turn(shim, thread);
            }
            // Straight in again: the guest sees a repaired TB and a DEC that was never touched.
            Stay::Attended => continue,
            // After a repair DEC is still the guest's: wait for the core without host business.
            Stay::Busy if guest.owns_decrementer() => {
                if stopped() {
                    // A core that never opens again keeps no thread from the end.
                    refusals += 1;
                }
                status
                    .activity
                    .store(Activity::Host as u64, Ordering::Relaxed);
                // Interrupts are closed, and siblings that close the core wait for this thread.
                if machine.hmer().intersects(Hmer::TIMER) {
                    guest.attend(shim, machine, thread, Cause::Summoned);
                }
                machine.relax();
                continue;
            }
            Stay::Busy => refusals += 1,
            // DEC may be the guest's: no host business here either.
            Stay::WithoutTime => {
                refusals = refusals.saturating_add(1);
                status
                    .activity
                    .store(Activity::Host as u64, Ordering::Relaxed);
                if !shim.configuration.external && refusals > REFUSALS {
                    // Nobody else would end the run. The verdict will not be good.
                    shim.control.header.stop.store(1, Ordering::Release);
                }
                machine.relax();
                continue;
            }
            Stay::Unexpected(vector, pc) => {
                unexpected = Some((vector, pc));
                break;
            }
        }
        dwell(shim, machine, thread, &mut guest, &mut dice);
        skew::take_part(shim, machine, thread);
        if !shim.configuration.external {
            own_faults.strike_when_due(shim, machine, thread, &mut guest, &mut stays);
        }
    }
    machine.set_interrupts(true);
    status
        .activity
        .store(Activity::Finished as u64, Ordering::Relaxed);
    shim.finished.fetch_add(1, Ordering::AcqRel);
    unexpected
}

/// With one TB for several threads, guests take turns: or the thread that just left would get in again
/// and again. A thread whose sibling lets its turn pass goes in without.
fn has_turn(shim: &Shim<'_>, thread: &Thread, refusals: u32) -> bool {
    let turn = shim.turns[thread.core].load(Ordering::Relaxed);
    // One word for the core: where it has several TBs, a turn on another one is nobody's here.
    let others = shim.who(thread).sharing & !(1 << thread.number);
    !shim.configuration.shares_timebase()
        || is_summoned(shim, thread)
        || refusals > REFUSALS_BEFORE_PUSHING
        || others >> (turn & 7) & 1 == 0
}

/// Gives the turn to the next thread with the same TB.
fn pass_turn(shim: &Shim<'_>, thread: &Thread) {
    let sharing = thread.siblings & shim.who(thread).sharing;
    let after = sharing & (0xfe << thread.number);
    let next = if after == 0 { sharing } else { after };
    shim.turns[thread.core].store(next.trailing_zeros(), Ordering::Relaxed);
}

/// Stays in host context for a while, interrupts open, checking host time.
fn dwell(
    shim: &Shim<'_>,
    machine: &mut impl Machine,
    thread: &Thread,
    guest: &mut Guest,
    dice: &mut Dice,
) {
    let status = shim.status(thread);
    let mut clock = None;
    status
        .activity
        .store(Activity::Host as u64, Ordering::Relaxed);
    machine.set_interrupts(true);
    let (spins, spins_per_check) = if shim.is_hasty() {
        // Host time is set once and checked once.
        (2, 1)
    } else {
        let microseconds = 200 + dice.below(1_500);
        let spins = shim.configuration.spins_per_microsecond * microseconds;
        (spins, SPINS_PER_CHECK)
    };
    for spin in 0..spins {
        if spin % spins_per_check == 0 {
            if is_summoned(shim, thread) {
                machine.set_interrupts(false);
                // An interrupt may have brought this thread here in between.
                if is_summoned(shim, thread) {
                    guest.attend(shim, machine, thread, Cause::Summoned);
                }
                status
                    .activity
                    .store(Activity::Host as u64, Ordering::Relaxed);
                machine.set_interrupts(true);
            }
            check_host_time(shim, machine, thread, &mut clock);
        }
        machine.relax();
    }
}

/// What a thread expects of host time, and how many decrementer interrupts had come then.
type Expectation = Option<(HostClock, u64)>;

/// Compares TB with what is expected; sets the expectation where there is none or DEC is used up.
fn check_host_time(
    shim: &Shim<'_>,
    machine: &mut impl Machine,
    thread: &Thread,
    clock: &mut Expectation,
) {
    let status = shim.status(thread);
    let word = shim.word(thread);
    let interrupts = || status.decrementer_interrupts.load(Ordering::Relaxed);
    let usable = clock.filter(|(_, then)| *then == interrupts() && !HostClock::is_old(machine));
    let Some((expected, then)) = usable else {
        let then = interrupts();
        *clock = HostClock::set(machine, word, &shim.configuration).map(|clock| (clock, then));
        return;
    };
    let verdict = expected.check(machine, word, &shim.configuration);
    if interrupts() != then {
        // DEC was set anew while it was read.
        *clock = None;
        return;
    }
    match verdict {
        Verdict::Good => count(&status.host_checks),
        Verdict::Unknown => {}
        Verdict::Wrong { expected, found } => {
            if status.host_failures.fetch_add(1, Ordering::Relaxed) == 0 {
                status.host_before.store(expected, Ordering::Relaxed);
                status.host_after.store(found, Ordering::Relaxed);
            }
            *clock = None;
        }
    }
}

/// Takes the HMIs that still come while other threads finish.
pub fn attend_after_finish(shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) {
    if is_summoned(shim, thread) {
        machine.set_interrupts(false);
        if is_summoned(shim, thread) {
            attend(shim, machine, thread, Cause::Summoned, &mut 0);
        }
        shim.status(thread)
            .activity
            .store(Activity::Finished as u64, Ordering::Relaxed);
        machine.set_interrupts(true);
    }
}
