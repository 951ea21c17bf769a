//! The figures, in the order in which they are shown.

use super::figure::{Definition, Unit};

const fn definition(
    key: &'static str,
    title: &'static str,
    unit: Unit,
    target: Option<f64>,
    about: &'static str,
) -> Definition {
    Definition {
        key,
        title,
        unit,
        target,
        limit: None,
        about,
    }
}

/// A figure that misses its target, as `docs/bench.md` explains.
const fn missed(definition: Definition, limit: f64) -> Definition {
    Definition {
        limit: Some(limit),
        ..definition
    }
}

const ENTRY: Option<f64> = Some(0.25);
const HALF: Option<f64> = Some(0.5);
const IMAGE: Option<f64> = Some(0.15);

const COUNTED: &str = "guest instructions of all threads, one at a time (-icount shift=0,sleep=off), \
                       by VTB, from reset to the kernel's first instruction";
const WALL: &str = "host seconds from reset to the kernel's first instruction, with all threads running \
                    at the same time";
const CALL: &str = "guest instructions of one call, from the client's branch to its return, the mean \
                    of many";
const HMI: &str = "guest instructions of all threads of the core, one at a time, from the first \
                   thread's call of OPAL_HANDLE_HMI2 to the last one's return, after a control error \
                   of TFMR; the median of 5 errors";
const BUSIEST: &str = "guest instructions in the firmware of the thread that had most of them, by a trace \
                       of one error: mostly the leader";
const SHELL: &str = "host seconds from the start of QEMU to the shell of the small system";

use Unit::{Bytes, Instructions, Seconds};

/// All of them.
pub(super) const DEFINITIONS: &[Definition] = &[
    definition(
        "image.raw",
        "Image",
        Bytes,
        IMAGE,
        "bytes of the file that QEMU loads",
    ),
    missed(
        definition(
            "image.xz",
            "Image, packed",
            Bytes,
            IMAGE,
            "the same after xz -9 -C crc32",
        ),
        0.265,
    ),
    definition(
        "memory.kept",
        "Memory kept from the OS",
        Bytes,
        HALF,
        "bytes of memory that the device tree at the kernel's entry reserves",
    ),
    definition(
        "entry.1",
        "Reset to kernel, 1 thread",
        Instructions,
        ENTRY,
        COUNTED,
    ),
    definition(
        "entry.4",
        "Reset to kernel, 4 threads",
        Instructions,
        ENTRY,
        COUNTED,
    ),
    definition(
        "entry.bare",
        "Reset to kernel, no PCI",
        Instructions,
        ENTRY,
        "as entry.1, on a machine without PCI host bridges (-nodefaults and a BMC)",
    ),
    definition(
        "entry.wall.1",
        "Reset to kernel, 1 thread, time",
        Seconds,
        ENTRY,
        WALL,
    ),
    definition(
        "entry.wall.4",
        "Reset to kernel, 4 threads, time",
        Seconds,
        ENTRY,
        WALL,
    ),
    definition("call.test", "OPAL_TEST", Instructions, HALF, CALL),
    definition(
        "call.check_token",
        "OPAL_CHECK_TOKEN",
        Instructions,
        HALF,
        CALL,
    ),
    definition(
        "call.console_write",
        "OPAL_CONSOLE_WRITE, 256 bytes",
        Instructions,
        HALF,
        "guest instructions until the firmware has taken 256 bytes, in as many calls as it wants",
    ),
    definition(
        "call.console_sent",
        "... and until they are sent",
        Instructions,
        None,
        "as call.console_write, and OPAL_CONSOLE_FLUSH until it says that all is sent",
    ),
    definition(
        "call.poll_events",
        "OPAL_POLL_EVENTS",
        Instructions,
        HALF,
        CALL,
    ),
    missed(
        definition(
            "call.resync_timebase",
            "OPAL_RESYNC_TIMEBASE",
            Instructions,
            HALF,
            CALL,
        ),
        1.6,
    ),
    definition("hmi.1", "HMI, 1 thread", Instructions, HALF, HMI),
    definition("hmi.4", "HMI, 4 threads", Instructions, HALF, HMI),
    definition("hmi.8", "HMI, 8 threads", Instructions, HALF, HMI),
    definition(
        "hmi.busiest.4",
        "... the busiest of 4",
        Instructions,
        HALF,
        BUSIEST,
    ),
    definition(
        "hmi.busiest.8",
        "... the busiest of 8",
        Instructions,
        HALF,
        BUSIEST,
    ),
    definition("shell.1", "Time to shell, 1 thread", Seconds, None, SHELL),
    definition("shell.4", "Time to shell, 4 threads", Seconds, None, SHELL),
    definition("shell.8", "Time to shell, 8 threads", Seconds, None, SHELL),
];
