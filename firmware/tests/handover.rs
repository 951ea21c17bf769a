//! The device tree for the OS: what the contract asks for is there, nothing is that does not work,
//! and every difference from the reference firmware's tree is known.

#[path = "support/machine.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod machine;
#[path = "../xive/tests/model/mod.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod model;
#[path = "support/wired.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod wired;

use opaline_firmware::handover::tree::{Firmware, HandoverError, Kept, write};
use opaline_firmware::hardware::Pir;
use opaline_firmware::platform::{Platform, device_tree};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Trees of QEMU, as the firmware gets them.
const LOADERS: &[(&str, &[u8])] = &[
    ("powernv8-1x1x1", include_bytes!("data/powernv8-1x1x1.dtb")),
    ("powernv8-1x1x4", include_bytes!("data/powernv8-1x1x4.dtb")),
    ("powernv8-1x1x8", include_bytes!("data/powernv8-1x1x8.dtb")),
    ("powernv8-2x1x4", include_bytes!("data/powernv8-2x1x4.dtb")),
    ("powernv9-1x1x1", include_bytes!("data/powernv9-1x1x1.dtb")),
    ("powernv9-1x2x4", include_bytes!("data/powernv9-1x2x4.dtb")),
    ("powernv9-2x1x4", include_bytes!("data/powernv9-2x1x4.dtb")),
    (
        "powernv9-big-core",
        include_bytes!("data/powernv9-1x1x8-big-core.dtb"),
    ),
    (
        "powernv10-1x1x1",
        include_bytes!("data/powernv10-1x1x1.dtb"),
    ),
    (
        "powernv10-1x2x4",
        include_bytes!("data/powernv10-1x2x4.dtb"),
    ),
    (
        "powernv10-2x1x4",
        include_bytes!("data/powernv10-2x1x4.dtb"),
    ),
];

/// Machines whose tree from the reference firmware is here: the loader's and the reference's.
const REFERENCES: &[(&str, &[u8], &[u8])] = &[
    (
        "powernv8",
        include_bytes!("data/powernv8-1x1x1-bmc.dtb"),
        include_bytes!("data/skiboot-powernv8-1x1x1.dtb"),
    ),
    (
        "powernv9",
        include_bytes!("data/powernv9-1x2x4.dtb"),
        include_bytes!("data/skiboot-powernv9-1x2x4.dtb"),
    ),
    (
        "powernv10",
        include_bytes!("data/powernv10-1x2x4.dtb"),
        include_bytes!("data/skiboot-powernv10-1x2x4.dtb"),
    ),
];

const KEPT: &[Kept<'_>] = &[
    Kept {
        name: "ibm,firmware-code@30000000",
        start: 0x3000_0000,
        size: 0x100_0000,
    },
    Kept {
        name: "ibm,firmware-data@31000000",
        start: 0x3100_0000,
        size: 0x10_0000,
    },
];

fn firmware<'a>(platform: &'a Platform, usable: &'a dyn Fn(Pir) -> bool) -> Firmware<'a> {
    Firmware {
        platform,
        boot_thread: platform.cores.last().unwrap().threads[0],
        usable,
        base: 0x3000_0000,
        size: 0x110_0000,
        entry: 0x3000_3780,
        kept: KEPT,
        memory_console: 0x3100_0000,
        symbol_map: (0x3005_0000, 0x1_0000),
        version: "opaline-test",
        has_clock: true,
        interrupts: None,
    }
}

/// As a machine gets it: with its interrupt controller, if that is served.
fn written(loaders: &[u8]) -> Vec<u8> {
    written_with(loaders, true)
}

fn written_with(loaders: &[u8], served: bool) -> Vec<u8> {
    let platform: &'static Platform = Box::leak(Box::new(device_tree::parse(loaders).unwrap()));
    let interrupts = wired::bring_up(platform).1.ok().filter(|_| served);
    let interrupts = interrupts.map(|interrupts| &*Box::leak(Box::new(interrupts)));
    let mut memory = vec![0xee; 1 << 20];
    let firmware = Firmware {
        interrupts,
        ..firmware(platform, &|_| true)
    };
    let blob = write(loaders, &mut memory, &firmware);
    blob.unwrap().to_vec()
}

