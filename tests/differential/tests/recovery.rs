//! The firmware's own recoveries, replayed on QEMU.
//!
//! The firmware repairs a fault on the strict model; what it wrote is then performed by a bare
//! program in QEMU, from the same state of TB, and each step compared. So a recovery that only the
//! model allows is seen.
//!
//! Without `qemu-system-ppc64` the tests are skipped, by name; with `OPALINE_STRICT` set they fail.

use differential::access::{Access, Operation};
use differential::{directed, player, qemu};
use hardware_model::{Configuration, CoreError, Fault, Generation, Register, TimebaseCopies};
use opaline_tests::{Bench, Schedule};
use power_registers::chip_tod::TodRegister;
use power_registers::{Spr, TbState, Tfmr};

/// What the firmware did, with time for QEMU after each command.
fn replay(trace: &[hardware_model::Access]) -> Vec<Access> {
    let mut sequence = Vec::new();
    for access in trace {
        let thread = access.thread;
        let operation = match access.register {
            Register::Spr(spr) => Operation::WriteSpr(spr, access.value),
            Register::ScomWrite { chip, address } => Operation::WriteScom {
                chip,
                address,
                value: access.value,
            },
            Register::ScomRead { chip, address } => Operation::ReadScom { chip, address },
        };
        sequence.push(Access { thread, operation });
        match operation {
            Operation::WriteSpr(Spr::Tfmr, _) => sequence.extend(directed::settled(thread)),
            Operation::WriteScom { address, .. }
                if address == TodRegister::MoveTodToTb.address() =>
            {
                sequence.extend(directed::settled(thread));
            }
            _ => {}
        }
    }
    sequence
}

#[test]
fn what_the_firmware_writes_repairs_qemu_too() {
    const NAME: &str = "what_the_firmware_writes_repairs_qemu_too";
    let Some(qemu) = qemu::find() else {
        assert!(
            std::env::var_os("OPALINE_STRICT").is_none(),
            "{NAME}: qemu-system-ppc64 is missing"
        );
        eprintln!("SKIPPED {NAME}: qemu-system-ppc64 is missing");
        return;
    };
    let mut accesses = 0;
    for generation in [Generation::Power9, Generation::Power10] {
        for threads in [1, 2, 4] {
            for (error, state) in [
                (CoreError::FirmwareControl, TbState::Error),
                (CoreError::StuckMove, TbState::GetTod),
            ] {
                let name = format!("{generation:?}, {threads} threads, {error:?}");
                let mut configuration = Configuration::new(generation, 1, 1, threads);
                configuration.core_hz = 1_000_000_000;
                let bench = Bench::new(configuration.clone());
                let system = bench.booted_system();
                bench.machine.inject(&Fault::Core { core: 0, error });
                for thread in 0..threads {
                    bench.machine.inject(&Fault::Hmer {
                        threads: vec![thread],
                        bits: power_registers::Hmer::TFAC_ERROR.bits(),
                    });
                }
                bench.machine.clear_trace();
                let ran = bench.run(&system, Schedule::Seeded(threads as u64)).go();
                assert!(ran.events.iter().all(|event| event.recovered), "{name}");
                bench.assert_core_good(0);

                let trace = bench.machine.trace();
                for needed in [
                    Register::Spr(Spr::Tfmr),
                    Register::ScomWrite {
                        chip: 0,
                        address: TodRegister::MoveTodToTb.address(),
                    },
                ] {
                    let made = trace.iter().any(|access| access.register == needed);
                    assert!(made, "{name}: no {needed:?}");
                }

                let mut alike = player::like_qemu(configuration);
                alike.copies = TimebaseCopies::PerThread;
                let mut sequence = directed::way_to(&alike, state);
                sequence.extend(replay(&trace));
                sequence.extend((0..threads).flat_map(directed::settled));
                let values = qemu::perform(&qemu, &alike, &sequence).expect("QEMU runs");
                let outcome = player::compare(alike, &sequence, &values);
                if let Some(disagreement) = outcome.disagreements.first() {
                    panic!("{name}: {disagreement}");
                }
                let last = Tfmr::from_bits_retain(*values.last().expect("there are accesses"));
                assert_eq!(last.state(), TbState::Running, "{name}: {last:?}");
                assert!(last.tb_usable() && !last.intersects(Tfmr::CORE_ERRORS | Tfmr::COMMANDS));
                accesses += outcome.accesses;
            }
        }
    }
    println!("{accesses} accesses");
}
