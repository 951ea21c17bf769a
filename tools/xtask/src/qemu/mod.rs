//! One virtual machine: started, watched, and always ended.

pub(crate) mod ending;
pub(crate) mod log_filter;
pub(crate) mod topology;

use anyhow::{Context as _, Result};
use ending::Ending;
use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use topology::{Machine, Topology};

/// Where the console of a counted run goes.
const CONSOLE: &str = "console";

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Configuration<'a> {
    pub(crate) program: &'a OsStr,
    pub(crate) machine: Machine,
    pub(crate) topology: Topology,
    /// The threads of a core share one TB.
    pub(crate) lpar_per_core: bool,
    /// The flat image.
    pub(crate) image: &'a Path,
    /// Open to a debugger; without a payload, do not run until it says so.
    pub(crate) debugged: bool,
    /// Time is counted in instructions, and nothing outside has a say in what happens when: the
    /// console goes to a file, and in the end the machine stands still for a debugger.
    pub(crate) counted: bool,
    /// An operating system for the image to start.
    pub(crate) payload: Option<Payload<'a>>,
}

/// An operating system, placed in memory by QEMU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    pub(crate) kernel: &'a Path,
    pub(crate) initrd: Option<&'a Path>,
    pub(crate) command_line: &'a str,
    /// A reset starts the machine over instead of ending QEMU.
    pub(crate) restarts: bool,
    /// Time is counted in instructions: threads take turns, and a busy host keeps none of them
    /// from its ticks.
    pub(crate) counted: bool,
}

impl Payload<'_> {
    fn arguments(&self, debugged: bool) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let mut arguments = vec!["-kernel".to_owned(), path(self.kernel)];
        if let Some(initrd) = self.initrd {
            arguments.extend(["-initrd".to_owned(), path(initrd)]);
        }
        arguments.extend(["-append".to_owned(), self.command_line.to_owned()]);
        if self.counted {
            // Threads that a debugger holds count as idle: time must not skip to the next timer
            // for them.
            let sleep = if debugged { "on" } else { "off" };
            arguments.extend(["-icount".to_owned(), format!("shift=1,sleep={sleep}")]);
        }
        arguments
    }
}

impl Configuration<'_> {
    /// Runs QEMU with the console on the terminal of whoever calls, until it ends.
    pub(crate) fn interact(&self) -> Result<Ending> {
        let directory = tempfile::Builder::new().prefix("opaline-").tempdir()?;
        let mut arguments = self.arguments(directory.path());
        for argument in &mut arguments {
            // With the monitor behind Ctrl-A, so that there is a way out.
            if argument == "stdio" {
                *argument = "mon:stdio".to_owned();
            }
        }
        let status = Command::new(self.program)
            .args(&arguments)
            .status()
            .context("starting QEMU")?;
        Ok(status.into())
    }

    /// Arguments of QEMU; sockets and logs go into `directory`.
    fn arguments(&self, directory: &Path) -> Vec<String> {
        let path = |name: &str| directory.join(name).display().to_string();
        let machine = format!(
            "{}{}{}",
            self.machine,
            if self.topology.big_core {
                ",big-core=on"
            } else {
                ""
            },
            // POWER8 always is so, and has no such option.
            if self.lpar_per_core && self.machine != Machine::Powernv8 {
                ",lpar-per-core=on"
            } else {
                ""
            }
        );
        let (serial, ending) = if self.counted {
            // A pipe that nobody empties in time would have the emulator try again, by the host's
            // clock.
            let file = format!("file:{}", path(CONSOLE));
            (file, "panic=pause,shutdown=pause")
        } else {
            ("stdio".to_owned(), "panic=exit-failure")
        };
        let mut arguments: Vec<String> = [
            ["-M", &machine],
            ["-smp", &self.topology.smp()],
            ["-m", &format!("{}G", (2).max(self.topology.chips))],
            ["-display", "none"],
            ["-monitor", "none"],
            ["-serial", &serial],
            // Without it, a checkstop would exit 0.
            ["-action", ending],
            ["-d", "guest_errors,unimp"],
            ["-D", &path("qemu.log")],
            ["-bios", &self.image.display().to_string()],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
        if !self.payload.is_some_and(|payload| payload.restarts) {
            arguments.push("-no-reboot".to_owned());
        }
        let payload = self.payload.iter();
        arguments.extend(payload.flat_map(|payload| payload.arguments(self.debugged)));
        if self.debugged || self.counted {
            let chardev = format!("socket,id=g,path={},server=on,wait=off", path("gdb"));
            arguments.extend(["-chardev", &chardev, "-gdb", "chardev:g"].map(str::to_owned));
        }
        // An operating system is struck once it is up.
        if self.debugged && self.payload.is_none() {
            arguments.push("-S".to_owned());
        }
        if self.counted {
            // One instruction is one nanosecond; without `sleep=off` idle time would be the host's.
            let counted = ["-icount", "shift=0,sleep=off"];
            let clock = ["-rtc", "base=2020-01-01,clock=vm"];
            arguments.extend([counted, clock].concat().into_iter().map(str::to_owned));
        }
        arguments
    }
}

