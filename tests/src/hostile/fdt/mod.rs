//! The device tree: real trees damaged, taken apart and put together wrongly, and bombs.
//!
//! A tree is either refused with a message, or it gives a platform that keeps its promises and with
//! which the firmware can start.

mod bomb;
mod change;
mod sound;
#[path = "../../../../firmware/tests/support/tree.rs"]
#[allow(dead_code, reason = "shared with the tests of the firmware")]
mod tree;

use super::Input;
use opaline_firmware::platform::device_tree::parse;
use std::cell::RefCell;
use std::time::{Duration, Instant};
use tree::Tree;

const BLOBS: [&[u8]; 11] = [
    include_bytes!("../../../../firmware/tests/data/powernv8-1x1x1.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv8-1x1x4.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv8-1x1x8.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv8-2x1x4.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv9-1x1x1.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv9-1x1x4.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv9-1x1x8-big-core.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv9-2x1x4.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv10-1x1x1.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv10-1x1x4.dtb"),
    include_bytes!("../../../../firmware/tests/data/powernv10-2x1x4.dtb"),
];

/// Longest time for one tree; the largest takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    /// The real trees, taken apart.
    static TREES: RefCell<Vec<Tree>> = RefCell::new(BLOBS.iter().map(|blob| Tree::decode(blob)).collect());
}

/// The blob that an input stands for.
#[must_use]
pub fn blob_of(input: &[u8]) -> Vec<u8> {
    let mut input = Input::new(input);
    match input.byte() % 16 {
        0 => input.rest().to_vec(),
        1..=4 => {
            let mut blob = input.pick(&BLOBS).to_vec();
            damage(&mut blob, &mut input);
            blob
        }
        15 => bomb::blob(&mut input),
        kind => {
            let mut tree = TREES.with_borrow(|trees| trees[input.below(trees.len())].clone());
            let changes = 1 + input.below(8);
            for _ in 0..changes {
                change::change(&mut tree, &mut input);
            }
            let mut blob = tree.encode();
            if kind == 5 {
                damage(&mut blob, &mut input);
            }
            blob
        }
    }
}

/// Changes words and bits of a blob, and cuts it off.
fn damage(blob: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..1 + input.below(4) {
        // The header decides most, and is small.
        let limit = if input.one_in(3) {
            40
        } else {
            blob.len().min(1 << 16)
        };
        let at = input.below(limit.max(1));
        match input.below(4) {
            0 => {
                let at = at / 4 * 4;
                let value = input.number() as u32;
                for (place, byte) in blob.iter_mut().skip(at).zip(value.to_be_bytes()) {
                    *place = byte;
                }
            }
            1 => {
                let bit = 1 << input.below(8);
                if let Some(byte) = blob.get_mut(at) {
                    *byte ^= bit;
                }
            }
            2 => {
                let at = at / 4 * 4;
                for (place, byte) in blob.iter_mut().skip(at).zip([0, 0, 0, input.byte() % 10]) {
                    *place = byte;
                }
            }
            _ => {
                if input.one_in(4) {
                    blob.truncate(at);
                }
            }
        }
    }
}

/// Parses the blob of an input and judges what comes out.
///
/// # Panics
/// If a promise is broken.
pub(super) fn run(input: &[u8]) {
    let blob = blob_of(input);
    super::tell(|| format!("{} bytes, {:x?}", blob.len(), parse(&blob)));
    let start = Instant::now();
    match parse(&blob) {
        Ok(platform) => sound::judge(&platform),
        Err(error) => {
            let message = error.to_string();
            assert!(
                message.contains(": expected ") && message.len() < 400,
                "{message}"
            );
        }
    }
    let took = start.elapsed();
    assert!(took < PATIENCE, "{took:?} for {} bytes", blob.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_trees_are_sound() {
        for blob in BLOBS {
            sound::judge(&parse(blob).unwrap());
        }
    }

    #[test]
    fn changed_trees_are_sometimes_accepted_and_sometimes_refused() {
        let mut mutator = super::super::Mutator::new(1, 64);
        let accepted = (0..500)
            .filter(|_| parse(&blob_of(&mutator.next_input())).is_ok())
            .count();
        assert!((25..475).contains(&accepted), "{accepted} of 500");
    }
}
