//! Faults that nothing can repair.

use super::{
    super::{checks::Shape, suite::Bench},
    PATIENCE, WORK, connect,
};
use crate::qemu::ending::Ending;
use anyhow::{Result, ensure};
use fault_injector::{
    os::{Guests, TOLERANCE_TICKS},
    plan::{Choices, Extra, draw},
    stuffing::Change,
};
use power_registers::Tfmr;
use std::collections::BTreeSet;

/// What nothing can repair here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hopeless {
    /// QEMU's POWER8 has no ChipTOD: TB is dead.
    NoTod,
    /// QEMU does not let software clear TFMR's mark of corruption: TB means nothing.
    Corrupt,
    /// Nor other errors of the core. TB runs again, and rightly, but is not called recovered.
    Sticky,
}

impl Hopeless {
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::NoTod => "no TOD",
            Self::Corrupt => "a TFMR that stays corrupt",
            Self::Sticky => "an error that stays",
        }
    }
}

/// A fault that nothing can repair: the kernel is told, gives up, and reboots. It must not hang,
/// though its timebase may be dead.
pub(crate) fn beyond_repair(
    bench: &Bench<'_>,
    shape: &Shape,
    seed: u64,
    hopeless: Hopeless,
) -> Result<()> {
    let mut session = bench.start_debugged(shape, "panic=1")?;
    session.run("while :; do :; done & sleep 0", WORK)?;
    let mut struck = connect(bench, &session, Guests::new())?;
    let choices = Choices {
        cores: struck.cores(),
        repairable: hopeless != Hopeless::Sticky,
        spare_hosts: false,
    };
    let mut plan = draw(seed, 1, &choices);
    if hopeless == Hopeless::Corrupt {
        plan.errors = Tfmr::TFMR_CORRUPT.bits();
    }
    if hopeless != Hopeless::Sticky {
        // A dead TB stands; this emulator's would go on from wherever it was put.
        plan.damage = vec![Change::Add(0)];
    }
    let outcome = struck.strike(&plan, &Extra::None, PATIENCE)?;
    let told = !outcome.events.is_empty() && !outcome.events.contains(&true);
    ensure!(told, "events {:?}", outcome.events);
    let dead: BTreeSet<u32> = outcome.dead.iter().copied().collect();
    let wanted = match hopeless {
        Hopeless::Sticky => 0,
        _ => plan_threads(&choices, plan.core),
    };
    ensure!(
        dead.len() == wanted,
        "{dead:x?} returned with a dead TB, not {wanted} threads"
    );
    if hopeless == Hopeless::Sticky {
        let off = outcome.off.iter().map(|off| off.unsigned_abs());
        let right = off.max().is_some_and(|off| off <= TOLERANCE_TICKS);
        ensure!(right, "TB is off by {:?}", outcome.off);
    }
    struck.leave()?;
    let said = |what: &'static str| move |line: &str| line.contains(what);
    session.wait_for(
        said("Hypervisor Maintenance interrupt [Not recovered"),
        WORK,
    )?;
    session.wait_for(said("Kernel panic"), WORK)?;
    let remains = session.end(WORK)?;
    ensure!(remains.ending == Ending::Exit(0), "{:?}", remains.ending);
    Ok(())
}

/// Threads of a core.
fn plan_threads(choices: &Choices, core: usize) -> usize {
    choices.cores.get(core).copied().unwrap_or(0)
}
