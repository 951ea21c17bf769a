//! The idle states that the OS may use: those that lose nothing, so that no call has to bring
//! anything back.

use crate::platform::Generation;
use arrayvec::ArrayVec;
use power_registers::ibm;
use tree_writer::TreeWriter;

/// The state needs no `nap` or `sleep` fix-up; POWER8's nap.
const NAP: u32 = 0x1_0000;
/// The thread loses its registers but not what the hypervisor has set up.
const LOSES_USER_CONTEXT: u32 = 0x1000;
/// Entered by `stop`, and execution goes on behind it.
const STOP_FAST: u32 = 0x10_0000;

/// An idle state.
#[derive(Clone, Copy, Debug)]
struct State {
    name: &'static str,
    /// `stop` level; the machine says which it has.
    level: u32,
    flags: u32,
    latency_ns: u32,
    residency_ns: u32,
    psscr: u64,
}

/// Bits of PSSCR that a state decides: ESL and EC, PSLL, TR, MTL, RL.
const PSSCR_MASK: u64 = 0x30_03ff;

const POWER8: &[State] = &[State {
    name: "nap",
    level: 0,
    flags: NAP | LOSES_USER_CONTEXT,
    latency_ns: 4_000,
    residency_ns: 100_000,
    psscr: 0,
}];

const POWER9: &[State] = &[
    State {
        name: "stop0_lite",
        level: 0,
        flags: STOP_FAST,
        latency_ns: 1_000,
        residency_ns: 10_000,
        psscr: 0x330,
    },
    State {
        name: "stop0",
        level: 0,
        flags: STOP_FAST | LOSES_USER_CONTEXT,
        latency_ns: 2_000,
        residency_ns: 20_000,
        psscr: 0x30_0330,
    },
    State {
        name: "stop1",
        level: 1,
        flags: STOP_FAST | LOSES_USER_CONTEXT,
        latency_ns: 5_000,
        residency_ns: 50_000,
        psscr: 0x30_0331,
    },
];

const POWER10: &[State] = &[
    State {
        name: "stop0_lite",
        level: 0,
        flags: STOP_FAST,
        latency_ns: 1_000,
        residency_ns: 10_000,
        psscr: 0x300,
    },
    State {
        name: "stop0",
        level: 0,
        flags: STOP_FAST | LOSES_USER_CONTEXT,
        latency_ns: 10_000,
        residency_ns: 100_000,
        psscr: 0x30_0300,
    },
];

/// Writes the states of a generation; `levels` has bit n if `stop` has level n.
pub(super) fn states(tree: &mut TreeWriter<'_>, generation: Generation, levels: u32) {
    let all = match generation {
        Generation::Power8 => POWER8,
        Generation::Power9 => POWER9,
        Generation::Power10 => POWER10,
    };
    let by_stop = generation != Generation::Power8;
    let has = |state: &&State| !by_stop || u64::from(levels) << 32 & ibm(state.level) != 0;
    let states: ArrayVec<&State, 4> = all.iter().filter(has).take(4).collect();
    if states.is_empty() {
        return;
    }
    let names: ArrayVec<&str, 4> = states.iter().map(|state| state.name).collect();
    let of = |value: fn(&State) -> u32| -> ArrayVec<u32, 4> {
        states.iter().map(|state| value(state)).collect()
    };
    tree.strings("ibm,cpu-idle-state-names", &names);
    tree.cells("ibm,cpu-idle-state-flags", &of(|state| state.flags));
    tree.cells(
        "ibm,cpu-idle-state-latencies-ns",
        &of(|state| state.latency_ns),
    );
    tree.cells(
        "ibm,cpu-idle-state-residency-ns",
        &of(|state| state.residency_ns),
    );
    if by_stop {
        let psscr: ArrayVec<u64, 4> = states.iter().map(|state| state.psscr).collect();
        tree.doubles("ibm,cpu-idle-state-psscr", &psscr);
        let masks: ArrayVec<u64, 4> = states.iter().map(|_| PSSCR_MASK).collect();
        tree.doubles("ibm,cpu-idle-state-psscr-mask", &masks);
    }
}
