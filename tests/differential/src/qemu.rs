//! One run of a bare program in QEMU. Memory is a file that both sides see, so no debugger takes
//! part; and time in QEMU is the count of instructions, so the same sequence gives the same values.

use crate::access::Access;
use crate::program::{self, DONE, RESULTS};
use anyhow::{Context as _, Result, bail, ensure};
use hardware_model::{Configuration, Generation, TimebaseCopies};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// After this QEMU counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// QEMU, if it is in the path.
#[must_use]
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("qemu-system-ppc64"))
        .find(|file| file.is_file())
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn machine(configuration: &Configuration) -> &'static str {
    match (configuration.generation, configuration.copies) {
        (Generation::Power8, _) => "powernv8",
        (Generation::Power9, TimebaseCopies::PerThread) => "powernv9",
        (Generation::Power9, TimebaseCopies::SubCores(_)) => "powernv9,lpar-per-core=on",
        (Generation::Power10, TimebaseCopies::PerThread) => "powernv10",
        (Generation::Power10, TimebaseCopies::SubCores(_)) => "powernv10,lpar-per-core=on",
    }
}

/// Performs the sequence; gives one value for each access: what was read, or written.
///
/// # Errors
/// QEMU does not start, ends early, or does not get through in time.
pub fn perform(
    program: &Path,
    configuration: &Configuration,
    sequence: &[Access],
) -> Result<Vec<u64>> {
    let folder = tempfile::Builder::new().prefix("opaline-").tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("image"), program::image(configuration, sequence))?;
    let memory = path("memory");
    let gigabytes = configuration.chips;
    let smp = format!(
        "{},sockets={},cores={},threads={}",
        configuration.threads(),
        configuration.chips,
        configuration.cores_per_chip,
        configuration.threads_per_core
    );
    let mut child = Command::new(program)
        .args(["-object"])
        .arg(format!(
            "memory-backend-file,id=ram,size={gigabytes}G,mem-path={memory},share=on"
        ))
        .arg("-M")
        .arg(format!("{},memory-backend=ram", machine(configuration)))
        .args(["-m", &format!("{gigabytes}G"), "-smp", &smp])
        .args(["-icount", "shift=0,sleep=off"])
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        // Without PHBs and BMC there is less to start.
        .args(["-nodefaults", "-action", "panic=exit-failure", "-no-reboot"])
        .args(["-bios", &path("image")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(path("errors"))?)
        .spawn()
        .map(Running)
        .context("starting QEMU")?;
    let start = Instant::now();
    let mut word = [0; 8];
    loop {
        if let Ok(file) = File::open(&memory)
            && file.read_exact_at(&mut word, DONE).is_ok()
            && word != [0; 8]
        {
            break;
        }
        if let Some(status) = child.0.try_wait()? {
            let errors = std::fs::read_to_string(path("errors")).unwrap_or_default();
            bail!("QEMU ended early, {status}: {errors}");
        }
        if start.elapsed() > PATIENCE {
            bail!("QEMU did not get through {} accesses", sequence.len());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut bytes = vec![0; sequence.len() * 8];
    File::open(&memory)?.read_exact_at(&mut bytes, RESULTS)?;
    let values: Vec<u64> = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_be_bytes(*word))
        .collect();
    ensure!(values.len() == sequence.len(), "results are missing");
    Ok(values)
}
