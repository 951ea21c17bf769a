//! The node `/ibm,opal`: where the calls are, and what they offer.

use super::{Firmware, idle, interrupts};
use crate::platform::Generation;
use crate::platform::device_tree::node::Node;
use opal_abi::message;
use tree_writer::TreeWriter;

/// How often the OS is to ask for events where nothing interrupts it for them: so this is how long a
/// typed character waits at most.
const HEARTBEAT_MILLISECONDS: u32 = 100;
/// The same where an interrupt tells of input. An HMI that ends a thread's sleep wakes nobody to fetch
/// its event: so this is how long that waits at most. And the look at the TOD, once a second, is
/// taken when the OS polls.
const SLOW_HEARTBEAT_MILLISECONDS: u32 = 250;
/// Calls that may complete later. None does; but an OS complains if it can have none at all.
const ASYNCHRONOUS_CALLS: u32 = 8;
/// Bytes that the OS is to write at once: what the UART takes in one go.
const WRITE_BYTES: u32 = lpc_uart::FIFO_BYTES as u32;

pub(super) fn opal(tree: &mut TreeWriter<'_>, loaders: Option<Node<'_>>, firmware: &Firmware<'_>) {
    let power8 = firmware.platform.generation == Generation::Power8;
    tree.node("ibm,opal", |tree| {
        if power8 {
            tree.strings("compatible", &["ibm,opal-v2", "ibm,opal-v3"]);
        } else {
            tree.strings("compatible", &["ibm,opal-v3"]);
        }
        tree.doubles("opal-base-address", &[firmware.base]);
        tree.doubles("opal-entry-address", &[firmware.entry]);
        tree.doubles("opal-runtime-size", &[firmware.size]);
        tree.cell("opal-msg-async-num", ASYNCHRONOUS_CALLS);
        tree.cell("opal-msg-size", message::SIZE as u32);
        let heartbeat = if firmware.interrupts.is_some() {
            SLOW_HEARTBEAT_MILLISECONDS
        } else {
            HEARTBEAT_MILLISECONDS
        };
        tree.cell("ibm,heartbeat-ms", heartbeat);
        if let Some(interrupts) = firmware.interrupts {
            interrupts::of_firmware(tree, interrupts);
        }
        tree.doubles("ibm,opal-memcons", &[firmware.memory_console]);
        tree.cells("ibm,associativity-reference-points", &[4, 4, 2]);
        consoles(tree);
        tree.node("event", |tree| {
            tree.strings("compatible", &["ibm,opal-event"]);
            tree.cell("#address-cells", 0);
            tree.cell("#interrupt-cells", 1);
            tree.flag("interrupt-controller");
        });
        about(tree, firmware);
        power_management(tree, loaders, firmware.platform.generation);
        // Empty: there are none, but an OS complains if it cannot even look.
        tree.node("sensors", |tree| {
            tree.strings("compatible", &["ibm,opal-sensor"]);
            tree.cell("#address-cells", 1);
            tree.cell("#size-cells", 0);
        });
        if firmware.has_clock {
            tree.node("rtc", |tree| tree.strings("compatible", &["ibm,opal-rtc"]));
        }
    });
}

fn consoles(tree: &mut TreeWriter<'_>) {
    tree.node("consoles", |tree| {
        tree.cell("#address-cells", 1);
        tree.cell("#size-cells", 0);
        tree.node("serial@0", |tree| {
            tree.strings("compatible", &["ibm,opal-console-raw"]);
            tree.strings("device_type", &["serial"]);
            tree.cell("reg", 0);
            tree.cell("#write-buffer-size", WRITE_BYTES);
        });
    });
}

fn about(tree: &mut TreeWriter<'_>, firmware: &Firmware<'_>) {
    let (start, bytes) = firmware.symbol_map;
    tree.node("firmware", |tree| {
        tree.strings("compatible", &["ibm,opal-firmware"]);
        tree.strings("version", &[firmware.version]);
        tree.doubles("symbol-map", &[start, bytes]);
        tree.node("exports", |tree| {
            tree.doubles("symbol_map", &[start, bytes]);
        });
    });
}

fn power_management(tree: &mut TreeWriter<'_>, loaders: Option<Node<'_>>, generation: Generation) {
    const LEVELS: &str = "ibm,enabled-stop-levels";
    let loaders = loaders
        .and_then(|node| node.children().find(|child| child.name() == "power-mgt"))
        .and_then(|node| node.cell(LEVELS, "a mask of levels").ok());
    // Without a word of the loader's, the level that every machine with `stop` has.
    let levels = loaders.unwrap_or(1 << 31);
    tree.node("power-mgt", |tree| {
        if generation != Generation::Power8 {
            tree.cell(LEVELS, levels);
        }
        idle::states(tree, generation, levels);
    });
}
