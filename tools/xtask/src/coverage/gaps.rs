//! Branches that no test reaches, and why they stay: they count as not reached all the same.

/// A branch of a file, by the text of its condition, and the side that is never taken.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) file: &'static str,
    /// As in the source, with single spaces.
    pub(super) condition: &'static str,
    /// `"true"` or `"false"`.
    pub(super) never: &'static str,
    pub(super) why: &'static str,
}

pub(super) const KNOWN: &[Gap] = &[Gap {
    file: "firmware/src/hmi/meeting.rs",
    condition: "applied.verdict != Verdict::Accepted",
    never: "true",
    why: "two threads give up the same wait at once: the model has no access between the look and the event",
}];

/// Why this branch is not reached, if that is known.
pub(super) fn why(file: &str, condition: &str, side: &str) -> Option<&'static str> {
    let found = KNOWN
        .iter()
        .find(|gap| gap.file == file && gap.condition == condition && gap.never == side);
    found.map(|gap| gap.why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    /// A gap whose condition is gone would explain nothing.
    #[test]
    fn every_known_gap_stands_in_the_source() {
        for gap in KNOWN {
            let source = std::fs::read_to_string(workspace::root().join(gap.file)).expect("a file");
            let words: Vec<_> = source.split_whitespace().collect();
            assert!(words.join(" ").contains(gap.condition), "{gap:?}");
            assert!(["true", "false"].contains(&gap.never), "{gap:?}");
        }
    }
}
