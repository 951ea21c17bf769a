//! Sets of small numbers.

/// A set of numbers below 64 times `WORDS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Bits<WORDS> {
    pub(crate) const fn new() -> Self {
        Self([0; WORDS])
    }

    pub(crate) fn has(&self, number: u32) -> bool {
        let (word, bit) = place(number);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// A number that does not fit is left out.
    pub(crate) fn set(&mut self, number: u32, on: bool) {
        let (word, bit) = place(number);
        if let Some(word) = self.0.get_mut(word) {
            if on {
                *word |= bit;
            } else {
                *word &= !bit;
            }
        }
    }

    pub(crate) fn any(&self, mut numbers: core::ops::Range<u32>) -> bool {
        numbers.any(|number| self.has(number))
    }
}

const fn place(number: u32) -> (usize, u64) {
    (number as usize / 64, 1 << (number % 64))
}
