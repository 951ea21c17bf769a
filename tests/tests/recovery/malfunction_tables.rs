//! The decoders of a malfunction alert, row by row: HMI and ChipTOD specification, section 5.4.

use super::*;
use opal_abi::hmi_event::Checkstop;
use opaline_firmware::decisions::{Decisions, Table};
use opaline_firmware::platform;
use opaline_tests::{Event, Role};
use power_registers::ibm;

const NX_GENERATIONS: [Generation; 2] = [Generation::Power8, Generation::Power9];

/// The reason of a core FIR bit; `None` = alone it is no checkstop.
fn core_reason(generation: Generation, bit: u32) -> Option<u32> {
    let reason = match bit {
        3 => 0x1,
        5 => 0x2,
        8 => 0x4,
        12 => 0x10,
        25 => 0x40,
        32 => 0x100,
        36 => 0x200,
        38 => 0x400,
        45 => 0x800,
        52 => 0x2000,
        63 => 0x1_0000,
        _ if generation == Generation::Power10 => match bit {
            1 | 14 | 16 | 22 | 28 | 41 | 57 | 58 => 0,
            23 => 0x2_0000,
            47 => 0x800,
            53 | 55 => 0x4000,
            62 => 0x1_0000,
            _ => return None,
        },
        10 => 0x8,
        21 => 0x20,
        26 => 0x80,
        48 => 0x1000,
        54 => 0x4000,
        _ => return None,
    };
    Some(reason)
}

/// What the OS is told of malfunctions when `fault` strikes and chip 0 alarms.
fn told(bench: &Bench, hits: Option<(Table, &mut u64)>, faults: &[Fault]) -> Vec<Event> {
    let system = bench.booted_system();
    for fault in faults {
        bench.machine.inject(fault);
    }
    let configuration = bench.machine.configuration();
    let mut run = bench.run(&system, Schedule::Seeded(1));
    for thread in 0..configuration.threads() {
        if bench.machine.checkstopped(configuration.core_of(thread)) {
            run = run.role(thread, Role::Lost);
        }
    }
    let ran = run.go();
    if let Some((table, hits)) = hits {
        *hits |= system.decisions.hits(table);
    }
    bench.assert_hmer_clean(&ran);
    bench.assert_rules_kept();
    let about = |event: &Event| event.event_type == 0 || event.event_type == 12;
    ran.events.into_iter().filter(about).collect()
}

fn stop_of(events: &[Event]) -> Option<Checkstop> {
    assert_eq!(events.len(), 1, "{events:#x?}");
    events[0].checkstop
}

fn rows(table: Table, generation: Generation) -> u64 {
    let generation = match generation {
        Generation::Power8 => platform::Generation::Power8,
        Generation::Power9 => platform::Generation::Power9,
        Generation::Power10 => platform::Generation::Power10,
    };
    Decisions::rows(table, generation)
}

#[test]
fn every_bit_of_a_core_fir() {
    for generation in GENERATIONS {
        let mut hits = 0;
        for bit in 0..64 {
            let bench = bench(generation, 1, 2, 1);
            let (core, bits, pir) = (1, ibm(bit), bench.pir(1).0);
            let faults = [Fault::CoreFir { core, bits }, Fault::Alert { chip: 0 }];
            let events = told(&bench, Some((Table::CoreFir, &mut hits)), &faults);
            let wanted = core_reason(generation, bit);
            let wanted = wanted.map(|reason| Checkstop::Core { reason, pir });
            assert_eq!(stop_of(&events), wanted, "{generation:?} bit {bit}");
            assert!(!events[0].recovered && events[0].severity == 3);
        }
        assert_eq!(hits, rows(Table::CoreFir, generation), "{generation:?}");
    }
}

/// Reasons are joined; bits that are no reason by themselves add none, but on POWER10 bit 26 tells
/// more of a core that stopped for another one.
#[test]
fn several_bits_are_one_event() {
    for generation in GENERATIONS {
        let bench = bench(generation, 1, 2, 1);
        let (core, pir) = (1, bench.pir(1).0);
        let bits = ibm(8) | ibm(26) | ibm(43) | ibm(60) | ibm(63);
        let reason = 0x4 | 0x80 | 0x1_0000;
        let events = told(&bench, None, &[Fault::CoreFir { core, bits }]);
        assert_eq!(stop_of(&events), Some(Checkstop::Core { reason, pir }));
    }
}

#[test]
fn masked_bits_do_not_count() {
    for generation in GENERATIONS {
        let bench = bench(generation, 1, 2, 1);
        let fir = bench.machine.configuration().core_fir(1);
        let mut hardware = bench.hardware(0);
        let system = bench.booted_system();
        let chip = bench.platform.chips[0].id;
        let mask = ibm(12);
        system
            .xscom
            .write(&mut hardware, &bench.platform, chip, fir + 3, mask)
            .expect("FIR mask");
        let bits = ibm(12);
        let faults = [Fault::CoreFir { core: 1, bits }, Fault::Alert { chip: 0 }];
        assert_eq!(stop_of(&told(&bench, None, &faults)), None);
    }
}

