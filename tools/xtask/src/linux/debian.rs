//! Debian's kernel and busybox for ppc64el, fetched with apt into a directory of our own.
//!
//! apt runs with its own state below `target/linux/apt`, so that the machine's packages stay as
//! they are. Which mirror is asked is the machine's apt configuration's affair.

use super::archive::Archive;
use crate::workspace;
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const ARCHITECTURE: &str = "ppc64el";
/// The package that always depends on the current kernel.
const KERNEL: &str = "linux-image-powerpc64le";
const BUSYBOX: &str = "busybox-static";
/// Modules of the kernel that make a KVM of the processor's hypervisor mode, in the order in which
/// they are loaded.
const KVM_MODULES: &[&str] = &["arch/powerpc/kvm/kvm.ko", "arch/powerpc/kvm/kvm-hv.ko"];
/// How a module's name may go on, and what unpacks it there.
const PACKED: &[(&str, Option<&str>)] =
    &[("", None), (".xz", Some("unxz")), (".gz", Some("gunzip"))];

/// Where the program of ours is.
const PROGRAM: &str = "bin/kvm-guest";
/// The first program of the small system.
pub(super) const INIT: &[u8] = include_bytes!("init.sh");

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    /// Whether the program of ours is in it.
    pub(crate) has_program: bool,
}

/// Kernel and initial file system: those that were named, the others fetched or made. `program` is
/// put into the made one.
pub(crate) fn system(
    kernel: Option<&Path>,
    initrd: Option<&Path>,
    program: Option<&Path>,
) -> Result<System> {
    let here = workspace::results().join("linux");
    fs::create_dir_all(&here)?;
    let kernel = match kernel {
        Some(path) => path.to_owned(),
        None => fetched_kernel(&here).context(advice("--kernel", "a vmlinux for ppc64el"))?,
    };
    let made = initrd.is_none();
    let initrd = match initrd {
        Some(path) => path.to_owned(),
        None => {
            made_initrd(&here, program).context(advice("--initrd", "an initramfs for ppc64el"))?
        }
    };
    for path in [&kernel, &initrd] {
        ensure!(path.is_file(), "{} is not there", path.display());
    }
    Ok(System {
        kernel,
        has_program: made && program.is_some(),
        initrd,
    })
}

fn advice(option: &str, what: &str) -> String {
    format!(
        "Debian's packages cannot be fetched here. Without them: {option} FILE with {what}. From \
         another machine: `apt-get download {KERNEL}'s current kernel and {BUSYBOX}` for \
         {ARCHITECTURE}; `dpkg-deb -x` unpacks them into boot/vmlinux-* and bin/busybox; copy \
         those to target/linux/vmlinux and target/linux/busybox"
    )
}

/// Debian's kernel with its KVM and a program that uses it, `/bin/kvm-guest`; the modules are loaded
/// by `/bin/load-kvm`.
pub(crate) fn kvm_system(program: &Path) -> Result<System> {
    let here = workspace::results().join("linux");
    fs::create_dir_all(&here)?;
    let kept = here.join("kvm-modules");
    if !kept.is_dir() {
        // Kernel and modules must be of one package.
        let packages = fetch_kernel(&here).context(
            "Debian's kernel and its KVM cannot be fetched here, and nothing else will do",
        )?;
        keep_modules(&packages, &kept)?;
    }
    let mut archive = base(&busybox(&here)?, INIT);
    archive.directory("modules");
    let mut script = "#!/bin/sh\nset -e\n".to_owned();
    for module in KVM_MODULES {
        let found = module_in(&kept, module)?;
        archive.program(&format!("modules/{}", found.file), &found.content);
        script.push_str(&found.commands());
    }
    archive.program("bin/load-kvm", script.as_bytes());
    archive.program(PROGRAM, &fs::read(program)?);
    let initrd = here.join("kvm-initrd");
    fs::write(&initrd, archive.finish())?;
    Ok(System {
        kernel: here.join("vmlinux"),
        initrd,
        has_program: true,
    })
}

fn fetched_kernel(here: &Path) -> Result<PathBuf> {
    let kept = here.join("vmlinux");
    if !kept.is_file() {
        fetch_kernel(here)?;
    }
    Ok(kept)
}

