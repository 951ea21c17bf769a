//! The atomics of the protocol's words: core's, or a checker's in their place.
//!
//! With `--cfg loom` they are loom's, which knows what each memory ordering allows. With the feature
//! `shuttle` each access is a point at which another thread may run. The image has core's.

#[cfg(not(any(loom, feature = "shuttle")))]
pub(crate) use core::sync::atomic::AtomicU64;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicU64;
#[cfg(all(not(loom), feature = "shuttle"))]
pub(crate) use shuttle::sync::atomic::AtomicU64;

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
