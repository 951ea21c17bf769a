//! The interrupt controller, and what leads to it.

use super::Firmware;
use crate::interrupts::{Interrupts, served};
use crate::platform::Platform;
use crate::platform::device_tree::node::Node;
use power_registers::xive::{psi, thread, window};
use tree_writer::TreeWriter;
use xive_controller::{Interrupt, PRIORITIES, QUEUE_SIZES};

/// Numbers of nodes that others refer to: far from those of the loader, and below those of features.
const SOURCES_HANDLE: u32 = 0x0e00_0000;
const LPC_HANDLE: u32 = SOURCES_HANDLE + 1;
/// Those of the PSI bridges, chip by chip.
const FIRST_PSI_HANDLE: u32 = SOURCES_HANDLE + 16;
/// The second cell of an interrupt that is a level.
const LEVEL: u32 = 1;
/// The serial interrupt of the console's UART.
const UART: u32 = 4;
/// How people see the interrupt of the console.
const UART_NAME: &str = "lpc-uart";

/// From POWER9 on an OS wants a controller to be there. Where none is served it gets a name, behind
/// which is nothing: IPIs are doorbells, and the OS polls for events.
pub(super) fn controllers(tree: &mut TreeWriter<'_>, firmware: &Firmware<'_>) {
    if firmware.interrupts.is_none() {
        tree.node("interrupt-controller", |tree| {
            tree.strings("compatible", &["ibm,opal-intc"]);
            controller(tree);
        });
        return;
    }
    tree.node("interrupt-controller", |tree| {
        tree.strings("compatible", &["ibm,opal-xive-vc"]);
        tree.cell("phandle", SOURCES_HANDLE);
        controller(tree);
    });
    // Its name has its address: the windows of threads are the same on every machine.
    tree.node("interrupt-controller@6030203180000", |tree| {
        tree.strings("compatible", &["ibm,opal-xive-pe", "ibm,opal-intc"]);
        let mut views = [0; 2 * thread::VIEWS as usize];
        for (index, view) in views.chunks_exact_mut(2).enumerate() {
            view.copy_from_slice(&[window::THREADS + index as u64 * window::PAGE, window::PAGE]);
        }
        tree.doubles("reg", &views);
        tree.cells("ibm,xive-eq-sizes", &QUEUE_SIZES);
        tree.cell("ibm,xive-#priorities", PRIORITIES.into());
    });
    bridges(tree, firmware.platform);
}

fn controller(tree: &mut TreeWriter<'_>) {
    tree.strings("device_type", &["PowerPC-Interrupt-Source-Controller"]);
    tree.cell("#address-cells", 0);
    tree.cell("#interrupt-cells", 2);
    tree.flag("interrupt-controller");
}

/// The PSI bridges: each leads its 14 levels to the controller.
fn bridges(tree: &mut TreeWriter<'_>, platform: &Platform) {
    let stride = served(platform).map_or(0, |generation| generation.chip_stride());
    for (index, chip) in platform.chips.iter().enumerate() {
        let block = chip.id.0;
        let base = psi::WINDOW + stride * u64::from(block);
        let number = |line: u32| Interrupt::Psi { block, line }.number();
        let mut name = arrayvec::ArrayString::<24>::new();
        // 20 characters at most.
        let _ = core::fmt::write(&mut name, format_args!("psi@{base:x}"));
        tree.node(&name, |tree| {
            tree.strings("compatible", &["ibm,psi", "ibm,power9-psi"]);
            tree.doubles("reg", &[base, 1 << 32]);
            tree.cell("phandle", FIRST_PSI_HANDLE + index as u32);
            tree.cell("ibm,chip-id", block);
            tree.cell("#address-cells", 0);
            tree.cell("#interrupt-cells", 1);
            tree.cell("interrupt-parent", SOURCES_HANDLE);
            tree.cells("interrupts", &[number(0), LEVEL]);
            let mut map = [0; 4 * psi::SOURCES as usize];
            for (line, entry) in (0..psi::SOURCES).zip(map.chunks_exact_mut(4)) {
                entry.copy_from_slice(&[line, SOURCES_HANDLE, number(line), LEVEL]);
            }
            tree.cells("interrupt-map", &map);
        });
    }
}

/// The interrupts that the OS hands to the firmware.
pub(super) fn of_firmware(tree: &mut TreeWriter<'_>, interrupts: &Interrupts<'_>) {
    tree.cell("interrupt-parent", SOURCES_HANDLE);
    tree.cells("interrupts", &[interrupts.uart(), LEVEL]);
    tree.strings("interrupt-names", &[UART_NAME]);
    tree.cells("opal-interrupts", &[interrupts.uart()]);
    tree.strings("opal-interrupts-names", &[UART_NAME]);
}

/// The primary LPC bus leads the interrupt of its UART to the bridge of its chip.
pub(super) fn of_lpc(tree: &mut TreeWriter<'_>, bus: Node<'_>, firmware: &Firmware<'_>) {
    let Some(interrupts) = firmware.interrupts.filter(|_| bus.has("primary")) else {
        return;
    };
    let mut chips = firmware.platform.chips.iter();
    let Some(chip) = chips.position(|chip| chip.id.0 == interrupts.uart_chip()) else {
        return;
    };
    if !bus.has("phandle") {
        tree.cell("phandle", LPC_HANDLE);
    }
    tree.cell("#interrupt-cells", 1);
    tree.cells("interrupt-map-mask", &[0, 0, 0xff]);
    let bridge = FIRST_PSI_HANDLE + chip as u32;
    tree.cells("interrupt-map", &[0, 0, UART, bridge, psi::UART]);
}

/// The interrupt of the UART on that bus.
pub(super) fn of_uart(tree: &mut TreeWriter<'_>, bus: Node<'_>) {
    let handle = bus.cell("phandle", "a node's number").unwrap_or(LPC_HANDLE);
    tree.cell("interrupt-parent", handle);
    tree.cell("interrupts", UART);
}
