//! The protocol holds, the negative controls do not, and the document shows both as they are.

use protocol::sets::bounded;
use protocol::{check, document, hazards};
use std::path::Path;

#[test]
fn the_bounded_set_holds() {
    let mut states = 0;
    for run in bounded() {
        let done = check::run(&run, 2);
        states += done.states;
        let what = format!("{} {}", run.model.shape, run.name);
        if let Some((rule, trace)) = done.broken.first() {
            panic!("{what}: {rule}\n{}", trace.join("\n"));
        }
        assert_eq!(done.unreached, Vec::<&str>::new(), "{what}");
    }
    println!("{states} states");
    assert!(
        states > 1_000_000,
        "the model became smaller: {states} states"
    );
}

#[test]
fn every_negative_control_is_found() {
    for control in hazards::all() {
        println!("{}", control.text());
        assert!(control.trace.len() > 1, "{}: nothing found", control.id);
    }
}

#[test]
fn the_document_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let text = std::fs::read_to_string(file).expect("docs/protocol.md");
    let updated = document::updated(&text);
    assert!(updated.contains("stateDiagram"), "the marks are missing");
    assert!(text == updated, "run: cargo xtask protocol --document");
}
