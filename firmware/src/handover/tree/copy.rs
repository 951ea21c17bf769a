//! What is taken over from the loader's tree.

use super::{Firmware, interrupts};
use crate::platform::device_tree::node::Node;
use tree_writer::TreeWriter;

/// Buses whose accesses are OPAL calls that are not there.
const CALLED_BUSES: &[&str] = &["ibm,opal-i2c"];

/// Interrupts of devices whose controller is not handed over.
const INTERRUPTS: &[&str] = &["interrupts", "interrupt-parent"];

/// Copies the properties of a node, without some.
pub(super) fn properties(tree: &mut TreeWriter<'_>, node: Node<'_>, without: &[&str]) {
    for (name, value) in node.properties() {
        if !without.contains(&name) {
            tree.property(name, value);
        }
    }
}

/// Copies a node and all below it.
pub(super) fn node(tree: &mut TreeWriter<'_>, node: Node<'_>, firmware: &Firmware<'_>) {
    tree.node(node.name(), |tree| inside(tree, node, firmware));
}

fn inside(tree: &mut TreeWriter<'_>, node: Node<'_>, firmware: &Firmware<'_>) {
    let is_lpc = node.is_compatible("ibm,lpc");
    properties(tree, node, &[]);
    if is_lpc {
        interrupts::of_lpc(tree, node, firmware);
    }
    for child in node.children() {
        if CALLED_BUSES.iter().any(|bus| child.is_compatible(bus)) {
            continue;
        }
        tree.node(child.name(), |tree| {
            if is_lpc {
                device_on_lpc(tree, child, node, firmware);
            } else {
                inside(tree, child, firmware);
            }
        });
    }
}

/// The UART is the firmware's, and so is the way to the BMC: a driver of the OS would take bytes
/// out of the console's mouth.
fn device_on_lpc(
    tree: &mut TreeWriter<'_>,
    device: Node<'_>,
    bus: Node<'_>,
    firmware: &Firmware<'_>,
) {
    let own = ["ns16550", "ipmi-bt"]
        .iter()
        .any(|kind| device.is_compatible(kind));
    for (name, value) in device.properties() {
        if !(INTERRUPTS.contains(&name) || own && name == "status") {
            tree.property(name, value);
        }
    }
    if own {
        tree.strings("status", &["reserved"]);
    }
    let port = device.cells("reg").and_then(|mut cells| cells.nth(1));
    let is_uart =
        device.is_compatible("ns16550") && port == Some(firmware.platform.uart_port.into());
    if is_uart && firmware.interrupts.is_some() {
        interrupts::of_uart(tree, bus);
    }
    let children = device.children();
    children.for_each(|child| node(tree, child, firmware));
}
