//! Bounds for every wait, counted in spins and never in TB: TB may be what is broken.
//!
//! A spin is one [`Hardware::relax`]. How many of them pass in a microsecond is measured once at
//! boot, while TB is good; a budget names its limit in microseconds and is converted with that.

use crate::hardware::Hardware;
use spin::{Mutex, MutexGuard};

/// Spins per microsecond until they are measured: about what POWER9 does (40 million in 1.2 s to
/// 1.7 s). Too high only makes a failing wait longer.
pub const DEFAULT_SPINS_PER_MICROSECOND: u64 = 32;

/// A wait ran out of its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Spins that were spent.
    pub spins: u64,
}

/// What is left for one wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    limit: u64,
    spent: u64,
}

impl Budget {
    /// A budget of so many spins.
    #[must_use]
    pub const fn spins(limit: u64) -> Self {
        Self { limit, spent: 0 }
    }

    /// A budget of so many microseconds, but of `least` spins in any case: a wait for something
    /// that advances with our own reads must not depend on how slow a spin is.
    #[must_use]
    pub const fn microseconds(microseconds: u64, spins_per_microsecond: u64, least: u64) -> Self {
        let spins = microseconds.saturating_mul(spins_per_microsecond);
        Self::spins(if spins < least { least } else { spins })
    }

    /// What is spent on a wait that has been in vain before: less than a hundredth.
    pub(crate) const fn for_one_given_up(self) -> Self {
        Self {
            limit: self.limit >> 7,
            spent: 0,
        }
    }

    /// Waits for one spin, or for more if the machine makes them at once; gives how many.
    ///
    /// # Errors
    /// [`Expired`] when the budget is used up; then it does not wait.
    pub fn spin<H: Hardware>(&mut self, hw: &mut H) -> Result<u64, Expired> {
        if self.spent >= self.limit {
            return Err(Expired { spins: self.spent });
        }
        let left = self.limit - self.spent;
        let spins = hw.relax_up_to(left).clamp(1, left);
        self.spent += spins;
        Ok(spins)
    }

    /// Spends the whole budget: a delay.
    pub fn elapse<H: Hardware>(mut self, hw: &mut H) {
        while self.spin(hw).is_ok() {}
    }

    /// Spins spent so far.
    #[must_use]
    pub const fn spent(&self) -> u64 {
        self.spent
    }
}

/// Takes a lock, or gives up when the budget is used up. The guard releases on every path.
///
/// # Errors
/// [`Expired`] when the holder did not let go in time.
pub fn lock_within<'mutex, H: Hardware, T>(
    hw: &mut H,
    mutex: &'mutex Mutex<T>,
    mut budget: Budget,
) -> Result<MutexGuard<'mutex, T>, Expired> {
    loop {
        if let Some(guard) = mutex.try_lock() {
            return Ok(guard);
        }
        budget.spin(hw)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hardware::Scripted;

    #[test]
    fn a_budget_ends_after_its_spins() {
        let mut hw = Scripted::new();
        let mut budget = Budget::spins(3);
        for _ in 0..3 {
            assert_eq!(budget.spin(&mut hw), Ok(1));
        }
        assert_eq!(budget.spin(&mut hw), Err(Expired { spins: 3 }));
        assert_eq!(hw.spins, 3);
    }

    #[test]
    fn microseconds_have_a_floor_and_do_not_overflow() {
        assert_eq!(Budget::microseconds(10, 2, 5), Budget::spins(20));
        assert_eq!(Budget::microseconds(10, 2, 50), Budget::spins(50));
        assert_eq!(
            Budget::microseconds(u64::MAX, 2, 0),
            Budget::spins(u64::MAX)
        );
    }

    #[test]
    fn a_held_lock_is_not_awaited_for_ever() {
        let mut hw = Scripted::new();
        let mutex = Mutex::new(());
        let held = mutex.lock();
        let refused = lock_within(&mut hw, &mutex, Budget::spins(7)).map(drop);
        assert_eq!(refused, Err(Expired { spins: 7 }));
        drop(held);
        assert!(lock_within(&mut hw, &mutex, Budget::spins(0)).is_ok());
    }
}
