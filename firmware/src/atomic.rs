//! The atomics that the threads of a core meet through: core's, or loom's in their place.
//!
//! With `--cfg loom` each access may give any value that its ordering allows, and loom tries them
//! all. The image has core's.

use core::sync::atomic::Ordering;

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::AtomicU64;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicU64;

/// A `const fn`; not so under loom, whose atomics are made at run time.
macro_rules! const_fn {
    ($(#[$meta:meta])* $visibility:vis fn $($rest:tt)*) => {
        $(#[$meta])*
        #[cfg(not(loom))]
        $visibility const fn $($rest)*

        $(#[$meta])*
        #[cfg(loom)]
        $visibility fn $($rest)*
    };
}
pub(crate) use const_fn;

/// An array of `$count` times `$element`, made at compile time except under loom.
macro_rules! each {
    ($element:expr; $count:expr) => {{
        #[cfg(not(loom))]
        let all = [const { $element }; $count];
        #[cfg(loom)]
        let all: [_; $count] = core::array::from_fn(|_| $element);
        all
    }};
}
pub(crate) use each;

/// A word of data: whoever reads it has met whoever wrote it, through another atomic. Loom checks
/// that.
#[derive(Debug)]
pub(crate) struct DataWord {
    value: core::sync::atomic::AtomicU64,
    #[cfg(loom)]
    access: loom::cell::UnsafeCell<()>,
}

impl DataWord {
    const_fn! {
        pub(crate) fn new(value: u64) -> Self {
            Self {
                value: core::sync::atomic::AtomicU64::new(value),
                #[cfg(loom)]
                access: loom::cell::UnsafeCell::new(()),
            }
        }
    }

    pub(crate) fn get(&self) -> u64 {
        #[cfg(loom)]
        self.access.with(|_| ());
        self.value.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, value: u64) {
        #[cfg(loom)]
        self.access.with_mut(|_| ());
        self.value.store(value, Ordering::Relaxed);
    }
}
