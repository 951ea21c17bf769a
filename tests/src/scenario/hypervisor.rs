//! A thread of the model as the hypervisor shim drives it, with a guest that looks at its time.

use super::case::Doing;
use super::cpu::{Cpu, Halt};
use super::expect::Time;
use super::stage::{Access, Act, shim_thread};
use crate::schedule::Kind;
use hypervisor_shim::attend::{Cause, attend};
use hypervisor_shim::control::{Activity, count};
use hypervisor_shim::machine::{GuestExit, GuestLimits, GuestReport, Machine, vector};
use hypervisor_shim::run::{attend_after_finish, run_thread};
use hypervisor_shim::{Shim, Thread};
use opal_abi::{Token, hmi_flags, message};
use opaline_firmware::hardware::Hardware as _;
use power_registers::{Hmer, Spr, TbState, Tfmr};
use std::sync::atomic::Ordering;

/// Ticks of a step in the guest.
const STEP_TICKS: u64 = 2_048;
/// Steps in a guest after which a thread is in place there.
const GUEST_STEPS: u64 = 3;
/// A guest makes an hcall every so many steps.
const HCALL_STEPS: u64 = 37;
/// Period of a guest's DEC.
const GUEST_DEC_TICKS: i64 = 40_000_000;
/// How far a guest's DEC may be off after a stay outside. The shim reads TB and DEC one after the
/// other, and siblings may run in between; an offset left in is eight times as much.
const DEC_SLACK_TICKS: u64 = 2_000_000;

/// A thread with its guest.
#[derive(Debug)]
pub(super) struct Hypervised<'a> {
    cpu: Cpu<'a>,
    shim: &'a Shim<'a>,
    thread: Thread,
    interrupts: bool,
    placed: bool,
    /// Accesses so far in the wanted activity.
    within: u64,
    /// The depth that is aimed at; halved when the activity is over sooner.
    depth: u64,
    steps: u64,
    checks: u64,
    hdec_expiry: u64,
    /// Model time at which the guest's DEC passes zero.
    dec_expiry: Option<u64>,
    dec_doubtful: bool,
    /// How far host TB was off when it was last seen valid, and then when the guest was left.
    off: i64,
    off_outside: i64,
    /// What had leapt when the guest was left.
    leapt: u64,
}

/// The life of a thread whose core has guests.
pub(super) fn live(cpu: Cpu<'_>, shim: &Shim<'_>) {
    let thread = shim_thread(cpu.stage, cpu.index);
    let depth = cpu.stage.depth(cpu.index);
    let mut machine = Hypervised {
        cpu,
        shim,
        thread,
        interrupts: true,
        placed: false,
        within: 0,
        depth,
        steps: 0,
        checks: 0,
        hdec_expiry: u64::MAX,
        dec_expiry: None,
        dec_doubtful: false,
        off: 0,
        off_outside: 0,
        leapt: 0,
    };
    if let Some((vector, address)) = run_thread(shim, &mut machine, &thread) {
        let stage = machine.cpu.stage;
        stage.wrong(format!(
            "an exit that the shim does not know: {vector:#x} at {address:#x}"
        ));
    }
    while shim.finished.load(Ordering::Acquire) < shim.threads {
        attend_after_finish(shim, &mut machine, &thread);
        machine.relax();
    }
}

