//! A thread of the model as the firmware drives it: each access is looked at by the stage first.

use super::case::Doing;
use super::register::Named;
use super::stage::{Access, Act, Stage, hardware_pir};
use crate::schedule::{Kind, Turn, Wait};
use hardware_model::Thread;
use opal_abi::{Token, message};
use opaline_firmware::console::Console;
use opaline_firmware::hardware::{Hardware, Pir};
use opaline_firmware::opal::{Call, Context, OsMemory, RealAddress, dispatch};
use power_registers::Spr;
use std::sync::atomic::Ordering;

/// What a thread unwinds with that is stopped at the end.
#[derive(Debug)]
pub(super) struct Halt;

/// Where the memory of the OS for calls of thread 0 is; each thread has its own.
const OS_MEMORY: u64 = 0x1_0000;
const FLAGS_AT: u64 = 0;
const MESSAGE_AT: u64 = 64;
const OS_BYTES: u64 = 256;
/// The firmware's own memory.
const OWN: std::ops::Range<u64> = 0x3000_0000..0x3100_0000;

/// A thread of the model.
#[derive(Debug)]
pub(super) struct Cpu<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) thread: Thread<'a>,
    pub(super) index: usize,
    pub(super) turn: Turn<'a>,
    /// Accesses until the thread is where it should be.
    pub(super) countdown: Option<u64>,
    wait: Wait,
    /// Whether the firmware runs.
    in_firmware: bool,
    /// Spins since the last write.
    waiting: u64,
    /// Most of them.
    longest_wait: u64,
}

impl<'a> Cpu<'a> {
    pub(super) fn new(stage: &'a Stage<'a>, index: usize, turn: Turn<'a>) -> Self {
        Self {
            stage,
            thread: stage.machine.thread(index),
            index,
            turn,
            countdown: None,
            wait: Wait::default(),
            in_firmware: false,
            waiting: 0,
            longest_wait: 0,
        }
    }

    /// Before an access: others may come first, faults may strike.
    pub(super) fn before(&mut self, kind: Kind, what: Access) {
        if matches!(kind, Kind::Write | Kind::Aside) {
            self.waiting = 0;
        }
        if kind != Kind::Read || self.wait.look() {
            self.turn.pass(kind);
        }
        if !self.stage.before(self.index, what) {
            self.halt();
        }
        match self.countdown {
            Some(0) => {
                self.countdown = None;
                self.park();
            }
            Some(left) => self.countdown = Some(left - 1),
            None => {}
        }
    }

    /// Makes no access any more, and gives back nothing that it holds; ends with the run.
    fn halt(&self) -> ! {
        if let Some(shim) = self.stage.shim.filter(|_| self.stage.in_shim[self.index]) {
            // Nobody waits for it at the end.
            shim.finished.fetch_add(1, Ordering::AcqRel);
        }
        self.turn.die()
    }

    /// The thread is where the case wants it, and stays there until all are.
    pub(super) fn park(&self) {
        self.stage.in_place(self.index);
        while self.stage.act() == Act::Placing {
            self.turn.rest();
        }
    }

    fn read(&mut self, spr: Spr) -> u64 {
        self.before(Kind::Read, Access::Read(Named::Spr(spr)));
        self.thread.read_spr(spr)
    }

    pub(super) fn write(&mut self, spr: Spr, value: u64) {
        self.wait.end();
        let kind = if self.in_firmware {
            Kind::Write
        } else {
            Kind::Aside
        };
        self.before(kind, Access::Write(Named::Spr(spr)));
        self.thread.write_spr(spr, value);
    }

    /// SCOM address behind a real address.
    fn scom(&self, address: u64) -> Named {
        let configuration = self.stage.machine.configuration();
        let chips = 0..configuration.chips;
        let offset = chips
            .filter_map(|chip| address.checked_sub(configuration.xscom_base(chip)))
            .find(|offset| *offset < configuration.xscom_size())
            .unwrap_or(0);
        let scom = match configuration.generation {
            hardware_model::Generation::Power8 => (offset >> 4 & !0xf) | (offset >> 3 & 0xf),
            _ => offset >> 3,
        };
        Named::Scom(scom as u32)
    }

