use hardware_model::Random;

/// What a thread is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    /// A write that no wait of the firmware looks at: of a guest, or of its hypervisor.
    Aside,
    Relax,
}

/// After so many accesses without a write all threads wait for a budget to run out: then they take
/// longer turns, which changes nothing but the time that it takes.
const QUIET: u64 = 2000;
const QUIET_STRIDE: u64 = 200;
/// When the threads have made so many accesses and spins each, and none got on, then all that can
/// end their waits is a budget. Spins are made together from then on.
const STILL_EACH: u64 = 250;
/// A thread then makes this part of what each has waited for. All do, so that no budget runs out
/// early beside another.
const PART: u64 = 64;

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
    /// Accesses and spins since a thread got on.
    still: u64,
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
            still: 0,
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
        self.quiet = match kind {
            Kind::Write | Kind::Aside => 0,
            Kind::Read | Kind::Relax => self.quiet + 1,
        };
        self.still = match kind {
            Kind::Write => 0,
            Kind::Read | Kind::Aside | Kind::Relax => self.still + 1,
        };
        let stride = match kind {
            // Such a spin is long.
            Kind::Relax => 1,
            _ if self.quiet > QUIET => QUIET_STRIDE,
            Kind::Read | Kind::Write | Kind::Aside => self.stride,
        };
        let anew = stride == 1 || self.random.below(stride) == 0;
        if anew {
            self.choose();
        }
        anew
    }

    /// The current thread has made a spin of a wait that lasts `most` spins more at most, that one
    /// included: how many it makes at once.
    pub(super) fn spins(&mut self, most: u64) -> u64 {
        let each = self.still / self.runnable.len().max(1) as u64;
        let together = if each > STILL_EACH { each / PART } else { 1 };
        let spins = together.min(most).max(1);
        self.still += spins - 1;
        spins
    }

    /// The current thread begins something: others may soon find something new.
    pub(super) const fn get_on(&mut self) {
        self.still = 0;
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
