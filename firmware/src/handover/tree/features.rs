//! What the processors can do, feature by feature, for an OS that trusts this more than its own list
//! of processors. The properties are those of the binding "ibm,powerpc-cpu-features".

use crate::platform::{Generation, Platform};
use tree_writer::TreeWriter;

/// Generations that have a feature.
type Generations = u8;

const POWER8: Generations = 1;
const POWER9: Generations = 2;
const POWER10: Generations = 4;
const SINCE_POWER9: Generations = POWER9 | POWER10;
const ALL: Generations = POWER8 | SINCE_POWER9;

/// The version of the architecture that defines a feature, in thousandths; 0: older than versions.
const BASE: u32 = 0;
const V30: u32 = 3_000;
const V31: u32 = 3_100;

/// Who can use a feature: bit 0 programs, bit 1 the OS, bit 2 the hypervisor.
const PROBLEM: u32 = 0b001;
const BELOW_HYPERVISOR: u32 = 0b011;
const HYPERVISOR: u32 = 0b100;
const PRIVILEGED: u32 = 0b110;
const ANYBODY: u32 = 0b111;

/// Numbers of nodes that others refer to: far from those of the loader.
const FIRST_HANDLE: u32 = 0x0f00_0000;

/// One feature.
#[derive(Clone, Copy, Debug)]
struct Feature {
    name: &'static str,
    generations: Generations,
    version: u32,
    privilege: u32,
    /// The hypervisor, the OS must enable it, in a way that has its own name in the architecture.
    hypervisor: bool,
    os: bool,
    /// Bits that enable it (HFSCR, FSCR), and that tell programs of it.
    hfscr: Option<u32>,
    fscr: Option<u32>,
    hwcap: Option<u32>,
    needs: &'static [&'static str],
}

const fn feature(
    name: &'static str,
    generations: Generations,
    version: u32,
    privilege: u32,
) -> Feature {
    Feature {
        name,
        generations,
        version,
        privilege,
        hypervisor: false,
        os: false,
        hfscr: None,
        fscr: None,
        hwcap: None,
        needs: &[],
    }
}

impl Feature {
    const fn enabled_by_hypervisor(self) -> Self {
        Self {
            hypervisor: true,
            ..self
        }
    }

    const fn enabled_by_os(self) -> Self {
        Self { os: true, ..self }
    }

    const fn enabled_by_both(self) -> Self {
        self.enabled_by_hypervisor().enabled_by_os()
    }

    const fn hfscr(self, bit: u32) -> Self {
        Self {
            hfscr: Some(bit),
            ..self
        }
    }

    const fn fscr(self, bit: u32) -> Self {
        Self {
            fscr: Some(bit),
            ..self
        }
    }

    const fn hwcap(self, bit: u32) -> Self {
        Self {
            hwcap: Some(bit),
            ..self
        }
    }

    const fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    /// How it is enabled: 1 by its bit alone, 0 as the architecture says for its name.
    const fn recipe(self) -> u32 {
        (self.version == V31 && self.hfscr.is_some() && self.fscr.is_some()) as u32
    }

    const fn is_of(self, generation: Generation) -> bool {
        let bit = match generation {
            Generation::Power8 => POWER8,
            Generation::Power9 => POWER9,
            Generation::Power10 => POWER10,
        };
        self.generations & bit != 0
    }

    /// Suspended transactions of POWER9 want help, from its revision 2.2 on; 2.2 has one more bug.
    fn is_of_revision(self, processor_version: u32) -> bool {
        match self.name {
            "tm-suspend-hypervisor-assist" => processor_version & 0xfff >= 0x202,
            "tm-suspend-xer-so-bug" => processor_version & 0xfff == 0x202,
            _ => true,
        }
    }

    fn handle(self) -> u32 {
        handle_of(self.name)
    }
}

fn handle_of(name: &str) -> u32 {
    let place = FEATURES.iter().position(|feature| feature.name == name);
    FIRST_HANDLE + place.unwrap_or(0) as u32
}

