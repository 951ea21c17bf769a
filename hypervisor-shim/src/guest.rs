//! Entry into the guest, its exits, its offset and its decrementer.
//!
//! The guest's decrementer belongs to guest time: it expires at an absolute guest TB. Leaving in
//! good order, the shim notes that expiry and gives the remaining ticks back on the next entry.
//! When TB is broken no arithmetic with TB is right; then DEC is left running as it is, through
//! the repair and into the guest again. The guest compares TB with DEC, so a TB that came back
//! wrong does not pass unseen.

use crate::attend::{Cause, attend, attended, carry_out, is_summoned};
use crate::control::{Activity, ThreadStatus, count};
use crate::core_word::Event;
use crate::machine::{GuestExit, Machine, vector};
use crate::oracle::Reading;
use crate::passage::{Action, Exit, Observation, Outcome, Passage};
use crate::shim::{Shim, TICKS_PER_MICROSECOND, Thread};
use crate::timebase_offset;
use core::sync::atomic::Ordering;
use flight_recorder::Step;
use power_registers::{Hmer, Tfmr};

/// HDEC in host context: far away.
pub const HOST_HDEC: i64 = 0x7fff_ffff;
/// Result of the hcall: any value that the guest can check.
pub const HCALL_RESULT: u64 = 0x0a11_c0de;
/// DEC is written until TB + DEC is within this of the expiry.
const DEC_CLOSE_TICKS: i64 = 2_048;
const DEC_ATTEMPTS: u32 = 64;
/// A shorter slice is over before the guest's first instruction.
pub const SHORTEST_SLICE_MICROSECONDS: u64 = 20;

/// The guest's decrementer while the guest is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestDecrementer {
    /// Not used yet: the guest sets it first.
    Fresh,
    /// It expires at this guest TB.
    Expires(u64),
    /// It is still in DEC, running.
    Running,
}

/// A thread's guest.
#[derive(Debug)]
pub struct Guest {
    offset: i64,
    applied: i64,
    decrementer: GuestDecrementer,
    /// DEC when the guest was left for an HMI.
    left_with: i64,
    /// This thread attended, and TB is not valid even so.
    without_time: bool,
}

/// What a stay in the guest ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// It was left in good order; the thread is in host context.
    Left,
    /// An HMI was handled; the guest should be entered again at once.
    Attended,
    /// It could not be entered: a sibling's guest has the shared TB, or siblings still close.
    Busy,
    /// The firmware could not repair TB: no guest is entered, and no repair is asked for, until TB is
    /// valid again or the next HMI comes.
    WithoutTime,
    /// The guest did something that the shim does not know; vector and address.
    Unexpected(u64, u64),
}

impl Guest {
    /// A guest at its start.
    pub fn new(machine: &mut impl Machine, shim: &Shim<'_>, thread: &Thread) -> Self {
        machine.reset_guest(shim.configuration.guest_limits(shim.is_hasty()));
        let offset = thread.guest_offset();
        shim.status(thread)
            .offset
            .store(offset as u64, Ordering::Relaxed);
        Self {
            offset,
            applied: 0,
            decrementer: GuestDecrementer::Fresh,
            left_with: 0,
            without_time: false,
        }
    }

    /// Whether DEC is the guest's, running: then host context must not touch it.
    #[must_use]
    pub fn owns_decrementer(&self) -> bool {
        self.decrementer == GuestDecrementer::Running
    }

    /// Attends to an HMI of this core from host context.
    pub fn attend(
        &mut self,
        shim: &Shim<'_>,
        machine: &mut impl Machine,
        thread: &Thread,
        cause: Cause,
    ) {
        // A lost DEC needs nothing here: it was left about to fire, and either it is the guest's, who
        // takes that, or the guest's expiry was noted before and is put back on the next entry.
        attend(shim, machine, thread, cause, &mut self.applied);
        self.without_time = !shim.configuration.timebase_trusted(machine);
    }

    /// The same on the way into the guest or out of it.
    fn attend_from(
        &mut self,
        shim: &Shim<'_>,
        machine: &mut impl Machine,
        thread: &Thread,
        cause: Cause,
        passage: Passage,
    ) {
        carry_out(shim, machine, thread, cause, &mut self.applied, passage);
        self.without_time = !shim.configuration.timebase_trusted(machine);
    }

