//! The word alone.

use super::{Arc, Place, check, thread};
use hypervisor_shim::core_word::{Answer, CoreWord, Event, SharedCoreWord};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the threads share.
struct Core {
    word: SharedCoreWord,
    /// TB of each thread, with or without its guest's offset.
    timebases: [Place; 4],
}

impl Core {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            word: SharedCoreWord::new(),
            timebases: std::array::from_fn(|_| Place::new()),
        })
    }

    fn enter(&self, thread: u8, sharing: u8) -> Answer {
        self.word.apply(Event::Enter { thread, sharing }).1
    }

    fn leave(&self, thread: u8) {
        self.word.apply(Event::Leave { thread });
    }

    fn close(&self, thread: u8) -> CoreWord {
        let interrupted = true;
        let event = Event::Close {
            thread,
            interrupted,
        };
        self.word.apply(event).0
    }

    /// Thread 0 was interrupted, the others may be summoned. `None`: nothing is to be attended.
    fn come(&self, thread: u8) -> Option<CoreWord> {
        let interrupted = thread == 0;
        let (word, answer) = self.word.apply(Event::Close {
            thread,
            interrupted,
        });
        (answer != Answer::Past).then_some(word)
    }

    fn back(&self, thread: u8) {
        self.word.apply(Event::Back { thread });
    }

    /// Whether this thread was the last one that closed.
    fn open(&self, thread: u8) -> bool {
        self.word.apply(Event::Open { thread }).1 == Answer::Opened
    }

    /// Waits until the word is so.
    fn wait(&self, until: impl Fn(CoreWord) -> bool) -> CoreWord {
        loop {
            let word = self.word.load();
            if until(word) {
                return word;
            }
            thread::yield_now();
        }
    }

    /// TB of the whole core is written anew.
    fn rewrite(&self) {
        for timebase in &self.timebases {
            timebase.write();
        }
    }

    /// A stay in a guest, if the word allows it.
    fn stay(&self, thread: u8) -> Answer {
        let entry = self.enter(thread, 1 << thread);
        if entry == Answer::Entered {
            let own = &self.timebases[thread as usize];
            own.write();
            own.read();
            own.write();
            self.leave(thread);
        }
        entry
    }
}

