//! A kernel that starts another one in its place: it gives all threads but one back to the firmware
//! (`OPAL_RETURN_CPU`), and the second one starts them again.

use super::{
    checks::{self, Shape},
    faults,
    session::{SHELL, Session},
    suite::{Bench, power_off},
};
use crate::qemu::topology::Machine;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// For a command on a loaded machine.
const WORK: Duration = Duration::from_secs(240);
/// From one kernel to the other's shell.
const BOOT: Duration = Duration::from_secs(300);
/// What only the second kernel is told.
const MARK: &str = "opaline.second";

/// Boots, starts the second kernel, and checks that it has all threads and that they keep time, also
/// when TB breaks.
pub(super) fn run(bench: &Bench<'_>, shape: &Shape, seed: u64) -> Result<()> {
    let mut session = bench.start_debugged(shape, "")?;
    let hash = if shape.hash { "disable_radix" } else { "" };
    session
        .run(
            &format!(
                "kexec -l /boot/vmlinux --initrd=/boot/initrd \
                 --command-line='console=hvc0 opaline.driven {MARK} {hash}'"
            ),
            WORK,
        )
        .context("loading the second kernel")?;
    session.type_line("kexec -e")?;
    session.wait_for(|line| line == SHELL, BOOT)?;
    second_is_well(&mut session, shape)?;
    if shape.machine != Machine::Powernv8 {
        faults::after_kexec(bench, &mut session, shape, seed)?;
    }
    power_off(session)
}

fn second_is_well(session: &mut Session, shape: &Shape) -> Result<()> {
    session
        .run(&format!("grep {MARK} /proc/cmdline"), WORK)
        .context("it is the first kernel")?;
    for (what, check) in checks::CHECKS {
        if checks::OF_A_SECOND_KERNEL.contains(what) {
            check(session, shape).with_context(|| format!("in the second kernel: {what}"))?;
        }
    }
    Ok(())
}
