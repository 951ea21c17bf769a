//! What happened to the TODs so far.

use core::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $count:ident, $name:ident;)*) => {
        /// Counts since the firmware started.
        #[derive(Debug, Default)]
        pub struct TodCounters { $($name: AtomicU64,)* }

        impl TodCounters {
            /// All zero.
            #[must_use]
            pub const fn new() -> Self {
                Self { $($name: AtomicU64::new(0),)* }
            }

            $($(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> u64 {
                self.$name.load(Ordering::Relaxed)
            }

            pub(super) fn $count(&self) {
                self.$name.fetch_add(1, Ordering::Relaxed);
            })*
        }
    };
}

counters! {
    /// TODs restarted with the time of another chip.
    count_followed, followed;
    /// Switches to the backup master.
    count_switch, switches;
    /// TODs rebuilt from an estimate, since none ran.
    count_rebuild, rebuilds;
    /// Restarts that failed.
    count_failed_restart, failed_restarts;
    /// Step checks, cleared after the reload.
    count_step_check, step_checks;
    /// ERROR bits that were masked because they came again and again.
    count_masked, masked;
    /// Reports to the diagnostics daemon.
    count_told, told;
    /// Chips that could not be stopped, or helpers that could not be told to stop helping.
    count_stubborn, stubborn_chips;
    /// Times that a TOD's value was refused although nothing reported it: the other chips, or TBs
    /// that run, contradict it.
    count_refused, refused;
}
