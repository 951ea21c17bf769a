//! Parsing of device trees: those that QEMU 10.0 gives to firmware (dumped from guest memory,
//! `tests/data/<machine>-<chips>x<cores>x<threads>.dtb`), and what can be wrong with them.

#[path = "support/tree.rs"]
mod tree;

use opaline_firmware::hardware::{ChipId, Pir};
use opaline_firmware::platform::device_tree::{console_only, parse};
use opaline_firmware::platform::{Chip, Generation, LpcBus, MemoryRange, TodRole};
use proptest::prelude::*;
use tree::Tree;

macro_rules! fixtures {
    ($($name:ident = $file:literal,)*) => {
        $(const $name: &[u8] = include_bytes!(concat!("data/", $file, ".dtb"));)*
        const ALL: &[&[u8]] = &[$($name,)*];
    };
}

fixtures! {
    P8 = "powernv8-1x1x1",
    P8_4 = "powernv8-1x1x4",
    P8_8 = "powernv8-1x1x8",
    P8_2X4 = "powernv8-2x1x4",
    P9 = "powernv9-1x1x1",
    P9_4 = "powernv9-1x1x4",
    P9_BIG = "powernv9-1x1x8-big-core",
    P9_2X4 = "powernv9-2x1x4",
    P10 = "powernv10-1x1x1",
    P10_4 = "powernv10-1x1x4",
    P10_2X4 = "powernv10-2x1x4",
}

/// All PIRs, core by core.
fn pirs(blob: &[u8]) -> Vec<Vec<u32>> {
    let platform = parse(blob).unwrap();
    platform
        .cores
        .iter()
        .map(|core| core.threads.iter().map(|pir| pir.0).collect())
        .collect()
}

#[test]
fn threads_are_those_of_the_machine() {
    assert_eq!(pirs(P8), [vec![8]]);
    assert_eq!(pirs(P8_4), [vec![8, 9, 10, 11]]);
    assert_eq!(pirs(P8_8), [(8..16).collect::<Vec<_>>()]);
    assert_eq!(
        pirs(P8_2X4),
        [vec![8, 9, 10, 11], vec![0x88, 0x89, 0x8a, 0x8b]]
    );
    for (one, four, two_chips) in [(P9, P9_4, P9_2X4), (P10, P10_4, P10_2X4)] {
        assert_eq!(pirs(one), [vec![0]]);
        assert_eq!(pirs(four), [vec![0, 1, 2, 3]]);
        assert_eq!(
            pirs(two_chips),
            [vec![0, 1, 2, 3], vec![0x100, 0x101, 0x102, 0x103]]
        );
    }
}

#[test]
fn a_fused_core_is_two_small_cores() {
    let platform = parse(P9_BIG).unwrap();
    assert_eq!(pirs(P9_BIG), [[0, 2, 4, 6], [1, 3, 5, 7]]);
    let pairs: Vec<_> = platform.cores.iter().map(|core| core.pair).collect();
    assert_eq!(pairs, [Some(1), Some(0)]);
    assert!(platform.cores.iter().all(|core| core.fused));
    assert_eq!(platform.processor_version, 0x004e_0202);
    assert!(platform.is_qemu);
    let normal = parse(P9_4).unwrap();
    assert!(!normal.cores[0].fused);
    assert_eq!(normal.cores[0].pair, None);
    assert_eq!(normal.processor_version, 0x004e_1202);
    // Eight threads of a POWER8 core are one core.
    assert!(!parse(P8_8).unwrap().cores[0].fused);
}

#[test]
fn power8_has_its_bus_in_xscom_space_and_no_chip_tod() {
    let platform = parse(P8_2X4).unwrap();
    assert_eq!(platform.generation, Generation::Power8);
    assert_eq!(
        platform.lpc,
        LpcBus::Xscom {
            chip: ChipId(0),
            address: 0xb0020
        }
    );
    assert_eq!(platform.uart_port, 0x3f8);
    assert_eq!(platform.core_hz, 1_000_000_000);
    let chip = |id, xscom_base| Chip {
        id: ChipId(id),
        xscom_base,
        xscom_size: 0x8_0000_0000,
        chip_tod: None,
        npus: Default::default(),
    };
    assert_eq!(
        platform.chips[..],
        [chip(0, 0x3_fc00_0000_0000), chip(1, 0x3_fc08_0000_0000)]
    );
    assert_eq!(platform.cores[1].chip, ChipId(1));
}

