//! What is written is what a reader finds; what cannot be a tree is refused.

use proptest::prelude::*;
use tree_writer::{TreeWriter, WriteError};

fn property<'b>(tree: &fdt::Fdt<'b>, path: &str, name: &str) -> &'b [u8] {
    let node = tree.find_node(path).expect(path);
    node.property(name).expect(name).value
}

#[test]
fn a_reader_finds_everything() {
    let mut memory = vec![0xee; 4096];
    let mut tree = TreeWriter::new(&mut memory, &[(0x3000_0000, 0x100), (0x3100_0000, 8)]);
    tree.node("", |tree| {
        tree.cell("#address-cells", 2);
        tree.strings("compatible", &["one", "two"]);
        tree.node("empty", |_| {});
        tree.node("deep@1", |tree| {
            tree.cells("three", &[1, 2, 3]);
            tree.node("deeper", |tree| {
                tree.doubles("wide", &[0x1_0000_0002]);
                tree.flag("flag");
                tree.property("odd", b"abcde");
            });
        });
    });
    let blob = tree.finish(0x104).unwrap();
    assert_eq!(blob.len() % 8, 0);
    assert_eq!(blob[28..32], 0x104_u32.to_be_bytes(), "the boot processor");
    let tree = fdt::Fdt::new(blob).unwrap();
    let reserved: Vec<_> = tree
        .memory_reservations()
        .map(|range| (range.address() as usize, range.size()))
        .collect();
    assert_eq!(reserved, [(0x3000_0000, 0x100), (0x3100_0000, 8)]);
    assert_eq!(property(&tree, "/", "#address-cells"), [0, 0, 0, 2]);
    assert_eq!(property(&tree, "/", "compatible"), b"one\0two\0");
    assert_eq!(property(&tree, "/deep@1", "three").len(), 12);
    let deeper = "/deep@1/deeper";
    assert_eq!(property(&tree, deeper, "wide"), [0, 0, 0, 1, 0, 0, 0, 2]);
    assert_eq!(property(&tree, deeper, "flag"), b"");
    assert_eq!(property(&tree, deeper, "odd"), b"abcde");
    assert!(tree.find_node("/empty").is_some());
}

#[test]
fn a_name_is_stored_once() {
    let mut memory = vec![0; 4096];
    let mut tree = TreeWriter::new(&mut memory, &[]);
    tree.node("", |tree| {
        for _ in 0..20 {
            tree.node("child", |tree| {
                tree.cell("reg", 1);
                tree.cell("region", 2);
            });
        }
    });
    let blob = tree.finish(0).unwrap();
    let text = String::from_utf8_lossy(blob);
    assert_eq!(text.matches("reg\0").count(), 1);
    assert_eq!(text.matches("region\0").count(), 1);
}

#[test]
fn what_is_no_tree_is_refused() {
    let refused = |write: &dyn Fn(&mut TreeWriter<'_>)| {
        let mut memory = [0; 1024];
        let mut tree = TreeWriter::new(&mut memory, &[]);
        write(&mut tree);
        tree.finish(0).unwrap_err()
    };
    let root = |inside: &dyn Fn(&mut TreeWriter<'_>)| refused(&|tree| tree.node("", inside));
    assert_eq!(refused(&|_| {}), WriteError::Order, "no root");
    let two = refused(&|tree| {
        tree.node("", |_| {});
        tree.node("", |_| {});
    });
    assert_eq!(two, WriteError::Order, "two roots");
    assert_eq!(refused(&|tree| tree.flag("x")), WriteError::Order);
    assert_eq!(refused(&|tree| tree.end_node()), WriteError::Order);
    assert_eq!(refused(&|tree| tree.begin_node("")), WriteError::Order);
    let late = root(&|tree| {
        tree.node("child", |_| {});
        tree.flag("late");
    });
    assert_eq!(late, WriteError::Order, "a property behind a child");
    assert_eq!(refused(&|tree| tree.node("x", |_| {})), WriteError::Name);
    assert_eq!(root(&|tree| tree.node("", |_| {})), WriteError::Name);
    assert_eq!(root(&|tree| tree.flag("")), WriteError::Name);
    assert_eq!(root(&|tree| tree.flag("a\0b")), WriteError::Name);
}

fn sample(memory: &mut [u8]) -> Result<&[u8], WriteError> {
    let mut tree = TreeWriter::new(memory, &[(1, 2)]);
    tree.node("", |tree| {
        for (name, value) in [("alpha", 1), ("beta", 2), ("gamma", 3)] {
            tree.cell(name, value);
        }
        tree.node("child", |tree| tree.strings("delta", &["text"]));
    });
    tree.finish(7)
}

proptest! {
    /// Whatever the size of the buffer: a whole tree or an error, and nothing panics.
    #[test]
    fn any_buffer(size in 0_usize..600) {
        let mut memory = vec![0xee; size];
        match sample(&mut memory) {
            Ok(blob) => {
                let tree = fdt::Fdt::new(blob).unwrap();
                prop_assert_eq!(property(&tree, "/child", "delta"), b"text\0");
                prop_assert_eq!(property(&tree, "/", "gamma"), [0, 0, 0, 3]);
            }
            Err(error) => prop_assert_eq!(error, WriteError::Full),
        }
    }
}

#[test]
fn a_large_enough_buffer_is_enough() {
    assert!(sample(&mut [0; 600]).is_ok());
    assert_eq!(sample(&mut []), Err(WriteError::Full));
}
