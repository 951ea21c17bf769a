//! What every platform promises to the rest of the firmware, and a first use of it.

use crate::hostile::chaos::Chaos;
use flight_recorder::FlightRecorder;
use opaline_firmware::chip_tod::aim;
use opaline_firmware::console::Console;
use opaline_firmware::hardware::Pir;
use opaline_firmware::platform::{
    MAX_CHIPS, MAX_CORE_THREADS, MAX_CORES, MAX_MEMORY_RANGES, MAX_THREADS, Platform, TodRole,
};
use opaline_firmware::system::System;
use std::ops::Range;

static RECORDER: FlightRecorder = FlightRecorder::new();

/// Checks everything.
pub(super) fn judge(platform: &Platform) {
    chips(platform);
    cores(platform);
    memory(platform);
    assert_ne!(platform.core_hz, 0);
    assert!(platform.uart_port <= 0xfff8);
    start(platform);
}

fn chips(platform: &Platform) {
    let chips = &platform.chips;
    assert!((1..=MAX_CHIPS).contains(&chips.len()), "{chips:?}");
    assert!(chips.is_sorted_by(|a, b| a.id < b.id), "{chips:?}");
    let windows: Vec<_> = chips
        .iter()
        .map(|chip| window(chip.xscom_base, chip.xscom_size))
        .collect();
    disjoint(windows);
    let with = |role| {
        chips
            .iter()
            .filter(|chip| chip.chip_tod == Some(role))
            .count()
    };
    let (primary, secondary) = (with(TodRole::Primary), with(TodRole::Secondary));
    assert!(primary <= 1 && secondary <= 1, "{chips:?}");
    let any = chips.iter().any(|chip| chip.chip_tod.is_some());
    assert!(!any || primary == 1, "{chips:?}");
}

fn window(start: u64, size: u64) -> Range<u64> {
    assert!(start.is_multiple_of(8) && size >= 8);
    start
        ..start
            .checked_add(size)
            .expect("a window that does not wrap around")
}

fn disjoint(mut ranges: Vec<Range<u64>>) {
    ranges.sort_unstable_by_key(|range| range.start);
    for pair in ranges.windows(2) {
        assert!(pair[0].end <= pair[1].start, "{pair:x?} overlap");
    }
}

fn cores(platform: &Platform) {
    let cores = &platform.cores;
    assert!((1..=MAX_CORES).contains(&cores.len()));
    let mut pirs: Vec<u32> = Vec::new();
    for core in cores {
        assert!((1..=MAX_CORE_THREADS).contains(&core.threads.len()));
        assert!(platform.chip(core.chip).is_some(), "{core:?}");
        pirs.extend(core.threads.iter().map(|pir| pir.0));
    }
    for (index, core) in cores.iter().enumerate() {
        // Halves know each other, and are on one chip.
        assert_eq!(core.fused, core.pair.is_some(), "{core:?}");
        if let Some(other) = core.pair.map(|pair| &cores[pair]) {
            assert!(
                other.pair == Some(index) && other.chip == core.chip,
                "{core:?}, {other:?}"
            );
        }
    }
    assert!(pirs.len() <= MAX_THREADS && pirs.len() == platform.thread_count());
    assert!(pirs.iter().all(|pir| *pir < 1 << 15));
    for (index, pir) in pirs.iter().enumerate() {
        assert_eq!(platform.thread_index(Pir(*pir)), Some(index));
    }
    pirs.sort_unstable();
    assert!(pirs.windows(2).all(|pair| pair[0] != pair[1]), "{pirs:x?}");
}

fn memory(platform: &Platform) {
    let memory = &platform.memory;
    assert!((1..=MAX_MEMORY_RANGES).contains(&memory.len()));
    let ranges = memory.iter().map(|range| {
        assert_ne!(range.size, 0);
        let end = range
            .start
            .checked_add(range.size)
            .expect("memory that does not wrap around");
        range.start..end
    });
    // What is memory is not a register: a pointer check would let the OS have it.
    let windows = platform
        .chips
        .iter()
        .map(|chip| window(chip.xscom_base, chip.xscom_size));
    disjoint(ranges.chain(windows).collect());
}

/// The firmware starts with it and reaches only what belongs to the platform.
fn start(platform: &Platform) {
    let system = match System::new(platform, &RECORDER) {
        Ok(system) => system,
        Err(error) => {
            assert!(!format!("{error:?}").is_empty());
            return;
        }
    };
    for core in &platform.cores {
        let _ = aim(platform, core, core.threads[0], u64::MAX);
    }
    let pir = platform.cores[0].threads[0];
    let mut hardware = Chaos::silent(platform, pir);
    for chip in &platform.chips {
        for address in [0, 0x40000, 0x2010_a801, u32::MAX] {
            let _ = system.xscom.read(&mut hardware, platform, chip.id, address);
        }
    }
    let console = Console::new(None);
    let _ = console.initialise(&mut hardware, platform, &system.xscom);
    assert!(hardware.accesses() < 10_000_000, "{}", hardware.accesses());
}
