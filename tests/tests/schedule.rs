//! The scheduler of the benches: a seed is an interleaving, whoever carries the threads.

use hardware_model::{Access, Configuration, CoreError, Fault, Generation};
use opaline_tests::{Bench, Role, Schedule, play};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// All that a recovery did, in order.
fn trace(schedule: Schedule, sixth: Role) -> (Vec<Access>, u64) {
    let bench = Bench::new(Configuration::new(Generation::Power9, 1, 2, 4));
    let system = bench.booted_system();
    for core in 0..2 {
        let error = CoreError::TbResidue;
        bench.machine.inject(&Fault::Core { core, error });
    }
    let run = bench.run(&system, schedule).role(2, Role::Late(40));
    let run = run.role(5, Role::Idle).role(6, sixth);
    let ran = run.go();
    assert_eq!(ran.outcomes[6].is_empty(), sixth != Role::Os);
    assert_eq!(ran.outcomes[4].len(), 1);
    assert!((2..=4).contains(&ran.events.len()), "{:?}", ran.events);
    (bench.machine.trace(), bench.machine.accesses())
}

#[test]
fn the_same_seed_is_the_same_interleaving() {
    let mut different = 0;
    let first = trace(Schedule::Seeded(0), Role::Os);
    for seed in 0..20 {
        let coroutines = trace(Schedule::Seeded(seed), Role::Os);
        let threads = trace(Schedule::SeededOsThreads(seed), Role::Os);
        assert_eq!(coroutines, threads, "{seed}");
        assert_eq!(
            coroutines,
            trace(Schedule::Seeded(seed), Role::Os),
            "{seed}"
        );
        different += usize::from(coroutines != first);
    }
    assert!(different > 15, "seeds that change something: {different}");
}

/// A thread that dies is waited for in vain, on both carriers alike.
#[cfg(coroutines)]
#[test]
fn a_thread_may_die() {
    let dies = Role::Dies(20);
    let coroutines = trace(Schedule::Seeded(5), dies);
    assert_eq!(coroutines, trace(Schedule::SeededOsThreads(5), dies));
}

/// A panic of one thread ends the run with its message, and the next run is not harmed.
#[test]
fn a_panic_comes_out() {
    for schedule in [Schedule::Seeded(3), Schedule::SeededOsThreads(3)] {
        let ended = Mutex::new(Vec::new());
        let played = catch_unwind(AssertUnwindSafe(|| {
            play(schedule, &[1, 4, 9], |thread, turn| {
                struct Ends<'a>(usize, &'a Mutex<Vec<usize>>);
                impl Drop for Ends<'_> {
                    fn drop(&mut self) {
                        self.1.lock().unwrap().push(self.0);
                    }
                }
                let _ends = Ends(thread, &ended);
                (0..50).for_each(|_| turn.unwrap().rest());
                assert_ne!(thread, 4, "this one breaks");
            })
        }));
        let message = played.expect_err("a panic");
        let message = message.downcast_ref::<String>().expect("with a text");
        assert!(message.contains("this one breaks"), "{message}");
        let mut ended = ended.into_inner().unwrap();
        ended.sort_unstable();
        assert_eq!(ended, [1, 4, 9], "what they held was given back");
        let played = play(schedule, &[0, 1], |thread, _| thread * 2);
        assert_eq!(played, [Some(0), Some(2)]);
    }
}
