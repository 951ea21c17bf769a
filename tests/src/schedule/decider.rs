use hardware_model::Random;

/// What a thread is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Relax,
}

/// After so many accesses without a write all threads wait for a budget to run out: then they take
/// longer turns, which changes nothing but the time that it takes.
const QUIET: u64 = 2000;
const QUIET_STRIDE: u64 = 200;
/// Spins that a thread then makes in one: they would find nothing new.
const QUIET_SPINS: u64 = 100;

/// Who runs: nothing but numbers, so that every carrier of the threads decides the same.
#[derive(Debug)]
pub(super) struct Decider {
    current: Option<usize>,
    /// In ascending order.
    runnable: Vec<usize>,
    random: Random,
    /// A change of threads every so many accesses, on average.
    stride: u64,
    /// Accesses since the last one that changed something.
    quiet: u64,
}

impl Decider {
    /// All of `threads` can run, and one of them is chosen.
    pub(super) fn new(seed: u64, threads: &[usize]) -> Self {
        let mut random = Random::new(seed);
        let stride = [1, 2, 3, 8, 40][random.below(5) as usize];
        let mut runnable = threads.to_vec();
        runnable.sort_unstable();
        let mut new = Self {
            current: None,
            runnable,
            random,
            stride,
            quiet: 0,
        };
        new.choose();
        new
    }

    /// Whose turn it is; `None` when all have left.
    pub(super) const fn current(&self) -> Option<usize> {
        self.current
    }

    /// The current thread is about to make an access: true if the choice was made anew.
    pub(super) fn pass(&mut self, kind: Kind) -> bool {
        self.quiet = if kind == Kind::Write {
            0
        } else {
            self.quiet + 1
        };
        let stride = match kind {
            // Such a spin is long.
            Kind::Relax => 1,
            _ if self.quiet > QUIET => QUIET_STRIDE,
            Kind::Read | Kind::Write => self.stride,
        };
        let anew = stride == 1 || self.random.below(stride) == 0;
        if anew {
            self.choose();
        }
        anew
    }

    /// How many spins the current thread, which is about to make one, makes at once.
    pub(super) const fn spins(&self) -> u64 {
        if self.quiet > QUIET { QUIET_SPINS } else { 1 }
    }

    /// Chooses among those who can run.
    pub(super) fn choose(&mut self) {
        let count = self.runnable.len() as u64;
        self.current = (count > 0).then(|| self.runnable[self.random.below(count) as usize]);
    }

    /// A thread has ended. Nothing happens if it had left before.
    pub(super) fn leave(&mut self, thread: usize) {
        let before = self.runnable.len();
        self.runnable.retain(|other| *other != thread);
        if self.runnable.len() != before {
            self.choose();
        }
    }
}
