//! Blocks of virtual processors: powers of 2, aligned to their size.

use crate::numbers::FIRST_VIRTUAL;
use crate::tables::TARGETS;
use arrayvec::ArrayVec;
use core::ops::Range;

/// Most blocks of a chip.
const MOST: usize = 64;

/// The blocks of a chip that are in use, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocks(ArrayVec<(u32, u32), MOST>);

impl Blocks {
    pub(crate) const fn new() -> Self {
        Self(ArrayVec::new_const())
    }

    /// A block of `2^order`, with the lowest number; `None` if there is no room.
    #[inline(never)]
    pub(crate) fn allocate(&mut self, order: u32) -> Option<u32> {
        let size = 1_u32
            .checked_shl(order)
            .filter(|size| *size <= TARGETS / 2)?;
        let mut first = FIRST_VIRTUAL.next_multiple_of(size);
        let mut place = 0;
        for (start, order) in &self.0 {
            if first + size <= *start {
                break;
            }
            place += 1;
            first = first.max((start + (1 << order)).next_multiple_of(size));
        }
        let fits = first + size <= TARGETS && !self.0.is_full();
        fits.then(|| self.0.insert(place, (first, order)))?;
        Some(first)
    }

    /// The block that begins at `first`.
    pub(crate) fn find(&self, first: u32) -> Option<Range<u32>> {
        let block = self.0.iter().find(|(start, _)| *start == first)?;
        Some(first..first + (1 << block.1))
    }

    pub(crate) fn free(&mut self, first: u32) {
        self.0.retain(|(start, _)| *start != first);
    }

    /// The virtual processor belongs to a block.
    pub(crate) fn holds(&self, index: u32) -> bool {
        let mut blocks = self.0.iter();
        blocks.any(|(start, order)| (*start..start + (1 << order)).contains(&index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_apart() {
        let mut blocks = Blocks::new();
        assert_eq!(blocks.allocate(2), Some(256));
        assert_eq!(blocks.allocate(11), Some(2048));
        assert_eq!(blocks.allocate(11), None, "no room for a second one");
        assert_eq!(blocks.allocate(10), Some(1024));
        assert_eq!(blocks.allocate(0), Some(260));
        assert_eq!(blocks.allocate(9), Some(512));
        assert_eq!(blocks.allocate(12), None);
        assert_eq!(blocks.allocate(32), None);
        assert_eq!(blocks.allocate(u32::MAX), None);
        assert!(blocks.holds(259) && blocks.holds(260) && !blocks.holds(261));
        assert_eq!(blocks.find(1024), Some(1024..2048));
        assert_eq!(blocks.find(1025), None);
        blocks.free(512);
        assert_eq!(blocks.allocate(8), Some(512));
        assert_eq!(blocks.allocate(8), Some(768));
    }

    #[test]
    fn the_list_ends() {
        let mut blocks = Blocks::new();
        for _ in 0..MOST {
            assert!(blocks.allocate(0).is_some());
        }
        assert_eq!(blocks.allocate(0), None);
        blocks.free(256);
        assert_eq!(blocks.allocate(0), Some(256));
    }
}