    /// Whether nothing is to be done but to wait for a TB that can be used.
    fn waits_for_time(&self, shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) -> bool {
        self.without_time
            && !shim.configuration.timebase_trusted(machine)
            && machine.hmer().difference(Hmer::XSCOM_MAILBOX).is_empty()
            && !is_summoned(shim, thread)
    }

    /// One stay in the guest. Interrupts must be closed.
    pub fn stay(&mut self, shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) -> Stay {
        let status = shim.status(thread);
        if self.waits_for_time(shim, machine, thread) {
            return Stay::WithoutTime;
        }
        let who = shim.who(thread);
        let mut passage = Passage::enter(attended(shim, thread));
        let mut cause = Cause::Summoned;
        let mut unexpected = None;
        let mut entered = false;
        loop {
            let observation = match passage.action(who) {
                Action::Word(Event::Close { .. }) => {
                    if entered {
                        self.stop_guest_time(machine);
                    }
                    self.attend_from(shim, machine, thread, cause, passage);
                    return unexpected.unwrap_or(Stay::Attended);
                }
                Action::Word(event) => {
                    let (now, answer) = shim.word(thread).apply(event);
                    Observation::Answered(now, answer)
                }
                Action::Load => Observation::Word(shim.word(thread).load()),
                Action::PutOffsetIn => {
                    entered = true;
                    status
                        .activity
                        .store(Activity::Entering as u64, Ordering::Relaxed);
                    count(&status.entries);
                    self.switch_in(shim, machine, thread);
                    Observation::Done
                }
                Action::Look => Observation::Judged(
                    !machine.hmer().intersects(Hmer::TIMER)
                        && shim.configuration.timebase_trusted(machine),
                ),
                Action::RunGuest => {
                    let exit = self.run(shim, machine, thread);
                    match exit.vector {
                        vector::HMI => cause = Cause::InGuest(exit.pc, exit.msr),
                        vector::HCALL | vector::HDEC | vector::DOORBELL => {}
                        other => unexpected = Some(Stay::Unexpected(other, exit.pc)),
                    }
                    Observation::Exit(answer_exit(shim, machine, status, exit))
                }
                Action::SwitchOut => Observation::Judged(self.switch_out(shim, machine, thread)),
                Action::Finish(Outcome::Busy) => return Stay::Busy,
                Action::Finish(Outcome::Attended) => return Stay::Attended,
                Action::Finish(Outcome::Left) => return unexpected.unwrap_or(Stay::Left),
                // Between closing and opening: `attend_from` carries these out.
                Action::Ring(_)
                | Action::TakeOffsetOut
                | Action::Await(_)
                | Action::GiveUp(_)
                | Action::CallFirmware
                | Action::Judge
                | Action::Resync => return Stay::Attended,
            };
            passage = passage.step(who, observation);
        }
    }

    /// Runs the guest until it is left.
    fn run(&self, shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) -> GuestExit {
        let activity = &shim.status(thread).activity;
        activity.store(Activity::Guest as u64, Ordering::Relaxed);
        let exit = machine.run_guest();
        activity.store(Activity::Leaving as u64, Ordering::Relaxed);
        self.publish(shim, machine, thread);
        exit
    }

    /// Puts the offset into TB and the guest's DEC into DEC.
    fn switch_in(&mut self, shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) {
        let status = shim.status(thread);
        status.applied.store(self.offset as u64, Ordering::Relaxed);
        timebase_offset::shift(machine, self.offset);
        self.applied = self.offset;
        match self.decrementer {
            GuestDecrementer::Fresh => self.decrementer = GuestDecrementer::Running,
            // Entries in the ordinary course would push what matters out of the ring.
            GuestDecrementer::Running => {
                // DEC only counts down: more than before means that it went below its 32 bits. It
                // is long over then, which is as good as just over.
                if machine.decrementer() > self.left_with {
                    machine.set_decrementer(-1);
                }
                let checks = machine.guest_report().checks;
                let arguments = [self.offset as u64, checks];
                shim.record(machine, thread, Step::EnterGuest, arguments);
            }
            GuestDecrementer::Expires(expiry) => {
                set_decrementer(machine, expiry);
                // A TB that broke meanwhile told the wrong time that is left; the expiry is still
                // right, and is used again after the repair.
                if shim.configuration.timebase_trusted(machine) {
                    self.decrementer = GuestDecrementer::Running;
                }
            }
        }
        let slice = shim
            .control
            .header
            .slice_microseconds
            .load(Ordering::Relaxed);
        let ticks = slice.clamp(SHORTEST_SLICE_MICROSECONDS, 1_000_000) * TICKS_PER_MICROSECOND;
        machine.set_hypervisor_decrementer(ticks as i64);
    }

