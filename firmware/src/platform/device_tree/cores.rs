//! The cores and their threads.

use super::chip_id;
use super::error::TreeError;
use super::node::Node;
use crate::hardware::Pir;
use crate::platform::{
    Chip, Core, Generation, MAX_CORE_THREADS, MAX_CORES, MAX_THREADS, sort_by_key,
};
use arrayvec::ArrayVec;

/// PIR has 15 bits from POWER9 on, 13 before.
const PIR_LIMIT: u32 = 1 << 15;
/// Most threads of a POWER9 or POWER10 core that is not fused.
const SMALL_CORE_THREADS: usize = 4;

const THREAD_NUMBERS: &str = "ibm,ppc-interrupt-server#s";

type Threads = ArrayVec<Pir, MAX_CORE_THREADS>;

/// What the cpu nodes say of the processor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Processor {
    /// Clock of the fastest core in Hz.
    pub(super) core_hz: u64,
    /// Version (PVR) of the first core that tells it.
    pub(super) processor_version: u32,
}

/// The cores, sorted by the PIR of their thread 0.
pub(super) fn cores(
    root: Node<'_>,
    generation: Generation,
    chips: &[Chip],
) -> Result<(ArrayVec<Core, MAX_CORES>, Processor), TreeError> {
    let mut cores = ArrayVec::<Core, MAX_CORES>::new();
    let mut threads = 0;
    let mut processor = Processor::default();
    let cpus = root
        .children()
        .filter(|node| node.name() == "cpus")
        .flat_map(Node::children);
    let okay = |node: &Node<'_>| node.lists("device_type", "cpu") && node.is_okay();
    for (index, node) in cpus.filter(okay).enumerate() {
        if name_generation(node.name()).is_some_and(|named| named != generation) {
            return Err(node.error("", "a core of the same generation as the chips"));
        }
        let chip = chip_id(node)?;
        if !chips.iter().any(|known| known.id == chip) {
            return Err(node.error("ibm,chip-id", "a chip that has an xscom node"));
        }
        // TFMR needs the steps of the fastest core.
        processor.core_hz = processor.core_hz.max(clock(node)?);
        if processor.processor_version == 0 {
            let version = node.cell("cpu-version", "a processor version");
            processor.processor_version = version.unwrap_or_default();
        }
        let numbers = thread_numbers(node)?;
        let taken = |pir| cores.iter().any(|other| other.threads.contains(pir));
        if numbers.iter().any(taken) {
            return Err(node.error(THREAD_NUMBERS, "numbers that no other core has"));
        }
        threads += numbers.len();
        for mut core in small_cores(node, generation, numbers)? {
            core.chip = chip;
            // Until all are there and sorted, halves are known by their node.
            core.pair = core.fused.then_some(index);
            let fits = threads <= MAX_THREADS && cores.try_push(core).is_ok();
            if !fits {
                return Err(root.error("cpus", "at most 64 threads"));
            }
        }
    }
    if cores.is_empty() {
        return Err(root.error("cpus", "at least one core with status okay"));
    }
    sort_by_key(&mut cores, |core| core.threads.first().copied());
    link_halves(&mut cores);
    Ok((cores, processor))
}

/// The cores of one node: one, or the two small cores of a fused one.
fn small_cores(
    node: Node<'_>,
    generation: Generation,
    threads: Threads,
) -> Result<ArrayVec<Core, 2>, TreeError> {
    let chip = chip_id(node)?;
    if generation == Generation::Power8 || threads.len() <= SMALL_CORE_THREADS {
        return Ok([Core::new(chip, threads)].into_iter().collect());
    }
    let half = |odd: u32| -> Threads {
        let own = threads.iter().filter(|pir| pir.0 & 1 == odd);
        own.copied().collect()
    };
    let halves = [half(0), half(1)];
    if halves[0].len() != halves[1].len() {
        return Err(node.error(
            THREAD_NUMBERS,
            "as many even as odd numbers of a fused core",
        ));
    }
    let cores = halves.map(|threads| Core {
        fused: true,
        ..Core::new(chip, threads)
    });
    Ok(cores.into_iter().collect())
}

/// From "of the same node" to the index of the other half.
fn link_halves(cores: &mut [Core]) {
    let nodes: ArrayVec<Option<usize>, MAX_CORES> = cores.iter().map(|core| core.pair).collect();
    for (index, core) in cores.iter_mut().enumerate() {
        let of_same_node = |(other, node): &(usize, &Option<usize>)| {
            *other != index && node.is_some() && **node == nodes[index]
        };
        core.pair = nodes
            .iter()
            .enumerate()
            .find(of_same_node)
            .map(|(other, _)| other);
    }
}

/// The generation that the name of a cpu node tells, as in `PowerPC,POWER9@0`.
fn name_generation(name: &str) -> Option<Generation> {
    match name.split('@').next()?.strip_prefix("PowerPC,POWER")? {
        "8" | "8E" | "8NVL" => Some(Generation::Power8),
        "9" => Some(Generation::Power9),
        "10" | "11" => Some(Generation::Power10),
        _ => None,
    }
}

fn thread_numbers(node: Node<'_>) -> Result<Threads, TreeError> {
    let count = node.error(THREAD_NUMBERS, "1 to 8 thread numbers");
    let mut threads = ArrayVec::new();
    for number in node.cells(THREAD_NUMBERS).ok_or(count)? {
        if number >= PIR_LIMIT || threads.contains(&Pir(number)) {
            return Err(node.error(THREAD_NUMBERS, "different numbers below 0x8000"));
        }
        threads.try_push(Pir(number)).map_err(|_| count)?;
    }
    if threads.is_empty() {
        Err(count)
    } else {
        Ok(threads)
    }
}

/// The clock of a core in Hz; TFMR is computed from it, so a missing or zero one is refused.
fn clock(node: Node<'_>) -> Result<u64, TreeError> {
    let (property, hz) = match node.value("ibm,extended-clock-frequency") {
        Some(bytes) => (
            "ibm,extended-clock-frequency",
            bytes.try_into().map_or(0, u64::from_be_bytes),
        ),
        None => (
            "clock-frequency",
            node.cell("clock-frequency", "a frequency in Hz")?.into(),
        ),
    };
    if hz == 0 {
        Err(node.error(property, "a frequency in Hz above 0"))
    } else {
        Ok(hz)
    }
}
