//! XSCOM accesses that fail on demand.

/// How an XSCOM access answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XscomAnswer {
    /// DONE with FAIL and this status code, 1 to 7.
    Status(u8),
    /// DONE never comes.
    NeverDone,
    /// The access works, but DONE comes so many ticks later than it should.
    Late(u64),
    /// The access seems to work, but a read gives this value and a write does nothing.
    Lie(u64),
}

/// Loads or stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Direction {
    Read,
    Write,
}

/// XSCOM accesses that are made to fail: those that pass all the filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XscomFault {
    /// Only accesses to this SCOM address; `None` = all.
    pub address: Option<u32>,
    /// Only accesses to this chip.
    pub chip: Option<usize>,
    /// Only reads, or only writes.
    pub direction: Option<Direction>,
    /// Only accesses by this thread.
    pub thread: Option<usize>,
    /// Accesses that still succeed before the first failure.
    pub after: u64,
    /// How many fail from then on; a small number makes an error that passes.
    pub count: u64,
    /// How they answer.
    pub answer: XscomAnswer,
}

impl XscomFault {
    /// All accesses answer like this from now on. The other fields narrow it down.
    #[must_use]
    pub const fn new(answer: XscomAnswer) -> Self {
        Self {
            address: None,
            chip: None,
            direction: None,
            thread: None,
            after: 0,
            count: u64::MAX,
            answer,
        }
    }

    pub(crate) fn concerns(&self, thread: usize, chip: usize, address: u32, write: bool) -> bool {
        self.address.is_none_or(|only| only == address)
            && self.chip.is_none_or(|only| only == chip)
            && self.thread.is_none_or(|only| only == thread)
            && self
                .direction
                .is_none_or(|only| write == (only == Direction::Write))
    }
}
