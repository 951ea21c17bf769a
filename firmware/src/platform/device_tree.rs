//! Reads the flattened device tree that the loader hands over into a [`Platform`].
//!
//! The tree is not trusted: the blob is checked token by token first, and each value that the
//! firmware acts on must be as expected, or the tree is refused as a whole.

mod blob;
mod cores;
mod error;
mod lpc;
pub(crate) mod node;

pub use blob::MAX_BYTES;
pub use error::TreeError;

use super::{
    Chip, Generation, LpcBus, MAX_CHIPS, MAX_MEMORY_RANGES, MAX_NPUS, MemoryRange, Platform,
    TodRole, sort_by_key,
};
use crate::hardware::ChipId;
use arrayvec::ArrayVec;
use fdt::Fdt;
use lpc::DEFAULT_UART_PORT;
use node::Node;

/// The tree in `bytes`, if every token of it is good; what follows it is ignored.
///
/// # Errors
/// [`TreeError`].
pub(crate) fn checked(bytes: &[u8]) -> Result<Fdt<'_>, TreeError> {
    Fdt::new(blob::check(bytes)?).map_err(|_| TreeError::header("magic", "a flattened device tree"))
}

/// Parses a flattened device tree; what follows it in `bytes` is ignored.
///
/// # Errors
/// [`TreeError`] names the first node and property that is not as expected.
pub fn parse(bytes: &[u8]) -> Result<Platform, TreeError> {
    let tree = checked(bytes)?;
    let root = Node::root(&tree)?;
    if !root.is_compatible("ibm,powernv") {
        return Err(root.error("compatible", "ibm,powernv"));
    }
    let (generation, chips) = chips(root)?;
    let (cores, processor) = cores::cores(root, generation, &chips)?;
    let memory = memory(root, &chips)?;
    let (lpc, uart_port) = lpc::lpc(root, generation)?;
    Ok(Platform {
        generation,
        chips,
        cores,
        memory,
        lpc,
        uart_port,
        core_hz: processor.core_hz,
        processor_version: processor.processor_version,
        is_qemu: root.children().any(|node| node.name() == "qemu"),
    })
}

/// What is enough to reach the console of a machine whose tree was refused: the first chip and its
/// LPC bus where QEMU has them. No cores, no memory.
#[must_use]
pub fn console_only(generation: Generation) -> Platform {
    let id = ChipId(0);
    let (xscom_base, xscom_size, lpc) = match generation {
        Generation::Power8 => (
            0x3_fc00_0000_0000,
            1 << 35,
            LpcBus::Xscom {
                chip: id,
                address: 0xb0020,
            },
        ),
        Generation::Power9 | Generation::Power10 => (
            0x6_03fc_0000_0000,
            1 << 34,
            LpcBus::Mapped {
                base: 0x6_0300_0000_0000,
            },
        ),
    };
    let chips = [Chip {
        id,
        xscom_base,
        xscom_size,
        chip_tod: None,
        npus: ArrayVec::new(),
    }]
    .into_iter()
    .collect();
    Platform {
        generation,
        chips,
        cores: ArrayVec::new(),
        memory: ArrayVec::new(),
        lpc,
        uart_port: DEFAULT_UART_PORT,
        core_hz: 1,
        processor_version: 0,
        is_qemu: false,
    }
}

fn xscom_generation(node: Node<'_>) -> Result<Generation, TreeError> {
    let names = [
        ("ibm,power8-xscom", Generation::Power8),
        ("ibm,power9-xscom", Generation::Power9),
        ("ibm,power10-xscom", Generation::Power10),
        ("ibm,power11-xscom", Generation::Power10),
    ];
    let found = names.iter().find(|(name, _)| node.is_compatible(name));
    found
        .map(|(_, generation)| *generation)
        .ok_or(node.error("compatible", "the XSCOM of POWER8 to POWER11"))
}

fn chip_id(node: Node<'_>) -> Result<ChipId, TreeError> {
    node.cell("ibm,chip-id", "a chip number").map(ChipId)
}

