//! What is measured: the figures, their targets, and what came of them.

use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// Which of the two firmwares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// This project's image.
    Ours,
    /// `skiboot.lid`, as the package of QEMU brings it.
    Reference,
}

/// Of what there is so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Bytes,
    Instructions,
    Seconds,
}

impl Definition {
    /// The ratio beyond which a test fails.
    pub(super) fn bound(&self) -> Option<f64> {
        self.limit.or(self.target)
    }
}

impl Unit {
    /// A value as people read it.
    pub(super) fn shown(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.2} s"),
            Self::Bytes if value >= 10_485_760.0 => format!("{:.1} MiB", value / 1_048_576.0),
            Self::Bytes => format!("{:.1} KiB", value / 1024.0),
            Self::Instructions if value >= 1e6 => format!("{:.2} million", value / 1e6),
            Self::Instructions => format!("{value:.0}"),
        }
    }
}

/// One figure: how it is called, and how much of the reference's it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    /// Its name on the command line and in the JSON file.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    /// Largest ratio.
    pub(super) target: Option<f64>,
    /// Where the target is missed for a reason that is known: the ratio from which on it got worse.
    pub(super) limit: Option<f64>,
    /// What exactly is counted.
    pub(super) about: &'static str,
}

/// What one run gave: values by the key of their figure.
pub(super) type Values = Vec<(&'static str, f64)>;

/// All values of both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Collection(BTreeMap<&'static str, [Vec<f64>; 2]>);

impl Collection {
    /// Adds the values of a run.
    pub(super) fn add(&mut self, side: Side, values: &Values) {
        for (key, value) in values {
            self.0.entry(key).or_default()[side as usize].push(*value);
        }
    }

    /// The figures that have values of both sides, in the order of their definitions.
    pub(super) fn figures(&self, definitions: &[Definition]) -> Vec<Figure> {
        let known = |definition: &Definition| {
            let [ours, reference] = self.0.get(definition.key)?;
            Figure::new(definition, ours, reference)
        };
        definitions.iter().filter_map(known).collect()
    }
}

/// Median, least and largest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) largest: f64,
}

impl Summary {
    fn new(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower = if sorted.len().is_multiple_of(2) {
            sorted[middle - 1]
        } else {
            upper
        };
        Some(Self {
            median: f64::midpoint(lower, upper),
            least: sorted[0],
            largest: sorted[sorted.len() - 1],
        })
    }
}

/// A figure with its values.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) unit: Unit,
    pub(super) target: Option<f64>,
    pub(super) verdict: Verdict,
    pub(super) ours: Summary,
    pub(super) reference: Summary,
    /// Of the runs pair by pair.
    pub(super) ratio: Summary,
    our_values: Vec<f64>,
    reference_values: Vec<f64>,
}

/// Whether a figure is what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Met,
    Missed,
    /// Only told.
    NoTarget,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::NoTarget => "",
        })
    }
}

impl Figure {
    fn new(definition: &Definition, ours: &[f64], reference: &[f64]) -> Option<Self> {
        let pairs = ours.iter().zip(reference);
        let ratios: Vec<f64> = pairs.map(|(ours, reference)| ours / reference).collect();
        let ratio = Summary::new(&ratios)?;
        let verdict = match definition.target {
            None => Verdict::NoTarget,
            Some(target) if ratio.median <= target => Verdict::Met,
            Some(_) => Verdict::Missed,
        };
        Some(Self {
            key: definition.key,
            title: definition.title,
            about: definition.about,
            unit: definition.unit,
            target: definition.target,
            verdict,
            ours: Summary::new(ours)?,
            reference: Summary::new(reference)?,
            ratio,
            our_values: ours.to_vec(),
            reference_values: reference.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Definition = Definition {
        key: "size",
        title: "Size",
        unit: Unit::Bytes,
        target: Some(0.5),
        limit: None,
        about: "",
    };

    #[test]
    fn medians_and_spread() {
        let summary = Summary::new(&[3.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!(
            (summary.median, summary.least, summary.largest),
            (2.5, 1.0, 10.0)
        );
        assert_eq!(Summary::new(&[7.0]).unwrap().median, 7.0);
        assert_eq!(Summary::new(&[]), None);
    }

    #[test]
    fn ratios_are_of_pairs_and_judged_by_their_median() {
        let mut collection = Collection::default();
        for (ours, reference) in [(1.0, 2.0), (1.0, 4.0), (3.0, 3.0)] {
            collection.add(Side::Ours, &vec![("size", ours)]);
            collection.add(Side::Reference, &vec![("size", reference)]);
        }
        let figures = collection.figures(&[SIZE]);
        assert_eq!(figures[0].ratio.median, 0.5);
        assert_eq!(figures[0].ratio.largest, 1.0);
        assert_eq!(figures[0].verdict, Verdict::Met);
        let strict = Definition {
            target: Some(0.49),
            ..SIZE
        };
        assert_eq!(collection.figures(&[strict])[0].verdict, Verdict::Missed);
    }

    #[test]
    fn a_figure_of_one_side_is_none() {
        let mut collection = Collection::default();
        collection.add(Side::Ours, &vec![("size", 1.0)]);
        assert!(collection.figures(&[SIZE]).is_empty());
    }

    #[test]
    fn values_are_readable() {
        assert_eq!(Unit::Bytes.shown(2048.0), "2.0 KiB");
        assert_eq!(Unit::Bytes.shown(17.0 * 1_048_576.0), "17.0 MiB");
        assert_eq!(Unit::Instructions.shown(1234.4), "1234");
        assert_eq!(Unit::Instructions.shown(3.2e6), "3.20 million");
        assert_eq!(Unit::Seconds.shown(1.234), "1.23 s");
    }
}