/// Properties of all nodes, by path. A value of any kind, as its bytes.
type Tree = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

fn tree_of(blob: &[u8]) -> Tree {
    fn walk(node: fdt::node::FdtNode<'_, '_>, path: &str, into: &mut Tree) {
        let properties = node.properties();
        let values = properties.map(|property| (property.name.to_owned(), property.value.to_vec()));
        let old = into.insert(path.to_owned(), values.collect());
        assert!(old.is_none(), "{path} is there twice");
        for child in node.children() {
            let below = format!("{}/{}", path.trim_end_matches('/'), child.name);
            walk(child, &below, into);
        }
    }
    let source = fdt::Fdt::new(blob).unwrap();
    let mut tree = Tree::new();
    walk(source.find_node("/").unwrap(), "/", &mut tree);
    tree
}

fn text(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8(value.to_vec()).unwrap();
    text.trim_end_matches('\0')
        .split('\0')
        .map(str::to_owned)
        .collect()
}

fn double(value: &[u8]) -> u64 {
    u64::from_be_bytes(value.try_into().unwrap())
}

#[test]
fn the_contract_is_kept() {
    for (name, loaders) in LOADERS {
        let blob = written(loaders);
        let platform = device_tree::parse(loaders).unwrap();
        let boot = platform.cores.last().unwrap().threads[0].0;
        assert_eq!(
            blob[28..32],
            boot.to_be_bytes(),
            "{name}: the processor that enters the OS"
        );
        let tree = tree_of(&blob);
        let get = |path: &str, property: &str| {
            tree.get(path)
                .and_then(|node| node.get(property))
                .unwrap_or_else(|| panic!("{name}: {path} has no {property}"))
                .as_slice()
        };
        assert!(text(get("/", "compatible")).contains(&"ibm,powernv".to_owned()));
        let opal = "/ibm,opal";
        assert!(text(get(opal, "compatible")).contains(&"ibm,opal-v3".to_owned()));
        assert_eq!(double(get(opal, "opal-base-address")), 0x3000_0000);
        assert_eq!(double(get(opal, "opal-entry-address")), 0x3000_3780);
        assert_eq!(double(get(opal, "opal-runtime-size")), 0x110_0000);
        assert_eq!(double(get(opal, "ibm,opal-memcons")), 0x3100_0000);
        assert_ne!(
            get(opal, "ibm,heartbeat-ms"),
            [0; 4],
            "or nobody polls for events"
        );
        let terminal = &text(get("/chosen", "linux,stdout-path"))[0];
        assert_eq!(text(get(terminal, "compatible")), ["ibm,opal-console-raw"]);
        assert_eq!(text(get(terminal, "device_type")), ["serial"]);
        assert_eq!(text(get("/ibm,opal/firmware", "version")), ["opaline-test"]);
        assert!(tree.contains_key("/ibm,opal/rtc"));
        let names = text(get("/ibm,opal/power-mgt", "ibm,cpu-idle-state-names"));
        let flags = get("/ibm,opal/power-mgt", "ibm,cpu-idle-state-flags");
        assert_eq!(flags.len(), 4 * names.len());
        for flag in flags
            .chunks(4)
            .map(|flag| u32::from_be_bytes(flag.try_into().unwrap()))
        {
            // Losing TB or everything would need calls that bring it back.
            assert_eq!(flag & 0x4002, 0, "{name}: {flag:#x}");
        }
        let controller = |node: &BTreeMap<String, Vec<u8>>| {
            node.get("compatible").is_some_and(|value| {
                let names = text(value);
                names
                    .iter()
                    .any(|name| name == "ibm,opal-intc" || name == "IBM,ppc-xicp")
            })
        };
        assert!(
            tree.values().any(controller),
            "{name}: no interrupt controller has a name"
        );
        for kept in KEPT {
            let node = format!("/reserved-memory/{}", kept.name);
            assert_eq!(double(&get(&node, "reg")[..8]), kept.start);
            assert_eq!(double(&get(&node, "reg")[8..]), kept.size);
        }
        let source = fdt::Fdt::new(&blob).unwrap();
        assert_eq!(source.memory_reservations().count(), KEPT.len());
        let cpus: Vec<_> = tree
            .iter()
            .filter(|(_, node)| node.get("device_type").is_some_and(|kind| kind == b"cpu\0"))
            .collect();
        assert_eq!(
            cpus.len(),
            tree_of(loaders)
                .keys()
                .filter(|path| path.contains("/PowerPC,POWER"))
                .count()
        );
        for (path, _) in cpus {
            for property in [
                "ibm,vmx",
                "timebase-frequency",
                "ibm,dec-bits",
                "ibm,associativity",
            ] {
                let _ = get(path, property);
            }
        }
    }
}

