use super::Turn;

/// How far a thread is in a wait of the firmware or of the hypervisor.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    /// Whether it looked at hardware since its last spin.
    looks: bool,
    /// Spins that were made in advance, each of which will have its look.
    ahead: u64,
    /// Spins that the budget of the wait still had after the last one.
    left: Option<u64>,
}

/// A spin, and what more there is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spins {
    /// Spins that the one who waits counts.
    pub(crate) counted: u64,
    /// Spins whose time passes beyond that of the first.
    pub(crate) more: u64,
}

impl Wait {
    /// The thread reads a register. Gives whether it does so in its own turn: not between spins that
    /// were made in advance, or their time would cost it more turns than the others.
    pub(crate) const fn look(&mut self) -> bool {
        self.looks = true;
        self.ahead == 0
    }

    /// The thread writes a register: what it did in advance is over.
    pub(crate) const fn end(&mut self) {
        self.ahead = 0;
        self.left = None;
    }

    /// Whether this spin was made before. What is looked at between such spins is looked at all the
    /// same.
    pub(crate) fn was_made(&mut self) -> bool {
        let was_made = self.ahead > 0;
        if was_made {
            self.ahead -= 1;
            self.looks = false;
            self.left = self.left.map(|left| left.saturating_sub(1));
        }
        was_made
    }

    /// A spin was made, in a wait of at most `most` spins from here on. Where the thread looked at
    /// nothing but memory since its last one, it need not look again before others run.
    pub(crate) fn spin(&mut self, turn: &Turn<'_>, most: u64) -> Spins {
        let looked = std::mem::take(&mut self.looks);
        if self.left != Some(most) {
            turn.get_on();
        }
        let spins = turn.spins(most);
        let counted = if looked {
            self.ahead = spins - 1;
            1
        } else {
            spins
        };
        self.left = Some(most - counted);
        Spins {
            counted,
            more: spins - 1,
        }
    }
}