#[test]
fn power9_and_power10_have_a_mapped_bus_and_tod_roles() {
    let second_chips = [
        (P9_2X4, Generation::Power9, 42),
        (P10_2X4, Generation::Power10, 44),
    ];
    for (blob, generation, shift) in second_chips {
        let platform = parse(blob).unwrap();
        assert_eq!(platform.generation, generation);
        assert_eq!(
            platform.lpc,
            LpcBus::Mapped {
                base: 0x6_0300_0000_0000
            }
        );
        let chip = |id, chip_tod| Chip {
            id: ChipId(id),
            xscom_base: 0x6_03fc_0000_0000 + (u64::from(id) << shift),
            xscom_size: 1 << 34,
            chip_tod,
            npus: Default::default(),
        };
        assert_eq!(
            platform.chips[..],
            [
                chip(0, Some(TodRole::Primary)),
                chip(1, Some(TodRole::Secondary))
            ]
        );
        assert_eq!(
            platform.memory[..],
            [MemoryRange {
                start: 0,
                size: platform.memory[0].size
            }]
        );
        assert_eq!(
            platform
                .place(Pir(0x102))
                .map(|place| (place.core, place.thread)),
            Some((1, 2))
        );
    }
    assert_eq!(
        parse(P9).unwrap().memory[..],
        [MemoryRange {
            start: 0,
            size: 1 << 30
        }]
    );
}

/// Their number and places differ from chip to chip, so the tree names them.
#[test]
fn npus_and_paus_are_those_of_the_tree() {
    let bases = |name: &str, units: &[(u32, &str)]| {
        let mut tree = Tree::decode(P10_2X4);
        let xscom = tree
            .children
            .iter_mut()
            .find(|node| node.name == "xscom@603fc00000000")
            .unwrap();
        for (base, status) in units {
            let mut unit = Tree {
                name: format!("{name}@{base:x}"),
                properties: Vec::new(),
                children: Vec::new(),
            };
            unit.set("compatible", format!("ibm,power10-{name}\0"));
            unit.set("status", format!("{status}\0"));
            unit.set_cells("reg", &[*base, 0x2c]);
            xscom.children.push(unit);
        }
        parse(&tree.encode()).map(|platform| platform.chips[0].npus.to_vec())
    };
    let paus = [
        (0x1001_0800, "okay"),
        (0x1101_0800, "disabled"),
        (0x1201_0800, "okay"),
    ];
    assert_eq!(bases("pau", &paus).unwrap(), [0x1001_0800, 0x1201_0800]);
    assert_eq!(bases("other", &paus).unwrap(), []);
    let many: Vec<_> = (0..9).map(|n| (0x1000_0000 + n, "okay")).collect();
    assert!(bases("pau", &many).is_err());
}

#[test]
fn a_refused_tree_leaves_a_way_to_the_console() {
    for blob in ALL {
        let (real, without_tree) = (
            parse(blob).unwrap(),
            console_only(parse(blob).unwrap().generation),
        );
        assert_eq!(without_tree.lpc, real.lpc);
        assert_eq!(without_tree.uart_port, real.uart_port);
        assert_eq!(without_tree.chips[0].xscom_base, real.chips[0].xscom_base);
        assert_eq!(without_tree.chips[0].xscom_size, real.chips[0].xscom_size);
    }
}

/// Parses `blob` after a change and returns the message.
fn refusal(blob: &[u8], change: impl FnOnce(&mut Tree)) -> String {
    let mut tree = Tree::decode(blob);
    change(&mut tree);
    parse(&tree.encode())
        .map(|_| ())
        .expect_err("a bad tree is refused")
        .to_string()
}

/// As [`refusal`], for a change that must be accepted.
fn accepted(blob: &[u8], change: impl FnOnce(&mut Tree)) -> opaline_firmware::platform::Platform {
    let mut tree = Tree::decode(blob);
    change(&mut tree);
    parse(&tree.encode()).unwrap_or_else(|error| panic!("{error}"))
}