#[test]
fn nothing_is_described_that_does_not_work() {
    for (name, loaders) in LOADERS {
        for (path, node) in tree_of(&written(loaders)) {
            let compatible = node
                .get("compatible")
                .map(|value| text(value))
                .unwrap_or_default();
            for kind in compatible {
                let absent = [
                    "pciex",
                    "opal-i2c",
                    "opal-flash",
                    "opal-prd",
                    "opal-ipmi",
                    "opal-dump",
                ];
                assert!(
                    !absent.iter().any(|part| kind.contains(part)),
                    "{name}: {path} is {kind}"
                );
                if ["ns16550", "ipmi-bt"].contains(&kind.as_str()) {
                    assert_eq!(node.get("status").unwrap(), b"reserved\0", "{name}: {path}");
                }
            }
        }
    }
}

/// Cells of a property.
fn cells(node: &BTreeMap<String, Vec<u8>>, property: &str) -> Vec<u32> {
    let value = node.get(property).map(Vec::as_slice).unwrap_or_default();
    let cells = value.chunks_exact(4);
    cells
        .map(|cell| u32::from_be_bytes(cell.try_into().unwrap()))
        .collect()
}

#[test]
fn interrupts_lead_to_a_controller_or_are_not_there() {
    const MARKS: [&str; 4] = [
        "interrupts",
        "interrupt-map",
        "opal-interrupts",
        "interrupt-parent",
    ];
    for (name, loaders) in LOADERS {
        let served = !name.starts_with("powernv8");
        for with in [false, served] {
            let tree = tree_of(&written_with(loaders, with));
            let marked = |node: &BTreeMap<String, Vec<u8>>| {
                MARKS.iter().any(|mark| node.contains_key(*mark))
            };
            let with_interrupts: Vec<_> = tree.iter().filter(|(_, node)| marked(node)).collect();
            let kinds = |kind: &str| {
                let has = |node: &&BTreeMap<String, Vec<u8>>| {
                    node.get("compatible")
                        .is_some_and(|value| text(value).iter().any(|name| name == kind))
                };
                tree.values().filter(has).count()
            };
            let is = |kind: &str| kinds(kind) != 0;
            if !with {
                assert!(with_interrupts.is_empty(), "{name}: {with_interrupts:?}");
                assert!(!is("ibm,opal-xive-pe") && !is("ibm,opal-xive-vc"), "{name}");
                continue;
            }
            assert!(is("ibm,opal-xive-pe") && is("ibm,opal-xive-vc"), "{name}");
            assert_eq!(
                kinds("ibm,power9-psi"),
                if name.contains("2x1x4") { 2 } else { 1 }
            );
            // Every number of a node that somebody refers to is one node's.
            let handles: Vec<u32> = tree
                .values()
                .flat_map(|node| cells(node, "phandle"))
                .collect();
            let distinct: BTreeSet<_> = handles.iter().collect();
            assert_eq!(distinct.len(), handles.len(), "{name}: {handles:x?}");
            for (path, node) in &with_interrupts {
                for parent in cells(node, "interrupt-parent") {
                    assert!(handles.contains(&parent), "{name}: {path} leads nowhere");
                }
            }
            let node_of = |handle: u32| {
                let mut nodes = tree.values();
                nodes
                    .find(|node| cells(node, "phandle") == [handle])
                    .unwrap()
            };
            // From the UART, step by step, to the interrupt that OPAL is to be called for.
            let mut buses = tree
                .values()
                .filter(|node| node.contains_key("interrupt-map-mask"));
            let (bus, None) = (buses.next().unwrap(), buses.next()) else {
                panic!("{name}: one bus has interrupts");
            };
            let [0, 0, serial, bridge, line] = cells(bus, "interrupt-map")[..] else {
                panic!("{name}: it leads its UART to a bridge");
            };
            // Some machines have the UART without a node.
            if let Some((_, uart)) = tree.iter().find(|(path, _)| path.contains("/isa-serial@")) {
                assert_eq!(cells(uart, "interrupt-parent"), cells(bus, "phandle"));
                assert_eq!(cells(uart, "interrupts"), [serial]);
            }
            let map = cells(node_of(bridge), "interrupt-map");
            let entry = map.chunks_exact(4).find(|entry| entry[0] == line).unwrap();
            let opal = &tree["/ibm,opal"];
            assert_eq!(cells(opal, "interrupt-parent"), [entry[1]]);
            assert_eq!(cells(opal, "interrupts"), entry[2..]);
            assert_eq!(cells(opal, "opal-interrupts"), [entry[2]]);
            assert!(node_of(entry[1]).contains_key("interrupt-controller"));
        }
    }
}

