//! The verb `test`: every test there is, the parts that cannot run here named.

pub(crate) mod big_endian;
mod cargo_tests;
mod machines;
pub(crate) mod miri;
pub(crate) mod orderings;
pub(crate) mod tally;

use crate::{bench, conformance, image, linux};
use anyhow::Result;
use std::time::Instant;
use tally::Tally;

/// Packages whose code is in the image, or models the hardware for it: they also run as a
/// big-endian program and under Miri.
const PORTABLE: &[&str] = &[
    "power-registers",
    "opal-abi",
    "flight-recorder",
    "lpc-uart",
    "xive-controller",
    "tree-writer",
    "opaline-firmware",
    "hypervisor-shim",
    "hardware-model",
    "opaline-tests",
];

/// The verb.
pub(crate) fn verb(strict: bool) -> Result<bool> {
    let mut tally = Tally::default();
    everything(&mut tally);
    tally.print(strict);
    Ok(tally.good(strict))
}

/// Runs all parts into `tally`.
pub(crate) fn everything(tally: &mut Tally) {
    // Before the host tests: some of them talk to a real QEMU, and would go without if it came later.
    let qemu = image::require_qemu();
    part("Host tests", || cargo_tests::host(tally, qemu.is_ok()));
    side_by_side(tally, emulated, interpreted_and_mutated);
    let mut built = None;
    part("Image and audits", || match image::build(&[]) {
        Ok(image) => {
            tally.pass("image builds");
            image.audit.print(false);
            image.audit.tally(tally);
            built = Some(image);
        }
        Err(error) => tally.fail("image builds", &format!("{error:#}")),
    });
    let qemu = match qemu {
        Ok(qemu) => qemu,
        Err(error) => return tally.skip("QEMU tests", &format!("{error:#}")),
    };
    if let Some(image) = built {
        part("Boot, guests and self-inflicted faults on QEMU", || {
            machines::alone(tally, &qemu, &image);
        });
        part("Faults struck from outside on QEMU", || {
            machines::struck(tally, &qemu, &image)
        });
        part("Faults on QEMU under guests in haste, on two chips", || {
            machines::hasty(tally, &qemu, &image);
        });
        part("Replay on QEMU: time counted in instructions", || {
            machines::replayed(tally, &qemu, &image);
        });
        part("Figures beside the reference, on QEMU", || {
            bench::bounded(tally, &qemu, &image);
        });
        part("OPAL calls, compared with skiboot's", || {
            conformance::bounded(tally, &qemu, &image);
        });
        part("Linux", || linux::bounded(tally, &qemu, &image));
        part("Guests of Linux's KVM", || {
            linux::bounded_guests(tally, &qemu, &image);
        });
    } else {
        tally.skip("QEMU tests", "the image does not build");
    }
    part("Mutations on QEMU", || machines::mutations(tally, &qemu));
}

/// Two halves of what needs no machine and has no clock. Miri uses one processor, whatever there is.
fn emulated(tally: &mut Tally) {
    part("The same as a big-endian program", || {
        big_endian::run(tally)
    });
    part("Concurrent code: schedules", || orderings::schedules(tally));
}

/// The other half.
fn interpreted_and_mutated(tally: &mut Tally) {
    part("The same under Miri", || miri::run(tally));
    part("Concurrent code under Miri", || {
        miri::seeds(tally, miri::SEEDS);
    });
    part("Concurrent code: memory orderings", || {
        orderings::loom(tally);
    });
    part(
        "Mutants of the protocol and of its orderings, every tenth",
        || match crate::mutants::sample() {
            Ok(true) => tally.pass("mutants are noticed by the checks that they name"),
            Ok(false) => tally.fail(
                "mutants",
                "not all are noticed by the checks that they name",
            ),
            Err(error) => tally.fail("mutants", &format!("{error:#}")),
        },
    );
}

/// Runs both at the same time.
fn side_by_side(tally: &mut Tally, one: fn(&mut Tally), other: fn(&mut Tally)) {
    let mut beside = Tally::default();
    std::thread::scope(|scope| {
        scope.spawn(|| other(&mut beside));
        one(tally);
    });
    tally.join(beside);
}

fn part(name: &str, work: impl FnOnce()) {
    println!("\n{name}");
    let start = Instant::now();
    work();
    println!("  {name}: {:.1} s", start.elapsed().as_secs_f64());
}
