//! One node of a checked tree, with its path for messages.

use super::error::{Path, TreeError};
use fdt::{Fdt, node::FdtNode};

/// A node of a tree that [`super::blob::check`] has accepted.
///
/// It decodes values itself: the readers of the `fdt` crate panic on short ones.
#[derive(Clone, Copy)]
pub(crate) struct Node<'t> {
    node: FdtNode<'t, 't>,
    path: Path,
}

/// Cells of an address and of a size in a child's `reg`.
#[derive(Clone, Copy)]
pub(crate) struct CellSizes {
    address: usize,
    size: usize,
}

impl<'t> Node<'t> {
    pub(crate) fn root(tree: &'t Fdt<'t>) -> Result<Self, TreeError> {
        let node = tree
            .find_node("/")
            .ok_or(TreeError::node(Path::root(), "", "a root"))?;
        Ok(Self {
            node,
            path: Path::root(),
        })
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Self> {
        self.node.children().map(move |node| Self {
            node,
            path: self.path.child(node.name),
        })
    }

    /// Names and values of the properties, in order.
    pub(crate) fn properties(self) -> impl Iterator<Item = (&'t str, &'t [u8])> {
        let properties = self.node.properties();
        properties.map(|property| (property.name, property.value))
    }

    pub(crate) fn name(self) -> &'t str {
        self.node.name
    }

    /// The refusal of this node, because of `property`.
    pub(crate) fn error(self, property: &'static str, expected: &'static str) -> TreeError {
        TreeError::node(self.path, property, expected)
    }

    pub(crate) fn value(self, property: &str) -> Option<&'t [u8]> {
        Some(self.node.property(property)?.value)
    }

    pub(crate) fn has(self, property: &str) -> bool {
        self.value(property).is_some()
    }

    /// Whether one of the strings of a property is `wanted`.
    pub(crate) fn lists(self, property: &str, wanted: &str) -> bool {
        let mut strings = self
            .value(property)
            .unwrap_or_default()
            .split(|byte| *byte == 0);
        strings.any(|string| string == wanted.as_bytes())
    }

    pub(crate) fn is_compatible(self, with: &str) -> bool {
        self.lists("compatible", with)
    }

    /// Whether the node says that its device may be used.
    pub(crate) fn is_okay(self) -> bool {
        !self.has("status") || self.lists("status", "okay") || self.lists("status", "ok")
    }

    /// The cells of a property; `None` when it is missing or not made of cells.
    pub(crate) fn cells(self, property: &str) -> Option<impl ExactSizeIterator<Item = u32> + 't> {
        let (cells, []) = self.value(property)?.as_chunks() else {
            return None;
        };
        Some(cells.iter().map(|cell| u32::from_be_bytes(*cell)))
    }

    /// A property of one cell.
    pub(crate) fn cell(
        self,
        property: &'static str,
        expected: &'static str,
    ) -> Result<u32, TreeError> {
        match self.value(property).map(<[u8; 4]>::try_from) {
            Some(Ok(bytes)) => Ok(u32::from_be_bytes(bytes)),
            _ => Err(self.error(property, expected)),
        }
    }

    /// How the children of this node give their addresses.
    pub(crate) fn cell_sizes(self) -> Result<CellSizes, TreeError> {
        let cells = |property, default, least: u32| {
            if !self.has(property) {
                return Ok(default);
            }
            let expected = "1 or 2 cells";
            match self.cell(property, expected)? {
                cells if (least..=2).contains(&cells) => Ok(cells as usize),
                _ => Err(self.error(property, expected)),
            }
        };
        Ok(CellSizes {
            address: cells("#address-cells", 2, 1)?,
            size: cells("#size-cells", 1, 0)?,
        })
    }

    /// Addresses and sizes in `reg`: at least one, none wrapping around.
    pub(crate) fn ranges(
        self,
        sizes: CellSizes,
    ) -> Result<impl Iterator<Item = (u64, u64)>, TreeError> {
        const EXPECTED: &str = "whole pairs of address and size that do not wrap around";
        let bytes = self.value("reg").unwrap_or_default();
        let pairs = bytes.chunks_exact(4 * (sizes.address + sizes.size));
        let good = !bytes.is_empty() && pairs.remainder().is_empty();
        let pairs = pairs.map(move |pair| {
            let (address, size) = pair.split_at(4 * sizes.address);
            (number(address), number(size))
        });
        if good
            && pairs
                .clone()
                .all(|(address, size)| address.checked_add(size).is_some())
        {
            Ok(pairs)
        } else {
            Err(self.error("reg", EXPECTED))
        }
    }

    /// The first address and size in `reg`.
    pub(crate) fn range(self, sizes: CellSizes) -> Result<(u64, u64), TreeError> {
        let first = self.ranges(sizes)?.next();
        first.ok_or(self.error("reg", "an address and a size"))
    }
}

/// At most two cells as a number.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}