#[test]
fn the_machine_and_what_the_loader_was_told_stay() {
    for (name, loaders) in LOADERS {
        let blob = written(loaders);
        assert_eq!(
            device_tree::parse(&blob),
            device_tree::parse(loaders),
            "{name}"
        );
        let (before, after) = (tree_of(loaders), tree_of(&blob));
        for (property, value) in &before["/chosen"] {
            if !property.ends_with("stdout-path") {
                assert_eq!(
                    after["/chosen"].get(property),
                    Some(value),
                    "{name}: {property}"
                );
            }
        }
    }
}

#[test]
fn a_core_that_was_taken_out_of_service_says_so() {
    let (_, loaders) = LOADERS[5];
    let platform = device_tree::parse(loaders).unwrap();
    let out = platform.cores[1].threads[0];
    let usable = move |pir: Pir| pir != out;
    let mut memory = vec![0; 1 << 20];
    let blob = write(loaders, &mut memory, &firmware(&platform, &usable)).unwrap();
    let status = |pir: u32| {
        let tree = tree_of(blob);
        text(&tree[&format!("/cpus/PowerPC,POWER9@{pir:x}")]["status"]).remove(0)
    };
    assert_eq!(
        (status(0), status(out.0)),
        ("okay".to_owned(), "bad".to_owned())
    );
}

#[test]
fn a_tree_that_does_not_fit_is_refused() {
    let (_, loaders) = LOADERS[5];
    let platform = device_tree::parse(loaders).unwrap();
    let whole = written_with(loaders, false).len();
    for size in [0, 39, 1_000, whole / 2, whole - 8] {
        let mut memory = vec![0; size];
        let refused = write(loaders, &mut memory, &firmware(&platform, &|_| true));
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, HandoverError::Write(_)),
            "{size}: {refused}"
        );
    }
    let mut memory = vec![0; 1 << 20];
    let refused = write(&[0; 100], &mut memory, &firmware(&platform, &|_| true)).unwrap_err();
    assert!(matches!(refused, HandoverError::Source(_)), "{refused}");
}

