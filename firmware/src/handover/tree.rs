//! The device tree for the OS: the loader's, without what the OS must not use, and with what the
//! firmware offers.
//!
//! The rule: whatever is described works. So there is no PCI host bridge, no flash, no sensor, and
//! no bus whose accesses would have to go through a call that is not there.

mod copy;
mod cpus;
mod features;
mod idle;
mod interrupts;
mod opal;

use crate::hardware::Pir;
use crate::interrupts::Interrupts;
use crate::platform::device_tree::{self, TreeError, node::Node};
use crate::platform::{Generation, Platform};
use core::fmt;
use tree_writer::{TreeWriter, WriteError};

/// Where the terminal of the console calls is.
const CONSOLE_PATH: &str = "/ibm,opal/consoles/serial@0";

/// A part of memory that the firmware keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept<'a> {
    /// Name of its node, with its address: `ibm,firmware-code@30000000`.
    pub name: &'a str,
    /// First real address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// What the tree says of the firmware.
#[derive(Clone, Copy)]
pub struct Firmware<'a> {
    /// The machine.
    pub platform: &'a Platform,
    /// The thread that enters the OS.
    pub boot_thread: Pir,
    /// Whether the OS can use the core of a thread.
    pub usable: &'a dyn Fn(Pir) -> bool,
    /// First real address of the firmware, which comes back in r2 at each call.
    pub base: u64,
    /// Bytes from there that the firmware uses.
    pub size: u64,
    /// Real address of the OPAL entry.
    pub entry: u64,
    /// All memory that the firmware keeps.
    pub kept: &'a [Kept<'a>],
    /// Real address of the memory console.
    pub memory_console: u64,
    /// The function names: real address and bytes.
    pub symbol_map: (u64, u64),
    /// Version, as people see it.
    pub version: &'a str,
    /// The BMC tells the time.
    pub has_clock: bool,
    /// The interrupt controller, if it is served.
    pub interrupts: Option<&'a Interrupts<'static>>,
}

impl fmt::Debug for Firmware<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Firmware")
            .field("version", &self.version)
            .field("boot_thread", &self.boot_thread)
            .finish_non_exhaustive()
    }
}

/// Why there is no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverError {
    /// The loader's tree is not one.
    Source(TreeError),
    /// It could not be written.
    Write(WriteError),
}

impl From<TreeError> for HandoverError {
    fn from(error: TreeError) -> Self {
        Self::Source(error)
    }
}

impl From<WriteError> for HandoverError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl fmt::Display for HandoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
        }
    }
}

/// Writes the OS's tree into `buffer`, from the loader's.
///
/// # Errors
/// [`HandoverError`].
pub fn write<'b>(
    loaders: &[u8],
    buffer: &'b mut [u8],
    firmware: &Firmware<'_>,
) -> Result<&'b [u8], HandoverError> {
    let source = device_tree::checked(loaders)?;
    let root = Node::root(&source)?;
    let mut reservations = [(0, 0); MAX_KEPT];
    let places = reservations.iter_mut().zip(firmware.kept);
    places.for_each(|(place, kept)| *place = (kept.start, kept.size));
    let count = firmware.kept.len().min(MAX_KEPT);
    let mut tree = TreeWriter::new(buffer, &reservations[..count]);
    tree.begin_node("");
    copy::properties(&mut tree, root, &["reserved-names", "reserved-ranges"]);
    if !root.has("system-id") {
        tree.strings("system-id", &["unavailable"]);
    }
    kept_names(&mut tree, firmware.kept);
    for node in root.children() {
        match node.name() {
            // Written below: the loader's is a fragment.
            "ibm,opal" | "reserved-memory" => {}
            "chosen" => chosen(&mut tree, node),
            "cpus" => cpus::cpus(&mut tree, node, firmware)?,
            name if name.starts_with("memory@") => memory(&mut tree, node),
            _ => copy::node(&mut tree, node, firmware),
        }
    }
    if firmware.platform.generation != Generation::Power8 {
        interrupts::controllers(&mut tree, firmware);
    }
    let loaders_opal = root.children().find(|node| node.name() == "ibm,opal");
    opal::opal(&mut tree, loaders_opal, firmware);
    reserved_memory(&mut tree, firmware.kept);
    tree.end_node();
    Ok(tree.finish(firmware.boot_thread.0)?)
}

/// Most parts of memory that the firmware keeps.
pub const MAX_KEPT: usize = 8;

fn chosen(tree: &mut TreeWriter<'_>, node: Node<'_>) {
    tree.node("chosen", |tree| {
        copy::properties(tree, node, &["linux,stdout-path", "stdout-path"]);
        tree.strings("linux,stdout-path", &[CONSOLE_PATH]);
        // How to read "ibm,associativity": its form 1.
        tree.property("ibm,architecture-vec-5", &[0x05, 0, 0, 0, 0, 0x80, 0]);
    });
}

fn memory(tree: &mut TreeWriter<'_>, node: Node<'_>) {
    tree.node(node.name(), |tree| {
        copy::properties(tree, node, &[]);
        if let Ok(chip) = node.cell("ibm,chip-id", "a chip number") {
            tree.cells("ibm,associativity", &[4, 0, 0, 0, chip]);
        }
    });
}

fn kept_names(tree: &mut TreeWriter<'_>, kept: &[Kept<'_>]) {
    let mut names = [""; MAX_KEPT];
    let mut ranges = [0; 2 * MAX_KEPT];
    let count = kept.len().min(MAX_KEPT);
    for (index, kept) in kept.iter().take(MAX_KEPT).enumerate() {
        names[index] = kept.name;
        ranges[2 * index] = kept.start;
        ranges[2 * index + 1] = kept.size;
    }
    tree.strings("reserved-names", &names[..count]);
    tree.doubles("reserved-ranges", &ranges[..2 * count]);
}

fn reserved_memory(tree: &mut TreeWriter<'_>, kept: &[Kept<'_>]) {
    tree.node("reserved-memory", |tree| {
        tree.cell("#address-cells", 2);
        tree.cell("#size-cells", 2);
        tree.flag("ranges");
        for kept in kept {
            tree.node(kept.name, |tree| {
                tree.doubles("reg", &[kept.start, kept.size]);
            });
        }
    });
}
