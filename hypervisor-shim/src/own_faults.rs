//! The faults that the shim inflicts on itself when no tool plays them.
//!
//! Two commands at once send the state machine of TB to ERROR, for real. No emulator raises the
//! HMI for it, so the thread goes on as if it had taken one; its siblings are in their guests
//! meanwhile.
//!
//! Without a seed the first thread of each core strikes, every so many stays. With one, every
//! thread strikes after numbers of stays that are drawn from it, and some of the faults are not
//! attended to where they strike: the thread goes on into its guest and meets them on the way. So
//! a fault is placed by counting what the guests do, not by a clock: where the machine executes
//! the same instructions again, the same seed strikes at the same instruction.

use crate::attend::Cause;
use crate::guest::{Guest, Stay};
use crate::machine::Machine;
use crate::run::{Dice, REFUSALS};
use crate::shim::{Shim, Thread};
use crate::skew;
use core::sync::atomic::Ordering;
use flight_recorder::Step;
use power_registers::Tfmr;

/// Stays in the guest between two faults without a seed.
const STAYS_PER_FAULT: u64 = 10;
/// With a seed it is from 2 up to this more.
const STAYS_DRAWN: u64 = 24;
/// Stays in the guest after the last fault before the run ends by itself.
const STAYS_AFTER: u64 = 12;

/// One thread that strikes just now, in the word of the faults that are left: the run does not end
/// before it asked for its measurement.
const STRIKING: u64 = 1 << 32;

/// When and how a thread strikes next.
#[derive(Clone, Copy, Debug)]
pub struct OwnFaults {
    dice: Option<Dice>,
    stays: u64,
    leader: bool,
}

impl OwnFaults {
    /// The plan of a thread; seed 0 is none.
    #[must_use]
    pub fn new(seed: u64, thread: &Thread) -> Self {
        let leader = thread.siblings.trailing_zeros() == thread.number;
        let mut plan = Self {
            dice: (seed != 0).then(|| Dice::new(seed.rotate_left(20) ^ u64::from(thread.pir))),
            stays: STAYS_PER_FAULT,
            leader,
        };
        plan.draw();
        plan
    }

    fn draw(&mut self) {
        if let Some(dice) = &mut self.dice {
            self.stays = 2 + dice.below(STAYS_DRAWN);
        }
    }

    /// Strikes if it is time, and ends the run after the last fault.
    pub fn strike_when_due(
        &mut self,
        shim: &Shim<'_>,
        machine: &mut impl Machine,
        thread: &Thread,
        guest: &mut Guest,
        stays: &mut u64,
    ) {
        // The skew before the first fault is measured first.
        let measured = shim.control.header.skew_done.load(Ordering::Acquire) != 0;
        let mine = self.leader || self.dice.is_some();
        let take = || {
            shim.faults_left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                    (!left.is_multiple_of(STRIKING)).then(|| left - 1 + STRIKING)
                })
                .is_ok()
        };
        if mine && measured && *stays >= self.stays && take() {
            *stays = 0;
            machine.set_interrupts(false);
            self.strike(shim, machine, thread, guest);
            machine.set_interrupts(true);
            self.draw();
            if shim
                .faults_left
                .load(Ordering::Acquire)
                .is_multiple_of(STRIKING)
            {
                skew::ask(shim);
            }
            shim.faults_left.fetch_sub(STRIKING, Ordering::AcqRel);
        }
        let over = shim.faults_left.load(Ordering::Acquire) == 0 && skew::is_idle(shim);
        if self.leader && *stays >= STAYS_AFTER && over {
            shim.control.header.stop.store(1, Ordering::Release);
        }
    }

    fn strike(
        &mut self,
        shim: &Shim<'_>,
        machine: &mut impl Machine,
        thread: &Thread,
        guest: &mut Guest,
    ) {
        if shim.configuration.tfmr_meaningful {
            let both =
                shim.configuration.tfmr_base | Tfmr::LOAD_TOD_MOD | Tfmr::MOVE_CHIP_TOD_TO_TB;
            machine.set_tfmr(both);
            let entries = shim.status(thread).entries.load(Ordering::Relaxed);
            let arguments = [both.bits(), entries];
            shim.record(machine, thread, Step::BreakTimebase, arguments);
            if self.dice.as_mut().is_some_and(|dice| dice.below(2) == 0) {
                self.run_into_it(shim, machine, thread, guest);
                return;
            }
        }
        guest.attend(shim, machine, thread, Cause::InHost(0, 0));
    }

    /// Goes on into the guest as if nothing had happened: TB is found broken on the way in, with
    /// the offset in it.
    fn run_into_it(
        &self,
        shim: &Shim<'_>,
        machine: &mut impl Machine,
        thread: &Thread,
        guest: &mut Guest,
    ) {
        for _ in 0..REFUSALS {
            if guest.stay(shim, machine, thread) != Stay::Busy {
                return;
            }
            machine.relax();
        }
    }
}
