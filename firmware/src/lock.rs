//! Locks whose holder may be dead.
//!
//! A thread that dies with a lock in its hand keeps it for ever. Each of the others finds that out once,
//! by a wait that ends in vain; who comes later, while it is still held by the same, hardly waits. So a
//! dead thread costs its core one full wait for a lock, and not one in every call.

use crate::budget::{Budget, Expired};
use crate::hardware::Hardware;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::{Mutex, MutexGuard};

/// A lock that remembers for whom others waited in vain.
#[derive(Debug)]
pub(crate) struct Lock<T> {
    mutex: Mutex<T>,
    /// How often it was taken: the number of its present holding, or of the last one.
    taken: AtomicU64,
    /// The holding whose end somebody awaited in vain; 0 = none.
    in_vain: AtomicU64,
}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            mutex: Mutex::new(value),
            taken: AtomicU64::new(0),
            in_vain: AtomicU64::new(0),
        }
    }

    /// Takes it if it is free.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let guard = self.mutex.try_lock()?;
        // The counts decide how long somebody waits, nothing else: any order of them is good.
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(guard)
    }

    /// Takes it, or gives up when the budget is used up; also gives the spins that it took.
    ///
    /// # Errors
    /// [`Expired`] when it did not become free in time.
    pub(crate) fn lock_within<H: Hardware>(
        &self,
        hw: &mut H,
        budget: Budget,
    ) -> Result<(MutexGuard<'_, T>, u64), Expired> {
        let holding = self.taken.load(Ordering::Relaxed);
        let given_up = holding != 0 && self.in_vain.load(Ordering::Relaxed) == holding;
        let mut waiting = if given_up {
            budget.for_one_given_up()
        } else {
            budget
        };
        loop {
            if let Some(guard) = self.try_lock() {
                return Ok((guard, waiting.spent()));
            }
            if let Err(expired) = waiting.spin(hw) {
                if self.taken.load(Ordering::Relaxed) == holding {
                    self.in_vain.store(holding, Ordering::Relaxed);
                }
                return Err(expired);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hardware::Scripted;

    const BUDGET: Budget = Budget::spins(12_800);

    fn spins(lock: &Lock<()>) -> u64 {
        let mut hw = Scripted::new();
        match lock.lock_within(&mut hw, BUDGET) {
            Ok((_, spent)) => spent,
            Err(expired) => expired.spins,
        }
    }

    #[test]
    fn a_dead_holder_costs_one_full_wait() {
        let lock = Lock::new(());
        let held = lock.try_lock();
        assert_eq!(spins(&lock), 12_800);
        assert_eq!(spins(&lock), 100);
        assert_eq!(spins(&lock), 100);
        drop(held);
        assert_eq!(spins(&lock), 0);
    }

    #[test]
    fn the_next_holder_is_awaited_anew() {
        let lock = Lock::new(());
        let slow = lock.try_lock();
        assert_eq!(spins(&lock), 12_800);
        drop(slow);
        let next = lock.try_lock();
        assert_eq!(spins(&lock), 12_800);
        drop(next);
    }

    #[test]
    fn a_free_lock_is_taken_at_once() {
        let lock = Lock::new(());
        assert_eq!(spins(&lock), 0);
        assert!(lock.try_lock().is_some(), "and given back");
    }
}