/// The device tree compiler's own checks, where it is installed.
#[test]
fn the_compiler_finds_nothing_that_the_loader_did_not_bring() {
    for (name, loaders) in LOADERS {
        let (Some(before), Some(after)) = (warnings(loaders), warnings(&written(loaders))) else {
            eprintln!("skipped: there is no dtc");
            return;
        };
        // The contract has the old name of this property.
        let contracts = |line: &str| line.contains("Use 'stdout-path' instead");
        let new: Vec<_> = after
            .iter()
            .filter(|line| !before.contains(line) && !contracts(line))
            .collect();
        assert!(new.is_empty(), "{name}: {new:#?}");
    }
}

fn warnings(blob: &[u8]) -> Option<Vec<String>> {
    let mut compiler = Command::new("dtc")
        .args(["-I", "dtb", "-O", "dtb", "-o", "/dev/null", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    compiler.stdin.take()?.write_all(blob).unwrap();
    let output = compiler.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    let lines = text.lines().map(|line| {
        let line = line.trim_start_matches("<stdin>: ");
        line.to_owned()
    });
    Some(
        lines
            .filter(|line| line.contains("Warning") || line.contains("ERROR"))
            .collect(),
    )
}

/// The table of differences: node, property, kind, reason.
const DIFFERENCES: &str = include_str!("../DEVICE_TREE.md");

#[derive(Debug)]
struct Row {
    node: String,
    property: String,
    kind: String,
}

fn rows() -> Vec<Row> {
    let cells = |line: &str| -> Option<Row> {
        let mut cells = line
            .strip_prefix('|')?
            .split('|')
            .map(|cell| cell.trim().trim_matches('`').to_owned());
        let row = Row {
            node: cells.next()?,
            property: cells.next()?,
            kind: cells.next()?,
        };
        let reason = cells.next()?;
        (row.node.starts_with('/') && reason.len() > 5).then_some(row)
    };
    DIFFERENCES.lines().filter_map(cells).collect()
}

/// `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|cut| tail.is_char_boundary(cut) && matches(rest, &tail[cut..]))
        }),
    }
}

/// Values with node numbers in them, which each firmware chooses for itself.
const NUMBERS_OF_NODES: &[&str] = &["phandle", "linux,phandle", "dependencies"];

#[test]
fn every_difference_from_the_reference_is_listed_with_its_reason() {
    let rows = rows();
    assert!(rows.len() > 20, "the table is not where it should be");
    let mut used = vec![false; rows.len()];
    let mut unknown = Vec::new();
    let mut differ = |machine: &str, node: &str, property: &str, kind: &str| {
        let mut known = false;
        for (index, row) in rows.iter().enumerate() {
            let is =
                row.kind == kind && matches(&row.node, node) && matches(&row.property, property);
            used[index] |= is;
            known |= is;
        }
        if !known {
            unknown.push(format!("{machine}: {node} | {property} | {kind}"));
        }
    };
    for (machine, loaders, reference) in REFERENCES {
        let (own, reference) = (tree_of(&written(loaders)), tree_of(reference));
        for node in own.keys().filter(|node| !reference.contains_key(*node)) {
            differ(machine, node, "", "ours alone");
        }
        for (node, theirs) in &reference {
            let Some(ours) = own.get(node) else {
                differ(machine, node, "", "not ours");
                continue;
            };
            let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            let names = names.into_iter();
            for property in names.filter(|name| !NUMBERS_OF_NODES.contains(&name.as_str())) {
                match (ours.get(property), theirs.get(property)) {
                    (Some(_), None) => differ(machine, node, property, "ours alone"),
                    (None, Some(_)) => differ(machine, node, property, "not ours"),
                    (ours, theirs) if ours != theirs => {
                        differ(machine, node, property, "other value")
                    }
                    _ => {}
                }
            }
        }
    }
    unknown.dedup();
    assert!(
        unknown.is_empty(),
        "not in the table:\n{}",
        unknown.join("\n")
    );
    for (row, used) in rows.iter().zip(used) {
        assert!(used, "no such difference: {row:?}");
    }
}
