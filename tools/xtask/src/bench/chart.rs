//! The figures as a picture: one bar each, as long as its ratio to the reference.

use super::figure::{Figure, Verdict};
use std::fmt::Write as _;

const WIDTH: u32 = 900;
const ROW: u32 = 26;
const TOP: u32 = 64;
const BOTTOM: u32 = 34;
/// Where bars begin, and how long one is that is as good as the reference.
const LEFT: u32 = 330;
const UNIT: f64 = 400.0;
/// Bars beyond it are cut, and say so with their number.
const LONGEST: f64 = 1.15;

/// The picture. `about` says where it was measured.
pub(super) fn svg(figures: &[Figure], about: &str) -> String {
    let height = TOP + ROW * figures.len() as u32 + BOTTOM;
    let bottom = TOP + ROW * figures.len() as u32;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"16\" font-weight=\"bold\" fill=\"#222222\">\
         Opaline as a part of skiboot: shorter is better</text>\n\
         <text x=\"16\" y=\"44\" fill=\"#555555\">{}</text>\n",
        escaped(about)
    );
    for quarter in 0..=4 {
        let ratio = f64::from(quarter) / 4.0;
        let x = place(ratio);
        let colour = if quarter == 4 { "#888888" } else { "#dddddd" };
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{colour}\"/>\n\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555555\">{ratio:.2}</text>",
            bottom + 18
        );
    }
    for (number, figure) in figures.iter().enumerate() {
        row(&mut text, figure, TOP + ROW * number as u32);
    }
    text.push_str("</svg>\n");
    text
}

fn place(ratio: f64) -> f64 {
    f64::from(LEFT) + UNIT * ratio.min(LONGEST)
}

fn row(text: &mut String, figure: &Figure, top: u32) {
    let colour = match figure.verdict {
        Verdict::Met => "#2f7d4f",
        Verdict::Missed => "#c0562b",
        Verdict::NoTarget => "#5b7aa6",
    };
    let middle = top + 18;
    let end = place(figure.ratio.median);
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\" fill=\"#222222\">{}</text>\n\
         <rect x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>",
        LEFT - 10,
        escaped(figure.title),
        top + 5,
        (end - f64::from(LEFT)).max(1.0),
        ROW - 10,
    );
    let mut after = end;
    if let Some(target) = figure.target {
        let x = place(target);
        after = after.max(x);
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#222222\" \
             stroke-width=\"2\"/>",
            top + 2,
            top + ROW - 2
        );
    }
    let _ = writeln!(
        text,
        "<text x=\"{:.1}\" y=\"{middle}\" fill=\"#222222\">{:.3}: {} of {}</text>",
        after + 6.0,
        figure.ratio.median,
        figure.unit.shown(figure.ours.median),
        figure.unit.shown(figure.reference.median)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Collection, Definition, Side, Unit};
    use super::*;

    #[test]
    fn a_bar_for_each_figure_and_a_mark_for_each_target() {
        let mut collection = Collection::default();
        collection.add(Side::Ours, &vec![("a", 1.0), ("b", 90.0)]);
        collection.add(Side::Reference, &vec![("a", 4.0), ("b", 10.0)]);
        let definition = |key, target| Definition {
            key,
            title: "a < b",
            unit: Unit::Bytes,
            target,
            limit: None,
            about: "",
        };
        let figures = collection.figures(&[definition("a", Some(0.5)), definition("b", None)]);
        let text = svg(&figures, "QEMU & host");
        assert_eq!(text.matches("fill=\"#2f7d4f\"").count(), 1);
        assert_eq!(text.matches("stroke-width=\"2\"").count(), 1);
        // A quarter of the unit, and the cut one.
        assert!(text.contains("width=\"100.0\"") && text.contains("width=\"460.0\""));
        assert!(text.contains("a &lt; b") && text.contains("QEMU &amp; host"));
        assert!(text.ends_with("</svg>\n"));
    }
}
