//! What every platform promises to the rest of the firmware, and a first use of it.

use flight_recorder::FlightRecorder;
use opaline_firmware::chip_tod::aim;
use opaline_firmware::console::Console;
use opaline_firmware::hardware::{Hardware, Pir};
use opaline_firmware::platform::{
    LpcBus, MAX_CHIPS, MAX_CORE_THREADS, MAX_CORES, MAX_MEMORY_RANGES, MAX_THREADS, Platform,
    TodRole,
};
use opaline_firmware::system::System;
use power_registers::{Hmer, Tfmr};
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
    assert!(start % 8 == 0 && size >= 8);
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
    let mut hardware = Watched {
        platform,
        pir,
        hmer: 0,
        spins: 0,
    };
    for chip in &platform.chips {
        for address in [0, 0x40000, 0x2010_a801, u32::MAX] {
            let _ = system.xscom.read(&mut hardware, platform, chip.id, address);
        }
    }
    let console = Console::new(None);
    let _ = console.initialise(&mut hardware, platform, &system.xscom);
    assert!(hardware.spins < 1_000_000, "{} spins", hardware.spins);
}

/// Hardware on which nothing answers but XSCOM, always with ones; it knows what belongs to whom.
struct Watched<'a> {
    platform: &'a Platform,
    pir: Pir,
    hmer: u64,
    spins: u64,
}

impl Watched<'_> {
    fn check(&self, address: u64, bytes: u64) {
        let holds = |start: u64, size: u64| {
            address
                .checked_sub(start)
                .is_some_and(|offset| offset <= size - bytes)
        };
        let in_xscom = bytes == 8
            && address.is_multiple_of(8)
            && self
                .platform
                .chips
                .iter()
                .any(|chip| holds(chip.xscom_base, chip.xscom_size));
        let in_lpc = matches!(self.platform.lpc, LpcBus::Mapped { base } if bytes == 1 && holds(base, 0xd002_0000));
        assert!(
            in_xscom || in_lpc,
            "{address:#x}, {bytes} bytes, is nobody's"
        );
    }
}

impl Hardware for Watched<'_> {
    fn pir(&self) -> Pir {
        self.pir
    }
    fn tfmr(&mut self) -> Tfmr {
        Tfmr::empty()
    }
    fn set_tfmr(&mut self, _: Tfmr) {}
    fn hmer(&mut self) -> Hmer {
        Hmer::from_bits_retain(self.hmer)
    }
    fn and_hmer(&mut self, keep: u64) {
        self.hmer &= keep;
    }
    fn hmeer(&mut self) -> Hmer {
        Hmer::empty()
    }
    fn set_hmeer(&mut self, _: Hmer) {}
    fn hid0(&mut self) -> u64 {
        0
    }
    fn timebase(&mut self) -> u64 {
        0
    }
    fn set_timebase_lower(&mut self, _: u32) {}
    fn set_timebase_upper(&mut self, _: u32) {}
    fn set_decrementer(&mut self, _: u64) {}
    fn set_hypervisor_decrementer(&mut self, _: u64) {}
    fn purr(&mut self) -> u64 {
        0
    }
    fn spurr(&mut self) -> u64 {
        0
    }
    fn set_purr(&mut self, _: u64) {}
    fn set_spurr(&mut self, _: u64) {}
    fn load(&mut self, address: u64) -> u64 {
        self.check(address, 8);
        self.hmer |= Hmer::XSCOM_DONE.bits();
        u64::MAX
    }
    fn store(&mut self, address: u64, _: u64) {
        self.check(address, 8);
        self.hmer |= Hmer::XSCOM_DONE.bits();
    }
    fn load_byte(&mut self, address: u64) -> u8 {
        self.check(address, 1);
        0xff
    }
    fn store_byte(&mut self, address: u64, _: u8) {
        self.check(address, 1);
    }
    fn relax(&mut self) {
        self.spins += 1;
    }
}