impl Hypervised<'_> {
    /// Whether the shim says that the thread does this.
    fn does(&self, activity: Activity) -> bool {
        self.cpu.stage.activity(self.cpu.index) == Some(activity)
    }

    /// A thread that should be on the way into or out of its guest stops there.
    fn watch(&mut self) {
        if self.placed {
            if self.cpu.stage.overdue() {
                std::panic::resume_unwind(Box::new(Halt));
            }
            return;
        }
        let wanted = match self.cpu.stage.doing[self.cpu.index] {
            Doing::Entering => Activity::Entering,
            Doing::Leaving => Activity::Leaving,
            _ => return,
        };
        if !self.does(wanted) {
            if self.within != 0 {
                self.depth /= 2;
                self.within = 0;
            }
            return;
        }
        self.within += 1;
        if self.within > self.depth {
            self.placed = true;
            self.cpu.park();
        }
    }

    /// In host context, interrupts open: threads that should be there stop, and do what they should.
    fn watch_host(&mut self) {
        if self.placed || !self.interrupts || !self.does(Activity::Host) {
            return;
        }
        match self.cpu.stage.doing[self.cpu.index] {
            Doing::Guest | Doing::Entering | Doing::Leaving => {}
            _ => {
                self.placed = true;
                self.cpu.park();
                self.cpu.delay();
            }
        }
    }

    /// TB of this thread against the machine's time plus `offset`.
    fn check_time(&mut self, offset: i64, whose: &str) {
        let stage = self.cpu.stage;
        let machine = stage.machine;
        let (tfmr, timebase, truth) = machine.look(self.cpu.index);
        let time = stage.case.expect.timebase.unwrap_or(Time::Exact);
        if !tfmr.contains(Tfmr::TB_VALID) || tfmr.state() != TbState::Running {
            if !matches!(
                time,
                Time::Invalid | Time::Any | Time::Honest | Time::Judged
            ) {
                stage.wrong(format!(
                    "{whose} of thread {} goes on with a TB that is not valid: {tfmr:?}",
                    self.cpu.index
                ));
            }
            return;
        }
        let host = timebase.wrapping_add_signed(offset.wrapping_neg());
        let off = host.wrapping_sub(truth) as i64;
        self.off = off;
        let good = match time {
            Time::Exact | Time::Honest => off == 0,
            Time::Within(ticks) => off.unsigned_abs() <= ticks,
            Time::NotBehind | Time::Invalid | Time::Any | Time::Judged => {
                off == 0 || host >= stage.least_time(&stage.scene())
            }
        };
        if good {
            self.checks += 1;
        } else {
            stage.wrong(format!(
                "{whose} of thread {} sees a TB that is {off} off",
                self.cpu.index
            ));
        }
    }

    /// Notes how far TB is off, if it is valid.
    fn note_time(&mut self, offset: i64) {
        let (tfmr, timebase, truth) = self.cpu.stage.machine.look(self.cpu.index);
        if tfmr.contains(Tfmr::TB_VALID) && tfmr.state() == TbState::Running {
            let host = timebase.wrapping_add_signed(offset.wrapping_neg());
            self.off = host.wrapping_sub(truth) as i64;
        }
    }

    /// One look around in the guest; gives why it is left, if it is.
    fn step(&mut self, offset: i64) -> Option<u64> {
        self.cpu.before(Kind::Read, Access::Relax);
        let machine = self.cpu.stage.machine;
        if machine.hmi_pending(self.cpu.index) {
            return Some(vector::HMI);
        }
        self.cpu.thread.pass(STEP_TICKS);
        if machine.hmi_pending(self.cpu.index) {
            return Some(vector::HMI);
        }
        self.steps += 1;
        self.check_time(offset, "the guest");
        if !self.placed
            && self.cpu.stage.doing[self.cpu.index] == Doing::Guest
            && self.steps > GUEST_STEPS
        {
            self.placed = true;
            self.cpu.park();
        }
        if self.cpu.stage.scene().threads[self.cpu.index].rung {
            return Some(vector::DOORBELL);
        }
        if machine.now() > self.hdec_expiry {
            return Some(vector::HDEC);
        }
        self.steps
            .is_multiple_of(HCALL_STEPS)
            .then_some(vector::HCALL)
    }
}

