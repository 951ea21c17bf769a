//! The atomics of the protocol's words: core's, or loom's in their place.
//!
//! With `--cfg loom` each access may give any value that its ordering allows, and loom tries them
//! all. The image has core's.

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
