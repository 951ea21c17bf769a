//! Why a device tree is refused.

use arrayvec::ArrayString;
use core::fmt;

/// Characters of a node's path that are kept; the rest is cut off at the end.
const PATH_CHARACTERS: usize = 80;

/// The path of a node, for messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(ArrayString<PATH_CHARACTERS>);

impl Path {
    /// The path of the root, or of no node at all.
    pub(super) const fn root() -> Self {
        Self(ArrayString::new_const())
    }

    /// This path extended by one name; what does not fit is cut off.
    pub(super) fn child(mut self, name: &str) -> Self {
        for character in core::iter::once('/').chain(name.chars()) {
            if self.0.try_push(character).is_err() {
                break;
            }
        }
        self
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// Why a device tree is refused: which node, which property, and what was expected there.
///
/// Its `Display` is the whole message, as in
/// `/cpus/PowerPC,POWER9@0: ibm,ppc-interrupt-server#s: expected 1 to 8 thread numbers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeError {
    place: Place,
    property: &'static str,
    expected: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Header,
    Node(Path),
}

impl TreeError {
    /// The header of the blob is wrong in this field.
    pub(super) const fn header(field: &'static str, expected: &'static str) -> Self {
        Self {
            place: Place::Header,
            property: field,
            expected,
        }
    }

    /// A node is wrong; `property` is empty when it is the node itself.
    pub(super) const fn node(path: Path, property: &'static str, expected: &'static str) -> Self {
        Self {
            place: Place::Node(path),
            property,
            expected,
        }
    }

    /// The property that is missing or wrong; empty when it is the node itself.
    #[must_use]
    pub const fn property(&self) -> &'static str {
        self.property
    }

    /// What was expected.
    #[must_use]
    pub const fn expected(&self) -> &'static str {
        self.expected
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Header => f.write_str("device tree header")?,
            Place::Node(path) => write!(f, "{path}")?,
        }
        if !self.property.is_empty() {
            f.write_str(": ")?;
            f.write_str(self.property)?;
        }
        f.write_str(": expected ")?;
        f.write_str(self.expected)
    }
}

impl core::error::Error for TreeError {}