    /// Takes guest time out in good order. `false` if TB or DEC turns out broken: then nothing was taken
    /// out, and DEC runs on.
    fn switch_out(&mut self, shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) -> bool {
        let reading = Reading::tight(machine);
        // A guest's expiry is not told by a DEC that broke, either.
        if !shim.configuration.timebase_trusted(machine)
            || shim.configuration.tfmr_meaningful && machine.tfmr().contains(Tfmr::DEC_PARITY)
        {
            return false;
        }
        self.decrementer = GuestDecrementer::Expires(reading.expiry());
        timebase_offset::shift(machine, self.applied.wrapping_neg());
        self.applied = 0;
        shim.status(thread).applied.store(0, Ordering::Relaxed);
        machine.set_hypervisor_decrementer(HOST_HDEC);
        true
    }

    /// The guest is left for an HMI: DEC is left alone, the offset goes out on the way.
    fn stop_guest_time(&mut self, machine: &mut impl Machine) {
        machine.set_hypervisor_decrementer(HOST_HDEC);
        self.left_with = machine.decrementer();
    }

    /// Copies what the guest says into the control block.
    fn publish(&self, shim: &Shim<'_>, machine: &mut impl Machine, thread: &Thread) {
        let report = machine.guest_report();
        let status = shim.status(thread);
        for (word, value) in [
            (&status.guest_checks, report.checks),
            (&status.guest_failures, report.failures),
            (&status.guest_before, report.before),
            (&status.guest_after, report.after),
            (&status.guest_largest_step, report.largest_step),
            (&status.guest_largest_skew, report.largest_skew),
        ] {
            word.store(value, Ordering::Relaxed);
        }
    }
}

/// Does what an exit asks for at once, and says what it means for the way of the thread.
fn answer_exit(
    shim: &Shim<'_>,
    machine: &mut impl Machine,
    status: &ThreadStatus,
    exit: GuestExit,
) -> Exit {
    match exit.vector {
        vector::HCALL => {
            count(&status.hcall_exits);
            machine.answer_hcall(HCALL_RESULT);
            // In haste every hypercall is a way out.
            if shim.is_hasty() {
                Exit::Wanted
            } else {
                Exit::Answered
            }
        }
        // A stale edge: HDEC has not expired.
        vector::HDEC if machine.hypervisor_decrementer() >= 0 => Exit::Answered,
        vector::HDEC => {
            count(&status.hdec_exits);
            Exit::Wanted
        }
        vector::DOORBELL => {
            machine.silence();
            count(&status.doorbell_exits);
            Exit::Wanted
        }
        vector::HMI => {
            count(&status.hmi_exits);
            Exit::Hmi
        }
        _ => {
            count(&status.other_exits);
            Exit::Wanted
        }
    }
}

/// Sets DEC so that it passes zero at this guest TB. TB must be guest time.
fn set_decrementer(machine: &mut impl Machine, expiry: u64) {
    // One that is long over is as good as one just over; DEC has 32 bits.
    const LONG_OVER: i64 = -0x4000_0000;
    for _ in 0..DEC_ATTEMPTS {
        let left = expiry.wrapping_sub(machine.timebase()) as i64;
        machine.set_decrementer(left.clamp(LONG_OVER, 0x7fff_ffff));
        let off = Reading::tight(machine).expiry().wrapping_sub(expiry) as i64;
        if off.abs() <= DEC_CLOSE_TICKS || left < LONG_OVER {
            break;
        }
    }
}