/// A callback that sees each console line as it comes.
pub(crate) type OnLine = Box<dyn FnMut(&str) + Send>;

/// A running QEMU.
#[derive(Debug)]
pub(crate) struct Vm {
    child: Child,
    /// The console's keyboard.
    input: Option<ChildStdin>,
    directory: TempDir,
    console: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    errors: Arc<Mutex<String>>,
    command: String,
}

/// What is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Remains {
    pub(crate) ending: Ending,
    pub(crate) console: Vec<String>,
    /// QEMU's own log.
    pub(crate) log: String,
    /// What QEMU wrote to stderr (a register dump after a checkstop).
    pub(crate) errors: String,
}

impl Vm {
    /// Starts QEMU.
    pub(crate) fn start(configuration: &Configuration<'_>, on_line: OnLine) -> Result<Self> {
        Self::start_with(configuration, &[], on_line)
    }

    /// Starts QEMU with more arguments.
    pub(crate) fn start_with(
        configuration: &Configuration<'_>,
        more: &[&str],
        mut on_line: OnLine,
    ) -> Result<Self> {
        // Short, because the path of a unix socket has about 100 characters.
        let directory = tempfile::Builder::new().prefix("opaline-").tempdir()?;
        let mut arguments = configuration.arguments(directory.path());
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let mut child = Command::new(configuration.program)
            .args(&arguments)
            .stdin(if configuration.payload.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting QEMU")?;
        let console = Arc::new(Mutex::new(Vec::new()));
        let errors = Arc::new(Mutex::new(String::new()));
        let input = child.stdin.take();
        let output = child.stdout.take().context("no pipe")?;
        let mut stderr = child.stderr.take().context("no pipe")?;
        let lines = Arc::clone(&console);
        let console_reader = thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line)
                    .trim_end_matches('\r')
                    .to_owned();
                on_line(&line);
                lock(&lines).push(line);
            }
        });
        let text = Arc::clone(&errors);
        let error_reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            // A broken pipe here only shortens the message.
            let _ = stderr.read_to_end(&mut bytes);
            *lock(&text) = String::from_utf8_lossy(&bytes).into_owned();
        });
        let command = format!(
            "{} {}",
            configuration.program.to_string_lossy(),
            arguments.join(" ")
        );
        Ok(Self {
            child,
            input,
            directory,
            console,
            readers: vec![console_reader, error_reader],
            errors,
            command,
        })
    }

    /// Socket of the debugger.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("gdb")
    }

    /// How QEMU ended that has ended, and what it wrote to stderr: the beginning.
    pub(crate) fn last_words(&mut self) -> String {
        let status = self.child.try_wait().ok().flatten();
        let ending = status.map_or_else(|| "not at all".into(), |status| format!("{status}"));
        if status.is_some() {
            self.join_readers();
        }
        let text = lock(&self.errors);
        let lines: Vec<_> = text.lines().take(12).collect();
        format!("{ending}\n      {}", lines.join("\n      "))
    }

    /// Waits until all that QEMU wrote is read; it has ended.
    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            // A reader panics only if printing does; the lines so far are there.
            let _ = reader.join();
        }
    }

    /// What a counted run has printed so far.
    pub(crate) fn counted_console(&self) -> String {
        let bytes = fs::read(self.directory.path().join(CONSOLE)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What was typed, in effect.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    /// Types on the console.
    pub(crate) fn type_text(&mut self, text: &str) -> Result<()> {
        let input = self
            .input
            .as_mut()
            .context("this machine has no keyboard")?;
        input.write_all(text.as_bytes()).context("typing")?;
        input.flush().context("typing")
    }

    /// The console's lines from number `from` on.
    pub(crate) fn lines(&self, from: usize) -> Vec<String> {
        lock(&self.console).get(from..).unwrap_or_default().to_vec()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until it ends; ends it when patience is over.
    pub(crate) fn wait(mut self, patience: Duration) -> Result<Remains> {
        let start = Instant::now();
        let ending = loop {
            if let Some(status) = self.child.try_wait()? {
                break status.into();
            }
            if start.elapsed() > patience {
                self.child.kill().context("ending QEMU")?;
                self.child.wait()?;
                break Ending::TimedOut;
            }
            thread::sleep(Duration::from_millis(20));
        };
        self.join_readers();
        let log = fs::read(self.directory.path().join("qemu.log")).unwrap_or_default();
        Ok(Remains {
            ending,
            console: std::mem::take(&mut *lock(&self.console)),
            log: String::from_utf8_lossy(&log).into_owned(),
            errors: std::mem::take(&mut *lock(&self.errors)),
        })
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(program: &OsStr, debugged: bool) -> Configuration<'_> {
        Configuration {
            program,
            machine: Machine::Powernv9,
            topology: Topology {
                chips: 1,
                cores: 1,
                threads: 4,
                big_core: false,
            },
            lpar_per_core: true,
            image: Path::new("/x/opaline.lid"),
            debugged,
            counted: false,
            payload: None,
        }
    }

    #[test]
    fn command_line() {
        let program = OsStr::new("qemu");
        let text = configuration(program, true)
            .arguments(Path::new("/t"))
            .join(" ");
        for part in [
            "-M powernv9,lpar-per-core=on",
            "-smp 4,sockets=1,cores=1,threads=4",
            "-action panic=exit-failure",
            "-no-reboot",
            "-d guest_errors,unimp -D /t/qemu.log",
            "-bios /x/opaline.lid",
            "path=/t/gdb,server=on",
            " -S",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let counted = Configuration {
            counted: true,
            ..configuration(program, false)
        };
        let text = counted.arguments(Path::new("/t")).join(" ");
        for part in [
            "-icount shift=0,sleep=off -rtc base=2020-01-01,clock=vm",
            "-serial file:/t/console",
            "-action panic=pause,shutdown=pause",
            "-gdb chardev:g",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains(" -S"));
        let plain = configuration(program, false).arguments(Path::new("/t"));
        assert!(!plain.contains(&"-S".to_owned()));
        let mut power8 = configuration(program, false);
        power8.machine = Machine::Powernv8;
        assert_eq!(power8.arguments(Path::new("/t"))[1], "powernv8");
    }

    /// A program that stands in for QEMU: it ignores its arguments.
    fn fake(script: &str) -> (TempDir, PathBuf) {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fake");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (directory, path)
    }

    #[test]
    fn console_and_exit_code_are_caught() {
        let (_directory, program) = fake("printf 'one\\r\\ntwo'; echo dump >&2; exit 1");
        let configuration = configuration(program.as_os_str(), false);
        let vm = Vm::start(&configuration, Box::new(|_| {})).unwrap();
        let remains = vm.wait(Duration::from_secs(20)).unwrap();
        assert_eq!(remains.ending, Ending::Exit(1));
        assert_eq!(remains.console, ["one", "two"]);
        assert_eq!(remains.errors, "dump\n");
    }

    #[test]
    fn a_hang_is_ended() {
        let (_directory, program) = fake("exec sleep 60");
        let configuration = configuration(program.as_os_str(), false);
        let vm = Vm::start(&configuration, Box::new(|_| {})).unwrap();
        let remains = vm.wait(Duration::from_millis(100)).unwrap();
        assert_eq!(remains.ending, Ending::TimedOut);
    }
}
