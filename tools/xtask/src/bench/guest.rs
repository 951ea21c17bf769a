//! A QEMU for measurements: time may be counted in instructions, and a debugger is at hand.

use crate::qemu::topology::{Machine, Topology};
use anyhow::{Context as _, Result};
use fault_injector::machine::Machine as Debugged;
use gdb_remote::Timeouts;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// What to start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) qemu: &'a OsStr,
    pub(super) machine: Machine,
    pub(super) topology: Topology,
    pub(super) firmware: &'a Path,
    pub(super) kernel: &'a Path,
    pub(super) command_line: &'a str,
    /// One instruction is one nanosecond, and the threads take turns.
    pub(super) counted: bool,
    /// Without what QEMU adds by itself: no PCI host bridges.
    pub(super) bare: bool,
    /// Stands until a debugger says otherwise.
    pub(super) stopped: bool,
    /// Can write down each instruction of the firmware, when a debugger says so.
    pub(super) traced: bool,
}

/// Where the firmware is, of either side.
const FIRMWARE: &str = "0x30000000+0x2000000";

impl Start<'_> {
    fn arguments(&self, directory: &Path) -> Vec<String> {
        let path = |name: &str| directory.join(name).display().to_string();
        let big_core = if self.topology.big_core {
            ",big-core=on"
        } else {
            ""
        };
        let mut arguments: Vec<String> = [
            ["-M", &format!("{}{big_core}", self.machine)],
            ["-smp", &self.topology.smp()],
            ["-m", "2G"],
            ["-display", "none"],
            ["-monitor", "none"],
            ["-action", "panic=exit-failure"],
            ["-bios", &self.firmware.display().to_string()],
            ["-kernel", &self.kernel.display().to_string()],
            ["-append", self.command_line],
            [
                "-chardev",
                &format!("socket,id=g,path={},server=on,wait=off", path("gdb")),
            ],
            ["-gdb", "chardev:g"],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
        arguments.push("-no-reboot".to_owned());
        if self.counted {
            let options = ["-icount", "shift=0,sleep=off"];
            let clock = ["-rtc", "base=2020-01-01,clock=vm"];
            arguments.extend([options, clock].concat().into_iter().map(str::to_owned));
        }
        if self.bare {
            let bmc = ["-nodefaults", "-device", "ipmi-bmc-sim,id=bmc0"];
            let line = ["-device", "isa-ipmi-bt,bmc=bmc0,irq=10"];
            arguments.extend(bmc.iter().chain(&line).map(|text| (*text).to_owned()));
        }
        arguments.extend(["-serial".to_owned(), format!("file:{}", path("console"))]);
        if self.traced {
            let trace = path("trace");
            let options = ["-accel", "tcg,one-insn-per-tb=on", "-D", &trace];
            let filter = ["-dfilter", FIRMWARE];
            arguments.extend(options.iter().chain(&filter).map(|text| (*text).to_owned()));
        }
        if self.stopped {
            arguments.push("-S".to_owned());
        }
        arguments
    }
}

/// A running QEMU; it ends with this.
#[derive(Debug)]
pub(super) struct Guest {
    child: Child,
    directory: TempDir,
}

impl Guest {
    pub(super) fn start(start: &Start<'_>) -> Result<Self> {
        // Short, because the path of a unix socket has about 100 characters.
        let directory = tempfile::Builder::new().prefix("opaline-").tempdir()?;
        let errors = File::create(directory.path().join("errors"))?;
        let child = Command::new(start.qemu)
            .args(start.arguments(directory.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .context("starting QEMU")?;
        Ok(Self { child, directory })
    }

    /// Connects a debugger, with the patience that a busy host asks for: a packet that is sent twice
    /// would be answered twice.
    pub(super) fn debugger(&self) -> Result<Debugged> {
        const LONG: Duration = Duration::from_secs(60);
        let timeouts = Timeouts {
            connect: LONG,
            reply: LONG,
            acknowledge: LONG,
            stop: LONG,
        };
        Debugged::connect(&self.directory.path().join("gdb"), timeouts)
    }

    /// What it has printed so far.
    pub(super) fn console(&self) -> String {
        let bytes = fs::read(self.directory.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Instructions of each thread that were written down.
    pub(super) fn traced(&self) -> Result<BTreeMap<u32, u64>> {
        let trace = File::open(self.directory.path().join("trace")).context("no trace")?;
        let mut threads = BTreeMap::new();
        for line in BufReader::new(trace).lines() {
            if let Some(thread) = traced_thread(&line?) {
                *threads.entry(thread).or_default() += 1;
            }
        }
        Ok(threads)
    }

    /// The last of what it and QEMU printed, for a message.
    pub(super) fn last_words(&self) -> String {
        let console = self.console();
        let errors = fs::read_to_string(self.directory.path().join("errors")).unwrap_or_default();
        let lines: Vec<&str> = console.lines().chain(errors.lines()).collect();
        lines[lines.len().saturating_sub(25)..].join("\n      ")
    }

    /// Whether it still runs.
    pub(super) fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

/// The thread of a line of a trace: `Trace 3: 0x7f...`.
fn traced_thread(line: &str) -> Option<u32> {
    line.strip_prefix("Trace ")?.split_once(':')?.0.parse().ok()
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_trace_are_told() {
        let line = "Trace 12: 0x7f75b810fb00 [00000000/0000000030003770/fc000006/ff002201] ";
        assert_eq!(traced_thread(line), Some(12));
        assert_eq!(traced_thread("Tracing 1: x"), None);
        assert_eq!(traced_thread(""), None);
    }

    #[test]
    fn command_line() {
        let topology = Topology::new(Machine::Powernv9, 8, 1, None, true).unwrap();
        let start = Start {
            qemu: OsStr::new("qemu"),
            machine: Machine::Powernv9,
            topology,
            firmware: Path::new("/x/skiboot.lid"),
            kernel: Path::new("/x/vmlinux"),
            command_line: "bench",
            counted: true,
            bare: true,
            stopped: true,
            traced: true,
        };
        let text = start.arguments(Path::new("/t")).join(" ");
        for part in [
            "-M powernv9,big-core=on",
            "-smp 8,sockets=1,cores=1,threads=8",
            "-bios /x/skiboot.lid -kernel /x/vmlinux -append bench",
            "-icount shift=0,sleep=off -rtc base=2020-01-01,clock=vm",
            "-nodefaults -device ipmi-bmc-sim",
            "-serial file:/t/console -accel tcg,one-insn-per-tb=on -D /t/trace -dfilter 0x",
            " -S",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let plain = Start {
            counted: false,
            bare: false,
            stopped: false,
            traced: false,
            ..start
        };
        let text = plain.arguments(Path::new("/t")).join(" ");
        for part in ["-icount", "-nodefaults", "-dfilter", " -S"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
}
