//! The verb `check`: everything that a change must pass.

use crate::{
    image,
    testing::{self, tally::Tally},
    workspace,
};
use anyhow::Result;
use std::process::Command;

/// The verb.
pub(crate) fn verb(strict: bool) -> Result<bool> {
    let mut tally = Tally::default();
    println!("Format, clippy and documentation");
    cargo(&mut tally, "format", &["fmt", "--all", "--check"], &[]);
    let clippy = [
        "clippy",
        "--workspace",
        "--exclude",
        "boot",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    cargo(&mut tally, "clippy of the host packages", &clippy, &[]);
    image_clippy(&mut tally);
    let docs = [
        "doc",
        "--workspace",
        "--exclude",
        "boot",
        "--no-deps",
        "--document-private-items",
    ];
    cargo(
        &mut tally,
        "documentation",
        &docs,
        &[("RUSTDOCFLAGS", "-D warnings")],
    );
    testing::everything(&mut tally);
    tally.print(strict);
    Ok(tally.good(strict))
}

fn cargo(tally: &mut Tally, name: &str, arguments: &[&str], variables: &[(&str, &str)]) {
    let status = Command::new(workspace::cargo())
        .current_dir(workspace::root())
        .args(arguments)
        .envs(variables.iter().copied())
        .status();
    match status {
        Ok(status) if status.success() => tally.pass(name),
        Ok(status) => tally.fail(name, &format!("cargo {}: {status}", arguments[0])),
        Err(error) => tally.fail(name, &error.to_string()),
    }
}

fn image_clippy(tally: &mut Tally) {
    const NAME: &str = "clippy of the image";
    match image::clippy_possible() {
        Ok(true) => match image::clippy() {
            Ok(true) => tally.pass(NAME),
            Ok(false) => tally.fail(NAME, "warnings"),
            Err(error) => tally.fail(NAME, &format!("{error:#}")),
        },
        Ok(false) => tally.skip(NAME, "clippy belongs to another compiler than the image's"),
        Err(error) => tally.skip(NAME, &format!("{error:#}")),
    }
}
