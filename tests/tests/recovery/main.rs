//! The firmware's HMI recovery, boot and resync against the hardware model.

mod boot;
mod bring_up;
mod chip_tod;
mod exhaustive;
mod exits;
mod fused;
mod golden;
mod hmer;
mod hmer_bits;
mod lies;
mod malfunction;
mod malfunction_tables;
mod parallel;
mod participants;
mod random;
mod restart;
mod resync;
mod resync_corrupt;
mod stalls;
mod sub_cores;
mod switch;
mod timebase;
mod tod_errors;
mod tod_random;
mod xscom;

use hardware_model::{Configuration, CoreError, Fault, Generation, Register};
use opaline_tests::{Bench, Schedule};
use power_registers::chip_tod::TodRegister;
use power_registers::{Hmer, Tfmr};

const GENERATIONS: [Generation; 3] = [Generation::Power8, Generation::Power9, Generation::Power10];

/// A few orders of threads, and the one that the host happens to choose. Fewer where they are emulated:
/// the order of bytes is the same in all of them.
fn schedules() -> impl Iterator<Item = Schedule> {
    let seeds = if cfg!(target_endian = "big") { 3 } else { 12 };
    (0..seeds).map(Schedule::Seeded).chain([Schedule::Free])
}

fn bench(generation: Generation, chips: usize, cores: usize, threads: usize) -> Bench {
    Bench::new(Configuration::new(generation, chips, cores, threads))
}

/// As many threads as a core of this generation has at most.
fn most_threads(generation: Generation) -> usize {
    if generation == Generation::Power8 {
        8
    } else {
        4
    }
}

fn core_fault(core: usize, error: CoreError) -> Fault {
    Fault::Core { core, error }
}

/// A write to a ChipTOD register of chip 0.
fn tod(register: TodRegister) -> Register {
    Register::ScomWrite {
        chip: 0,
        address: register.address(),
    }
}

/// The base value of the bench with these bits.
fn base_and(bench: &Bench, bits: Tfmr) -> u64 {
    bench.machine.configuration().base() | bits.bits()
}

/// What clears the timer's cause in HMER, and no bit that was not seen.
const CLEAR_TFAC: u64 = !Hmer::TFAC_ERROR.bits();