/// Fetches the kernel's package and keeps the kernel; gives where the package is unpacked.
fn fetch_kernel(here: &Path) -> Result<PathBuf> {
    let apt = Apt::prepare(here)?;
    let package = apt.dependency(KERNEL, "linux-image-")?;
    let unpacked = apt.unpack(&package)?;
    let name = package.replace("linux-image-", "vmlinux-");
    copy(&unpacked.join("boot").join(name), &here.join("vmlinux"))?;
    Ok(unpacked)
}

/// Copies the modules out of an unpacked package: all of them, or the directory is not there.
fn keep_modules(unpacked: &Path, kept: &Path) -> Result<()> {
    // Since /usr is merged, packages may use either.
    let modules = ["lib/modules", "usr/lib/modules"]
        .iter()
        .filter_map(|place| fs::read_dir(unpacked.join(place)).ok())
        .find_map(|mut entries| Some(entries.next()?.ok()?.path()))
        .context("the package has no modules")?
        .join("kernel");
    let partial = kept.with_extension("partial");
    fs::create_dir_all(&partial)?;
    for module in KVM_MODULES {
        let directory = modules.join(module);
        let directory = directory.parent().context("a module has a place")?;
        let found = module_in(directory, module)?;
        fs::write(partial.join(found.file), found.content)?;
    }
    fs::rename(&partial, kept)?;
    Ok(())
}

/// A kernel's module.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Module {
    /// Its name as loaded.
    name: String,
    /// The same, as packed.
    file: String,
    unpacker: Option<&'static str>,
    content: Vec<u8>,
}

impl Module {
    /// What loads it from `/modules`.
    fn commands(&self) -> String {
        let unpack = match self.unpacker {
            Some(unpacker) => format!("{unpacker} /modules/{}\n", self.file),
            None => String::new(),
        };
        format!("{unpack}insmod /modules/{}\n", self.name)
    }
}

/// A module by its path in the kernel's tree, from a directory where it may be packed.
fn module_in(directory: &Path, module: &str) -> Result<Module> {
    let name = module.rsplit('/').next().unwrap_or(module);
    PACKED
        .iter()
        .find_map(|(end, unpacker)| {
            let file = format!("{name}{end}");
            Some(Module {
                name: name.to_owned(),
                content: fs::read(directory.join(&file)).ok()?,
                file,
                unpacker: *unpacker,
            })
        })
        .with_context(|| format!("{name} is not in {}", directory.display()))
}

pub(super) fn busybox(here: &Path) -> Result<Vec<u8>> {
    let busybox = here.join("busybox");
    if !busybox.is_file() {
        let unpacked = Apt::prepare(here)?.unpack(BUSYBOX)?;
        copy(&unpacked.join("bin/busybox"), &busybox)?;
    }
    Ok(fs::read(&busybox)?)
}

fn made_initrd(here: &Path, program: Option<&Path>) -> Result<PathBuf> {
    let busybox = busybox(here)?;
    let path = here.join("initrd");
    let mut archive = base(&busybox, INIT);
    if let Some(program) = program {
        archive.program(PROGRAM, &fs::read(program)?);
    }
    fs::write(&path, archive.finish())?;
    Ok(path)
}

/// Copies so that a half-written file is never taken for a whole one.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let partial = to.with_extension("partial");
    fs::copy(from, &partial).with_context(|| from.display().to_string())?;
    fs::rename(&partial, to)?;
    Ok(())
}

/// The small system's files, to which more may be added.
pub(super) fn base(busybox: &[u8], init: &[u8]) -> Archive {
    let mut archive = Archive::default();
    for path in ["bin", "dev", "proc", "sys", "tmp"] {
        archive.directory(path);
    }
    archive.device("dev/console", 5, 1);
    archive.device("dev/null", 1, 3);
    archive.program("bin/busybox", busybox);
    archive.link("bin/sh", "busybox");
    archive.program("init", init);
    archive
}

/// apt with its own state and its own architecture.
#[derive(Debug)]
pub(super) struct Apt {
    directory: PathBuf,
}

