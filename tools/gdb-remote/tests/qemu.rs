//! The client against QEMU's stub, on a bare image of a few instructions.
//!
//! Without `qemu-system-ppc64` the tests are skipped, by name; with `OPALINE_STRICT` set they fail.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gdb_remote::{Client, Error, Resume, ThreadId, Timeouts, Watch};
use tempfile::TempDir;

const ENTRY: u64 = 0x10;
/// Counts in r5 and stores the count at 0x1000 + 8 * PIR (r6).
const IMAGE: [u32; 6] = [
    0x7cdf_faa6, // mfspr r6, PIR
    0x78c6_1f24, // sldi  r6, r6, 3
    0x38c6_1000, // addi  r6, r6, 0x1000
    0x38a5_0001, // addi  r5, r5, 1      <- LOOP
    0xf8a6_0000, // std   r5, 0(r6)
    0x4bff_fff8, // b     LOOP
];
const LOOP: u64 = ENTRY + 12;
const STORE: u64 = LOOP + 4;

struct Machine {
    qemu: Child,
    client: Option<Client>,
    _folder: TempDir,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.client = None;
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn qemu() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("qemu-system-ppc64"))
        .find(|file| file.is_file())
}

fn start(test: &str, machine: &str) -> Option<Machine> {
    let Some(program) = qemu() else {
        assert!(
            std::env::var_os("OPALINE_STRICT").is_none(),
            "{test}: qemu-system-ppc64 is missing"
        );
        eprintln!("SKIPPED {test}: qemu-system-ppc64 is missing");
        return None;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let image = folder.path().join("image");
    let mut bytes = vec![0; ENTRY as usize];
    bytes.extend(IMAGE.iter().flat_map(|word| word.to_be_bytes()));
    std::fs::write(&image, bytes).expect("the image is written");
    let socket = folder.path().join("gdb");
    let qemu = Command::new(program)
        .args(["-M", machine, "-smp", "2,cores=1,threads=2", "-S"])
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        .arg("-bios")
        .arg(&image)
        .arg("-chardev")
        .arg(format!(
            "socket,id=g,path={},server=on,wait=off",
            display(&socket)
        ))
        .args(["-gdb", "chardev:g"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("QEMU starts");
    let mut machine = Machine {
        qemu,
        client: None,
        _folder: folder,
    };
    machine.client = Some(Client::connect(&socket, Timeouts::default()).expect("QEMU answers"));
    Some(machine)
}

fn display(path: &Path) -> String {
    path.to_str()
        .expect("temporary folders have plain names")
        .to_owned()
}

const SHORT: Duration = Duration::from_millis(30);

/// Lets threads run until their counts are as wanted; a busy host may take its time.
fn run_until(
    client: &mut Client,
    what: Resume,
    threads: &[ThreadId],
    reached: impl Fn(&[u64]) -> bool,
) -> Vec<u64> {
    let start = Instant::now();
    loop {
        let now = counts(client, threads);
        if reached(&now) {
            return now;
        }
        assert!(
            start.elapsed() < SHORT * 1000,
            "the machine does not get there: {now:?}"
        );
        client.resume(what).expect("resume");
        if client.wait_for_stop(SHORT).expect("wait").is_none() {
            client.interrupt().expect("stop");
        }
    }
}

fn counts(client: &mut Client, threads: &[ThreadId]) -> Vec<u64> {
    threads
        .iter()
        .map(|thread| client.read_register(*thread, "r5").expect("r5"))
        .collect()
}

#[test]
fn registers_memory_and_run_control_on_each_generation() {
    for model in ["powernv8", "powernv9", "powernv10"] {
        let Some(mut machine) = start("registers_memory_and_run_control", model) else {
            return;
        };
        let client = machine.client.as_mut().expect("connected");
        let threads = client.threads().expect("threads");
        assert_eq!(threads.len(), 2, "{model}");
        for thread in &threads {
            assert_eq!(client.read_register(*thread, "pc").expect("pc"), ENTRY);
            let msr = client.read_register(*thread, "msr").expect("msr");
            assert_eq!(msr, 0x9000_0000_0000_0000, "{model}");
        }

        // Status bits of TFMR stick when the debugger writes them, also little-endian.
        for msr in [0x9000_0000_0000_0001, 0x9000_0000_0000_0000] {
            client.write_register(threads[1], "msr", msr).expect("msr");
            let value = 0x1212_0009_8082_0000 + (msr & 1);
            client
                .write_register(threads[1], "tfmr", value)
                .expect("tfmr");
            assert_eq!(
                client.read_register(threads[1], "msr").expect("msr"),
                msr,
                "{model}"
            );
            assert_eq!(
                client.read_register(threads[1], "tfmr").expect("tfmr"),
                value,
                "{model}"
            );
        }

        client
            .set_physical_memory(true)
            .expect("QEMU knows physical memory");
        let code = client.read_memory(ENTRY, 4).expect("code");
        assert_eq!(code, IMAGE[0].to_be_bytes());
        client
            .write_word(0x2000, 0x0123_4567_89ab_cdef)
            .expect("write");
        assert_eq!(
            client.read_words(0x2000, 1).expect("read"),
            [0x0123_4567_89ab_cdef]
        );

        // The monitor sees the same machine.
        let index = threads[1].thread - 1;
        client
            .monitor(&format!("cpu {index}"))
            .expect("the monitor selects");
        let place = client
            .monitor(&format!("gva2gpa {ENTRY:#x}"))
            .expect("the monitor answers");
        assert!(place.contains("gpa: 0x10"), "{model}: {place}");

        // All run, then one, then one by a single instruction.
        client.resume(Resume::All).expect("resume");
        assert_eq!(client.wait_for_stop(SHORT).expect("wait"), None, "{model}");
        client.interrupt().expect("stop");
        let zero = vec![0; threads.len()];
        let before = run_until(client, Resume::All, &threads, |now| {
            now[0] > 0 && now[1] > 0
        });
        assert!(before > zero, "{model}");
        let only = Resume::Only(threads[1]);
        let after = run_until(client, only, &threads, |now| now[1] > before[1]);
        assert_eq!(after[0], before[0], "{model}: thread 0 stood still");
        assert_eq!(client.stray_stops(), 0, "{model}");

        // A breakpoint, and a step off it.
        client.plant(Watch::Breakpoint, STORE, 4).expect("plant");
        client.resume(Resume::All).expect("resume");
        let stop = client
            .wait_for_stop(SHORT * 1000)
            .expect("wait")
            .expect("it is reached");
        let stopped = stop.thread().expect("QEMU names the thread");
        assert_eq!(
            client.read_register(stopped, "pc").expect("pc"),
            STORE,
            "{model}"
        );
        client.step(stopped).expect("step");
        assert_eq!(
            client.read_register(stopped, "pc").expect("pc"),
            STORE + 4,
            "{model}"
        );
        client.remove(Watch::Breakpoint, STORE, 4).expect("remove");
        assert!(matches!(
            client.remove(Watch::Breakpoint, STORE, 4),
            Err(Error::Refused { .. })
        ));

        // A watchpoint stops after the store.
        let pir = client.read_register(threads[1], "pir").expect("pir");
        let cell = 0x1000 + 8 * pir;
        client.plant(Watch::Write, cell, 8).expect("plant");
        client.resume(Resume::All).expect("resume");
        let stop = client
            .wait_for_stop(SHORT * 1000)
            .expect("wait")
            .expect("it is reached");
        assert_eq!(stop.thread(), Some(threads[1]), "{model}");
        let count = client.read_register(threads[1], "r5").expect("r5");
        assert_eq!(
            client.read_words(cell, 1).expect("read"),
            [count],
            "{model}"
        );
        client.remove(Watch::Write, cell, 8).expect("remove");

        // Detached, the machine goes on; the socket takes the next client.
        machine
            .client
            .take()
            .expect("connected")
            .detach()
            .expect("detach");
    }
}
