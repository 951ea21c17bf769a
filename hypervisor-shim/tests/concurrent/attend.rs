//! The shim's own way through an HMI, with the machine taken away: registers are no memory, so they
//! are plain values here, and TB is a [`Place`] that only a guest, an offset and a repair touch.

use super::{Place, check, thread};
use flight_recorder::FlightRecorder;
use hypervisor_shim::attend::{Cause, attend};
use hypervisor_shim::control::Control;
use hypervisor_shim::core_word::SharedCoreWord;
use hypervisor_shim::guest::{Guest, Stay};
use hypervisor_shim::machine::{GuestExit, GuestLimits, GuestReport, Machine, vector};
use hypervisor_shim::shim::MAX_CORES;
use hypervisor_shim::skew::SkewMeter;
use hypervisor_shim::{Configuration, Shim, Thread};
use opal_abi::{Token, message};
use power_registers::{Hmer, TbState, Tfmr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

const THREADS: usize = 3;

/// Not used on the way through an HMI, and too large for the stack of a thread of loom.
static SKEW: SkewMeter = SkewMeter::new();

/// One core.
struct Core {
    timebases: [Place; THREADS],
    broken: AtomicBool,
    pending: [AtomicBool; THREADS],
    repairs: AtomicUsize,
    words: [SharedCoreWord; MAX_CORES],
    control: Control,
    recorder: FlightRecorder,
    turns: [AtomicU32; MAX_CORES],
}

impl Core {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            timebases: std::array::from_fn(|_| Place::new()),
            broken: AtomicBool::new(false),
            pending: [const { AtomicBool::new(false) }; THREADS],
            repairs: AtomicUsize::new(0),
            words: std::array::from_fn(|_| SharedCoreWord::new()),
            control: Control::new(),
            recorder: FlightRecorder::new(),
            turns: [const { AtomicU32::new(0) }; MAX_CORES],
        })
    }

    fn strike(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.pending
            .iter()
            .for_each(|pending| pending.store(true, Ordering::SeqCst));
    }

    /// TB of the core is written anew, by whoever comes first.
    fn repair(&self) {
        if self.broken.swap(false, Ordering::SeqCst) {
            self.timebases.iter().for_each(Place::write);
            self.repairs.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn shim(&self) -> Shim<'_> {
        Shim {
            control: &self.control,
            recorder: &self.recorder,
            cores: &self.words,
            turns: &self.turns,
            skew: &SKEW,
            configuration: Configuration {
                threads_per_timebase: 1,
                tfmr_meaningful: true,
                spins_per_microsecond: 1,
                external: true,
                tfmr_base: Tfmr::TB_ECLIPZ,
            },
            threads: THREADS as u64,
            ready: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            faults_left: AtomicU64::new(0),
        }
    }

    /// Under loom its index has no ring in the recorder, whose words are checked by tests of their
    /// own.
    fn thread(&self, number: usize) -> Thread {
        Thread {
            index: number
                + if cfg!(loom) {
                    flight_recorder::THREADS
                } else {
                    0
                },
            pir: number as u32,
            core: 0,
            number: number as u32,
            siblings: (1 << THREADS) - 1,
        }
    }
}

struct Own<'a> {
    core: &'a Core,
    number: usize,
    ticks: u64,
    dec: i64,
}