fn join<R, const N: usize>(threads: [thread::JoinHandle<R>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// An offset that is taken out before the own bit falls is out for whoever waits for that.
#[test]
fn a_waiter_sees_the_offset_that_a_leaver_took_out() {
    check(None, || {
        let core = Core::new();
        assert_eq!(core.enter(1, 1 << 1), Answer::Entered);
        let guest = {
            let core = core.clone();
            thread::spawn(move || {
                core.timebases[1].write();
                core.leave(1);
            })
        };
        core.close(0);
        core.wait(|word| word.in_guest() == 0);
        core.rewrite();
        guest.join().unwrap();
    });
}

/// The answer of a claim is enough to act on: it needs no further look at the word.
#[test]
fn a_claimant_sees_what_the_others_did_before_they_were_back() {
    check(None, || {
        let core = Core::new();
        core.close(0);
        core.close(1);
        let threads = [0, 1].map(|thread| {
            let core = core.clone();
            thread::spawn(move || {
                core.timebases[thread as usize].write();
                core.back(thread);
                // Won only once all are back.
                if core.word.apply(Event::Claim).1 == Answer::Won {
                    core.rewrite();
                }
            })
        });
        join(threads);
    });
}

/// Who enters a guest finds what those who closed the core before have done.
#[test]
fn an_entry_sees_what_the_closers_did() {
    check(None, || {
        let core = Core::new();
        let guest = {
            let core = core.clone();
            thread::spawn(move || core.stay(1))
        };
        core.close(0);
        core.wait(|word| word.in_guest() == 0);
        core.rewrite();
        assert!(core.open(0));
        guest.join().unwrap();
    });
}

/// Closing twice and staying twice: neither the next epoch nor the next guest sees half of it.
#[test]
fn nobody_is_in_a_guest_while_the_timebase_is_rewritten() {
    check(Some(3), || {
        let core = Core::new();
        let guests = [1, 2].map(|thread| {
            let core = core.clone();
            thread::spawn(move || core.stay(thread))
        });
        for epoch in 0..2 {
            let word = core.close(0);
            assert_eq!(word.epoch(), epoch);
            let word = core.wait(|word| word.in_guest() == 0);
            assert!(word.may_rewrite_timebase());
            core.rewrite();
            assert!(core.open(0));
        }
        join(guests);
    });
}

/// One takes an interrupt, the others come if they see it in time; one of them decides, and its work is
/// there for all.
fn claims<const THREADS: usize>(preemptions: usize) {
    check(Some(preemptions), || {
        let core = Core::new();
        let won = std::sync::Arc::new([const { AtomicUsize::new(0) }; 4]);
        let threads = core::array::from_fn::<_, THREADS, _>(|number| {
            let (core, won) = (core.clone(), won.clone());
            thread::spawn(move || {
                let number = number as u8;
                let Some(word) = core.come(number) else {
                    return;
                };
                let epoch = word.epoch();
                core.back(number);
                loop {
                    match core.word.apply(Event::Claim).1 {
                        Answer::Won => {
                            won[usize::from(epoch)].fetch_add(1, Ordering::SeqCst);
                            core.rewrite();
                            core.word.apply(Event::Resolve);
                        }
                        Answer::Held => {
                            core.wait(CoreWord::resolved);
                        }
                        Answer::Early => {
                            core.wait(|word| word.closing() & !word.returned() == 0);
                            continue;
                        }
                        _ => {}
                    }
                    break;
                }
                core.timebases[usize::from(number)].read();
                core.open(number);
            })
        });
        join(threads);
        let epochs = usize::from(core.word.load().epoch());
        for (epoch, won) in won.iter().enumerate() {
            let won = won.load(Ordering::SeqCst);
            assert_eq!(won, usize::from(epoch < epochs), "epoch {epoch}");
        }
    });
}

#[test]
fn one_claim_an_epoch() {
    claims::<2>(2);
}

#[test]
fn one_claim_an_epoch_of_three() {
    claims::<3>(1);
}

/// One waits for a guest that never leaves; the other gives up for both. The next epoch is free of it.
#[test]
fn an_abort_reaches_the_waiter() {
    check(None, || {
        let core = Core::new();
        assert_eq!(core.enter(3, 1 << 3), Answer::Entered);
        core.close(0);
        core.close(1);
        let waiter = {
            let core = core.clone();
            thread::spawn(move || {
                let word = core.wait(|word| word.in_guest() == 0 || word.aborted());
                assert!(word.aborted());
                // Why it was given up.
                core.timebases[0].read();
                core.open(1)
            })
        };
        core.timebases[0].write();
        core.word.apply(Event::Abort);
        let opened = [core.open(0), waiter.join().unwrap()];
        assert!(opened[0] != opened[1], "one of them is the last");
        let word = core.word.load();
        let left = (word.aborted(), word.closing(), word.in_guest());
        assert_eq!(left, (false, 0, 8));
    });
}

/// Four threads, the most that loom takes beside the one that starts them.
#[test]
fn four_threads_leave_and_one_rewrites() {
    check(Some(1), || {
        let core = Core::new();
        for thread in 1..4 {
            assert_eq!(core.enter(thread, 1 << thread), Answer::Entered);
        }
        let guests = [1, 2, 3].map(|thread| {
            let core = core.clone();
            thread::spawn(move || {
                core.timebases[thread as usize].write();
                core.leave(thread);
            })
        });
        core.close(0);
        core.wait(|word| word.in_guest() == 0);
        core.rewrite();
        join(guests);
    });
}

/// With one TB for the core the guests follow each other, and each finds the other's offset out.
#[test]
fn a_shared_timebase_is_handed_over() {
    check(None, || {
        let core = Core::new();
        let guests = [0, 1].map(|thread| {
            let core = core.clone();
            thread::spawn(move || {
                let entry = core.enter(thread, 0b11);
                if entry == Answer::Entered {
                    core.timebases[0].write();
                    core.leave(thread);
                }
                entry
            })
        });
        let entries = guests.map(|guest| guest.join().unwrap());
        assert!(entries.contains(&Answer::Entered));
    });
}
