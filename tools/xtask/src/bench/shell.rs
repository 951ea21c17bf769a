//! From the start of QEMU to the shell of a small Linux.

use super::figure::Values;
use crate::{
    linux::{debian::System, session::Session},
    qemu::{
        Configuration, Payload,
        topology::{Machine, Topology},
    },
};
use anyhow::Result;
use std::{ffi::OsStr, path::Path, time::Duration};

/// Eight virtual threads on two real ones take their time.
const PATIENCE: Duration = Duration::from_secs(300);

/// Seconds on the host's clock, with the threads running at the same time.
pub(super) fn run(
    qemu: &OsStr,
    machine: Machine,
    topology: Topology,
    firmware: &Path,
    system: &System,
    key: &'static str,
) -> Result<Values> {
    let configuration = Configuration {
        program: qemu,
        machine,
        topology,
        lpar_per_core: false,
        image: firmware,
        debugged: false,
        counted: false,
        payload: Some(Payload {
            kernel: &system.kernel,
            initrd: Some(&system.initrd),
            command_line: "console=hvc0 opaline.driven",
            restarts: false,
            counted: false,
        }),
    };
    let session = Session::start(&configuration, PATIENCE)?;
    Ok(vec![(key, session.boot.as_secs_f64())])
}
