//! The processors.

use super::{Firmware, copy, features};
use crate::hardware::Pir;
use crate::platform::Generation;
use crate::platform::device_tree::TreeError;
use crate::platform::device_tree::node::Node;
use tree_writer::TreeWriter;

pub(super) fn cpus(
    tree: &mut TreeWriter<'_>,
    cpus: Node<'_>,
    firmware: &Firmware<'_>,
) -> Result<(), TreeError> {
    tree.begin_node("cpus");
    copy::properties(tree, cpus, &[]);
    for node in cpus.children() {
        if node.lists("device_type", "cpu") {
            cpu(tree, node, firmware)?;
        } else {
            copy::node(tree, node, firmware);
        }
    }
    features::features(tree, firmware.platform);
    tree.end_node();
    Ok(())
}

fn cpu(
    tree: &mut TreeWriter<'_>,
    node: Node<'_>,
    firmware: &Firmware<'_>,
) -> Result<(), TreeError> {
    let generation = firmware.platform.generation;
    let chip = node.cell("ibm,chip-id", "a chip number")?;
    let first = Pir(node.cell("reg", "the PIR of thread 0")?);
    let place = firmware.platform.place(first);
    let core = place.and_then(|place| firmware.platform.cores.get(place.core));
    let number = core.map_or(0, |core| core.scom_number(generation));
    let usable = !node.is_okay() || (firmware.usable)(first);
    tree.begin_node(node.name());
    copy::properties(tree, node, if usable { &[] } else { &["status"] });
    if !usable {
        tree.strings("status", &["bad"]);
    }
    tree.cells("ibm,associativity", &[5, 0, 0, 0, chip, number]);
    tree.cell(
        "ibm,dec-bits",
        match generation {
            Generation::Power8 => 32,
            Generation::Power9 | Generation::Power10 => 56,
        },
    );
    tree.cells("ibm,processor-storage-keys", &[32, 32]);
    tree.end_node();
    Ok(())
}
