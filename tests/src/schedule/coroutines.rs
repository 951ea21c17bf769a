use super::decider::{Decider, Kind};
use super::{Carrier, Played, Turn};
use corosensei::stack::DefaultStack;
use corosensei::{CoroutineResult, ScopedCoroutine, ScopedCoroutineRef, Yielder};
use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;

/// Room for the handler, the model and the report of a panic; only what is touched is committed.
const STACK_BYTES: usize = 1 << 20;

thread_local! {
    /// Stacks of former runs of this OS thread.
    static STACKS: Cell<Vec<DefaultStack>> = const { Cell::new(Vec::new()) };
}

/// Where a coroutine stands among the others.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    decider: &'a RefCell<Decider>,
    yielder: &'a Yielder<(), ()>,
}

impl std::fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.decider.fmt(f)
    }
}

impl Place<'_> {
    pub(super) fn pass(&self, thread: usize, kind: Kind) {
        if self.decider.borrow_mut().pass(kind) {
            self.wait(thread);
        }
    }

    pub(super) fn spins(&self, most: u64) -> u64 {
        self.decider.borrow_mut().spins(most)
    }

    pub(super) fn get_on(&self) {
        self.decider.borrow_mut().get_on();
    }

    pub(super) fn rest(&self, thread: usize) {
        self.decider.borrow_mut().choose();
        self.wait(thread);
    }

    /// Nobody resumes it any more; its stack is unwound when the others have ended.
    pub(super) fn die(&self, thread: usize) -> ! {
        self.decider.borrow_mut().leave(thread);
        loop {
            self.yielder.suspend(());
        }
    }

    fn wait(&self, thread: usize) {
        if self.decider.borrow().current() != Some(thread) {
            self.yielder.suspend(());
        }
    }
}

type Coroutine<'s, R> = ScopedCoroutine<'s, (), (), R, &'s mut DefaultStack>;
type Running<'c, 's, R> = ScopedCoroutineRef<'c, (), (), R, &'s mut DefaultStack>;

/// Plays the threads on this OS thread.
pub(super) fn play<R>(
    decider: Decider,
    threads: &[usize],
    body: &impl Fn(usize, Option<Turn<'_>>) -> R,
) -> Played<R> {
    let mut stacks = STACKS.take();
    while stacks.len() < threads.len() {
        stacks.push(DefaultStack::new(STACK_BYTES).expect("address space for a stack"));
    }
    let decider = RefCell::new(decider);
    let mut answers: Vec<Option<R>> = threads.iter().map(|_| None).collect();
    let coroutines: Vec<Coroutine<'_, R>> = threads
        .iter()
        .zip(&mut stacks)
        .map(|(&thread, stack)| {
            let decider = &decider;
            ScopedCoroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
                let carrier = Carrier::Coroutine(Place { decider, yielder });
                body(thread, Some(Turn { thread, carrier }))
            })
        })
        .collect();
    let ended = start(coroutines.into_iter(), Vec::new(), &mut |running| {
        // A panic ends here, so that the other coroutines are unwound by a thread that does not
        // panic.
        std::panic::catch_unwind(AssertUnwindSafe(|| {
            switch(&decider, threads, running, &mut answers);
        }))
    });
    STACKS.set(stacks);
    ended.map(|()| answers)
}

/// Opens the scopes of all coroutines, one within the other, and then runs `work` in them.
fn start<'s, R>(
    mut coroutines: std::vec::IntoIter<Coroutine<'s, R>>,
    running: Vec<Running<'_, 's, R>>,
    work: &mut dyn FnMut(&mut [Running<'_, 's, R>]) -> std::thread::Result<()>,
) -> std::thread::Result<()> {
    match coroutines.next() {
        Some(coroutine) => coroutine.scope(move |reference| {
            // Those of the outer scopes live longer.
            let mut inner: Vec<Running<'_, 's, R>> = running;
            inner.push(reference);
            start(coroutines, inner, work)
        }),
        None => {
            let mut running = running;
            work(&mut running)
        }
    }
}

/// Lets whoever is chosen run, until all have ended.
fn switch<R>(
    decider: &RefCell<Decider>,
    threads: &[usize],
    running: &mut [Running<'_, '_, R>],
    answers: &mut [Option<R>],
) {
    loop {
        let Some(current) = decider.borrow().current() else {
            return;
        };
        let place = threads.iter().position(|thread| *thread == current);
        let place = place.expect("only these threads are chosen");
        if let CoroutineResult::Return(answer) = running[place].resume(()) {
            answers[place] = Some(answer);
            decider.borrow_mut().leave(current);
        }
    }
}
