//! The fault injector, as this front door uses it.

use super::scenario::Scenario;
use anyhow::{Result, bail};
use flight_recorder::Record;
use std::path::Path;

/// What the injector found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Struck {
    pub(crate) seed: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) failures: Vec<String>,
}

pub(crate) fn strike(scenario: &Scenario<'_>, socket: &Path, faults: u32, on_text: &mut dyn FnMut(&str)) -> Result<Struck> {
    let _ = (scenario, socket, faults, on_text);
    bail!("not connected yet")
}
impl Struck {
    pub(crate) fn facts(&self) -> Vec<(String, String)> { vec![] }
    pub(crate) fn tables(&self) -> Vec<crate::report::Table> { vec![] }
}
