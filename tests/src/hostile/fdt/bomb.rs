//! Trees that are small on paper and large at work: depth, numbers of nodes and properties, names.

use super::super::Input;
use super::tree::Tree;

/// Most repetitions; with these a tree is about as large as the largest that is taken.
const MOST: usize = 60_000;

/// A tree that is too much of something.
pub(super) fn blob(input: &mut Input<'_>) -> Vec<u8> {
    let mut tree = super::TREES.with_borrow(|trees| trees[input.below(4)].clone());
    let kind = input.below(10);
    // Large ones are slow to make: most stay small.
    let count = match input.below(64) {
        63 => input.below(MOST),
        60..=62 => input.below(4000),
        _ => input.below(200),
    };
    match kind {
        0 => tree = nested(tree, count),
        1 => tree
            .children
            .extend((0..count).map(|n| named(format!("n{n}")))),
        2 => push_nodes(tree.at(&["cpus"]), count, |_, _| ()),
        3 => push_nodes(tree.at(&["cpus"]), count, |cpu, n| {
            cpu.set_cells("ibm,ppc-interrupt-server#s", &[n as u32 + 64]);
        }),
        4 => push_nodes(&mut tree, count, |chip, n| {
            chip.set_cells("ibm,chip-id", &[n as u32 + 2]);
        }),
        5 => {
            let cells: Vec<u32> = (0..count as u32).collect();
            let name = input.pick(&[
                "ibm,ppc-interrupt-server#s",
                "reg",
                "compatible",
                "clock-frequency",
            ]);
            let cpus = tree.at(&["cpus"]);
            if let Some(cpu) = cpus.children.first_mut() {
                cpu.set_cells(name, &cells);
            }
        }
        6 => {
            let value = vec![input.byte(); 4];
            let many = (0..count).map(|n| (format!("p{n}"), value.clone()));
            tree.properties.extend(many);
        }
        7 => tree.name = "x".repeat(count),
        8 => tree.children.push(named("y".repeat(count))),
        _ => tree.properties.push(("z".repeat(count), Vec::new())),
    }
    tree.encode()
}

fn named(name: String) -> Tree {
    Tree {
        name,
        properties: Vec::new(),
        children: Vec::new(),
    }
}

/// The tree with `depth` nodes below one another.
fn nested(mut tree: Tree, depth: usize) -> Tree {
    // The test's own encoder recurses.
    let mut node = named("d".to_owned());
    for _ in 0..depth % 500 {
        let mut outer = named("d".to_owned());
        outer.children.push(node);
        node = outer;
    }
    tree.children.push(node);
    tree
}

/// Copies of the last child, each changed.
fn push_nodes(parent: &mut Tree, count: usize, change: impl Fn(&mut Tree, usize)) {
    let Some(model) = parent.children.last().cloned() else {
        return;
    };
    // Whole chips are large.
    let count = count.min(4 * MOST / model.count().max(1) / (1 + model.properties.len()));
    for n in 0..count {
        let mut child = model.clone();
        change(&mut child, n);
        parent.children.push(child);
    }
}
