//! Branches that no test reaches, and why they stay: they count as not reached all the same.

/// A branch of a file, by the text of its condition, and the side that is never taken.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) file: &'static str,
    /// As in the source, with single spaces.
    pub(super) condition: &'static str,
    pub(super) never: bool,
    pub(super) why: &'static str,
}

pub(super) const KNOWN: &[Gap] = &[];

/// Why this branch is not reached, if that is known.
pub(super) fn why(file: &str, condition: &str, side: bool) -> Option<&'static str> {
    let found = KNOWN
        .iter()
        .find(|gap| gap.file == file && gap.condition == condition && gap.never == side);
    found.map(|gap| gap.why)
}
