//! The image on QEMU: every machine in several shapes, left alone and struck from outside.

use super::tally::Tally;
use crate::{
    image::{self, Image},
    progress::Progress,
    qemu::topology::{Machine, Topology},
    replay::{FAULTS_PER_CORE, Plan},
    run::{Played, Scenario},
};
use std::{ffi::OsStr, time::Instant};

/// Threads and chips.
const SHAPES: &[(u32, u32)] = &[(1, 1), (4, 1), (8, 1), (8, 2)];
/// Faults of each campaign in the test run; `cargo xtask campaign` strikes more.
const FAULTS: u32 = 5;
/// Faults of each campaign in haste.
const HASTY_FAULTS: u32 = 40;
/// Features that take something vital out of the image.
const MUTATIONS: &[&str] = &["mutate-skip-tb-repair", "mutate-skip-offset"];

/// Boots every machine in every shape; the image breaks its own timebase and judges itself.
pub(super) fn alone(tally: &mut Tally, qemu: &OsStr, image: &Image) {
    for machine in Machine::ALL {
        for (total, chips) in SHAPES {
            for lpar_per_core in worlds(machine, *total) {
                play(
                    tally,
                    scenario(qemu, image, machine, *total, *chips, lpar_per_core, None),
                );
            }
        }
    }
}

/// Strikes faults from outside, in both timebase worlds.
pub(super) fn struck(tally: &mut Tally, qemu: &OsStr, image: &Image) {
    for machine in Machine::ALL {
        for total in [4, 8] {
            for lpar_per_core in worlds(machine, total) {
                play(
                    tally,
                    scenario(qemu, image, machine, total, 1, lpar_per_core, Some(FAULTS)),
                );
            }
        }
        if machine != Machine::Powernv8 {
            let big_cores = scenario(qemu, image, machine, 8, 1, false, Some(FAULTS));
            play(
                tally,
                big_cores.and_then(|scenario| {
                    let topology = Topology::new(machine, 8, 1, None, true)?;
                    Ok(Scenario {
                        topology,
                        ..scenario
                    })
                }),
            );
        }
    }
}

/// Guests that come and go as fast as can be, on two chips.
pub(super) fn hasty(tally: &mut Tally, qemu: &OsStr, image: &Image) {
    for machine in [Machine::Powernv9, Machine::Powernv10] {
        let faults = Some(HASTY_FAULTS);
        play(
            tally,
            scenario(qemu, image, machine, 8, 2, false, faults).map(|scenario| Scenario {
                hasty: true,
                ..scenario
            }),
        );
    }
}

/// Runs that a seed decides: twice the same bytes.
pub(super) fn replayed(tally: &mut Tally, qemu: &OsStr, image: &Image) {
    for machine in [Machine::Powernv9, Machine::Powernv10] {
        let seed = crate::run::random_seed().max(1);
        let name = format!("{machine}, 8 threads on 2 chips, seed {seed} replays exactly");
        let compared = Topology::new(machine, 8, 2, None, false).and_then(|topology| {
            let plan = Plan {
                qemu,
                image,
                machine,
                topology,
                lpar_per_core: false,
                faults_per_core: FAULTS_PER_CORE,
                hasty: true,
            };
            plan.compare(seed)
        });
        match compared {
            Ok((failures, _)) => tally.check(&name, &failures),
            Err(error) => tally.fail(&name, &format!("{error:#}")),
        }
    }
}

/// Images with something taken out: a run that still passes shows that the checks check nothing.
pub(super) fn mutations(tally: &mut Tally, qemu: &OsStr) {
    for mutation in MUTATIONS {
        let name = format!("{mutation} is noticed");
        let image = match image::build(&[(*mutation).to_owned()]) {
            Ok(image) => image,
            Err(error) => {
                tally.fail(&name, &format!("{error:#}"));
                continue;
            }
        };
        for machine in [Machine::Powernv9, Machine::Powernv10] {
            let scenario = scenario(qemu, &image, machine, 4, 1, false, Some(FAULTS));
            let name = format!(
                "{name} on {}",
                scenario
                    .as_ref()
                    .map_or_else(|_| machine.to_string(), Scenario::name)
            );
            match scenario.and_then(|scenario| quietly(&name, &scenario)) {
                // Only the image's and the injector's own findings count: an injector that could
                // not work at all would prove nothing.
                Ok(played) if played.struck.is_none() => {
                    tally.fail(
                        &name,
                        &format!("the faults were not struck: {}", played.failures.join("; ")),
                    );
                }
                Ok(played) if played.failures.is_empty() => tally.fail(&name, "every check held"),
                Ok(_) => tally.pass(&name),
                Err(error) => tally.fail(&name, &format!("{error:#}")),
            }
        }
    }
}

/// Whether the threads of a core share one TB: POWER8 always, the others can do both. With one
/// thread in a core both are the same.
fn worlds(machine: Machine, total: u32) -> impl Iterator<Item = bool> {
    let shared = machine != Machine::Powernv8 && total > 1;
    [false].into_iter().chain(shared.then_some(true))
}

fn scenario<'a>(
    qemu: &'a OsStr,
    image: &'a Image,
    machine: Machine,
    total: u32,
    chips: u32,
    lpar_per_core: bool,
    faults: Option<u32>,
) -> anyhow::Result<Scenario<'a>> {
    let topology = Topology::new(machine, total, chips, None, false)?;
    let seed = crate::run::random_seed();
    Ok(Scenario {
        qemu,
        image,
        machine,
        topology,
        lpar_per_core,
        faults,
        seed,
        hasty: false,
    })
}

fn quietly(name: &str, scenario: &Scenario<'_>) -> anyhow::Result<Played> {
    let progress = Progress::start(name);
    scenario.play(|| Box::new(|_| {}), &mut |text| {
        progress.say(&format!("{name}: {text}"))
    })
}

fn play(tally: &mut Tally, scenario: anyhow::Result<Scenario<'_>>) {
    let scenario = match scenario {
        Ok(scenario) => scenario,
        Err(error) => return tally.fail("a machine", &format!("{error:#}")),
    };
    let start = Instant::now();
    let name = scenario.name();
    let name = match scenario.faults {
        Some(faults) => format!("{name}, {faults} faults, seed {}", scenario.seed),
        None => name,
    };
    match quietly(&name, &scenario) {
        Ok(played) => {
            if !played.failures.is_empty() {
                for line in played.remains.console.iter().rev().take(30).rev() {
                    println!("      {line}");
                }
                print!("{}", played.remains.errors);
            }
            let name = format!("{name} ({:.1} s)", start.elapsed().as_secs_f64());
            tally.check(&name, &played.failures);
        }
        Err(error) => tally.fail(&name, &format!("{error:#}")),
    }
}
