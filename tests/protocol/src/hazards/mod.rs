//! Negative controls: what the field had, or has, as small models of their own. In each the checker
//! must find the bug, or it would not find ours.

mod kvm;
mod meeting;
mod seed;
mod toy;

pub use toy::Toy;

/// A protocol with a known bug, and the shortest way to it.
#[derive(Clone, Debug)]
pub struct Control {
    /// Short name: a letter, or the hazard's number.
    pub id: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
    /// What the checker found. Empty: nothing.
    pub trace: Vec<String>,
}

impl Control {
    /// The trace as text.
    #[must_use]
    pub fn text(&self) -> String {
        let steps: Vec<_> = self
            .trace
            .iter()
            .enumerate()
            .map(|(at, step)| format!("{:>3}. {step}\n", at + 1))
            .collect();
        format!("{} {}\n{}", self.id, self.what, steps.concat())
    }
}

/// All, each explored anew.
#[must_use]
pub fn all() -> Vec<Control> {
    let mut all = seed::controls();
    all.extend(meeting::controls());
    all.extend(kvm::controls());
    all
}