impl Machine for Own<'_> {
    fn timebase(&mut self) -> u64 {
        self.ticks
    }

    fn set_timebase_upper40(&mut self, value: u64) {
        self.core.timebases[self.number].write();
        self.ticks = value;
    }

    fn tfmr(&mut self) -> Tfmr {
        if self.core.broken.load(Ordering::SeqCst) {
            Tfmr::FW_CONTROL_ERROR.with_states(TbState::Error, TbState::Running)
        } else {
            Tfmr::TB_VALID.with_states(TbState::Running, TbState::GetTod)
        }
    }

    fn set_tfmr(&mut self, _: Tfmr) {}

    fn hmer(&mut self) -> Hmer {
        if self.core.pending[self.number].load(Ordering::SeqCst) {
            Hmer::TFAC_ERROR
        } else {
            Hmer::empty()
        }
    }

    fn decrementer(&mut self) -> i64 {
        self.dec
    }

    fn set_decrementer(&mut self, value: i64) {
        self.dec = value;
    }

    fn hypervisor_decrementer(&mut self) -> i64 {
        -1
    }

    fn set_hypervisor_decrementer(&mut self, _: i64) {}

    fn reset_guest(&mut self, _: GuestLimits) {}

    fn run_guest(&mut self) -> GuestExit {
        self.core.timebases[self.number].read();
        let vector = if self.core.pending[self.number].load(Ordering::SeqCst) {
            vector::HMI
        } else {
            vector::HDEC
        };
        let (pc, msr) = (0, 0);
        GuestExit { vector, pc, msr }
    }

    fn guest_report(&mut self) -> GuestReport {
        GuestReport::default()
    }

    fn answer_hcall(&mut self, _: u64) {}

    fn call_opal(&mut self, _: Token, _: [u64; 8]) -> i64 {
        self.core.repair();
        0
    }

    fn handle_hmi2(&mut self) -> (i64, u64) {
        self.core.pending[self.number].store(false, Ordering::SeqCst);
        // No meeting: what keeps guests out is the shim's word alone.
        self.core.repair();
        (0, 0)
    }

    fn next_message(&mut self) -> Option<[u8; message::SIZE]> {
        None
    }

    fn ring(&mut self, _: u32) {}

    fn silence(&mut self) {}

    fn relax(&mut self) {
        thread::yield_now();
    }

    fn set_interrupts(&mut self, _: bool) -> bool {
        false
    }
}

fn own(core: &Core, number: usize) -> Own<'_> {
    let (ticks, dec) = (1 << 50, 1 << 20);
    Own {
        core,
        number,
        ticks,
        dec,
    }
}

/// A thread in host context takes the HMI.
fn host(core: &Core, number: usize) {
    let thread = core.thread(number);
    attend(
        &core.shim(),
        &mut own(core, number),
        &thread,
        Cause::InHost(0, 0),
        &mut 0,
    );
}

/// A thread that enters its guest so often, and attends when it must.
fn guest(core: &Core, number: usize, stays: usize) {
    let (thread, shim) = (core.thread(number), core.shim());
    let mut machine = own(core, number);
    let mut guest = Guest::new(&mut machine, &shim, &thread);
    for _ in 0..stays {
        match guest.stay(&shim, &mut machine, &thread) {
            Stay::Left | Stay::Attended => {}
            Stay::Busy => thread::yield_now(),
            other => panic!("{other:?}"),
        }
    }
    // As the loop of the shim does, in host context.
    if core.pending[number].load(Ordering::SeqCst) {
        guest.attend(&shim, &mut machine, &thread, Cause::InHost(0, 0));
    }
}

fn judge(core: &Core, threads: usize) {
    assert_eq!(core.repairs.load(Ordering::SeqCst), 1);
    assert!(!core.broken.load(Ordering::SeqCst));
    let word = core.words[0].load();
    assert_eq!((word.closing(), word.in_guest()), (0, 0), "{word:?}");
    for number in 0..threads {
        let status = &core.control.threads[core.thread(number).index];
        assert_eq!(status.expired_waits.load(Ordering::SeqCst), 0);
    }
}

/// One thread strikes and attends while another goes in and out of its guest.
#[test]
fn a_repair_meets_a_guest_on_its_way() {
    check(Some(2), || {
        let core = Core::new();
        let other = {
            let core = core.clone();
            thread::spawn(move || guest(&core, 1, 2))
        };
        core.strike();
        host(&core, 0);
        other.join().unwrap();
        judge(&core, 2);
    });
}

/// Two guests and the host, all struck at once.
#[test]
fn three_threads_attend() {
    check(Some(1), || {
        let core = Core::new();
        core.strike();
        let others = [1, 2].map(|number| {
            let core = core.clone();
            thread::spawn(move || guest(&core, number, 1))
        });
        host(&core, 0);
        for other in others {
            other.join().unwrap();
        }
        judge(&core, 3);
    });
}
