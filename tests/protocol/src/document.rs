//! The generated parts of `docs/protocol.md`: between two marks each, so that a test can tell whether
//! they are current.

use crate::{diagrams, hazards};

/// The text with its generated parts made anew. A part whose marks are missing is left out.
#[must_use]
pub fn updated(text: &str) -> String {
    let text = replace(text, "diagrams", &diagrams::all());
    replace(&text, "controls", &controls())
}

fn controls() -> String {
    hazards::all()
        .iter()
        .map(|control| format!("```text\n{}```\n\n", control.text()))
        .collect()
}

fn replace(text: &str, name: &str, part: &str) -> String {
    let begin = format!("<!-- {name}: made by `cargo xtask protocol --document` -->\n");
    let end = format!("<!-- end of {name} -->");
    let Some((before, rest)) = text.split_once(&begin) else {
        return text.to_owned();
    };
    let Some((_, after)) = rest.split_once(&end) else {
        return text.to_owned();
    };
    format!("{before}{begin}\n{part}{end}{after}")
}
