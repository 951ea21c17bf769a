//! What a call is: its arguments, what good ones are, and which bad values are tried besides pointers.

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// The boot thread, when all else is done: a firmware may hold up the calls of other threads
    /// from then on.
    Last,
    /// The boot thread, while it is alone.
    Alone,
    /// Each thread, one after the other.
    Each,
    /// All threads at once, too.
    All,
}

/// A value that is no pointer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Number(u64),
    /// PIR of the calling thread.
    OwnPir,
    /// PIR of the calling thread, with something above its 32 bits.
    OwnPirAndMore,
}

/// How memory that a call may write is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// The number, in so many bytes.
    Bytes(u32),
    /// Whether it was written: the value is another one each time.
    Written,
    /// Whether it is 0.
    IsZero,
}

/// Memory that a pointer leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) bytes: u64,
    /// The first doubleword before the call.
    pub(super) content: u64,
    pub(super) shown: Shown,
}

/// An argument, as it is in a good call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument {
    Value(Value),
    Pointer(Place),
}

/// What else an argument, or the doubleword that it points to, may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) argument: usize,
    pub(super) change: Change,
}

/// How a variant differs from the good call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Value(Value),
    Content(u64),
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    pub(super) token: u64,
    pub(super) name: &'static str,
    pub(super) reach: Reach,
    /// What the call is when nothing is changed.
    pub(super) plain: &'static str,
    pub(super) arguments: &'static [Argument],
    pub(super) variants: &'static [Variant],
}

/// Doublewords that were not written look like this.
pub(super) const UNTOUCHED: u64 = 0xa5a5_a5a5_a5a5_a5a5;
