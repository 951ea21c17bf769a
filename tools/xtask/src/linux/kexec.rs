//! A kernel that starts another one in its place: it gives all threads but one back to the firmware
//! (`OPAL_RETURN_CPU`), and the second one starts them again.

use super::{
    checks::{self, Shape},
    debian::{Apt, INIT, System, base, busybox, copy},
    faults,
    session::{SHELL, Session},
    suite::{Bench, power_off},
};
use crate::{qemu::topology::Machine, workspace};
use anyhow::{Context as _, Result};
use std::{fs, time::Duration};

/// For a command on a loaded machine.
const WORK: Duration = Duration::from_secs(240);
/// From one kernel to the other's shell.
const BOOT: Duration = Duration::from_secs(300);
/// What only the second kernel is told.
const MARK: &str = "opaline.second";

/// The program that starts another kernel, and the library that it needs: packages, their files, and
/// where these are put.
const KEXEC: &[(&str, &[(&str, &str)])] = &[
    ("kexec-tools", &[("sbin/kexec", "bin/kexec")]),
    (
        "libc6",
        &[
            ("lib/powerpc64le-linux-gnu/ld64.so.2", "lib64/ld64.so.2"),
            (
                "lib/powerpc64le-linux-gnu/libc.so.6",
                "lib/powerpc64le-linux-gnu/libc.so.6",
            ),
        ],
    ),
];

/// A system that can start another kernel in its place: the same, `/boot/vmlinux` with `/boot/initrd`.
pub(super) fn system(second: &System) -> Result<System> {
    let here = workspace::results().join("linux");
    let kept = here.join("kexec");
    if !kept.is_dir() {
        let apt = Apt::prepare(&here)?;
        let partial = kept.with_extension("partial");
        fs::create_dir_all(&partial)?;
        for (package, files) in KEXEC {
            let unpacked = apt.unpack(package)?;
            for (file, _) in *files {
                let name = file.rsplit('/').next().unwrap_or(file);
                copy(&unpacked.join(file), &partial.join(name))?;
            }
        }
        fs::rename(&partial, &kept)?;
    }
    let mut archive = base(&busybox(&here)?, INIT);
    archive.directory("boot");
    for path in ["lib64", "lib", "lib/powerpc64le-linux-gnu"] {
        archive.directory(path);
    }
    for (file, place) in KEXEC.iter().flat_map(|(_, files)| *files) {
        let name = file.rsplit('/').next().unwrap_or(file);
        archive.program(place, &fs::read(kept.join(name))?);
    }
    archive.program("boot/vmlinux", &fs::read(&second.kernel)?);
    archive.program("boot/initrd", &fs::read(&second.initrd)?);
    let initrd = here.join("kexec-initrd");
    fs::write(&initrd, archive.finish())?;
    Ok(System {
        kernel: second.kernel.clone(),
        initrd,
        has_program: false,
    })
}

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
