//! One machine with one image: started, struck by faults or left alone, and judged.

use super::strike;
use crate::{
    image::Image,
    qemu::{
        Configuration, OnLine, Remains, Vm,
        ending::{self, Outcome},
        log_filter::{self, Sifted},
        topology::{Machine, Topology},
    },
};
use anyhow::Result;
use fault_injector::campaign::Report;
use std::{ffi::OsStr, time::Duration};

/// An image left alone has this long to boot, strike itself and power off.
const ALONE: Duration = Duration::from_secs(60);
/// After the last fault the image has this long to print its verdict and power off.
const FINISH: Duration = Duration::from_secs(30);

/// What to play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario<'a> {
    pub(crate) qemu: &'a OsStr,
    pub(crate) image: &'a Image,
    pub(crate) machine: Machine,
    pub(crate) topology: Topology,
    pub(crate) lpar_per_core: bool,
    /// Faults to strike from outside; `None` leaves the image alone: then it strikes itself.
    pub(crate) faults: Option<u32>,
    pub(crate) seed: u64,
    /// Guests are entered and left as fast as can be.
    pub(crate) hasty: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Played {
    /// From the fault injector, when it was at work.
    pub(crate) struck: Option<Report>,
    pub(crate) remains: Remains,
    pub(crate) outcome: Outcome,
    pub(crate) sifted: Sifted,
    /// What did not hold; empty is success.
    pub(crate) failures: Vec<String>,
    /// How QEMU was started.
    pub(crate) command: String,
}

impl Scenario<'_> {
    /// What it is called in reports.
    pub(crate) fn name(&self) -> String {
        format!(
            "{}{}, {}",
            self.machine,
            if self.lpar_per_core {
                ",lpar-per-core=on"
            } else {
                ""
            },
            self.topology
        )
    }

    /// Plays it; a QEMU that died by itself gets a second chance.
    pub(crate) fn play(
        &self,
        on_line: impl Fn() -> OnLine,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Played> {
        let played = self.once(on_line(), on_text)?;
        if let Outcome::Infrastructure(why) = &played.outcome {
            on_text(&format!("QEMU itself failed ({why}); once more"));
            return self.once(on_line(), on_text);
        }
        Ok(played)
    }

    fn once(&self, on_line: OnLine, on_text: &mut dyn FnMut(&str)) -> Result<Played> {
        let configuration = Configuration {
            program: self.qemu,
            machine: self.machine,
            topology: self.topology,
            lpar_per_core: self.lpar_per_core,
            image: &self.image.flat,
            debugged: self.faults.is_some(),
            counted: false,
            payload: None,
        };
        let vm = Vm::start(&configuration, on_line)?;
        let command = vm.command().to_owned();
        let mut failures = Vec::new();
        let mut struck = None;
        if let Some(faults) = self.faults {
            match strike::strike(self, &vm.socket(), faults, on_text) {
                Ok(found) => {
                    failures.extend(found.failures.iter().cloned());
                    struck = Some(found);
                }
                Err(error) => failures.push(format!("fault injector: {error:#}")),
            }
        }
        let remains = vm.wait(if self.faults.is_some() { FINISH } else { ALONE })?;
        let outcome = ending::judge(remains.ending, &remains.console);
        // Where nothing can repair TB, the image rightly says so.
        let honest = self.faults.is_some() && !self.machine.has_chip_tod();
        if outcome != Outcome::Passed && !(honest && ending::verdict_given(&remains.console)) {
            failures.push(outcome.to_string());
        }
        let sifted = log_filter::sift(&remains.log, self.faults.is_none());
        if self.faults.is_none() && self.machine.has_chip_tod() {
            failures.extend(unbroken(&remains.console, sifted.own_breaks));
        }
        failures.extend(
            sifted
                .faults
                .iter()
                .map(|line| format!("QEMU's log: {line}")),
        );
        Ok(Played {
            struck,
            remains,
            outcome,
            sifted,
            failures,
            command,
        })
    }
}

/// QEMU's log tells how often the image really broke its TB; as many times it must have met the
/// error. Otherwise a pass means nothing.
fn unbroken(console: &[String], breaks: usize) -> Option<String> {
    let epochs: Option<usize> = console.iter().find_map(|line| {
        line.split("HMI epochs ")
            .nth(1)?
            .split(',')
            .next()?
            .trim()
            .parse()
            .ok()
    });
    match epochs {
        Some(epochs) if breaks == epochs && breaks > 0 => None,
        Some(epochs) => Some(format!(
            "TB was broken {breaks} times and repaired {epochs} times"
        )),
        None => Some("the image does not say how often it repaired TB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_and_repairs_must_agree() {
        let console = |text: &str| vec!["hello".to_owned(), text.to_owned()];
        let three = console("HMI epochs 3, events 3 of which not recovered 0");
        assert_eq!(unbroken(&three, 3), None);
        assert!(unbroken(&three, 2).is_some());
        assert!(unbroken(&console("HMI epochs 0, events 0"), 0).is_some());
        assert!(unbroken(&console("nothing"), 3).is_some());
    }
}