const CPU: &[&str] = &["cpus", "PowerPC"];
const SERVERS: &str = "ibm,ppc-interrupt-server#s";

type Change = fn(&mut Tree);

#[test]
fn each_refusal_names_node_property_and_what_was_expected() {
    let cases: &[(Change, &str)] = &[
        (
            |t| t.set("compatible", "qemu,pseries\0"),
            "/: compatible: expected ibm,powernv",
        ),
        (
            |t| t.delete("compatible"),
            "/: compatible: expected ibm,powernv",
        ),
        (
            |t| t.set_cells("#address-cells", &[3]),
            "/: #address-cells: expected 1 or 2 cells",
        ),
        (
            |t| t.set("#address-cells", [0, 2]),
            "/: #address-cells: expected 1 or 2 cells",
        ),
        (
            |t| t.remove("xscom"),
            "/: xscom: expected at least one chip",
        ),
        (
            |t| t.at(&["xscom"]).delete("ibm,chip-id"),
            "/xscom@603fc00000000: ibm,chip-id: expected a chip number",
        ),
        (
            |t| t.at(&["xscom"]).set_cells("reg", &[0, 0, 4]),
            "/xscom@603fc00000000: reg: expected whole pairs of address and size that do not wrap \
             around",
        ),
        (
            |t| t.at(&["xscom"]).set_cells("reg", &[!0, !0, 4, 0]),
            "/xscom@603fc00000000: reg: expected whole pairs of address and size that do not wrap \
             around",
        ),
        (
            |t| t.at(&["xscom"]).set_cells("reg", &[0, 0, 4, 0]),
            "/xscom@603fc00000000: reg: expected an aligned window",
        ),
        (
            |t| {
                t.at(&["xscom"])
                    .set("compatible", "ibm,power7-xscom\0ibm,xscom\0")
            },
            "/xscom@603fc00000000: compatible: expected the XSCOM of POWER8 to POWER11",
        ),
        (
            |t| t.at(&["xscom", "chiptod"]).set("secondary", ""),
            "/xscom@603fc00000000/chiptod@40000: secondary: expected not primary and secondary at \
             once",
        ),
        (
            |t| t.at(&["xscom", "chiptod"]).delete("primary"),
            "/: xscom/chiptod: expected one that is primary",
        ),
        (
            |t| t.remove("cpus"),
            "/: cpus: expected at least one core with status okay",
        ),
        (
            |t| t.at(CPU).set("status", "bad\0"),
            "/: cpus: expected at least one core with status okay",
        ),
        (
            |t| t.at(CPU).name = "PowerPC,POWER8@0".into(),
            "/cpus/PowerPC,POWER8@0: expected a core of the same generation as the chips",
        ),
        (
            |t| t.at(CPU).set_cells("ibm,chip-id", &[5]),
            "/cpus/PowerPC,POWER9@0: ibm,chip-id: expected a chip that has an xscom node",
        ),
        (
            |t| t.at(CPU).delete(SERVERS),
            "/cpus/PowerPC,POWER9@0: ibm,ppc-interrupt-server#s: expected 1 to 8 thread numbers",
        ),
        (
            |t| t.at(CPU).set_cells(SERVERS, &[]),
            "/cpus/PowerPC,POWER9@0: ibm,ppc-interrupt-server#s: expected 1 to 8 thread numbers",
        ),
        (
            |t| t.at(CPU).set_cells(SERVERS, &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
            "/cpus/PowerPC,POWER9@0: ibm,ppc-interrupt-server#s: expected 1 to 8 thread numbers",
        ),
        (
            |t| t.at(CPU).set(SERVERS, [0, 0, 0, 1, 0]),
            "/cpus/PowerPC,POWER9@0: ibm,ppc-interrupt-server#s: expected 1 to 8 thread numbers",
        ),
        (
            |t| t.at(CPU).set_cells(SERVERS, &[0, 1, 1]),
            "/cpus/PowerPC,POWER9@0: ibm,ppc-interrupt-server#s: expected different numbers below \
             0x8000",
        ),
        (
            |t| t.at(CPU).set_cells(SERVERS, &[0, 1, 2, 3, 4, 6]),
            "/cpus/PowerPC,POWER9@0: ibm,ppc-interrupt-server#s: expected as many even as odd \
             numbers of a fused core",
        ),
        (
            |t| t.at(CPU).set_cells(SERVERS, &[0x8000]),
            "/cpus/PowerPC,POWER9@0: ibm,ppc-interrupt-server#s: expected different numbers below \
             0x8000",
        ),
        (
            |t| {
                let twin = t.at(CPU).clone();
                t.at(&["cpus"]).children.push(twin);
            },
            "/cpus/PowerPC,POWER9@0: ibm,ppc-interrupt-server#s: expected numbers that no other \
             core has",
        ),
        (
            |t| {
                let core = t.at(CPU).clone();
                for number in 1..=64 {
                    let mut core = core.clone();
                    core.set_cells(SERVERS, &[number * 4]);
                    t.at(&["cpus"]).children.push(core);
                }
            },
            "/: cpus: expected at most 64 threads",
        ),
        (
            |t| t.at(CPU).delete("clock-frequency"),
            "/cpus/PowerPC,POWER9@0: clock-frequency: expected a frequency in Hz",
        ),
        (
            |t| t.at(CPU).set_cells("clock-frequency", &[0]),
            "/cpus/PowerPC,POWER9@0: clock-frequency: expected a frequency in Hz above 0",
        ),
        (
            |t| t.at(CPU).set_cells("ibm,extended-clock-frequency", &[1]),
            "/cpus/PowerPC,POWER9@0: ibm,extended-clock-frequency: expected a frequency in Hz \
             above 0",
        ),
        (
            |t| t.remove("memory"),
            "/: memory: expected at least one range",
        ),
        (
            |t| {
                t.at(&["memory"])
                    .set_cells("reg", &[0, 0, 1, 0, 0, 0x1000, 0, 1])
            },
            "/memory@0: reg: expected memory that no other range overlaps",
        ),
        (
            |t| t.at(&["memory"]).set_cells("reg", &[0, 0]),
            "/memory@0: reg: expected whole pairs of address and size that do not wrap around",
        ),
        (|t| t.remove("lpcm"), "/: lpc: expected a primary LPC bus"),
        (
            |t| t.at(&["lpcm", "lpc@0"]).delete("primary"),
            "/: lpc: expected a primary LPC bus",
        ),
        (
            |t| t.at(&["lpcm"]).set_cells("reg", &[0x60300, 0, 0, 0x1000]),
            "/lpcm-opb@6030000000000: reg: expected a window that holds the LPC I/O space",
        ),
        (
            |t| {
                t.at(&["lpcm", "lpc@0", "isa-serial"])
                    .set_cells("reg", &[1, 0x1_03f8, 8])
            },
            "/lpcm-opb@6030000000000/lpc@0/isa-serial@i3f8: reg: expected an I/O port (1, port, 8)",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(refusal(P9_4, *change), *expected);
    }
}

#[test]
fn two_chips_must_not_claim_the_same() {
    let second = &["xscom@607"];
    assert_eq!(
        refusal(P9_2X4, |t| t.at(second).set_cells("ibm,chip-id", &[0])),
        // QEMU lists chip 1 first.
        "/xscom@603fc00000000: ibm,chip-id: expected a number that no other chip has"
    );
    assert_eq!(
        refusal(P9_2X4, |t| {
            let first = t.at(&["xscom@603"]).clone();
            let window = first.properties.iter().find(|(name, _)| name == "reg");
            let window = window.unwrap().1.clone();
            t.at(second).set("reg", window);
        }),
        "/xscom@603fc00000000: reg: expected a window that no other chip's overlaps"
    );
    assert_eq!(
        refusal(P9_2X4, |t| {
            let last = 0x6_03fc_0000_0000_u64 + 8;
            let reg: Vec<u8> = [last, 8]
                .iter()
                .flat_map(|word| word.to_be_bytes())
                .collect();
            t.at(&["memory"]).set("reg", reg);
        }),
        "/memory@0: reg: expected memory outside all XSCOM windows"
    );
    assert_eq!(
        refusal(P9_2X4, |t| {
            let tod = t.at(second).at(&["chiptod"]);
            tod.delete("secondary");
            tod.set("primary", "");
        }),
        "/xscom@603fc00000000: chiptod: expected one primary and at most one secondary"
    );
    assert_eq!(
        refusal(P9_2X4, |t| t
            .at(second)
            .set("compatible", "ibm,power10-xscom\0ibm,xscom\0")),
        "/xscom@603fc00000000: compatible: expected the generation of the other chips"
    );
}

#[test]
fn what_varies_between_machines_is_accepted() {
    let fast = 4_100_000_000_u64;
    let platform = accepted(P9_4, |t| {
        t.at(CPU)
            .set("ibm,extended-clock-frequency", fast.to_be_bytes());
        t.at(&["lpcm", "lpc@0", "isa-serial"])
            .set_cells("reg", &[1, 0x2f8, 8]);
    });
    assert_eq!((platform.core_hz, platform.uart_port), (fast, 0x2f8));
    // A disabled core is left out, a tree without status is taken, names may be generic.
    let platform = accepted(P9_2X4, |t| {
        t.at(&["cpus", "PowerPC,POWER9@100"])
            .set("status", "disabled\0");
        t.at(&["cpus", "PowerPC,POWER9@0"]).delete("status");
        t.at(&["cpus", "PowerPC,POWER9@0"]).name = "cpu@0".into();
        t.at(&["xscom@607", "chiptod"]).delete("secondary");
        t.at(&["memory"])
            .set_cells("reg", &[0, 0, 0, 0x4000_0000, 2, 0, 1, 0, 1, 0, 0, 0]);
    });
    assert_eq!(platform.thread_count(), 4);
    assert_eq!(platform.chips[1].chip_tod, Some(TodRole::Slave));
    assert_eq!(
        platform.memory.last(),
        Some(&MemoryRange {
            start: 2 << 32,
            size: 1 << 32
        })
    );
    let platform = accepted(P10_4, |t| {
        t.at(&["xscom"])
            .set("compatible", "ibm,power11-xscom\0ibm,xscom\0");
        t.at(CPU).name = "PowerPC,POWER11@0".into();
    });
    assert_eq!(platform.generation, Generation::Power10);
}

/// Changes one field of the header.
fn with_header(field: usize, value: u32) -> String {
    let mut blob = P9.to_vec();
    blob[4 * field..][..4].copy_from_slice(&value.to_be_bytes());
    parse(&blob)
        .map(|_| ())
        .expect_err("a bad header is refused")
        .to_string()
}

#[test]
fn bad_blobs_are_refused_at_the_first_bad_place() {
    let size = P9.len() as u32;
    assert_eq!(
        parse(&[]).unwrap_err().to_string(),
        "device tree header: length: expected 40 bytes of header"
    );
    assert!(parse(&P9[..P9.len() - 1]).is_err());
    assert_eq!(
        with_header(0, 0xedfe_0dd0),
        "device tree header: magic: expected 0xd00dfeed"
    );
    for total in [0, 39, size + 1, u32::MAX] {
        assert!(with_header(1, total).contains("totalsize"), "{total}");
    }
    for offset in [1, 2, size, u32::MAX] {
        assert!(with_header(2, offset).contains("off_dt_struct"), "{offset}");
    }
    for offset in [size, u32::MAX] {
        assert!(
            with_header(3, offset).contains("off_dt_strings"),
            "{offset}"
        );
    }
    // The list of reserved memory ends at the tree's end at the latest.
    for offset in [0, 4, 44, size, size - 8, u32::MAX] {
        assert!(
            with_header(4, offset).contains("off_mem_rsvmap"),
            "{offset}"
        );
    }
    assert!(with_header(5, 16).contains("version"));
    assert!(with_header(6, 18).contains("version"));
    assert!(with_header(9, u32::MAX).contains("off_dt_struct"));
    assert!(with_header(9, 8).contains("within") || with_header(9, 8).contains("expected a node"));
    assert!(with_header(8, 0).contains("names of 1 to 63"));
}

/// A blob with this structure block and the strings "a", "" and an unterminated "b".
fn raw(structure: &[&[u8]]) -> String {
    let blob = tree::blob(&structure.concat(), b"a\0\0b");
    parse(&blob)
        .map(|_| ())
        .expect_err("it is no machine")
        .to_string()
}

#[test]
fn each_rule_of_the_structure_block_is_enforced() {
    const BEGIN: &[u8] = &[0, 0, 0, 1];
    const END_NODE: &[u8] = &[0, 0, 0, 2];
    const PROPERTY: &[u8] = &[0, 0, 0, 3];
    const NOP: &[u8] = &[0, 0, 0, 4];
    const END: &[u8] = &[0, 0, 0, 9];
    const NO_NAME: &[u8] = &[0; 4];
    const NODE_X: &[u8] = b"x\0\0\0";
    /// Length 0, name "a".
    const A: &[u8] = &[0; 8];
    let name_at = |offset: u8| [[0; 4], [0, 0, 0, offset]].concat();
    let length = |length: u32| [length.to_be_bytes(), [0; 4]].concat();
    // This one is well-formed: it fails later.
    let good = raw(&[
        BEGIN, NO_NAME, PROPERTY, A, BEGIN, NODE_X, END_NODE, END_NODE, END,
    ]);
    assert_eq!(good, "/: compatible: expected ibm,powernv");
    let token = "expected a node, a property or an end (no FDT_NOP)";
    let child = "expected a child with a name of 1 to 63 visible characters";
    let name = "expected properties with names of 1 to 63 visible characters";
    let within = "expected names and values within the structure block";
    let cases: &[(&[&[u8]], &str)] = &[
        (&[], token),
        (&[END], token),
        (&[END_NODE, BEGIN, NO_NAME, END_NODE, END], token),
        (&[BEGIN, NO_NAME, END_NODE, END_NODE, END], token),
        (&[PROPERTY, A, BEGIN, NO_NAME, END_NODE, END], token),
        (&[BEGIN, NO_NAME, END], token),
        (&[BEGIN, NO_NAME, END_NODE], token),
        (&[BEGIN, NO_NAME, NOP, END_NODE, END], token),
        (
            &[BEGIN, NO_NAME, END_NODE, BEGIN, NO_NAME, END_NODE, END],
            "expected one root",
        ),
        (&[BEGIN, NODE_X, END_NODE, END], child),
        (
            &[BEGIN, NO_NAME, BEGIN, NO_NAME, END_NODE, END_NODE, END],
            child,
        ),
        (
            &[BEGIN, NO_NAME, BEGIN, b"x y\0", END_NODE, END_NODE, END],
            child,
        ),
        (
            &[
                BEGIN,
                NO_NAME,
                BEGIN,
                b"x\xc3\xa9\0",
                END_NODE,
                END_NODE,
                END,
            ],
            child,
        ),
        (&[BEGIN, NO_NAME, BEGIN, b"xxxx"], child),
        (
            &[
                BEGIN,
                NO_NAME,
                BEGIN,
                &[b'x'; 64],
                NO_NAME,
                END_NODE,
                END_NODE,
                END,
            ],
            child,
        ),
        (
            &[
                BEGIN, NO_NAME, BEGIN, NODE_X, END_NODE, PROPERTY, A, END_NODE, END,
            ],
            "expected all properties in front of all children",
        ),
        (
            &[BEGIN, NO_NAME, PROPERTY, &name_at(2), END_NODE, END],
            name,
        ),
        (
            &[BEGIN, NO_NAME, PROPERTY, &name_at(3), END_NODE, END],
            name,
        ),
        (
            &[BEGIN, NO_NAME, PROPERTY, &name_at(5), END_NODE, END],
            name,
        ),
        (&[BEGIN, NO_NAME, PROPERTY, &A[..4]], name),
        (
            &[BEGIN, NO_NAME, PROPERTY, &length(9), END_NODE, END],
            within,
        ),
        (
            &[BEGIN, NO_NAME, PROPERTY, &length(u32::MAX), END_NODE, END],
            within,
        ),
        (
            &[BEGIN, NO_NAME, BEGIN, b"x\0"],
            "/x: expected names and values within the structure block",
        ),
    ];
    for (number, (structure, expected)) in cases.iter().enumerate() {
        let expected = match expected.strip_prefix('/') {
            Some(_) => (*expected).to_owned(),
            None => format!("/: {expected}"),
        };
        assert_eq!(raw(structure), expected, "case {number}");
    }
}

#[test]
fn depth_is_bounded() {
    let deep = |levels: usize| {
        let mut node = Tree {
            name: "x".repeat(63),
            properties: Vec::new(),
            children: Vec::new(),
        };
        for _ in 1..levels {
            let name = node.name.clone();
            node = Tree {
                name,
                properties: Vec::new(),
                children: vec![node],
            };
        }
        let mut tree = Tree::decode(P9);
        tree.children.push(node);
        parse(&tree.encode())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(deep(15), Ok(()));
    let message = deep(16).unwrap_err();
    assert!(
        message.ends_with("expected at most 16 levels of nodes"),
        "{message}"
    );
}

/// A change of a tree that keeps the blob well-formed.
fn mutate(tree: &mut Tree, node: usize, property: usize, kind: u8, bytes: &[u8]) {
    let count = tree.count();
    let node = tree.nth(node % count);
    let last = node.properties.len().max(1);
    match (kind, node.properties.get_mut(property % last)) {
        (0, Some((_, value))) => *value = bytes.to_vec(),
        (1, Some((_, value))) => {
            let start = (property % value.len().max(1)).min(value.len());
            for (place, byte) in value[start..].iter_mut().zip(bytes) {
                *place ^= byte;
            }
        }
        (2, Some((_, value))) => value.truncate(value.len() / 2),
        (3, Some(_)) => drop(node.properties.remove(property % last)),
        (4, Some((_, value))) => value.extend_from_slice(bytes),
        (5, _) if !node.children.is_empty() => {
            let child = node.children[property % node.children.len()].clone();
            node.children.push(child);
        }
        (6, _) if !node.children.is_empty() => {
            node.children.remove(property % node.children.len());
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    /// Bytes and words of the blob changed at random: refused or parsed, never a panic.
    #[test]
    fn damaged_blobs_never_panic(
        which in 0..ALL.len(),
        words in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u32>(), 0_u32..16]), 0..6),
        bits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut blob = ALL[which].to_vec();
        for (place, value) in words {
            let at = place.index(blob.len() / 4) * 4;
            blob[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        for (place, bit) in bits {
            let at = place.index(blob.len());
            blob[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            blob.truncate(cut.index(blob.len() + 1));
        }
        if let Err(error) = parse(&blob) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// Well-formed trees with changed contents: what is accepted keeps its promises.
    #[test]
    fn accepted_platforms_keep_their_promises(
        which in 0..ALL.len(),
        changes in prop::collection::vec(
            (any::<usize>(), any::<usize>(), 0_u8..7, prop::collection::vec(any::<u8>(), 0..12)),
            1..8,
        ),
    ) {
        let mut tree = Tree::decode(ALL[which]);
        for (node, property, kind, bytes) in changes {
            mutate(&mut tree, node, property, kind, &bytes);
        }
        let Ok(platform) = parse(&tree.encode()) else { return Ok(()) };
        prop_assert!(platform.core_hz != 0);
        prop_assert!(platform.chips.is_sorted_by(|a, b| a.id < b.id));
        let mut pirs: Vec<_> = platform.cores.iter().flat_map(|core| core.threads.clone()).collect();
        prop_assert!(!pirs.is_empty() && platform.thread_count() == pirs.len());
        pirs.sort();
        prop_assert!(pirs.windows(2).all(|pair| pair[0] != pair[1]));
        prop_assert!(platform.cores.iter().all(|core| platform.chip(core.chip).is_some()));
        prop_assert!(platform.memory.windows(2).all(|pair| pair[0].start + pair[0].size < pair[1].start));
        prop_assert!(platform.memory.iter().all(|range| range.start.checked_add(range.size).is_some()));
    }
}

#[test]
fn the_test_encoder_is_faithful() {
    for blob in ALL {
        let tree = Tree::decode(blob);
        assert_eq!(Tree::decode(&tree.encode()), tree);
        assert_eq!(parse(&tree.encode()), parse(blob));
    }
}
