//! The memory that a firmware keeps from the OS, from the device tree that it hands over.

use anyhow::{Context as _, Result, anyhow, ensure};
use fault_injector::machine::Machine;
use fdt::Fdt;
use std::ops::Range;

const MAGIC: u32 = 0xd00d_feed;
/// Largest tree that is believed.
const LONGEST: usize = 4 << 20;
/// Bytes of one read from the debugger.
const PIECE: usize = 0x400;

/// Reads the device tree at a real address.
pub(super) fn read_tree(machine: &mut Machine, place: u64) -> Result<Vec<u8>> {
    let head = machine.client.read_memory(place, 8)?;
    let word = |at: usize| -> Result<u32> {
        let bytes = head.get(at..at + 4).context("a short read")?;
        Ok(u32::from_be_bytes(bytes.try_into()?))
    };
    ensure!(word(0)? == MAGIC, "no device tree at {place:#x}");
    let total = word(4)? as usize;
    ensure!(total <= LONGEST, "a device tree of {total} bytes");
    let mut tree = Vec::with_capacity(total);
    while tree.len() < total {
        let length = PIECE.min(total - tree.len());
        let piece = machine
            .client
            .read_memory(place + tree.len() as u64, length)?;
        tree.extend(piece);
    }
    Ok(tree)
}

/// Bytes of memory that the tree forbids to the OS: by the header's list, by `/reserved-memory`, or
/// by `reserved-ranges`. What lies outside memory is not counted.
pub(super) fn bytes(tree: &[u8]) -> Result<u64> {
    let tree = Fdt::new(tree).map_err(|error| anyhow!("the device tree: {error}"))?;
    let mut kept: Vec<Range<u64>> = Vec::new();
    for reservation in tree.memory_reservations() {
        let start = reservation.address() as u64;
        kept.push(start..start + reservation.size() as u64);
    }
    if let Some(nodes) = tree.find_node("/reserved-memory") {
        for node in nodes.children() {
            kept.extend(doubles(node.property("reg").map_or(&[], |reg| reg.value)));
        }
    }
    if let Some(ranges) = tree
        .find_node("/")
        .and_then(|root| root.property("reserved-ranges"))
    {
        kept.extend(doubles(ranges.value));
    }
    let mut memory = Vec::new();
    for node in tree.all_nodes() {
        if node.name.starts_with("memory@") {
            memory.extend(doubles(node.property("reg").map_or(&[], |reg| reg.value)));
        }
    }
    ensure!(!memory.is_empty(), "a device tree without memory");
    Ok(overlap(kept, &memory))
}

/// Pairs of address and size, of two cells each.
fn doubles(value: &[u8]) -> impl Iterator<Item = Range<u64>> + '_ {
    let double = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    value.chunks_exact(16).map(move |pair| {
        let start = double(&pair[..8]);
        start..start.saturating_add(double(&pair[8..]))
    })
}

/// Bytes of `memory` that are in one of `ranges`, each once.
fn overlap(mut ranges: Vec<Range<u64>>, memory: &[Range<u64>]) -> u64 {
    ranges.sort_by_key(|range| range.start);
    let (mut sum, mut counted) = (0, 0);
    for range in ranges {
        let start = range.start.max(counted);
        for part in memory {
            let (first, end) = (start.max(part.start), range.end.min(part.end));
            sum += end.saturating_sub(first);
        }
        counted = counted.max(range.end);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;
    use tree_writer::TreeWriter;

    fn pairs(values: &[u64]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_be_bytes())
            .collect()
    }

    #[test]
    fn each_byte_counts_once_and_only_in_memory() {
        let mut buffer = vec![0; 4096];
        let mut tree = TreeWriter::new(&mut buffer, &[(0x1000, 0x1000)]);
        tree.begin_node("");
        tree.cell("#address-cells", 2);
        tree.cell("#size-cells", 2);
        // Half of it again, and something beyond memory.
        tree.property(
            "reserved-ranges",
            &pairs(&[0x1800, 0x1000, 0x1_0000_0000, 0x1000]),
        );
        tree.node("memory@0", |tree| {
            tree.property("reg", &pairs(&[0, 0x8000]));
        });
        tree.node("reserved-memory", |tree| {
            tree.cell("#address-cells", 2);
            tree.cell("#size-cells", 2);
            tree.node("a@7000", |tree| {
                tree.property("reg", &pairs(&[0x7000, 0x2000]));
            });
        });
        tree.end_node();
        let tree = tree.finish(0).unwrap();
        assert_eq!(bytes(tree).unwrap(), 0x1000 + 0x800 + 0x1000);
        assert!(bytes(b"none").is_err());
    }

    #[test]
    fn overlaps() {
        let (whole, start, end) = (0..100, 2..4, 6..20);
        assert_eq!(overlap(vec![5..9, 0..6, 8..8], from_ref(&whole)), 9);
        let ten = [(0, 10)].map(|(start, end)| start..end).to_vec();
        assert_eq!(overlap(ten, &[start, end]), 6);
        assert_eq!(overlap(vec![], from_ref(&whole)), 0);
    }
}
