//! The verb `check`: everything that a change must pass.

use crate::{
    image, linux, payload,
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
    target_clippy(&mut tally, "clippy of the image", image::clippy);
    target_clippy(&mut tally, "clippy of the OPAL payload", payload::clippy);
    target_clippy(
        &mut tally,
        "clippy of the monitor for KVM",
        linux::monitor_clippy,
    );
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

fn target_clippy(tally: &mut Tally, name: &str, clippy: fn() -> Result<bool>) {
    match image::clippy_possible() {
        Ok(true) => match clippy() {
            Ok(true) => tally.pass(name),
            Ok(false) => tally.fail(name, "warnings"),
            Err(error) => tally.fail(name, &format!("{error:#}")),
        },
        Ok(false) => tally.skip(name, "clippy belongs to another compiler than the image's"),
        Err(error) => tally.skip(name, &format!("{error:#}")),
    }
}
