//! The figures as a table, which is also Markdown.

use super::figure::Figure;

const HEAD: [&str; 6] = ["Figure", "Opaline", "skiboot", "ratio", "target", ""];

/// The table.
pub(super) fn table(figures: &[Figure]) -> String {
    let mut rows: Vec<[String; 6]> = vec![HEAD.map(str::to_owned)];
    rows.extend(figures.iter().map(row));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text.push('|');
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(&format!(" {cell:width$} |"));
        }
        text.push('\n');
        if number == 0 {
            text.push('|');
            for width in widths {
                text.push_str(&format!("{}|", "-".repeat(width + 2)));
            }
            text.push('\n');
        }
    }
    text
}

fn row(figure: &Figure) -> [String; 6] {
    let ratio = figure.ratio;
    let exact = |value: f64| format!("{value:.3}");
    let spread = if exact(ratio.least) == exact(ratio.largest) {
        String::new()
    } else {
        format!(" ({:.3} to {:.3})", ratio.least, ratio.largest)
    };
    [
        figure.title.to_owned(),
        figure.unit.shown(figure.ours.median),
        figure.unit.shown(figure.reference.median),
        format!("{:.3}{spread}", ratio.median),
        figure
            .target
            .map_or_else(String::new, |target| format!("{target:.2}")),
        figure.verdict.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Collection, Definition, Side, Unit};
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let mut collection = Collection::default();
        for value in [1.0, 2.0] {
            collection.add(Side::Ours, &vec![("a", value), ("b", 1.0)]);
            collection.add(Side::Reference, &vec![("a", 4.0), ("b", 1.0)]);
        }
        let definition = |key, target| Definition {
            key,
            title: "Something",
            unit: Unit::Seconds,
            target,
            limit: None,
            about: "",
        };
        let figures = collection.figures(&[definition("a", Some(0.25)), definition("b", None)]);
        let text = table(&figures);
        assert!(text.contains("0.375 (0.250 to 0.500)"), "{text}");
        assert!(text.contains("MISSED"), "{text}");
        let lengths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(
            lengths.iter().all(|length| *length == lengths[0]),
            "{lengths:?}"
        );
    }
}