#[rustfmt::skip]
const FEATURES: &[Feature] = &[
    feature("atomic-memory-operations", SINCE_POWER9, V30, ANYBODY),
    feature("big-endian", ALL, BASE, ANYBODY).enabled_by_both(),
    feature("branch-history-rolling-buffer", ALL, BASE, ANYBODY).enabled_by_both().hfscr(4),
    feature("branch-tracing", ALL, BASE, PRIVILEGED).enabled_by_both().needs(&["debug-facilities"]),
    feature("cache-inhibited-large-page", ALL, BASE, PRIVILEGED).enabled_by_both(),
    feature("come-from-address-register", ALL, BASE, PRIVILEGED).enabled_by_both().needs(&["debug-facilities"]),
    feature("control-register", ALL, BASE, PRIVILEGED).enabled_by_both(),
    feature("coprocessor-icswx", POWER8, BASE, PRIVILEGED).enabled_by_both(),
    feature("copy-paste", SINCE_POWER9, V30, ANYBODY),
    feature("data-stream-control-register", ALL, BASE, ANYBODY).enabled_by_both().hfscr(2).fscr(2).hwcap(61),
    feature("debug-facilities", ALL, BASE, PRIVILEGED).enabled_by_both(),
    feature("debug-facilities-v31", POWER10, V31, PRIVILEGED).enabled_by_both(),
    feature("decimal-floating-point", ALL, BASE, ANYBODY).hwcap(10).needs(&["floating-point"]),
    feature("decimal-floating-point-v3", SINCE_POWER9, V30, ANYBODY).needs(&["floating-point-v3", "decimal-floating-point"]),
    feature("decimal-integer", ALL, BASE, ANYBODY),
    feature("decimal-integer-v3", SINCE_POWER9, V30, ANYBODY).needs(&["fixed-point-v3", "decimal-integer"]),
    feature("event-based-branch", ALL, BASE, ANYBODY).enabled_by_both().hfscr(7).fscr(7).hwcap(60),
    feature("event-based-branch-v3", SINCE_POWER9, V30, ANYBODY).needs(&["event-based-branch"]),
    feature("fixed-point-v3", SINCE_POWER9, V30, ANYBODY),
    feature("floating-point", ALL, BASE, ANYBODY).enabled_by_both().hfscr(0).hwcap(27),
    feature("floating-point-v3", SINCE_POWER9, V30, ANYBODY).needs(&["floating-point"]),
    feature("hypervisor", ALL, BASE, HYPERVISOR).enabled_by_hypervisor(),
    feature("hypervisor-virtualization-interrupt", SINCE_POWER9, V30, HYPERVISOR).enabled_by_hypervisor(),
    feature("idle-nap", POWER8, BASE, HYPERVISOR).enabled_by_hypervisor(),
    feature("idle-stop", SINCE_POWER9, V30, PRIVILEGED).enabled_by_both(),
    feature("interrupt-facilities", ALL, BASE, PRIVILEGED).enabled_by_both(),
    feature("little-endian", ALL, BASE, ANYBODY).enabled_by_both(),
    feature("machine-check-power10", POWER10, V30, PRIVILEGED).enabled_by_both(),
    feature("machine-check-power8", POWER8, BASE, PRIVILEGED).enabled_by_both(),
    feature("machine-check-power9", POWER9, V30, PRIVILEGED).enabled_by_both(),
    feature("matrix-multiply-accumulate", POWER10, V31, PROBLEM).hwcap(49),
    feature("mmu-hash", POWER8, BASE, PRIVILEGED).enabled_by_both(),
    feature("mmu-hash-v3", SINCE_POWER9, V30, PRIVILEGED).enabled_by_both(),
    feature("mmu-radix", SINCE_POWER9, V30, PRIVILEGED).enabled_by_both(),
    feature("no-execute", ALL, BASE, PRIVILEGED).enabled_by_both(),
    feature("pc-relative-addressing", POWER10, V30, ANYBODY),
    feature("performance-monitor-power10", POWER10, V31, PRIVILEGED).enabled_by_both(),
    feature("performance-monitor-power8", POWER8, BASE, PRIVILEGED).enabled_by_both(),
    feature("performance-monitor-power9", POWER9, V30, PRIVILEGED).enabled_by_both(),
    feature("prefix-instructions", POWER10, V31, ANYBODY).enabled_by_both().hfscr(13).fscr(13),
    feature("processor-control-facility", POWER8, BASE, PRIVILEGED).enabled_by_both(),
    feature("processor-control-facility-v3", SINCE_POWER9, V30, PRIVILEGED).enabled_by_hypervisor().hfscr(10),
    feature("processor-utilization-of-resources-register", ALL, BASE, PRIVILEGED).enabled_by_both(),
    feature("program-priority-register", ALL, BASE, ANYBODY),
    feature("quadword-load-store", ALL, BASE, ANYBODY),
    feature("random-number-generator", SINCE_POWER9, V30, ANYBODY).hwcap(53),
    feature("smt", ALL, BASE, ANYBODY).enabled_by_both().hwcap(14),
    feature("strong-access-ordering", ALL, BASE, ANYBODY).enabled_by_both(),
    feature("subcore", POWER8, BASE, PRIVILEGED).enabled_by_both().needs(&["smt"]),
    feature("system-call-vectored", SINCE_POWER9, V30, BELOW_HYPERVISOR).enabled_by_os().fscr(12).hwcap(52),
    feature("target-address-register", ALL, BASE, ANYBODY).enabled_by_both().hfscr(8).fscr(8).hwcap(58),
    feature("timer-facilities", ALL, BASE, PRIVILEGED),
    feature("timer-facilities-v3", SINCE_POWER9, V30, PRIVILEGED).needs(&["timer-facilities"]),
    feature("tm-suspend-hypervisor-assist", POWER9, V30, HYPERVISOR).enabled_by_hypervisor(),
    feature("tm-suspend-xer-so-bug", POWER9, V30, HYPERVISOR).enabled_by_hypervisor(),
    feature("transactional-memory", POWER8, BASE, ANYBODY).enabled_by_both().hfscr(5).hwcap(62),
    feature("vector", ALL, BASE, ANYBODY).enabled_by_both().hfscr(1).hwcap(28).needs(&["floating-point"]),
    feature("vector-binary128", SINCE_POWER9, V30, ANYBODY).hwcap(54).needs(&["vector-scalar-v3"]),
    feature("vector-binary16", SINCE_POWER9, V30, ANYBODY).needs(&["vector-v3"]),
    feature("vector-crypto", ALL, BASE, ANYBODY).hwcap(57).needs(&["vector"]),
    feature("vector-scalar", ALL, BASE, ANYBODY).enabled_by_both().hwcap(7).needs(&["vector"]),
    feature("vector-scalar-v3", SINCE_POWER9, V30, ANYBODY).needs(&["vector-v3", "vector-scalar"]),
    feature("vector-v3", SINCE_POWER9, V30, ANYBODY).needs(&["vector"]),
    feature("virtual-page-class-key-protection", ALL, BASE, ANYBODY).enabled_by_both(),
    feature("wait", POWER8, BASE, ANYBODY),
    feature("wait-v3", SINCE_POWER9, V30, ANYBODY),
];

