//! The verb `linux`: Debian's kernel on the image, for people and for tests.

mod archive;
mod checks;
pub(crate) mod debian;
mod faults;
mod kexec;
mod kvm;
mod program;
pub(crate) mod session;
mod suite;

pub(crate) use kvm::bounded as bounded_guests;
pub(crate) use program::clippy as monitor_clippy;
pub(crate) use suite::{bounded, matrix};

use crate::{
    image,
    qemu::{Configuration, Payload, ending::Ending},
    run::MachineArguments,
    testing::tally::Tally,
};
use anyhow::{Result, ensure};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `linux`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    machine: MachineArguments,
    /// The kernel; by default Debian's, fetched with apt
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// The initial file system; by default Debian's busybox and a shell
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// More for the kernel's command line
    #[arg(long, value_name = "TEXT", default_value = "")]
    append: String,
    /// Instead of a shell: boot every machine in every shape, and check each; with --kvm, strike under
    /// guests on each
    #[arg(long)]
    matrix: bool,
    /// Of the matrix, only the tests whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "", requires = "matrix")]
    only: String,
    /// Instead of a shell: start guests under the kernel's KVM, with time of their own, and check it
    #[arg(long, conflicts_with_all = ["kernel", "initrd"])]
    kvm: bool,
    /// Instead of a shell: break the timebase so many times under the running kernel
    #[arg(long, value_name = "N", default_value_t = 0)]
    faults: u32,
    /// With --faults: the threads take turns, by instructions, so that a busy host keeps none of them
    /// from its time
    #[arg(long, requires = "faults")]
    in_turns: bool,
    /// Replays the faults of an earlier run
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// The verb.
pub(crate) fn verb(arguments: &Arguments) -> Result<bool> {
    let qemu = image::require_qemu()?;
    let (kernel, initrd) = (arguments.kernel.as_deref(), arguments.initrd.as_deref());
    let system = if arguments.kvm {
        debian::kvm_system(&program::build()?)?
    } else if arguments.matrix || arguments.faults > 0 {
        debian::system(kernel, initrd, Some(&program::build()?))?
    } else {
        debian::system(kernel, initrd, None)?
    };
    let image = image::build(&[])?;
    image.audit.verdict()?;
    if arguments.matrix {
        let mut tally = Tally::default();
        let bench = suite::Bench {
            qemu: &qemu,
            image: &image,
            system: &system,
            append: &arguments.append,
            only: &arguments.only,
        };
        if arguments.kvm {
            kvm::matrix(&mut tally, &bench);
        } else {
            matrix(&mut tally, &bench);
        }
        tally.print(false);
        return Ok(tally.good(false));
    }
    let (machine, topology) = (arguments.machine.machine, arguments.machine.topology()?);
    if arguments.faults > 0 || arguments.kvm {
        let guests = if arguments.kvm {
            kvm::guests(topology.total())
        } else {
            Vec::new()
        };
        ensure!(
            !arguments.kvm || !guests.is_empty(),
            "one thread is the host's, so guests need a second"
        );
        let seed = arguments.seed.unwrap_or_else(crate::run::random_seed);
        println!(
            "{} faults, seed {seed}, on {machine}, {topology}",
            arguments.faults
        );
        let bench = suite::Bench {
            qemu: &qemu,
            image: &image,
            system: &system,
            append: &arguments.append,
            only: "",
        };
        let shape = if arguments.kvm {
            kvm::shape(machine, topology)
        } else {
            checks::Shape {
                machine,
                topology,
                hash: false,
                counted: arguments.in_turns,
            }
        };
        let campaign = faults::Campaign {
            faults: arguments.faults,
            seed,
            guests: &guests,
        };
        return faults::verb(&bench, &shape, campaign);
    }
    println!("Machine: {machine}, {topology}. Ctrl-A X ends QEMU.");
    let command_line = format!("console=hvc0 {}", arguments.append);
    let configuration = Configuration {
        program: &qemu,
        machine,
        topology,
        lpar_per_core: arguments.machine.lpar_per_core,
        image: &image.flat,
        debugged: false,
        counted: false,
        payload: Some(Payload {
            kernel: &system.kernel,
            initrd: Some(&system.initrd),
            command_line: command_line.trim_end(),
            restarts: true,
            counted: false,
        }),
    };
    Ok(configuration.interact()? == Ending::Exit(0))
}