#[test]
fn every_bit_of_the_nx_firs() {
    let dma_rows = [
        (1, 0x1),
        (15, 0x2),
        (16, 0x4),
        (20, 0x8),
        (21, 0x10),
        (22, 0x20),
        (23, 0x40),
        (24, 0x80),
        (25, 0x100),
        (26, 0x200),
        (27, 0x400),
        (31, 0x800),
        (32, 0x1000),
    ];
    for generation in NX_GENERATIONS {
        let mut hits = 0;
        for bit in 0..64 {
            let row = dma_rows.iter().find(|row| row.0 == bit);
            let dma = row.map_or(0, |row| row.1);
            let pbi = if bit == 12 { 0x2000 } else { 0 };
            for (faults, reason) in [((ibm(bit), 0), dma), ((0, ibm(bit)), pbi)] {
                let bench = bench(generation, 2, 1, 1);
                let (chip, (dma, pbi)) = (1, faults);
                let faults = [Fault::Nx { chip, dma, pbi }];
                let events = told(&bench, Some((Table::Nx, &mut hits)), &faults);
                let wanted = Checkstop::Nx { reason, chip: 1 };
                assert_eq!(stop_of(&events), Some(wanted), "{generation:?} bit {bit}");
                assert!(!events[0].recovered && events[0].severity == 3);
            }
        }
        assert_eq!(hits, rows(Table::Nx, generation));
    }
}

/// FIR bits of an NX that does not ask for attention are nobody's business.
#[test]
fn nx_counts_only_when_it_asks() {
    for generation in NX_GENERATIONS {
        let bench = bench(generation, 1, 1, 1);
        let dma = match generation {
            Generation::Power8 => 0x0201_3100,
            _ => 0x0201_1100,
        };
        let system = bench.booted_system();
        let chip = bench.platform.chips[0].id;
        let write = system
            .xscom
            .write(&mut bench.hardware(0), &bench.platform, chip, dma, ibm(20));
        write.expect("NX FIR");
        assert_eq!(
            stop_of(&told(&bench, None, &[Fault::Alert { chip: 0 }])),
            None
        );
    }
}

#[test]
fn a_capp_that_recovers_is_harmless() {
    for generation in NX_GENERATIONS {
        let mut hits = 0;
        let mut configuration = Configuration::new(generation, 2, 1, 2);
        let second = match generation {
            Generation::Power8 => 0x180,
            _ => 0x0200_0000,
        };
        configuration.capps = vec![0, second];
        for unit in 0..2 {
            let bench = Bench::new(configuration.clone());
            let (chip, bits) = (1, ibm(33));
            let faults = [Fault::Capp { chip, unit, bits }];
            let events = told(&bench, Some((Table::Capp, &mut hits)), &faults);
            assert_eq!(events.len(), 1);
            let event = events[0];
            let found = (event.event_type, event.severity, event.recovered);
            assert_eq!(found, (12, 0, true), "{generation:?} unit {unit}");
        }
        assert_eq!(hits, rows(Table::Capp, generation));
    }
}

#[test]
fn every_bit_of_an_npu_or_pau() {
    for generation in GENERATIONS {
        let mut hits = 0;
        let firs = if generation == Generation::Power8 {
            1
        } else {
            3
        };
        for fir in 0..firs {
            for bit in 0..64 {
                let bench = bench(generation, 2, 1, 1);
                let (chip, unit, bits) = (1, 0, ibm(bit));
                let faults = [Fault::Npu {
                    chip,
                    unit,
                    fir,
                    bits,
                }];
                let events = told(&bench, Some((Table::Npu, &mut hits)), &faults);
                let reason = match generation {
                    Generation::Power8 => 0,
                    _ => (fir as u8) << 6 | bit as u8,
                };
                let (reasons, chip) = ([reason, 0, 0, 0], 1);
                let wanted = Checkstop::Npu { reasons, chip };
                assert_eq!(stop_of(&events), Some(wanted), "{generation:?} {fir} {bit}");
                assert!(events[0].recovered && events[0].severity == 1);
            }
        }
        assert_eq!(hits, rows(Table::Npu, generation));
    }
}

/// Reasons are of one unit: nothing of the first is told of the second.
#[test]
fn two_paus_have_their_own_reasons() {
    let bench = bench(Generation::Power10, 1, 1, 2);
    let fault = |unit, fir, bits| Fault::Npu {
        chip: 0,
        unit,
        fir,
        bits,
    };
    let all = ibm(1) | ibm(2) | ibm(3) | ibm(4) | ibm(5);
    let faults = [fault(0, 0, all), fault(1, 2, ibm(63))];
    let found: Vec<_> = told(&bench, None, &faults)
        .iter()
        .map(|event| event.checkstop)
        .collect();
    let npu = |reasons| Some(Checkstop::Npu { reasons, chip: 0 });
    assert_eq!(found, [npu([1, 2, 3, 4]), npu([0xbf, 0, 0, 0])]);
}
