//! The LPC bus with console and BMC.

use super::error::TreeError;
use super::node::Node;
use crate::platform::{Generation, LpcBus};

/// Where the console UART is when the tree has no node for it.
pub(super) const DEFAULT_UART_PORT: u16 = 0x3f8;
/// First cell of the `reg` of a device in the I/O space of the LPC bus.
const IO_SPACE: u32 = 1;

/// The primary LPC bus and the port of its console UART.
pub(super) fn lpc(root: Node<'_>, generation: Generation) -> Result<(LpcBus, u16), TreeError> {
    let parent_is = |node: &Node<'_>| {
        if generation == Generation::Power8 {
            node.is_compatible("ibm,xscom")
        } else {
            node.is_compatible("ibm,power9-lpcm-opb") || node.is_compatible("ibm,power10-lpcm-opb")
        }
    };
    let sizes = root.cell_sizes()?;
    for parent in root.children().filter(parent_is) {
        let is_primary = |node: &Node<'_>| node.is_compatible("ibm,lpc") && node.has("primary");
        let Some(bus) = parent.children().find(is_primary) else {
            continue;
        };
        let lpc = if generation == Generation::Power8 {
            let expected = "the SCOM address of the ECCB";
            let first = bus.cells("reg").and_then(|mut cells| cells.next());
            let address = first
                .filter(|address| *address != 0)
                .ok_or(bus.error("reg", expected))?;
            LpcBus::Xscom {
                chip: super::chip_id(parent)?,
                address,
            }
        } else {
            let (base, size) = parent.range(sizes)?;
            // The I/O space ends at 0xd0020000.
            if base == 0 || size < 0xd002_0000 {
                return Err(parent.error("reg", "a window that holds the LPC I/O space"));
            }
            LpcBus::Mapped { base }
        };
        return Ok((lpc, uart_port(bus)?));
    }
    Err(root.error("lpc", "a primary LPC bus"))
}

/// The first serial port of the bus in the order of PCs: 0x3f8 if it is there.
fn uart_port(bus: Node<'_>) -> Result<u16, TreeError> {
    let mut found = None;
    for node in bus.children().filter(|node| node.is_compatible("ns16550")) {
        let expected = "an I/O port (1, port, 8)";
        let mut cells = node.cells("reg").ok_or(node.error("reg", expected))?;
        let (space, port) = (cells.next(), cells.next());
        let port = port.and_then(|port| u16::try_from(port).ok());
        match port.filter(|port| space == Some(IO_SPACE) && *port <= 0xfff8) {
            Some(DEFAULT_UART_PORT) => return Ok(DEFAULT_UART_PORT),
            Some(port) => found = found.or(Some(port)),
            None => return Err(node.error("reg", expected)),
        }
    }
    Ok(found.unwrap_or(DEFAULT_UART_PORT))
}