    /// The thread goes into the firmware, or comes out.
    fn enter(&mut self, in_firmware: bool) {
        self.in_firmware = in_firmware;
        self.turn.get_on();
    }

    /// Whether the call is in the firmware, for the others to know.
    fn busy(&self, busy: bool) {
        self.stage.scene().threads[self.index].busy = busy;
    }

    fn call(&mut self, token: Token, arguments: [u64; 8], memory: &mut OsBytes) -> i64 {
        (self.waiting, self.longest_wait) = (0, 0);
        let machine = self.stage.machine;
        let before = machine.counters(self.index);
        let console = Console::new(None);
        let system = self.stage.system;
        let mut context = Context {
            hardware: &mut *self,
            memory,
            system,
            console: &console,
            own: OWN,
            depth: 1,
            stays: false,
        };
        let call = Call {
            token: token as u64,
            arguments,
        };
        context.hardware.enter(true);
        let code = dispatch(&mut context, &call);
        self.enter(false);
        let after = machine.counters(self.index);
        let mut scene = self.stage.scene();
        let cost = &mut scene.threads[self.index].cost;
        cost.scom_reads += after.scom_reads - before.scom_reads;
        cost.scom_writes += after.scom_writes - before.scom_writes;
        cost.spr_reads += after.spr_reads - before.spr_reads;
        cost.spr_writes += after.spr_writes - before.spr_writes;
        cost.longest_wait = cost.longest_wait.max(self.longest_wait);
        code
    }

    fn memory(&self) -> OsBytes {
        OsBytes {
            base: OS_MEMORY + self.index as u64 * OS_BYTES,
            bytes: [0xa5; OS_BYTES as usize],
        }
    }

    /// An OPAL call without memory.
    pub(super) fn opal(&mut self, token: Token, arguments: [u64; 8]) -> i64 {
        let mut memory = self.memory();
        self.call(token, arguments, &mut memory)
    }

    /// `OPAL_HANDLE_HMI2`: return code and flags.
    pub(super) fn handle_hmi(&mut self) -> (i64, u64) {
        self.busy(true);
        let interrupted = self.stage.machine.hmi_pending(self.index);
        let mut memory = self.memory();
        let code = self.call(
            Token::HandleHmi2,
            [memory.base + FLAGS_AT, 0, 0, 0, 0, 0, 0, 0],
            &mut memory,
        );
        let mut flags = [0; 8];
        memory.get(memory.base + FLAGS_AT, &mut flags);
        let answer = (code, u64::from_be_bytes(flags));
        let mut scene = self.stage.scene();
        let own = &mut scene.threads[self.index];
        own.busy = false;
        own.calls.push(answer);
        // A hypervisor calls without, too, while it waits.
        own.interrupts += u32::from(interrupted);
        let storm = own.interrupts > MOST_INTERRUPTS;
        drop(scene);
        assert!(!storm, "an interrupt storm in thread {}", self.index);
        answer
    }

    /// `OPAL_GET_MSG`.
    pub(super) fn message(&mut self) -> Option<[u8; message::SIZE]> {
        let mut memory = self.memory();
        let at = memory.base + MESSAGE_AT;
        let arguments = [at, message::SIZE as u64, 0, 0, 0, 0, 0, 0];
        let code = self.call(Token::GetMessage, arguments, &mut memory);
        let mut message = [0; message::SIZE];
        memory.get(at, &mut message);
        (code == opal_abi::SUCCESS).then_some(message)
    }

    /// What a thread does for its spins before it takes its interrupt.
    pub(super) fn delay(&mut self) {
        // As a wait, so that it lasts as long as those of the others who wait for this thread.
        let mut left = self.stage.spins[self.index];
        while left > 0 {
            if self.stage.doing[self.index] == Doing::Opal {
                let _ = self.opal(Token::CheckToken, [Token::Test as u64, 0, 0, 0, 0, 0, 0, 0]);
            }
            left -= self.relax_up_to(left);
        }
        self.busy(false);
    }

    /// In the middle of `OPAL_RESYNC_TIMEBASE` when the faults strike.
    pub(super) fn resync(&mut self) {
        self.countdown = Some(self.stage.depth(self.index));
        let code = self.opal(Token::ResyncTimebase, [0; 8]);
        if self.countdown.take().is_some() {
            self.park();
        }
        self.busy(false);
        if code != opal_abi::SUCCESS && code != opal_abi::OpalError::Hardware.code() {
            self.stage
                .wrong(format!("OPAL_RESYNC_TIMEBASE answered {code}"));
        }
    }
}