fn chips(root: Node<'_>) -> Result<(Generation, ArrayVec<Chip, MAX_CHIPS>), TreeError> {
    let sizes = root.cell_sizes()?;
    let mut chips = ArrayVec::<Chip, MAX_CHIPS>::new();
    let mut generation = None;
    for node in root
        .children()
        .filter(|node| node.is_compatible("ibm,xscom"))
    {
        let own = xscom_generation(node)?;
        if *generation.get_or_insert(own) != own {
            return Err(node.error("compatible", "the generation of the other chips"));
        }
        let id = chip_id(node)?;
        if chips.iter().any(|chip| chip.id == id) {
            return Err(node.error("ibm,chip-id", "a number that no other chip has"));
        }
        let (xscom_base, xscom_size) = node.range(sizes)?;
        if xscom_base == 0 || xscom_base % 8 != 0 || xscom_size < 8 {
            return Err(node.error("reg", "an aligned window"));
        }
        // `range` has seen to it that neither end wraps around.
        let meets = |chip: &Chip| {
            xscom_base < chip.xscom_base + chip.xscom_size
                && chip.xscom_base < xscom_base + xscom_size
        };
        if chips.iter().any(meets) {
            return Err(node.error("reg", "a window that no other chip's overlaps"));
        }
        let chip_tod = chip_tod(node)?;
        if chip_tod.is_some_and(|role| {
            role != TodRole::Slave && chips.iter().any(|chip| chip.chip_tod == Some(role))
        }) {
            return Err(node.error("chiptod", "one primary and at most one secondary"));
        }
        let chip = Chip {
            id,
            xscom_base,
            xscom_size,
            chip_tod,
            npus: npus(node)?,
        };
        chips
            .try_push(chip)
            .map_err(|_| root.error("xscom", "at most 16 chips"))?;
    }
    let generation = generation.ok_or(root.error("xscom", "at least one chip"))?;
    let has_tod = chips.iter().any(|chip| chip.chip_tod.is_some());
    if has_tod
        && !chips
            .iter()
            .any(|chip| chip.chip_tod == Some(TodRole::Primary))
    {
        return Err(root.error("xscom/chiptod", "one that is primary"));
    }
    sort_by_key(&mut chips, |chip| chip.id);
    Ok((generation, chips))
}

/// SCOM bases of the NPUs or PAUs below an xscom node.
fn npus(xscom: Node<'_>) -> Result<ArrayVec<u32, MAX_NPUS>, TreeError> {
    const NAMES: [&str; 3] = ["ibm,power8-npu", "ibm,power9-npu", "ibm,power10-pau"];
    let is_npu =
        |node: &Node<'_>| NAMES.iter().any(|name| node.is_compatible(name)) && node.is_okay();
    let mut bases = ArrayVec::new();
    for node in xscom.children().filter(is_npu) {
        let expected = node.error("reg", "a SCOM address");
        let base = node.cells("reg").and_then(|mut cells| cells.next());
        let base = base.ok_or(expected)?;
        bases
            .try_push(base)
            .map_err(|_| xscom.error("npu", "at most 8 of a chip"))?;
    }
    Ok(bases)
}

fn chip_tod(xscom: Node<'_>) -> Result<Option<TodRole>, TreeError> {
    let is_tod = |node: &Node<'_>| node.is_compatible("ibm,power-chiptod") && node.is_okay();
    let Some(node) = xscom.children().find(is_tod) else {
        return Ok(None);
    };
    match (node.has("primary"), node.has("secondary")) {
        (true, true) => Err(node.error("secondary", "not primary and secondary at once")),
        (true, false) => Ok(Some(TodRole::Primary)),
        (false, true) => Ok(Some(TodRole::Secondary)),
        (false, false) => Ok(Some(TodRole::Slave)),
    }
}

fn memory(
    root: Node<'_>,
    chips: &[Chip],
) -> Result<ArrayVec<MemoryRange, MAX_MEMORY_RANGES>, TreeError> {
    let sizes = root.cell_sizes()?;
    let mut memory = ArrayVec::<MemoryRange, MAX_MEMORY_RANGES>::new();
    let is_memory = |node: &Node<'_>| node.lists("device_type", "memory") && node.is_okay();
    for node in root.children().filter(is_memory) {
        for (start, size) in node.ranges(sizes)?.filter(|(_, size)| *size != 0) {
            let overlaps = |other: &MemoryRange| {
                start < other.start + other.size && other.start < start + size
            };
            if memory.iter().any(overlaps) {
                return Err(node.error("reg", "memory that no other range overlaps"));
            }
            // The OS may pass pointers into memory; into registers it must not.
            let is_window = |chip: &Chip| {
                start < chip.xscom_base + chip.xscom_size && chip.xscom_base < start + size
            };
            if chips.iter().any(is_window) {
                return Err(node.error("reg", "memory outside all XSCOM windows"));
            }
            let range = MemoryRange { start, size };
            memory
                .try_push(range)
                .map_err(|_| root.error("memory", "at most 32 ranges"))?;
        }
    }
    if memory.is_empty() {
        return Err(root.error("memory", "at least one range"));
    }
    sort_by_key(&mut memory, |range| range.start);
    Ok(joined(memory))
}

/// Joins ranges that touch: the OS may hand over a buffer that lies across such a border.
fn joined(
    sorted: ArrayVec<MemoryRange, MAX_MEMORY_RANGES>,
) -> ArrayVec<MemoryRange, MAX_MEMORY_RANGES> {
    let mut memory = ArrayVec::<MemoryRange, MAX_MEMORY_RANGES>::new();
    for range in sorted {
        match memory.last_mut() {
            Some(last) if last.start + last.size == range.start => last.size += range.size,
            _ => memory.push(range),
        }
    }
    memory
}
