//! The measurement of skew by real threads that share one lock, over a clock that all of them
//! agree on and offsets that they do not.

use flight_recorder::FlightRecorder;
use hypervisor_shim::control::{Control, HeaderWord};
use hypervisor_shim::core_word::{Event, SharedCoreWord};
use hypervisor_shim::machine::{GuestExit, GuestLimits, GuestReport, Machine};
use hypervisor_shim::shim::MAX_CORES;
use hypervisor_shim::skew::{self, SkewMeter};
use hypervisor_shim::{Configuration, Shim, Thread};
use opal_abi::{Token, message};
use power_registers::{Hmer, TbState, Tfmr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const THREADS: usize = 4;

/// A thread in host context. Time is counted in readings, so no test depends on the host's speed.
struct HostThread<'a> {
    clock: &'a AtomicU64,
    /// TB minus true time.
    off: i64,
    valid: bool,
    interrupts: bool,
}

impl Machine for HostThread<'_> {
    fn timebase(&mut self) -> u64 {
        assert!(!self.interrupts, "TB is read with interrupts open");
        let now = self.clock.fetch_add(10, Ordering::SeqCst);
        now.wrapping_add_signed(self.off)
    }
    fn set_timebase_upper40(&mut self, _: u64) {
        panic!("a measurement moves TB");
    }
    fn tfmr(&mut self) -> Tfmr {
        if self.valid {
            Tfmr::TB_VALID.with_states(TbState::Running, TbState::Running)
        } else {
            Tfmr::empty().with_states(TbState::Error, TbState::Running)
        }
    }
    fn set_tfmr(&mut self, _: Tfmr) {
        panic!("a measurement commands TB");
    }
    fn hmer(&mut self) -> Hmer {
        Hmer::empty()
    }
    fn decrementer(&mut self) -> i64 {
        1 << 30
    }
    fn set_decrementer(&mut self, _: i64) {
        panic!("DEC may be the guest's");
    }
    fn hypervisor_decrementer(&mut self) -> i64 {
        1 << 30
    }
    fn set_hypervisor_decrementer(&mut self, _: i64) {}
    fn reset_guest(&mut self, _: GuestLimits) {}
    fn run_guest(&mut self) -> GuestExit {
        panic!("no guest here")
    }
    fn guest_report(&mut self) -> GuestReport {
        GuestReport::default()
    }
    fn answer_hcall(&mut self, _: u64) {}
    fn call_opal(&mut self, _: Token, _: [u64; 8]) -> i64 {
        panic!("a measurement calls nobody")
    }
    fn handle_hmi2(&mut self) -> (i64, u64) {
        panic!("a measurement repairs nothing")
    }
    fn next_message(&mut self) -> Option<[u8; message::SIZE]> {
        None
    }
    fn ring(&mut self, _: u32) {}
    fn silence(&mut self) {}
    fn relax(&mut self) {
        std::thread::yield_now();
    }
    fn set_interrupts(&mut self, open: bool) -> bool {
        std::mem::replace(&mut self.interrupts, open)
    }
}

