//! Changes of a tree that leave it well-formed and make it wrong.

use super::super::Input;
use super::tree::Tree;

/// Properties on which the firmware acts.
const KNOWN: [&str; 17] = [
    "reg",
    "#address-cells",
    "#size-cells",
    "ibm,chip-id",
    "ibm,ppc-interrupt-server#s",
    "status",
    "compatible",
    "device_type",
    "primary",
    "secondary",
    "clock-frequency",
    "ibm,extended-clock-frequency",
    "phandle",
    "linux,phandle",
    "interrupt-parent",
    "name",
    "ibm,pir",
];
/// Strings that mean something somewhere.
const STRINGS: [&str; 16] = [
    "okay\0",
    "disabled\0",
    "cpu\0",
    "memory\0",
    "ibm,powernv\0",
    "ibm,xscom\0",
    "ibm,power8-xscom\0ibm,xscom\0",
    "ibm,power9-xscom\0ibm,xscom\0",
    "ibm,power10-xscom\0ibm,xscom\0",
    "ibm,power-chiptod\0ibm,power9-chiptod\0",
    "ibm,power9-lpcm-opb\0",
    "ibm,lpc\0",
    "ns16550\0",
    "",
    "\0\0",
    "okay",
];

/// One change.
pub(super) fn change(tree: &mut Tree, input: &mut Input<'_>) {
    let count = tree.count();
    let chosen = input.below(count);
    match input.below(16) {
        0..=3 => set_known(tree.nth(chosen), input),
        4 => {
            let node = tree.nth(chosen);
            let which = input.below(node.properties.len().max(1));
            if let Some((_, value)) = node.properties.get_mut(which) {
                *value = value_of(input);
            }
        }
        5 => {
            let node = tree.nth(chosen);
            let which = input.below(node.properties.len().max(1));
            if let Some((_, value)) = node.properties.get_mut(which) {
                let at = input.below(value.len().max(1));
                match input.below(4) {
                    0 => value.truncate(at),
                    1 => value.extend_from_slice(input.take(3)),
                    2 => value.extend_from_within(..),
                    _ => {
                        if let Some(byte) = value.get_mut(at) {
                            *byte ^= 1 << input.below(8);
                        }
                    }
                }
            }
        }
        6 => {
            let node = tree.nth(chosen);
            if !node.properties.is_empty() {
                let which = input.below(node.properties.len());
                node.properties.remove(which);
            }
        }
        7 | 8 => {
            // A node twice: duplicate cores, chips, memory, buses.
            let node = tree.nth(chosen);
            if !node.children.is_empty() {
                let which = input.below(node.children.len());
                let mut copy = node.children[which].clone();
                if input.one_in(2) {
                    let below = copy.count();
                    set_known(copy.nth(input.below(below)), input);
                }
                let place = input.below(node.children.len() + 1);
                node.children.insert(place, copy);
            }
        }
        9 => {
            let node = tree.nth(chosen);
            if !node.children.is_empty() {
                let which = input.below(node.children.len());
                node.children.remove(which);
            }
        }
        10 => {
            // Handles that lead back to where they come from.
            let handle = input.below(4) as u32;
            tree.nth(chosen).set_cells("phandle", &[handle]);
            let other = input.below(count);
            let name = input.pick(&[
                "interrupt-parent",
                "ibm,opp-master",
                "next-level-cache",
                "l2-cache",
            ]);
            tree.nth(chosen).set_cells(name, &[handle]);
            tree.nth(other).set_cells(name, &[handle]);
            tree.nth(other).set_cells("phandle", &[handle]);
        }
        11 => {
            // A part of the tree where it does not belong.
            let part = tree.nth(chosen).clone();
            let place = input.below(count);
            if part.count() < 60 {
                tree.nth(place).children.push(part);
            }
        }
        12 => {
            let from = tree.nth(chosen).properties.clone();
            let other = tree.nth(input.below(count));
            if let Some((name, value)) = from.get(input.below(from.len().max(1))) {
                other.set(name, value);
            }
        }
        13 => {
            let node = tree.nth(chosen);
            let which = input.below(node.properties.len().max(1));
            if let Some(property) = node.properties.get(which).cloned() {
                // The same name twice.
                node.properties.push((property.0, value_of(input)));
            }
        }
        14 => {
            let node = tree.nth(chosen);
            let other = input.below(node.children.len().max(1));
            if !node.children.is_empty() {
                node.children.rotate_left(other);
            }
        }
        _ => {
            let name = input.pick(&[
                "cpus",
                "cpu@0",
                "memory@0",
                "PowerPC,POWER8@0",
                "PowerPC,POWER9@0",
                "PowerPC,POWER10@0",
                "xscom@0",
                "@",
                "x",
            ]);
            name.clone_into(&mut tree.nth(chosen).name);
        }
    }
    tree.name.clear();
}

fn set_known(node: &mut Tree, input: &mut Input<'_>) {
    // Rather a property that the node has already.
    let own: Vec<&str> = KNOWN
        .into_iter()
        .filter(|name| node.properties.iter().any(|(other, _)| other == name))
        .collect();
    let name = if own.is_empty() || input.one_in(4) {
        input.pick(&KNOWN)
    } else {
        input.pick(&own)
    };
    let value = value_of(input);
    node.set(name, value);
}

fn value_of(input: &mut Input<'_>) -> Vec<u8> {
    match input.below(6) {
        0 => input.pick(&STRINGS).as_bytes().to_vec(),
        1 => {
            let count = input.below(10);
            input.take(count).to_vec()
        }
        2 => (input.below(4) as u32).to_be_bytes().to_vec(),
        3 => (input.number() as u32).to_be_bytes().to_vec(),
        4 => input.number().to_be_bytes().to_vec(),
        _ => {
            let count = 1 + input.below(4);
            (0..count)
                .flat_map(|_| input.number().to_be_bytes())
                .collect()
        }
    }
}