impl Machine for Hypervised<'_> {
    fn timebase(&mut self) -> u64 {
        self.watch();
        self.cpu.timebase()
    }

    fn set_timebase_upper40(&mut self, value: u64) {
        self.watch();
        self.cpu.write(Spr::Tbu40, value);
    }

    fn tfmr(&mut self) -> Tfmr {
        self.watch();
        self.cpu.tfmr()
    }

    fn set_tfmr(&mut self, _: Tfmr) {
        unreachable!("the case breaks TB, not the shim");
    }

    fn hmer(&mut self) -> Hmer {
        self.watch();
        self.cpu.hmer()
    }

    fn decrementer(&mut self) -> i64 {
        self.watch();
        self.cpu.decrementer()
    }

    fn set_decrementer(&mut self, value: i64) {
        self.watch();
        self.cpu.write(Spr::Dec, value as u64);
    }

    fn hypervisor_decrementer(&mut self) -> i64 {
        self.watch();
        self.hdec_expiry.wrapping_sub(self.cpu.stage.machine.now()) as i64
    }

    fn set_hypervisor_decrementer(&mut self, value: i64) {
        self.watch();
        self.hdec_expiry = self.cpu.stage.machine.now().wrapping_add_signed(value);
    }

    fn reset_guest(&mut self, _: GuestLimits) {}

    fn run_guest(&mut self) -> GuestExit {
        let offset = self.thread.guest_offset();
        let left = self.decrementer();
        let now = self.cpu.stage.machine.now();
        // Where all had to go on with a guess of the time, the deadline is one of that time, or DEC
        // went on by itself.
        self.note_time(offset);
        let shift = self.off.wrapping_sub(self.off_outside);
        let found = now.wrapping_add_signed(left);
        match self.dec_expiry {
            Some(expected) if left >= 0 => {
                // Time may also leap between the two.
                let leapt = self.cpu.stage.leapt.load(Ordering::Relaxed) - self.leapt;
                let slack = DEC_SLACK_TICKS + leapt;
                let near = |found: u64| found.abs_diff(expected) <= slack;
                let good = near(found) || near(found.wrapping_add_signed(shift));
                // An error that struck on the way in is taken before the guest's first instruction.
                let struck = self.cpu.stage.machine.hmi_pending(self.cpu.index);
                if !good && !self.dec_doubtful && !struck {
                    let off = found.wrapping_sub(expected) as i64;
                    self.cpu.stage.wrong(format!(
                        "the guest of thread {} got a DEC that is {off} off",
                        self.cpu.index
                    ));
                }
            }
            // The guest sets it at its start, and whenever it fires.
            _ => self.set_decrementer(GUEST_DEC_TICKS),
        }
        self.dec_doubtful = false;
        let vector = loop {
            if let Some(vector) = self.step(offset) {
                break vector;
            }
        };
        let left = self.decrementer();
        let now = self.cpu.stage.machine.now();
        self.dec_expiry = Some(now.wrapping_add_signed(left));
        self.off_outside = self.off;
        self.leapt = self.cpu.stage.leapt.load(Ordering::Relaxed);
        GuestExit {
            vector,
            pc: self.steps * 4,
            msr: 0,
        }
    }

    fn guest_report(&mut self) -> GuestReport {
        GuestReport {
            checks: self.checks,
            ..GuestReport::default()
        }
    }

    fn answer_hcall(&mut self, _: u64) {}

    fn call_opal(&mut self, token: Token, arguments: [u64; 8]) -> i64 {
        if token == Token::ResyncTimebase {
            self.cpu.stage.scene().resyncs += 1;
        }
        self.cpu.opal(token, arguments)
    }

    fn handle_hmi2(&mut self) -> (i64, u64) {
        let (code, flags) = self.cpu.handle_hmi();
        if flags & hmi_flags::HDEC_LOST != 0 {
            self.hdec_expiry = self.cpu.stage.machine.now();
        }
        self.dec_doubtful |= flags & hmi_flags::DEC_LOST != 0;
        (code, flags)
    }

    fn next_message(&mut self) -> Option<[u8; message::SIZE]> {
        let message = self.cpu.message()?;
        self.cpu.stage.scene().events.push(message);
        Some(message)
    }

    fn ring(&mut self, number: u32) {
        let first = self.cpu.index - self.thread.number as usize;
        self.cpu.stage.scene().threads[first + number as usize].rung = true;
    }

    fn silence(&mut self) {
        self.cpu.stage.scene().threads[self.cpu.index].rung = false;
    }

    fn relax(&mut self) {
        self.watch();
        self.watch_host();
        self.cpu.relax();
        self.take_interrupts();
    }

    fn relax_up_to(&mut self, most: u64) -> u64 {
        self.watch();
        self.watch_host();
        let spins = self.cpu.relax_up_to(most);
        self.take_interrupts();
        spins
    }

    fn set_interrupts(&mut self, open: bool) -> bool {
        std::mem::replace(&mut self.interrupts, open)
    }
}

impl Hypervised<'_> {
    /// What comes between two spins.
    fn take_interrupts(&mut self) {
        self.silence();
        if !self.interrupts {
            return;
        }
        let word = self.shim.word(&self.thread).load();
        if self.cpu.stage.machine.hmi_pending(self.cpu.index) {
            self.interrupts = false;
            let (shim, thread) = (self.shim, self.thread);
            attend(shim, self, &thread, Cause::InHost(0, 0), &mut 0);
            shim.status(&thread)
                .activity
                .store(Activity::Host as u64, Ordering::Relaxed);
            self.interrupts = true;
            return;
        }
        let open = word.closing() == 0 && self.does(Activity::Host);
        let own_time = !self.shim.configuration.shares_timebase() || word.in_guest() == 0;
        if open && own_time && self.cpu.stage.act() > Act::Placing {
            self.check_time(0, "the host");
        }
        if self.does(Activity::Host) && self.cpu.decrementer() < 0 {
            self.cpu
                .write(Spr::Dec, hypervisor_shim::oracle::HOST_DEC as u64);
            count(&self.shim.status(&self.thread).decrementer_interrupts);
        }
    }
}
