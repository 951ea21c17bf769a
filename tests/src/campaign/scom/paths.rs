use hardware_model::{CoreCause, CoreError, Fault, Generation, Start, ThreadError};
use power_registers::chip_tod::TodError;
use power_registers::ibm;

/// What starts a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The interrupt.
    Hmi,
    /// `OPAL_RESYNC_TIMEBASE` on thread 0.
    Resync,
    /// The boot, from there: of the master, or of core 1 after it.
    Boot(Start, bool),
}

/// A way through the recovery.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Its name.
    pub name: &'static str,
    /// The processors that have it.
    pub generations: &'static [Generation],
    /// Chips, cores of each, threads of each.
    pub shape: (usize, usize, usize),
    /// Faults that are dealt with before.
    pub earlier: fn(Generation) -> Vec<Fault>,
    /// The faults.
    pub faults: fn(Generation) -> Vec<Fault>,
    /// What starts it.
    pub trigger: Trigger,
    /// It repairs nothing but tells what is broken: it "recovered" if the report is complete.
    pub only_reports: bool,
}

const ALL: &[Generation] = &[Generation::Power8, Generation::Power9, Generation::Power10];
const BEFORE_POWER10: &[Generation] = &[Generation::Power8, Generation::Power9];
const FROM_POWER9: &[Generation] = &[Generation::Power9, Generation::Power10];
const POWER9: &[Generation] = &[Generation::Power9];

const fn path(
    name: &'static str,
    shape: (usize, usize, usize),
    faults: fn(Generation) -> Vec<Fault>,
) -> Path {
    Path {
        name,
        generations: ALL,
        shape,
        earlier: |_| Vec::new(),
        faults,
        trigger: Trigger::Hmi,
        only_reports: false,
    }
}

fn core(core: usize, error: CoreError) -> Vec<Fault> {
    vec![Fault::Core { core, error }]
}

fn tod(chip: usize, bits: TodError) -> Vec<Fault> {
    let bits = bits.bits();
    vec![Fault::Tod { chip, bits }]
}

/// Both oscillators of a chip fall silent.
fn oscillators(chip: usize) -> Vec<Fault> {
    [0, 1]
        .into_iter()
        .map(|path| Fault::Oscillator {
            chip,
            path,
            valid: false,
        })
        .collect()
}

macro_rules! parity {
    ($($name:literal = $number:literal,)*) => {
        [$(path($name, (1, 2, 2), |_| tod(0, TodError::CACHED_PARITY[$number])),)*]
    };
}

const PARITY: [Path; 9] = parity! {
    "TOD parity of 0x40000" = 0,
    "TOD parity of 0x40001" = 1,
    "TOD parity of 0x40002" = 2,
    "TOD parity of 0x40003" = 3,
    "TOD parity of 0x40004" = 4,
    "TOD parity of 0x40005" = 5,
    "TOD parity of 0x40006" = 6,
    "TOD parity of 0x40007" = 7,
    "TOD parity of 0x40010" = 8,
};

/// Every path.
pub const PATHS: &[Path] = &[
    path("TB residue", (1, 1, 2), |_| core(0, CoreError::TbResidue)),
    path("HDEC parity and TB residue", (1, 1, 2), |_| {
        [
            core(0, CoreError::HdecParity),
            core(0, CoreError::TbResidue),
        ]
        .concat()
    }),
    path("TFMR corrupt, TB lost", (1, 1, 2), |_| {
        core(0, CoreError::TfmrCorrupt { tb_survives: false })
    }),
    path("MOVE stuck", (1, 1, 2), |_| core(0, CoreError::StuckMove)),
    path("LOAD_TOD_MOD stuck", (1, 1, 2), |_| {
        core(0, CoreError::StuckLoadTodMod)
    }),
    path("missing step on two cores", (1, 2, 2), |_| {
        [
            core(0, CoreError::MissingStep),
            core(1, CoreError::MissingStep),
        ]
        .concat()
    }),
    Path {
        generations: POWER9,
        earlier: |_| core(0, CoreError::TbResidue),
        ..path("DEC after a latched bit", (1, 1, 4), |_| {
            vec![Fault::Thread {
                thread: 2,
                error: ThreadError::DecParity,
            }]
        })
    },
    Path {
        generations: POWER9,
        earlier: |_| core(0, CoreError::TbResidue),
        ..path("step after a latched bit", (1, 1, 4), |_| {
            core(0, CoreError::MissingStep)
        })
    },
    PARITY[0],
    PARITY[1],
    PARITY[2],
    PARITY[3],
    PARITY[4],
    PARITY[5],
    PARITY[6],
    PARITY[7],
    PARITY[8],
    path("TOD error without a meaning", (1, 1, 2), |_| {
        vec![Fault::Tod {
            chip: 0,
            bits: ibm(20),
        }]
    }),
    path("TOD dead, neighbour runs", (2, 1, 2), |_| {
        tod(1, TodError::I_PATH_SYNC_CHECK)
    }),
    path("TOD of the master dead", (2, 1, 2), |_| {
        tod(0, TodError::FSM_STATE_PARITY)
    }),
    path("topology switch", (2, 1, 2), |_| oscillators(0)),
    path("TOD of a single chip dead", (1, 2, 2), |_| {
        tod(0, TodError::TIME_REGISTER_PARITY)
    }),
    path("all TODs dead", (2, 1, 2), |_| {
        [
            tod(0, TodError::I_PATH_SYNC_CHECK),
            tod(1, TodError::I_PATH_SYNC_CHECK),
        ]
        .concat()
    }),
    Path {
        trigger: Trigger::Resync,
        ..path("resync of a wrong TB", (1, 1, 2), |_| {
            (0..2)
                .map(|thread| Fault::Timebase {
                    thread,
                    value: 0x1234,
                })
                .collect()
        })
    },
    Path {
        trigger: Trigger::Boot(Start::Reset, false),
        ..path("boot, master", (2, 1, 2), |_| Vec::new())
    },
    Path {
        trigger: Trigger::Boot(Start::Reset, true),
        ..path("boot, other core", (2, 1, 2), |_| Vec::new())
    },
    Path {
        only_reports: true,
        ..path("core checkstop", (1, 2, 2), |_| {
            vec![Fault::CoreFir {
                core: 1,
                bits: ibm(63),
            }]
        })
    },
    Path {
        only_reports: true,
        generations: BEFORE_POWER10,
        ..path("NX checkstop", (1, 1, 2), |_| {
            vec![Fault::Nx {
                chip: 0,
                dma: ibm(16),
                pbi: 0,
            }]
        })
    },
    Path {
        only_reports: true,
        generations: BEFORE_POWER10,
        ..path("CAPP recovery", (1, 1, 2), |_| {
            vec![Fault::Capp {
                chip: 0,
                unit: 0,
                bits: ibm(5),
            }]
        })
    },
    Path {
        only_reports: true,
        ..path("NPU or PAU freeze", (1, 1, 2), |_| {
            vec![Fault::Npu {
                chip: 0,
                unit: 0,
                fir: 0,
                bits: ibm(10),
            }]
        })
    },
    Path {
        only_reports: true,
        ..path("alert with nothing behind", (2, 1, 2), |_| {
            vec![Fault::Alert { chip: 1 }]
        })
    },
    Path {
        only_reports: true,
        // POWER8 does not let WOF be read, so no SCOM access can fail there.
        generations: FROM_POWER9,
        ..path("processor recovery", (1, 1, 2), |_| {
            vec![Fault::Cause {
                core: 0,
                cause: CoreCause::Recovered { fir_bit: 43 },
            }]
        })
    },
];