impl Apt {
    pub(super) fn prepare(here: &Path) -> Result<Self> {
        let directory = here.join("apt");
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(part))?;
        }
        fs::write(directory.join("state/status"), "")?;
        let apt = Self { directory };
        if apt.candidate(KERNEL).is_err() {
            println!("Asking apt for packages of {ARCHITECTURE}");
            // A source without this architecture is an error to apt, but not to us: what counts is
            // whether the packages are known afterwards.
            let updated = apt.run("apt-get", &["update"])?;
            if let Err(error) = apt.candidate(KERNEL) {
                bail!(
                    "{error:#}\n{}",
                    String::from_utf8_lossy(&updated.stderr).trim()
                );
            }
        }
        Ok(apt)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let path = |part: &str| self.directory.join(part).display().to_string();
        let options = [
            format!("APT::Architecture={ARCHITECTURE}"),
            format!("APT::Architectures={ARCHITECTURE}"),
            format!("Dir::State={}", path("state")),
            format!("Dir::State::status={}", path("state/status")),
            format!("Dir::Cache={}", path("cache")),
            // The sandbox's user cannot write here.
            "APT::Sandbox::User=root".to_owned(),
        ];
        Command::new(program)
            .current_dir(&self.directory)
            .env("LC_ALL", "C")
            .args(options.iter().flat_map(|option| ["-o", option]))
            .args(arguments)
            .output()
            .with_context(|| format!("{program} cannot be started"))
    }

    /// The version of a package that apt would install.
    fn candidate(&self, package: &str) -> Result<String> {
        let policy = self.run("apt-cache", &["policy", package])?;
        candidate(&String::from_utf8_lossy(&policy.stdout)).with_context(|| {
            format!("no apt source of this machine offers {package} for {ARCHITECTURE}")
        })
    }

    /// The package behind a package without content.
    fn dependency(&self, package: &str, prefix: &str) -> Result<String> {
        let depends = self.run("apt-cache", &["depends", package])?;
        dependency(&String::from_utf8_lossy(&depends.stdout), prefix)
            .with_context(|| format!("{package} depends on no {prefix}*"))
    }

    /// Fetches and unpacks a package; gives where.
    pub(super) fn unpack(&self, package: &str) -> Result<PathBuf> {
        println!("Fetching {package} {}", self.candidate(package)?);
        let fetched = self.run("apt-get", &["download", package])?;
        ensure!(
            fetched.status.success(),
            "apt-get download {package}: {}",
            String::from_utf8_lossy(&fetched.stderr).trim()
        );
        let archive = fs::read_dir(&self.directory)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
            })
            .with_context(|| format!("apt-get left no file of {package}"))?;
        let unpacked = self.directory.join(package);
        let status = Command::new("dpkg-deb")
            .arg("-x")
            .args([&archive, &unpacked])
            .status()
            .context("dpkg-deb cannot be started")?;
        ensure!(
            status.success(),
            "dpkg-deb cannot unpack {}",
            archive.display()
        );
        fs::remove_file(archive)?;
        Ok(unpacked)
    }
}

fn candidate(policy: &str) -> Option<String> {
    let version = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate:"))?
        .trim();
    (version != "(none)").then(|| version.to_owned())
}

fn dependency(depends: &str, prefix: &str) -> Option<String> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends:"))
        .map(str::trim)
        .find(|name| name.starts_with(prefix))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_kept_and_loaded_as_they_are_packed() {
        let package = tempfile::tempdir().unwrap();
        let place = package
            .path()
            .join("lib/modules/6.12.1/kernel/arch/powerpc/kvm");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("kvm.ko"), "plain").unwrap();
        let kept = package.path().join("kept");
        let error = keep_modules(package.path(), &kept).unwrap_err();
        assert!(error.to_string().contains("kvm-hv.ko"), "{error:#}");
        assert!(!kept.exists());
        fs::write(place.join("kvm-hv.ko.xz"), "packed").unwrap();
        keep_modules(package.path(), &kept).unwrap();
        let commands: Vec<_> = KVM_MODULES
            .iter()
            .map(|module| module_in(&kept, module).unwrap().commands())
            .collect();
        assert_eq!(
            commands,
            [
                "insmod /modules/kvm.ko\n",
                "unxz /modules/kvm-hv.ko.xz\ninsmod /modules/kvm-hv.ko\n"
            ]
        );
    }

    #[test]
    fn what_apt_says() {
        let policy =
            "linux-image-x:\n  Installed: (none)\n  Candidate: 6.1.176-1\n  Version table:\n";
        assert_eq!(candidate(policy).as_deref(), Some("6.1.176-1"));
        assert_eq!(candidate("x:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
        let depends = "linux-image-powerpc64le\n  Depends: linux-image-6.1.0-50-powerpc64le\n";
        assert_eq!(
            dependency(depends, "linux-image-").as_deref(),
            Some("linux-image-6.1.0-50-powerpc64le")
        );
        assert_eq!(dependency("x\n  Depends: libc6\n", "linux-image-"), None);
    }
}