/// Most interrupts of a thread. Each fault makes one, and a repair that fails another.
const MOST_INTERRUPTS: u32 = 40;
/// Most model time of a run: 64 s.
const MOST_TICKS: u64 = 32_768_000_000;

/// The life of a thread whose core has no guests.
pub(super) fn live(mut cpu: Cpu<'_>) {
    let stage = cpu.stage;
    if stage.doing[cpu.index] == Doing::Resync {
        cpu.resync();
    } else {
        cpu.park();
    }
    cpu.delay();
    loop {
        if stage.called(cpu.index) {
            let _ = cpu.handle_hmi();
            continue;
        }
        let mut scene = stage.scene();
        if scene.act == Act::Over {
            return;
        }
        // Where there are guests, those who run them lead.
        let alone = !stage.has_guests_left(&scene);
        if alone && stage.is_quiet(&scene) {
            stage.end(&mut scene);
            return;
        }
        let nobody_moves = !scene.threads.iter().any(|thread| thread.busy);
        drop(scene);
        if nobody_moves && alone {
            cpu.relax();
        } else {
            cpu.turn.rest();
        }
    }
}

/// Memory of the OS that calls of one thread may touch.
#[derive(Debug)]
struct OsBytes {
    base: u64,
    bytes: [u8; OS_BYTES as usize],
}

impl OsBytes {
    /// What the OS itself reads.
    fn get(&self, real: u64, into: &mut [u8]) {
        let at = (real - self.base) as usize;
        into.copy_from_slice(&self.bytes[at..at + into.len()]);
    }
}

impl OsMemory for OsBytes {
    fn read(&mut self, from: RealAddress, into: &mut [u8]) {
        self.get(from.number(), into);
    }

    fn write(&mut self, to: RealAddress, from: &[u8]) {
        let real = to.number();
        let at = (real - self.base) as usize;
        self.bytes[at..at + from.len()].copy_from_slice(from);
    }
}

hardware_by_registers!(Cpu<'_>, {
    fn pir(&self) -> Pir {
        hardware_pir(self.stage.machine, self.index)
    }
    fn load(&mut self, address: u64) -> u64 {
        let scom = self.scom(address);
        self.before(Kind::Read, Access::Read(scom));
        self.thread.load(address)
    }
    fn store(&mut self, address: u64, value: u64) {
        self.wait.end();
        let scom = self.scom(address);
        self.before(Kind::Write, Access::Write(scom));
        self.thread.store(address, value);
    }
    fn relax(&mut self) {
        self.waited(1);
        if !self.wait.was_made() {
            self.before(Kind::Relax, Access::Relax);
            self.thread.relax();
        }
    }
    fn relax_up_to(&mut self, most: u64) -> u64 {
        if self.wait.was_made() {
            self.waited(1);
            return 1;
        }
        self.before(Kind::Relax, Access::Relax);
        self.thread.relax();
        let spins = self.wait.spin(&self.turn, most);
        self.waited(spins.counted);
        if spins.more > 0 {
            self.leap(spins.more);
        }
        spins.counted
    }
});

impl Cpu<'_> {
    const fn waited(&mut self, spins: u64) {
        self.waiting += spins;
        if self.longest_wait < self.waiting {
            self.longest_wait = self.waiting;
        }
    }

    /// The time of so many spins passes, without any access.
    fn leap(&self, spins: u64) {
        let machine = self.stage.machine;
        let ticks = spins * machine.configuration().costs.relax;
        self.thread.pass(ticks);
        self.stage.leapt.fetch_add(ticks, Ordering::Relaxed);
        // The watchdog of the model counts accesses, and these were none.
        assert!(
            machine.now() < MOST_TICKS,
            "watchdog: thread {} still waits after {MOST_TICKS} ticks: some wait has no end",
            self.index
        );
    }

    /// `mfspr DEC`.
    pub(super) fn decrementer(&mut self) -> i64 {
        i64::from(self.read(Spr::Dec) as u32 as i32)
    }
}