/// Writes the features of the machine's processors.
pub(super) fn features(tree: &mut TreeWriter<'_>, platform: &Platform) {
    let generation = platform.generation;
    let (version, name) = match generation {
        Generation::Power8 => (2_070, "POWER8"),
        Generation::Power9 => (V30, "POWER9"),
        Generation::Power10 => (V31, "POWER10"),
    };
    tree.node("ibm,powerpc-cpu-features", |tree| {
        tree.strings("compatible", &["ibm,powerpc-cpu-features"]);
        tree.strings("device_type", &["cpu-features"]);
        tree.strings("display-name", &[name]);
        tree.cell("isa", version);
        let own = FEATURES.iter().filter(|feature| {
            feature.is_of(generation) && feature.is_of_revision(platform.processor_version)
        });
        own.for_each(|feature| one(tree, *feature));
    });
}

fn one(tree: &mut TreeWriter<'_>, feature: Feature) {
    tree.node(feature.name, |tree| {
        tree.cell("phandle", feature.handle());
        tree.cell("isa", feature.version);
        tree.cell("usable-privilege", feature.privilege);
        if feature.hypervisor {
            tree.cell("hv-support", feature.recipe());
        }
        if feature.os {
            tree.cell("os-support", feature.recipe());
        }
        let bits = [
            ("hfscr-bit-nr", feature.hfscr),
            ("fscr-bit-nr", feature.fscr),
            ("hwcap-bit-nr", feature.hwcap),
        ];
        for (name, bit) in bits {
            if let Some(bit) = bit {
                tree.cell(name, bit);
            }
        }
        let mut handles = [0; 2];
        let needed = handles.iter_mut().zip(feature.needs);
        let count = needed.map(|(place, name)| *place = handle_of(name)).count();
        if count != 0 {
            tree.cells("dependencies", &handles[..count]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_feature_needs_is_there_with_it() {
        let generations = [Generation::Power8, Generation::Power9, Generation::Power10];
        for feature in FEATURES {
            assert!(feature.needs.len() <= 2, "{}", feature.name);
            for need in feature.needs {
                let found = FEATURES.iter().find(|other| other.name == *need);
                let found = found.unwrap_or_else(|| panic!("{} needs {need}", feature.name));
                for generation in generations {
                    assert!(found.is_of(generation) || !feature.is_of(generation));
                }
            }
            let same = FEATURES.iter().filter(|other| other.name == feature.name);
            assert_eq!(same.count(), 1, "{}", feature.name);
        }
    }
}