/// Two cores of two threads; TB of thread n is off by `offs[n]`. `body` gets the shim and a call
/// that lets a thread take part.
fn with_shim(offs: [i64; THREADS], body: impl FnOnce(&Shim<'_>, &(dyn Fn(usize, bool) + Sync))) {
    let control = Box::new(Control::new());
    let recorder = Box::new(FlightRecorder::new());
    let words = [const { SharedCoreWord::new() }; MAX_CORES];
    let turns = [const { AtomicU32::new(0) }; MAX_CORES];
    let meter = Box::new(SkewMeter::new());
    let clock = AtomicU64::new(1 << 50);
    let shim = Shim {
        control: &control,
        recorder: &recorder,
        cores: &words,
        turns: &turns,
        skew: &meter,
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
    };
    let take_part = |index: usize, valid: bool| {
        let mut machine = HostThread {
            clock: &clock,
            off: offs[index],
            valid,
            interrupts: true,
        };
        skew::take_part(&shim, &mut machine, &thread(index));
        assert!(machine.interrupts, "interrupts stay closed");
    };
    body(&shim, &take_part);
}

fn thread(index: usize) -> Thread {
    Thread {
        index,
        pir: index as u32,
        core: index / 2,
        number: index as u32 % 2,
        siblings: 0b11,
    }
}

fn header(shim: &Shim<'_>, word: HeaderWord) -> u64 {
    let header = &shim.control.header;
    let word = match word {
        HeaderWord::SkewDone => &header.skew_done,
        HeaderWord::SkewGivenUp => &header.skew_given_up,
        HeaderWord::SkewThreads => &header.skew_threads,
        HeaderWord::SkewStepBack => &header.skew_step_back,
        HeaderWord::SkewDisagreement => &header.skew_disagreement,
        HeaderWord::SkewDoubt => &header.skew_doubt,
        other => panic!("{other:?} is not looked at here"),
    };
    word.load(Ordering::SeqCst)
}

/// All threads measure once.
fn measure(offs: [i64; THREADS]) -> (u64, u64, u64) {
    let mut result = (0, 0, 0);
    with_shim(offs, |shim, take_part| {
        skew::ask(shim);
        assert!(!skew::is_idle(shim));
        std::thread::scope(|scope| {
            for index in 0..THREADS {
                scope.spawn(move || take_part(index, true));
            }
        });
        assert!(skew::is_idle(shim));
        assert_eq!(header(shim, HeaderWord::SkewGivenUp), 0);
        assert_eq!(header(shim, HeaderWord::SkewThreads), THREADS as u64);
        result = (
            header(shim, HeaderWord::SkewStepBack),
            header(shim, HeaderWord::SkewDisagreement),
            header(shim, HeaderWord::SkewDoubt),
        );
    });
    result
}

#[test]
fn equal_timebases_agree() {
    let (step_back, disagreement, doubt) = measure([0; THREADS]);
    assert_eq!(step_back, 0);
    assert!(disagreement <= doubt);
}

#[test]
fn one_thread_that_is_off_is_found() {
    for off in [40, -40, 100_000, -100_000, 3 << 41] {
        for culprit in 0..THREADS {
            let mut offs = [0; THREADS];
            offs[culprit] = off;
            let (step_back, disagreement, doubt) = measure(offs);
            assert!(
                step_back > 0 && step_back < off.unsigned_abs(),
                "{off}: {step_back}"
            );
            assert!(disagreement.abs_diff(off.unsigned_abs()) <= doubt, "{off}");
            assert!(
                disagreement > doubt,
                "{off}: {disagreement} to within {doubt}"
            );
        }
    }
}

/// A core that closes takes its threads out at once, and all others with them.
#[test]
fn a_closing_core_ends_the_measurement() {
    with_shim([0; THREADS], |shim, take_part| {
        skew::ask(shim);
        std::thread::scope(|scope| {
            for index in 0..THREADS - 1 {
                scope.spawn(move || take_part(index, true));
            }
            // The last thread of core 1 never comes: it has an HMI.
            std::thread::yield_now();
            shim.cores[1].apply(Event::Close {
                thread: 1,
                interrupted: true,
            });
        });
        assert_eq!(header(shim, HeaderWord::SkewDone), 1);
        assert_eq!(header(shim, HeaderWord::SkewGivenUp), 1);
        // Thread 2 is summoned: it does not begin another one.
        skew::ask(shim);
        take_part(2, true);
        assert_eq!(header(shim, HeaderWord::SkewGivenUp), 2);
    });
}

/// A TB that TFMR calls broken is never compared, and the others do not wait for it for ever.
#[test]
fn a_broken_timebase_is_not_read() {
    with_shim([0, 0, 0, 1 << 40], |shim, take_part| {
        skew::ask(shim);
        std::thread::scope(|scope| {
            for index in 0..THREADS {
                scope.spawn(move || take_part(index, index != 3));
            }
            while header(shim, HeaderWord::SkewDone) == 0 && shim.skew.ended() == 0 {
                std::thread::yield_now();
                if shim.skew.has_read(0) && shim.skew.has_read(1) && shim.skew.has_read(2) {
                    // The run is to end.
                    shim.control.header.stop.store(1, Ordering::SeqCst);
                }
            }
        });
        assert!(!shim.skew.has_read(3));
        assert_eq!(header(shim, HeaderWord::SkewGivenUp), 1);
        assert_eq!(header(shim, HeaderWord::SkewStepBack), 0);
    });
}
